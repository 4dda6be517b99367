"""Pools of concentrated liquidity with a contract each: Uniswap V3 and forks, Slipstream, Algebra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.amm.layout import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK
from engine.chain.calls import View
from engine.chain.readers.reading import Ask, Reading, set_bits
from engine.domain.market import PoolRecord
from engine.domain.pool_details import AlgebraDetails, AlgebraVersion
from engine.domain.pool_state import V3PoolState

Tick = tuple[int, int, int]

# The last fields of slot0 differ between forks (Pancake widens feeProtocol); these two do not.
_SLOT0 = View.of("slot0()", "uint160", "int24")
_LIQUIDITY = View.of("liquidity()", "uint128")
_BITMAP = View.of("tickBitmap(int16)", "uint256")
_TICK = View.of("ticks(int24)", "uint128", "int128")
_FEE = View.of("fee()", "uint24")

_GLOBAL_STATE = View.of("globalState()", "uint160", "int24", "uint16", "uint16")
_GLOBAL_STATE_V2 = View.of("globalState()", "uint160", "int24", "int24", "uint16", "uint16")
_ORACLE = View.of("dataStorageOperator()", "address")
_NEXT_FEE = View.of("write(uint16,uint32,int24)", "uint16", "uint16")
_TICK_TABLE = View.of("tickTable(int16)", "uint256")


async def read_v3(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Uniswap V3 and its forks: price, liquidity and every initialised tick."""
    slots = await reading.of_each(pools, _SLOT0, _LIQUIDITY)
    ticks = await _read_ticks(reading, pools, [slot for slot, _ in slots], tick_words, _BITMAP, _spaced)
    for pool, (slot, liquidity) in zip(pools, slots, strict=True):
        if slot is not None and liquidity is not None:
            _accept(reading, _state(reading, pool, slot, liquidity[0], ticks))


