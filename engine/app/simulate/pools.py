"""The pools of a state: which accounts are pools of known venues, and what of them is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from engine.amm.layout import MAX_TICK, MIN_TICK
from engine.app.simulate.blocks import State
from engine.app.simulate.chain_table import ChainTable
from engine.chain.calls import UNTRUSTED_GAS, View, call, contract_failed
from engine.chain.metadata import read_tokens
from engine.domain.errors import NodeError
from engine.domain.market import ZERO_ADDRESS, BlockRef, PoolRecord, Protocol, Token, Venue
from engine.domain.pool_state import PartialState, TickWindow
from engine.domain.ports import Node
from engine.domain.provenance import is_genuine

_FACTORY = View.of("factory()", "address")
_TOKEN0 = View.of("token0()", "address")
_TOKEN1 = View.of("token1()", "address")
_RESERVES = View.of("getReserves()", "uint112", "uint112", "uint32")
_SLOT0 = View.of("slot0()", "uint160", "int24")
_FEE = View.of("fee()", "uint24")
_SPACING = View.of("tickSpacing()", "int24")
# UniswapV2Pair's storage: token0, token1, and the slot both reserves share.
_V2_SLOTS = (6, 7, 8)
_UNKNOWN_DECIMALS = 18
_WORD_TICKS = 256

# Slots of an account whose value is known; None when the whole state is.
KnownSlots = Mapping[str, Iterable[int]] | None


@dataclass(frozen=True, slots=True)
class FoundPools:
    """`records` are pools of proven code whose state is known; `venues` are those of them that the table does
    not name; `refused` says why others are not used."""

    records: list[PoolRecord]
    venues: list[Venue] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def pool_like(state: State) -> list[str]:
    """Addresses whose code can answer what pools answer."""
    wanted = (_TOKEN0.selector, _TOKEN1.selector)
    either = (_RESERVES.selector, _SLOT0.selector)
    return [
        address
        for address, account in state.items()
        if all(one in account.code for one in wanted) and any(one in account.code for one in either)
    ]


async def find_pools(
    node: Node, addresses: Iterable[str], table: ChainTable, block: BlockRef, known: KnownSlots = None
) -> FoundPools:
    """Ask each address what pool it is, and prove by CREATE2 that its code is a known venue's.

    A pool of a factory the table does not name is taken when its creation code is that of a venue it names:
    then a venue is made for the factory. Raises NodeError when the node fails.
    """
    addresses = list(addresses)
    views = (_TOKEN0, _TOKEN1, _FEE, _SPACING, _FACTORY)
    answers = await node.batch(
        [call(address, view.data(), block.hash, UNTRUSTED_GAS) for address in addresses for view in views]
    )
    found = FoundPools([])
    for at, address in enumerate(addresses):
        part = answers[at * len(views) : (at + 1) * len(views)]
        token0, token1, fee, spacing, factory = (
            _value(view, answer) for view, answer in zip(views, part, strict=True)
        )
        if token0 is None or token1 is None:
            continue
        if ZERO_ADDRESS in (token0, token1):
            found.refused[address] = "its tokens are not in the state"
            continue
        claim = _Claim(address, (token0, token1), fee, spacing)
        proven = _proven(claim, (*table.venues, *found.venues)) or _forked(claim, factory, table.venues)
        if proven is None:
            found.refused[address] = "its venue is unknown"
            continue
        venue, record = proven
        if venue not in table.venues and venue not in found.venues:
            found.venues.append(venue)
        if (missing := _missing(record, table, known)) is not None:
            found.refused[address] = missing
        else:
            found.records.append(record)
    return found


async def partial_state(
    node: Node,
    pools: Iterable[PoolRecord],
    state: State,
    known: KnownSlots,
    table: ChainTable,
    block: BlockRef,
) -> PartialState:
    """What the node cannot tell of these pools: metadata of tokens that were not asked for their names in the
    block, and ticks outside what is known. `state` is the node's state at `block`."""
    pools = list(pools)
    addresses = sorted({token for pool in pools for token in pool.tokens})
    tokens, unfit = await read_tokens(node, addresses, block.hash)
    given = {token.address: token for token in tokens}
    given |= {address: Token(address, address[:8], _UNKNOWN_DECIMALS) for address in unfit}
    windows = {}
    if known is not None:
        windows = {
            pool.address: tick_window(pool, state[pool.address].storage, set(known[pool.address]), table)
            for pool in pools
            if pool.protocol is Protocol.UNISWAP_V3
        }
    return PartialState(given, windows)


