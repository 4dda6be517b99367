"""Exact verification and integer polish of sized cycles of any families, compiled.

The amounts are those the router will move: the last hop is an exact-input swap; every earlier hop buys
what the next one owes. So a candidate is carried forward from one position of the cycle to its end, then
tightened backward from there: each hop's input becomes the least for which the pool still pays.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.layout import (
    CALL_QUOTE,
    KIND_CURVE_STABLE,
    KIND_EMPTY,
    KIND_TRICRYPTO,
    KIND_TWOCRYPTO,
    KIND_V2,
    KIND_V3,
    KIND_WSTETH,
)
from engine.amm.wide import limb0, limb1, limb2, limb3, make_u128, make_u256, to_float, to_u256
from engine.search.codes import FOUND, NOTHING
from engine.search.double_double import dd_to_u256_nb
from engine.search.trade import buy_nb, hold, sell_nb

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TWO = np.uint64(2)
# Units on each side of the real optimum of which all are tried; one where a trial costs microseconds.
_REACH, _SLOW_REACH = np.uint64(4), np.uint64(1)
_SEARCH_STEP = np.uint64(16)
_CLIMB, _SLOW_CLIMB = 10, 4


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def hops_nb(edges):
    """How many hops a row of edges, -1 after the last, has."""
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
def _forward_nb(quote, pools, edges, begin, end, amount):
    """(done, what comes out) of selling `amount` through hops [begin, end)."""
    done = True
    for hop in range(begin, end):
        done, amount = sell_nb(quote, pools, edges[hop], amount)
        if not done:
            break
    return done, amount


@njit(nogil=True, cache=True, error_model="numpy")
def _backward_nb(quote, pools, edges, end, amount, amounts):
    """True when hops [0, end) can deliver `amount`; their inputs go to `amounts`."""
    for hop in range(end - 1, -1, -1):
        done, amount = buy_nb(quote, pools, edges[hop], amount)
        if not done:
            return False
        _store_nb(amounts, hop, amount)
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _execute_nb(quote, pools, edges, hops, position, amount, amounts):
    """Execute the cycle in integers with `amount` (U256) sold at hop `position`; True when all pools oblige.
    `amounts` u64[5, 4] receives the input of each hop and, at `hops`, the cycle's output."""
    last = hops - 1
    done, sold = _forward_nb(quote, pools, edges, position, last, amount)
    if not done:
        return False
    done, out = sell_nb(quote, pools, edges[last], sold)
    if not done:
        return False
    _store_nb(amounts, hops, out)
    _store_nb(amounts, last, sold)
    return _backward_nb(quote, pools, edges, last, sold, amounts)


@njit(nogil=True, cache=True, error_model="numpy")
def _tighten_nb(quote, pools, edges, hops, position, amount, amounts):
    """As `_execute_nb`, with the last hop's input as small as still gives the same."""
    last = hops - 1
    done, sold = _forward_nb(quote, pools, edges, position, last, amount)
    if not done:
        return False
    done, out = sell_nb(quote, pools, edges[last], sold)
    if not done:
        return False
    _store_nb(amounts, hops, out)
    # The last hop sells exactly, so a smaller input serves only if selling it still gives as much.
    done, less = buy_nb(quote, pools, edges[last], out)
    if done and less < sold:
        done, again = sell_nb(quote, pools, edges[last], less)
        if done and again >= out:
            sold = less
    _store_nb(amounts, last, sold)
    return _backward_nb(quote, pools, edges, last, sold, amounts)


@njit(nogil=True, cache=True, error_model="numpy")
def evaluate_nb(pools, edges, hops, position, amount, amounts):
    """Execute the cycle in integers with `amount` (U256) sold at hop `position`; True when all pools oblige.

    `amounts` u64[5, 4] receives the input of each hop and, at `hops`, the cycle's output.
    `trade.make_trades_ready` must have been called.
    """
    quote = pools.calls[KIND_EMPTY, CALL_QUOTE]
    return _tighten_nb(quote, hold(pools, None), edges, hops, position, amount, amounts)


