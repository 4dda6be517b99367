"""The windows of `engine.amm.tick_table`: their layout, how they are made, how they keep up with the pool."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.concentrated import (
    NO_TICK_WORDS,
    cross_liquidity_nb,
    first_tick_index_nb,
    highest_limit_nb,
    input_between_nb,
    lowest_limit_nb,
    output_between_nb,
    pool_price_nb,
    with_fee_nb,
    word_edge_nb,
)
from engine.amm.layout import (
    KIND_V3,
    MAX_TICK,
    MIN_TICK,
    TICK_LIST,
)
from engine.amm.tick_math import sqrt_ratio_at_tick_nb
from engine.amm.wide import (
    limb0,
    limb1,
    limb2,
    limb3,
    make_u128,
    make_u256,
    stay_whole,
    to_u128,
    to_u256,
)

STOPS = 32  # of a window
BEHIND = 8  # of these, at most, when the window is made
_LEAST_AHEAD = 8  # a window with fewer stops left is made anew

# Columns of a stop: sums from the window's first stop, sqrt price, liquidity beyond it, tick. The head has
# the amounts up to the next stop, and the price and liquidity it was made for.
SUM_IN, SUM_OUT, PRICE, _LIQUIDITY, _TICK = 0, 4, 8, 12, 14
_WIDTH = 16
# Columns of the facts about a window.
COUNT, NEXT, AT_TICK, IS_DRY, FEE, KNOWN_LOW, KNOWN_HIGH = range(7)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_PIPS = np.uint64(1_000_000)
_SELL, _BUY = np.bool_(True), np.bool_(False)


class TickTables(NamedTuple):
    """Windows for P pool rows in T places; a row without a place is answered by the loop."""

    place: NDArray[np.int32]  # [P] place of the row's windows, or -1
    stops: NDArray[np.uint64]  # [2 T STOPS, 16] window 2 t + d of place t and direction d: 0 sells token0
    heads: NDArray[np.uint64]  # [2 T, 16]
    facts: NDArray[
        np.int32
    ]  # [2 T, 7] stops, next stop, tick, whether nothing follows, fee in pips, known range


def new_tick_tables(pool_capacity: int, places: int) -> TickTables:
    """Tables without windows: about 8 KiB for each of the `places`."""
    return TickTables(
        place=np.full(pool_capacity, -1, np.int32),
        stops=np.zeros((2 * places * STOPS, _WIDTH), np.uint64),
        heads=np.full((2 * places, _WIDTH), 2**64 - 1, np.uint64),
        facts=np.zeros((2 * places, 7), np.int32),
    )


# Rows are read by index, never as views: a view of an array counts references, which costs more than a quote.


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def get_wide_nb(rows, k, at):
    return make_u256(rows[k, at], rows[k, at + 1], rows[k, at + 2], rows[k, at + 3])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def put_wide_nb(rows, k, at, value):
    rows[k, at], rows[k, at + 1] = limb0(value), limb1(value)
    rows[k, at + 2], rows[k, at + 3] = limb2(value), limb3(value)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def get_liquidity_nb(rows, k):
    return make_u128(rows[k, _LIQUIDITY], rows[k, _LIQUIDITY + 1])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _put_liquidity(rows, k, value):
    rows[k, _LIQUIDITY], rows[k, _LIQUIDITY + 1] = limb0(value), limb1(value)


# Building: the stops of a direction, from some way behind the price.


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _net(pools, index):
    return make_u128(pools.arena_net[index, 0], pools.arena_net[index, 1])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _spacing(pools, row):
    return NO_TICK_WORDS if pools.rules[row] == TICK_LIST else np.int64(pools.tick_spacing[row])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _stop_ahead(ticks, start, count, tick, spacing, zero_for_one):
    """(tick of the next stop of the loop, its index in the arena or -1)."""
    stop = word_edge_nb(tick, spacing, zero_for_one)
    index = first_tick_index_nb(ticks, start, count, tick, zero_for_one)
    if start <= index < start + count:
        candidate = np.int64(ticks[index])
        if (candidate >= stop) if zero_for_one else (candidate <= stop):
            return candidate, np.int64(index)
    return stop, np.int64(-1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _stop_behind(ticks, start, count, tick, spacing, zero_for_one):
    """As `_stop_ahead`, for the last stop at or before the price in the direction's own order."""
    span = spacing * np.int64(256)
    if spacing == NO_TICK_WORDS:
        stop = np.int64(MAX_TICK if zero_for_one else MIN_TICK)
    elif zero_for_one:
        stop = (tick // span + np.int64(1)) * span
    else:
        # Going up the loop stops at the last tick of a word, one spacing below the next word's first.
        stop = ((tick + spacing) // span) * span - spacing
    index = first_tick_index_nb(ticks, start, count, tick, not zero_for_one)
    if start <= index < start + count:
        candidate = np.int64(ticks[index])
        if (candidate <= stop) if zero_for_one else (candidate >= stop):
            return candidate, np.int64(index)
    return stop, np.int64(-1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _first_stop(pools, row, zero_for_one):
    """(stops behind the price to begin with, tick of the first, liquidity beyond it)."""
    start, count = pools.tick_start[row], np.int64(pools.tick_count[row])
    spacing, cursor = _spacing(pools, row), np.int64(pools.tick[row])
    liquidity = make_u128(pools.liquidity[row, 0], pools.liquidity[row, 1])
    low = max(np.int64(pools.known_low[row]), np.int64(MIN_TICK))
    high = min(np.int64(pools.known_high[row]), np.int64(MAX_TICK))
    first, beyond, steps = cursor, liquidity, np.int64(0)
    for _ in range(BEHIND):
        stop, index = _stop_behind(pools.arena_tick, start, count, cursor, spacing, zero_for_one)
        # Without words the end of the range is every cursor's last stop, also its own.
        if stop < low or stop > high or ((stop <= cursor) if zero_for_one else (stop > cursor)):
            break
        first, beyond, steps = stop, liquidity, steps + np.int64(1)
        if index >= 0:
            fits, liquidity = cross_liquidity_nb(liquidity, _net(pools, index), not zero_for_one)
            if not fits:
                break
        cursor = stop if zero_for_one else stop - np.int64(1)
    return steps, first, beyond


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _full_step(price, target, liquidity, fee, zero_for_one):
    """(gross input, output) of a step that reaches its target."""
    gross = with_fee_nb(input_between_nb(price, target, liquidity, zero_for_one), fee)
    return gross, output_between_nb(price, target, liquidity, zero_for_one)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _write_stop(stops, k, gross, out, price, liquidity, tick):
    put_wide_nb(stops, k, SUM_IN, gross)
    put_wide_nb(stops, k, SUM_OUT, out)
    put_wide_nb(stops, k, PRICE, price)
    _put_liquidity(stops, k, liquidity)
    stops[k, _TICK] = np.uint64(tick)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _build(pools, row, fee, zero_for_one, stops, facts, window):
    """Write the window of one direction."""
    stay_whole()
    start, count = pools.tick_start[row], np.int64(pools.tick_count[row])
    spacing, base = _spacing(pools, row), window * STOPS
    low, high = np.int64(pools.known_low[row]), np.int64(pools.known_high[row])
    limit = lowest_limit_nb() if zero_for_one else highest_limit_nb()
    steps, tick, liquidity = _first_stop(pools, row, zero_for_one)
    facts[window, NEXT], facts[window, IS_DRY] = steps, 0
    gross, out, price = to_u256(_ZERO), to_u256(_ZERO), pool_price_nb(pools, row)
    written = np.int64(0)
    if steps > 0:
        price = sqrt_ratio_at_tick_nb(tick)
        _write_stop(stops, base, gross, out, price, liquidity, tick)
        written = np.int64(1)
        tick = tick - np.int64(1) if zero_for_one else tick
    while written < STOPS:
        stop, index = _stop_ahead(pools.arena_tick, start, count, tick, spacing, zero_for_one)
        if (stop < low) if zero_for_one else (stop > high):
            break
        target = sqrt_ratio_at_tick_nb(stop)
        is_last = (target < limit) if zero_for_one else (target > limit)
        if is_last:
            target = limit
        if written > 0:
            step_in, step_out = _full_step(price, target, liquidity, fee, zero_for_one)
            gross, out = gross + step_in, out + step_out
        if index >= 0 and not is_last:
            fits, liquidity = cross_liquidity_nb(liquidity, _net(pools, index), zero_for_one)
            if not fits:
                break
        _write_stop(stops, base + written, gross, out, target, liquidity, stop)
        written += np.int64(1)
        price, tick = target, stop - np.int64(1) if zero_for_one else stop
        if is_last or _is_over(pools, row, tick, liquidity, zero_for_one):
            facts[window, IS_DRY] = 1
            break
    facts[window, COUNT] = written


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _is_over(pools, row, tick, liquidity, zero_for_one):
    """Whether a complete tick list has nothing more to sell beyond `tick`."""
    if liquidity != to_u128(_ZERO):
        return False
    start, count = pools.tick_start[row], np.int64(pools.tick_count[row])
    index = first_tick_index_nb(pools.arena_tick, start, count, tick, zero_for_one)
    if zero_for_one:
        return index < start and np.int64(pools.known_low[row]) <= MIN_TICK
    return index >= start + count and np.int64(pools.known_high[row]) >= MAX_TICK


# Keeping up with the pool.


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _next_in_window(stops, base, count, tick, zero_for_one):
    """Index in the window of the first stop ahead of a pool at `tick`."""
    low, high = np.int64(0), count
    while low < high:
        middle = (low + high) >> np.int64(1)
        at = np.int64(stops[base + middle, _TICK])
        if (at > tick) if zero_for_one else (at <= tick):
            low = middle + np.int64(1)
        else:
            high = middle
    return low


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _still_holds(pools, row, stops, base, count, is_dry, zero_for_one):
    """Whether the window's stops and liquidity are still what the tick list makes of them."""
    start, step = pools.tick_start[row], np.int64(-1 if zero_for_one else 1)
    end = start + np.int64(pools.tick_count[row])
    cursor = np.int64(stops[base, _TICK])
    cursor = cursor - np.int64(1) if zero_for_one else cursor
    index = first_tick_index_nb(pools.arena_tick, start, end - start, cursor, zero_for_one)
    liquidity = get_liquidity_nb(stops, base)
    for k in range(base + 1, base + count):
        tick = np.int64(stops[k, _TICK])
        if start <= index < end:
            candidate = np.int64(pools.arena_tick[index])
            if (candidate > tick) if zero_for_one else (candidate < tick):
                return False
            if candidate == tick:
                fits, liquidity = cross_liquidity_nb(liquidity, _net(pools, index), zero_for_one)
                if not fits:
                    return False
                index += step
        beyond = get_liquidity_nb(stops, k)
        if beyond != liquidity:
            # The contract's last price lies before the last tick, which is then never crossed.
            return is_dry and k == base + count - 1 and (tick == MIN_TICK or tick == MAX_TICK)
    return not is_dry or not start <= index < end


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _refresh_one(tables, pools, row, fee, zero_for_one):
    stay_whole()
    window = 2 * np.int64(tables.place[row]) + (0 if zero_for_one else 1)
    stops, heads, facts, base = tables.stops, tables.heads, tables.facts, window * STOPS
    tick, liquidity = np.int64(pools.tick[row]), make_u128(pools.liquidity[row, 0], pools.liquidity[row, 1])
    count, is_dry = np.int64(facts[window, COUNT]), facts[window, IS_DRY] != 0
    following = _next_in_window(stops, base, count, tick, zero_for_one)
    keep = following > 0 and np.uint64(facts[window, FEE]) == fee
    keep = keep and facts[window, KNOWN_LOW] == pools.known_low[row]
    keep = keep and facts[window, KNOWN_HIGH] == pools.known_high[row]
    keep = keep and (is_dry or (count == STOPS and count - following >= _LEAST_AHEAD))
    keep = keep and get_liquidity_nb(stops, base + following - 1) == liquidity
    if keep and _still_holds(pools, row, stops, base, count, is_dry, zero_for_one):
        facts[window, NEXT] = following
    else:
        _build(pools, row, fee, zero_for_one, stops, facts, window)
        following, count = np.int64(facts[window, NEXT]), np.int64(facts[window, COUNT])
    price = pool_price_nb(pools, row)
    known = np.int64(pools.known_low[row]) <= tick <= np.int64(pools.known_high[row])
    limit = lowest_limit_nb() if zero_for_one else highest_limit_nb()
    legal = (limit < price) if zero_for_one else (limit > price)
    facts[window, FEE], facts[window, AT_TICK] = fee, tick
    facts[window, KNOWN_LOW], facts[window, KNOWN_HIGH] = pools.known_low[row], pools.known_high[row]
    # A price that no pool has sends every quote to the loop.
    put_wide_nb(heads, window, PRICE, to_u256(_ZERO) - to_u256(_ONE))
    if pools.kind[row] != KIND_V3 or following >= count or not known or not legal or fee >= _PIPS:
        facts[window, COUNT] = 0
        return
    target = get_wide_nb(stops, base + following, PRICE)
    gross, out = _full_step(price, target, liquidity, fee, zero_for_one)
    put_wide_nb(heads, window, SUM_IN, gross)
    put_wide_nb(heads, window, SUM_OUT, out)
    put_wide_nb(heads, window, PRICE, price)
    _put_liquidity(heads, window, liquidity)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def refresh_table_nb(tables, pools, row):
    """Bring both windows of a row up to date; after a swap only their heads change, as a rule. A row without
    a place is passed over."""
    if tables.place[row] >= 0:
        _refresh_one(tables, pools, row, np.uint64(pools.fee_pips[row, 0]), _SELL)
        _refresh_one(tables, pools, row, np.uint64(pools.fee_pips[row, 1]), _BUY)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def refresh_tables_nb(tables, pools, rows):
    """`refresh_table_nb` of many rows, i32[n]."""
    for i in range(len(rows)):
        refresh_table_nb(tables, pools, rows[i])
