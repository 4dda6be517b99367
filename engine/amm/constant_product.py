"""Uniswap V2 and its forks, any fee: UniswapV2Library's getAmountOut and getAmountIn, the bounds of the pair.

With f = 1e6 - fee_pips the formulas are

    out = floor(in * f * R_out / (R_in * 1e6 + in * f))
    in  = floor(R_in * out * 1e6 / ((R_out - out) * f)) + 1

For a fee of 3000 pips numerator and denominator are exactly 1000 times those of the library's 997/1000 form,
so the fractions, and hence their floors, are the same; likewise for any fork whose fee is a fraction of 1e6.
Reserves are uint112, so the largest product is below 2**112 * 2**112 * 2**20 and 256 bits always suffice.

Where amounts and reserves are below 2**104, as nearly always, divisors are below 2**125 and the low 192 bits
of the products settle the quotient (`engine.amm.quotient`): inlined, half as many operations. The rest are
calls.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.layout import INSUFFICIENT_INPUT, INSUFFICIENT_LIQUIDITY, OK, OVERFLOW
from engine.amm.quotient import EST_MIDDLE, est_inverse_nb, est_wide, is_narrow_nb, quotient_192_nb
from engine.amm.wide import (
    limb1,
    limb2,
    limb3,
    mul_128_64,
    mul_192_128_low,
    multiplier,
    stay_whole,
    to_u128,
    to_u192,
    to_u256,
)
from engine.amm.wide_division import divide_256_nb

PIPS = 1_000_000
_PIPS = np.uint64(PIPS)
_EST_PIPS = float(PIPS)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_RESERVE_TOP = np.uint64(48)  # bits of a uint112's upper limb
_PLAIN_TOP = np.uint64(40)  # and of a plain amount's
_mul_128_64_low = multiplier(128, 64, 128)
_mul_128_128_low = multiplier(128, 128, 192)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _divide(numerator, divisor, est_numerator, est_divisor):
    """(floor of the quotient U256, whether there is a remainder) of a U256 by a U192 and their estimates."""
    est_inverse = est_inverse_nb(est_divisor)
    est_quotient = est_numerator * est_inverse
    if est_quotient < EST_MIDDLE and limb2(divisor) == _ZERO and is_narrow_nb(to_u128(divisor)):
        quotient, rest = quotient_192_nb(to_u192(numerator), to_u128(divisor), est_quotient, est_inverse)
        return to_u256(quotient), rest != to_u128(_ZERO)
    return divide_256_nb(numerator, to_u256(divisor))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _exceeds_reserve(amount, reserve):
    """Whether a reserve grown by a U256 amount is above uint112."""
    if limb2(amount) | limb3(amount) | (limb1(amount) >> _RESERVE_TOP):
        return True
    return limb1(to_u128(amount) + reserve) >> _RESERVE_TOP != _ZERO


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _are_plain(amount, reserve_in, reserve_out):
    """Whether a U256 amount and both reserves are positive and below 2**104."""
    above = (limb1(to_u128(amount)) | limb1(reserve_in) | limb1(reserve_out)) >> _PLAIN_TOP
    if above | limb2(amount) | limb3(amount):
        return False
    return amount != to_u256(_ZERO) and reserve_in != to_u128(_ZERO) and reserve_out != to_u128(_ZERO)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def amount_out_nb(amount_in, reserve_in, reserve_out, fee_pips):
    """Exact-in: (status, amount out U256).

    `amount_in` U256, reserves U128 (uint112), `fee_pips` unsigned, at most 1e6. OVERFLOW where the pair would
    revert because the new reserve exceeds uint112. An amount too small to buy one unit gives (OK, 0), as the
    library does, although the pair refuses to pay out nothing.
    """
    share = _PIPS - np.uint64(fee_pips)
    if _are_plain(amount_in, reserve_in, reserve_out):
        paid_in = to_u128(amount_in)
        est_kept = est_wide(paid_in) * np.float64(share)
        est_inverse = est_inverse_nb(est_wide(reserve_in) * _EST_PIPS + est_kept)
        est_quotient = est_kept * est_wide(reserve_out) * est_inverse
        if est_quotient < EST_MIDDLE:
            kept = _mul_128_64_low(paid_in, share)
            quotient, _ = quotient_192_nb(
                _mul_128_128_low(kept, reserve_out),
                _mul_128_64_low(reserve_in, _PIPS) + kept,
                est_quotient,
                est_inverse,
            )
            return np.int64(OK), to_u256(quotient)
    return _any_amount_out_nb(amount_in, reserve_in, reserve_out, share)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _any_amount_out_nb(amount_in, reserve_in, reserve_out, share):
    stay_whole()
    zero = to_u256(_ZERO)
    if amount_in == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    if reserve_in == to_u128(_ZERO) or reserve_out == to_u128(_ZERO):
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    if _exceeds_reserve(amount_in, reserve_in):
        return np.int64(OVERFLOW), zero
    kept = mul_128_64(to_u128(amount_in), share)
    denominator = mul_128_64(reserve_in, _PIPS) + kept
    est_kept = est_wide(to_u128(amount_in)) * np.float64(share)
    est_denominator = est_wide(reserve_in) * _EST_PIPS + est_kept
    quotient, _ = _divide(
        mul_192_128_low(kept, reserve_out), denominator, est_kept * est_wide(reserve_out), est_denominator
    )
    return np.int64(OK), quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def amount_in_nb(amount_out, reserve_in, reserve_out, fee_pips):
    """Exact-out: (status, amount in U256), the library's `+ 1` form; arguments as in `amount_out_nb`."""
    status, quotient, _ = _amount_in_fraction(amount_out, reserve_in, reserve_out, fee_pips)
    if status != OK:
        return status, quotient
    return _bounded_input(quotient + to_u256(_ONE), reserve_in)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
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


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _amount_in_fraction(amount_out, reserve_in, reserve_out, fee_pips):
    """(status, floor of the library's fraction U256, whether there is a remainder)."""
    share = _PIPS - np.uint64(fee_pips)
    if _are_plain(amount_out, reserve_in, reserve_out) and to_u128(amount_out) < reserve_out:
        paid_out = to_u128(amount_out)
        left = reserve_out - paid_out
        est_inverse = est_inverse_nb(est_wide(left) * np.float64(share))
        est_quotient = est_wide(reserve_in) * _EST_PIPS * est_wide(paid_out) * est_inverse
        if est_quotient < EST_MIDDLE:
            quotient, rest = quotient_192_nb(
                _mul_128_128_low(_mul_128_64_low(reserve_in, _PIPS), paid_out),
                _mul_128_64_low(left, share),
                est_quotient,
                est_inverse,
            )
            return np.int64(OK), to_u256(quotient), rest != to_u128(_ZERO)
    return _any_amount_in_fraction(amount_out, reserve_in, reserve_out, share)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _any_amount_in_fraction(amount_out, reserve_in, reserve_out, share):
    stay_whole()
    zero = to_u256(_ZERO)
    if amount_out == zero:
        return np.int64(INSUFFICIENT_INPUT), zero, False
    if reserve_in == to_u128(_ZERO) or amount_out >= to_u256(reserve_out) or share == _ZERO:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero, False
    paid_out = to_u128(amount_out)
    left = reserve_out - paid_out
    quotient, has_remainder = _divide(
        mul_192_128_low(mul_128_64(reserve_in, _PIPS), paid_out),
        mul_128_64(left, share),
        est_wide(reserve_in) * _EST_PIPS * est_wide(paid_out),
        est_wide(left) * np.float64(share),
    )
    return np.int64(OK), quotient, has_remainder


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _bounded_input(amount_in, reserve_in):
    if _exceeds_reserve(amount_in, reserve_in):
        return np.int64(OVERFLOW), to_u256(_ZERO)
    return np.int64(OK), amount_in
