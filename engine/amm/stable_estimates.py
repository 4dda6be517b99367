"""Float twins of the StableSwap kernels, for screening and sizing. Nothing here may enter a plan.

With F = Ann S + D - Ann D - D_P on the invariant, dF/dx_k = Ann + D_P / x_k, so selling i for j pays
(Ann + D_P / x_i) / (Ann + D_P / x_j) at the margin. For a whole trade y = x_j - out solves a quadratic whose
root is written for `out` itself: nothing cancels, so small trades on deep pools keep their precision.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.stable_invariant import STABLE_NG, STABLE_TEMPLATE
from engine.amm.stableswap import amp_at_nb

_LIMB = 2.0**64
_ROUNDS = 64


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _float_4(limbs):
    low = np.float64(limbs[0]) + np.float64(limbs[1]) * _LIMB
    return low + (np.float64(limbs[2]) + np.float64(limbs[3]) * _LIMB) * _LIMB * _LIMB


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _est_balance(pools, row, coin):
    """Balance in 1e18 units."""
    return _float_4(pools.balances[row, coin]) * (_float_4(pools.rates[row, coin]) * 1e-18)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=False)
def est_invariant_nb(pools, row, timestamp):
    """(Ann without its precision, D, D_P) as float64; zeros where the pool cannot be priced."""
    amp, coins = amp_at_nb(pools, row, timestamp), np.int64(pools.coins[row])
    ann = np.float64(amp) * coins / (100.0 if pools.kind[row] >= STABLE_TEMPLATE else 1.0)
    total = 0.0
    for k in range(coins):
        held = _est_balance(pools, row, k)
        if held <= 0.0:
            return 0.0, 0.0, 0.0
        total += held
    if pools.kind[row] == 0 or ann <= 0.0:
        return 0.0, 0.0, 0.0
    d, power = total, 0.0
    for _ in range(_ROUNDS):
        power = d
        for k in range(coins):
            power *= d / (_est_balance(pools, row, k) * coins)
        after = (ann * total + power * coins) * d / ((ann - 1.0) * d + (coins + 1) * power)
        settled = abs(after - d) <= 1e-15 * d
        d = after
        if settled:
            break
    return ann, d, power


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _est_kept(pools, row, mean_in, mean_out):
    """1 - fee."""
    fee = np.float64(pools.fee[row]) * 1e-10
    multiplier = _float_4(pools.offpeg_multiplier[row]) * 1e-10
    if pools.kind[row] == STABLE_NG and multiplier > 1.0:
        total = mean_in + mean_out
        fee *= multiplier / ((multiplier - 1.0) * 4.0 * mean_in * mean_out / (total * total) + 1.0)
    return 1.0 - fee


@njit(nogil=True, cache=True, error_model="numpy", forceinline=False)
def est_stable_rate_nb(pools, row, coin_in, coin_out, timestamp):
    """Marginal output per input after the fee, base units, float64; 0 when the pool cannot be priced."""
    ann, _, power = est_invariant_nb(pools, row, timestamp)
    if ann <= 0.0:
        return 0.0
    held_in, held_out = _est_balance(pools, row, coin_in), _est_balance(pools, row, coin_out)
    rate = (ann + power / held_in) / (ann + power / held_out)
    scale = _float_4(pools.rates[row, coin_in]) / _float_4(pools.rates[row, coin_out])
    return rate * scale * _est_kept(pools, row, held_in, held_out)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=False)
def est_exchange_nb(pools, row, coin_in, coin_out, amount_in, timestamp):
    """Output for `amount_in`, both float64 in base units; 0 when the pool cannot be priced."""
    ann, d, power = est_invariant_nb(pools, row, timestamp)
    if ann <= 0.0:
        return 0.0
    held_in, held_out = _est_balance(pools, row, coin_in), _est_balance(pools, row, coin_out)
    sold = amount_in * (_float_4(pools.rates[row, coin_in]) * 1e-18)
    others = 0.0
    for k in range(np.int64(pools.coins[row])):
        if k != coin_out:
            others += _est_balance(pools, row, k)
    # y^2 + (b - D) y = c before the trade; c shrinks by x / (x + sold), b grows by sold.
    c = held_out * power / ann
    linear = 2.0 * held_out + others + d / ann + sold - d
    constant = sold * (held_out + c / (held_in + sold))
    out = 2.0 * constant / (linear + math.sqrt(max(linear * linear - 4.0 * constant, 0.0)))
    kept = _est_kept(pools, row, held_in + 0.5 * sold, held_out - 0.5 * out)
    return out * kept * 1e18 / _float_4(pools.rates[row, coin_out])
