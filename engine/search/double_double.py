"""Real numbers of about 106 bits as unevaluated sums of two float64, compiled.

Closed forms are evaluated in these so that the optimum's integer part is right for amounts far beyond 2**53.
Algorithms: T. J. Dekker, "A floating-point technique for extending the available precision" (1971);
D. E. Knuth, TAOCP vol. 2, 4.2.2. A number is a tuple (high, low) with |low| <= ulp(high) / 2.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.wide import limb0, limb1, limb2, limb3, make_u256

_SPLITTER = 134217729.0  # 2**27 + 1
_LOW32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)
_ZERO = np.uint64(0)


@njit(nogil=True, cache=True, error_model="numpy")
def _two_sum_nb(a, b):
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@njit(nogil=True, cache=True, error_model="numpy")
def _quick_two_sum_nb(a, b):
    s = a + b
    return s, b - (s - a)


@njit(nogil=True, cache=True, error_model="numpy")
def _two_product_nb(a, b):
    p = a * b
    t = _SPLITTER * a
    a_high = t - (t - a)
    a_low = a - a_high
    t = _SPLITTER * b
    b_high = t - (t - b)
    b_low = b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


@njit(nogil=True, cache=True, error_model="numpy")
def dd_add_nb(a, b):
    """a + b."""
    s, e = _two_sum_nb(a[0], b[0])
    t, f = _two_sum_nb(a[1], b[1])
    s, e = _quick_two_sum_nb(s, e + t)
    return _quick_two_sum_nb(s, e + f)


@njit(nogil=True, cache=True, error_model="numpy")
def dd_subtract_nb(a, b):
    """a - b."""
    return dd_add_nb(a, (-b[0], -b[1]))


@njit(nogil=True, cache=True, error_model="numpy")
def dd_multiply_nb(a, b):
    """a * b."""
    p, e = _two_product_nb(a[0], b[0])
    return _quick_two_sum_nb(p, e + (a[0] * b[1] + a[1] * b[0]))


@njit(nogil=True, cache=True, error_model="numpy")
def dd_divide_nb(a, b):
    """a / b for b != 0."""
    q1 = a[0] / b[0]
    r = dd_subtract_nb(a, dd_multiply_nb((q1, 0.0), b))
    q2 = r[0] / b[0]
    r = dd_subtract_nb(r, dd_multiply_nb((q2, 0.0), b))
    q3 = r[0] / b[0]
    s, e = _quick_two_sum_nb(q1, q2)
    return dd_add_nb((s, e), (q3, 0.0))


@njit(nogil=True, cache=True, error_model="numpy")
def dd_sqrt_nb(a):
    """Square root of a > 0: one Newton iteration on the float64 root."""
    root = math.sqrt(a[0])
    square = _two_product_nb(root, root)
    rest = dd_subtract_nb(a, square)
    return _quick_two_sum_nb(root, rest[0] / (2.0 * root))


@njit(nogil=True, cache=True, error_model="numpy")
def dd_from_limbs_nb(l0, l1, l2, l3):
    """The nearest double-double of four uint64 limbs, little-endian."""
    total = (0.0, 0.0)
    for limb, scale in (
        (l0, 1.0),
        (l1, 18446744073709551616.0),
        (l2, 18446744073709551616.0**2),
        (l3, 18446744073709551616.0**3),
    ):
        if limb != _ZERO:
            low = np.float64(limb & _LOW32) * scale
            high = np.float64(limb >> _S32) * scale * 4294967296.0
            total = dd_add_nb(total, _two_sum_nb(high, low))
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def dd_from_u256_nb(value):
    """The nearest double-double of a U256."""
    return dd_from_limbs_nb(limb0(value), limb1(value), limb2(value), limb3(value))


@njit(nogil=True, cache=True, error_model="numpy")
def _float_to_u256_nb(value):
    """floor(value) for 0 <= value < 2**255."""
    zero = make_u256(_ZERO, _ZERO, _ZERO, _ZERO)
    if not value >= 1.0:
        return zero
    mantissa, exponent = math.frexp(value)
    whole = np.uint64(mantissa * 9007199254740992.0)
    shift = exponent - 53
    if shift <= 0:
        return make_u256(whole >> np.uint64(-shift), _ZERO, _ZERO, _ZERO)
    return make_u256(whole, _ZERO, _ZERO, _ZERO) << np.uint64(shift)


@njit(nogil=True, cache=True, error_model="numpy")
def dd_to_u256_nb(value):
    """The U256 within one unit of a double-double; 0 for negatives and NaN, 2**128 for anything above it."""
    if not value[0] < 3.402823669209385e38:
        return make_u256(_ZERO, _ZERO, np.uint64(1), _ZERO)
    high = _float_to_u256_nb(value[0])
    if value[1] >= 0.0:
        return high + _float_to_u256_nb(value[1])
    low = _float_to_u256_nb(-value[1])
    return high - low if high >= low else high - high
