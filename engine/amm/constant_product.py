"""Uniswap V2 and its forks, any fee: UniswapV2Library's getAmountOut and getAmountIn, the bounds of the pair.

With f = 1e6 - fee_pips the formulas are

    out = floor(in * f * R_out / (R_in * 1e6 + in * f))
    in  = floor(R_in * out * 1e6 / ((R_out - out) * f)) + 1

For a fee of 3000 pips numerator and denominator are exactly 1000 times those of the library's 997/1000 form,
so the fractions, and hence their floors, are the same; likewise for any fork whose fee is a fraction of 1e6.
Reserves are uint112, so the largest product is below 2**112 * 2**112 * 2**20 and 256 bits always suffice.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.layout import INSUFFICIENT_INPUT, INSUFFICIENT_LIQUIDITY, OK, OVERFLOW
from engine.amm.wide import constant, mul_128_64, mul_192_128_low, to_u128, to_u256
from engine.amm.wide_division import divide_256_nb

PIPS = 1_000_000
_PIPS = np.uint64(PIPS)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_max_reserve = constant(256, (1 << 112) - 1)


@njit(nogil=True, cache=True, error_model="numpy")
def amount_out_nb(amount_in, reserve_in, reserve_out, fee_pips):
    """Exact-in: (status, amount out U256).

    `amount_in` U256, reserves U128 (uint112), `fee_pips` unsigned. OVERFLOW where the pair would revert
    because the new reserve exceeds uint112. An amount too small to buy one unit gives (OK, 0), as the
    library does, although the pair refuses to pay out nothing.
    """
    zero = to_u256(_ZERO)
    if amount_in == zero:
        return INSUFFICIENT_INPUT, zero
    if reserve_in == to_u128(_ZERO) or reserve_out == to_u128(_ZERO):
        return INSUFFICIENT_LIQUIDITY, zero
    wide_reserve_in = to_u256(reserve_in)
    if amount_in > _max_reserve() or wide_reserve_in + amount_in > _max_reserve():
        return OVERFLOW, zero
    kept = mul_128_64(to_u128(amount_in), _PIPS - np.uint64(fee_pips))
    denominator = mul_128_64(reserve_in, _PIPS) + kept
    quotient, _ = divide_256_nb(mul_192_128_low(kept, reserve_out), to_u256(denominator))
    return OK, quotient


@njit(nogil=True, cache=True, error_model="numpy")
def amount_in_nb(amount_out, reserve_in, reserve_out, fee_pips):
    """Exact-out: (status, amount in U256), the library's `+ 1` form; arguments as in `amount_out_nb`."""
    status, quotient, _ = _amount_in_fraction(amount_out, reserve_in, reserve_out, fee_pips)
    if status != OK:
        return status, quotient
    return _bounded_input(quotient + to_u256(_ONE), reserve_in)


@njit(nogil=True, cache=True, error_model="numpy")
def least_amount_in_nb(amount_out, reserve_in, reserve_out, fee_pips):
    """The least input for which the pair pays `amount_out`: the ceiling of the library's fraction.

    UniswapV2Pair.swap's K check is (R_in * 1e6 + in * f) * (R_out - out) >= R_in * R_out * 1e6, that is
    in >= R_in * out * 1e6 / ((R_out - out) * f); one less than `amount_in_nb` where that divides exactly.
    """
    status, quotient, has_remainder = _amount_in_fraction(amount_out, reserve_in, reserve_out, fee_pips)
    if status != OK:
        return status, quotient
    if has_remainder:
        quotient = quotient + to_u256(_ONE)
    return _bounded_input(quotient, reserve_in)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _amount_in_fraction(amount_out, reserve_in, reserve_out, fee_pips):
    zero = to_u256(_ZERO)
    if amount_out == zero:
        return INSUFFICIENT_INPUT, zero, False
    if reserve_in == to_u128(_ZERO) or amount_out >= to_u256(reserve_out):
        return INSUFFICIENT_LIQUIDITY, zero, False
    paid_out = to_u128(amount_out)
    numerator = mul_192_128_low(mul_128_64(reserve_in, _PIPS), paid_out)
    denominator = mul_128_64(reserve_out - paid_out, _PIPS - np.uint64(fee_pips))
    quotient, has_remainder = divide_256_nb(numerator, to_u256(denominator))
    return OK, quotient, has_remainder


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _bounded_input(amount_in, reserve_in):
    if amount_in > _max_reserve() or to_u256(reserve_in) + amount_in > _max_reserve():
        return OVERFLOW, to_u256(_ZERO)
    return OK, amount_in
