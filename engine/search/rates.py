"""The rate no amount beats: what the float screen judges a pool by, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.estimates import est_rate_nb, est_segment_nb
from engine.amm.layout import KIND_V3

# The product of float64 rates differs from the real one by a few parts in 1e16 per hop, and integer rounding
# only ever works against the trader: a cycle that pays in integers has a real product above one.
RATE_FLOOR = 1.0 - 1e-12
_LIMB = 2.0**64


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
def v2_rate_nb(reserves, fee_pips, row, side_in):
    """`rate_nb` of a V2 row that sells token `side_in`, without a call: most pools are these."""
    sold = np.float64(reserves[row, side_in, 0]) + np.float64(reserves[row, side_in, 1]) * _LIMB
    bought = np.float64(reserves[row, 1 - side_in, 0]) + np.float64(reserves[row, 1 - side_in, 1]) * _LIMB
    return (1.0 - np.float64(fee_pips[row, side_in]) * 1e-6) * bought / sold if sold > 0.0 else 0.0
