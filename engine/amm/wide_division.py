"""Exact division of wide unsigned integers: schoolbook long division, one 64-bit digit at a time."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.wide import (
    leading_zeros,
    limb0,
    limb1,
    limb2,
    limb3,
    limb4,
    limb5,
    limb6,
    limb7,
    stay_whole,
    to_u256,
    to_u320,
    to_u512,
)
from engine.amm.wide_digits import (
    digit_1,
    digit_2,
    digit_3,
    digit_4,
    digit_5,
    get_limb,
    read_256,
    read_320,
    read_512,
    reciprocal_1_nb,
    reciprocal_2_nb,
    set_limb,
    set_limbs,
    stack_limbs,
)

_ZERO = np.uint64(0)
_SIXTY_FOUR = np.uint64(64)

# Each `_digits_k` divides the limbs of `numerator` by a normalised divisor of k limbs. The remainder starts
# as limbs [length, length + k), less than the divisor; quotient digits are written from length - 1 down.


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _digits_1(numerator, length, d0, quotient):
    v = reciprocal_1_nb(d0)
    rest = (get_limb(numerator, length),)
    for j in range(length - 1, -1, -1):
        digit, rest = digit_1(rest, get_limb(numerator, j), (d0,), v)
        set_limb(quotient, j, digit)
    return rest[0]


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _digits_2(numerator, length, divisor, quotient):
    v = reciprocal_2_nb(divisor[1], divisor[0])
    rest = (get_limb(numerator, length), get_limb(numerator, length + 1))
    for j in range(length - 1, -1, -1):
        digit, rest = digit_2(rest, get_limb(numerator, j), divisor, v)
        set_limb(quotient, j, digit)
    return rest[0] | rest[1]


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _digits_3(numerator, length, divisor, quotient):
    v = reciprocal_2_nb(divisor[2], divisor[1])
    rest = (
        get_limb(numerator, length),
        get_limb(numerator, length + 1),
        get_limb(numerator, length + 2),
    )
    for j in range(length - 1, -1, -1):
        digit, rest = digit_3(rest, get_limb(numerator, j), divisor, v)
        set_limb(quotient, j, digit)
    return rest[0] | rest[1] | rest[2]


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _digits_4(numerator, length, divisor, quotient):
    v = reciprocal_2_nb(divisor[3], divisor[2])
    rest = (
        get_limb(numerator, length),
        get_limb(numerator, length + 1),
        get_limb(numerator, length + 2),
        get_limb(numerator, length + 3),
    )
    for j in range(length - 1, -1, -1):
        digit, rest = digit_4(rest, get_limb(numerator, j), divisor, v)
        set_limb(quotient, j, digit)
    return rest[0] | rest[1] | rest[2] | rest[3]


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _digits_5(numerator, length, divisor, quotient):
    v = reciprocal_2_nb(divisor[4], divisor[3])
    rest = (
        get_limb(numerator, length),
        get_limb(numerator, length + 1),
        get_limb(numerator, length + 2),
        get_limb(numerator, length + 3),
        get_limb(numerator, length + 4),
    )
    for j in range(length - 1, -1, -1):
        digit, rest = digit_5(rest, get_limb(numerator, j), divisor, v)
        set_limb(quotient, j, digit)
    return rest[0] | rest[1] | rest[2] | rest[3] | rest[4]


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _limb_count_5(value):
    if limb4(value):
        return 5
    if limb3(value):
        return 4
    if limb2(value):
        return 3
    if limb1(value):
        return 2
    return 1


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _limb_count_8(value):
    if limb7(value):
        return 8
    if limb6(value):
        return 7
    if limb5(value):
        return 6
    return _limb_count_5(to_u320(value))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _divide_digits(numerator, length, limbs, divisor, quotient):
    """Dispatch on the divisor's limb count; returns the OR of the remainder's limbs."""
    d0, d1, d2, d3 = limb0(divisor), limb1(divisor), limb2(divisor), limb3(divisor)
    if limbs == 1:
        return _digits_1(numerator, length, d0, quotient)
    if limbs == 2:
        return _digits_2(numerator, length, (d0, d1), quotient)
    if limbs == 3:
        return _digits_3(numerator, length, (d0, d1, d2), quotient)
    if limbs == 4:
        return _digits_4(numerator, length, (d0, d1, d2, d3), quotient)
    return _digits_5(numerator, length, (d0, d1, d2, d3, limb4(divisor)), quotient)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _divisor_shift(divisor, limbs):
    if limbs == 1:
        return leading_zeros(limb0(divisor))
    if limbs == 2:
        return leading_zeros(limb1(divisor))
    if limbs == 3:
        return leading_zeros(limb2(divisor))
    if limbs == 4:
        return leading_zeros(limb3(divisor))
    return leading_zeros(limb4(divisor))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def divide_512_nb(numerator, divisor):
    """U512 by non-zero U320: (floor of the quotient as U512, whether there is a remainder)."""
    stay_whole()
    limbs = _limb_count_5(divisor)
    length = _limb_count_8(numerator) - limbs + 1
    if length <= 0:
        return to_u512(_ZERO), numerator != to_u512(_ZERO)
    shift = _divisor_shift(divisor, limbs)
    digits = stack_limbs(9)
    quotient = stack_limbs(8)
    set_limbs(quotient, to_u512(_ZERO))
    set_limbs(digits, numerator << shift)
    set_limb(digits, 8, limb7(numerator) >> (_SIXTY_FOUR - shift) if shift else _ZERO)
    rest = _divide_digits(digits, length, limbs, divisor << shift, quotient)
    return read_512(quotient), rest != _ZERO


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def divide_256_nb(numerator, divisor):
    """U256 by non-zero U256: (floor of the quotient, whether there is a remainder)."""
    stay_whole()
    wide_divisor = to_u320(divisor)
    limbs = _limb_count_5(wide_divisor)
    length = _limb_count_5(to_u320(numerator)) - limbs + 1
    if length <= 0:
        return to_u256(_ZERO), numerator != to_u256(_ZERO)
    shift = _divisor_shift(wide_divisor, limbs)
    digits = stack_limbs(5)
    quotient = stack_limbs(4)
    set_limbs(quotient, to_u256(_ZERO))
    set_limbs(digits, to_u320(numerator) << shift)
    rest = _divide_digits(digits, length, limbs, wide_divisor << shift, quotient)
    return read_256(quotient), rest != _ZERO


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def divide_by_limb_nb(numerator, divisor):
    """U320 by a non-zero uint64: (floor of the quotient as U320, whether there is a remainder)."""
    stay_whole()
    shift = leading_zeros(divisor)
    length = _limb_count_5(numerator)
    digits = stack_limbs(6)
    quotient = stack_limbs(5)
    set_limbs(quotient, to_u320(_ZERO))
    set_limbs(digits, numerator << shift)
    set_limb(digits, 5, limb4(numerator) >> (_SIXTY_FOUR - shift) if shift else _ZERO)
    rest = _digits_1(digits, length, divisor << shift, quotient)
    return read_320(quotient), rest != _ZERO
