"""Balancer's fixed point: checked 18-decimal arithmetic, and x**y through natural logarithm and exponential.

`pow_up_nb` answers bit for bit what FixedPoint.powUp over LogExpMath.pow answers. The method: write ln(x) as
a sum of known logarithms of e**(2**k) plus a short series, multiply by y, and undo it with the same table,
all in integers of 18, 20 or 36 decimals whose divisions truncate towards zero, so each quantity is kept here
as a magnitude and a sign. Divisions by constants use reciprocals computed when this module is imported.

Values are U256 with 18 decimals unless said otherwise. Checked functions return (value, True), and (0, False)
where the contract's arithmetic reverts.
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
    make_u128,
    make_u256,
    mul_128_128,
    mul_192_128_low,
    mul_256_256,
    to_u128,
    to_u192,
    to_u256,
    to_u512,
)
from engine.amm.wide_digits import digit_1

ONE = 10**18
MAX_POW_RELATIVE_ERROR = 10_000  # of 1e18: powUp adds this share of the raw power, rounded up, plus one
TABLE_DECIMALS = 20

_ZERO = np.uint64(0)
_ONE_LIMB = np.uint64(1)
_TWENTY = np.uint64(20)
_SIXTY_FOUR = np.uint64(64)
_one = constant(256, ONE)
_two = constant(256, 2 * ONE)
_four = constant(256, 4 * ONE)
_one_20 = constant(256, 10**20)
_one_36 = constant(256, 10**36)
_near_low = constant(256, 9 * 10**17)
_near_high = constant(256, 11 * 10**17)
_exponent_bound = constant(256, 2**254 // 10**20)
_greatest_exponent = constant(256, 130 * ONE)
_least_exponent = constant(256, 41 * ONE)
_pow_error = constant(256, MAX_POW_RELATIVE_ERROR)

# e**128 and e**64 as integers, rounded as the library publishes them, and their exponents.
_a0 = constant(256, 38877084059945950922200000000000000000000000000000000000)
_a1 = constant(256, 6235149080811616882910000000)
_a0_one = constant(256, 38877084059945950922200000000000000000000000000000000000 * ONE)
_a1_one = constant(256, 6235149080811616882910000000 * ONE)
_x0 = constant(256, 128 * ONE)
_x1 = constant(256, 64 * ONE)

# e**(2**k), k = 5 ... -4, with 20 decimals, as the library publishes them.
_POWERS_OF_E = (
    7896296018268069516100000000000000,
    888611052050787263676000000,
    298095798704172827474000,
    5459815003314423907810,
    738905609893065022723,
    271828182845904523536,
    164872127070012814685,
    128402541668774148407,
    113314845306682631683,
    106449445891785942956,
)
_EXPONENTS = tuple(32 * 10**TABLE_DECIMALS >> k for k in range(len(_POWERS_OF_E)))
_LIMB_MASK = (1 << 64) - 1
_POWER_LIMBS = np.array([(a & _LIMB_MASK, a >> 64) for a in _POWERS_OF_E], np.uint64)
_EXPONENT_LIMBS = np.array([(x & _LIMB_MASK, x >> 64) for x in _EXPONENTS], np.uint64)
_EXP_TABLE = 8  # exp stops at e**(1/4), ln goes on to e**(1/16)


def _reciprocal(divisor: int) -> tuple[int, int, int]:
    """(left shift, normalised divisor, its reciprocal) of a constant below 2**63."""
    left = 64 - divisor.bit_length()
    normalised = divisor << left
    return left, normalised, ((1 << 128) - 1) // normalised - (1 << 64)


# Row n divides by n up to 15, then come 1e18, 100, 1000, and from `_BY_ONE_20` on 5**20 times 1 to 12: there
# a value shifted right by 20 is divided by 1e20 times 1 to 12.
_BY_ONE, _BY_100, _BY_1000, _BY_ONE_20 = 16, 17, 18, 19
_DIVISORS = [1, *range(1, 16), ONE, 100, 1000, *(5**20 * n for n in range(1, 13))]
_RECIPROCALS = np.array([_reciprocal(divisor) for divisor in _DIVISORS], np.uint64)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _divide_nb(value, row):
    """floor(value / _DIVISORS[row]) of any U256."""
    left, divisor, v = _RECIPROCALS[row, 0], _RECIPROCALS[row, 1], _RECIPROCALS[row, 2]
    right = _SIXTY_FOUR - left
    l0, l1, l2, l3 = limb0(value), limb1(value), limb2(value), limb3(value)
    q3, q2, q1 = _ZERO, _ZERO, _ZERO
    rest = (_ZERO,)
    if l3:
        q3, rest = digit_1((l3 >> right,), l3 << left | l2 >> right, (divisor,), v)
        q2, rest = digit_1(rest, l2 << left | l1 >> right, (divisor,), v)
        q1, rest = digit_1(rest, l1 << left | l0 >> right, (divisor,), v)
    elif l2:
        q2, rest = digit_1((l2 >> right,), l2 << left | l1 >> right, (divisor,), v)
        q1, rest = digit_1(rest, l1 << left | l0 >> right, (divisor,), v)
    elif l1:
        q1, rest = digit_1((l1 >> right,), l1 << left | l0 >> right, (divisor,), v)
    else:
        rest = (l0 >> right,)
    q0, rest = digit_1(rest, l0 << left, (divisor,), v)
    return make_u256(q0, q1, q2, q3)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def divide_by_one_nb(value):
    """floor(value / 1e18) of any U256."""
    return _divide_nb(value, _BY_ONE)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def divide_by_1000_nb(value):
    """floor(value / 1000) of any U256."""
    return _divide_nb(value, _BY_1000)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def mul_nb(a, b):
    """a * b, checked: (0, False) past 256 bits."""
    if limb2(a) | limb3(a) | limb2(b) | limb3(b):
        product = mul_256_256(a, b)
        low = to_u256(product)
        if to_u512(low) != product:
            return to_u256(_ZERO), False
        return low, True
    return mul_128_128(to_u128(a), to_u128(b)), True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def div_nb(a, b):
    """floor(a / b), checked: (0, False) when b is zero."""
    if b == to_u256(_ZERO):
        return to_u256(_ZERO), False
    return divide_wide_nb(a, b)[0], True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def div_up_raw_nb(a, b):
    """ceil(a / b), checked."""
    if b == to_u256(_ZERO):
        return to_u256(_ZERO), False
    quotient, has_remainder = divide_wide_nb(a, b)
    if has_remainder:
        quotient = quotient + to_u256(_ONE_LIMB)
    return quotient, True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def mul_down_nb(a, b):
    """floor(a * b / 1e18), checked product."""
    product, ok = mul_nb(a, b)
    return divide_by_one_nb(product), ok


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def mul_up_nb(a, b):
    """ceil(a * b / 1e18), checked product."""
    product, ok = mul_nb(a, b)
    if product == to_u256(_ZERO):
        return product, ok
    one = to_u256(_ONE_LIMB)
    return divide_by_one_nb(product - one) + one, ok


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def div_down_nb(a, b):
    """floor(a * 1e18 / b), checked."""
    product, ok = mul_nb(a, _one())
    if not ok:
        return product, False
    return div_nb(product, b)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def div_up_nb(a, b):
    """ceil(a * 1e18 / b), checked."""
    product, ok = mul_nb(a, _one())
    if not ok:
        return product, False
    return div_up_raw_nb(product, b)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _table(rows, k):
    return to_u256(make_u128(rows[k, 0], rows[k, 1]))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _product(a, b):
    return mul_128_128(to_u128(a), to_u128(b))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _ln_far_nb(x):
    """|ln(x)| with 18 decimals and whether it is negative; x of 18 decimals, 0 < x < 2**255."""
    negative = x < _one()
    if negative:
        x = divide_wide_nb(_one_36(), x)[0]
    total = to_u256(_ZERO)
    if x >= _a0_one():
        x = divide_wide_nb(x, _a0())[0]
        total = total + _x0()
    if x >= _a1_one():
        x = divide_wide_nb(x, _a1())[0]
        total = total + _x1()
    hundred = np.uint64(100)
    total = _product(total, to_u256(hundred))
    x = mul_192_128_low(to_u192(x), to_u128(hundred))
    for k in range(len(_POWER_LIMBS)):
        power = _table(_POWER_LIMBS, k)
        if x >= power:
            x = divide_wide_nb(mul_192_128_low(to_u192(x), to_u128(_one_20())), power)[0]
            total = total + _table(_EXPONENT_LIMBS, k)
    z = divide_wide_nb(_product(x - _one_20(), _one_20()), x + _one_20())[0]
    z_squared = _divide_nb(_product(z, z) >> _TWENTY, _BY_ONE_20)
    series = term = z
    for n in range(3, 12, 2):
        term = _divide_nb(_product(term, z_squared) >> _TWENTY, _BY_ONE_20)
        series = series + _divide_nb(term, n)
    return _divide_nb(total + series + series, _BY_100), negative


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _divide_36(value):
    return _divide_nb(_divide_nb(value, _BY_ONE), _BY_ONE)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _ln_near_nb(x):
    """|ln(x)| with 36 decimals and whether it is negative; 0.9 < x < 1.1."""
    x = _product(x, _one())
    negative = x < _one_36()
    distance = _one_36() - x if negative else x - _one_36()
    z = divide_wide_nb(_product(distance, _one_36()), x + _one_36())[0]
    z_squared = _divide_36(_product(z, z))
    series = term = z
    for n in range(3, 16, 2):
        term = _divide_36(_product(term, z_squared))
        if term == to_u256(_ZERO):
            break
        series = series + _divide_nb(term, n)
    return series + series, negative


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _exp_nb(x, negative):
    """e**x, or e**-x, with 18 decimals; x at most 130e18."""
    whole = to_u256(_ONE_LIMB)
    if x >= _x0():
        x = x - _x0()
        whole = _a0()
    elif x >= _x1():
        x = x - _x1()
        whole = _a1()
    x = _product(x, to_u256(np.uint64(100)))
    product = _one_20()
    for k in range(_EXP_TABLE):
        exponent = _table(_EXPONENT_LIMBS, k)
        if x >= exponent:
            x = x - exponent
            power = make_u128(_POWER_LIMBS[k, 0], _POWER_LIMBS[k, 1])
            product = _divide_nb(mul_192_128_low(to_u192(product), power) >> _TWENTY, _BY_ONE_20)
    series = _one_20() + x
    term = x
    for n in range(2, 13):
        term = _divide_nb(_product(term, x) >> _TWENTY, _BY_ONE_20 + n - 1)
        if term == to_u256(_ZERO):
            break
        series = series + term
    product = _divide_nb(mul_192_128_low(to_u192(product), to_u128(series)) >> _TWENTY, _BY_ONE_20)
    result = to_u256(mul_256_256(product, whole))
    result = _divide_nb(result, _BY_100)
    if negative:
        return divide_wide_nb(_one_36(), result)[0]
    return result


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def pow_nb(x, y):
    """LogExpMath.pow: x**y, all of 18 decimals. Refuses x >= 2**255, y >= 2**254 / 1e20, and y * ln(x)
    outside [-41, 130]."""
    zero = to_u256(_ZERO)
    if y == zero:
        return _one(), True
    if x == zero:
        return zero, True
    if limb3(x) >> np.uint64(63) or y >= _exponent_bound():
        return zero, False
    if _near_low() < x and x < _near_high():
        fine, negative = _ln_near_nb(x)
        whole = _divide_nb(fine, _BY_ONE)
        rest = fine - _product(whole, _one())
        scaled = mul_192_128_low(to_u192(y), to_u128(whole))
        scaled = scaled + divide_by_one_nb(mul_192_128_low(to_u192(y), to_u128(rest)))
    else:
        logarithm, negative = _ln_far_nb(x)
        scaled = mul_192_128_low(to_u192(y), to_u128(logarithm))
    scaled = divide_by_one_nb(scaled)
    if scaled > (_least_exponent() if negative else _greatest_exponent()):
        return zero, False
    return _exp_nb(scaled, negative), True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def pow_up_nb(x, y, has_shortcuts):
    """FixedPoint.powUp: x**y, never below the true value. `has_shortcuts`: exponents 1, 2 and 4 by
    multiplication (V2 pools since 2022 and V3), instead of the logarithm (2021)."""
    if has_shortcuts:
        if y == _one():
            return x, True
        if y == _two():
            return mul_up_nb(x, x)
        if y == _four():
            square, ok = mul_up_nb(x, x)
            if not ok:
                return square, False
            return mul_up_nb(square, square)
    raw, ok = pow_nb(x, y)
    if not ok:
        return raw, False
    error, ok = mul_up_nb(raw, _pow_error())
    error = error + to_u256(_ONE_LIMB)
    result = raw + error
    return result, ok and result >= raw
