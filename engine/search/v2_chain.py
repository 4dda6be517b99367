"""Cycles of V2 pools alone: closed form, exact execution, integer polish; well under a microsecond each.

A chain of constant-product hops sells x for a x / (b + c x), where another hop with reserves R_in, R_out that
keeps f of a million of its input makes

    a' = f R_out a        b' = 1e6 R_in b        c' = 1e6 R_in c + f a

The profit is largest at x = b (s - 1) / c with s = sqrt(a / b), and is then b (s - 1)**2 / c. Every division
in the pools rounds against the trader, so no integer execution earns more than the floor of that: one that
reaches it ends the search.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.wide import limb0, limb1, make_u128, to_u128
from engine.search.codes import FOUND, NOTHING, UNSETTLED
from engine.search.real_numbers import (
    add_nb,
    divide_nb,
    from_limbs_nb,
    multiply_nb,
    scale_nb,
    sqrt_nb,
)
from engine.search.v2_exact import FLOAT_COLUMNS, WHOLE_COLUMNS, buy_nb, load_hop_nb, sell_nb

# What is called once per cycle or trial is inlined: handing over three arrays costs as much as a hop.
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
# Units on each side of the optimum of which all are tried: one more than three, as the optimum is known to
# within one.
_REACH = np.uint64(4)
_PLATEAU = 2
_MAX_TRIALS = np.uint64(64)
_LARGEST = 2.0**97
_UNLIKELY_ERROR = 2.0**-96


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def load_chain_nb(kind, rules, reserves, fee_pips, edges, hops, whole, real):
    """Lay out the hops; False unless all are V2 pools within the bounds of the quick arithmetic."""
    for hop in range(hops):
        if not load_hop_nb(kind, rules, reserves, fee_pips, edges[hop], whole, real, hop):
            return False
    return True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def optimum_nb(whole, real, hops):
    """(input, profit, its error) of the real-valued optimum, input and profit as pairs."""
    a, b, c = (1.0, 0.0), (1.0, 0.0), (0.0, 0.0)
    for hop in range(hops):
        reserve_in = from_limbs_nb(whole[hop, 0], whole[hop, 1])
        kept = scale_nb(a, real[hop, 2])
        c = add_nb(multiply_nb(reserve_in, c), kept)
        b = multiply_nb(reserve_in, b)
        a = multiply_nb(kept, from_limbs_nb(whole[hop, 2], whole[hop, 3]))
    nothing = (0.0, 0.0)
    k = divide_nb(a, b)
    if not (k[0] > 1.0 or (k[0] == 1.0 and k[1] > 0.0)):
        return nothing, nothing, 0.0
    excess = add_nb(sqrt_nb(k), (-1.0, 0.0))
    size = divide_nb(multiply_nb(b, excess), c)
    return size, multiply_nb(size, excess), size[0] * _UNLIKELY_ERROR


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _whole_nb(value):
    """The floor of a pair in [0, 2**97), U128."""
    high = np.floor(value[0])
    upper = np.floor(high * 2.0**-48)
    lower = np.int64(high - upper * 2.0**48) + np.int64(np.floor((value[0] - high) + value[1]))
    result = to_u128(np.uint64(np.int64(upper))) << np.uint64(48)
    if lower >= 0:
        return result + to_u128(np.uint64(lower))
    return result - to_u128(np.uint64(-lower))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _forward_nb(whole, real, begin, end, amount):
    """`amount` sold through hops [begin, end); 0 where a pool refuses."""
    for hop in range(begin, end):
        if amount == to_u128(_ZERO):
            break
        amount = sell_nb(whole, real, hop, amount)
    return amount


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _put_nb(amounts, slot, position, value):
    amounts[slot, position, 0] = limb0(value)
    amounts[slot, position, 1] = limb1(value)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _backward_nb(whole, real, end, amount, amounts, slot):
    """The least input that yields `amount` after hops [0, end); 0 where a pool cannot. What each hop is given
    goes to `amounts[slot]`."""
    for hop in range(end - 1, -1, -1):
        if amount == to_u128(_ZERO):
            break
        amount = buy_nb(whole, real, hop, amount)
        _put_nb(amounts, slot, hop, amount)
    return amount


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _gain_nb(whole, real, hops, pivot, amount, cap, amounts, slot):
    """The gain of the execution in which `amount` arrives at `pivot`, 0 where it earns nothing or needs more
    than `cap`; its amounts go to `amounts[slot]`."""
    _put_nb(amounts, slot, pivot, amount)
    out = _forward_nb(whole, real, pivot, hops, amount)
    sold = _backward_nb(whole, real, pivot, amount, amounts, slot)
    _put_nb(amounts, slot, hops, out)
    return _difference_nb(out, sold, cap)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _difference_nb(out, sold, cap):
    if sold == to_u128(_ZERO) or sold >= out or sold > cap:
        return to_u128(_ZERO)
    return out - sold


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _two_gains_nb(whole, real, hops, pivot, amount, other, cap):
    """`_gain_nb` of two amounts, hop by hop together: the processor works on one while it waits for the
    other."""
    out, other_out = amount, other
    for hop in range(pivot, hops):
        out, other_out = sell_nb(whole, real, hop, out), sell_nb(whole, real, hop, other_out)
    for hop in range(pivot - 1, -1, -1):
        amount, other = buy_nb(whole, real, hop, amount), buy_nb(whole, real, hop, other)
    return _difference_nb(out, amount, cap), _difference_nb(other_out, other, cap)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _coarsest_nb(real, hops, est_amount):
    """The position 1..hops where the real optimum's amount has the fewest units: executions are told apart
    there, and most of the units around the optimum coincide. 0 where an amount leaves the quick bounds."""
    pivot, least = np.int64(hops), np.inf
    est_largest = max(est_amount, 1.0) + np.float64(_REACH)
    for hop in range(hops):
        kept, kept_largest = est_amount * real[hop, 2], est_largest * real[hop, 2]
        est_amount = kept * real[hop, 1] / (real[hop, 0] + kept)
        est_largest = kept_largest * real[hop, 1] / (real[hop, 0] + kept_largest)
        if not est_largest < _LARGEST:
            return np.int64(0)
        if est_amount <= least:
            pivot, least = np.int64(hop + 1), est_amount
    return pivot


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _better_nb(whole, real, hops, pivot, amount, cap, amounts, slot, best):
    """(best gain, its slot) after trying the execution in which `amount` arrives at `pivot`."""
    gain = _gain_nb(whole, real, hops, pivot, amount, cap, amounts, 1 - slot)
    if gain > best:
        return gain, 1 - slot
    return best, slot


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _better_of_two_nb(whole, real, hops, pivot, amount, other, cap, amounts, slot, best):
    """As `_better_nb`, for two amounts."""
    gain, other_gain = _two_gains_nb(whole, real, hops, pivot, amount, other, cap)
    if gain > best:
        best, slot = _better_nb(whole, real, hops, pivot, amount, cap, amounts, slot, best)
    if other_gain > best:
        best, slot = _better_nb(whole, real, hops, pivot, other, cap, amounts, slot, best)
    return best, slot


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _tighten_nb(whole, real, hops, pivot, amounts, slot):
    """Let each hop get no more than the output needs; before the pivot that is known already, where the pivot
    itself gets the same."""
    amount = make_u128(amounts[slot, hops, 0], amounts[slot, hops, 1])
    tried = make_u128(amounts[slot, pivot, 0], amounts[slot, pivot, 1])
    for hop in range(hops - 1, -1, -1):
        amount = buy_nb(whole, real, hop, amount)
        _put_nb(amounts, slot, hop, amount)
        if hop == pivot and amount == tried:
            break


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def polish_chain_nb(whole, real, hops, pivot, optimum, ceiling, cap, amounts):
    """(code, slot): the best integer execution near `optimum` (U128 above 0) that sells at most `cap` is in
    `amounts[slot]`, u64[2, 5, 2]; `ceiling` U128 is a profit none exceeds. Tried are the amounts at `pivot`
    to which `_REACH` units around the optimum lead, and `_PLATEAU` units around the middle one, as one unit
    may cover all of those."""
    zero, one, reach = to_u128(_ZERO), to_u128(_ONE), to_u128(_REACH)
    first, slot = np.int64(0), np.int64(0)
    centre = _forward_nb(whole, real, first, pivot, optimum)
    centre = centre if centre > zero else one
    best, slot = _better_nb(whole, real, hops, pivot, centre, cap, amounts, slot, zero)
    up, down = centre, centre
    for _ in range(_PLATEAU):
        if best >= ceiling:
            break
        up, down = up + one, down - one if down > one else down
        best, slot = _better_of_two_nb(whole, real, hops, pivot, up, down, cap, amounts, slot, best)
    if best < ceiling:
        low = _forward_nb(whole, real, first, pivot, optimum - reach if optimum > reach else one)
        high = _forward_nb(whole, real, first, pivot, optimum + reach)
        if high > low + to_u128(_MAX_TRIALS):
            return UNSETTLED, slot
        low = low if low > zero else one
        while (up < high or down > low) and best < ceiling:
            up, down = up + one if up < high else up, down - one if down > low else down
            best, slot = _better_of_two_nb(whole, real, hops, pivot, up, down, cap, amounts, slot, best)
    if best == zero:
        return NOTHING, slot
    if pivot < hops:
        _tighten_nb(whole, real, hops, pivot, amounts, slot)
    return FOUND, slot


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def solve_chain_nb(whole, real, hops, cap, amounts):
    """(code, slot) of a laid-out chain that may sell `cap` (U128): NOTHING; FOUND with the input of each hop
    and, at `hops`, the output in `amounts[slot]`, u64[2, 5, 2]; or UNSETTLED where only the general search
    can tell."""
    size, profit, error = optimum_nb(whole, real, hops)
    if not profit[0] + error >= 1.0:
        return NOTHING, np.int64(0)
    if not size[0] < _LARGEST:
        return UNSETTLED, np.int64(0)
    ceiling = _whole_nb(add_nb(profit, (error + 2.0**-10, 0.0)))
    pivot = _coarsest_nb(real, hops, size[0])
    if pivot == 0:
        return UNSETTLED, np.int64(0)
    optimum = _whole_nb(size)
    optimum = optimum if optimum < cap else cap
    optimum = optimum if optimum > to_u128(_ZERO) else to_u128(_ONE)
    return polish_chain_nb(whole, real, hops, pivot, optimum, ceiling, cap, amounts)


@njit(nogil=True, cache=True, error_model="numpy")
def solve_chains_nb(pools, cycles, picks, caps, begin, end, amounts, codes):
    """Cycles `picks[begin:end]` of i32[n, 4] (directed edges, -1 after the last): `codes` u8[n], `amounts`
    u64[n, 4, 2, 2], each hop's input and output, of those FOUND. With other than V2 pools they are UNSETTLED.
    `caps` u64[T, 2] bound what is sold by the token row of the start.
    """
    kind, rules, reserves, fee_pips = pools.kind, pools.rules, pools.reserves, pools.fee_pips
    token0, token1 = pools.token0, pools.token1
    whole = np.empty((4, WHOLE_COLUMNS), np.uint64)
    real = np.empty((4, FLOAT_COLUMNS), np.float64)
    tried = np.empty((2, 5, 2), np.uint64)
    for k in range(begin, end):
        n = picks[k]
        hops = 0
        while hops < 4 and cycles[n, hops] >= 0:
            hops += 1
        if not load_chain_nb(kind, rules, reserves, fee_pips, cycles[n], hops, whole, real):
            codes[n] = UNSETTLED
            continue
        start = token1[cycles[n, 0] >> 1] if cycles[n, 0] & 1 else token0[cycles[n, 0] >> 1]
        cap = make_u128(caps[start, 0], caps[start, 1])
        codes[n], slot = solve_chain_nb(whole, real, hops, cap, tried)
        for hop in range(hops):
            for limb in range(2):
                amounts[n, hop, 0, limb] = tried[slot, hop, limb]
                amounts[n, hop, 1, limb] = tried[slot, hop + 1, limb]
