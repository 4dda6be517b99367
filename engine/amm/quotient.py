"""Exact quotients found by floating point and settled in integers, for the hot paths.

An estimate of numerator and inverse divisor, a little too small, gives the leading bits of the quotient; what
that leaves of the numerator gives the rest the same way, and one comparison settles the last unit. Rounding
is bounded, not assumed away, so the result is exact on every IEEE machine, with or without fused operations.

Let t = n / d, U = 2**-48. Estimates of n must be within 7 U / 32 of n, inverses (made smaller by U) likewise
of 1 / d, so a float quotient is below t and above t (1 - 1.5 U). A part is its floor, the first in units of
2**46, the last in units of one:

- t < 2**93: the first part leaves less than (2**46 + 0.75 * 2**46) d, and the last, short of that by less
  than 1 + 1.75 * 2**46 * 1.5 U < 1.7, less than 2 d.
- Beyond, a part in units of 2**92 goes before these. It leaves less than 2**93 d.

So the low limbs of the numerator are enough: 192 bits for a divisor below 2**127, 320 for one below 2**226.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types

from engine.amm.wide import (
    WideUnsigned,
    instruction,
    limb1,
    limb2,
    limb3,
    mul_128_64,
    mul_256_64,
    multiplier,
    split_limbs,
    stay_whole,
    to_u128,
    to_u256,
)
from engine.amm.wide_division import divide_256_nb

EST_MIDDLE = 2.0**93  # quotients of `quotient_192_nb` are estimated below this
EST_WIDE = 2.0**126  # and those of `quotient_320_nb` below this

_FLOAT = ir.DoubleType()
_ONE = np.uint64(1)
_ZERO = np.uint64(0)
_TOP_BIT = np.uint64(63)
_BITS_34 = np.uint64(34)
_BITS_46 = np.uint64(46)
_BITS_92 = np.uint64(92)
_BELOW = 1.0 - 2.0**-48
_BY_TWO_46, _BY_TWO_92 = 2.0**-46, 2.0**-92

_mul_128_64_128 = multiplier(128, 64, 128)


@instruction
def est_wide(typingctx, value):
    """A float64 within 4 * 2**-53 of a wide integer: fewer operations in a row than `to_float`."""
    if not isinstance(value, WideUnsigned):
        return None

    def codegen(context, builder, sig, args):
        parts = [builder.uitofp(limb, _FLOAT) for limb in split_limbs(builder, args[0], value.bits // 64)]
        shape = ir.FunctionType(_FLOAT, [_FLOAT] * 3)
        fused = builder.module.declare_intrinsic("llvm.fmuladd", [_FLOAT], shape)
        bits = 64
        while len(parts) > 1:
            scale = ir.Constant(_FLOAT, 2.0**bits)
            pairs = zip(parts[::2], parts[1::2], strict=False)
            odd = parts[len(parts) & ~1 :]
            parts = [builder.call(fused, [high, scale, low]) for low, high in pairs] + odd
            bits *= 2
        return parts[0]

    return types.float64(value), codegen


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def est_inverse_nb(est_divisor):
    """The inverse of an estimated divisor, float64, as the quotients below want it."""
    return _BELOW / est_divisor


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def is_narrow_nb(divisor):
    """Whether `quotient_192_nb` divides by this U128."""
    return limb1(divisor) >> _TOP_BIT == _ZERO


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def quotient_192_nb(numerator, divisor, est_quotient, est_inverse):
    """(floor of the quotient, remainder), both U128.

    `numerator` U192 (modulo 2**192), `divisor` U128 positive and narrow; `est_quotient` float64, the estimate
    of the whole numerator times `est_inverse`, below EST_MIDDLE.
    """
    first = np.uint64(est_quotient * _BY_TWO_46)
    rest = numerator - (mul_128_64(divisor, first) << _BITS_46)
    last = np.uint64(est_wide(rest) * est_inverse)
    left = to_u128(rest) - _mul_128_64_128(divisor, last)
    if left >= divisor:
        last += _ONE
        left = left - divisor
    return (to_u128(first) << _BITS_46) + to_u128(last), left


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def is_medium_nb(divisor):
    """Whether `quotient_320_nb` divides by this U256."""
    return limb3(divisor) >> _BITS_34 == _ZERO


def _wide_quotient(multiply: Any, multiply_low: Any, to_divisor_width: Any) -> Any:
    """A division with three parts: `multiply` takes a divisor and a limb to the numerator's width,
    `multiply_low` is modulo the divisor's."""

    @njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
    def quotient_nb(numerator, divisor, est_quotient, est_inverse):
        quotient = to_u128(_ZERO)
        if est_quotient >= EST_MIDDLE:
            part = np.uint64(est_quotient * _BY_TWO_92)
            numerator = numerator - (multiply(divisor, part) << _BITS_92)
            quotient = to_u128(part) << _BITS_92
            est_quotient = est_wide(numerator) * est_inverse
        first = np.uint64(est_quotient * _BY_TWO_46)
        rest = numerator - (multiply(divisor, first) << _BITS_46)
        last = np.uint64(est_wide(rest) * est_inverse)
        left = to_divisor_width(rest) - multiply_low(divisor, last)
        if left >= divisor:
            last += _ONE
            left = left - divisor
        return quotient + (to_u128(first) << _BITS_46) + to_u128(last), left

    return quotient_nb


# (floor of the quotient U128, remainder as wide as the divisor) of a numerator U320 (modulo 2**320) by a
# positive medium U256, or U256 (modulo 2**256) by a positive narrow U128; `est_quotient` is below EST_WIDE.
quotient_320_nb = _wide_quotient(mul_256_64, multiplier(256, 64, 256), to_u256)
quotient_256_nb = _wide_quotient(multiplier(128, 64, 256), multiplier(128, 64, 128), to_u128)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def divide_nb(numerator, divisor):
    """As `divide_256_nb`: (floor of the quotient U256, whether there is a remainder) of a U256 by a positive
    U256, by floats where both are ordinary."""
    stay_whole()
    if (limb2(divisor) | limb3(divisor)) == _ZERO and is_narrow_nb(to_u128(divisor)):
        narrow = to_u128(divisor)
        est_inverse = est_inverse_nb(est_wide(narrow))
        est_quotient = est_wide(numerator) * est_inverse
        if est_quotient < EST_WIDE:
            quotient, rest = quotient_256_nb(numerator, narrow, est_quotient, est_inverse)
            return to_u256(quotient), rest != to_u128(_ZERO)
    return divide_256_nb(numerator, divisor)