def tick_window(
    pool: PoolRecord, storage: Mapping[int, int], known: set[int], table: ChainTable
) -> TickWindow:
    """The range around a V3 pool's price in which every initialised tick and its state is known.

    Bitmap words are followed from the current one outwards for as long as they are known; the range ends at
    the first initialised tick whose own state is not.
    """
    ticks_slot, spacing = table.ticks_slot(pool.venue), pool.tick_spacing
    compressed = _tick_of(storage.get(0, 0)) // spacing
    words: list[int] = []
    low, high = compressed * spacing, (compressed + 1) * spacing
    below, above = compressed >> 8, (compressed + 1) >> 8
    while (
        _word_slot(below, ticks_slot) in known
        and below * _WORD_TICKS * spacing > MIN_TICK - _WORD_TICKS * spacing
    ):
        words.append(below)
        low = below * _WORD_TICKS * spacing
        below -= 1
    while _word_slot(above, ticks_slot) in known and above * _WORD_TICKS * spacing <= MAX_TICK:
        words.append(above)
        above += 1
        high = above * _WORD_TICKS * spacing - 1
    inside: list[int] = []
    for word in sorted(set(words)):
        bits = storage.get(_word_slot(word, ticks_slot), 0)
        for bit in (bit for bit in range(_WORD_TICKS) if bits >> bit & 1):
            tick = (word * _WORD_TICKS + bit) * spacing
            if _mapping_slot(tick, ticks_slot) in known:
                inside.append(tick)
            elif tick <= compressed * spacing:
                low = max(low, tick)
            else:
                high = min(high, tick)
    low, high = max(low, MIN_TICK), min(high, MAX_TICK)
    return TickWindow(tuple(tick for tick in inside if low <= tick <= high), low, high)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a contract says of itself: its tokens and, if it is of V3's kind, its fee and tick spacing."""

    address: str
    tokens: tuple[str, str]
    fee: int | None
    spacing: int | None


def _proven(claim: _Claim, venues: Iterable[Venue]) -> tuple[Venue, PoolRecord] | None:
    """The venue whose pool this is, by CREATE2."""
    for venue in venues:
        if venue.protocol is Protocol.UNISWAP_V2:
            record = PoolRecord(claim.address, venue.protocol, venue.name, claim.tokens, venue.fee_pips or 0)
        elif claim.fee is not None and claim.spacing is not None:
            record = PoolRecord(
                claim.address, venue.protocol, venue.name, claim.tokens, claim.fee, claim.spacing
            )
        else:
            continue
        if is_genuine(venue, record):
            return venue, record
    return None


def _forked(claim: _Claim, factory: str | None, venues: Iterable[Venue]) -> tuple[Venue, PoolRecord] | None:
    """The same for another factory that creates its pools from a known venue's very code."""
    if factory is None:
        return None
    copies = (
        replace(venue, name=f"{venue.name} code by {factory}", factory=factory, deployer=factory)
        for venue in venues
        if venue.deployer == venue.factory
    )
    return _proven(claim, copies)


def _missing(pool: PoolRecord, table: ChainTable, known: KnownSlots) -> str | None:
    """What of the pool's own state is unknown, or None."""
    if known is None:
        return None
    there = set(known.get(pool.address, ()))
    if pool.protocol is Protocol.UNISWAP_V2:
        return None if there.issuperset(_V2_SLOTS) else "its reserves are not in the state"
    needed = {0, table.ticks_slot(pool.venue) - 1}
    return None if there >= needed else "its price or liquidity is not in the state"


def _value(view: View, answer: object) -> Any:
    if isinstance(answer, NodeError):
        if not contract_failed(answer):
            raise answer
        return None
    try:
        (value,) = view.decode(answer)
    except NodeError:
        return None
    return value.lower() if isinstance(value, str) else value


def _tick_of(slot0: int) -> int:
    raw = slot0 >> 160 & 0xFFFFFF
    return raw - (1 << 24) if raw >> 23 else raw


def _word_slot(word: int, ticks_slot: int) -> int:
    return _mapping_slot(word, ticks_slot + 1)


def _mapping_slot(key: int, slot: int) -> int:
    """Where Solidity keeps `mapping[key]` of a mapping in `slot`."""
    return int.from_bytes(keccak(encode(["int256", "uint256"], [key, slot])), "big")
