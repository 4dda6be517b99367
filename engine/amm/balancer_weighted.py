"""Balancer weighted pools, V2 and V3: WeightedMath's calcOutGivenIn and calcInGivenOut.

    out = B_out * (1 - (B_in / (B_in + in)) ** (w_in / w_out))
    in  = B_in * ((B_out / (B_out - out)) ** (w_out / w_in) - 1)

Every operation rounds against the trader, and a trade above 30 % of a balance is refused. A pool is arrays
over its n tokens: V2 `balances` u64[n, 2] raw and `scaling` u64[n, 2] (see `balancer_vault`); V3 `live`
u64[n, 2] (balances scaled to 18 decimals with rates, as of the block of the trade), `factors` u64[n], `rates`
u64[n, 2] and `floors` u64[n, 2] (getMinTokenBalances; zeros for pools without). `weights` u64[n] and `fee`
u64 have 18 decimals. i sells, j buys.
"""

from __future__ import annotations

import math

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
from engine.amm.log_exp import ONE, div_down_nb, div_up_nb, mul_down_nb, mul_up_nb, pow_up_nb
from engine.amm.wide import constant, to_float, to_u256

WEIGHTED_2021 = 1  # every power through logarithms
WEIGHTED_SHORTCUTS = 2  # V2 pools since 2022: exponents 1, 2 and 4 by multiplication

