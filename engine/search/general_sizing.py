"""The real-valued optimum of a cycle through any families, on their float twins: no formula, no derivative.

The profit of a cycle is concave but for rounding. Steps of a constant factor find where it stops rising, and
a golden-section search on the amount's logarithm closes in (J. Kiefer, "Sequential minimax search for a
maximum", 1953). Cycles of V2 and V3 pools alone have `sizing.optimum_nb` instead.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.estimates import est_out_nb
from engine.amm.layout import KIND_V2, KIND_V3
from engine.search.sizing import HOP_COLUMNS, optimum_nb
from engine.search.verify import hops_nb

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_SMALLEST, _LARGEST = 1.0, 2.0**112
_FACTOR = 16.0
# The profit is flat at its top: an amount right to 1e-6 loses 1e-12 of it.
_CLOSE = 1e-6
_ROUNDS = 40


@njit(nogil=True, cache=True, error_model="numpy")
def _est_profit_nb(pools, edges, hops, amount):
    """est profit of selling `amount` through the cycle; all of it is lost where a pool runs dry."""
    out = amount
    for hop in range(hops):
        bought, used = est_out_nb(pools, edges[hop] >> 1, (edges[hop] & 1) == 0, out)
        if not bought > 0.0 or used < out * (1.0 - 1e-9):
            return -amount
        out = bought
    return out - amount


@njit(nogil=True, cache=True, error_model="numpy")
def golden_optimum_nb(pools, edges, hops):
    """(input, est profit) where the cycle's est profit is largest; zeros when none is seen."""
    best, gain = 0.0, 0.0
    amount = _SMALLEST
    while amount < _LARGEST:
        profit = _est_profit_nb(pools, edges, hops, amount)
        if profit > gain:
            best, gain = amount, profit
        elif best > 0.0:
            break
        amount *= _FACTOR
    if best == 0.0:
        return 0.0, 0.0
    low, high = math.log(best / _FACTOR), math.log(best * _FACTOR)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left = _est_profit_nb(pools, edges, hops, math.exp(left))
    at_right = _est_profit_nb(pools, edges, hops, math.exp(right))
    for _ in range(_ROUNDS):
        if high - low < _CLOSE:
            break
        if at_left < at_right:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = _est_profit_nb(pools, edges, hops, math.exp(right))
        else:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = _est_profit_nb(pools, edges, hops, math.exp(left))
    if at_left > gain:
        best, gain = math.exp(left), at_left
    if at_right > gain:
        best, gain = math.exp(right), at_right
    return best, gain


@njit(nogil=True, cache=True, error_model="numpy")
def size_cycles_nb(pools, cycles, picks, begin, end, sizes):
    """The real-valued optimum of cycles `picks[begin:end]` of i32[n, 4] (directed edges, -1 after the last):
    `sizes` f64[len(picks), 3] receives the input, a double-double in base units, and the est profit."""
    state = np.zeros((4, HOP_COLUMNS), np.float64)
    cursor = np.zeros(4, np.int64)
    for k in range(begin, end):
        edges = cycles[picks[k]]
        hops = hops_nb(edges)
        curved = False
        for hop in range(hops):
            kind = pools.kind[edges[hop] >> 1]
            curved = curved or (kind != KIND_V2 and kind != KIND_V3)
        if curved:
            sizes[k, 0], sizes[k, 2] = golden_optimum_nb(pools, edges, hops)
            sizes[k, 1] = 0.0
        else:
            size, gain = optimum_nb(pools, edges, hops, state, cursor)
            sizes[k, 0], sizes[k, 1], sizes[k, 2] = size[0], size[1], gain
