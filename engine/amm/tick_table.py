"""Prefix tables of concentrated pools: a quote costs one search and one partial step, however far it goes.

A step between two stops of a swap's loop has amounts that depend on neither the trade nor the price. For
every pool and direction a window of stops, some behind the price and more ahead, keeps what all steps from
its first stop come to: gross input and output, as `engine.amm.concentrated` would add them up, at 256-tick
word edges too (they differ by direction, hence two windows). What lies between the price and the next stop,
the head, is kept apart, and is all that a swap changes.

A quote looks at the pool's price, liquidity, tick and fee first. Where they are not those the head was made
for, where a trade leaves the window, or where the contract would revert, the loop answers instead: a table
can be slow, not wrong. Only a changed tick list cannot be seen from there, so every row that changed, in
whatever way, has to be refreshed; a refresh compares the window with the ticks and makes it anew if need be.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.concentrated import (
    input_between_nb,
    less_fee_nb,
    output_between_nb,
    pool_price_nb,
    with_fee_nb,
)
from engine.amm.concentrated_forks import fork_quote_nb
from engine.amm.layout import INSUFFICIENT_LIQUIDITY, KIND_V3, OK, PARTIAL, TICK_LIST, TICK_WORDS
from engine.amm.sqrt_price import next_price_from_input_nb, next_price_from_output_nb
from engine.amm.tick_window import (
    AT_TICK,
    COUNT,
    FEE,
    IS_DRY,
    NEXT,
    PRICE,
    STOPS,
    SUM_IN,
    SUM_OUT,
    get_liquidity_nb,
    get_wide_nb,
    put_wide_nb,
)
from engine.amm.wide import limb1, limb2, limb3, make_u128, stay_whole, to_u128, to_u256

_ZERO = np.uint64(0)
_TOP_BITS = np.uint64(61)
_SELL, _BUY = np.bool_(True), np.bool_(False)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _is_current(tables, pools, row, window):
    return (
        get_wide_nb(tables.heads, window, PRICE) == pool_price_nb(pools, row)
        and get_liquidity_nb(tables.heads, window)
        == make_u128(pools.liquidity[row, 0], pools.liquidity[row, 1])
        and tables.facts[window, AT_TICK] == pools.tick[row]
        and np.uint64(tables.facts[window, FEE]) == np.uint64(pools.fee_pips[row, window & 1])
        and pools.kind[row] == KIND_V3
    )


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _locate(stops, heads, facts, window, amount, wanted_column, other_column):
    """Where a trade of `amount`, counted in `wanted_column`, ends: (status, sum of the other column so far,
    amount left for the partial step, price and liquidity it starts from).

    OK with an amount left of zero when it ends at a stop; INSUFFICIENT_LIQUIDITY when nothing follows the
    window, PARTIAL when it ends beyond it.
    """
    zero, nothing = to_u256(_ZERO), to_u128(_ZERO)
    to_next = get_wide_nb(heads, window, wanted_column)
    if amount < to_next:
        return np.int64(OK), zero, amount, get_wide_nb(heads, window, PRICE), get_liquidity_nb(heads, window)
    first = window * STOPS
    low, end = first + np.int64(facts[window, NEXT]), first + np.int64(facts[window, COUNT])
    wanted = amount - to_next + get_wide_nb(stops, low, wanted_column)
    so_far = get_wide_nb(heads, window, other_column) - get_wide_nb(stops, low, other_column)
    high = end
    while low < high:
        middle = (low + high) >> np.int64(1)
        if get_wide_nb(stops, middle, wanted_column) < wanted:
            low = middle + np.int64(1)
        else:
            high = middle
    if low == end:
        status = np.int64(INSUFFICIENT_LIQUIDITY if facts[window, IS_DRY] else PARTIAL)
        return status, so_far + get_wide_nb(stops, end - np.int64(1), other_column), zero, zero, nothing
    if get_wide_nb(stops, low, wanted_column) == wanted:
        return np.int64(OK), so_far + get_wide_nb(stops, low, other_column), zero, zero, nothing
    low -= np.int64(1)
    rest = wanted - get_wide_nb(stops, low, wanted_column)
    so_far = so_far + get_wide_nb(stops, low, other_column)
    return np.int64(OK), so_far, rest, get_wide_nb(stops, low, PRICE), get_liquidity_nb(stops, low)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _sell(stops, heads, facts, window, zero_for_one, amount):
    """(status, output U256) for an input; PARTIAL where the loop has to answer."""
    stay_whole()
    status, out, rest, price, liquidity = _locate(stops, heads, facts, window, amount, SUM_IN, SUM_OUT)
    if rest == to_u256(_ZERO):
        return status, out
    kept = less_fee_nb(rest, np.uint64(facts[window, FEE]))
    status, after = next_price_from_input_nb(price, liquidity, kept, zero_for_one)
    if status != OK:
        return np.int64(PARTIAL), out
    return np.int64(OK), out + output_between_nb(price, after, liquidity, zero_for_one)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _buy(stops, heads, facts, window, zero_for_one, amount):
    """(status, gross input U256) for an output; PARTIAL where the loop has to answer."""
    stay_whole()
    status, paid, rest, price, liquidity = _locate(stops, heads, facts, window, amount, SUM_OUT, SUM_IN)
    if rest == to_u256(_ZERO):
        return status, paid
    status, after = next_price_from_output_nb(price, liquidity, rest, zero_for_one)
    if status != OK:
        return np.int64(PARTIAL), paid
    amount_in = input_between_nb(price, after, liquidity, zero_for_one)
    return np.int64(OK), paid + with_fee_nb(amount_in, np.uint64(facts[window, FEE]))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _by_loop(pools, row, zero_for_one, amount, exact_in):
    fee_pips = pools.fee_pips[row, 0 if zero_for_one else 1]
    return fork_quote_nb(pools, row, pools.rules[row], fee_pips, zero_for_one, amount, exact_in)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _is_small(value):
    return (limb2(value) | limb3(value) | (limb1(value) >> _TOP_BITS)) == _ZERO


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _is_ordinary(amount):
    return amount != to_u256(_ZERO) and limb3(amount) >> np.uint64(63) == _ZERO


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _fits_the_fork(pools, row, one, other):
    """Whether a fork's own bounds on amounts and reserves are far away; plain V3 has none."""
    rules, reserves = pools.rules[row], pools.reserves
    if rules == TICK_WORDS:
        return True
    held = (reserves[row, 0, 1] | reserves[row, 1, 1]) >> _TOP_BITS
    return _is_small(one) and _is_small(other) and (rules != TICK_LIST or held == _ZERO)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _window(tables, row, zero_for_one):
    """Negative where the row has none, or the tables are of no rows at all."""
    place = np.int64(tables.place[row]) if row < len(tables.place) else np.int64(-1)
    return 2 * place + np.int64(0 if zero_for_one else 1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def table_quote_in_nb(tables, pools, row, zero_for_one, amount_in):
    """What `quote_in_nb` answers on a row of KIND_V3: (status int64, amount out U256) for an exact input."""
    window = _window(tables, row, zero_for_one)
    status, amount_out = np.int64(PARTIAL), to_u256(_ZERO)
    if window >= 0 and _is_ordinary(amount_in) and _is_current(tables, pools, row, window):
        status, amount_out = _sell(tables.stops, tables.heads, tables.facts, window, zero_for_one, amount_in)
    if status == PARTIAL or not _fits_the_fork(pools, row, amount_in, amount_out):
        status, amount_out = _by_loop(pools, row, zero_for_one, amount_in, _SELL)
    return status, amount_out


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def table_quote_out_nb(tables, pools, row, zero_for_one, amount_out):
    """What `quote_out_nb` answers on a row of KIND_V3: (status int64, amount in U256) for an exact output."""
    window = _window(tables, row, zero_for_one)
    status, amount_in = np.int64(PARTIAL), to_u256(_ZERO)
    if window >= 0 and _is_ordinary(amount_out) and _is_current(tables, pools, row, window):
        status, amount_in = _buy(tables.stops, tables.heads, tables.facts, window, zero_for_one, amount_out)
    if status == PARTIAL or not _fits_the_fork(pools, row, amount_in, amount_out):
        status, amount_in = _by_loop(pools, row, zero_for_one, amount_out, _BUY)
    return status, amount_in


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def table_quotes_nb(tables, pools, rows, zero_for_one, exact_in, amounts, statuses, results):
    """Many quotes on V3 rows, arguments as in `engine.amm.quote.quotes_nb`."""
    for i in range(len(rows)):
        row, down, amount = rows[i], zero_for_one[i], get_wide_nb(amounts, i, 0)
        if exact_in[i]:
            status, result = table_quote_in_nb(tables, pools, row, down, amount)
        else:
            status, result = table_quote_out_nb(tables, pools, row, down, amount)
        statuses[i] = status
        put_wide_nb(results, i, 0, result)
