"""Reading pools from a node: every call pinned to one block hash, so that the picture is not torn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from eth_utils import keccak

from engine.amm.layout import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK
from engine.chain.calls import (
    UNTRUSTED_GAS,
    View,
    answered,
    at_block,
    call,
    chunks,
    contract_failed,
    require_canonical,
)
from engine.chain.metadata import read_tokens
from engine.chain.tick_lens import WORDS_PER_CALL, decode_lens, lens_call
from engine.chain.wire import octets
from engine.domain.errors import NodeError
from engine.domain.market import BlockRef, PoolRecord, Protocol, Venue
from engine.domain.pool_state import Bootstrap, PartialState, PoolState, V2PoolState, V3PoolState
from engine.domain.ports import Node
from engine.domain.provenance import is_genuine

Progress = Callable[[str, int, int], None]

_POOLS_PER_BATCH = 50
_CALLS_PER_BATCH = 1000
_SPANS_PER_BATCH = 50
_RESERVES = View.of("getReserves()", "uint112", "uint112", "uint32")
# The last fields of slot0 differ between forks (Pancake widens feeProtocol); these two do not.
_SLOT0 = View.of("slot0()", "uint160", "int24")
_LIQUIDITY = View.of("liquidity()", "uint128")
_BITMAP = View.of("tickBitmap(int16)", "uint256")
_TICK = View.of("ticks(int24)", "uint128", "int128")

# One call: the pool, the function, its argument where it takes one.
_PoolCall = tuple[PoolRecord, View, tuple[int, ...]]


async def bootstrap(
    node: Node,
    pools: Sequence[PoolRecord],
    venues: Sequence[Venue],
    block: BlockRef,
    *,
    progress: Progress = lambda what, done, total: None,
    partial: PartialState | None = None,
) -> Bootstrap:
    """Read tokens and pool state at `block`; `partial` says what the node does not hold.

    A pool is refused, with the reason, when its venue is unknown, its address is not the venue's CREATE2
    address, its code is missing or not the venue's, a token's metadata is unfit, or its own calls fail or
    contradict themselves. `progress(what, done, total)` counts tokens, pools and V3 tick words.
    Raises NodeError when the node fails or no longer holds the block.
    """
    partial = partial or PartialState()
    reading = _Reading(node, block, progress, partial)
    pools = reading.keep(pools, _provenance_verdicts(pools, venues))
    pools = reading.keep(pools, await _code_verdicts(node, pools, venues, block))
    addresses = sorted({token for pool in pools for token in pool.tokens})
    tokens, unfit = await read_tokens(
        node,
        [token for token in addresses if token not in partial.tokens],
        block.hash,
        lambda done, total: progress("tokens", done, total),
    )
    tokens += [partial.tokens[token] for token in addresses if token in partial.tokens]
    reading.refused |= unfit
    pools = reading.keep(
        pools, {pool.address: unfit[token] for pool in pools for token in pool.tokens if token in unfit}
    )
    for part in chunks(len(pools), _POOLS_PER_BATCH):
        batch = [pools[at] for at in part]
        await _read_v2(reading, [pool for pool in batch if pool.protocol is Protocol.UNISWAP_V2])
        await _read_v3(reading, [pool for pool in batch if pool.protocol is Protocol.UNISWAP_V3])
        progress("pools", part.stop, len(pools))
    await require_canonical(node, block)
    states = tuple(reading.states[pool.address] for pool in pools if pool.address in reading.states)
    used = {token for state in states for token in state.pool.tokens}
    return Bootstrap(
        block, tuple(token for token in tokens if token.address in used), states, reading.refused
    )


class _Reading:
    """One pass over the pools: what was read, what was refused."""

    def __init__(self, node: Node, block: BlockRef, progress: Progress, partial: PartialState):
        self.windows = partial.windows
        self.states: dict[str, PoolState] = {}
        self.refused: dict[str, str] = {}
        self._node = node
        self._block = block
        self._progress = progress

    def keep(self, pools: Sequence[PoolRecord], verdicts: dict[str, str]) -> list[PoolRecord]:
        """Pools without a verdict; the others are refused with theirs."""
        self.refused |= verdicts
        return [pool for pool in pools if pool.address not in verdicts]

    async def values(self, calls: Sequence[_PoolCall]) -> list[tuple[Any, ...] | None]:
        """Decoded answers, one per call; None for a call that failed, whose pool is refused."""
        results: list[tuple[Any, ...] | None] = []
        for part in chunks(len(calls), _CALLS_PER_BATCH):
            answers = await self._node.batch(
                [
                    call(pool.address, view.data(*arguments), self._block.hash, UNTRUSTED_GAS)
                    for pool, view, arguments in (calls[at] for at in part)
                ]
            )
            for at, answer in zip(part, answers, strict=True):
                pool, view, _ = calls[at]
                results.append(self._decoded(pool, view, answer))
        return results

    async def bitmaps(self, pools: Sequence[PoolRecord]) -> list[tuple[PoolRecord, int, int]]:
        """(pool, word position, bits) of every bitmap word with a bit set, by pool and ascending position."""
        spans = [(pool, part) for pool in pools for part in _word_spans(pool.tick_spacing)]
        found: list[tuple[PoolRecord, int, int]] = []
        done, total = 0, sum(len(words) for _, words in spans)
        for part in chunks(len(spans), _SPANS_PER_BATCH):
            answers = await self._node.batch(
                [lens_call(spans[at][0].address, spans[at][1], self._block.hash) for at in part]
            )
            for at, answer in zip(part, answers, strict=True):
                pool, words = spans[at]
                found.extend((pool, *entry) for entry in await self._span(pool, words, answer))
                done += len(words)
            self._progress("tick words", done, total)
        return found

    async def _span(self, pool: PoolRecord, words: range, answer: Any) -> list[tuple[int, int]]:
        """A span's words; asked one by one where the node does not run the lens."""
        if not isinstance(answer, NodeError):
            return decode_lens(answer, words)
        singly = await self.values([(pool, _BITMAP, (word,)) for word in words])
        return [(word, bits[0]) for word, bits in zip(words, singly, strict=True) if bits and bits[0]]

    def _decoded(self, pool: PoolRecord, view: View, answer: Any) -> tuple[Any, ...] | None:
        if isinstance(answer, NodeError):
            if not contract_failed(answer):
                raise answer
            self.refused[pool.address] = f"{view.name}() fails"
            return None
        try:
            return view.decode(answer)
        except NodeError as error:
            self.refused[pool.address] = f"{view.name}(): {error}"
            return None


