"""What Balancer's vaults do around a pool's curve: fees, decimals, rates, and the bounds of their books.

A curve works on amounts of 18 decimals. V2 (BaseMinimalSwapInfoPool, BaseGeneralPool) takes its fee on raw
amounts, V3 (Vault._swap) on scaled ones. `sold` and `bought` lead to and from the curve when the input is
given, `wanted` and `owed` when the output is. All return (status int64, amount U256).

V2's `scaling` is 1e18 * 10**(18 - decimals), times the token's rate where the pool has one. V3's `factor` is
10**(18 - decimals), its `rate` has 18 decimals, and `live` balances are scaled already.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.layout import INSUFFICIENT_INPUT, INSUFFICIENT_LIQUIDITY, OK, OVERFLOW
from engine.amm.log_exp import ONE, div_down_nb, div_up_nb, div_up_raw_nb, mul_down_nb, mul_nb, mul_up_nb
from engine.amm.quotient import divide_nb as divide_wide_nb
from engine.amm.wide import constant, make_u128, to_u256

_ZERO = np.uint64(0)
_ONE_LIMB = np.uint64(1)
_ONE_FEE = np.uint64(ONE)  # unsigned: numba compares uint64 with int64 as floats
_one = constant(256, ONE)
_max_v2_balance = constant(256, (1 << 112) - 1)
_max_v3_balance = constant(256, (1 << 128) - 1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def row_nb(rows, k):
    """Row k of u64[n, 2], as U256."""
    return to_u256(make_u128(rows[k, 0], rows[k, 1]))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _answer(value, ok):
    return (np.int64(OK), value) if ok else (np.int64(OVERFLOW), to_u256(_ZERO))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v2_sold_nb(amount_in, balance_in, scaling, fee):
    zero = to_u256(_ZERO)
    if amount_in == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    if amount_in > _max_v2_balance() or balance_in + amount_in > _max_v2_balance() or fee >= _ONE_FEE:
        return np.int64(OVERFLOW), zero
    charged, _ = mul_up_nb(amount_in, to_u256(fee))
    scaled, ok = mul_down_nb(amount_in - charged, scaling)
    return _answer(scaled, ok)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v2_bought_nb(curve_out, balance_out, scaling):
    amount_out, ok = div_down_nb(curve_out, scaling)
    if ok and amount_out > balance_out:
        return np.int64(INSUFFICIENT_LIQUIDITY), to_u256(_ZERO)
    return _answer(amount_out, ok)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v2_wanted_nb(amount_out, balance_out, scaling):
    zero = to_u256(_ZERO)
    if amount_out == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    if amount_out > balance_out:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    scaled, ok = mul_down_nb(amount_out, scaling)
    return _answer(scaled, ok)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v2_owed_nb(curve_in, balance_in, scaling, fee):
    if fee >= _ONE_FEE:
        return np.int64(OVERFLOW), to_u256(_ZERO)
    raw, ok = div_up_nb(curve_in, scaling)
    amount_in, also_ok = div_up_nb(raw, to_u256(_ONE_FEE - fee))
    fits = amount_in <= _max_v2_balance() and balance_in + amount_in <= _max_v2_balance()
    return _answer(amount_in, ok and also_ok and fits)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _rate_up(rate):
    """ScalingHelpers.computeRateRoundUp: one more, unless the rate is whole."""
    _, has_remainder = divide_wide_nb(rate, _one())
    return rate + to_u256(_ONE_LIMB) if has_remainder else rate


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v3_sold_nb(amount_in, live_in, factor, rate, fee, least):
    zero = to_u256(_ZERO)
    if amount_in == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    whole, ok = mul_nb(amount_in, to_u256(factor))
    given, also_ok = mul_down_nb(whole, rate)
    fits = given <= _max_v3_balance() and live_in + given <= _max_v3_balance()
    if not (ok and also_ok and fits) or fee >= _ONE_FEE:
        return np.int64(OVERFLOW), zero
    charged, _ = mul_up_nb(given, to_u256(fee))
    kept = given - charged
    if kept < to_u256(least):
        return np.int64(INSUFFICIENT_INPUT), zero
    return np.int64(OK), kept


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v3_bought_nb(curve_out, live_out, factor, rate, least):
    if curve_out < to_u256(least):
        return np.int64(INSUFFICIENT_INPUT), to_u256(_ZERO)
    if curve_out > live_out:
        return np.int64(INSUFFICIENT_LIQUIDITY), to_u256(_ZERO)
    scaling, ok = mul_nb(_rate_up(rate), to_u256(factor))
    amount_out, also_ok = div_down_nb(curve_out, scaling)
    return _answer(amount_out, ok and also_ok)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v3_wanted_nb(amount_out, live_out, factor, rate, least):
    zero = to_u256(_ZERO)
    if amount_out == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    whole, ok = mul_nb(amount_out, to_u256(factor))
    given, also_ok = mul_up_nb(whole, _rate_up(rate))
    if not (ok and also_ok) or given > live_out:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    if given < to_u256(least):
        return np.int64(INSUFFICIENT_INPUT), zero
    return np.int64(OK), given


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v3_owed_nb(curve_in, live_in, factor, rate, fee, least):
    zero = to_u256(_ZERO)
    if fee >= _ONE_FEE:
        return np.int64(OVERFLOW), zero
    if curve_in < to_u256(least):
        return np.int64(INSUFFICIENT_INPUT), zero
    product, ok = mul_nb(curve_in, to_u256(fee))
    charged, _ = div_up_raw_nb(product, to_u256(_ONE_FEE - fee))
    total = curve_in + charged
    if not ok or total < curve_in or total > _max_v3_balance() or live_in + total > _max_v3_balance():
        return np.int64(OVERFLOW), zero
    scaling, ok = mul_nb(rate, to_u256(factor))
    amount_in, also_ok = div_up_nb(total, scaling)
    return _answer(amount_in, ok and also_ok)
