"""Quotes and estimates of rows whose state is a slice of words, by the table of addresses."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.families.call import NO_EXACT_OUT, call_estimate, call_quote, words_at
from engine.amm.families.least_input import least_input_nb
from engine.amm.layout import CALL_ESTIMATE, CALL_QUOTE, KIND_EMPTY, UNINITIALISED
from engine.amm.wide import to_u256
from engine.amm.wide_digits import read_256, set_limbs, stack_limbs

_ZERO = np.uint64(0)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _coins_nb(pools, row, zero_for_one):
    coin0, coin1 = np.int64(pools.coin0[row]), np.int64(pools.coin1[row])
    return (coin0, coin1) if zero_for_one else (coin1, coin0)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def family_quote_nb(pools, row, zero_for_one, amount, exact_in):
    """(status int64, U256): what `amount` U256 buys if `exact_in`, else what it costs, by the row's family.

    UNINITIALISED for an empty row and for a kind that was not made ready. Without an exact-out swap the cost
    is the least input whose output is at least the amount.
    """
    zero, kind = to_u256(_ZERO), np.int64(pools.kind[row])
    address, count = pools.calls[kind, CALL_QUOTE], np.int64(pools.word_count[row])
    # The place of empty rows is lent out (`engine.search.trade`): what stands there is no family.
    if address == _ZERO or count == 0 or kind == KIND_EMPTY:
        return np.int64(UNINITIALISED), zero
    coin_in, coin_out = _coins_nb(pools, row, zero_for_one)
    words, timestamp = words_at(pools.words, pools.word_start[row]), pools.clock[0]
    given, result = stack_limbs(4), stack_limbs(4)
    set_limbs(given, amount)
    set_limbs(result, zero)
    status = call_quote(
        address, words, count, coin_in, coin_out, np.int64(exact_in), timestamp, given, result
    )
    if status == NO_EXACT_OUT:
        estimate = pools.calls[kind, CALL_ESTIMATE]
        return least_input_nb(address, estimate, words, count, coin_in, coin_out, timestamp, amount)
    return status, read_256(result)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_family_nb(pools, row, zero_for_one, amount):
    """Output for `amount`, float64 base units; for zero the marginal rate. 0 without a price."""
    kind = np.int64(pools.kind[row])
    address, count = pools.calls[kind, CALL_ESTIMATE], np.int64(pools.word_count[row])
    if address == _ZERO or count == 0:
        return 0.0
    coin_in, coin_out = _coins_nb(pools, row, zero_for_one)
    words = words_at(pools.words, pools.word_start[row])
    value = call_estimate(address, words, count, coin_in, coin_out, pools.clock[0], amount)
    return value if np.isfinite(value) else 0.0
