"""Checked and wrapping 256-bit arithmetic as Vyper does it, signed and unsigned, and the contracts' roots.

A checked operation that fails raises the flag `fault` (one limb on the stack, never lowered); the kernel that
owns the flag answers OVERFLOW at the end, and no loop depends on it for its bound. Signed integers are two's
complement U256; signed quotients truncate.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.quotient import (
    EST_WIDE,
    est_inverse_nb,
    est_wide,
    is_medium_nb,
    is_narrow_nb,
    quotient_256_nb,
    quotient_320_nb,
)
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
    to_u128,
    to_u192,
    to_u256,
    to_u320,
    to_u512,
)
from engine.amm.wide_digits import digit_1, reciprocal_1_nb, set_limb
from engine.amm.wide_division import divide_256_nb

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
_SIXTY_TWO = np.uint64(62)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def small_nb(value):
    """A non-negative machine integer as U256."""
    return to_u256(np.uint64(value))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def raise_if_nb(condition, fault):
    if condition:
        set_limb(fault, 0, _ONE)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def mul_nb(a, b, fault):
    """Unsigned product, checked."""
    stay_whole()
    if (limb2(a) | limb3(a) | limb2(b) | limb3(b)) == _ZERO:
        return mul_128_128(to_u128(a), to_u128(b))
    product = mul_256_256(a, b)
    low = to_u256(product)
    raise_if_nb(to_u512(low) != product, fault)
    return low


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
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


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _divide_normal(a, shift, divisor, reciprocal):
    """A U256 by a uint64, given that divisor shifted until its top bit is set, by how much, and its
    reciprocal: digit by digit in registers."""
    normal = (divisor,)
    n = to_u320(a) << shift
    q3 = q2 = q1 = _ZERO
    if limb3(a):
        q3, rest = digit_1((limb4(n),), limb3(n), normal, reciprocal)
    else:
        rest = (limb3(n),)
    if limb3(a) | limb2(a):
        q2, rest = digit_1(rest, limb2(n), normal, reciprocal)
    else:
        rest = (limb2(n),)
    if limb3(a) | limb2(a) | limb1(a):
        q1, rest = digit_1(rest, limb1(n), normal, reciprocal)
    else:
        rest = (limb1(n),)
    q0, _ = digit_1(rest, limb0(n), normal, reciprocal)
    return make_u256(q0, q1, q2, q3)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def div_small_nb(a, divisor):
    """Unsigned quotient by a non-zero uint64."""
    stay_whole()
    shift = leading_zeros(divisor)
    normal = divisor << shift
    return _divide_normal(a, shift, normal, reciprocal_1_nb(normal))


def divider(divisor):
    """A compiled unsigned quotient of a U256 by this positive number below 2**64, its reciprocal worked out
    beforehand."""
    bits = 64 - divisor.bit_length()
    shift, normal = np.uint64(bits), np.uint64(divisor << bits)
    reciprocal = np.uint64(((1 << 128) - 1) // (divisor << bits) - (1 << 64))

    @njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
    def divide_nb(a):
        stay_whole()
        return _divide_normal(a, shift, normal, reciprocal)

    return divide_nb


div_wad_nb = divider(WAD)
div_3_nb = divider(3)
div_10000_nb = divider(10**4)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def quotient_nb(a, b):
    """Unsigned quotient by a non-zero U256, by floats where both are ordinary."""
    stay_whole()
    if is_medium_nb(b):
        est_inverse = est_inverse_nb(est_wide(b))
        est_quotient = est_wide(a) * est_inverse
        if est_quotient < EST_WIDE:
            if (limb2(b) | limb3(b)) == _ZERO and is_narrow_nb(to_u128(b)):
                quotient, _ = quotient_256_nb(a, to_u128(b), est_quotient, est_inverse)
                return to_u256(quotient)
            quotient, _ = quotient_320_nb(to_u320(a), b, est_quotient, est_inverse)
            return to_u256(quotient)
    quotient, _ = divide_256_nb(a, b)
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


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
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


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def signed_div_nb(a, b, fault):
    stay_whole()
    quotient = div_nb(magnitude_nb(a), magnitude_nb(b), fault)
    return minus_nb(quotient) if negative_nb(a) != negative_nb(b) else quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def signed_div_small_nb(a, divisor):
    quotient = div_small_nb(magnitude_nb(a), divisor)
    return minus_nb(quotient) if negative_nb(a) else quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def signed_quarter_nb(a):
    quotient = magnitude_nb(a) >> np.uint64(2)
    return minus_nb(quotient) if negative_nb(a) else quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def signed_div_wad_nb(a):
    quotient = div_wad_nb(magnitude_nb(a))
    return minus_nb(quotient) if negative_nb(a) else quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _from_float(value):
    """U256 of a float below 2**128, truncated."""
    high = np.uint64(value / 18446744073709551616.0)
    low = np.uint64(value - np.float64(high) * 18446744073709551616.0)
    return make_u256(low, high, _ZERO, _ZERO)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _nearer(root, power, value, inverse):
    """The root moved by its error over the derivative of the power: `inverse` is the derivative's, float64.

    An error relative to the root of e becomes e**2, or 2**-50 e, whichever is more, and one unit.
    """
    if power > value:
        return root - to_u128(_from_float(est_wide(power - value) * inverse)) - to_u128(_ONE)
    return root + to_u128(_from_float(est_wide(value - power) * inverse))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _root_from_above(value):
    """Floor of the square root of a U256 of 255 or 256 bits: Newton's method from the greatest root."""
    stay_whole()
    root = to_u256(to_u128(to_u256(_ZERO) - to_u256(_ONE)))
    while True:
        quotient = quotient_nb(value, root)
        if quotient >= root:
            return root
        root = (root + quotient) >> _ONE


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def square_root_nb(value):
    """Floor of the square root of a U256: the float64 root, moved twice by what its square leaves, which
    brings it within a unit or two."""
    stay_whole()
    one = to_u128(_ONE)
    if value == to_u256(_ZERO):
        return value
    if limb3(value) >> _SIXTY_TWO:
        # There a nearer root may pass 2**128.
        return _root_from_above(value)
    seed = np.sqrt(est_wide(value))
    inverse = 0.5 / seed
    root = to_u128(_from_float(seed))
    root = _nearer(root, mul_128_128(root, root), value, inverse)
    root = _nearer(root, mul_128_128(root, root), value, inverse)
    square = mul_128_128(root, root)
    while square > value:
        root = root - one
        square = mul_128_128(root, root)
    rest = value - square
    while rest > to_u256(root) + to_u256(root):
        rest = rest - to_u256(root) - to_u256(root) - to_u256(_ONE)
        root = root + one
    return to_u256(root)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _bit_length(value):
    if limb3(value):
        return np.uint64(256) - leading_zeros(limb3(value))
    if limb2(value):
        return np.uint64(192) - leading_zeros(limb2(value))
    if limb1(value):
        return np.uint64(128) - leading_zeros(limb1(value))
    return np.uint64(64) - leading_zeros(limb0(value))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
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
        root = div_3_nb(root + root + quotient)
    return root


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _cube(value):
    """U320 of a U128, exact for arguments of up to 106 bits."""
    return mul_128_192(value, to_u192(mul_128_128(value, value)))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _scaled_cube_root(scaled):
    """What seven Newton steps from the contracts' guess end at, from the float64 root moved once by what its
    cube leaves, which brings it within a unit or two.

    The guess is within 21 % of the root, so six steps reach it to 1e-38 and the seventh the exact floor,
    except that the truncated step leads from c to c + 1 and back when scaled >= c**3 + 3 * c**2: there the
    steps are counted.
    """
    if scaled == to_u256(_ZERO):
        return scaled
    seed = np.cbrt(est_wide(scaled))
    target, root, one = to_u320(scaled), to_u128(_from_float(seed)), to_u128(_ONE)
    root = _nearer(root, _cube(root), target, 1.0 / (3.0 * seed * seed))
    cube = _cube(root)
    while cube > target:
        root = root - one
        cube = _cube(root)
    square = to_u320(mul_128_128(root, root))
    if target - cube >= square + square + square:
        while _cube(root + one) <= target:
            root = root + one
        square = to_u320(mul_128_128(root, root))
        if target - _cube(root) >= square + square + square:
            return _seven_steps(scaled)
    return to_u256(root)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
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
