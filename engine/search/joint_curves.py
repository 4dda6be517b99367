"""Every V2- and V3-shaped pool as one float curve, and its best trade at given token prices.

Between two ticks a pool of liquidity L at square-root price s (token1 per token0) trades along
x = L / s, y = L s (Uniswap v3 whitepaper, 6.2); a V2 pool is one such segment without end, L = sqrt(R0 R1).
At token prices p0, p1 and with the part k of the input that is kept after the fee, selling token0 pays until
s = sqrt(p0 / (p1 k)), selling token1 until s = sqrt(k p0 / p1). Floats: bounds and sizes, never a plan.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.concentrated import cross_liquidity_nb, first_tick_index_nb
from engine.amm.estimates import est_sqrt_price_nb
from engine.amm.layout import FLOORED_FEE, KIND_V2, KIND_V3, MAX_TICK, MIN_TICK, TICK_LIST, PoolArrays
from engine.amm.wide import make_u128, to_float

_LIMB = 2.0**64
_LOG_SQRT_BASE = math.log(1.0001) / 2


class Curves(NamedTuple):
    """Rows as in `PoolArrays`; ticks at the same places as in its arena.

    `price` is the square-root price; `low` and `high` bound it to what is known. `liquidity` is that of the
    segment the price is in, `above` that of the segment right above each tick. Segment `at` lies below the
    tick at that place. `usable` is 0 for rows without a curve: other families, quarantined or empty pools.
    """

    usable: NDArray[np.uint8]  # [P]
    token0: NDArray[np.int32]  # [P]
    token1: NDArray[np.int32]  # [P]
    kept: NDArray[np.float64]  # [P, 2] what is left of the input after the fee, selling token0 and token1
    price: NDArray[np.float64]  # [P]
    square: NDArray[np.float64]  # [P] the price itself
    liquidity: NDArray[np.float64]  # [P]
    low: NDArray[np.float64]  # [P]
    high: NDArray[np.float64]  # [P]
    first: NDArray[np.int64]  # [P]
    last: NDArray[np.int64]  # [P] one past the last tick
    at: NDArray[np.int64]  # [P]
    stop: NDArray[np.float64]  # [T] square-root price at each tick
    above: NDArray[np.float64]  # [T]
    under: NDArray[np.float64]  # [P] liquidity below the first tick


def allocate_curves(pool_count: int, tick_capacity: int) -> Curves:
    """Rows without a curve."""
    floats = [np.zeros((pool_count, 2)), *(np.zeros(pool_count) for _ in range(5))]
    places = [np.zeros(pool_count, np.int64) for _ in range(3)]
    tokens = [np.zeros(pool_count, np.int32) for _ in range(2)]
    ticks = [np.zeros(tick_capacity) for _ in range(2)]
    return Curves(np.zeros(pool_count, np.uint8), *tokens, *floats, *places, *ticks, np.zeros(pool_count))


@njit(nogil=True, cache=True, error_model="numpy")
def read_curves_nb(pools: PoolArrays, rows: NDArray[np.int32], curves: Curves) -> None:
    """Take these pool rows' present state into `curves`."""
    for row in rows:
        curves.usable[row] = 0
        curves.token0[row] = pools.token0[row]
        curves.token1[row] = pools.token1[row]
        for d in range(2):
            curves.kept[row, d] = 1.0 - np.float64(pools.fee_pips[row, d]) * 1e-6
        if pools.token0[row] == pools.token1[row] or not curves.kept[row].min() > 0.0:
            continue
        if pools.kind[row] == KIND_V2 and pools.rules[row] != FLOORED_FEE:
            _read_v2_nb(pools, row, curves)
        elif pools.kind[row] == KIND_V3 and pools.rules[row] != TICK_LIST:
            _read_v3_nb(pools, row, curves)


