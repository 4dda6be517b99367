"""Solidly pools, volatile and stable: Velodrome V1 (Pair), Velodrome V2 and Aerodrome (Pool), and forks.

A swap names the output; the pool takes floor(in * fee / denominator) of the input out of itself and then
demands K(balances) >= K(reserves). With net the input less the fee,

    volatile: K = R0 * R1                     out = floor(net * R_out / (R_in + net))
    stable:   K of `engine.amm.solidly_curve` out = what Newton's method leaves of the reserve if K is kept

is getAmountOut, what the protocols' routers ask for. A STABLE_V1 answer can fail the pool's own K check; that
is refused here as it is there, and so is an input whose fee times 1e18 exceeds 256 bits: by that product the
pool shares the fee out among its liquidity tokens. Camelot's stable pairs are STABLE_V1 with fees in 1e-5.

State of a pool: both reserves (uint256, base units), 10**decimals of both tokens, the fee in force and its
denominator, the curve. The reserves are those of the last Sync event; the fee is read from the factory, which
changes it without a pool event. Tokens sent to the pool without sync are not seen by getAmountOut; a swap
would count them as input, never to the swapper's disadvantage.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.checked import (
    checked_product_nb,
    checked_sum_nb,
    divide_e18_nb,
    e18,
    least_gross_input_nb,
    net_input_nb,
)
from engine.amm.layout import INSUFFICIENT_INPUT, INSUFFICIENT_LIQUIDITY, OK, OVERFLOW
from engine.amm.quotient import divide_nb as divide_wide_nb
from engine.amm.solidly_curve import (
    STABLE_V2,
    VOLATILE,
    divide_nb,
    invariant_nb,
    scale_nb,
    solve_nb,
    solve_v2_nb,
)
from engine.amm.wide import limb0, limb1, limb2, limb3, make_u256, to_u256

FEE_DENOMINATOR = 10_000

_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _stable_output(net, reserve_in, reserve_out, unit_in, unit_out, curve, zero_for_one):
    """(output U256, fits) of a stable pool for an input after the fee."""
    unit0, unit1 = (unit_in, unit_out) if zero_for_one else (unit_out, unit_in)
    target, fits_1 = invariant_nb(reserve_in, reserve_out, unit_in, unit_out, curve)
    x, fits_2 = scale_nb(reserve_in, unit_in)
    y, fits_3 = scale_nb(reserve_out, unit_out)
    added, fits_4 = scale_nb(net, unit_in)
    x, fits_5 = checked_sum_nb(x, added)
    if not (fits_1 and fits_2 and fits_3 and fits_4 and fits_5):
        return y, False
    kept, fits = solve_nb(x, target, y, unit0, unit1, curve)
    if not fits or kept > y:
        return y, False
    product, fits = checked_product_nb(y - kept, unit_out)
    return divide_e18_nb(product), fits


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _quoted_output(net, reserve_in, reserve_out, unit_in, unit_out, curve, zero_for_one):
    if curve != VOLATILE:
        return _stable_output(net, reserve_in, reserve_out, unit_in, unit_out, curve, zero_for_one)
    product, fits_product = checked_product_nb(net, reserve_out)
    total, fits_total = checked_sum_nb(reserve_in, net)
    if not (fits_product and fits_total):
        return total, False
    return divide_nb(product, total)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def amount_out_nb(
    amount_in, reserve_in, reserve_out, unit_in, unit_out, fee, fee_denominator, curve, zero_for_one
):
    """Exact-in, getAmountOut followed by the swap: (status int64, amount out U256).

    `amount_in`, reserves and units (10**decimals) U256, `fee` and `fee_denominator` uint64, `curve` int64 of
    `engine.amm.solidly_curve`, `zero_for_one` whether token0 is sold. INSUFFICIENT_INPUT for nothing in or
    nothing out, INSUFFICIENT_LIQUIDITY for an empty pool or when its K check refuses, OVERFLOW where the
    contract's arithmetic reverts or its iteration finds no end.
    """
    zero = to_u256(_ZERO)
    if amount_in == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    if reserve_in == zero or reserve_out == zero:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    net, fits = net_input_nb(amount_in, fee, fee_denominator)
    if not fits:
        return np.int64(OVERFLOW), zero
    amount_out, fits = _quoted_output(net, reserve_in, reserve_out, unit_in, unit_out, curve, zero_for_one)
    if not fits:
        return np.int64(OVERFLOW), zero
    if amount_out == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    status = _swap_status(amount_in, net, amount_out, reserve_in, reserve_out, unit_in, unit_out, curve)
    return status, amount_out if status == OK else zero


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _swap_status(amount_in, net, amount_out, reserve_in, reserve_out, unit_in, unit_out, curve):
    """What the pool's swap says to `amount_out` for `amount_in` of which `net` stays."""
    if amount_out >= reserve_out:
        return np.int64(INSUFFICIENT_LIQUIDITY)
    _, fits_1 = checked_sum_nb(reserve_in, amount_in)
    _, fits_4 = checked_product_nb(amount_in - net, e18())
    before, fits_2 = invariant_nb(reserve_in, reserve_out, unit_in, unit_out, curve)
    after, fits_3 = invariant_nb(reserve_in + net, reserve_out - amount_out, unit_in, unit_out, curve)
    if not (fits_1 and fits_2 and fits_3 and fits_4):
        return np.int64(OVERFLOW)
    return np.int64(OK if after >= before else INSUFFICIENT_LIQUIDITY)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def least_amount_in_nb(amount_out, reserve_in, reserve_out, unit_in, unit_out, fee, fee_denominator, curve):
    """Exact-out, the least input for which the pool's swap pays `amount_out`: (status int64, amount in U256).

    Arguments and statuses as in `amount_out_nb`. The routers have no such call; K never falls when a balance
    grows, so the least input is where the check begins to hold.
    """
    zero, one = to_u256(_ZERO), to_u256(_ONE)
    if amount_out == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    if reserve_in == zero or amount_out >= reserve_out:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    left = reserve_out - amount_out
    before, fits = invariant_nb(reserve_in, reserve_out, unit_in, unit_out, curve)
    if not fits or unit_in == zero or unit_out == zero:
        return np.int64(OVERFLOW), zero
    if curve == VOLATILE:
        quotient, has_remainder = divide_wide_nb(before, left)
        balance = quotient + one if has_remainder else quotient
        net = balance - reserve_in
    else:
        net = _least_stable_net(before, left, reserve_in, unit_in, unit_out)
    amount_in, fits = least_gross_input_nb(net if net > zero else one, fee, fee_denominator)
    if not fits:
        return np.int64(OVERFLOW), zero
    net, fits = net_input_nb(amount_in, fee, fee_denominator)
    status = _swap_status(amount_in, net, amount_out, reserve_in, reserve_out, unit_in, unit_out, curve)
    return status, amount_in if status == OK else zero


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _keeps(target, balance, left, unit_in, unit_out):
    """Is K at least the target? Balances for which K overflows count as enough: smaller ones may fit."""
    k, fits = invariant_nb(balance, left, unit_in, unit_out, STABLE_V2)
    return not fits or k >= target


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _least_stable_net(target, left, reserve_in, unit_in, unit_out):
    """The least growth of the input balance that keeps K with `left` of the output: Newton's method gives a
    first guess, doubling steps enclose the edge and halving finds it."""
    one = to_u256(_ONE)
    x, fits_x = scale_nb(left, unit_out)
    y, fits_y = scale_nb(reserve_in, unit_in)
    guess, fits = solve_v2_nb(x, target, y, unit_in, unit_out, STABLE_V2)
    product, fits_product = checked_product_nb(guess, unit_in)
    balance = divide_e18_nb(product) + one
    if not (fits_x and fits_y and fits and fits_product) or balance <= reserve_in:
        balance = reserve_in + one
    low, high, step = reserve_in, balance, one
    if _keeps(target, balance, left, unit_in, unit_out):
        while high - reserve_in > step:
            probe = high - step
            if not _keeps(target, probe, left, unit_in, unit_out):
                low = probe
                break
            high = probe
            step = step << _ONE
    else:
        while not _keeps(target, high, left, unit_in, unit_out):
            low = high
            high, fits = checked_sum_nb(high, step)
            if not fits:
                return to_u256(_ZERO) - one - reserve_in
            step = step << _ONE
    while high - low > one:
        middle = low + ((high - low) >> _ONE)
        if _keeps(target, middle, left, unit_in, unit_out):
            high = middle
        else:
            low = middle
    return high - reserve_in


