"""Exact verification and integer polish of sized cycles, compiled.

The amounts are those the router will move: the last hop is an exact-input swap; every earlier hop buys
exactly what the next one owes. So a candidate is carried forward from one position of the cycle to its end,
then tightened backward from there: each hop's input becomes the least for which the pool still pays.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.concentrated import highest_limit_nb, lowest_limit_nb, swap_nb
from engine.amm.constant_product import amount_out_nb, least_amount_in_nb
from engine.amm.layout import KIND_V2, KIND_V3, OK
from engine.amm.quote import reserves_nb
from engine.amm.wide import limb0, limb1, limb2, limb3, make_u256, to_float, to_u256
from engine.search.codes import FOUND, NOTHING
from engine.search.double_double import dd_to_u256_nb
from engine.search.sizing import HOP_COLUMNS, optimum_nb

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_REACH = np.uint64(4)
_SEARCH_STEP = np.uint64(16)
_MAX_CLIMB = 512
# Typed, so that numba does not compile each callee once per literal.
_SELL, _BUY = np.bool_(True), np.bool_(False)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _hops_nb(edges):
    hops = 0
    while hops < 4 and edges[hops] >= 0:
        hops += 1
    return hops


@njit(nogil=True, cache=True, error_model="numpy")
def _store_nb(amounts, position, value):
    amounts[position, 0] = limb0(value)
    amounts[position, 1] = limb1(value)
    amounts[position, 2] = limb2(value)
    amounts[position, 3] = limb3(value)


@njit(nogil=True, cache=True, error_model="numpy")
def _load_nb(amounts, position):
    return make_u256(amounts[position, 0], amounts[position, 1], amounts[position, 2], amounts[position, 3])


@njit(nogil=True, cache=True, error_model="numpy")
def _fits_u128_nb(value):
    return limb2(value) == _ZERO and limb3(value) == _ZERO


@njit(nogil=True, cache=True, error_model="numpy")
def _trade_nb(pools, edge, amount, selling):
    """(done, other amount): sell exactly `amount`, or find the least input that buys exactly `amount`.

    Not done when the pool refuses, nothing changes hands, or the result is above uint128.
    """
    row, zero_for_one = edge >> 1, (edge & 1) == 0
    zero = to_u256(_ZERO)
    if pools.kind[row] == KIND_V2:
        reserve_in, reserve_out = reserves_nb(pools, row, zero_for_one)
        if selling:
            status, other = amount_out_nb(amount, reserve_in, reserve_out, pools.fee_pips[row, edge & 1])
        else:
            status, other = least_amount_in_nb(amount, reserve_in, reserve_out, pools.fee_pips[row, edge & 1])
    elif pools.kind[row] == KIND_V3 and amount > zero:
        limit = lowest_limit_nb() if zero_for_one else highest_limit_nb()
        status, amount_in, amount_out, _, _, _ = swap_nb(pools, row, zero_for_one, amount, selling, limit)
        other = amount_out if selling else amount_in
    else:
        return False, zero
    return status == OK and other > zero and _fits_u128_nb(other), other


@njit(nogil=True, cache=True, error_model="numpy")
def evaluate_nb(pools, edges, hops, position, amount, amounts):
    """Execute the cycle in integers with `amount` (U256) sold at hop `position`; True when all pools oblige.

    `amounts` u64[5, 4] receives the input of each hop and, at `hops`, the cycle's output.
    """
    done = True
    sold = amount
    for hop in range(position, hops):
        sold = amount
        done, amount = _trade_nb(pools, edges[hop], sold, _SELL)
        if not done:
            return False
    out = amount
    _store_nb(amounts, hops, out)
    # The last hop sells exactly, so a smaller input serves only if selling it still gives as much.
    last = edges[hops - 1]
    done, less = _trade_nb(pools, last, out, _BUY)
    if done and less < sold:
        done, again = _trade_nb(pools, last, less, _SELL)
        if done and again >= out:
            sold = less
    _store_nb(amounts, hops - 1, sold)
    for hop in range(hops - 2, -1, -1):
        done, sold = _trade_nb(pools, edges[hop], sold, _BUY)
        if not done:
            return False
        _store_nb(amounts, hop, sold)
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _keep_better_nb(amounts, best, hops, have_best):
    """Copy `amounts` to `best` when they profit more; True when they do. Compares out - in without signs."""
    if have_best:
        gain, known = _load_nb(amounts, hops) + _load_nb(best, 0), _load_nb(best, hops) + _load_nb(amounts, 0)
        if gain <= known:
            return False
    for position in range(5):
        for limb in range(4):
            best[position, limb] = amounts[position, limb]
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _coarsest_nb(amounts, hops):
    """The hop whose input has the fewest units: one unit is worth most there, so its integers are the
    plateaus of the profit."""
    pivot = 0
    for hop in range(1, hops):
        if _load_nb(amounts, hop) < _load_nb(amounts, pivot):
            pivot = hop
    return pivot


@njit(nogil=True, cache=True, error_model="numpy")
def _crosses_ticks_nb(pools, edges, hops):
    for hop in range(hops):
        if pools.kind[edges[hop] >> 1] == KIND_V3:
            return True
    return False


@njit(nogil=True, cache=True, error_model="numpy")
def _plateau_nb(best, hops, pivot):
    """How far the amount at `pivot` may move for about one unit of profit: the profit is a parabola at its
    top, about P (1 - (d / x)**2)."""
    gain, cost = _load_nb(best, hops), _load_nb(best, 0)
    profit = to_float(gain - cost) if gain > cost else 1.0
    return dd_to_u256_nb((to_float(_load_nb(best, pivot)) / math.sqrt(profit), 0.0))


@njit(nogil=True, cache=True, error_model="numpy")
def polish_nb(pools, edges, hops, optimum, amounts, best):
    """The best integer execution found near `optimum` (U256, input at hop 0) into `best` u64[5, 4]; True when
    it makes a profit.

    Tried: the closed form and `_REACH` units on each side, then a pattern search at the coarsest position,
    whose steps double after a gain and halve after none. Its first step spans the `plateau` when the cycle
    crosses ticks: there the rounding of each segment makes units of difference that no formula tells. Where
    none around `optimum` is accepted (balance bounds, end of the known ticks) the largest accepted input
    below it takes its place.
    """
    zero, one, reach = to_u256(_ZERO), to_u256(_ONE), to_u256(_REACH)
    first = np.int64(0)
    found = np.bool_(False)
    for attempt in range(2):
        trial = optimum - reach if optimum > reach else one
        for _ in range(2 * _REACH + _ONE):
            if evaluate_nb(pools, edges, hops, first, trial, amounts):
                found = _keep_better_nb(amounts, best, hops, found) or found
            trial = trial + one
        if found or attempt == 1:
            break
        refused, optimum = optimum, optimum >> _ONE
        while optimum > zero and not evaluate_nb(pools, edges, hops, first, optimum, amounts):
            refused, optimum = optimum, optimum >> _ONE
        while optimum > zero and refused - optimum > one:
            middle = optimum + ((refused - optimum) >> _ONE)
            if evaluate_nb(pools, edges, hops, first, middle, amounts):
                optimum = middle
            else:
                refused = middle
        if optimum == zero:
            break
    if not found:
        return found
    step = to_u256(_SEARCH_STEP)
    pivot = _coarsest_nb(best, hops)
    if _crosses_ticks_nb(pools, edges, hops):
        wide = _plateau_nb(best, hops, pivot)
        step = wide if wide > step else step
    for _ in range(_MAX_CLIMB):
        if step == zero:
            break
        centre = _load_nb(best, pivot)
        moved = evaluate_nb(pools, edges, hops, pivot, centre + step, amounts) and _keep_better_nb(
            amounts, best, hops, found
        )
        if not moved and centre > step:
            moved = evaluate_nb(pools, edges, hops, pivot, centre - step, amounts) and _keep_better_nb(
                amounts, best, hops, found
            )
        step = step << _ONE if moved else step >> _ONE
    return _load_nb(best, hops) > _load_nb(best, 0)


@njit(nogil=True, cache=True, error_model="numpy")
def size_cycles_nb(pools, cycles, picks, begin, end, sizes):
    """The real-valued optimum of cycles `picks[begin:end]` of i32[n, 4] (directed edges, -1 after the last):
    `sizes` f64[len(picks), 3] receives the input, a double-double in base units, and the est profit."""
    state = np.zeros((4, HOP_COLUMNS), np.float64)
    cursor = np.zeros(4, np.int64)
    for k in range(begin, end):
        edges = cycles[picks[k]]
        size, gain = optimum_nb(pools, edges, _hops_nb(edges), state, cursor)
        sizes[k, 0], sizes[k, 1], sizes[k, 2] = size[0], size[1], gain


@njit(nogil=True, cache=True, error_model="numpy")
def verify_cycles_nb(pools, cycles, picks, sizes, order, begin, end, amounts, codes):
    """Execute and polish `picks[order[begin:end]]` near their `sizes`: `codes` u8[n] is FOUND or NOTHING,
    `amounts` u64[n, 4, 2, 2] receives the inputs and outputs of those FOUND."""
    trial = np.zeros((5, 4), np.uint64)
    best = np.zeros((5, 4), np.uint64)
    for k in range(begin, end):
        at = order[k]
        n = picks[at]
        edges = cycles[n]
        codes[n] = NOTHING
        if not sizes[at, 0] > 0.0:
            continue
        size = dd_to_u256_nb((sizes[at, 0], sizes[at, 1]))
        if polish_nb(pools, edges, _hops_nb(edges), size, trial, best):
            codes[n] = FOUND
            for hop in range(_hops_nb(edges)):
                for limb in range(2):
                    amounts[n, hop, 0, limb] = best[hop, limb]
                    amounts[n, hop, 1, limb] = best[hop + 1, limb]
