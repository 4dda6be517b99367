"""Balancer stable pools as words, for n tokens; 128-bit values are two limbs.

V2: 0 version  1 fee  2 n  3 unused   V3: 0 least trade  1 fee  2 n  3 imbalance limit
4..7 ramp of the amplification  8 the amplification that the invariant is for, or 0  9..12 the invariant
13 V2: balances, scaling (two limbs)   V3: live balances, rates (two), factors (one)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import carray, njit

from engine.amm.balancer_stable import (
    MAX_TOKENS,
    est_stable_out_nb,
    est_stable_rate_nb,
    v2_invariant_nb,
    v2_stable_nb,
    v3_invariant_nb,
    v3_stable_nb,
)
from engine.amm.balancer_vault import row_nb
from engine.amm.families.call import (
    INVARIANT,
    Family,
    as_buffer,
    estimate_family,
    offset,
    quote_family,
)
from engine.amm.families.ramp import ramped_nb
from engine.amm.families.words import Words, read_wide, wide, words_of
from engine.amm.layout import UNINITIALISED
from engine.amm.wide import to_float, to_u256
from engine.amm.wide_digits import read_256, set_limbs

_ZERO = np.uint64(0)
_AMP, _D, _HEADER = 8, 9, 13
_E18 = 1e-18
# Below this part of the balance the difference of two balances is mostly rounding.
_SMALL = 1e-7

_NOTHING = (0,) * (_HEADER - _AMP)
Ramp = tuple[int, int, int, int]


class StableV2(NamedTuple):
    """State of a V2 pool; fields as in `engine.amm.balancer_stable`, `ramp` as in `ramped_nb`."""

    version: int
    fee: int
    ramp: Ramp
    balances: tuple[int, ...]
    scaling: tuple[int, ...]


class StableV3(NamedTuple):
    """State of a V3 pool; fields as in `engine.amm.balancer_stable`, `ramp` as in `ramped_nb`."""

    least: int
    fee: int
    imbalance_limit: int
    ramp: Ramp
    live: tuple[int, ...]
    rates: tuple[int, ...]
    factors: tuple[int, ...]


def _check_counts(*columns: tuple[int, ...]) -> int:
    count = len(columns[0])
    if not 2 <= count <= MAX_TOKENS or any(len(column) != count for column in columns):
        raise ValueError("not a stable pool of two to five tokens")
    return count


def _check_ramp(ramp: Ramp) -> Ramp:
    if not all(0 < value < 1 << 32 for value in ramp[:2]) or not 0 <= ramp[2] <= ramp[3] < 1 << 63:
        raise ValueError("not a ramp of amplifications below 2**32 between two times")
    return ramp


def _with_invariant(family: Family, words: Words, ramp: Ramp) -> Words:
    """The words with the invariant at the end of the ramp, where there is one."""
    d = family.invariant(words, ramp[3])
    if d.any():
        words[_AMP], words[_D:_HEADER] = ramp[1], d
    return words


def pack_v2(pool: StableV2) -> Words:
    """Words of a pool. Raises OverflowError for a value that does not fit, ValueError for one no pool has."""
    count = _check_counts(pool.balances, pool.scaling)
    header = (pool.version, pool.fee, count, 0, *_check_ramp(pool.ramp))
    state = wide(pool.balances, 2), wide(pool.scaling, 2)
    return _with_invariant(quote_v2, words_of(header, _NOTHING, *state), pool.ramp)


def unpack_v2(words: Words) -> StableV2:
    """The pool `pack_v2` was given."""
    version, fee, n, _, a0, a1, t0, t1 = (int(word) for word in words[:_AMP])
    balances, scaling = (read_wide(words, _HEADER + 2 * n * k, n, 2) for k in range(2))
    return StableV2(version, fee, (a0, a1, t0, t1), balances, scaling)


def pack_v3(pool: StableV3) -> Words:
    """Words of a pool. Raises OverflowError for a value that does not fit, ValueError for one no pool has."""
    count = _check_counts(pool.live, pool.rates, pool.factors)
    header = (pool.least, pool.fee, count, pool.imbalance_limit, *_check_ramp(pool.ramp))
    state = wide(pool.live, 2), wide(pool.rates, 2), pool.factors
    return _with_invariant(quote_v3, words_of(header, _NOTHING, *state), pool.ramp)


def unpack_v3(words: Words) -> StableV3:
    """The pool `pack_v3` was given."""
    least, fee, n, limit, a0, a1, t0, t1 = (int(word) for word in words[:_AMP])
    live, rates = (read_wide(words, _HEADER + 2 * n * k, n, 2) for k in range(2))
    return StableV3(
        least, fee, limit, (a0, a1, t0, t1), live, rates, tuple(words[_HEADER + 4 * n :].tolist())
    )


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _tokens(words, count, per_token):
    n = np.int64(carray(words, (3,))[2])
    return n if 2 <= n <= MAX_TOKENS and count == _HEADER + per_token * n else np.int64(0)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _known_invariant(words, amp):
    """The invariant kept with the words, zero where it is for another amplification."""
    if amp != _ZERO and carray(words, (_HEADER,))[_AMP] == amp:
        return read_256(as_buffer(offset(words, _D)))
    return to_u256(_ZERO)


@quote_family
def quote_v2(words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    n = _tokens(words, count, 4)
    if n == 0:
        return np.int64(UNINITIALISED)
    header, amp = carray(words, (4,)), ramped_nb(carray(offset(words, 4), (4,)), timestamp)
    balances, scaling = carray(offset(words, _HEADER), (n, 2)), carray(offset(words, _HEADER + 2 * n), (n, 2))
    version = np.int64(header[0])
    if exact_in == INVARIANT:
        status, value = v2_invariant_nb(balances, scaling, amp, version)
    else:
        given, d, sells = read_256(amount), _known_invariant(words, amp), exact_in != 0
        status, value = v2_stable_nb(
            balances, scaling, amp, header[1], version, coin_in, coin_out, sells, given, d
        )
    set_limbs(result, value)
    return np.int64(status)


@njit(nogil=True, cache=True, error_model="numpy")
def _estimate(scaled, amp, fee, coin_in, coin_out, scale_in, scale_out, amount):
    if scale_out <= 0.0:
        return 0.0
    if amount * scale_in > _SMALL * scaled[coin_in]:
        return est_stable_out_nb(scaled, amp, fee, coin_in, coin_out, amount * scale_in) / scale_out
    rate = est_stable_rate_nb(scaled, amp, fee, coin_in, coin_out) * scale_in / scale_out
    return rate * amount if amount > 0.0 else rate


@estimate_family
def estimate_v2(words, count, coin_in, coin_out, timestamp, amount):
    n = _tokens(words, count, 4)
    if n == 0:
        return 0.0
    balances, scaling = carray(offset(words, _HEADER), (n, 2)), carray(offset(words, _HEADER + 2 * n), (n, 2))
    scaled = np.empty(n)
    for k in range(n):
        scaled[k] = to_float(row_nb(balances, k)) * to_float(row_nb(scaling, k)) * _E18
    amp = ramped_nb(carray(offset(words, 4), (4,)), timestamp)
    scale_in = to_float(row_nb(scaling, coin_in)) * _E18
    scale_out = to_float(row_nb(scaling, coin_out)) * _E18
    fee = carray(words, (2,))[1]
    return _estimate(scaled, amp, fee, coin_in, coin_out, scale_in, scale_out, amount)


@quote_family
def quote_v3(words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    n = _tokens(words, count, 5)
    if n == 0:
        return np.int64(UNINITIALISED)
    header, amp = carray(words, (4,)), ramped_nb(carray(offset(words, 4), (4,)), timestamp)
    live, rates = carray(offset(words, _HEADER), (n, 2)), carray(offset(words, _HEADER + 2 * n), (n, 2))
    factors, least, fee, limit = carray(offset(words, _HEADER + 4 * n), (n,)), header[0], header[1], header[3]
    if exact_in == INVARIANT:
        status, value = v3_invariant_nb(live, amp)
    else:
        given, d, sells = read_256(amount), _known_invariant(words, amp), exact_in != 0
        status, value = v3_stable_nb(
            live, factors, rates, amp, fee, least, limit, coin_in, coin_out, sells, given, d
        )
    set_limbs(result, value)
    return np.int64(status)


@estimate_family
def estimate_v3(words, count, coin_in, coin_out, timestamp, amount):
    n = _tokens(words, count, 5)
    if n == 0:
        return 0.0
    live, rates = carray(offset(words, _HEADER), (n, 2)), carray(offset(words, _HEADER + 2 * n), (n, 2))
    factors = carray(offset(words, _HEADER + 4 * n), (n,))
    scaled = np.empty(n)
    for k in range(n):
        scaled[k] = to_float(row_nb(live, k))
    amp = ramped_nb(carray(offset(words, 4), (4,)), timestamp)
    scale_in = to_float(row_nb(rates, coin_in)) * _E18 * np.float64(factors[coin_in])
    scale_out = to_float(row_nb(rates, coin_out)) * _E18 * np.float64(factors[coin_out])
    fee = carray(words, (2,))[1]
    return _estimate(scaled, amp, fee, coin_in, coin_out, scale_in, scale_out, amount)
