"""Logs to facts: pool state events, pool creations, ERC-20 transfers.

A log is data from a contract anybody may have written. Nothing here raises on one: a log that cannot be what
it claims names its pool, so that the pool can be quarantined, and none of that pool's events are returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.amm.layout import (
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    StateEvents,
    ints_to_limbs,
)
from engine.chain.wire import topic
from engine.domain.market import PoolRecord, Protocol, Venue
from engine.domain.provenance import is_genuine

SYNC = topic("Sync(uint112,uint112)")
V3_SWAP = topic("Swap(address,address,int256,int256,uint160,uint128,int24)")
PANCAKE_V3_SWAP = topic("Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)")
V3_MINT = topic("Mint(address,address,int24,int24,uint128,uint256,uint256)")
V3_BURN = topic("Burn(address,int24,int24,uint128,uint256,uint256)")
V3_INITIALIZE = topic("Initialize(uint160,int24)")
PAIR_CREATED = topic("PairCreated(address,address,address,uint256)")
POOL_CREATED = topic("PoolCreated(address,address,uint24,int24,address)")
TRANSFER = topic("Transfer(address,address,uint256)")

STATE_TOPICS = (SYNC, V3_SWAP, PANCAKE_V3_SWAP, V3_MINT, V3_BURN, V3_INITIALIZE)
CREATION_TOPICS = (PAIR_CREATED, POOL_CREATED)

# Fields of one event: kind, a, b, tick_lower, tick_upper.
_Fields = tuple[int, int, int, int, int]


class _Malformed(Exception):
    """The log cannot be what its first topic says."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One block's logs, decoded.

    `events`: state events of known pools, in log order. `unknown`: state logs from pools we do not follow.
    `hostile`: (pool row, reason) of pools whose logs are malformed; their events are left out.
    """

    events: StateEvents
    unknown: int
    hostile: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Creations:
    """Pools a venue's factory created, and (address, reason) of those that are not what it claims."""

    pools: list[PoolRecord]
    refused: list[tuple[str, str]]


def decode(logs: Iterable[Mapping[str, Any]], pool_row: Mapping[str, int]) -> Decoded:
    """Decode one block's logs, given in log-index order. `pool_row` maps lower-case address to row."""
    rows: list[int] = []
    fields: list[_Fields] = []
    hostile: dict[int, str] = {}
    unknown = 0
    for log in logs:
        topics = log.get("topics")
        if not isinstance(topics, list) or not topics or not isinstance(topics[0], str):
            continue
        decoder = _DECODERS.get(topics[0])
        if decoder is None:
            continue
        emitter = log.get("address")
        row = pool_row.get(emitter.lower()) if isinstance(emitter, str) else None
        if row is None:
            unknown += 1
            continue
        if row in hostile:
            continue
        try:
            decoded = decoder(topics, _words(log.get("data")))
        except _Malformed as error:
            hostile[row] = f"malformed log: {error}"
            continue
        rows.append(row)
        fields.append(decoded)
    if hostile:
        kept = [at for at, row in enumerate(rows) if row not in hostile]
        rows, fields = [rows[at] for at in kept], [fields[at] for at in kept]
    return Decoded(_events(rows, fields), unknown, list(hostile.items()))


def decode_creations(logs: Iterable[Mapping[str, Any]], venues: Sequence[Venue]) -> Creations:
    """Pools that the venues' factories announced. A pool whose address is not the CREATE2 address of its
    tokens and fee is refused: an honest factory cannot create it."""
    by_factory = {venue.factory: venue for venue in venues}
    found = Creations([], [])
    for log in logs:
        emitter = log.get("address")
        venue = by_factory.get(emitter.lower()) if isinstance(emitter, str) else None
        topics = log.get("topics")
        if venue is None or not isinstance(topics, list) or not topics or topics[0] not in CREATION_TOPICS:
            continue
        try:
            pool = _created_pool(venue, topics, _words(log.get("data")))
        except _Malformed as error:
            found.refused.append((venue.factory, f"malformed creation log of {venue.name}: {error}"))
            continue
        if is_genuine(venue, pool):
            found.pools.append(pool)
        else:
            found.refused.append((pool.address, f"not at the address {venue.name} would give it"))
    return found


def token_delta(logs: Iterable[Mapping[str, Any]], token: str, account: str) -> int:
    """Change of `account`'s balance of an ERC-20 `token` by a receipt's Transfer logs, base units.

    Logs of other contracts and of other shapes do not count.
    """
    total = 0
    for log in logs:
        topics = log.get("topics")
        if not isinstance(topics, list) or len(topics) != 3 or topics[0] != TRANSFER:
            continue
        if str(log.get("address")).lower() != token:
            continue
        try:
            words = _words(log.get("data"))
            sender, receiver = _address(_word(topics[1])), _address(_word(topics[2]))
            (amount,) = _exactly(words, 1)
        except _Malformed:
            continue
        total += int.from_bytes(amount, "big") * ((receiver == account) - (sender == account))
    return total


def _sync(topics: list[Any], words: list[bytes]) -> _Fields:
    _topic_count(topics, 1)
    reserve0, reserve1 = _exactly(words, 2)
    return EVENT_V2_SYNC, _unsigned(reserve0, 112), _unsigned(reserve1, 112), 0, 0


def _v3_swap(topics: list[Any], words: list[bytes]) -> _Fields:
    _topic_count(topics, 3)
    _, _, price, liquidity, tick = _exactly(words, 5)
    return EVENT_V3_SWAP, _price(price), _unsigned(liquidity, 128), _tick(tick), 0


