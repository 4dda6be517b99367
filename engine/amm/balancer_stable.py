"""Balancer stable pools: V2 of 2021, V2 of 2022 on (composable included), and V3; StableMath.

Both invariant and balance are found by Newton's iteration, at most 255 rounds, until two rounds differ by one
unit at most. The three versions round differently, and each is followed to the unit:

- STABLE_2021 rounds the invariant up, by an iteration of its own;
- STABLE_2022 rounds it down, by Curve's;
- STABLE_V3 is the second with a balance step that multiplies before it divides.

A pool is arrays over its n tokens, 2 to 5, without the pool's own token; see `balancer_weighted` for the
fields and `balancer_vault` for scalings. `amp` u64 has 3 decimals and is the value at the block's time; V2's
`scaling` and V3's `live` and `rates` hold the rates in force in that block. Trades of a composable pool's own
token are joins and exits, not quoted here.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.balancer_vault import (
    row_nb,
    v2_bought_nb,
    v2_owed_nb,
    v2_sold_nb,
    v2_wanted_nb,
    v3_bought_nb,
    v3_owed_nb,
    v3_sold_nb,
    v3_wanted_nb,
)
from engine.amm.layout import INSUFFICIENT_LIQUIDITY, OK, OVERFLOW, UNINITIALISED
from engine.amm.log_exp import div_nb, div_up_raw_nb, divide_by_1000_nb, mul_down_nb, mul_nb
from engine.amm.quotient import divide_nb as divide_wide_nb
from engine.amm.wide import limb0, limb1, limb2, limb3, make_u256, to_float, to_u256
from engine.amm.wide_digits import get_limb, set_limb, stack_limbs

STABLE_2021 = 1
STABLE_2022 = 2
STABLE_V3 = 3
MAX_TOKENS = 5
MAX_ROUNDS = 255
AMP_PRECISION = 1000

_ZERO = np.uint64(0)
_ONE_LIMB = np.uint64(1)
_AMP_LIMB = np.uint64(AMP_PRECISION)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _get(scaled, k):
    at = 4 * k
    return make_u256(
        get_limb(scaled, at), get_limb(scaled, at + 1), get_limb(scaled, at + 2), get_limb(scaled, at + 3)
    )


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _set(scaled, k, value):
    at = 4 * k
    set_limb(scaled, at, limb0(value))
    set_limb(scaled, at + 1, limb1(value))
    set_limb(scaled, at + 2, limb2(value))
    set_limb(scaled, at + 3, limb3(value))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _add(a, b):
    total = a + b
    return total, total >= a


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _sum_nb(scaled, count):
    total, ok = to_u256(_ZERO), True
    for k in range(count):
        total, fits = _add(total, _get(scaled, k))
        ok = ok and fits
    return total, ok


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _are_near(a, b):
    one = to_u256(_ONE_LIMB)
    return a - b <= one if a >= b else b - a <= one


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _product_over(a, b, count, divisor, rounds_up):
    """a * b * count / divisor, checked."""
    product, ok = mul_nb(a, b)
    product, also_ok = mul_nb(product, to_u256(np.uint64(count)))
    if not (ok and also_ok):
        return product, False
    return div_up_raw_nb(product, divisor) if rounds_up else div_nb(product, divisor)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _invariant_2021_nb(scaled, count, ann, total):
    n, d = to_u256(np.uint64(count)), total
    one = to_u256(_ONE_LIMB)
    for _ in range(MAX_ROUNDS):
        p, ok = mul_nb(_get(scaled, 0), n)
        for k in range(1, count):
            p, fits = _product_over(p, _get(scaled, k), count, d, True)
            ok = ok and fits
        square, ok_1 = mul_nb(n, d)
        square, ok_2 = mul_nb(square, d)
        grown, ok_3 = mul_nb(ann, total)
        grown, ok_4 = mul_nb(grown, p)
        if grown != to_u256(_ZERO):
            grown = divide_by_1000_nb(grown - one) + one
        top, ok_5 = _add(square, grown)
        shrunk, ok_6 = mul_nb(ann - to_u256(_AMP_LIMB), p)
        below, ok_7 = mul_nb(n + one, d)
        below, ok_8 = _add(below, divide_by_1000_nb(shrunk))
        if not (ok and ok_1 and ok_2 and ok_3 and ok_4 and ok_5 and ok_6 and ok_7 and ok_8):
            return d, False
        before = d
        d, ok = div_up_raw_nb(top, below)
        if not ok or _are_near(d, before):
            return d, ok
    return d, False


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _invariant_2022_nb(scaled, count, ann, total):
    n, d = to_u256(np.uint64(count)), total
    grown, ok_grown = mul_nb(ann, total)
    grown = divide_by_1000_nb(grown)
    for _ in range(MAX_ROUNDS):
        p, ok = d, ok_grown
        for k in range(count):
            product, ok_1 = mul_nb(p, d)
            below, ok_2 = mul_nb(_get(scaled, k), n)
            p, ok_3 = div_nb(product, below)
            ok = ok and ok_1 and ok_2 and ok_3
        part, ok_1 = mul_nb(p, n)
        top, ok_2 = _add(grown, part)
        top, ok_3 = mul_nb(top, d)
        shrunk, ok_4 = mul_nb(ann - to_u256(_AMP_LIMB), d)
        below, ok_5 = mul_nb(n + to_u256(_ONE_LIMB), p)
        below, ok_6 = _add(divide_by_1000_nb(shrunk), below)
        if not (ok and ok_1 and ok_2 and ok_3 and ok_4 and ok_5 and ok_6):
            return d, False
        before = d
        d, ok = div_nb(top, below)
        if not ok or _are_near(d, before):
            return d, ok
    return d, False


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _coefficients_nb(scaled, count, ann, d, index, version):
    """(d * d, b, c) of y * y + (b - d) * y = c, the equation of token `index`'s balance, and whether all
    arithmetic held."""
    zero = to_u256(_ZERO)
    p, ok = mul_nb(_get(scaled, 0), to_u256(np.uint64(count)))
    for k in range(1, count):
        p, fits = _product_over(p, _get(scaled, k), count, d, False)
        ok = ok and fits
    total, ok_total = _sum_nb(scaled, count)
    square, ok_square = mul_nb(d, d)
    below, ok_below = mul_nb(ann, p)
    if not (ok and ok_total and ok_square and ok_below) or below == zero:
        return zero, zero, zero, False
    own, precision = _get(scaled, index), to_u256(_AMP_LIMB)
    if version == STABLE_V3:
        c, ok_1 = mul_nb(square, precision)
        c = div_up_raw_nb(c, below)[0]
        b, ok_2 = mul_nb(d, precision)
        b = divide_wide_nb(b, ann)[0]
    else:
        c, ok_1 = mul_nb(div_up_raw_nb(square, below)[0], precision)
        b, ok_2 = mul_nb(divide_wide_nb(d, ann)[0], precision)
    c, ok_3 = mul_nb(c, own)
    b, ok_4 = _add(b, total - own)
    return square, b, c, ok_1 and ok_2 and ok_3 and ok_4


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _balance_nb(scaled, count, ann, d, index, version):
    """(the balance of token `index` that the others and the invariant leave, rounded up; if any)."""
    square, b, c, ok = _coefficients_nb(scaled, count, ann, d, index, version)
    top, ok_1 = _add(square, c)
    below, ok_2 = _add(d, b)
    if not (ok and ok_1 and ok_2):
        return square, False
    y, ok = div_up_raw_nb(top, below)
    for _ in range(MAX_ROUNDS):
        top, ok_1 = mul_nb(y, y)
        top, ok_2 = _add(top, c)
        below, ok_3 = _add(y, y)
        below, ok_4 = _add(below, b)
        if not (ok and ok_1 and ok_2 and ok_3 and ok_4) or below < d:
            return y, False
        before = y
        y, ok = div_up_raw_nb(top, below - d)
        if not ok or _are_near(y, before):
            return y, ok
    return y, False


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _invariant_nb(scaled, count, amp, version):
    """(status, invariant) of a stack buffer of scaled balances."""
    zero = to_u256(_ZERO)
    ann, ok = mul_nb(to_u256(amp), to_u256(np.uint64(count)))
    total, ok_total = _sum_nb(scaled, count)
    if not (ok and ok_total) or ann < to_u256(_AMP_LIMB):
        return np.int64(OVERFLOW), zero
    if total == zero:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    if version == STABLE_2021:
        d, ok = _invariant_2021_nb(scaled, count, ann, total)
    else:
        d, ok = _invariant_2022_nb(scaled, count, ann, total)
    return np.int64(OK if ok else OVERFLOW), d


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _stable_nb(scaled, count, amp, version, i, j, exact_in, amount, d):
    """(status, amount) of the curve, 18 decimals, on a stack buffer of scaled balances, which is changed; `d`
    is their invariant, zero where it is not known."""
    zero, one = to_u256(_ZERO), to_u256(_ONE_LIMB)
    if d == zero:
        status, d = _invariant_nb(scaled, count, amp, version)
        if status != OK:
            return status, zero
    ann, _ = mul_nb(to_u256(amp), to_u256(np.uint64(count)))
    if exact_in:
        added, ok = _add(_get(scaled, i), amount)
        _set(scaled, i, added)
        before, index = _get(scaled, j), j
    else:
        held, ok = _get(scaled, j), True
        if amount > held:
            return np.int64(INSUFFICIENT_LIQUIDITY), zero
        _set(scaled, j, held - amount)
        before, index = _get(scaled, i), i
    after, found = _balance_nb(scaled, count, ann, d, index, version)
    if not (ok and found):
        return np.int64(OVERFLOW), zero
    if exact_in:
        if before <= after:
            return np.int64(INSUFFICIENT_LIQUIDITY), zero
        return np.int64(OK), before - after - one
    if after < before:
        return np.int64(OVERFLOW), zero
    return np.int64(OK), after - before + one


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _is_a_pool(count, i, j):
    return 2 <= count <= MAX_TOKENS and 0 <= i < count and 0 <= j < count and i != j


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _scale_nb(balances, scaling, scaled):
    """Fill the stack buffer of scaled balances; false on overflow."""
    for k in range(len(balances)):
        value, ok = mul_down_nb(row_nb(balances, k), row_nb(scaling, k))
        if not ok:
            return False
        _set(scaled, k, value)
    return True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v2_invariant_nb(balances, scaling, amp, version):
    """(status int64, the invariant U256 of a V2 pool, 18 decimals)."""
    scaled, count = stack_limbs(20), len(balances)
    if count > MAX_TOKENS or not _scale_nb(balances, scaling, scaled):
        return np.int64(OVERFLOW), to_u256(_ZERO)
    return _invariant_nb(scaled, count, amp, version)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v3_invariant_nb(live, amp):
    """As `v2_invariant_nb` of a V3 pool's live balances."""
    scaled, count = stack_limbs(20), len(live)
    if count > MAX_TOKENS:
        return np.int64(OVERFLOW), to_u256(_ZERO)
    for k in range(count):
        _set(scaled, k, row_nb(live, k))
    return _invariant_nb(scaled, count, amp, STABLE_V3)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v2_stable_nb(balances, scaling, amp, fee, version, i, j, exact_in, amount, d):
    """(status int64, U256), base units: the amount out for `amount` in if `exact_in`, else the amount in for
    `amount` out. `version` STABLE_2021 or STABLE_2022; `d` is what `v2_invariant_nb` said, or zero."""
    count = len(balances)
    if not _is_a_pool(count, i, j):
        return np.int64(UNINITIALISED), to_u256(_ZERO)
    scaled = stack_limbs(20)
    if not _scale_nb(balances, scaling, scaled):
        return np.int64(OVERFLOW), to_u256(_ZERO)
    if exact_in:
        status, given = v2_sold_nb(amount, row_nb(balances, i), row_nb(scaling, i), fee)
    else:
        status, given = v2_wanted_nb(amount, row_nb(balances, j), row_nb(scaling, j))
    if status != OK:
        return status, given
    status, result = _stable_nb(scaled, count, amp, version, i, j, exact_in, given, d)
    if status != OK:
        return status, result
    if exact_in:
        return v2_bought_nb(result, row_nb(balances, j), row_nb(scaling, j))
    return v2_owed_nb(result, row_nb(balances, i), row_nb(scaling, i), fee)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _is_imbalanced_nb(live, i, j, added, taken, limit):
    """Whether the greatest balance, after the trade or before, is `limit` times the smallest or more."""
    greatest, smallest = row_nb(live, i) + added, row_nb(live, j) - taken
    for k in range(len(live)):
        balance = row_nb(live, k)
        greatest = balance if balance > greatest else greatest
        smallest = balance if balance < smallest else smallest
    if smallest == to_u256(_ZERO):
        return True
    return divide_wide_nb(greatest, smallest)[0] >= to_u256(limit)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v3_stable_nb(live, factors, rates, amp, fee, least, imbalance_limit, i, j, exact_in, amount, d):
    """As `v2_stable_nb` on a V3 pool, `d` from `v3_invariant_nb`. `least` u64: the vault's minimum trade, 18
    decimals; `imbalance_limit` u64: the pool's MAX_IMBALANCE_RATIO, 10000, or 0 for pools of the version
    without it."""
    count = len(live)
    if not _is_a_pool(count, i, j):
        return np.int64(UNINITIALISED), to_u256(_ZERO)
    scaled = stack_limbs(20)
    for k in range(count):
        _set(scaled, k, row_nb(live, k))
    live_in, live_out = row_nb(live, i), row_nb(live, j)
    if exact_in:
        status, given = v3_sold_nb(amount, live_in, factors[i], row_nb(rates, i), fee, least)
    else:
        status, given = v3_wanted_nb(amount, live_out, factors[j], row_nb(rates, j), least)
    if status != OK:
        return status, given
    status, result = _stable_nb(scaled, count, amp, STABLE_V3, i, j, exact_in, given, d)
    if status != OK:
        return status, result
    added, taken = (given, result) if exact_in else (result, given)
    if imbalance_limit and _is_imbalanced_nb(live, i, j, added, taken, imbalance_limit):
        return np.int64(INSUFFICIENT_LIQUIDITY), to_u256(_ZERO)
    if exact_in:
        return v3_bought_nb(result, live_out, factors[j], row_nb(rates, j), least)
    return v3_owed_nb(result, live_in, factors[i], row_nb(rates, i), fee, least)


