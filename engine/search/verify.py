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
from engine.amm.wide import limb2, limb3, to_float, to_u256
from engine.search.amounts import coarsest_nb, gain_at_least_nb, keep_better_nb, load_nb, store_nb
from engine.search.double_double import dd_add_nb, dd_floor_nb, dd_to_u256_nb
from engine.search.sizing import HOP_COLUMNS, optimum_nb
from engine.search.v2_chain import CHAIN_COLUMNS, chain_optimum_nb, load_chain_nb, polish_chain_nb

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_REACH = np.uint64(4)
_SEARCH_STEP = np.uint64(16)
_MAX_CLIMB = 512
_MILLIONTH = np.uint64(20)  # as a shift
# The error of a double-double closed form relative to its input, with a wide margin.
_BOUND_ERROR = 1e-28
SIZE_COLUMNS = 4
# Typed, so that numba does not compile each callee once per literal.
_SELL, _BUY = np.bool_(True), np.bool_(False)


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
            status, other = amount_out_nb(amount, reserve_in, reserve_out, pools.fee_pips[row])
        else:
            status, other = least_amount_in_nb(amount, reserve_in, reserve_out, pools.fee_pips[row])
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
    store_nb(amounts, hops, out)
    # The last hop sells exactly, so a smaller input serves only if selling it still gives as much.
    last = edges[hops - 1]
    done, less = _trade_nb(pools, last, out, _BUY)
    if done and less < sold:
        done, again = _trade_nb(pools, last, less, _SELL)
        if done and again >= out:
            sold = less
    store_nb(amounts, hops - 1, sold)
    for hop in range(hops - 2, -1, -1):
        done, sold = _trade_nb(pools, edges[hop], sold, _BUY)
        if not done:
            return False
        store_nb(amounts, hop, sold)
    return True


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
    gain, cost = load_nb(best, hops), load_nb(best, 0)
    profit = to_float(gain - cost) if gain > cost else 1.0
    return dd_to_u256_nb((to_float(load_nb(best, pivot)) / math.sqrt(profit), 0.0))


@njit(nogil=True, cache=True, error_model="numpy")
def _sell_through_nb(pools, edges, position, amount):
    """(done, amount) that selling `amount` forward brings to hop `position`."""
    for hop in range(position):
        done, amount = _trade_nb(pools, edges[hop], amount, _SELL)
        if not done:
            return False, amount
    return True, amount


@njit(nogil=True, cache=True, error_model="numpy")
def _largest_accepted_nb(pools, edges, hops, optimum, amounts):
    """The greatest input up to `optimum` that all pools accept, taking acceptance to end once; 0 if none."""
    zero, one = to_u256(_ZERO), to_u256(_ONE)
    first = np.int64(0)
    refused = optimum
    while optimum > zero and not evaluate_nb(pools, edges, hops, first, optimum, amounts):
        refused, optimum = optimum, optimum >> _ONE
    while optimum > zero and refused - optimum > one:
        middle = optimum + ((refused - optimum) >> _ONE)
        if evaluate_nb(pools, edges, hops, first, middle, amounts):
            optimum = middle
        else:
            refused = middle
    return optimum


