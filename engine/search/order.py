"""Cycles in the order of what they are worth, as one integer each.

A key holds whether the value is in native wei, which ranks first, and an est value: the bits of a float64 in
the order of its values, less the last, which leaves room for the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.search.codes import FOUND

LOWEST = -(2**63)
# Relative error allowed to est values when they are compared.
SLACK = 1e-9
_LOWEST = np.int64(LOWEST)
_PRICED = np.int64(1 << 62)
_MAGNITUDE = np.int64(2**63 - 1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _key_nb(value, priced):
    bits = np.float64(value).view(np.int64)
    if bits < 0:
        bits = ~(bits & _MAGNITUDE)
    return (bits >> np.int64(1)) + (_PRICED if priced else -_PRICED)


class Prices(NamedTuple):
    """What turns a gain into a value: P pool rows, T tokens."""

    token0: NDArray[np.int32]  # [P]
    token1: NDArray[np.int32]  # [P]
    protocol: NDArray[np.uint8]  # [P] codes
    hop_wei: NDArray[np.float64]  # by code
    worth: NDArray[np.float64]  # [T] wei per base unit, 0 where the token has no price
    base_wei: float  # what a cycle costs besides its hops
    least_wei: float  # what every cycle costs at least
    most_worth: float  # the largest of `worth`


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _worth_key_nb(cycles, n, gain, token0, token1, protocol, hop_wei, worth, base_wei, room):
    row = cycles[n, 0] >> 1
    each = worth[token1[row] if cycles[n, 0] & 1 else token0[row]]
    value = gain
    if each > 0.0:
        value = value * each - base_wei
        for d in range(4):
            if cycles[n, d] >= 0:
                value -= hop_wei[protocol[cycles[n, d] >> 1]]
    if room and value < np.inf:
        value += abs(value) * SLACK + 1.0
    return _key_nb(value, each > 0.0)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _arrays_of(prices):
    """The arrays by name: taking them from the tuple within a loop would count references."""
    return prices.token0, prices.token1, prices.protocol, prices.hop_wei, prices.worth


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_keys_nb(cycles, picks, gains, prices, least, room, keys):
    """The key of each pick of `cycles` i32[m, 4] by its est `gains` f64[n], base units before costs; LOWEST
    below `least`. With `room` it is no lower than that of any gain that differs by SLACK."""
    token0, token1, protocol, hop_wei, worth = _arrays_of(prices)
    base_wei = prices.base_wei
    least = least * (1.0 - SLACK)
    for k in range(len(picks)):
        if gains[k] >= least:
            keys[k] = _worth_key_nb(
                cycles, picks[k], gains[k], token0, token1, protocol, hop_wei, worth, base_wei, room
            )
        else:
            keys[k] = _LOWEST


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_gains_nb(cycles, codes, amounts, picks, gains):
    """est profit before costs of the picks that were FOUND, base units; minus infinity for the others."""
    for k in range(len(picks)):
        n = picks[k]
        gains[k] = -np.inf
        if codes[n] != FOUND:
            continue
        last = 0
        while last < 3 and cycles[n, last + 1] >= 0:
            last += 1
        sold0, sold1 = amounts[n, 0, 0, 0], amounts[n, 0, 0, 1]
        bought0, bought1 = amounts[n, last, 1, 0], amounts[n, last, 1, 1]
        borrow = np.uint64(1) if bought0 < sold0 else np.uint64(0)
        high = bought1 - sold1 - borrow
        gains[k] = np.float64(bought0 - sold0) + np.float64(high) * 18446744073709551616.0


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _least_value_nb(key, priced):
    """A value that no cycle with at least this key is below."""
    bits = (key - (_PRICED if priced else -_PRICED)) << np.int64(1)
    if bits < 0:
        return -np.int64(~bits & _MAGNITUDE).view(np.float64)
    return np.int64(bits).view(np.float64)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _least_gain_nb(key, prices):
    """Base units below which no cycle's ceiling has at least this key: with what costs least, and worth
    most."""
    priced = prices.most_worth > 0.0
    if key <= _LOWEST + np.int64(1) or (priced and key < 0):
        return -np.inf
    value = _least_value_nb(key, priced)
    # The room that keys have, twice, for float errors.
    value -= abs(value) * 4.0 * SLACK + 2.0
    return (value + prices.least_wei * (1.0 - SLACK)) / prices.most_worth if priced else value


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _sift_nb(places, keys, count, key, n):
    """Put (key, place) into a heap of `count`, least key first; a full one loses its least."""
    room = len(places)
    if count < room:
        at = count
        while at > 0 and keys[(at - 1) >> 1] > key:
            places[at], keys[at] = places[(at - 1) >> 1], keys[(at - 1) >> 1]
            at = (at - 1) >> 1
    else:
        at = 0
        while 2 * at + 1 < room:
            child = 2 * at + 1
            if child + 1 < room and keys[child + 1] < keys[child]:
                child += 1
            if keys[child] >= key:
                break
            places[at], keys[at] = places[child], keys[child]
            at = child
    places[at], keys[at] = n, key


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def most_promising_nb(cycles, ceilings, prices, least, floor, places, keys):
    """Write to `places` i64[k] the cycles with the largest keys of their est `ceilings` f64[n], none below
    `floor`, and to `keys` i64[k] those, in any order; returns how many there are. Most are passed over by
    their ceiling alone."""
    token0, token1, protocol, hop_wei, worth = _arrays_of(prices)
    base_wei = prices.base_wei
    count, floor = 0, max(floor, _LOWEST + np.int64(1))
    least = least * (1.0 - SLACK)
    least_gain = max(least, _least_gain_nb(floor, prices))
    for n in range(len(ceilings)):
        if not ceilings[n] >= least_gain:
            continue
        key = _worth_key_nb(cycles, n, ceilings[n], token0, token1, protocol, hop_wei, worth, base_wei, True)
        if key < floor:
            continue
        _sift_nb(places, keys, count, key, n)
        count = min(count + 1, len(places))
        if count == len(places):
            floor = max(floor, keys[0] + np.int64(1))
            least_gain = max(least, _least_gain_nb(floor, prices))
    return count