@njit(nogil=True, cache=True, error_model="numpy")
def _read_v2_nb(pools, row, curves):
    reserve0 = np.float64(pools.reserves[row, 0, 0]) + np.float64(pools.reserves[row, 0, 1]) * _LIMB
    reserve1 = np.float64(pools.reserves[row, 1, 0]) + np.float64(pools.reserves[row, 1, 1]) * _LIMB
    if reserve0 <= 0.0 or reserve1 <= 0.0:
        return
    curves.square[row] = reserve1 / reserve0
    curves.price[row] = math.sqrt(reserve1 / reserve0)
    curves.liquidity[row] = math.sqrt(reserve0) * math.sqrt(reserve1)
    curves.low[row], curves.high[row] = 0.0, np.inf
    curves.first[row] = curves.last[row] = curves.at[row] = 0
    curves.under[row] = curves.liquidity[row]
    curves.usable[row] = 1


@njit(nogil=True, cache=True, error_model="numpy")
def _read_v3_nb(pools, row, curves):
    price = est_sqrt_price_nb(pools, row)
    if price <= 0.0 or not pools.known_low[row] <= pools.tick[row] <= pools.known_high[row]:
        return
    low = math.exp(max(pools.known_low[row], MIN_TICK) * _LOG_SQRT_BASE)
    high = math.exp(min(pools.known_high[row], MAX_TICK) * _LOG_SQRT_BASE)
    first, count = pools.tick_start[row], np.int64(pools.tick_count[row])
    at = first_tick_index_nb(pools.arena_tick, first, count, np.int64(pools.tick[row]), False)
    now = make_u128(pools.liquidity[row, 0], pools.liquidity[row, 1])
    for k in range(first, first + count):
        curves.stop[k] = math.exp(np.float64(pools.arena_tick[k]) * _LOG_SQRT_BASE)
        curves.above[k] = 0.0
    liquidity, fits = now, True
    for k in range(at, first + count):
        net = make_u128(pools.arena_net[k, 0], pools.arena_net[k, 1])
        fits, liquidity = cross_liquidity_nb(liquidity, net, False)
        if not fits:
            high = min(high, curves.stop[k])
            break
        curves.above[k] = to_float(liquidity)
    liquidity = now
    for k in range(at - 1, first - 1, -1):
        curves.above[k] = to_float(liquidity)
        net = make_u128(pools.arena_net[k, 0], pools.arena_net[k, 1])
        fits, liquidity = cross_liquidity_nb(liquidity, net, True)
        if not fits:
            low = max(low, curves.stop[k])
            break
    curves.under[row] = to_float(liquidity)
    curves.price[row], curves.square[row] = price, price * price
    curves.liquidity[row] = to_float(now)
    curves.low[row], curves.high[row] = min(low, price), max(high, price)
    curves.first[row], curves.last[row], curves.at[row] = first, first + count, at
    curves.usable[row] = 1


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def liquidity_below_nb(curves, row, place):
    """Liquidity of the segment below the tick at `place`."""
    if place == curves.at[row]:
        return curves.liquidity[row]
    if place <= curves.first[row]:
        return curves.under[row]
    return curves.above[place - 1]


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def best_trade_nb(curves, row, price0, price1):
    """(direction, paid, got, weight, gain) of the pool's best trade at these token prices.

    Direction 0 sells token0, 1 sells token1, -1 does nothing. `weight` is how fast the value traded grows
    with the logarithm of the price ratio; 0 where the curve ends. The gain is summed without cancellation:
    along a segment from s to e with target t it is p1 L (s - e) (s e - t^2) / (s e) selling token0, and
    p0 L (e - s) (t^2 - s e) / (s e t^2) selling token1.
    """
    wanted = price0 / price1
    kept, kept1, square = curves.kept[row, 0], curves.kept[row, 1], curves.square[row]
    paid, got, gain, liquidity = 0.0, 0.0, 0.0, 0.0
    if square * kept > wanted:
        goal = wanted / kept
        price, place, first = curves.price[row], curves.at[row], curves.first[row]
        target = max(math.sqrt(goal), curves.low[row])
        while price > target:
            liquidity = liquidity_below_nb(curves, row, place)
            end = target
            if place > first and curves.stop[place - 1] > target:
                end = min(curves.stop[place - 1], price)
            moved, both = liquidity * (price - end), price * end
            paid += moved / both
            got += moved
            gain += moved * ((both - goal) / both)
            if end == target:
                break
            price = end
            place -= 1
        weight = 0.5 * liquidity * target * price1 if target > curves.low[row] else 0.0
        return 0, paid / kept, got, weight, gain * price1
    if square < wanted * kept1:
        goal = wanted * kept1
        price, place, last = curves.price[row], curves.at[row], curves.last[row]
        target = min(math.sqrt(goal), curves.high[row])
        while price < target:
            liquidity = liquidity_below_nb(curves, row, place)
            end = target
            if place < last and curves.stop[place] < target:
                end = max(curves.stop[place], price)
            moved, both = liquidity * (end - price), price * end
            paid += moved
            got += moved / both
            gain += moved * ((goal - both) / (both * goal))
            if end == target:
                break
            price = end
            place += 1
        weight = 0.5 * liquidity / target * price0 if target < curves.high[row] else 0.0
        return 1, paid / kept1, got, weight, gain * price0
    return -1, 0.0, 0.0, 0.0, 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def got_for_nb(curves, row, d, paid):
    """(what of `paid` the known curve takes, what it gives for it), selling token0 when d == 0."""
    price, place = curves.price[row], curves.at[row]
    kept = curves.kept[row, d]
    left, got = paid * kept, 0.0
    edge = curves.low[row] if d == 0 else curves.high[row]
    while left > 0.0 and price != edge:
        liquidity = liquidity_below_nb(curves, row, place)
        stop = edge
        if d == 0 and place > curves.first[row]:
            stop = min(max(curves.stop[place - 1], edge), price)
        elif d == 1 and place < curves.last[row]:
            stop = max(min(curves.stop[place], edge), price)
        if d == 0:
            room = liquidity * ((price - stop) / (price * stop)) if stop > 0.0 else np.inf
        else:
            room = liquidity * (stop - price)
        taken = min(left, room)
        if liquidity > 0.0:
            if taken == room:
                end = stop
            else:
                end = price / (1.0 + taken * price / liquidity) if d == 0 else price + taken / liquidity
            got += taken * price * end if d == 0 else taken / (price * end)
        left -= taken
        if left <= 0.0 or stop == edge:
            break
        price = stop
        place += -1 if d == 0 else 1
    return paid - max(left, 0.0) / kept, got


@njit(nogil=True, cache=True, error_model="numpy")
def paid_for_nb(curves, row, d, got):
    """What the pool asks for `got`, selling it token0 when d == 0; infinity beyond the known curve."""
    price, place = curves.price[row], curves.at[row]
    left, paid = got, 0.0
    edge = curves.low[row] if d == 0 else curves.high[row]
    while left > 0.0 and price != edge:
        liquidity = liquidity_below_nb(curves, row, place)
        stop = edge
        if d == 0 and place > curves.first[row]:
            stop = min(max(curves.stop[place - 1], edge), price)
        elif d == 1 and place < curves.last[row]:
            stop = max(min(curves.stop[place], edge), price)
        room = liquidity * (price - stop) if d == 0 else liquidity * (1.0 / price - 1.0 / stop)
        if left < room:
            end = price - left / liquidity if d == 0 else price / (1.0 - left * price / liquidity)
            paid += left / (price * end) if d == 0 else left * price * end
            return paid / curves.kept[row, d]
        if room > 0.0:
            paid += room / (price * stop) if d == 0 else room * price * stop
        left -= room
        if stop == edge:
            break
        price = stop
        place += -1 if d == 0 else 1
    return paid / curves.kept[row, d] if left <= 0.0 else np.inf
