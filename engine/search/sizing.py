"""The real-valued optimum of a cycle: closed form where every hop stays on one curve, walked segment by
segment where ticks are crossed.

On one segment a hop sells x for r x / (1 + c x): with virtual reserves R_in, R_out and fee factor g,
r = g R_out / R_in and c = g / R_in. Such maps compose: after hops with product k and sum n, another hop
makes k' = k r and n' = n + c k. The profit k x / (1 + n x) - x is largest at x = (sqrt k - 1) / n, if k > 1.
A V3 hop between two ticks has R_0 = L / s and R_1 = L s with s the square-root price (Uniswap v3 whitepaper,
6.2). Profit is concave in x over all segments together, so the walk stops at the first optimum that lies
before the next tick of any hop.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.layout import KIND_V2, KIND_V3, MAX_TICK, MIN_TICK
from engine.amm.tick_math import sqrt_ratio_at_tick_nb
from engine.amm.wide import limb0, limb1, limb2, limb3
from engine.search.double_double import (
    dd_add_nb,
    dd_divide_nb,
    dd_from_limbs_nb,
    dd_multiply_nb,
    dd_sqrt_nb,
    dd_subtract_nb,
)

_ZERO = np.uint64(0)
_SIGN = np.uint64(2**63)
_TWO_TO_112 = 2.0**112
_TWO_TO_MINUS_96 = 2.0**-96
MAX_SEGMENTS = 20_000

# Columns of a hop's state: r, c and cap (input left on this segment), then for V3 the square-root price, the
# liquidity, and the square-root price at the segment's end; each a high and a low part.
# Typed, so that numba does not compile each callee once per literal.
_R, _C, _CAP, _PRICE, _LIQUIDITY, _END = (np.int64(column) for column in range(0, 12, 2))
HOP_COLUMNS = 12


@njit(nogil=True, cache=True, error_model="numpy")
def _put_nb(state, hop, column, value):
    state[hop, column] = value[0]
    state[hop, column + 1] = value[1]


@njit(nogil=True, cache=True, error_model="numpy")
def _get_nb(state, hop, column):
    return state[hop, column], state[hop, column + 1]


@njit(nogil=True, cache=True, error_model="numpy")
def _positive_nb(value):
    return value if value[0] > 0.0 else (0.0, 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _fee_factor_nb(pools, row, d):
    return dd_divide_nb((1_000_000.0 - pools.fee_pips[row, d], 0.0), (1_000_000.0, 0.0))


@njit(nogil=True, cache=True, error_model="numpy")
def _sqrt_at_tick_nb(tick):
    ratio = sqrt_ratio_at_tick_nb(tick)
    value = dd_from_limbs_nb(limb0(ratio), limb1(ratio), limb2(ratio), limb3(ratio))
    return value[0] * _TWO_TO_MINUS_96, value[1] * _TWO_TO_MINUS_96


@njit(nogil=True, cache=True, error_model="numpy")
def _net_at_nb(pools, place):
    """liquidityNet at an arena place, double-double."""
    low, high = pools.arena_net[place, 0], pools.arena_net[place, 1]
    if high & _SIGN:
        borrow = np.uint64(1) if low != _ZERO else _ZERO
        value = dd_from_limbs_nb(_ZERO - low, _ZERO - high - borrow, _ZERO, _ZERO)
        return -value[0], -value[1]
    return dd_from_limbs_nb(low, high, _ZERO, _ZERO)


@njit(nogil=True, cache=True, error_model="numpy")
def _start_v2_nb(pools, row, d, state, hop):
    reserve_in = dd_from_limbs_nb(pools.reserves[row, d, 0], pools.reserves[row, d, 1], _ZERO, _ZERO)
    reserve_out = dd_from_limbs_nb(pools.reserves[row, 1 - d, 0], pools.reserves[row, 1 - d, 1], _ZERO, _ZERO)
    if reserve_in[0] <= 0.0 or reserve_out[0] <= 0.0:
        return False
    c = dd_divide_nb(_fee_factor_nb(pools, row, d), reserve_in)
    _put_nb(state, hop, _C, c)
    _put_nb(state, hop, _R, dd_multiply_nb(c, reserve_out))
    room = dd_subtract_nb((_TWO_TO_112, -1.0), reserve_in)
    _put_nb(state, hop, _CAP, room)
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _curve_v3_nb(pools, row, d, state, hop):
    """r, c and cap of the segment between the state's price and its end."""
    price, end = _get_nb(state, hop, _PRICE), _get_nb(state, hop, _END)
    liquidity = _get_nb(state, hop, _LIQUIDITY)
    fee = _fee_factor_nb(pools, row, d)
    if d == 0:
        c = dd_divide_nb(dd_multiply_nb(fee, price), liquidity)
        r = dd_multiply_nb(fee, dd_multiply_nb(price, price))
        distance = dd_divide_nb(dd_subtract_nb(price, end), dd_multiply_nb(price, end))
    else:
        c = dd_divide_nb(fee, dd_multiply_nb(liquidity, price))
        r = dd_divide_nb(fee, dd_multiply_nb(price, price))
        distance = dd_subtract_nb(end, price)
    _put_nb(state, hop, _R, r)
    _put_nb(state, hop, _C, c)
    _put_nb(state, hop, _CAP, _positive_nb(dd_divide_nb(dd_multiply_nb(liquidity, distance), fee)))


