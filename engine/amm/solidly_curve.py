"""The curve of Solidly pools: K of two balances, and the balance that keeps K, solved as each version does.

Balances in 18 decimals are x and y, w = 1e18, and every division is floored:

    K = (x y / w) (x x / w + y y / w) / w

The versions differ in how their _get_y evaluates K and stops:

    STABLE_V1         x (y y / w y / w) / w + (x x / w x / w) y / w; stops at a step of at most one, after 255
                      steps with what it has (Velodrome V1 Pair, Camelot)
    STABLE_V2         K itself, one unit corrected at the end; 255 steps without an end revert (Velodrome V2)
    STABLE_AERODROME  as STABLE_V2, but the last test scales the already scaled balances once more

Every function answers (value U256, fits); `fits` is False where the contract's arithmetic reverts.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.checked import checked_product_nb, checked_sum_nb, divide_e18_nb, e18
from engine.amm.quotient import divide_nb as divide_wide_nb
from engine.amm.wide import constant, mul_128_128, to_u128, to_u256

VOLATILE = 0
STABLE_V1 = 1
STABLE_V2 = 2
STABLE_AERODROME = 3

_NEWTON_STEPS = 255
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_THREE = np.uint64(3)
_two_128 = constant(256, 1 << 128)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def divide_nb(numerator, denominator):
    """(floor of the quotient U256, False when the denominator is zero)."""
    if denominator == to_u256(_ZERO):
        return numerator, False
    quotient, _ = divide_wide_nb(numerator, denominator)
    return quotient, True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def scale_nb(amount, unit):
    """An amount of a token with 10**decimals = `unit`, in 18 decimals: (U256, fits)."""
    product, fits = checked_product_nb(amount, e18())
    if unit == e18() or not fits:
        return amount, fits
    return divide_nb(product, unit)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _square(x):
    """floor(x * x / 1e18) of x < 2**128."""
    return divide_e18_nb(mul_128_128(to_u128(x), to_u128(x)))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def stable_k_nb(x, y):
    """The stable invariant of balances in 18 decimals: (U256, fits). A square beyond 256 bits reverts, so
    both are below 2**128 and the other products of two balances fit as well."""
    if x >= _two_128() or y >= _two_128():
        return to_u256(_ZERO), False
    product = divide_e18_nb(mul_128_128(to_u128(x), to_u128(y)))
    value, fits = checked_product_nb(product, _square(x) + _square(y))
    return divide_e18_nb(value), fits


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def invariant_nb(balance0, balance1, unit0, unit1, curve):
    """K of raw balances: (U256, fits)."""
    if curve == VOLATILE:
        return checked_product_nb(balance0, balance1)
    x, fits_x = scale_nb(balance0, unit0)
    y, fits_y = scale_nb(balance1, unit1)
    if not (fits_x and fits_y):
        return to_u256(_ZERO), False
    return stable_k_nb(x, y)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _slope(x, x_cubed, y_squared):
    """dK/dy = 3 x (y y) + x x x, each division floored: (U256, fits)."""
    triple, fits_triple = checked_product_nb(to_u256(_THREE), x)
    product, fits = checked_product_nb(triple, y_squared)
    return divide_e18_nb(product) + x_cubed, fits_triple and fits


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _step(k, target, slope):
    """|target - k| * 1e18 / slope: (U256, fits)."""
    gap = target - k if k < target else k - target
    scaled, fits = checked_product_nb(gap, e18())
    if not fits:
        return gap, False
    return divide_nb(scaled, slope)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def solve_v1_nb(x, target, y):
    """Velodrome V1's _get_y: (y, fits)."""
    zero, one = to_u256(_ZERO), to_u256(_ONE)
    if x >= _two_128():
        return zero, False
    x_cubed, fits_x = checked_product_nb(_square(x), x)
    x_cubed = divide_e18_nb(x_cubed)
    for _ in range(_NEWTON_STEPS):
        if y >= _two_128():
            return zero, False
        y_squared = _square(y)
        y_cubed, fits_1 = checked_product_nb(y_squared, y)
        left, fits_2 = checked_product_nb(x, divide_e18_nb(y_cubed))
        right, fits_3 = checked_product_nb(x_cubed, y)
        k = divide_e18_nb(left) + divide_e18_nb(right)
        slope, fits_4 = _slope(x, x_cubed, y_squared)
        step, fits_5 = _step(k, target, slope)
        if not (fits_x and fits_1 and fits_2 and fits_3 and fits_4 and fits_5):
            return zero, False
        if k < target:
            y, fits = checked_sum_nb(y, step)
        else:
            fits = step <= y
            y = y - step
        if not fits:
            return zero, False
        if step <= one:
            return y, True
    return y, True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def solve_v2_nb(x, target, y, unit0, unit1, curve):
    """Velodrome V2's and Aerodrome's _get_y: (y, fits); not converging does not fit."""
    zero, one = to_u256(_ZERO), to_u256(_ONE)
    if x >= _two_128():
        return zero, False
    x_squared = _square(x)
    x_cubed, fits_x = checked_product_nb(x_squared, x)
    x_cubed = divide_e18_nb(x_cubed)
    for _ in range(_NEWTON_STEPS):
        if y >= _two_128():
            return zero, False
        y_squared = _square(y)
        both = divide_e18_nb(mul_128_128(to_u128(x), to_u128(y)))
        k, fits_1 = checked_product_nb(both, x_squared + y_squared)
        k = divide_e18_nb(k)
        slope, fits_2 = _slope(x, x_cubed, y_squared)
        step, fits_3 = _step(k, target, slope)
        if not (fits_x and fits_1 and fits_2 and fits_3):
            return zero, False
        if step == zero:
            if k == target:
                return y, True
            done, fits, y_end = _settle(x, target, y, k < target, unit0, unit1, curve)
            if done or not fits:
                return y_end, fits
            step = one
        if k < target:
            y, fits = checked_sum_nb(y, step)
        else:
            fits = step <= y
            y = y - step
        if not fits:
            return zero, False
    return zero, False


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _settle(x, target, y, short, unit0, unit1, curve):
    """When the step vanishes: (is there no better y, fits, y). `short`: K at y is below the target."""
    one = to_u256(_ONE)
    if not short:
        if y == to_u256(_ZERO):
            return False, False, y
        below, fits = stable_k_nb(x, y - one)
        return below < target, fits, y
    if curve == STABLE_AERODROME:
        above, fits = invariant_nb(x, y + one, unit0, unit1, curve)
    else:
        above, fits = stable_k_nb(x, y + one)
    return above > target, fits, y + one


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def solve_nb(x, target, y, unit0, unit1, curve):
    if curve == STABLE_V1:
        return solve_v1_nb(x, target, y)
    return solve_v2_nb(x, target, y, unit0, unit1, curve)