@njit(nogil=True, cache=True, error_model="numpy")
def _keep_better_nb(amounts, best, hops, have_best, cap):
    """Copy `amounts` to `best` when they profit more and sell no more than `cap`; True when they do. Compares
    out - in without signs."""
    if _load_nb(amounts, 0) > cap:
        return False
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
def _speed_nb(kind_of, edges, hops):
    """(whether a hop rounds more than constant product does, whether one is slow to quote)."""
    rough, slow = False, False
    for hop in range(hops):
        kind = kind_of[edges[hop] >> 1]
        rough = rough or kind != KIND_V2
        slow = slow or (kind != KIND_V2 and kind != KIND_V3)
    return rough, slow


@njit(nogil=True, cache=True, error_model="numpy")
def _plateau_nb(best, hops, pivot):
    """How far the amount at `pivot` may move for about one unit of profit: the profit is a parabola at its
    top, about P (1 - (d / x)**2)."""
    gain, cost = _load_nb(best, hops), _load_nb(best, 0)
    profit = to_float(gain - cost) if gain > cost else 1.0
    return dd_to_u256_nb((to_float(_load_nb(best, pivot)) / math.sqrt(profit), 0.0))


@njit(nogil=True, cache=True, error_model="numpy")
def _try_around_nb(quote, pools, edges, hops, optimum, reach, cap, amounts, best):
    """Try all that `reach` units on each side of `optimum` lead to; True when one executed. An execution is
    told by what the last hop sells, where most of them coincide."""
    first, last = np.int64(0), np.int64(hops - 1)
    one = to_u256(_ONE)
    found = np.bool_(False)
    low = optimum - reach if optimum > reach else one
    high = optimum + reach
    if high > cap:
        low, high = (cap - (reach << _ONE) if cap > (reach << _ONE) else one), cap
    low_done, low_sold = _forward_nb(quote, pools, edges, first, last, low)
    high_done, high_sold = _forward_nb(quote, pools, edges, first, last, high)
    position = first
    if low_done and high_done and high_sold >= low_sold and high_sold - low_sold < high - low:
        position, low, high = last, low_sold, high_sold
    trial = low
    while trial <= high:
        if _execute_nb(quote, pools, edges, hops, position, trial, amounts):
            found = _keep_better_nb(amounts, best, hops, found, cap) or found
        trial = trial + one
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def _largest_accepted_nb(quote, pools, edges, hops, refused, amounts):
    """The largest input below `refused` that executes, zero when none does, by halving."""
    zero, one, first = to_u256(_ZERO), to_u256(_ONE), np.int64(0)
    accepted = refused >> _ONE
    while accepted > zero and not _execute_nb(quote, pools, edges, hops, first, accepted, amounts):
        refused, accepted = accepted, accepted >> _ONE
    while accepted > zero and refused - accepted > one:
        middle = accepted + ((refused - accepted) >> _ONE)
        if _execute_nb(quote, pools, edges, hops, first, middle, amounts):
            accepted = middle
        else:
            refused = middle
    return accepted


@njit(nogil=True, cache=True, error_model="numpy")
def _climb_nb(quote, pools, edges, hops, rounds, cap, amounts, best, rough):
    """A pattern search at the coarsest position, whose steps double after a gain and shrink after none. Its
    first step spans the `plateau` where hops round roughly: units of difference that no formula tells."""
    step = to_u256(_SEARCH_STEP)
    pivot = _coarsest_nb(best, hops)
    if rough:
        wide = _plateau_nb(best, hops, pivot)
        step = wide if wide > step else step
    for _ in range(rounds):
        if step == to_u256(_ZERO):
            break
        centre = _load_nb(best, pivot)
        moved = _execute_nb(quote, pools, edges, hops, pivot, centre + step, amounts) and _keep_better_nb(
            amounts, best, hops, True, cap
        )
        if not moved and centre > step:
            moved = _execute_nb(quote, pools, edges, hops, pivot, centre - step, amounts) and _keep_better_nb(
                amounts, best, hops, True, cap
            )
        step = step << _ONE if moved else step >> _TWO


