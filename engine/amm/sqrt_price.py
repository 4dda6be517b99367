"""Amounts between two sqrt prices and prices after an amount: Uniswap V3's SqrtPriceMath.sol.

Prices are U256 (uint160 values), liquidity U128, amounts U256. Rounding of nested divisions is kept by
floor(floor(n / b) / a) = floor(n / (a * b)) and the same for ceilings, so one division does for two. A price
that token0 moves is found by its distance, p - ceil(L p / (L + a p)) = floor(a p**2 / (L + a p)), which is
shorter. Ordinary operands take quotients guided by floats, extreme ones the contract's own path.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.full_math import mul_div_nb, mul_div_rounding_up_nb
from engine.amm.layout import INSUFFICIENT_LIQUIDITY, OK, OVERFLOW
from engine.amm.quotient import (
    EST_WIDE,
    est_inverse_nb,
    est_wide,
    is_medium_nb,
    is_narrow_nb,
    quotient_256_nb,
    quotient_320_nb,
)
from engine.amm.wide import (
    constant,
    limb1,
    limb2,
    limb3,
    mul_128_128,
    mul_128_192,
    mul_192_192,
    mul_256_192,
    multiplier,
    stay_whole,
    to_u128,
    to_u192,
    to_u256,
    to_u320,
    to_u512,
)
from engine.amm.wide_division import divide_256_nb, divide_512_nb

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_Q96_BITS = np.uint64(96)
_q96 = constant(256, 1 << 96)
_low_96 = constant(320, (1 << 96) - 1)
_max_price = constant(256, (1 << 160) - 1)
_EST_Q96 = 2.0**96
# Typed, so that numba does not compile each callee once per literal.
_ADD, _REMOVE = np.bool_(True), np.bool_(False)
_TOP_BIT = np.uint64(63)
_mul_256_128_320 = multiplier(256, 128, 320)  # modulo 2**320


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def amount0_delta_nb(price_a, price_b, liquidity, round_up):
    """Token0 between two prices: liquidity * 2**96 * |b - a| / (a * b); both prices positive."""
    stay_whole()
    lower, upper = price_a, price_b
    if lower > upper:
        lower, upper = upper, lower
    difference = to_u192(upper - lower)
    product = mul_128_192(liquidity, difference)
    if limb2(upper) == _ZERO:
        denominator = mul_128_128(to_u128(lower), to_u128(upper))
        est_inverse = est_inverse_nb(est_wide(to_u128(lower)) * est_wide(to_u128(upper)))
        est_quotient = est_wide(liquidity) * est_wide(difference) * _EST_Q96 * est_inverse
        if is_medium_nb(denominator) and est_quotient < EST_WIDE:
            narrow, rest = quotient_320_nb(product << _Q96_BITS, denominator, est_quotient, est_inverse)
            amount = to_u256(narrow)
            return amount + to_u256(_ONE) if round_up and rest != to_u256(_ZERO) else amount
    wide_denominator = to_u320(mul_192_192(to_u192(lower), to_u192(upper)))
    quotient, has_remainder = divide_512_nb(to_u512(product) << _Q96_BITS, wide_denominator)
    amount = to_u256(quotient)
    if round_up and has_remainder:
        amount = amount + to_u256(_ONE)
    return amount


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def amount1_delta_nb(price_a, price_b, liquidity, round_up):
    """Token1 between two prices: liquidity * |b - a| / 2**96."""
    lower, upper = price_a, price_b
    if lower > upper:
        lower, upper = upper, lower
    product = mul_128_192(liquidity, to_u192(upper - lower))
    amount = to_u256(product >> _Q96_BITS)
    if round_up and (product & _low_96()) != to_u320(_ZERO):
        amount = amount + to_u256(_ONE)
    return amount


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _any_price_from_amount0_nb(price, liquidity, amount, add):
    """The contract's own path."""
    stay_whole()
    zero = to_u256(_ZERO)
    if amount == zero:
        return OK, price
    scaled = to_u256(liquidity) << _Q96_BITS
    full_product = mul_256_192(amount, to_u192(price))
    product = to_u256(full_product)
    fits = to_u512(product) == full_product
    if add:
        if fits:
            denominator = scaled + product
            if denominator >= scaled:
                result, _ = mul_div_rounding_up_nb(scaled, price, denominator)
                return OK, result
        quotient, _ = divide_256_nb(scaled, price)
        denominator = quotient + amount
        if denominator < amount:
            return OVERFLOW, zero
        result, has_remainder = divide_256_nb(scaled, denominator)
        return OK, result + to_u256(_ONE) if has_remainder else result
    if not fits or scaled <= product:
        return INSUFFICIENT_LIQUIDITY, zero
    result, exact = mul_div_rounding_up_nb(scaled, price, scaled - product)
    if not exact or result > _max_price():
        return OVERFLOW, zero
    return OK, result


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def next_price_from_amount0_nb(price, liquidity, amount, add):
    """(status, price after `amount` of token0 is added to or removed from the pool), rounded up."""
    stay_whole()
    if (limb2(price) | limb2(amount) | limb3(amount) | (limb1(amount) >> _TOP_BIT)) == _ZERO:
        product = mul_128_128(to_u128(amount), to_u128(price))
        scaled = to_u256(liquidity) << _Q96_BITS
        est_product = est_wide(to_u128(amount)) * est_wide(to_u128(price))
        est_scaled = est_wide(liquidity) * _EST_Q96
        # Sums of at most 2**224 + 2**255 fit; a difference keeps its estimate when it is not small.
        denominator = scaled + product if add else scaled - product
        est_denominator = est_scaled + est_product if add else est_wide(denominator)
        est_inverse = est_inverse_nb(est_denominator)
        est_quotient = est_product * est_wide(to_u128(price)) * est_inverse
        if (add or product < scaled) and is_medium_nb(denominator) and est_quotient < EST_WIDE:
            numerator = _mul_256_128_320(product, to_u128(price))
            distance, left = quotient_320_nb(numerator, denominator, est_quotient, est_inverse)
            if add:
                return OK, price - to_u256(distance)
            result = price + to_u256(distance)
            return OK, result + to_u256(_ONE) if left != to_u256(_ZERO) else result
    return _any_price_from_amount0_nb(price, liquidity, amount, add)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _shift_of_amount1_nb(liquidity, amount, round_up):
    """(amount * 2**96 / liquidity as the contract rounds it, False where it reverts)."""
    stay_whole()
    if (limb2(amount) | limb3(amount)) == _ZERO and is_narrow_nb(liquidity):
        est_inverse = est_inverse_nb(est_wide(liquidity))
        est_quotient = est_wide(to_u128(amount)) * _EST_Q96 * est_inverse
        if est_quotient < EST_WIDE:
            distance, left = quotient_256_nb(amount << _Q96_BITS, liquidity, est_quotient, est_inverse)
            result = to_u256(distance)
            return result + to_u256(_ONE) if round_up and left != to_u128(_ZERO) else result, True
    if round_up:
        return mul_div_rounding_up_nb(amount, _q96(), to_u256(liquidity))
    return mul_div_nb(amount, _q96(), to_u256(liquidity))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def next_price_from_amount1_nb(price, liquidity, amount, add):
    """(status, price after `amount` of token1 is added to or removed from the pool), rounded down."""
    zero = to_u256(_ZERO)
    quotient, exact = _shift_of_amount1_nb(liquidity, amount, not add)
    if add:
        result = price + quotient
        if not exact or result < price or result > _max_price():
            return OVERFLOW, zero
        return OK, result
    if not exact:
        return OVERFLOW, zero
    if price <= quotient:
        return INSUFFICIENT_LIQUIDITY, zero
    return OK, price - quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def next_price_from_input_nb(price, liquidity, amount_in, zero_for_one):
    """(status, price after `amount_in` net of fee); rounds so that the target is never passed."""
    if zero_for_one:
        return next_price_from_amount0_nb(price, liquidity, amount_in, _ADD)
    return next_price_from_amount1_nb(price, liquidity, amount_in, _ADD)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def next_price_from_output_nb(price, liquidity, amount_out, zero_for_one):
    """(status, price after `amount_out` was taken); rounds so that the pool gives at least that much."""
    if zero_for_one:
        return next_price_from_amount1_nb(price, liquidity, amount_out, _REMOVE)
    return next_price_from_amount0_nb(price, liquidity, amount_out, _REMOVE)
