"""Curve StableSwap pools as words.

0 kind  1 coins n  2 fee  3 admin fee  4..7 ramp of A  8 off-peg multiplier, four limbs
12 the amplification that D is for, or 0  13 D, four limbs, as `pack` found it
17 balances, then rates, four limbs a coin
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import carray, njit

from engine.amm.families.call import (
    INVARIANT,
    NO_EXACT_OUT,
    as_buffer,
    as_bytes,
    estimate_family,
    offset,
    quote_family,
)
from engine.amm.families.words import Words, read_wide, wide, words_of
from engine.amm.layout import OK, OVERFLOW, UNINITIALISED
from engine.amm.stable_estimates import est_exchange_nb, est_stable_rate_nb
from engine.amm.stable_invariant import (
    MAX_COINS,
    STABLE_FACTORY,
    STABLE_NG,
    STABLE_SUSD,
    STABLE_TEMPLATE,
    STABLE_THREE_POOL,
)
from engine.amm.stableswap import StablePools, amp_at_nb, exchange_at_nb, invariant_nb
from engine.amm.wide_digits import read_256, set_limbs

KINDS = (STABLE_THREE_POOL, STABLE_SUSD, STABLE_TEMPLATE, STABLE_FACTORY, STABLE_NG)
_ZERO = np.uint64(0)
_AMP, _D, _HEADER = 12, 13, 17


class StableSwap(NamedTuple):
    """State of a pool; fields as in `engine.amm.stableswap.StablePools`."""

    kind: int
    fee: int
    admin_fee: int
    ramp: tuple[int, int, int, int]
    offpeg_multiplier: int
    balances: tuple[int, ...]
    rates: tuple[int, ...]


def pack(pool: StableSwap) -> Words:
    """Words of a pool. Raises OverflowError for a value that does not fit, ValueError for one that no pool
    has."""
    coins = len(pool.balances)
    if pool.kind not in KINDS or not 2 <= coins <= MAX_COINS or len(pool.rates) != coins:
        raise ValueError("not a StableSwap pool of two to eight coins with a rate each")
    header = (pool.kind, coins, pool.fee, pool.admin_fee, *pool.ramp)
    state = wide(pool.balances), wide(pool.rates)
    words = words_of(header, wide([pool.offpeg_multiplier]), (0,) * (_HEADER - _AMP), *state)
    d = quote.invariant(words, pool.ramp[3])
    if d.any():
        words[_AMP], words[_D:_HEADER] = pool.ramp[1], d
    return words


def unpack(words: Words) -> StableSwap:
    """The pool `pack` was given."""
    kind, coins, fee, admin_fee, a0, a1, t0, t1 = (int(word) for word in words[:8])
    (multiplier,) = read_wide(words, 8, 1)
    balances, rates = read_wide(words, _HEADER, coins), read_wide(words, _HEADER + 4 * coins, coins)
    return StableSwap(kind, fee, admin_fee, (a0, a1, t0, t1), multiplier, balances, rates)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _pools(words, coins):
    """The words as the one row of a `StablePools`."""
    return StablePools(
        carray(as_bytes(words), (1,)),
        carray(as_bytes(offset(words, 1)), (1,)),
        carray(offset(words, _HEADER), (1, coins, 4)),
        carray(offset(words, _HEADER + 4 * coins), (1, coins, 4)),
        carray(offset(words, 4), (1, 4)),
        carray(offset(words, 2), (1,)),
        carray(offset(words, 3), (1,)),
        carray(offset(words, 8), (1, 4)),
    )


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _coins(words, count):
    coins = np.int64(carray(words, (2,))[1])
    return coins if 2 <= coins <= MAX_COINS and count == _HEADER + 8 * coins else np.int64(0)


@quote_family
def quote(words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    coins = _coins(words, count)
    if coins == 0:
        return np.int64(UNINITIALISED)
    if not exact_in:
        return np.int64(NO_EXACT_OUT)
    pools, row = _pools(words, coins), np.int64(0)
    amp = amp_at_nb(pools, row, timestamp)
    if amp == carray(words, (_HEADER,))[_AMP] and amp != _ZERO and exact_in != INVARIANT:
        ok, d = True, read_256(as_buffer(offset(words, _D)))
    else:
        ok, d = invariant_nb(pools, row, amp)
    if exact_in == INVARIANT:
        set_limbs(result, d)
        return np.int64(OK if ok else OVERFLOW)
    if not ok or coin_in == coin_out or not (0 <= coin_in < coins and 0 <= coin_out < coins):
        return np.int64(OVERFLOW if coin_in != coin_out else UNINITIALISED)
    status, paid, _ = exchange_at_nb(pools, row, coin_in, coin_out, read_256(amount), amp, d, False)
    set_limbs(result, paid)
    return np.int64(status)


@estimate_family
def estimate(words, count, coin_in, coin_out, timestamp, amount):
    coins = _coins(words, count)
    if coins == 0:
        return 0.0
    pools = _pools(words, coins)
    if amount > 0.0:
        return est_exchange_nb(pools, np.int64(0), coin_in, coin_out, amount, timestamp)
    return est_stable_rate_nb(pools, np.int64(0), coin_in, coin_out, timestamp)