async def read_slipstream(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Slipstream: as Uniswap V3, and the fee in force, which the factory's module decides at any time."""
    answers = await reading.of_each(pools, _SLOT0, _LIQUIDITY, _FEE)
    ticks = await _read_ticks(reading, pools, [each[0] for each in answers], tick_words, _BITMAP, _spaced)
    for pool, (slot, liquidity, fee) in zip(pools, answers, strict=True):
        if slot is not None and liquidity is not None and fee is not None:
            _accept(reading, _state(reading, pool, slot, liquidity[0], ticks, (fee[0], fee[0])))


async def read_algebra(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Algebra V1, V2 and Integral: their tick table is Uniswap V3's bitmap under another name, from V2 on of
    ticks not divided by their spacing. V1 is refused: what it charges next cannot be read."""
    states = [
        await _global_states(reading, [pool for pool in pools if _version(pool) is version], version)
        for version in AlgebraVersion
    ]
    found = {key: value for each in states for key, value in each.items()}
    known = [pool for pool in pools if pool.key in found]
    slots: list[tuple[Any, ...] | None] = [found[pool.key][0] for pool in known]
    liquidities = await reading.of_each(known, _LIQUIDITY)
    ticks = await _read_ticks(reading, known, slots, _algebra_words, _TICK_TABLE, _algebra_tick)
    for pool, slot, (liquidity,) in zip(known, slots, liquidities, strict=True):
        if liquidity is not None and slot is not None:
            _accept(reading, _state(reading, pool, slot, liquidity[0], ticks, found[pool.key][1]))


async def _global_states(
    reading: Reading, pools: Sequence[PoolRecord], version: AlgebraVersion
) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """(price, tick) and the fees of each direction, by key."""
    found = {}
    if version is AlgebraVersion.V1:
        # The first swap of a timestamp is charged a fee made of the volatility and volume until then, which
        # no view tells.
        for pool in pools:
            reading.refuse(pool, "the fee that its next swap is charged cannot be read")
    elif version is AlgebraVersion.V2:
        found = await _next_fees(reading, pools)
    else:
        # fee() asks the plugin where that decides the fee.
        answers = await reading.of_each(pools, _GLOBAL_STATE, _FEE)
        for pool, (state, fee) in zip(pools, answers, strict=True):
            if state is not None and fee is not None:
                found[pool.key] = state[:2], (fee[0], fee[0])
    return found


async def _next_fees(
    reading: Reading, pools: Sequence[PoolRecord]
) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """Of Algebra V2, (price, tick) and the fee of a swap at the trade time, by key.

    The first swap of a timestamp lets the oracle write a timepoint, which answers with the fee that this and
    the swaps after it are charged; a call in the pool's name gets the same answer and writes nothing. At a
    timestamp that has its timepoint the index stays, and the stored fee holds.
    """
    found, asks = {}, []
    for pool, (state, oracle) in zip(
        pools, await reading.of_each(pools, _GLOBAL_STATE_V2, _ORACLE), strict=True
    ):
        if state is not None and oracle is not None:
            found[pool.key] = state[:2], (state[3], state[3])
            if state[0]:
                moment = state[4], reading.trade_time % 2**32, state[1]
                asks.append(Ask(pool, _NEXT_FEE, moment, to=oracle[0], sender=pool.address))
    for ask, answer in zip(asks, await reading.values(asks), strict=True):
        if answer is None:
            del found[ask.pool.key]
        elif answer[0] != ask.arguments[0]:
            found[ask.pool.key] = found[ask.pool.key][0], (answer[1], answer[1])
    return found


async def _read_ticks(
    reading: Reading,
    pools: Sequence[PoolRecord],
    slots: Sequence[tuple[Any, ...] | None],
    words: Callable[[PoolRecord], range],
    bitmap: View,
    tick_at: Callable[[PoolRecord, int], int],
) -> dict[str, list[Tick]]:
    """By key, every tick marked in any word of the pool's bitmap; of the ticks that are there, where the node
    holds only some. A pool without a price has none."""
    if not reading.ticks:
        return {}
    priced = [pool for pool, slot in zip(pools, slots, strict=True) if slot is not None and slot[0]]
    whole = [pool for pool in priced if pool.key not in reading.windows]
    marked = [
        (pool, tick_at(pool, 256 * word + bit))
        for pool, word, bits in await reading.bitmaps(whole, words, bitmap)
        for bit in set_bits(bits)
    ]
    marked += [
        (pool, tick)
        for pool in priced
        if (window := reading.windows.get(pool.key)) is not None
        for tick in window.ticks
    ]
    answers = await reading.values([Ask(pool, _TICK, (tick,)) for pool, tick in marked])
    ticks: dict[str, list[Tick]] = {}
    for (pool, tick), answer in zip(marked, answers, strict=True):
        if answer is not None:
            gross, net = answer
            ticks.setdefault(pool.key, []).append((tick, net, gross))
    return ticks


def _state(
    reading: Reading,
    pool: PoolRecord,
    slot: tuple[Any, ...],
    liquidity: int,
    ticks: dict[str, list[Tick]],
    fees: tuple[int, int] | None = None,
) -> V3PoolState:
    window = reading.windows.get(pool.key)
    known = None if window is None else (window.low, window.high)
    return V3PoolState(pool, slot[0], liquidity, slot[1], tuple(ticks.get(pool.key, ())), known, fees)


def _accept(reading: Reading, state: V3PoolState) -> None:
    known = state.known if reading.ticks else (MIN_TICK, MAX_TICK)
    reason = contradiction(state.sqrt_price_x96, state.tick, state.liquidity, state.ticks, known)
    if reason is None:
        reading.accept(state)
    else:
        reading.refuse(state.pool, reason)


def contradiction(
    price: int, tick: int, liquidity: int, ticks: Sequence[Tick], known: tuple[int, int] | None = None
) -> str | None:
    """What in a state cannot be, or None. Liquidity in range is the sum of the nets at and below the price
    (every position adds its liquidity at its lower and takes it at its upper tick)."""
    if price == 0:
        return None
    if not (MIN_SQRT_RATIO <= price < MAX_SQRT_RATIO and MIN_TICK <= tick <= MAX_TICK):
        return "its price or tick is out of range"
    if known is not None:
        return None
    if sum(net for at, net, _ in ticks if at <= tick) != liquidity:
        return "its liquidity is not what its ticks say"
    if sum(net for _, net, _ in ticks) != 0:
        return "its ticks do not sum to zero"
    return None


def tick_words(pool: PoolRecord) -> range:
    """Positions of the bitmap words that can hold an initialised tick (TickBitmap.position)."""
    return words_of_spacing(pool.tick_spacing)


def words_of_spacing(spacing: int) -> range:
    """As `tick_words`, of a tick spacing."""
    lowest, highest = -(-MIN_TICK // spacing), MAX_TICK // spacing
    return range(lowest >> 8, (highest >> 8) + 1)


def _spaced(pool: PoolRecord, place: int) -> int:
    return place * pool.tick_spacing


def _version(pool: PoolRecord) -> AlgebraVersion:
    assert isinstance(pool.details, AlgebraDetails)
    return pool.details.version


def _algebra_words(pool: PoolRecord) -> range:
    return words_of_spacing(pool.tick_spacing if _version(pool) is AlgebraVersion.V1 else 1)


def _algebra_tick(pool: PoolRecord, place: int) -> int:
    return place * pool.tick_spacing if _version(pool) is AlgebraVersion.V1 else place