@njit(nogil=True, cache=True, error_model="numpy")
def polish_nb(quote, pools, kind, edges, hops, optimum, cap, amounts, best):
    """The best integer execution found near `optimum` (U256, input at hop 0), with an input of at most `cap`
    (U256), into `best` u64[5, 4]; True when it makes a profit. `quote` and `pools` as in `trade.sell_nb`.

    Where none around `optimum` is accepted (balance bounds, end of the known ticks) the largest accepted
    input below it takes its place.
    """
    rough, slow = _speed_nb(kind, edges, hops)
    reach = to_u256(_SLOW_REACH) if slow else to_u256(_REACH)
    if cap == to_u256(_ZERO):
        return False
    optimum = optimum if optimum < cap else cap
    found = _try_around_nb(quote, pools, edges, hops, optimum, reach, cap, amounts, best)
    if not found:
        accepted = _largest_accepted_nb(quote, pools, edges, hops, optimum, amounts)
        if accepted == to_u256(_ZERO):
            return False
        found = _try_around_nb(quote, pools, edges, hops, accepted, reach, cap, amounts, best)
    if not found:
        return False
    _climb_nb(quote, pools, edges, hops, _SLOW_CLIMB if slow else _CLIMB, cap, amounts, best, rough)
    last = np.int64(hops - 1)
    if _tighten_nb(quote, pools, edges, hops, last, _load_nb(best, last), amounts):
        _keep_better_nb(amounts, best, hops, True, cap)
    return _load_nb(best, hops) > _load_nb(best, 0)


@njit(nogil=True, cache=True, error_model="numpy")
def _only_sells_nb(kind):
    return (
        kind == KIND_CURVE_STABLE or kind == KIND_TWOCRYPTO or kind == KIND_TRICRYPTO or kind == KIND_WSTETH
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _write_nb(quote, pools, kind, edges, hops, best, moved):
    """`best` as each hop's input and output, `moved` u64[4, 2, 2]: a pool that only sells may give more than
    the next hop owes."""
    for hop in range(hops):
        sold, bought = _load_nb(best, hop), _load_nb(best, hop + 1)
        if hop < hops - 1 and _only_sells_nb(kind[edges[hop] >> 1]):
            done, more = sell_nb(quote, pools, edges[hop], sold)
            bought = more if done else bought
        moved[hop, 0, 0], moved[hop, 0, 1] = limb0(sold), limb1(sold)
        moved[hop, 1, 0], moved[hop, 1, 1] = limb0(bought), limb1(bought)


@njit(nogil=True, cache=True, error_model="numpy")
def verify_cycles_nb(pools, tables, cycles, picks, sizes, caps, begin, end, amounts, codes):
    """Execute and polish `picks[begin:end]` near their `sizes`: `codes` u8[n] is FOUND or NOTHING, `amounts`
    u64[n, 4, 2, 2] receives the inputs and outputs of those FOUND. `tables` are windows of the pools as they
    are; `caps` u64[T, 2] bound what is sold by the token row of the start."""
    quote, held, kind = pools.calls[KIND_EMPTY, CALL_QUOTE], hold(pools, tables), pools.kind
    token0, token1 = pools.token0, pools.token1
    trial = np.zeros((5, 4), np.uint64)
    best = np.zeros((5, 4), np.uint64)
    for at in range(begin, end):
        n = picks[at]
        edges = cycles[n]
        codes[n] = NOTHING
        if not sizes[at, 0] > 0.0:
            continue
        row = edges[0] >> 1
        start = token1[row] if edges[0] & 1 else token0[row]
        cap = to_u256(make_u128(caps[start, 0], caps[start, 1]))
        size = dd_to_u256_nb((sizes[at, 0], sizes[at, 1]))
        hops = hops_nb(edges)
        if polish_nb(quote, held, kind, edges, hops, size, cap, trial, best):
            codes[n] = FOUND
            _write_nb(quote, held, kind, edges, hops, best, amounts[n])
