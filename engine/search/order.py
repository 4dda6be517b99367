"""Cycles in the order of what they are worth, as one integer each.

A key holds whether the value is in native wei, which ranks first, and an est value: the bits of a float64 in
the order of its values, less the last, which leaves room for the other.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.search.codes import FOUND

LOWEST = -(2**63)
# Relative error allowed to est values when they are compared.
SLACK = 1e-9
_LOWEST = np.int64(LOWEST)
_PRICED = np.int64(1 << 62)
_MAGNITUDE = np.int64(2**63 - 1)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _key_nb(value, priced):
    bits = np.float64(value).view(np.int64)
    if bits < 0:
        bits = ~(bits & _MAGNITUDE)
    return (bits >> np.int64(1)) + (_PRICED if priced else -_PRICED)


@njit(nogil=True, cache=True, error_model="numpy")
def est_keys_nb(cycles, picks, gains, token0, token1, protocol, hop_wei, base_wei, worth, least, room, keys):
    """The key of each pick's est `gains` f64[n], base units before costs; LOWEST below `least`.

    `cycles` i32[m, 4], `protocol` u8[P] codes, `hop_wei` f64 by code, `worth` f64[T] wei per base unit or 0
    where the token has no price. With `room` the key is no lower than that of any gain that differs by SLACK.
    """
    least = least * (1.0 - SLACK)
    for k in range(len(picks)):
        n = picks[k]
        if not gains[k] >= least:
            keys[k] = _LOWEST
            continue
        row = cycles[n, 0] >> 1
        each = worth[token1[row] if cycles[n, 0] & 1 else token0[row]]
        value = gains[k]
        if each > 0.0:
            value = value * each - base_wei
            for d in range(4):
                if cycles[n, d] >= 0:
                    value -= hop_wei[protocol[cycles[n, d] >> 1]]
        if room and value < np.inf:
            value += abs(value) * SLACK + 1.0
        keys[k] = _key_nb(value, each > 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
def largest_nb(keys, floor, places):
    """Write to `places` i64[k] where the k largest keys above LOWEST and not below `floor` are, in any order;
    returns how many there are. A heap of the places, least key first."""
    count, room = 0, len(places)
    least = max(floor, _LOWEST + np.int64(1))
    for n in range(len(keys)):
        key = keys[n]
        if key < least:
            continue
        if count < room:
            at = count
            count += 1
            while at > 0 and keys[places[(at - 1) >> 1]] > key:
                places[at] = places[(at - 1) >> 1]
                at = (at - 1) >> 1
            places[at] = n
        else:
            at = 0
            while 2 * at + 1 < room:
                child = 2 * at + 1
                if child + 1 < room and keys[places[child + 1]] < keys[places[child]]:
                    child += 1
                if keys[places[child]] >= key:
                    break
                places[at] = places[child]
                at = child
            places[at] = n
        if count == room:
            least = max(least, keys[places[0]] + np.int64(1))
    return count
