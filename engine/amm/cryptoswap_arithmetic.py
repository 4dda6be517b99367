"""Checked and wrapping 256-bit arithmetic as Vyper does it, signed and unsigned, and the contracts' roots.

A checked operation that fails raises the flag `fault` (one limb on the stack, never lowered); the kernel that
owns the flag answers OVERFLOW at the end, and no loop depends on it for its bound. Signed integers are two's
complement U256; signed quotients truncate.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.quotient import divide_nb
from engine.amm.wide import (
    constant,
    leading_zeros,
    limb0,
    limb1,
    limb2,
    limb3,
    limb4,
    make_u256,
    mul_128_128,
    mul_128_192,
    mul_256_256,
    stay_whole,
    to_float,
    to_u128,
    to_u192,
    to_u256,
    to_u320,
    to_u512,
)
from engine.amm.wide_digits import digit_1, reciprocal_1_nb, set_limb

WAD = 10**18
wad_nb = constant(256, WAD)
_MILLION = np.uint64(10**6)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_THREE = np.uint64(3)
_SIXTY_THREE = np.uint64(63)
_root_limit = constant(256, 115792089237316195423570985008687907853269)
_wide_root_limit = constant(256, 115792089237316195423570985008687907853269 * WAD)
_wad_squared = constant(256, WAD**2)
_max_signed = constant(256, (1 << 255) - 1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def small_nb(value):
    """A non-negative machine integer as U256."""
    return to_u256(np.uint64(value))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def raise_if_nb(condition, fault):
    if condition:
        set_limb(fault, 0, _ONE)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def mul_nb(a, b, fault):
    """Unsigned product, checked."""
    stay_whole()
    if (limb2(a) | limb3(a) | limb2(b) | limb3(b)) == _ZERO:
        return mul_128_128(to_u128(a), to_u128(b))
    product = mul_256_256(a, b)
    low = to_u256(product)
    raise_if_nb(to_u512(low) != product, fault)
    return low


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def wrap_mul_nb(a, b):
    """Product modulo 2**256, of signed or unsigned factors."""
    stay_whole()
    return to_u256(mul_256_256(a, b))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def add_nb(a, b, fault):
    total = a + b
    raise_if_nb(total < a, fault)
    return total


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def sub_nb(a, b, fault):
    raise_if_nb(a < b, fault)
    return a - b


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def div_small_nb(a, divisor):
    """Unsigned quotient by a non-zero uint64, digit by digit in registers."""
    stay_whole()
    shift = leading_zeros(divisor)
    normal = (divisor << shift,)
    v = reciprocal_1_nb(normal[0])
    n = to_u320(a) << shift
    q3 = q2 = q1 = _ZERO
    if limb3(a):
        q3, rest = digit_1((limb4(n),), limb3(n), normal, v)
    else:
        rest = (limb3(n),)
    if limb3(a) | limb2(a):
        q2, rest = digit_1(rest, limb2(n), normal, v)
    else:
        rest = (limb2(n),)
    if limb3(a) | limb2(a) | limb1(a):
        q1, rest = digit_1(rest, limb1(n), normal, v)
    else:
        rest = (limb1(n),)
    q0, _ = digit_1(rest, limb0(n), normal, v)
    return make_u256(q0, q1, q2, q3)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def quotient_nb(a, b):
    """Unsigned quotient by a non-zero U256."""
    quotient, _ = divide_nb(a, b)
    return quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def div_nb(a, b, fault):
    """Unsigned quotient; division by zero is a fault and gives zero."""
    if b == to_u256(_ZERO):
        set_limb(fault, 0, _ONE)
        return b
    return quotient_nb(a, b)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def mul_div_small_nb(a, b, divisor, fault):
    """Checked product, then the quotient by a non-zero uint64."""
    return div_small_nb(mul_nb(a, b, fault), divisor)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def negative_nb(a):
    return (limb3(a) >> _SIXTY_THREE) != _ZERO


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def minus_nb(a):
    return to_u256(_ZERO) - a


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def magnitude_nb(a):
    return minus_nb(a) if negative_nb(a) else a


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def positive_nb(a):
    """Signed a > 0."""
    return not negative_nb(a) and a != to_u256(_ZERO)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def signed_mul_nb(a, b, fault):
    stay_whole()
    product = mul_nb(magnitude_nb(a), magnitude_nb(b), fault)
    raise_if_nb(product > _max_signed(), fault)
    return minus_nb(product) if negative_nb(a) != negative_nb(b) else product


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def signed_add_nb(a, b, fault):
    total = a + b
    raise_if_nb(negative_nb(a) == negative_nb(b) and negative_nb(total) != negative_nb(a), fault)
    return total


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def signed_sub_nb(a, b, fault):
    difference = a - b
    raise_if_nb(negative_nb(a) != negative_nb(b) and negative_nb(difference) != negative_nb(a), fault)
    return difference


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def signed_div_nb(a, b, fault):
    stay_whole()
    quotient = div_nb(magnitude_nb(a), magnitude_nb(b), fault)
    return minus_nb(quotient) if negative_nb(a) != negative_nb(b) else quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def signed_div_small_nb(a, divisor):
    quotient = div_small_nb(magnitude_nb(a), divisor)
    return minus_nb(quotient) if negative_nb(a) else quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _from_float(value):
    """U256 of a float below 2**128, truncated."""
    high = np.uint64(value / 18446744073709551616.0)
    low = np.uint64(value - np.float64(high) * 18446744073709551616.0)
    return make_u256(low, high, _ZERO, _ZERO)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def square_root_nb(value):
    """Floor of the square root of a U256: Newton's method from the float64 root."""
    stay_whole()
    zero = to_u256(_ZERO)
    if value == zero:
        return zero
    # A root that would round up to 2**128 starts just below.
    seed = min(np.sqrt(to_float(value)), 3.4028236692093842e38)
    root = _from_float(seed)
    quotient = quotient_nb(value, root)
    root = (root + quotient) >> _ONE
    while True:
        quotient = quotient_nb(value, root)
        if quotient >= root:
            return root
        root = (root + quotient) >> _ONE


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _bit_length(value):
    if limb3(value):
        return np.uint64(256) - leading_zeros(limb3(value))
    if limb2(value):
        return np.uint64(192) - leading_zeros(limb2(value))
    if limb1(value):
        return np.uint64(128) - leading_zeros(limb1(value))
    return np.uint64(64) - leading_zeros(limb0(value))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _seven_steps(scaled):
    """The contracts' cube root as they compute it."""
    stay_whole()
    bits = _bit_length(scaled)
    log = bits - _ONE if bits else _ZERO
    root = to_u256(_ONE) << (log // _THREE)
    for _ in range(log % _THREE):
        root = wrap_mul_nb(root, to_u256(np.uint64(1260)))
    for _ in range(log % _THREE):
        root = div_small_nb(root, np.uint64(1000))
    for _ in range(7):
        quotient = to_u256(_ZERO)
        if root != quotient:
            quotient = quotient_nb(scaled, wrap_mul_nb(root, root))
        root = div_small_nb(root + root + quotient, _THREE)
    return root


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _cube(value):
    """U320, exact for arguments of up to 106 bits."""
    low = to_u128(value)
    return mul_128_192(low, to_u192(mul_128_128(low, low)))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _scaled_cube_root(scaled):
    """What seven Newton steps from the contracts' guess end at, in one step from the float64 root.

    The guess is within 21 % of the root, so six steps reach it to 1e-38 and the seventh the exact floor,
    except that the truncated step leads from c to c + 1 and back when scaled >= c**3 + 3 * c**2: there the
    steps are counted.
    """
    if scaled == to_u256(_ZERO):
        return scaled
    root = _from_float(np.cbrt(to_float(scaled)))
    quotient = quotient_nb(scaled, mul_128_128(to_u128(root), to_u128(root)))
    root = div_small_nb(root + root + quotient, _THREE)
    target = to_u320(scaled)
    while _cube(root) > target:
        root = root - to_u256(_ONE)
    while _cube(root + to_u256(_ONE)) <= target:
        root = root + to_u256(_ONE)
    square = to_u320(mul_128_128(to_u128(root), to_u128(root)))
    if target - _cube(root) >= square + square + square:
        return _seven_steps(scaled)
    return root


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def cube_root_nb(value):
    """The contracts' cube root of a U256 with 18 decimals, 18 decimals."""
    stay_whole()
    if value >= _wide_root_limit():
        return wrap_mul_nb(_scaled_cube_root(value), to_u256(np.uint64(10**12)))
    if value >= _root_limit():
        return wrap_mul_nb(_scaled_cube_root(wrap_mul_nb(value, wad_nb())), to_u256(_MILLION))
    return _scaled_cube_root(wrap_mul_nb(value, _wad_squared()))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def signed_cube_root_nb(value):
    root = cube_root_nb(magnitude_nb(value))
    return minus_nb(root) if negative_nb(value) else root
