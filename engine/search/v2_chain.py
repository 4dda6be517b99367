"""Cycles of V2 pools alone: closed form, exact execution and integer polish on copied reserves.

A chain of constant-product hops sells x for a x / (b + c x), where another hop with reserves R_in, R_out that
keeps f of a million of its input makes

    a' = f R_out a        b' = 1e6 R_in b        c' = 1e6 R_in c + f a

The profit is largest at x = b (s - 1) / c with s = sqrt(a / b), and is then b (s - 1)**2 / c. Every division
in the pools rounds against the trader, so no integer execution earns more: one that reaches the floor of that
bound ends the search.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.constant_product import PIPS, amount_out_nb, least_amount_in_nb
from engine.amm.layout import KIND_V2, OK
from engine.amm.wide import make_u128, to_u256
from engine.search.amounts import coarsest_nb, gain_at_least_nb, keep_better_nb, load_nb, store_nb
from engine.search.double_double import (
    dd_add_nb,
    dd_divide_nb,
    dd_from_pair_nb,
    dd_multiply_nb,
    dd_sqrt_nb,
    dd_subtract_nb,
)

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_REACH = np.uint64(4)
_STEP = np.uint64(16)
_MAX_CLIMB = 256
_MAX_TRIALS = np.uint64(32)
_MILLION = np.float64(PIPS)
_PIPS = np.uint64(PIPS)
# Below it no pool of the chain can come to the uint112 bound of its balance.
_ROOM = 2.0**111

# Columns of a chain's hop: reserve in and reserve out, two limbs each, and the fee in pips.
CHAIN_COLUMNS = 5


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def load_chain_nb(pools, edges, hops, chain):
    """Copy the hops' reserves and fees to `chain` u64[4, CHAIN_COLUMNS]; False unless all pools are V2 and
    have reserves."""
    for hop in range(hops):
        row, d = edges[hop] >> 1, edges[hop] & 1
        if pools.kind[row] != KIND_V2:
            return False
        for limb in range(2):
            chain[hop, limb] = pools.reserves[row, d, limb]
            chain[hop, 2 + limb] = pools.reserves[row, 1 - d, limb]
        chain[hop, 4] = pools.fee_pips[row]
        if (chain[hop, 0] | chain[hop, 1]) == _ZERO or (chain[hop, 2] | chain[hop, 3]) == _ZERO:
            return False
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def chain_optimum_nb(chain, hops):
    """(within bounds, input, profit): the real-valued optimum, double-doubles in base units, zeros when
    nothing pays. Not within bounds where a balance may reach uint112 and cut the optimum short."""
    a, b, c = (1.0, 0.0), (1.0, 0.0), (0.0, 0.0)
    for hop in range(hops):
        reserve_in = dd_from_pair_nb(chain[hop, 0], chain[hop, 1])
        reserve_out = dd_from_pair_nb(chain[hop, 2], chain[hop, 3])
        kept = dd_multiply_nb((np.float64(_PIPS - chain[hop, 4]), 0.0), a)
        whole = dd_multiply_nb((_MILLION, 0.0), reserve_in)
        a = dd_multiply_nb(kept, reserve_out)
        b = dd_multiply_nb(whole, b)
        c = dd_add_nb(dd_multiply_nb(whole, c), kept)
    nothing = (0.0, 0.0)
    k = dd_divide_nb(a, b)
    if not (k[0] > 1.0 or (k[0] == 1.0 and k[1] > 0.0)):
        return True, nothing, nothing
    excess = dd_subtract_nb(dd_sqrt_nb(k), (1.0, 0.0))
    size = dd_divide_nb(dd_multiply_nb(b, excess), c)
    if not size[0] > 0.0:
        return True, nothing, nothing
    sold = size[0]
    for hop in range(hops):
        reserve_in = dd_from_pair_nb(chain[hop, 0], chain[hop, 1])[0]
        if not reserve_in + sold < _ROOM:
            return False, size, nothing
        sold *= dd_from_pair_nb(chain[hop, 2], chain[hop, 3])[0] / (reserve_in + sold)
    return True, size, dd_multiply_nb(size, excess)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _sell_nb(chain, hop, amount):
    status, out = amount_out_nb(
        amount,
        make_u128(chain[hop, 0], chain[hop, 1]),
        make_u128(chain[hop, 2], chain[hop, 3]),
        chain[hop, 4],
    )
    return status == OK and out != to_u256(_ZERO), out


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _buy_nb(chain, hop, amount):
    status, sold = least_amount_in_nb(
        amount,
        make_u128(chain[hop, 0], chain[hop, 1]),
        make_u128(chain[hop, 2], chain[hop, 3]),
        chain[hop, 4],
    )
    return status == OK and sold != to_u256(_ZERO), sold


@njit(nogil=True, cache=True, error_model="numpy")
def _sell_through_nb(chain, begin, end, amount):
    """(done, output) of selling `amount` forward through hops [begin, end)."""
    for hop in range(begin, end):
        done, amount = _sell_nb(chain, hop, amount)
        if not done:
            return False, amount
    return True, amount


@njit(nogil=True, cache=True, error_model="numpy")
def _execute_nb(chain, hops, position, amount, amounts):
    """Sell `amount` from hop `position` to the end, then let every hop take the least input that still buys
    what the next one owes; `amounts` u64[5, 4] as in `evaluate_nb`. True when all pools oblige."""
    done, amount = _sell_through_nb(chain, position, hops, amount)
    if not done:
        return False
    store_nb(amounts, hops, amount)
    for hop in range(hops - 1, -1, -1):
        done, amount = _buy_nb(chain, hop, amount)
        if not done:
            return False
        store_nb(amounts, hop, amount)
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def polish_chain_nb(chain, hops, optimum, bound, amounts, best):
    """(settled, profitable): the best integer execution found near `optimum` (U256, within one unit of the
    real one) into `best` u64[5, 4]; `bound` U256 is the floor of the real profit, which none exceeds.

    An execution is decided by what any one hop sells, so the closed form and `_REACH` units on each side are
    all tried by trying what they sell at the coarsest hop, where most of them coincide. A pattern search at
    that hop follows, its steps doubling after a gain and halving after none. Not settled where a pool
    refuses the optimum or an amount near it: the general search copes with that.
    """
    one, reach = to_u256(_ONE), to_u256(_REACH)
    first = np.int64(0)
    have = np.bool_(False)
    if optimum <= reach or not _execute_nb(chain, hops, first, optimum, amounts):
        return False, False
    have = keep_better_nb(amounts, best, hops, have)
    if gain_at_least_nb(best, hops, bound):
        return True, True
    pivot = coarsest_nb(best, hops)
    low_done, trial = _sell_through_nb(chain, first, pivot, optimum - reach)
    high_done, last = _sell_through_nb(chain, first, pivot, optimum + reach)
    if not (low_done and high_done) or last - trial > to_u256(_MAX_TRIALS):
        return False, False
    while trial <= last:
        if _execute_nb(chain, hops, pivot, trial, amounts) and keep_better_nb(amounts, best, hops, have):
            if gain_at_least_nb(best, hops, bound):
                return True, True
        trial = trial + one
    step = to_u256(_STEP)
    for _ in range(_MAX_CLIMB):
        if step == to_u256(_ZERO) or gain_at_least_nb(best, hops, bound):
            break
        centre = load_nb(best, pivot)
        moved = np.bool_(False)
        if _execute_nb(chain, hops, pivot, centre + step, amounts):
            moved = keep_better_nb(amounts, best, hops, have)
        if not moved and centre > step and _execute_nb(chain, hops, pivot, centre - step, amounts):
            moved = keep_better_nb(amounts, best, hops, have)
        step = step << _ONE if moved else step >> _ONE
    return True, load_nb(best, hops) > load_nb(best, first)
