"""What the words of a log may hold, compiled; a word is u64[4], least first."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.layout import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK

_LEAST_PRICE = np.uint64(MIN_SQRT_RATIO)
_END_PRICE = tuple(np.uint64(MAX_SQRT_RATIO >> shift & (2**64 - 1)) for shift in (0, 64, 128))
_ZERO = np.uint64(0)
_EVERY_BIT = np.uint64(2**64 - 1)


@njit(nogil=True, cache=True, error_model="numpy")
def tick_of_nb(limbs):
    """(tick, whether a sign-extended int24 within the protocol's bounds)."""
    high = limbs[1] & limbs[2] & limbs[3]
    any_high = limbs[1] | limbs[2] | limbs[3]
    if any_high == _ZERO:
        return np.int64(min(limbs[0], np.uint64(MAX_TICK + 1))), limbs[0] <= np.uint64(MAX_TICK)
    if high != _EVERY_BIT:
        return np.int64(0), False
    below = _ZERO - limbs[0]
    tick = -np.int64(min(below, np.uint64(MAX_TICK + 1)))
    return tick, below != _ZERO and below <= np.uint64(-MIN_TICK)


@njit(nogil=True, cache=True, error_model="numpy")
def is_price_nb(limbs):
    """Whether a square-root price within the protocol's bounds."""
    if limbs[3] != _ZERO:
        return False
    if limbs[2] == _ZERO and limbs[1] == _ZERO:
        return limbs[0] >= _LEAST_PRICE
    if limbs[2] != _END_PRICE[2]:
        return limbs[2] < _END_PRICE[2]
    if limbs[1] != _END_PRICE[1]:
        return limbs[1] < _END_PRICE[1]
    return limbs[0] < _END_PRICE[0]


@njit(nogil=True, cache=True, error_model="numpy")
def fits_nb(limbs, bits):
    """Whether an unsigned number of that many bits, 64 to 128."""
    if limbs[2] | limbs[3]:
        return False
    return bits == 128 or limbs[1] >> np.uint64(bits - 64) == _ZERO
