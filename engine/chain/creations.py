"""Creation logs of factories: pools whose every fact is in the log, and sightings of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.chain.events import (
    V4_INITIALIZE,
    Malformed,
    address_of,
    exactly,
    signed24,
    topic_count,
    unsigned,
    word_of,
    words_of,
)
from engine.chain.readers.v4 import v4_refusal
from engine.chain.wire import topic
from engine.domain.market import PoolRecord, Protocol, Venue
from engine.domain.pool_details import SolidlyDetails, UniswapV4Details
from engine.domain.provenance import is_genuine

PAIR_CREATED = topic("PairCreated(address,address,address,uint256)")
POOL_CREATED = topic("PoolCreated(address,address,uint24,int24,address)")
SOLIDLY_PAIR = topic("PairCreated(address,address,bool,address,uint256)")
SOLIDLY_POOL = topic("PoolCreated(address,address,bool,address,uint256)")
SLIPSTREAM_POOL = topic("PoolCreated(address,address,int24,address)")
ALGEBRA_POOL = topic("Pool(address,address,address)")
BALANCER_POOL = topic("PoolCreated(address)")
# Curve's factories name the new pool in some of these and not in others: after any, the list is read.
CURVE_DEPLOYS = tuple(
    topic(f"{name}({types})")
    for name, types in (
        ("PlainPoolDeployed", "address[],uint256,uint256,address"),
        ("PlainPoolDeployed", "address[4],uint256,uint256,address"),
        ("MetaPoolDeployed", "address,address,uint256,uint256,address"),
        (
            "TwocryptoPoolDeployed",
            "address,string,string,address[2],address,bytes32,uint256[2],uint256,address",
        ),
        (
            "TricryptoPoolDeployed",
            "address,string,string,address,address[3],address,bytes32,uint256[3],uint256,address",
        ),
    )
)
_MAX_SPACING = 16384
MAX_FAKES = 1_000

# Topics of factories whose logs index the pool's two tokens, first and second; then V4's, second and third.
PAIR_TOPICS = (PAIR_CREATED, POOL_CREATED, SOLIDLY_PAIR, SOLIDLY_POOL, SLIPSTREAM_POOL, ALGEBRA_POOL)
OTHER_TOPICS = (BALANCER_POOL, *CURVE_DEPLOYS)
CREATION_TOPICS = (*PAIR_TOPICS, V4_INITIALIZE, *OTHER_TOPICS)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A pool that `venue`'s factory or registry names; what else it is has to be asked of the chain.

    `address` is empty where only a list of the factory's can tell; `tokens` and `stable` as far as the log
    says.
    """

    venue: Venue
    address: str
    tokens: tuple[str, ...] = ()
    stable: bool | None = None


@dataclass(frozen=True, slots=True)
class Creations:
    """Pools a venue's factory created, sightings of more, and (address, reason) of those that are not what
    the factory claims."""

    pools: list[PoolRecord]
    refused: list[tuple[str, str]]
    sightings: list[Sighting] = field(default_factory=list)


class Fakes:
    """How many pools that cannot be its own each factory has announced.

    An honest factory announces none. One that announces more than `most` is ignored from then on, so that
    logs without end cost neither memory nor time; what CREATE2 proves of it stays.
    """

    def __init__(self, most: int = MAX_FAKES):
        self._most = most
        self._counts: Counter[str] = Counter()

    def is_ignored(self, venue: Venue) -> bool:
        return self._counts[venue.factory] > self._most

    def note(self, venue: Venue) -> str | None:
        """Count one more; why the factory is ignored from now on, if it is."""
        self._counts[venue.factory] += 1
        if self.is_ignored(venue):
            return (
                f"{venue.name} announced more than {self._most} pools that it cannot have made: it is ignored"
            )
        return None


def decode_creations(
    logs: Iterable[Mapping[str, Any]], venues: Sequence[Venue], fakes: Fakes | None = None
) -> Creations:
    """What the venues' factories announced. A pool whose address is not the CREATE2 address of its tokens and
    fee is refused: an honest factory cannot create it. `fakes` counts these on from earlier logs."""
    by_factory = {venue.factory: venue for venue in venues}
    fakes = fakes or Fakes()
    found, sighted = Creations([], []), set[Sighting]()
    for log in logs:
        emitter = log.get("address")
        venue = by_factory.get(emitter.lower()) if isinstance(emitter, str) else None
        topics = log.get("topics")
        if venue is None or not isinstance(topics, list) or not topics or topics[0] not in CREATION_TOPICS:
            continue
        if fakes.is_ignored(venue):
            continue
        try:
            made = _DECODERS[venue.protocol](venue, topics, log.get("data"))
        except Malformed as error:
            why = fakes.note(venue) or f"malformed creation log of {venue.name}: {error}"
            found.refused.append((venue.factory, why))
            continue
        record = _provable(made) if isinstance(made, Sighting) else made
        if record is not None and not is_genuine(venue, record):
            found.refused.append((record.key, f"not at the address {venue.name} would give it"))
            if (ignored := fakes.note(venue)) is not None:
                found.refused.append((venue.factory, ignored))
        elif isinstance(made, PoolRecord):
            _admit(found, made)
        elif made not in sighted:
            sighted.add(made)
            found.sightings.append(made)
    return found


def _admit(found: Creations, pool: PoolRecord) -> None:
    reason = v4_refusal(pool) if pool.protocol is Protocol.UNISWAP_V4 else None
    if reason is None:
        found.pools.append(pool)
    else:
        found.refused.append((pool.key, reason))


