"""A parameter that moves linearly between two times."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def ramped_nb(ramp, timestamp):
    """The value at a uint64 timestamp of u64[4] (start value, end value, start time, end time), values below
    2**32: Balancer's StablePool._getAmplificationParameter. Zero before the start, where it would revert."""
    start_value, end_value, start, end = ramp[0], ramp[1], ramp[2], ramp[3]
    if timestamp >= end:
        return end_value
    if timestamp < start:
        return np.uint64(0)
    if end_value > start_value:
        return start_value + (end_value - start_value) * (timestamp - start) // (end - start)
    return start_value - (start_value - end_value) * (timestamp - start) // (end - start)
