"""The rate no amount beats: what the float screen judges a pool by, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.estimates import est_rate_nb, est_segment_nb
from engine.amm.layout import KIND_V2, KIND_V3

# The product of float64 rates differs from the real one by a few parts in 1e16 per hop, and integer rounding
# only ever works against the trader: a cycle that pays in integers has a real product above one.
RATE_FLOOR = 1.0 - 1e-12
_LIMB = 2.0**64
_Q96 = 2.0**96


@njit(nogil=True, cache=True, error_model="numpy")
def rate_nb(pools, row, zero_for_one):
    """est marginal out per in after the fee, an upper bound of every trade's rate; 0 when the pool is out."""
    rate = est_rate_nb(pools, row, zero_for_one)
    if rate == 0.0 and pools.kind[row] == KIND_V3:
        # No liquidity at the price itself: a trade passes to the next range for free.
        virtual_in, virtual_out, _ = est_segment_nb(pools, row, zero_for_one)
        if virtual_in > 0.0:
            rate = (1.0 - pools.fee_pips[row, 0 if zero_for_one else 1] * 1e-6) * virtual_out / virtual_in
    return rate if np.isfinite(rate) and rate > 0.0 else 0.0


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def quick_rate_nb(arrays, row, d):
    """`rate_nb` of selling token d at a V2 row, or a V3 row with liquidity at its price, without a call: most
    pools are these. Minus one for the others. `arrays` are `quick_arrays` of the pools."""
    kind, fee_pips, reserves, sqrt_price, liquidity = arrays
    kept = 1.0 - np.float64(fee_pips[row, d]) * 1e-6
    if kind[row] == KIND_V2:
        sold = np.float64(reserves[row, d, 0]) + np.float64(reserves[row, d, 1]) * _LIMB
        bought = np.float64(reserves[row, 1 - d, 0]) + np.float64(reserves[row, 1 - d, 1]) * _LIMB
        return kept * bought / sold if sold > 0.0 else 0.0
    if kind[row] != KIND_V3 or (liquidity[row, 0] | liquidity[row, 1]) == np.uint64(0):
        return -1.0
    low = np.float64(sqrt_price[row, 0]) + np.float64(sqrt_price[row, 1]) * _LIMB
    high = np.float64(sqrt_price[row, 2]) + np.float64(sqrt_price[row, 3]) * _LIMB
    price = (low + high * _LIMB * _LIMB) / _Q96
    if price <= 0.0:
        return 0.0
    return kept * (price * price if d == 0 else 1.0 / (price * price))


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def quick_arrays(pools):
    """The arrays by name: taking them from the tuple within a loop would count references."""
    return pools.kind, pools.fee_pips, pools.reserves, pools.sqrt_price, pools.liquidity
