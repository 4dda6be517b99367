"""Balancer weighted pools as words, for n tokens; 128-bit values are two limbs.

V2: 0 version  1 fee  2 n  3 unused   4 balances, scaling (two limbs a token), weights (one)
V3: 0 least trade  1 fee  2 n  3 unused   4 live balances, rates, floors (two), factors, weights (one)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import carray, njit

from engine.amm.balancer_vault import row_nb
from engine.amm.balancer_weighted import (
    est_weighted_out_nb,
    est_weighted_rate_nb,
    v2_weighted_nb,
    v3_weighted_nb,
)
from engine.amm.families.call import estimate_family, offset, quote_family
from engine.amm.families.words import Words, read_wide, wide, words_of
from engine.amm.layout import UNINITIALISED
from engine.amm.wide import to_float
from engine.amm.wide_digits import read_256, set_limbs

MAX_TOKENS = 8
_HEADER = 4
_E18 = 1e-18


class WeightedV2(NamedTuple):
    """State of a V2 pool; fields as in `engine.amm.balancer_weighted`."""

    version: int
    fee: int
    balances: tuple[int, ...]
    scaling: tuple[int, ...]
    weights: tuple[int, ...]


class WeightedV3(NamedTuple):
    """State of a V3 pool; fields as in `engine.amm.balancer_weighted`."""

    least: int
    fee: int
    live: tuple[int, ...]
    rates: tuple[int, ...]
    floors: tuple[int, ...]
    factors: tuple[int, ...]
    weights: tuple[int, ...]


def _check_counts(*columns: tuple[int, ...]) -> int:
    count = len(columns[0])
    if not 2 <= count <= MAX_TOKENS or any(len(column) != count for column in columns):
        raise ValueError("not a weighted pool of two to eight tokens")
    return count


def pack_v2(pool: WeightedV2) -> Words:
    """Words of a pool. Raises OverflowError for a value that does not fit, ValueError for other counts."""
    count = _check_counts(*pool[2:])
    header = (pool.version, pool.fee, count, 0)
    return words_of(header, wide(pool.balances, 2), wide(pool.scaling, 2), pool.weights)


def unpack_v2(words: Words) -> WeightedV2:
    """The pool `pack_v2` was given."""
    n = int(words[2])
    balances, scaling = read_wide(words, _HEADER, n, 2), read_wide(words, _HEADER + 2 * n, n, 2)
    return WeightedV2(
        int(words[0]), int(words[1]), balances, scaling, tuple(words[_HEADER + 4 * n :].tolist())
    )


def pack_v3(pool: WeightedV3) -> Words:
    """Words of a pool. Raises OverflowError for a value that does not fit, ValueError for other counts."""
    count = _check_counts(*pool[2:])
    header = (pool.least, pool.fee, count, 0)
    wides = (wide(column, 2) for column in (pool.live, pool.rates, pool.floors))
    return words_of(header, *wides, pool.factors, pool.weights)


def unpack_v3(words: Words) -> WeightedV3:
    """The pool `pack_v3` was given."""
    n = int(words[2])
    live, rates, floors = (read_wide(words, _HEADER + 2 * n * k, n, 2) for k in range(3))
    factors, weights = (tuple(words[_HEADER + n * k : _HEADER + n * (k + 1)].tolist()) for k in (6, 7))
    return WeightedV3(int(words[0]), int(words[1]), live, rates, floors, factors, weights)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _tokens(words, count, per_token):
    n = np.int64(carray(words, (3,))[2])
    return n if 2 <= n <= MAX_TOKENS and count == _HEADER + per_token * n else np.int64(0)


@quote_family
def quote_v2(words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    n = _tokens(words, count, 5)
    if n == 0:
        return np.int64(UNINITIALISED)
    header = carray(words, (4,))
    status, value = v2_weighted_nb(
        carray(offset(words, 4), (n, 2)),
        carray(offset(words, 4 + 2 * n), (n, 2)),
        carray(offset(words, 4 + 4 * n), (n,)),
        header[1],
        np.int64(header[0]),
        coin_in,
        coin_out,
        exact_in != 0,
        read_256(amount),
    )
    set_limbs(result, value)
    return np.int64(status)


@estimate_family
def estimate_v2(words, count, coin_in, coin_out, timestamp, amount):
    n = _tokens(words, count, 5)
    if n == 0:
        return 0.0
    balances, weights = carray(offset(words, 4), (n, 2)), carray(offset(words, 4 + 4 * n), (n,))
    balance_in, balance_out = row_nb(balances, coin_in), row_nb(balances, coin_out)
    weight_in, weight_out, fee = weights[coin_in], weights[coin_out], carray(words, (2,))[1]
    if amount > 0.0:
        return est_weighted_out_nb(amount, balance_in, balance_out, weight_in, weight_out, fee)
    return est_weighted_rate_nb(balance_in, balance_out, weight_in, weight_out, fee)


@quote_family
def quote_v3(words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    n = _tokens(words, count, 8)
    if n == 0:
        return np.int64(UNINITIALISED)
    header = carray(words, (4,))
    status, value = v3_weighted_nb(
        carray(offset(words, 4), (n, 2)),
        carray(offset(words, 4 + 6 * n), (n,)),
        carray(offset(words, 4 + 2 * n), (n, 2)),
        carray(offset(words, 4 + 7 * n), (n,)),
        carray(offset(words, 4 + 4 * n), (n, 2)),
        header[1],
        header[0],
        coin_in,
        coin_out,
        exact_in != 0,
        read_256(amount),
    )
    set_limbs(result, value)
    return np.int64(status)


@estimate_family
def estimate_v3(words, count, coin_in, coin_out, timestamp, amount):
    n = _tokens(words, count, 8)
    if n == 0:
        return 0.0
    live, rates = carray(offset(words, 4), (n, 2)), carray(offset(words, 4 + 2 * n), (n, 2))
    factors, weights = carray(offset(words, 4 + 6 * n), (n,)), carray(offset(words, 4 + 7 * n), (n,))
    scale_in = to_float(row_nb(rates, coin_in)) * _E18 * np.float64(factors[coin_in])
    scale_out = to_float(row_nb(rates, coin_out)) * _E18 * np.float64(factors[coin_out])
    if scale_out <= 0.0:
        return 0.0
    balance_in, balance_out = row_nb(live, coin_in), row_nb(live, coin_out)
    weight_in, weight_out, fee = weights[coin_in], weights[coin_out], carray(words, (2,))[1]
    if amount > 0.0:
        scaled = amount * scale_in
        return est_weighted_out_nb(scaled, balance_in, balance_out, weight_in, weight_out, fee) / scale_out
    rate = est_weighted_rate_nb(balance_in, balance_out, weight_in, weight_out, fee)
    return rate * scale_in / scale_out
