"""256-bit arithmetic that knows when Solidity's checked arithmetic reverts, and fees floored on the input.

Every function answers (value U256, fits); `fits` is False where the contract reverts, and the value is then
meaningless.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.quotient import divide_nb as divide_wide_nb
from engine.amm.wide import (
    constant,
    limb0,
    limb1,
    limb2,
    limb3,
    make_u256,
    mul_256_64,
    mul_256_256,
    to_u256,
    to_u320,
    to_u512,
)
from engine.amm.wide_digits import digit_1

E18 = 10**18
e18 = constant(256, E18)

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
# 1e18 shifted until its top bit is set, and that divisor's reciprocal floor((2**128 - 1) / d) - 2**64.
_SHIFT = np.uint64(64 - E18.bit_length())
_DIVISOR = np.uint64(E18 << (64 - E18.bit_length()))
_RECIPROCAL = np.uint64(((1 << 128) - 1) // (E18 << (64 - E18.bit_length())) - (1 << 64))
_CARRIED = np.uint64(E18.bit_length())


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def checked_product_nb(a, b):
    """a * b on U256s."""
    product = mul_256_256(a, b)
    value = to_u256(product)
    return value, to_u512(value) == product


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def checked_sum_nb(a, b):
    """a + b on U256s."""
    value = a + b
    return value, value >= a


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def divide_e18_nb(value):
    """floor(value / 1e18) of a U256, as U256; limbs of leading zeros cost nothing."""
    l0, l1, l2, l3 = limb0(value), limb1(value), limb2(value), limb3(value)
    q3 = q2 = q1 = _ZERO
    if l3:
        q3, rest = digit_1((l3 >> _CARRIED,), (l3 << _SHIFT) | (l2 >> _CARRIED), (_DIVISOR,), _RECIPROCAL)
    else:
        rest = (l2 >> _CARRIED,)
    if l3 or l2:
        q2, rest = digit_1(rest, (l2 << _SHIFT) | (l1 >> _CARRIED), (_DIVISOR,), _RECIPROCAL)
    else:
        rest = (l1 >> _CARRIED,)
    q1, rest = digit_1(rest, (l1 << _SHIFT) | (l0 >> _CARRIED), (_DIVISOR,), _RECIPROCAL)
    q0, rest = digit_1(rest, l0 << _SHIFT, (_DIVISOR,), _RECIPROCAL)
    return make_u256(q0, q1, q2, q3)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def net_input_nb(amount, fee, denominator):
    """What is left of `amount` U256 after a fee floored on it: amount - floor(amount * fee / denominator).

    `fee` and `denominator` uint64; a fee above the whole does not fit.
    """
    product = mul_256_64(amount, fee)
    value = to_u256(product)
    if denominator == _ZERO or fee > denominator or to_u320(value) != product:
        return to_u256(_ZERO), False
    taken, _ = divide_wide_nb(value, to_u256(denominator))
    return amount - taken, True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def least_gross_input_nb(net, fee, denominator):
    """The least amount of which at least `net` > 0 is left by `net_input_nb`.

    a - floor(a f / D) = ceil(a (D - f) / D) >= n exactly when a (D - f) > (n - 1) D, hence
    a = floor((n - 1) D / (D - f)) + 1. A fee of the whole input or more does not fit, nor does an amount
    whose fee the contract could not compute.
    """
    zero = to_u256(_ZERO)
    if fee >= denominator:
        return zero, False
    product = mul_256_64(net - to_u256(_ONE), denominator)
    value = to_u256(product)
    if to_u320(value) != product:
        return zero, False
    quotient, _ = divide_wide_nb(value, to_u256(denominator - fee))
    amount = quotient + to_u256(_ONE)
    charged = mul_256_64(amount, fee)
    return amount, to_u320(to_u256(charged)) == charged