def _provable(one: Sighting) -> PoolRecord | None:
    """What a log says of a pool whose address CREATE2 gives; None where it gives none."""
    if len(one.tokens) != 2:
        return None
    details = None if one.stable is None else SolidlyDetails(one.stable, (0, 0))
    fee_pips = one.venue.fee_pips or 0
    return PoolRecord(one.address, one.venue.protocol, one.venue.name, one.tokens, fee_pips, 0, details)


def _pair_of(topics: list[Any]) -> tuple[str, str]:
    return address_of(word_of(topics[1])), address_of(word_of(topics[2]))


def _v2(venue: Venue, topics: list[Any], data: Any) -> PoolRecord:
    _require(topics, PAIR_CREATED, 3)
    pool, _ = exactly(words_of(data), 2)
    return PoolRecord(address_of(pool), venue.protocol, venue.name, _pair_of(topics), venue.fee_pips or 3000)


def _camelot(venue: Venue, topics: list[Any], data: Any) -> Sighting:
    _require(topics, PAIR_CREATED, 3)
    pool, _ = exactly(words_of(data), 2)
    return Sighting(venue, address_of(pool), _pair_of(topics))


def _v3(venue: Venue, topics: list[Any], data: Any) -> PoolRecord:
    _require(topics, POOL_CREATED, 4)
    spacing_word, pool = exactly(words_of(data), 2)
    fee_pips, spacing = unsigned(word_of(topics[3]), 24), _spacing(spacing_word)
    if fee_pips >= 1_000_000:
        raise Malformed("fee or tick spacing out of range")
    return PoolRecord(address_of(pool), venue.protocol, venue.name, _pair_of(topics), fee_pips, spacing)


def _slipstream(venue: Venue, topics: list[Any], data: Any) -> PoolRecord:
    _require(topics, SLIPSTREAM_POOL, 4)
    (pool,) = exactly(words_of(data), 1)
    spacing = _spacing(word_of(topics[3]))
    return PoolRecord(address_of(pool), venue.protocol, venue.name, _pair_of(topics), 0, spacing)


def _v4(venue: Venue, topics: list[Any], data: Any) -> PoolRecord:
    _require(topics, V4_INITIALIZE, 4)
    fee_word, spacing_word, hooks, _, _ = exactly(words_of(data), 5)
    fee, spacing = unsigned(fee_word, 24), signed24(spacing_word)
    if not 0 < spacing < 1 << 15:
        raise Malformed("fee or tick spacing out of range")
    currencies = address_of(word_of(topics[2])), address_of(word_of(topics[3]))
    pool_id = "0x" + word_of(topics[1]).hex()
    details = UniswapV4Details(pool_id, venue.factory, fee, spacing, address_of(hooks))
    fixed = fee if fee < 1_000_000 else 0
    return PoolRecord(venue.factory, venue.protocol, venue.name, currencies, fixed, spacing, details)


def _solidly(venue: Venue, topics: list[Any], data: Any) -> Sighting:
    words = words_of(data)
    if topics[0] == SOLIDLY_PAIR:
        topic_count(topics, 3)
        stable, pool, _ = exactly(words, 3)
    else:
        _require(topics, SOLIDLY_POOL, 4)
        stable = word_of(topics[3])
        pool, _ = exactly(words, 2)
    return Sighting(venue, address_of(pool), _pair_of(topics), bool(unsigned(stable, 1)))


def _algebra(venue: Venue, topics: list[Any], data: Any) -> Sighting:
    _require(topics, ALGEBRA_POOL, 3)
    (pool,) = exactly(words_of(data), 1)
    return Sighting(venue, address_of(pool), _pair_of(topics))


def _balancer(venue: Venue, topics: list[Any], data: Any) -> Sighting:
    _require(topics, BALANCER_POOL, 2)
    return Sighting(venue, address_of(word_of(topics[1])))


def _curve(venue: Venue, topics: list[Any], data: Any) -> Sighting:
    if topics[0] not in CURVE_DEPLOYS:
        raise Malformed("not a deployment of a Curve factory")
    return Sighting(venue, "")


def _none(venue: Venue, topics: list[Any], data: Any) -> Sighting:
    raise Malformed("this protocol has no factory")


def _require(topics: list[Any], expected: str, count: int) -> None:
    if topics[0] != expected:
        raise Malformed("the creation log of another protocol")
    topic_count(topics, count)


def _spacing(word: bytes) -> int:
    spacing = signed24(word)
    if not 0 < spacing < _MAX_SPACING:
        raise Malformed("fee or tick spacing out of range")
    return spacing


_DECODERS: dict[Protocol, Callable[[Venue, list[Any], Any], PoolRecord | Sighting]] = {
    Protocol.UNISWAP_V2: _v2,
    Protocol.CAMELOT_V2: _camelot,
    Protocol.UNISWAP_V3: _v3,
    Protocol.SLIPSTREAM: _slipstream,
    Protocol.UNISWAP_V4: _v4,
    Protocol.SOLIDLY: _solidly,
    Protocol.ALGEBRA: _algebra,
    Protocol.CURVE_STABLESWAP: _curve,
    Protocol.CURVE_CRYPTOSWAP: _curve,
    Protocol.BALANCER_V2_WEIGHTED: _balancer,
    Protocol.BALANCER_V2_STABLE: _balancer,
    Protocol.BALANCER_V3_WEIGHTED: _balancer,
    Protocol.BALANCER_V3_STABLE: _balancer,
    Protocol.ERC4626: _none,
    Protocol.WSTETH: _none,
    Protocol.WETH: _none,
}
