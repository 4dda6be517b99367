"""What both CryptoSwap kernels are made of: checked 256-bit arithmetic, roots, and a pool's state.

Curve's contracts mix checked operations, which revert, with unchecked ones, which wrap; both are kept apart
here because recorded refusals depend on it. A checked operation that fails raises the flag `fault` (one limb
on the stack, never lowered) and the kernel that owns the flag answers OVERFLOW at the end: no loop depends
on it for its bound. Signed integers are two's complement U256; signed quotients truncate.

A pool's state is u64[STATE_ROWS, 4], so many pools are one u64[P, STATE_ROWS, 4] array:

    PARAMETERS   A (times n**n and 10**4), gamma (1e18), mode bits, unused; A and gamma as of the block's time
    FEES         mid_fee, out_fee (1e-10), fee_gamma (1e18), unused
    INVARIANT    D as stored, 1e18 units of coin 0
    SUPPLY       totalSupply of the LP token
    VIRTUAL      virtual_price as stored, 1e18
    PRECISIONS   10**(18 - decimals) of each coin
    PRICE_SCALE  one row per coin after the first, 1e18 of coin 0 (two rows, the second unused by two coins)
    BALANCES     one row per coin, base units
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.core import types

from engine.amm.wide import (
    constant,
    instruction,
    leading_zeros,
    limb0,
    limb1,
    limb2,
    limb3,
    make_u256,
    mul_128_128,
    mul_128_192,
    mul_256_256,
    to_float,
    to_u128,
    to_u192,
    to_u256,
    to_u320,
    to_u512,
)
from engine.amm.wide_digits import set_limb
from engine.amm.wide_division import divide_256_nb, divide_by_limb_nb

PARAMETERS, FEES, INVARIANT, SUPPLY, VIRTUAL, PRECISIONS, PRICE_SCALE, BALANCES = 0, 1, 2, 3, 4, 5, 6, 8
STATE_ROWS = 11

# Mode bits.
RAMPING = 1  # future_A_gamma_time is after the block's time: D is computed anew before the trade
MAY_LOSE = 2  # no virtual price check: RAMPING, and before v2.1 also when future_A_gamma_time is now
VERSION_21 = 4  # two coins: fee and virtual price of v2.1

WAD = 10**18
wad_nb = constant(256, WAD)
_WAD = np.uint64(WAD)
_MILLION = np.uint64(10**6)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TWO = np.uint64(2)
_THREE = np.uint64(3)
_TEN_THOUSAND = np.uint64(10**4)
_SIXTY_THREE = np.uint64(63)
_root_limit = constant(256, 115792089237316195423570985008687907853269)
_wide_root_limit = constant(256, 115792089237316195423570985008687907853269 * WAD)
_wad_squared = constant(256, WAD**2)
_max_signed = constant(256, (1 << 255) - 1)


@instruction
def stand_alone(typingctx):
    """Keep the function this is in out of its callers: a tenth of the code, and of the time to compile it."""

    def codegen(context, builder, sig, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def small_nb(value):
    """A non-negative machine integer as U256."""
    return to_u256(np.uint64(value))


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def field_nb(state, row):
    """A row of the state as U256."""
    return make_u256(state[row, 0], state[row, 1], state[row, 2], state[row, 3])


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def raise_if_nb(condition, fault):
    if condition:
        set_limb(fault, 0, _ONE)


@njit(nogil=True, cache=True, error_model="numpy")
def mul_nb(a, b, fault):
    """Unsigned product, checked."""
    stand_alone()
    if (limb2(a) | limb3(a) | limb2(b) | limb3(b)) == _ZERO:
        return mul_128_128(to_u128(a), to_u128(b))
    product = mul_256_256(a, b)
    low = to_u256(product)
    raise_if_nb(to_u512(low) != product, fault)
    return low


@njit(nogil=True, cache=True, error_model="numpy")
def wrap_mul_nb(a, b):
    """Product modulo 2**256, of signed or unsigned factors."""
    stand_alone()
    return to_u256(mul_256_256(a, b))


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def add_nb(a, b, fault):
    total = a + b
    raise_if_nb(total < a, fault)
    return total


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def sub_nb(a, b, fault):
    raise_if_nb(a < b, fault)
    return a - b


@njit(nogil=True, cache=True, error_model="numpy")
def div_nb(a, b, fault):
    """Unsigned quotient; division by zero is a fault and gives zero."""
    stand_alone()
    if b == to_u256(_ZERO):
        set_limb(fault, 0, _ONE)
        return b
    quotient, _ = divide_256_nb(a, b)
    return quotient


@njit(nogil=True, cache=True, error_model="numpy")
def div_small_nb(a, divisor):
    """Unsigned quotient by a non-zero uint64."""
    stand_alone()
    quotient, _ = divide_by_limb_nb(to_u320(a), divisor)
    return to_u256(quotient)


@njit(nogil=True, cache=True, error_model="numpy")
def mul_div_small_nb(a, b, divisor, fault):
    """Checked product, then the quotient by a non-zero uint64."""
    return div_small_nb(mul_nb(a, b, fault), divisor)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def negative_nb(a):
    return (limb3(a) >> _SIXTY_THREE) != _ZERO


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def minus_nb(a):
    return to_u256(_ZERO) - a


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def magnitude_nb(a):
    return minus_nb(a) if negative_nb(a) else a


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def positive_nb(a):
    """Signed a > 0."""
    return not negative_nb(a) and a != to_u256(_ZERO)


@njit(nogil=True, cache=True, error_model="numpy")
def signed_mul_nb(a, b, fault):
    stand_alone()
    product = mul_nb(magnitude_nb(a), magnitude_nb(b), fault)
    raise_if_nb(product > _max_signed(), fault)
    return minus_nb(product) if negative_nb(a) != negative_nb(b) else product


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def signed_add_nb(a, b, fault):
    total = a + b
    raise_if_nb(negative_nb(a) == negative_nb(b) and negative_nb(total) != negative_nb(a), fault)
    return total


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def signed_sub_nb(a, b, fault):
    difference = a - b
    raise_if_nb(negative_nb(a) != negative_nb(b) and negative_nb(difference) != negative_nb(a), fault)
    return difference


@njit(nogil=True, cache=True, error_model="numpy")
def signed_div_nb(a, b, fault):
    stand_alone()
    quotient = div_nb(magnitude_nb(a), magnitude_nb(b), fault)
    return minus_nb(quotient) if negative_nb(a) != negative_nb(b) else quotient


@njit(nogil=True, cache=True, error_model="numpy")
def signed_div_small_nb(a, divisor):
    quotient = div_small_nb(magnitude_nb(a), divisor)
    return minus_nb(quotient) if negative_nb(a) else quotient


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _from_float(value):
    """U256 of a float below 2**128, truncated."""
    high = np.uint64(value / 18446744073709551616.0)
    low = np.uint64(value - np.float64(high) * 18446744073709551616.0)
    return make_u256(low, high, _ZERO, _ZERO)


@njit(nogil=True, cache=True, error_model="numpy")
def square_root_nb(value):
    """Floor of the square root of a U256: Newton's method from the float64 root."""
    stand_alone()
    zero = to_u256(_ZERO)
    if value == zero:
        return zero
    # A root that would round up to 2**128 starts just below.
    seed = min(np.sqrt(to_float(value)), 3.4028236692093842e38)
    root = _from_float(seed)
    quotient, _ = divide_256_nb(value, root)
    root = (root + quotient) >> _ONE
    while True:
        quotient, _ = divide_256_nb(value, root)
        if quotient >= root:
            return root
        root = (root + quotient) >> _ONE