_ZERO = np.uint64(0)
_ONE_LIMB = np.uint64(1)
_ONE_FEE = np.uint64(ONE)
_one = constant(256, ONE)
_max_ratio = constant(256, 3 * 10**17)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def weighted_out_nb(amount_in, balance_in, balance_out, weight_in, weight_out, has_shortcuts):
    """(status, amount out): U256 of 18 decimals, fee already taken; weights uint64 of 18 decimals."""
    zero = to_u256(_ZERO)
    greatest, ok = mul_down_nb(balance_in, _max_ratio())
    if not ok:
        return np.int64(OVERFLOW), zero
    if amount_in > greatest:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    base, ok_base = div_up_nb(balance_in, balance_in + amount_in)
    exponent, ok_exponent = div_down_nb(to_u256(weight_in), to_u256(weight_out))
    if not (ok_base and ok_exponent):
        return np.int64(OVERFLOW), zero
    share, ok = pow_up_nb(base, exponent, has_shortcuts)
    if not ok:
        return np.int64(OVERFLOW), zero
    if share >= _one():
        return np.int64(OK), zero
    amount_out, ok = mul_down_nb(balance_out, _one() - share)
    return np.int64(OK if ok else OVERFLOW), amount_out


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def weighted_in_nb(amount_out, balance_in, balance_out, weight_in, weight_out, has_shortcuts):
    """(status, amount in before the fee); arguments as in `weighted_out_nb`."""
    zero = to_u256(_ZERO)
    greatest, ok = mul_down_nb(balance_out, _max_ratio())
    if not ok:
        return np.int64(OVERFLOW), zero
    if amount_out > greatest:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    base, ok_base = div_up_nb(balance_out, balance_out - amount_out)
    exponent, ok_exponent = div_up_nb(to_u256(weight_out), to_u256(weight_in))
    if not (ok_base and ok_exponent):
        return np.int64(OVERFLOW), zero
    growth, ok = pow_up_nb(base, exponent, has_shortcuts)
    if not ok or growth < _one():
        return np.int64(OVERFLOW), zero
    amount_in, ok = mul_up_nb(balance_in, growth - _one())
    return np.int64(OK if ok else OVERFLOW), amount_in


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _are_two_tokens(count, i, j):
    return 0 <= i < count and 0 <= j < count and i != j


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v2_weighted_nb(balances, scaling, weights, fee, version, i, j, exact_in, amount):
    """(status int64, U256), base units: the amount out for `amount` in if `exact_in`, else the amount in for
    `amount` out. `version` WEIGHTED_2021 or WEIGHTED_SHORTCUTS."""
    if not _are_two_tokens(len(weights), i, j):
        return np.int64(UNINITIALISED), to_u256(_ZERO)
    balance_in, balance_out = row_nb(balances, i), row_nb(balances, j)
    scale_in, scale_out = row_nb(scaling, i), row_nb(scaling, j)
    scaled_in, ok_in = mul_down_nb(balance_in, scale_in)
    scaled_out, ok_out = mul_down_nb(balance_out, scale_out)
    if not (ok_in and ok_out):
        return np.int64(OVERFLOW), to_u256(_ZERO)
    has_shortcuts = version >= WEIGHTED_SHORTCUTS
    if exact_in:
        status, given = v2_sold_nb(amount, balance_in, scale_in, fee)
        if status == OK:
            status, given = weighted_out_nb(
                given, scaled_in, scaled_out, weights[i], weights[j], has_shortcuts
            )
        return v2_bought_nb(given, balance_out, scale_out) if status == OK else (status, given)
    status, given = v2_wanted_nb(amount, balance_out, scale_out)
    if status == OK:
        status, given = weighted_in_nb(given, scaled_in, scaled_out, weights[i], weights[j], has_shortcuts)
    return v2_owed_nb(given, balance_in, scale_in, fee) if status == OK else (status, given)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v3_weighted_nb(live, factors, rates, weights, floors, fee, least, i, j, exact_in, amount):
    """As `v2_weighted_nb` on a V3 pool. `least` u64: the vault's minimum trade, 18 decimals.

    The pool counts one unit more than its live balance of the token in (WeightedPool.onSwap), so that an
    exact-out trade may cost one unit more than the formula's ceiling.
    """
    if not _are_two_tokens(len(weights), i, j):
        return np.int64(UNINITIALISED), to_u256(_ZERO)
    live_in, live_out = row_nb(live, i), row_nb(live, j)
    balance_in = live_in + to_u256(_ONE_LIMB)
    if exact_in:
        status, given = v3_sold_nb(amount, live_in, factors[i], row_nb(rates, i), fee, least)
        if status != OK:
            return status, given
        status, result = weighted_out_nb(given, balance_in, live_out, weights[i], weights[j], True)
        taken = result
    else:
        status, given = v3_wanted_nb(amount, live_out, factors[j], row_nb(rates, j), least)
        if status != OK:
            return status, given
        status, result = weighted_in_nb(given, balance_in, live_out, weights[i], weights[j], True)
        taken = given
    if status != OK:
        return status, result
    if balance_in < row_nb(floors, i) or taken > live_out or live_out - taken < row_nb(floors, j):
        return np.int64(INSUFFICIENT_LIQUIDITY), to_u256(_ZERO)
    if exact_in:
        return v3_bought_nb(result, live_out, factors[j], row_nb(rates, j), least)
    return v3_owed_nb(result, live_in, factors[i], row_nb(rates, i), fee, least)


@njit(nogil=True, cache=True, error_model="numpy")
def est_weighted_rate_nb(balance_in, balance_out, weight_in, weight_out, fee):
    """Marginal output per input after the fee, float64: the spot price. Balances U256 in the units wanted:
    raw for V2; for V3 divide what live balances give by the tokens' scalings. Weights and `fee` uint64."""
    held = to_float(balance_in) * np.float64(weight_out)
    if held <= 0.0 or fee >= _ONE_FEE:
        return 0.0
    return (1.0 - np.float64(fee) * 1e-18) * to_float(balance_out) * np.float64(weight_in) / held


@njit(nogil=True, cache=True, error_model="numpy")
def est_weighted_out_nb(amount_in, balance_in, balance_out, weight_in, weight_out, fee):
    """Float twin of the exact-in quote: `amount_in` float64 in the units of `balance_in`, out in those of
    `balance_out` (U256); 0 past the 30 % bound or for an empty pool."""
    held = to_float(balance_in)
    kept = amount_in * (1.0 - np.float64(fee) * 1e-18)
    if held <= 0.0 or weight_out == _ZERO or kept > 0.3 * held:
        return 0.0
    ratio = np.float64(weight_in) / np.float64(weight_out)
    return -to_float(balance_out) * math.expm1(-ratio * math.log1p(kept / held))