@njit(nogil=True, cache=True, error_model="numpy")
def _open_segment_nb(pools, row, d, state, hop, cursor):
    """Set the end of the segment from the next tick, passing gaps without liquidity; False past the last."""
    first = pools.tick_start[row]
    last = first + pools.tick_count[row]
    while True:
        place = cursor[hop]
        at_edge = place < first if d == 0 else place >= last
        if at_edge:
            tick = max(pools.known_low[row], MIN_TICK) if d == 0 else min(pools.known_high[row], MAX_TICK)
        else:
            tick = pools.arena_tick[place]
        end = _sqrt_at_tick_nb(tick)
        ahead = end[0] < state[hop, _PRICE] if d == 0 else end[0] > state[hop, _PRICE]
        if ahead and state[hop, _LIQUIDITY] > 0.0:
            _put_nb(state, hop, _END, end)
            _curve_v3_nb(pools, row, d, state, hop)
            return True
        if at_edge:
            return False
        _put_nb(state, hop, _END, end)
        _cross_nb(pools, d, state, hop, cursor)


@njit(nogil=True, cache=True, error_model="numpy")
def _cross_nb(pools, d, state, hop, cursor):
    """Move the state over the tick at its cursor."""
    end = _get_nb(state, hop, _END)
    ahead = end[0] < state[hop, _PRICE] if d == 0 else end[0] > state[hop, _PRICE]
    if ahead:
        _put_nb(state, hop, _PRICE, end)
    net = _net_at_nb(pools, cursor[hop])
    liquidity = _get_nb(state, hop, _LIQUIDITY)
    liquidity = dd_subtract_nb(liquidity, net) if d == 0 else dd_add_nb(liquidity, net)
    _put_nb(state, hop, _LIQUIDITY, liquidity)
    cursor[hop] += -1 if d == 0 else 1


@njit(nogil=True, cache=True, error_model="numpy")
def _start_v3_nb(pools, row, d, state, hop, cursor):
    price = dd_from_limbs_nb(
        pools.sqrt_price[row, 0], pools.sqrt_price[row, 1], pools.sqrt_price[row, 2], pools.sqrt_price[row, 3]
    )
    if price[0] <= 0.0:
        return False
    _put_nb(state, hop, _PRICE, (price[0] * _TWO_TO_MINUS_96, price[1] * _TWO_TO_MINUS_96))
    liquidity = dd_from_limbs_nb(pools.liquidity[row, 0], pools.liquidity[row, 1], _ZERO, _ZERO)
    _put_nb(state, hop, _LIQUIDITY, liquidity)
    low = pools.tick_start[row]
    high = low + pools.tick_count[row]
    while low < high:
        middle = (low + high) >> 1
        if pools.arena_tick[middle] <= pools.tick[row]:
            low = middle + 1
        else:
            high = middle
    cursor[hop] = low - 1 if d == 0 else low
    return _open_segment_nb(pools, row, d, state, hop, cursor)