@njit(nogil=True, cache=True, error_model="numpy")
def _bit_length(value):
    if limb3(value):
        return np.uint64(256) - leading_zeros(limb3(value))
    if limb2(value):
        return np.uint64(192) - leading_zeros(limb2(value))
    if limb1(value):
        return np.uint64(128) - leading_zeros(limb1(value))
    return np.uint64(64) - leading_zeros(limb0(value))


@njit(nogil=True, cache=True, error_model="numpy")
def _seven_steps(scaled):
    """The contracts' cube root as they compute it."""
    stand_alone()
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
            quotient, _ = divide_256_nb(scaled, wrap_mul_nb(root, root))
        root = div_small_nb(root + root + quotient, _THREE)
    return root


@njit(nogil=True, cache=True, error_model="numpy")
def _cube(value):
    """U320, exact for arguments of up to 106 bits."""
    low = to_u128(value)
    return mul_128_192(low, to_u192(mul_128_128(low, low)))


@njit(nogil=True, cache=True, error_model="numpy")
def _scaled_cube_root(scaled):
    """What seven Newton steps from the contracts' guess end at, in one step from the float64 root.

    The guess is within 21 % of the root, so six steps reach it to 1e-38 and the seventh the exact floor,
    except that the truncated step leads from c to c + 1 and back when scaled >= c**3 + 3 * c**2: there the
    steps are counted.
    """
    if scaled == to_u256(_ZERO):
        return scaled
    root = _from_float(np.cbrt(to_float(scaled)))
    quotient, _ = divide_256_nb(scaled, mul_128_128(to_u128(root), to_u128(root)))
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