async def _read_v2(reading: _Reading, pools: Sequence[PoolRecord]) -> None:
    answers = await reading.values([(pool, _RESERVES, ()) for pool in pools])
    for pool, answer in zip(pools, answers, strict=True):
        if answer is not None:
            reading.states[pool.address] = V2PoolState(pool, answer[0], answer[1])


async def _read_v3(reading: _Reading, pools: Sequence[PoolRecord]) -> None:
    slots = await reading.values([(pool, _SLOT0, ()) for pool in pools])
    in_range = await reading.values([(pool, _LIQUIDITY, ()) for pool in pools])
    ticks = await _read_ticks(
        reading, [pool for pool, slot in zip(pools, slots, strict=True) if slot is not None and slot[0]]
    )
    for pool, slot, liquidity in zip(pools, slots, in_range, strict=True):
        if slot is None or liquidity is None or pool.address in reading.refused:
            continue
        window = reading.windows.get(pool.address)
        known = None if window is None else (window.low, window.high)
        state = V3PoolState(pool, slot[0], liquidity[0], slot[1], tuple(ticks.get(pool.address, ())), known)
        contradiction = _contradiction(state)
        if contradiction is None:
            reading.states[pool.address] = state
        else:
            reading.refused[pool.address] = contradiction


async def _read_ticks(
    reading: _Reading, pools: Sequence[PoolRecord]
) -> dict[str, list[tuple[int, int, int]]]:
    """By pool, (tick, liquidityNet, liquidityGross) of every tick marked in any word of its bitmap; of the
    ticks that are there, where the node holds only some."""
    windows = {pool.address: reading.windows.get(pool.address) for pool in pools}
    marked: list[_PoolCall] = [
        (pool, _TICK, ((256 * word + bit) * pool.tick_spacing,))
        for pool, word, bits in await reading.bitmaps([one for one in pools if not windows[one.address]])
        for bit in _set_bits(bits)
    ]
    marked += [
        (pool, _TICK, (tick,))
        for pool in pools
        if (window := windows[pool.address]) is not None
        for tick in window.ticks
    ]
    ticks: dict[str, list[tuple[int, int, int]]] = {}
    for (pool, _, (tick,)), answer in zip(marked, await reading.values(marked), strict=True):
        if answer is not None:
            gross, net = answer
            ticks.setdefault(pool.address, []).append((tick, net, gross))
    return ticks


def tick_words(spacing: int) -> range:
    """Positions of the bitmap words that can hold an initialised tick (TickBitmap.position)."""
    lowest, highest = -(-MIN_TICK // spacing), MAX_TICK // spacing
    return range(lowest >> 8, (highest >> 8) + 1)


def _word_spans(spacing: int) -> list[range]:
    words = tick_words(spacing)
    return [words[part.start : part.stop] for part in chunks(len(words), WORDS_PER_CALL)]


def _provenance_verdicts(pools: Sequence[PoolRecord], venues: Sequence[Venue]) -> dict[str, str]:
    by_name = {venue.name: venue for venue in venues}
    verdicts = {}
    for pool in pools:
        venue = by_name.get(pool.venue)
        if venue is None:
            verdicts[pool.address] = "its venue is unknown"
        elif not is_genuine(venue, pool):
            verdicts[pool.address] = f"it is not where {venue.name} would have created it"
    return verdicts


async def _code_verdicts(
    node: Node, pools: Sequence[PoolRecord], venues: Sequence[Venue], block: BlockRef
) -> dict[str, str]:
    expected = {venue.name: venue.pool_code_hash for venue in venues}
    verdicts = {}
    for part in chunks(len(pools), _POOLS_PER_BATCH):
        batch = [pools[at] for at in part]
        answers = await node.batch([("eth_getCode", [pool.address, at_block(block.hash)]) for pool in batch])
        for pool, answer in zip(batch, answers, strict=True):
            code = octets(answered(answer), "code")
            wanted = expected[pool.venue]
            if not code:
                verdicts[pool.address] = "there is no code at its address"
            elif wanted is not None and "0x" + keccak(code).hex() != wanted:
                verdicts[pool.address] = f"its code is not that of a {pool.venue} pool"
    return verdicts


def _set_bits(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def _contradiction(state: V3PoolState) -> str | None:
    """What in the state cannot be, or None. Liquidity in range is the sum of the nets below the price
    (UniswapV3Pool: every position adds its liquidity at its lower and takes it at its upper tick)."""
    if state.sqrt_price_x96 == 0:
        return None
    if not (MIN_SQRT_RATIO <= state.sqrt_price_x96 < MAX_SQRT_RATIO and MIN_TICK <= state.tick <= MAX_TICK):
        return "its price or tick is out of range"
    if state.known is not None:
        return None
    if sum(net for tick, net, _ in state.ticks if tick <= state.tick) != state.liquidity:
        return "its liquidity is not what its ticks say"
    if sum(net for _, net, _ in state.ticks) != 0:
        return "its ticks do not sum to zero"
    return None