@njit(nogil=True, cache=True, error_model="numpy")
def _try_around_nb(pools, edges, hops, optimum, amounts, best):
    """Whether any input within `_REACH` of `optimum` was accepted; the best of them into `best`.

    An execution is decided by what any one hop sells, so what the inputs bring to the coarsest hop is tried
    there instead, where most of them coincide; one by one where a pool refuses.
    """
    one, reach = to_u256(_ONE), to_u256(_REACH)
    position = np.int64(0)
    trial = optimum - reach if optimum > reach else one
    last = optimum + reach
    found = np.bool_(False)
    if evaluate_nb(pools, edges, hops, position, optimum, amounts):
        found = keep_better_nb(amounts, best, hops, found)
        pivot = coarsest_nb(best, hops)
        low_done, low = _sell_through_nb(pools, edges, pivot, trial)
        high_done, high = _sell_through_nb(pools, edges, pivot, last)
        if low_done and high_done and high - low < reach << np.uint64(2):
            position, trial, last = pivot, low, high
    while trial <= last:
        if evaluate_nb(pools, edges, hops, position, trial, amounts):
            found = keep_better_nb(amounts, best, hops, found) or found
        trial = trial + one
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def polish_nb(pools, edges, hops, optimum, bound, amounts, best):
    """The best integer execution found near `optimum` (U256, input at hop 0) into `best` u64[5, 4]; True when
    it makes a profit. `bound` U256 is the floor of the real-valued profit, which none exceeds.

    Tried: the closed form and `_REACH` units on each side, then a pattern search at the coarsest position,
    whose steps double after a gain and halve after none, until less than a millionth of `bound` is left to
    gain. Its first step spans the `plateau` when the cycle crosses ticks: there the rounding of each segment
    makes units of difference that no formula tells. Where none around `optimum` is accepted (balance bounds,
    end of the known ticks) the largest accepted input below it takes its place.
    """
    found = _try_around_nb(pools, edges, hops, optimum, amounts, best)
    if not found:
        optimum = _largest_accepted_nb(pools, edges, hops, optimum, amounts)
        if optimum == to_u256(_ZERO):
            return False
        found = _try_around_nb(pools, edges, hops, optimum, amounts, best)
    if not found:
        return False
    enough = bound - (bound >> _MILLIONTH)
    step = to_u256(_SEARCH_STEP)
    pivot = coarsest_nb(best, hops)
    if _crosses_ticks_nb(pools, edges, hops):
        wide = _plateau_nb(best, hops, pivot)
        step = wide if wide > step else step
    for _ in range(_MAX_CLIMB):
        if step == to_u256(_ZERO) or gain_at_least_nb(best, hops, enough):
            break
        centre = load_nb(best, pivot)
        moved = evaluate_nb(pools, edges, hops, pivot, centre + step, amounts) and keep_better_nb(
            amounts, best, hops, found
        )
        if not moved and centre > step:
            moved = evaluate_nb(pools, edges, hops, pivot, centre - step, amounts) and keep_better_nb(
                amounts, best, hops, found
            )
        step = step << _ONE if moved else step >> _ONE
    return load_nb(best, hops) > load_nb(best, 0)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _hops_nb(edges):
    hops = np.int64(0)
    while hops < 4 and edges[hops] >= 0:
        hops += 1
    return hops


@njit(nogil=True, cache=True, error_model="numpy")
def size_cycles_nb(pools, cycles, begin, end, sizes):
    """The real-valued optimum of cycles [begin, end) of i32[n, 4] (directed edges, -1 after the last).

    `sizes` f64[n, SIZE_COLUMNS] receives the input at hop 0 and the profit, each a double-double in base
    units; zeros where nothing pays.
    """
    state = np.zeros((4, HOP_COLUMNS), np.float64)
    cursor = np.zeros(4, np.int64)
    chain = np.zeros((4, CHAIN_COLUMNS), np.uint64)
    for n in range(begin, end):
        edges = cycles[n]
        hops = _hops_nb(edges)
        settled = np.bool_(False)
        if load_chain_nb(pools, edges, hops, chain):
            settled, size, gain = chain_optimum_nb(chain, hops)
        if not settled:
            size, gain = optimum_nb(pools, edges, hops, state, cursor)
        sizes[n, 0], sizes[n, 1] = size
        sizes[n, 2], sizes[n, 3] = gain


@njit(nogil=True, cache=True, error_model="numpy")
def verify_cycles_nb(pools, cycles, sizes, picks, begin, end, amounts, profitable):
    """Verify and polish the cycles `picks[begin:end]` (i64 indices into `cycles` and `sizes`).

    At the position of its pick `amounts` u64[len(picks), 5, 4] receives each profitable cycle's hop inputs
    and output, `profitable` u8[len(picks)] 1 or 0.
    """
    chain = np.zeros((4, CHAIN_COLUMNS), np.uint64)
    trial = np.zeros((5, 4), np.uint64)
    for k in range(begin, end):
        n = picks[k]
        edges = cycles[n]
        hops = _hops_nb(edges)
        profitable[k] = 0
        if not sizes[n, 0] > 0.0:
            continue
        optimum = dd_to_u256_nb((sizes[n, 0], sizes[n, 1]))
        bound = dd_floor_nb(dd_add_nb((sizes[n, 2], sizes[n, 3]), (sizes[n, 0] * _BOUND_ERROR, 0.0)))
        settled = np.bool_(False)
        if load_chain_nb(pools, edges, hops, chain):
            settled, pays = polish_chain_nb(chain, hops, optimum, bound, trial, amounts[k])
        if not settled:
            pays = polish_nb(pools, edges, hops, optimum, bound, trial, amounts[k])
        profitable[k] = pays


@njit(nogil=True, cache=True, error_model="numpy")
def solve_cycles_nb(pools, cycles, begin, end, amounts, profitable):
    """Size, verify and polish cycles [begin, end): `size_cycles_nb` and `verify_cycles_nb` for all of them,
    `amounts` u64[n, 5, 4] and `profitable` u8[n] by cycle."""
    sizes = np.zeros((len(cycles), SIZE_COLUMNS), np.float64)
    size_cycles_nb(pools, cycles, begin, end, sizes)
    verify_cycles_nb(pools, cycles, sizes, np.arange(len(cycles)), begin, end, amounts, profitable)