def _pancake_v3_swap(topics: list[Any], words: list[bytes]) -> _Fields:
    _topic_count(topics, 3)
    _, _, price, liquidity, tick, _, _ = _exactly(words, 7)
    return EVENT_V3_SWAP, _price(price), _unsigned(liquidity, 128), _tick(tick), 0


def _v3_mint(topics: list[Any], words: list[bytes]) -> _Fields:
    _, amount, _, _ = _exactly(words, 4)
    return (EVENT_V3_MINT, _unsigned(amount, 128), 0, *_range(topics))


def _v3_burn(topics: list[Any], words: list[bytes]) -> _Fields:
    amount, _, _ = _exactly(words, 3)
    return (EVENT_V3_BURN, _unsigned(amount, 128), 0, *_range(topics))


def _v3_initialize(topics: list[Any], words: list[bytes]) -> _Fields:
    _topic_count(topics, 1)
    price, tick = _exactly(words, 2)
    return EVENT_V3_INITIALIZE, _price(price), 0, _tick(tick), 0


_DECODERS: dict[str, Callable[[list[Any], list[bytes]], _Fields]] = {
    SYNC: _sync,
    V3_SWAP: _v3_swap,
    PANCAKE_V3_SWAP: _pancake_v3_swap,
    V3_MINT: _v3_mint,
    V3_BURN: _v3_burn,
    V3_INITIALIZE: _v3_initialize,
}


def _created_pool(venue: Venue, topics: list[Any], words: list[bytes]) -> PoolRecord:
    if venue.protocol is Protocol.UNISWAP_V2:
        if topics[0] != PAIR_CREATED:
            raise _Malformed("not a PairCreated log")
        _topic_count(topics, 3)
        pool, _ = _exactly(words, 2)
        fee_pips, spacing = venue.fee_pips or 3000, 0
    else:
        if topics[0] != POOL_CREATED:
            raise _Malformed("not a PoolCreated log")
        _topic_count(topics, 4)
        spacing_word, pool = _exactly(words, 2)
        fee_pips, spacing = _unsigned(_word(topics[3]), 24), _signed24(spacing_word)
        if not 0 < spacing < 16384 or fee_pips >= 1_000_000:
            raise _Malformed("fee or tick spacing out of range")
    tokens = (_address(_word(topics[1])), _address(_word(topics[2])))
    return PoolRecord(_address(pool), venue.protocol, venue.name, tokens, fee_pips, spacing)


def _words(data: Any) -> list[bytes]:
    """ABI words of log data. More than eight never belong to an event decoded here."""
    if not isinstance(data, str) or not data.startswith("0x"):
        raise _Malformed("no data")
    if (len(data) - 2) % 64 or len(data) > 2 + 8 * 64:
        raise _Malformed(f"data of {(len(data) - 2) / 2:g} bytes")
    try:
        raw = bytes.fromhex(data[2:])
    except ValueError:
        raise _Malformed("data is not hexadecimal") from None
    if 2 * len(raw) != len(data) - 2:
        raise _Malformed("data is not hexadecimal")
    return [raw[at : at + 32] for at in range(0, len(raw), 32)]


def _word(value: Any) -> bytes:
    if not isinstance(value, str) or len(value) != 66:
        raise _Malformed("a topic is not 32 bytes")
    (word,) = _exactly(_words(value), 1)
    return word


def _exactly(words: list[bytes], count: int) -> list[bytes]:
    if len(words) != count:
        raise _Malformed(f"{32 * len(words)} bytes of data, {32 * count} expected")
    return words


def _topic_count(topics: list[Any], count: int) -> None:
    if len(topics) != count:
        raise _Malformed(f"{len(topics)} topics, {count} expected")


def _unsigned(word: bytes, bits: int) -> int:
    value = int.from_bytes(word, "big")
    if value >> bits:
        raise _Malformed(f"a value exceeds uint{bits}")
    return value


def _signed24(word: bytes) -> int:
    value = int.from_bytes(word, "big", signed=True)
    if not -(1 << 23) <= value < 1 << 23:
        raise _Malformed("a value exceeds int24")
    return value


def _tick(word: bytes) -> int:
    value = _signed24(word)
    if not MIN_TICK <= value <= MAX_TICK:
        raise _Malformed(f"tick {value} is out of range")
    return value


def _price(word: bytes) -> int:
    value = int.from_bytes(word, "big")
    if not MIN_SQRT_RATIO <= value < MAX_SQRT_RATIO:
        raise _Malformed("the price is out of range")
    return value


def _range(topics: list[Any]) -> tuple[int, int]:
    _topic_count(topics, 4)
    lower, upper = _tick(_word(topics[2])), _tick(_word(topics[3]))
    if lower >= upper:
        raise _Malformed(f"empty tick range {lower}..{upper}")
    return lower, upper


def _address(word: bytes) -> str:
    if any(word[:12]):
        raise _Malformed("an address has more than 20 bytes")
    return "0x" + word[12:].hex()


def _events(rows: list[int], fields: list[_Fields]) -> StateEvents:
    kinds, a, b, lower, upper = zip(*fields, strict=True) if fields else ((), (), (), (), ())
    return StateEvents(
        kind=np.array(kinds, np.uint8),
        pool=np.array(rows, np.int32),
        a=ints_to_limbs(a),
        b=ints_to_limbs(b),
        tick_lower=np.array(lower, np.int32),
        tick_upper=np.array(upper, np.int32),
    )