@njit(nogil=True, cache=True, error_model="numpy")
def cube_root_nb(value):
    """The contracts' cube root of a U256 with 18 decimals, 18 decimals."""
    stand_alone()
    if value >= _wide_root_limit():
        return wrap_mul_nb(_scaled_cube_root(value), to_u256(np.uint64(10**12)))
    if value >= _root_limit():
        return wrap_mul_nb(_scaled_cube_root(wrap_mul_nb(value, wad_nb())), to_u256(_MILLION))
    return _scaled_cube_root(wrap_mul_nb(value, _wad_squared()))


@njit(nogil=True, cache=True, error_model="numpy")
def signed_cube_root_nb(value):
    root = cube_root_nb(magnitude_nb(value))
    return minus_nb(root) if negative_nb(value) else root


@njit(nogil=True, cache=True, error_model="numpy")
def k0_terms_nb(k0, d, a, gamma, fault):
    """(g, mul1): g = |gamma + 1 - K0| + 1e-18 and D * g**2 / (A * gamma**2), the steepness of the curve."""
    peak = to_u256(gamma) + wad_nb()
    g = (peak - k0 if peak > k0 else k0 - peak) + to_u256(_ONE)
    steep = div_small_nb(mul_nb(wad_nb(), d, fault), gamma)
    steep = div_small_nb(mul_nb(steep, g, fault), gamma)
    steep = mul_nb(mul_nb(steep, g, fault), to_u256(_TEN_THOUSAND), fault)
    return g, div_small_nb(steep, a)


@njit(nogil=True, cache=True, error_model="numpy")
def within_nb(value, whole, low, high, fault):
    """low <= value * 1e18 / whole <= high."""
    fraction = div_nb(mul_nb(value, wad_nb(), fault), whole, fault)
    return low <= fraction and fraction <= high


@njit(nogil=True, cache=True, error_model="numpy")
def step_d_nb(d, k0, total, mul1, mul2, coins, fault):
    """One Newton step for D, given the sum of the balances: (next D)."""
    stand_alone()
    slope = add_nb(total, mul_div_small_nb(total, mul2, _WAD, fault), fault)
    slope = add_nb(slope, div_nb(mul_nb(mul1, to_u256(coins), fault), k0, fault), fault)
    slope = sub_nb(slope, mul_div_small_nb(mul2, d, _WAD, fault), fault)
    plus = div_nb(mul_nb(d, slope + total, fault), slope, fault)
    minus = div_nb(mul_nb(d, d, fault), slope, fault)
    step = mul_div_small_nb(d, div_nb(mul1, slope, fault), _WAD, fault)
    if wad_nb() > k0:
        minus = add_nb(minus, div_nb(mul_nb(step, wad_nb() - k0, fault), k0, fault), fault)
    else:
        minus = sub_nb(minus, div_nb(mul_nb(step, k0 - wad_nb(), fault), k0, fault), fault)
    return plus - minus if plus > minus else (minus - plus) >> _ONE


@njit(nogil=True, cache=True, error_model="numpy")
def solve_y_nb(a, gamma, d, y, k0_rest, sum_rest, tolerance, coins, fault):
    """Newton's method for the balance y, the contracts' fallback: (y, converged).

    `k0_rest` is K0 without y, `sum_rest` the other balances' sum, `tolerance` the accepted last step.
    """
    stand_alone()
    hundred_trillion = np.uint64(10**14)
    for _ in range(255):
        before = y
        k0 = div_nb(mul_nb(mul_nb(k0_rest, y, fault), to_u256(coins), fault), d, fault)
        g, mul1 = k0_terms_nb(k0, d, a, gamma, fault)
        mul2 = wad_nb() + div_nb(mul_nb(wad_nb() << _ONE, k0, fault), g, fault)
        total = add_nb(sum_rest, y, fault)
        slope = add_nb(mul_nb(wad_nb(), y, fault), mul_nb(total, mul2, fault), fault)
        slope = add_nb(slope, mul1, fault)
        fall = mul_nb(d, mul2, fault)
        if slope < fall:
            y = before >> _ONE
            continue
        slope = slope - fall
        f_prime = div_nb(slope, y, fault)
        minus = div_nb(mul1, f_prime, fault)
        plus = div_nb(mul_nb(minus, wad_nb(), fault), k0, fault)
        rise = add_nb(slope, mul_nb(wad_nb(), d, fault), fault)
        plus = add_nb(plus, div_nb(rise, f_prime, fault), fault)
        minus = add_nb(minus, div_nb(mul_nb(wad_nb(), total, fault), f_prime, fault), fault)
        y = before >> _ONE if plus < minus else plus - minus
        gap = y - before if y > before else before - y
        if gap < tolerance or gap < div_small_nb(y, hundred_trillion):
            return y, True
    return y, False