@njit(nogil=True, cache=True, error_model="numpy")
def _start_nb(pools, edges, hops, state, cursor):
    for hop in range(hops):
        row, d = edges[hop] >> 1, edges[hop] & 1
        if pools.kind[row] == KIND_V2:
            started = _start_v2_nb(pools, row, d, state, hop)
        elif pools.kind[row] == KIND_V3:
            started = _start_v3_nb(pools, row, d, state, hop, cursor)
        else:
            started = False
        if not started:
            return False
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _advance_nb(pools, edges, hops, state, amount):
    """Sell `amount` more through all hops, staying on every hop's segment."""
    for hop in range(hops):
        r, c = _get_nb(state, hop, _R), _get_nb(state, hop, _C)
        divisor = dd_add_nb((1.0, 0.0), dd_multiply_nb(c, amount))
        out = dd_divide_nb(dd_multiply_nb(r, amount), divisor)
        _put_nb(state, hop, _CAP, _positive_nb(dd_subtract_nb(_get_nb(state, hop, _CAP), amount)))
        row, d = edges[hop] >> 1, edges[hop] & 1
        if pools.kind[row] == KIND_V3:
            price = _get_nb(state, hop, _PRICE)
            price = dd_divide_nb(price, divisor) if d == 0 else dd_multiply_nb(price, divisor)
            _put_nb(state, hop, _PRICE, price)
        _put_nb(state, hop, _C, dd_divide_nb(c, divisor))
        _put_nb(state, hop, _R, dd_divide_nb(r, dd_multiply_nb(divisor, divisor)))
        amount = out


@njit(nogil=True, cache=True, error_model="numpy")
def _est_gain_nb(k, n, amount):
    """est profit of selling `amount` through hops that together make k x / (1 + n x)."""
    return (k[0] - 1.0 - n[0] * amount[0]) * amount[0] / (1.0 + n[0] * amount[0])


@njit(nogil=True, cache=True, error_model="numpy")
def optimum_nb(pools, edges, hops, state, cursor):
    """(input, est profit) where the cycle's real-valued profit is largest; zeros when none pays. The input is
    a double-double, base units; no execution in integers earns more than the profit, but for float errors.

    `edges` i32[4] of which the first `hops` count; `state` f64[4, HOP_COLUMNS] and `cursor` i64[4] are
    scratch. The input is capped where a pool's known ticks, liquidity or uint112 balance end.
    """
    total, gain = (0.0, 0.0), 0.0
    if not _start_nb(pools, edges, hops, state, cursor):
        return total, gain
    for _ in range(MAX_SEGMENTS):
        k, n = (1.0, 0.0), (0.0, 0.0)
        limit, tight = (np.inf, 0.0), -1
        for hop in range(hops):
            cap = _get_nb(state, hop, _CAP)
            divisor = dd_subtract_nb(k, dd_multiply_nb(cap, n))
            if divisor[0] > 0.0 and cap[0] / divisor[0] < limit[0]:
                limit, tight = dd_divide_nb(cap, divisor), hop
            n = dd_add_nb(n, dd_multiply_nb(_get_nb(state, hop, _C), k))
            k = dd_multiply_nb(k, _get_nb(state, hop, _R))
        if k[0] < 1.0 or (k[0] == 1.0 and k[1] <= 0.0):
            return total, gain
        best = dd_divide_nb(dd_subtract_nb(dd_sqrt_nb(k), (1.0, 0.0)), n)
        if not best[0] > 0.0:
            return total, gain
        if best[0] <= limit[0]:
            return dd_add_nb(total, best), gain + _est_gain_nb(k, n, best)
        gain += _est_gain_nb(k, n, limit)
        _advance_nb(pools, edges, hops, state, limit)
        total = dd_add_nb(total, limit)
        row, d = edges[tight] >> 1, edges[tight] & 1
        if pools.kind[row] != KIND_V3:
            return total, gain
        first = pools.tick_start[row]
        on_tick = cursor[tight] >= first if d == 0 else cursor[tight] < first + pools.tick_count[row]
        if not on_tick:
            return total, gain
        _put_nb(state, tight, _PRICE, _get_nb(state, tight, _END))
        _cross_nb(pools, d, state, tight, cursor)
        if not _open_segment_nb(pools, row, d, state, tight, cursor):
            return total, gain
    return total, gain