@njit(nogil=True, cache=True, error_model="numpy")
def est_rate_nb(reserve_in, reserve_out, unit_in, unit_out, fee, curve):
    """Marginal output per input after the fee, float64, base units; 0 for an empty pool.

    Reserves and units float64 in base units, `fee` a fraction of the input.
    """
    if reserve_in <= 0.0 or reserve_out <= 0.0:
        return 0.0
    if curve == VOLATILE:
        return (1.0 - fee) * reserve_out / reserve_in
    x, y = reserve_in / unit_in, reserve_out / unit_out
    slope = (3.0 * x * x * y + y * y * y) / (x * x * x + 3.0 * x * y * y)
    return (1.0 - fee) * slope * unit_out / unit_in


@njit(nogil=True, cache=True, error_model="numpy")
def est_amount_out_nb(amount_in, reserve_in, reserve_out, unit_in, unit_out, fee, curve):
    """Output for an input, float64, base units; arguments as in `est_rate_nb`. Accurate to about 1e-15 of the
    reserves: for screening only."""
    if reserve_in <= 0.0 or reserve_out <= 0.0 or amount_in <= 0.0:
        return 0.0
    net = amount_in * (1.0 - fee)
    if curve == VOLATILE:
        return net * reserve_out / (reserve_in + net)
    before, y = reserve_in / unit_in, reserve_out / unit_out
    x = before + net / unit_in
    # In units of the balance sold: v (1 + v v) = k, a convex rising function that Newton descends from above.
    v0, ratio = y / x, before / x
    k = v0 * ratio * (ratio * ratio + v0 * v0)
    v = v0
    for _ in range(64):
        step = (v * (1.0 + v * v) - k) / (1.0 + 3.0 * v * v)
        v -= step
        if step <= 1e-17 * v0:
            break
    return max(v0 - v, 0.0) * x * unit_out


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _row(rows, i):
    return make_u256(rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def quotes_nb(
    reserves, units, fees, fee_denominators, curves, zero_for_one, exact_in, amounts, statuses, results
):
    """Many quotes in one call, i-th on pool i.

    reserves and units u64[n, 2, 4] (token0, token1), fees and fee_denominators u64[n], curves u8[n],
    zero_for_one and exact_in bool[n], amounts u64[n, 4]; writes statuses i64[n], results u64[n, 4] (amount
    out when exact-in, least amount in otherwise).
    """
    for i in range(len(amounts)):
        side = 0 if zero_for_one[i] else 1
        amount = _row(amounts, i)
        reserve_in, reserve_out = _row(reserves[i], side), _row(reserves[i], 1 - side)
        unit_in, unit_out = _row(units[i], side), _row(units[i], 1 - side)
        fee, whole, curve = fees[i], fee_denominators[i], np.int64(curves[i])
        if exact_in[i]:
            status, value = amount_out_nb(
                amount, reserve_in, reserve_out, unit_in, unit_out, fee, whole, curve, zero_for_one[i]
            )
        else:
            status, value = least_amount_in_nb(
                amount, reserve_in, reserve_out, unit_in, unit_out, fee, whole, curve
            )
        statuses[i] = status
        results[i, 0], results[i, 1] = limb0(value), limb1(value)
        results[i, 2], results[i, 3] = limb2(value), limb3(value)