@njit(nogil=True, cache=True, error_model="numpy")
def est_scaled_nb(balances, scaling, scaled):
    """Write float64 scaled balances (18 decimals) of a V2 pool to `scaled` f64[n]; `live` of V3 needs ones of
    1e18 as `scaling`."""
    for k in range(len(balances)):
        scaled[k] = to_float(row_nb(balances, k)) * to_float(row_nb(scaling, k)) * 1e-18


@njit(nogil=True, cache=True, error_model="numpy")
def est_invariant_nb(scaled, amp):
    """The invariant of f64[n] scaled balances, float64; 0 for an empty or one-sided pool."""
    count, total = len(scaled), scaled.sum()
    ann, d = np.float64(amp) * count / AMP_PRECISION, total
    if scaled.min() <= 0.0:
        return 0.0
    for _ in range(MAX_ROUNDS):
        p = d
        for k in range(count):
            p *= d / (scaled[k] * count)
        before = d
        d = (ann * total + p * count) * d / ((ann - 1.0) * d + (count + 1) * p)
        if abs(d - before) <= 1e-15 * d:
            break
    return d


@njit(nogil=True, cache=True, error_model="numpy")
def est_stable_rate_nb(scaled, amp, fee, i, j):
    """Marginal output per input after the fee, in scaled units, float64: the spot price times scaling. With F
    the invariant's equation it is (dF/dx_i) / (dF/dx_j), dF/dx = A n + D**(n + 1) / (n**n P x)."""
    d = est_invariant_nb(scaled, amp)
    if d <= 0.0:
        return 0.0
    p = d
    for k in range(len(scaled)):
        p *= d / (scaled[k] * len(scaled))
    ann = np.float64(amp) * len(scaled) / AMP_PRECISION
    return (1.0 - np.float64(fee) * 1e-18) * (ann + p / scaled[i]) / (ann + p / scaled[j])


@njit(nogil=True, cache=True, error_model="numpy")
def est_stable_out_nb(scaled, amp, fee, i, j, amount_in):
    """Float twin of the exact-in quote: `amount_in` and the answer in scaled units, float64."""
    d, count = est_invariant_nb(scaled, amp), len(scaled)
    if d <= 0.0 or amount_in <= 0.0:
        return 0.0
    ann = np.float64(amp) * count / AMP_PRECISION
    rest, c = 0.0, d * d / ann
    for k in range(count):
        balance = scaled[k] + (amount_in * (1.0 - np.float64(fee) * 1e-18) if k == i else 0.0)
        c /= count
        if k != j:
            rest += balance
            c *= d / balance
    b = rest + d / ann - d
    y = scaled[j]
    for _ in range(MAX_ROUNDS):
        before = y
        y = (y * y + c) / (2.0 * y + b)
        if abs(y - before) <= 1e-15 * y:
            break
    return max(scaled[j] - y, 0.0)
