"""What both CryptoSwap kernels are made of: a pool's state, and Newton's steps for D and for a balance.

A pool's state is u64[STATE_ROWS, 4], so many pools are one u64[P, STATE_ROWS, 4] array:

    PARAMETERS   A (times n**n and 10**4), gamma (1e18), mode bits, unused; A and gamma as of the block's time
    FEES         mid_fee, out_fee (1e-10), fee_gamma (1e18), unused
    INVARIANT    D as stored, 1e18 units of coin 0
    SUPPLY       totalSupply of the LP token
    VIRTUAL      virtual_price as stored, 1e18
    PRECISIONS   10**(18 - decimals) of each coin
    PRICE_SCALE  one row per coin after the first, 1e18 of coin 0 (two rows, the second unused by two coins)
    BALANCES     one row per coin, base units
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.cryptoswap_arithmetic import (
    WAD,
    add_nb,
    div_nb,
    div_small_nb,
    div_wad_nb,
    mul_nb,
    stay_whole,
    sub_nb,
    wad_nb,
)
from engine.amm.wide import limb2, limb3, make_u256, mul_128_128, to_u128, to_u256

PARAMETERS, FEES, INVARIANT, SUPPLY, VIRTUAL, PRECISIONS, PRICE_SCALE, BALANCES = 0, 1, 2, 3, 4, 5, 6, 8
STATE_ROWS = 11

# Mode bits.
RAMPING = 1  # future_A_gamma_time is after the block's time: D is computed anew before the trade
MAY_LOSE = 2  # no virtual price check: RAMPING, and before v2.1 also when future_A_gamma_time is now
VERSION_21 = 4  # two coins: fee and virtual price of v2.1

_WAD = np.uint64(WAD)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TEN_THOUSAND = np.uint64(10**4)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def field_nb(state, row):
    """A row of the state as U256."""
    return make_u256(state[row, 0], state[row, 1], state[row, 2], state[row, 3])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def k0_terms_nb(k0, d, a, gamma, fault):
    """(g, mul1): g = |gamma + 1 - K0| + 1e-18 and D * g**2 / (A * gamma**2), the steepness of the curve."""
    peak = to_u256(gamma) + wad_nb()
    g = (peak - k0 if peak > k0 else k0 - peak) + to_u256(_ONE)
    steep = div_small_nb(mul_nb(wad_nb(), d, fault), gamma)
    steep = div_small_nb(mul_nb(steep, g, fault), gamma)
    steep = mul_nb(mul_nb(steep, g, fault), to_u256(_TEN_THOUSAND), fault)
    return g, div_small_nb(steep, a)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def within_nb(value, whole, low, high, fault):
    """low <= value * 1e18 / whole <= high, the quotient truncated; `low` and `high` are below 2**128."""
    scaled = mul_nb(value, wad_nb(), fault)
    if limb3(whole) | limb2(whole) or whole == to_u256(_ZERO):
        fraction = div_nb(scaled, whole, fault)
        return low <= fraction and fraction <= high
    least, beyond = to_u128(low), to_u128(high) + to_u128(_ONE)
    part = to_u128(whole)
    return mul_128_128(least, part) <= scaled and scaled < mul_128_128(beyond, part)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def step_d_nb(d, k0, total, mul1, mul2, coins, fault):
    """One Newton step for D, given the sum of the balances: (next D)."""
    stay_whole()
    slope = add_nb(total, div_wad_nb(mul_nb(total, mul2, fault)), fault)
    slope = add_nb(slope, div_nb(mul_nb(mul1, to_u256(coins), fault), k0, fault), fault)
    slope = sub_nb(slope, div_wad_nb(mul_nb(mul2, d, fault)), fault)
    plus = div_nb(mul_nb(d, slope + total, fault), slope, fault)
    minus = div_nb(mul_nb(d, d, fault), slope, fault)
    step = div_wad_nb(mul_nb(d, div_nb(mul1, slope, fault), fault))
    if wad_nb() > k0:
        minus = add_nb(minus, div_nb(mul_nb(step, wad_nb() - k0, fault), k0, fault), fault)
    else:
        minus = sub_nb(minus, div_nb(mul_nb(step, k0 - wad_nb(), fault), k0, fault), fault)
    return plus - minus if plus > minus else (minus - plus) >> _ONE


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def solve_y_nb(a, gamma, d, y, k0_rest, sum_rest, tolerance, coins, fault):
    """Newton's method for the balance y, the contracts' fallback: (y, converged).

    `k0_rest` is K0 without y, `sum_rest` the other balances' sum, `tolerance` the accepted last step.
    """
    stay_whole()
    hundred_trillion = np.uint64(10**14)
    for _ in range(255):
        before = y
        k0 = div_nb(mul_nb(mul_nb(k0_rest, y, fault), to_u256(coins), fault), d, fault)
        g, mul1 = k0_terms_nb(k0, d, a, gamma, fault)
        mul2 = wad_nb() + div_nb(mul_nb(wad_nb() << _ONE, k0, fault), g, fault)
        total = add_nb(sum_rest, y, fault)
        slope = add_nb(mul_nb(wad_nb(), y, fault), mul_nb(total, mul2, fault), fault)
        slope = add_nb(slope, mul1, fault)
        fall = mul_nb(d, mul2, fault)
        if slope < fall:
            y = before >> _ONE
            continue
        slope = slope - fall
        f_prime = div_nb(slope, y, fault)
        minus = div_nb(mul1, f_prime, fault)
        plus = div_nb(mul_nb(minus, wad_nb(), fault), k0, fault)
        rise = add_nb(slope, mul_nb(wad_nb(), d, fault), fault)
        plus = add_nb(plus, div_nb(rise, f_prime, fault), fault)
        minus = add_nb(minus, div_nb(mul_nb(wad_nb(), total, fault), f_prime, fault), fault)
        y = before >> _ONE if plus < minus else plus - minus
        gap = y - before if y > before else before - y
        if gap < tolerance or gap < div_small_nb(y, hundred_trillion):
            return y, True
    return y, False
