"""a * b / d with a 512-bit product: Uniswap V3's FullMath.sol, mulDiv and mulDivRoundingUp."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.wide import mul_256_256, to_u256, to_u320, to_u512
from engine.amm.wide_division import divide_512_nb

_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def mul_div_nb(a, b, denominator):
    """(floor(a * b / denominator), True) on U256s; (0, False) where the contract reverts: division by zero or
    a quotient of more than 256 bits."""
    zero = to_u256(_ZERO)
    if denominator == zero:
        return zero, False
    quotient, _ = divide_512_nb(mul_256_256(a, b), to_u320(denominator))
    result = to_u256(quotient)
    if to_u512(result) != quotient:
        return zero, False
    return result, True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def mul_div_rounding_up_nb(a, b, denominator):
    """As `mul_div_nb` with the ceiling."""
    zero = to_u256(_ZERO)
    if denominator == zero:
        return zero, False
    quotient, has_remainder = divide_512_nb(mul_256_256(a, b), to_u320(denominator))
    if has_remainder:
        quotient = quotient + to_u512(_ONE)
    result = to_u256(quotient)
    if to_u512(result) != quotient:
        return zero, False
    return result, True
