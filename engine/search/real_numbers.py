"""Real numbers of about 106 bits by fused multiply-add, for closed forms that must be right to the unit.

A number is a pair (high, low) of float64 with |low| <= ulp(high) / 2, as in `double_double`; a product's
error is exact and one instruction here (on processors without it, a library call). Sources: T. J. Dekker
(1971); M. Joldes, J.-M. Muller and V. Popescu, "Tight and rigorous error bounds for basic building blocks of
double-word arithmetic" (2017), algorithms 6, 9, 12 and 15.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numba.core import types

from engine.amm.wide import instruction


@instruction
def fma(typingctx, a, b, c):
    """a * b + c with one rounding."""

    def codegen(context, builder, sig, args):
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), codegen


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def sum_nb(a, b):
    """a + b of two float64, exact."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _normal_nb(high, low):
    s = high + low
    return s, low - (s - high)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def add_nb(a, b):
    """a + b of two pairs."""
    s, e = sum_nb(a[0], b[0])
    t, f = sum_nb(a[1], b[1])
    s, e = _normal_nb(s, e + t)
    return _normal_nb(s, e + f)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def scale_nb(a, b):
    """Pair a times float64 b."""
    p = a[0] * b
    return _normal_nb(p, fma(a[1], b, fma(a[0], b, -p)))


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def multiply_nb(a, b):
    """a * b of two pairs."""
    p = a[0] * b[0]
    e = fma(a[0], b[0], -p)
    return _normal_nb(p, e + fma(a[0], b[1], a[1] * b[0]))


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def divide_nb(a, b):
    """a / b of two pairs, b not 0."""
    q = a[0] / b[0]
    p = scale_nb(b, q)
    rest = (a[0] - p[0]) + (a[1] - p[1])
    return _normal_nb(q, rest / b[0])


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def sqrt_nb(a):
    """Square root of a pair above 0."""
    root = math.sqrt(a[0])
    rest = fma(-root, root, a[0]) + a[1]
    return _normal_nb(root, rest / (2.0 * root))


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def from_limbs_nb(low, high):
    """The pair nearest to high * 2**64 + low."""
    upper, lower = np.float64(low >> np.uint64(32)) * 4294967296.0, np.float64(low & np.uint64(0xFFFFFFFF))
    total = sum_nb(upper, lower)
    if high == np.uint64(0):
        return total
    upper, lower = np.float64(high >> np.uint64(32)) * 4294967296.0, np.float64(high & np.uint64(0xFFFFFFFF))
    top = sum_nb(upper * 18446744073709551616.0, lower * 18446744073709551616.0)
    return add_nb(top, total)
