"""Amounts between two sqrt prices and prices after an amount: Uniswap V3's SqrtPriceMath.sol.

Prices are U256 (uint160 values), liquidity U128, amounts U256. Rounding of nested divisions is kept by
floor(floor(n / b) / a) = floor(n / (a * b)) and the same for ceilings, so one division does for two.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.full_math import mul_div_nb, mul_div_rounding_up_nb
from engine.amm.layout import INSUFFICIENT_LIQUIDITY, OK, OVERFLOW
from engine.amm.wide import (
    constant,
    mul_128_192,
    mul_192_192,
    mul_256_192,
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


@njit(nogil=True, cache=True, error_model="numpy")
def amount0_delta_nb(price_a, price_b, liquidity, round_up):
    """Token0 between two prices: liquidity * 2**96 * |b - a| / (a * b); both prices positive."""
    lower, upper = price_a, price_b
    if lower > upper:
        lower, upper = upper, lower
    numerator = to_u512(mul_128_192(liquidity, to_u192(upper - lower))) << _Q96_BITS
    denominator = to_u320(mul_192_192(to_u192(lower), to_u192(upper)))
    quotient, has_remainder = divide_512_nb(numerator, denominator)
    amount = to_u256(quotient)
    if round_up and has_remainder:
        amount = amount + to_u256(_ONE)
    return amount


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
def next_price_from_amount0_nb(price, liquidity, amount, add):
    """(status, price after `amount` of token0 is added to or removed from the pool), rounded up."""
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


@njit(nogil=True, cache=True, error_model="numpy")
def next_price_from_amount1_nb(price, liquidity, amount, add):
    """(status, price after `amount` of token1 is added to or removed from the pool), rounded down."""
    zero = to_u256(_ZERO)
    if add:
        quotient, exact = mul_div_nb(amount, _q96(), to_u256(liquidity))
        result = price + quotient
        if not exact or result < price or result > _max_price():
            return OVERFLOW, zero
        return OK, result
    quotient, exact = mul_div_rounding_up_nb(amount, _q96(), to_u256(liquidity))
    if not exact:
        return OVERFLOW, zero
    if price <= quotient:
        return INSUFFICIENT_LIQUIDITY, zero
    return OK, price - quotient


@njit(nogil=True, cache=True, error_model="numpy")
def next_price_from_input_nb(price, liquidity, amount_in, zero_for_one):
    """(status, price after `amount_in` net of fee); rounds so that the target is never passed."""
    if zero_for_one:
        return next_price_from_amount0_nb(price, liquidity, amount_in, True)
    return next_price_from_amount1_nb(price, liquidity, amount_in, True)


@njit(nogil=True, cache=True, error_model="numpy")
def next_price_from_output_nb(price, liquidity, amount_out, zero_for_one):
    """(status, price after `amount_out` was taken); rounds so that the pool gives at least that much."""
    if zero_for_one:
        return next_price_from_amount1_nb(price, liquidity, amount_out, False)
    return next_price_from_amount0_nb(price, liquidity, amount_out, False)
