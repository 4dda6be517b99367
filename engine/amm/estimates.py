"""Float twins of the kernels, for screening and sizing. Nothing here may enter a plan.

Within one V3 segment (between two initialised ticks) a pool is a constant-product pool with virtual reserves
x = L / sqrt(P) and y = L * sqrt(P), up to the amount that reaches the segment's end; V2 is one endless
segment. Rates and amounts are in base units; inputs are gross, fee included. Word edges only round, so the
estimates ignore them.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.concentrated import cross_liquidity_nb, first_tick_index_nb
from engine.amm.concentrated_forks import est_fork_out_nb
from engine.amm.family_quote import est_family_nb
from engine.amm.layout import KIND_V2, KIND_V3, MAX_TICK, MIN_TICK
from engine.amm.wide import make_u128, to_float

_LIMB = 2.0**64
_Q96 = 2.0**96
_LOG_SQRT_BASE = math.log(1.0001) / 2

SEGMENT_FIELDS = 4  # virtual reserve in, virtual reserve out, greatest gross input, its output


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _float_2(low, high):
    return np.float64(low) + np.float64(high) * _LIMB


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def est_sqrt_price_nb(pools, row):
    """sqrt(token1 per token0), base units; 0 before Initialize."""
    limbs = pools.sqrt_price
    low = _float_2(limbs[row, 0], limbs[row, 1])
    high = _float_2(limbs[row, 2], limbs[row, 3])
    return (low + high * _LIMB * _LIMB) / _Q96


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_rate_nb(pools, row, zero_for_one):
    """Marginal output per input after the fee, float64; 0 when the pool cannot trade at its present price
    (empty, uninitialised, or without active liquidity)."""
    kept = 1.0 - np.float64(pools.fee_pips[row, 0 if zero_for_one else 1]) * 1e-6
    kind = pools.kind[row]
    if kind == KIND_V2:
        reserve0 = _float_2(pools.reserves[row, 0, 0], pools.reserves[row, 0, 1])
        reserve1 = _float_2(pools.reserves[row, 1, 0], pools.reserves[row, 1, 1])
        if reserve0 <= 0.0 or reserve1 <= 0.0:
            return 0.0
        return kept * (reserve1 / reserve0 if zero_for_one else reserve0 / reserve1)
    if kind == KIND_V3:
        price = est_sqrt_price_nb(pools, row)
        if price <= 0.0 or _float_2(pools.liquidity[row, 0], pools.liquidity[row, 1]) <= 0.0:
            return 0.0
        return kept * (price * price if zero_for_one else 1.0 / (price * price))
    return est_family_nb(pools, row, zero_for_one, 0.0)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_out_nb(pools, row, zero_for_one, amount):
    """Float twin of the exact-in quote, base units: (output, input used), whatever the family.

    The input used is less than `amount` where a V3 pool's known ticks end first; the output is 0 where the
    pool cannot trade.
    """
    kind, fee_pips = pools.kind[row], pools.fee_pips[row, 0 if zero_for_one else 1]
    if kind == KIND_V2:
        side = 0 if zero_for_one else 1
        reserve_in = _float_2(pools.reserves[row, side, 0], pools.reserves[row, side, 1])
        reserve_out = _float_2(pools.reserves[row, 1 - side, 0], pools.reserves[row, 1 - side, 1])
        net = amount * (1.0 - np.float64(fee_pips) * 1e-6)
        if reserve_in <= 0.0 or not net > 0.0:
            return 0.0, 0.0
        return net * reserve_out / (reserve_in + net), amount
    if kind == KIND_V3:
        return est_fork_out_nb(pools, row, zero_for_one, amount, fee_pips)
    if not amount > 0.0:
        return 0.0, 0.0
    return est_family_nb(pools, row, zero_for_one, amount), amount


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _est_segment_amounts(price, end, liquidity, kept, zero_for_one):
    if zero_for_one:
        virtual_in, virtual_out = liquidity / price, liquidity * price
        net_in, out = liquidity / end - virtual_in, virtual_out - liquidity * end
    else:
        virtual_in, virtual_out = liquidity * price, liquidity / price
        net_in, out = liquidity * end - virtual_in, virtual_out - liquidity / end
    return virtual_in, virtual_out, max(net_in, 0.0) / kept, max(out, 0.0)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_segments_nb(pools, row, zero_for_one, segments):
    """Segments from the present price on, in the order a trade meets them; returns how many were written.

    `segments` f64[N, 4], at most N rows are filled: (virtual reserve in at the segment's start, virtual
    reserve out, greatest gross input of this segment, output for it). Ranges without liquidity are left out.
    A trade may need more than N segments. The last one of a V3 pool ends where the known ticks end.
    """
    kept = 1.0 - np.float64(pools.fee_pips[row, 0 if zero_for_one else 1]) * 1e-6
    capacity = segments.shape[0]
    kind = pools.kind[row]
    if capacity == 0 or (kind != KIND_V2 and kind != KIND_V3):
        return 0
    if kind == KIND_V2:
        reserve0 = _float_2(pools.reserves[row, 0, 0], pools.reserves[row, 0, 1])
        reserve1 = _float_2(pools.reserves[row, 1, 0], pools.reserves[row, 1, 1])
        if reserve0 <= 0.0 or reserve1 <= 0.0:
            return 0
        segments[0, 0] = reserve0 if zero_for_one else reserve1
        segments[0, 1] = reserve1 if zero_for_one else reserve0
        segments[0, 2] = np.inf
        segments[0, 3] = segments[0, 1]
        return 1
    return _est_v3_segments(pools, row, zero_for_one, kept, segments)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _est_v3_segments(pools, row, zero_for_one, kept, segments):
    price = est_sqrt_price_nb(pools, row)
    if price <= 0.0:
        return 0
    exact_liquidity = make_u128(pools.liquidity[row, 0], pools.liquidity[row, 1])
    first = pools.tick_start[row]
    ticks = np.int64(pools.tick_count[row])
    index = first_tick_index_nb(pools.arena_tick, first, ticks, np.int64(pools.tick[row]), zero_for_one)
    end = first + ticks
    direction = np.int64(-1) if zero_for_one else np.int64(1)
    edge = max(pools.known_low[row], MIN_TICK) if zero_for_one else min(pools.known_high[row], MAX_TICK)
    count = 0
    while count < segments.shape[0]:
        inside = first <= index < end
        stop = np.int64(edge)
        if inside:
            tick = np.int64(pools.arena_tick[index])
            inside = tick >= stop if zero_for_one else tick <= stop
            if inside:
                stop = tick
        stop_price = math.exp(np.float64(stop) * _LOG_SQRT_BASE)
        stop_price = min(stop_price, price) if zero_for_one else max(stop_price, price)
        liquidity = to_float(exact_liquidity)
        if liquidity > 0.0 and stop_price != price:
            virtual_in, virtual_out, max_in, max_out = _est_segment_amounts(
                price, stop_price, liquidity, kept, zero_for_one
            )
            segments[count, 0] = virtual_in
            segments[count, 1] = virtual_out
            segments[count, 2] = max_in
            segments[count, 3] = max_out
            count += 1
        if not inside:
            break
        net = make_u128(pools.arena_net[index, 0], pools.arena_net[index, 1])
        fits, exact_liquidity = cross_liquidity_nb(exact_liquidity, net, zero_for_one)
        if not fits:
            break
        price = stop_price
        index += direction
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def est_segment_nb(pools, row, zero_for_one):
    """(virtual reserve in, virtual reserve out, greatest gross input) of the first segment with liquidity,
    usually the one at the present price; zeros when there is none. The input is infinite for V2."""
    segments = np.empty((1, SEGMENT_FIELDS))
    if est_segments_nb(pools, row, zero_for_one, segments) == 0:
        return 0.0, 0.0, 0.0
    return segments[0, 0], segments[0, 1], segments[0, 2]
