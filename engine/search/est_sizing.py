"""The real-valued optimum of cycles through V2 and V3 pools in float64: `engine.search.sizing`, ten times as
quick and right to about 1e-11 of the profit. Good for ranking and for a ceiling; what is verified is sized
anew.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.layout import KIND_V2, KIND_V3, MAX_TICK, MIN_TICK
from engine.search.ceilings import est_net_nb
from engine.search.general_sizing import golden_optimum_nb
from engine.search.sizing import MAX_SEGMENTS
from engine.search.verify import hops_nb

_LIMB = 2.0**64
_Q96 = 2.0**96
_LOG_SQRT_BASE = math.log(1.0001) / 2
_TWO_TO_112 = 2.0**112

# Columns of a hop's state: as in `sizing`, and 1 minus the fee.
_R, _C, _CAP, _PRICE, _LIQUIDITY, _END, _KEPT = range(7)
_COLUMNS = 7


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _segment_nb(d, state, hop):
    """Set r, c and cap of the segment from the state's price to its end."""
    price, end, liquidity = state[hop, _PRICE], state[hop, _END], state[hop, _LIQUIDITY]
    kept = state[hop, _KEPT]
    if d == 0:
        state[hop, _R] = kept * price * price
        state[hop, _C] = kept * price / liquidity
        distance = (price - end) / (price * end)
    else:
        state[hop, _R] = kept / (price * price)
        state[hop, _C] = kept / (liquidity * price)
        distance = end - price
    state[hop, _CAP] = max(liquidity * distance / kept, 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _open_nb(ticks, nets, first, last, low, high, d, state, hop, cursor):
    """Go on to the next segment with liquidity; False past the end of the known ticks."""
    while True:
        place = cursor[hop]
        at_edge = place < first if d == 0 else place >= last
        if at_edge:
            tick = max(low, MIN_TICK) if d == 0 else min(high, MAX_TICK)
        else:
            tick = ticks[place]
        end = math.exp(np.float64(tick) * _LOG_SQRT_BASE)
        ahead = end < state[hop, _PRICE] if d == 0 else end > state[hop, _PRICE]
        if ahead and state[hop, _LIQUIDITY] > 0.0:
            state[hop, _END] = end
            _segment_nb(d, state, hop)
            return True
        if at_edge:
            return False
        if ahead:
            state[hop, _PRICE] = end
        net = est_net_nb(nets, place)
        state[hop, _LIQUIDITY] += net if d == 1 else -net
        cursor[hop] += 1 if d == 1 else -1


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _first_tick_nb(ticks, first, last, tick, d):
    """Place of the first tick met: the last one at or below the present, or the first above it."""
    low, high = first, last
    while low < high:
        middle = (low + high) >> 1
        if ticks[middle] <= tick:
            low = middle + 1
        else:
            high = middle
    return low if d == 1 else low - 1


@njit(nogil=True, cache=True, error_model="numpy")
def _est_optimum_nb(arrays, edges, hops, state, cursor):
    """(input, est profit); zeros when nothing pays. `arrays` are `sizing_arrays` of the pools."""
    kind, fee_pips, reserves, sqrt_price, liquidity, tick, starts, counts, lows, highs, ticks, nets = arrays
    total, gain = 0.0, 0.0
    for hop in range(hops):
        row, d = edges[hop] >> 1, edges[hop] & 1
        kept = 1.0 - np.float64(fee_pips[row, d]) * 1e-6
        state[hop, _KEPT] = kept
        if kind[row] == KIND_V2:
            sold = np.float64(reserves[row, d, 0]) + np.float64(reserves[row, d, 1]) * _LIMB
            bought = np.float64(reserves[row, 1 - d, 0]) + np.float64(reserves[row, 1 - d, 1]) * _LIMB
            if sold <= 0.0 or bought <= 0.0:
                return total, gain
            state[hop, _C] = kept / sold
            state[hop, _R] = kept / sold * bought
            state[hop, _CAP] = _TWO_TO_112 - sold
            continue
        low = np.float64(sqrt_price[row, 0]) + np.float64(sqrt_price[row, 1]) * _LIMB
        high = np.float64(sqrt_price[row, 2]) + np.float64(sqrt_price[row, 3]) * _LIMB
        state[hop, _PRICE] = (low + high * _LIMB * _LIMB) / _Q96
        if kind[row] != KIND_V3 or state[hop, _PRICE] <= 0.0 or kept <= 0.0:
            return total, gain
        state[hop, _LIQUIDITY] = np.float64(liquidity[row, 0]) + np.float64(liquidity[row, 1]) * _LIMB
        first = starts[row]
        last = first + counts[row]
        cursor[hop] = _first_tick_nb(ticks, first, last, tick[row], d)
        if not _open_nb(ticks, nets, first, last, lows[row], highs[row], d, state, hop, cursor):
            return total, gain
    for _ in range(MAX_SEGMENTS):
        k, n = 1.0, 0.0
        limit, tight = np.inf, -1
        for hop in range(hops):
            divisor = k - state[hop, _CAP] * n
            if divisor > 0.0 and state[hop, _CAP] / divisor < limit:
                limit, tight = state[hop, _CAP] / divisor, hop
            n += state[hop, _C] * k
            k *= state[hop, _R]
        if not k > 1.0:
            return total, gain
        best = (math.sqrt(k) - 1.0) / n
        amount = min(best, limit)
        gain += (k - 1.0 - n * amount) * amount / (1.0 + n * amount)
        total += amount
        if best <= limit:
            return total, gain
        for hop in range(hops):
            r, c = state[hop, _R], state[hop, _C]
            growth = 1.0 + c * amount
            d = edges[hop] & 1
            state[hop, _CAP] = max(state[hop, _CAP] - amount, 0.0)
            state[hop, _PRICE] = state[hop, _PRICE] * growth if d == 1 else state[hop, _PRICE] / growth
            amount = r * amount / growth
            state[hop, _R], state[hop, _C] = r / (growth * growth), c / growth
        row, d = edges[tight] >> 1, edges[tight] & 1
        first = starts[row]
        last = first + counts[row]
        place = cursor[tight]
        if kind[row] != KIND_V3 or (place < first if d == 0 else place >= last):
            return total, gain
        state[tight, _PRICE] = state[tight, _END]
        net = est_net_nb(nets, place)
        state[tight, _LIQUIDITY] += net if d == 1 else -net
        cursor[tight] += 1 if d == 1 else -1
        if not _open_nb(ticks, nets, first, last, lows[row], highs[row], d, state, tight, cursor):
            return total, gain
    return total, gain


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _sizing_arrays(pools):
    """The arrays by name: taking them from the tuple within a loop would count references."""
    return (
        pools.kind,
        pools.fee_pips,
        pools.reserves,
        pools.sqrt_price,
        pools.liquidity,
        pools.tick,
        pools.tick_start,
        pools.tick_count,
        pools.known_low,
        pools.known_high,
        pools.arena_tick,
        pools.arena_net,
    )


@njit(nogil=True, cache=True, error_model="numpy")
def est_sizes_nb(pools, cycles, picks, begin, end, sizes):
    """est optimum of cycles `picks[begin:end]` of i32[n, 4] (directed edges, -1 after the last): `sizes`
    f64[len(picks), 2] receives the input in base units and the profit, zeros where nothing pays."""
    arrays = _sizing_arrays(pools)
    kind = pools.kind
    state = np.zeros((4, _COLUMNS), np.float64)
    cursor = np.zeros(4, np.int64)
    for k in range(begin, end):
        edges = cycles[picks[k]]
        hops = hops_nb(edges)
        curved = False
        for hop in range(hops):
            of = kind[edges[hop] >> 1]
            curved = curved or (of != KIND_V2 and of != KIND_V3)
        if curved:
            sizes[k, 0], sizes[k, 1] = golden_optimum_nb(pools, edges, hops)
        else:
            sizes[k, 0], sizes[k, 1] = _est_optimum_nb(arrays, edges, hops, state, cursor)
