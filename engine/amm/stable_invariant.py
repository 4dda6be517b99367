"""The StableSwap invariant in the contracts' own integer steps: D, y for a given x, y for a given D.

Egorov, "StableSwap - efficient mechanism for stablecoin liquidity" (2019):

    A n^n S + D = A n^n D + D^(n+1) / (n^n P),   S = sum of xp, P = product of xp

`amp` is what the contract calls A (A * n^(n-1) of the paper, times `A_PRECISION` where the family has one)
and Ann = amp * n. Generations differ in the wei, so each has its own kind:

    kind               A_PRECISION  a factor of D_P           Newton that does not settle
    STABLE_THREE_POOL  1            D_P * D / (x n)           last value is used
    STABLE_SUSD        1            D_P * D / (x n + 1)       last value is used
    STABLE_TEMPLATE    100          D_P * D / (x n)           reverts
    STABLE_FACTORY     100          D_P * D / x, then / n^n   reverts
    STABLE_NG          100          D_P * D / x, then / n^n   reverts

Arithmetic is checked as Vyper's: every function carries `ok`, false as soon as an operation would revert; a
value that comes with a false `ok` means nothing. Vectors of U256 are stack buffers of 4 limbs a coin.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.quotient import divide_nb
from engine.amm.wide import (
    leading_zeros,
    limb0,
    limb1,
    limb2,
    limb3,
    make_u128,
    make_u256,
    mul_128_128,
    mul_256_256,
    stay_whole,
    to_float,
    to_u128,
    to_u256,
    to_u512,
)
from engine.amm.wide_digits import digit_2, get_limb, reciprocal_2_nb, set_limb, stack_limbs

MAX_COINS = 8
STABLE_THREE_POOL = 1
STABLE_SUSD = 2
STABLE_TEMPLATE = 3
STABLE_FACTORY = 4
STABLE_NG = 5

_ROUNDS = 255
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_FOUR = np.uint64(4)
_SIXTY_FOUR = np.uint64(64)
_BITS_120 = np.uint64(120)
_BITS_128 = np.uint64(128)
_BITS_240 = np.uint64(240)
_LEAST_SLOPE = np.uint64(1 << 40)
_FLOAT_LIMB = 2.0**64
_FLOAT_LIMB_INVERSE = 2.0**-64
_FLOAT_120 = 2.0**120


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def get_nb(vector, k):
    """Element `k` of a stack vector, U256."""
    at = 4 * k
    return make_u256(
        get_limb(vector, at), get_limb(vector, at + 1), get_limb(vector, at + 2), get_limb(vector, at + 3)
    )


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def set_nb(vector, k, value):
    """Write U256 `value` to element `k` of a stack vector."""
    at = 4 * k
    set_limb(vector, at, limb0(value))
    set_limb(vector, at + 1, limb1(value))
    set_limb(vector, at + 2, limb2(value))
    set_limb(vector, at + 3, limb3(value))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _times_wide(ok, a, b):
    stay_whole()
    product = mul_256_256(a, b)
    low = to_u256(product)
    return ok and to_u512(low) == product, low


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def times_nb(ok, a, b):
    """(ok, a * b) on U256s."""
    if (limb2(a) | limb3(a) | limb2(b) | limb3(b)) == _ZERO:
        return ok, mul_128_128(to_u128(a), to_u128(b))
    return _times_wide(ok, a, b)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def plus_nb(ok, a, b):
    """(ok, a + b)."""
    total = a + b
    return ok and total >= a, total


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def minus_nb(ok, a, b):
    """(ok, a - b)."""
    return ok and a >= b, a - b


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def over_nb(ok, a, b):
    """(ok, floor(a / b)); dividing by zero is not ok."""
    if b == to_u256(_ZERO):
        return False, b
    quotient, _ = divide_nb(a, b)
    return ok, quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def reciprocal_nb(b):
    """(low and high limb of b shifted left until its 128th bit is set, that shift, the reciprocal of the
    two): what `two_digits_nb` divides by. `b` U256, positive and below 2**128."""
    shift = leading_zeros(limb1(b))
    if limb1(b) == _ZERO:
        shift += leading_zeros(limb0(b))
    normal = to_u128(b) << shift
    return limb0(normal), limb1(normal), shift, reciprocal_2_nb(limb1(normal), limb0(normal))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def two_digits_nb(a, d0, d1, shift, v):
    """(floor(a / b), remainder), both digits of the quotient, where a >> 128 is below b."""
    shifted = a << shift
    high, rest = digit_2((limb2(shifted), limb3(shifted)), limb1(shifted), (d0, d1), v)
    low, rest = digit_2(rest, limb0(shifted), (d0, d1), v)
    return to_u256(make_u128(low, high)), to_u256(make_u128(rest[0], rest[1])) >> shift


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def over_word_nb(a, word):
    """floor(a / word) for a non-zero uint64."""
    quotient, _ = divide_nb(a, to_u256(word))
    return quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def times_over_nb(ok, a, b, c):
    """(ok, floor(a * b / c)) where the product must fit 256 bits, as in the contracts."""
    ok, product = times_nb(ok, a, b)
    return over_nb(ok, product, c)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _settled(a, b):
    one = to_u256(_ONE)
    return a - b <= one if a > b else b - a <= one


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def precision_nb(kind):
    """A_PRECISION of a kind, uint64."""
    return np.uint64(100) if kind >= STABLE_TEMPLATE else _ONE


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def power_of_coins_nb(coins):
    """n^n, uint64."""
    result = _ONE
    for _ in range(coins):
        result *= np.uint64(coins)
    return result


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _prepare(xp, coins, kind, divisors):
    """Fill the divisors of D_P's factors, the same every round; false on overflow."""
    ok = True
    n = to_u256(np.uint64(coins))
    for k in range(coins):
        divisor = get_nb(xp, k)
        if kind < STABLE_FACTORY:
            ok, divisor = times_nb(ok, divisor, n)
        if kind == STABLE_SUSD:
            ok, divisor = plus_nb(ok, divisor, to_u256(_ONE))
        set_nb(divisors, k, divisor)
    return ok


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _power_term(ok, divisors, coins, kind, d):
    """D_P = D^(n+1) / (n^n P), factor by factor."""
    result = d
    for k in range(coins):
        ok, result = times_over_nb(ok, result, d, get_nb(divisors, k))
        if not ok:
            break
    if kind >= STABLE_FACTORY:
        result = over_word_nb(result, power_of_coins_nb(coins))
    return ok, result


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def solve_d_nb(xp, coins, amp, kind):
    """get_D: (ok, D). `xp` stack vector of balances in 1e18 units, `amp` uint64."""
    stay_whole()
    zero = to_u256(_ZERO)
    total, ok = zero, True
    for k in range(coins):
        ok, total = plus_nb(ok, total, get_nb(xp, k))
    if not ok or total == zero:
        return ok, zero
    precision = precision_nb(kind)
    ann = amp * np.uint64(coins)
    if ann < precision:
        return False, zero
    n = to_u256(np.uint64(coins))
    ok, ann_total = times_nb(ok, to_u256(ann), total)
    if not ok:
        return False, zero
    ann_total = over_word_nb(ann_total, precision)
    d, divisors = total, stack_limbs(32)
    if not _prepare(xp, coins, kind, divisors):
        return False, zero
    for _ in range(_ROUNDS):
        ok, power = _power_term(ok, divisors, coins, kind, d)
        if not ok:
            return False, zero
        ok, upper = times_nb(ok, power, n)
        ok, upper = plus_nb(ok, ann_total, upper)
        ok, upper = times_nb(ok, upper, d)
        ok, lower = times_nb(ok, to_u256(ann - precision), d)
        ok, rest = times_nb(ok, n + to_u256(_ONE), power)
        ok, lower = plus_nb(ok, over_word_nb(lower, precision), rest)
        previous = d
        ok, d = over_nb(ok, upper, lower)
        if not ok:
            return False, zero
        if _settled(d, previous):
            return True, d
    return kind < STABLE_TEMPLATE, d


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _guess_y(c, b, d):
    """The root of y^2 + (b - D) y = c in floating point."""
    if b >= d:
        linear = to_float(b - d)
        return 2.0 * to_float(c) / (linear + math.sqrt(linear * linear + 4.0 * to_float(c)))
    linear = to_float(d - b)
    return 0.5 * (linear + math.sqrt(linear * linear + 4.0 * to_float(c)))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _certain_y(c, b, d):
    """(whether it is certain, y): the value the contract's iteration ends with, from one step of it.

    The step g(y) = (y^2 + c) / s(y), s(y) = 2 y + b - D, exceeds the root Y by e^2 / s(y) with e = y - Y, so
    every step lands on floor(Y) or above. Two successive values differ by at most one only where |e| <= 4:
    the last step exceeds Y by at most 16 / s, and gives floor(Y) unless Y is that close below an integer.
    From a guess y the step g, its quotient q and its remainder r tell the same about Y: |e| is at most
    E = 2 |y - q| + 4, so E^2 <= r means floor(Y) = q, and r + 64 <= s that Y is not close below q + 1.
    With c <= D^2 < 2**240 the iteration from y = D can neither overflow nor need more than 255 rounds.
    """
    zero = to_u256(_ZERO)
    if (d >> _BITS_120) != zero or c >> _BITS_240 != zero or c > mul_128_128(to_u128(d), to_u128(d)):
        return False, zero
    guess = _guess_y(c, b, d)
    if not 1.0 <= guess < _FLOAT_120:
        return False, zero
    high = np.uint64(guess * _FLOAT_LIMB_INVERSE)
    low = np.uint64(guess - np.float64(high) * _FLOAT_LIMB)
    y = make_u256(low, high, _ZERO, _ZERO)
    slope = y + y + b
    if b >> _BITS_120 != zero or slope < d + to_u256(_LEAST_SLOPE):
        return False, zero
    slope = slope - d
    upper = mul_128_128(to_u128(y), to_u128(y)) + c
    if upper >> _BITS_128 >= slope:
        return False, zero
    d0, d1, shift, v = reciprocal_nb(slope)
    quotient, rest = two_digits_nb(upper, d0, d1, shift, v)
    error = quotient - y if quotient > y else y - quotient
    error = error + error + to_u256(_FOUR)
    if error >> _BITS_120 != zero:
        return False, zero
    square = mul_128_128(to_u128(error), to_u128(error))
    return square <= rest and rest + to_u256(_SIXTY_FOUR) <= slope, quotient


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _newton_y(ok, c, b, d, kind):
    """y = (y^2 + c) / (2 y + b - D) from y = D until two values differ by at most one."""
    y = d
    for _ in range(_ROUNDS):
        if not ok:
            return False, y
        ok, upper = times_nb(ok, y, y)
        ok, upper = plus_nb(ok, upper, c)
        ok, lower = plus_nb(ok, y, y)
        ok, lower = plus_nb(ok, lower, b)
        ok, lower = minus_nb(ok, lower, d)
        previous = y
        ok, y = over_nb(ok, upper, lower)
        if _settled(y, previous):
            return ok, y
    return ok and kind < STABLE_TEMPLATE, y


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def solve_y_nb(xp, coins, known, x, missing, amp, kind, d):
    """get_y: (ok, balance of coin `missing`) when coin `known` has `x` and the others theirs in `xp`.

    With `known` out of range every other coin keeps its balance: that is get_y_D.
    """
    stay_whole()
    ok, c, total = True, d, to_u256(_ZERO)
    n = to_u256(np.uint64(coins))
    precision = to_u256(precision_nb(kind))
    ann = to_u256(amp * np.uint64(coins))
    for k in range(coins):
        if k == missing:
            continue
        value = x if k == known else get_nb(xp, k)
        ok, total = plus_nb(ok, total, value)
        ok, divisor = times_nb(ok, value, n)
        ok, c = times_over_nb(ok, c, d, divisor)
        if not ok:
            return False, c
    ok, c = times_nb(ok, c, d)
    ok, c = times_nb(ok, c, precision)
    ok, divisor = times_nb(ok, ann, n)
    ok, c = over_nb(ok, c, divisor)
    ok, b = times_nb(ok, d, precision)
    ok, b = over_nb(ok, b, ann)
    ok, b = plus_nb(ok, total, b)
    if not ok:
        return False, c
    certain, y = _certain_y(c, b, d)
    if certain:
        return True, y
    return _newton_y(ok, c, b, d, kind)
