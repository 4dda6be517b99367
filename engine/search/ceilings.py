"""A cheap upper bound of what a cycle can earn, so that only the promising ones are sized.

A hop sells x for at most r x / (1 + c x) with r its marginal rate: exactly so for constant product; for
concentrated liquidity with c from the most liquidity the trade can meet, because more liquidity at every
price gives more; with c = 0 for other curves, which only bend downward. Such hops compose into one (see
`engine.search.sizing`), whose best profit (sqrt k - 1)**2 / n no execution exceeds. All rates fall as the
trade grows and their product falls from k to 1, so no price moves by more than the factor k: liquidity
farther away is left out where k is small.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.layout import KIND_V2, KIND_V3

_LIMB = 2.0**64
_SIGN = np.uint64(1 << 63)
_LOG_BASE = math.log(1.0001)
# Bends are kept for prices up to this factor away, and for all prices.
NEAR = 1.05
_SLACK = 1e-9
# Allowed besides where cycles are passed over before all of their hops are known.
_ROOM = 1e-6
_SURELY_NEAR = NEAR * (1.0 - 1e-9)
NEAR_COLUMN, FAR_COLUMN = range(2)
# Near the least normal float32.
_LEAST_BEND = 1e-36


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def est_net_nb(arena_net, place):
    """liquidityNet as a float64."""
    low, high = arena_net[place, 0], arena_net[place, 1]
    if high & _SIGN:
        return -(np.float64(~low) + np.float64(~high) * _LIMB + 1.0)
    return np.float64(low) + np.float64(high) * _LIMB


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _most_liquidity_nb(pools, row, d):
    """(most liquidity up to the factor NEAR away, most at all) in the direction of selling token d."""
    ticks, nets = pools.arena_tick, pools.arena_net
    first, count = pools.tick_start[row], np.int64(pools.tick_count[row])
    tick = np.int64(pools.tick[row])
    liquidity = np.float64(pools.liquidity[row, 0]) + np.float64(pools.liquidity[row, 1]) * _LIMB
    near = far = liquidity
    reach = np.int64(math.log(NEAR) / _LOG_BASE) + 2
    # The first tick above the present one, by bisection.
    low, high = first, first + count
    while low < high:
        middle = (low + high) >> 1
        if ticks[middle] <= tick:
            low = middle + 1
        else:
            high = middle
    if d == 1:
        for place in range(low, first + count):
            liquidity += est_net_nb(nets, place)
            far = max(far, liquidity)
            if ticks[place] <= tick + reach:
                near = far
    else:
        for place in range(low - 1, first - 1, -1):
            liquidity -= est_net_nb(nets, place)
            far = max(far, liquidity)
            if ticks[place] >= tick - reach:
                near = far
    return near, far


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _other_bends_nb(pools, row, d, rate):
    """(c for prices near, c for all) of a directed edge, not V2, whose rate is `rate`; the sold token's
    virtual reserve is sqrt(kept / rate) times the liquidity."""
    kept = 1.0 - np.float64(pools.fee_pips[row, d]) * 1e-6
    if pools.kind[row] == KIND_V3 and rate > 0.0 and kept > 0.0:
        near, far = _most_liquidity_nb(pools, row, d)
        per_liquidity = kept * math.sqrt(rate / kept)
        near = per_liquidity / near if near > 0.0 else 0.0
        far = per_liquidity / far if far > 0.0 else 0.0
        return near * (1.0 - 1e-6), far * (1.0 - 1e-6)
    return 0.0, 0.0


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _no_more_nb(bend):
    """As a float32 that is no larger."""
    return np.float32(bend * (1.0 - 1e-6)) if bend > _LEAST_BEND else np.float32(0.0)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def update_bends_nb(pools, pair_of, place, slot_rate, rows, bends, rates):
    """Set `bends` f32[2P, 2], c near and c far, and `rates` f64[2P] of the directed edges of these pool rows:
    in little memory, which a walk reads here and there."""
    kind, reserves, fee_pips = pools.kind, pools.reserves, pools.fee_pips
    for row in rows:
        if pair_of[row] < 0:
            continue
        for d in range(2):
            edge = 2 * row + d
            rate = slot_rate[place[edge]]
            rates[edge] = rate
            if kind[row] == KIND_V2:
                reserve = np.float64(reserves[row, d, 0]) + np.float64(reserves[row, d, 1]) * _LIMB
                kept = 1.0 - np.float64(fee_pips[row, d]) * 1e-6
                near = far = kept / reserve if reserve > 0.0 else 0.0
            else:
                near, far = _other_bends_nb(pools, row, d, rate)
            bends[edge, NEAR_COLUMN] = _no_more_nb(near)
            bends[edge, FAR_COLUMN] = _no_more_nb(far)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def ceiling_nb(k, near, far):
    """est profit, base units, that no execution of a cycle exceeds whose rates have the product `k`, with the
    sums of its bends: infinity where nothing bends."""
    excess = math.sqrt(max(k, 1.0)) - 1.0
    # An excess this small is lost in the rates' own rounding.
    excess = excess * (1.0 + _SLACK) + 1e-15
    bend = near if k < NEAR else far
    return excess * excess / bend * (1.0 + _SLACK) + 1.0 if bend > 0.0 else np.inf


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def below_nb(k, near, far, least):
    """True when a product of rates of at most `k`, with at least these bends, has a ceiling below `least`.
    Neither root nor division: sqrt k - 1 <= (k - 1) / 2."""
    excess = max(k - 1.0, 0.0) * (0.5 + _ROOM) + 1e-15
    bend = near if k < _SURELY_NEAR else far
    return excess * excess * (1.0 + _ROOM) < (least - 1.0) * bend


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_ceilings_nb(cycles, bends, rates, ceilings):
    """est profit, base units, that no execution of each cycle exceeds."""
    for n in range(len(cycles)):
        k, near, far = 1.0, 0.0, 0.0
        for d in range(4):
            edge = cycles[n, d]
            if edge < 0:
                break
            near += bends[edge, NEAR_COLUMN] * k
            far += bends[edge, FAR_COLUMN] * k
            k *= rates[edge]
        ceilings[n] = ceiling_nb(k, near, far)
