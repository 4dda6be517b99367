"""The amounts of one execution of a cycle, compiled: u64[5, 4], the input of each hop and, at position
`hops`, the cycle's output, four little-endian limbs each."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.wide import limb0, limb1, limb2, limb3, make_u256


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def store_nb(amounts, position, value):
    """Write a U256."""
    amounts[position, 0] = limb0(value)
    amounts[position, 1] = limb1(value)
    amounts[position, 2] = limb2(value)
    amounts[position, 3] = limb3(value)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def load_nb(amounts, position):
    """Read a U256."""
    return make_u256(amounts[position, 0], amounts[position, 1], amounts[position, 2], amounts[position, 3])


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def gain_at_least_nb(amounts, hops, bound):
    """Whether output less input is at least `bound` (U256), amounts and bound below 2**255."""
    return load_nb(amounts, hops) >= load_nb(amounts, 0) + bound


@njit(nogil=True, cache=True, error_model="numpy")
def keep_better_nb(amounts, best, hops, have_best):
    """Copy `amounts` to `best` when they profit more; True when they do. Compares out - in without signs."""
    if have_best:
        gain, known = load_nb(amounts, hops) + load_nb(best, 0), load_nb(best, hops) + load_nb(amounts, 0)
        if gain <= known:
            return False
    for position in range(5):
        for limb in range(4):
            best[position, limb] = amounts[position, limb]
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def coarsest_nb(amounts, hops):
    """The hop whose input has the fewest units: one unit is worth most there, so its integers are the
    plateaus of the profit."""
    pivot = np.int64(0)
    for hop in range(1, hops):
        if load_nb(amounts, hop) < load_nb(amounts, pivot):
            pivot = np.int64(hop)
    return pivot
