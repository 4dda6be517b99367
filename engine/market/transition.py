"""What one event does to one pool: compiled, in place, refusing what no honest contract can emit.

Sources: UniswapV2Pair `_update`; UniswapV3Pool `initialize`, `mint`, `burn`, `swap`; Tick.sol `update` (a
tick exists while its gross liquidity is positive); LiquidityMath `addDelta`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.layout import (
    EVENT_FEES,
    EVENT_PROTOCOL_FEE,
    EVENT_SOLIDLY_SYNC,
    EVENT_SWAP_FEE,
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    KIND_V2,
    KIND_V3,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    StateEvents,
)
from engine.market.fee_transition import WRONG_FAMILY, WRONG_FEE, apply_fee_event_nb, apply_word_sync_nb

REASONS = {
    WRONG_FAMILY: "an event of another protocol",
    2: "a reserve above uint112",
    3: "a square-root price outside the protocol's bounds",
    4: "a liquidity above uint128",
    5: "a tick outside the protocol's bounds or off its spacing",
    6: "more liquidity burnt than is known to be there",
    7: "an event of an unknown kind",
    WRONG_FEE: "a fee that is not the pool's",
}
_WRONG_FAMILY = WRONG_FAMILY
_RESERVE, _PRICE, _LIQUIDITY, _TICK, _UNDERFLOW, _UNKNOWN_KIND = range(2, 8)

_MIN_SQRT_LOW = np.uint64(MIN_SQRT_RATIO)
_MAX_SQRT_0 = np.uint64(MAX_SQRT_RATIO & (2**64 - 1))
_MAX_SQRT_1 = np.uint64(MAX_SQRT_RATIO >> 64 & (2**64 - 1))
_MAX_SQRT_2 = np.uint64(MAX_SQRT_RATIO >> 128)
_UINT48 = np.uint64(2**48)
_SIGN = np.uint64(2**63)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


class StateTables(NamedTuple):
    """The columns of `PoolTables` that events change, for the compiled transition."""

    family: NDArray[np.uint8]
    stale: NDArray[np.uint8]
    gross_known: NDArray[np.uint8]
    rules: NDArray[np.uint8]
    fee_pips: NDArray[np.uint32]
    lp_fee: NDArray[np.uint32]
    protocol_fee: NDArray[np.uint32]
    dynamic_fee: NDArray[np.uint8]
    words: NDArray[np.uint64]
    word_start: NDArray[np.int64]
    word_count: NDArray[np.int32]
    reserves: NDArray[np.uint64]
    sqrt_price: NDArray[np.uint64]
    liquidity: NDArray[np.uint64]
    tick: NDArray[np.int32]
    tick_spacing: NDArray[np.int32]
    tick_start: NDArray[np.int64]
    tick_count: NDArray[np.int32]
    known_low: NDArray[np.int32]
    known_high: NDArray[np.int32]
    arena_tick: NDArray[np.int32]
    arena_net: NDArray[np.uint64]
    arena_gross: NDArray[np.uint64]


@njit(nogil=True, cache=True, error_model="numpy")
def _add128_nb(value, low, high):
    """value[:] += (low, high); True on overflow of uint128."""
    new_low = value[0] + low
    carry = _ONE if new_low < low else _ZERO
    partial = value[1] + high
    overflow = partial < high
    new_high = partial + carry
    if new_high < carry:
        overflow = True
    value[0] = new_low
    value[1] = new_high
    return overflow


@njit(nogil=True, cache=True, error_model="numpy")
def _subtract128_nb(value, low, high):
    """value[:] -= (low, high); True on underflow of uint128."""
    borrow = _ONE if value[0] < low else _ZERO
    underflow = value[1] < high or (value[1] == high and borrow == _ONE)
    value[0] = value[0] - low
    value[1] = value[1] - high - borrow
    return underflow


@njit(nogil=True, cache=True, error_model="numpy")
def _shift_net_nb(net, low, high, add):
    """int128 net[:] += or -= (low, high); True when the result leaves int128."""
    before = net[1] & _SIGN
    if high & _SIGN:
        return True
    if add:
        _add128_nb(net, low, high)
        return before == _ZERO and (net[1] & _SIGN) != _ZERO
    _subtract128_nb(net, low, high)
    return before != _ZERO and (net[1] & _SIGN) == _ZERO


@njit(nogil=True, cache=True, error_model="numpy")
def _find_tick_nb(state, row, tick):
    """(arena place where `tick` is or belongs, whether it is there)."""
    low = state.tick_start[row]
    end = low + state.tick_count[row]
    high = end
    while low < high:
        middle = (low + high) >> 1
        if state.arena_tick[middle] < tick:
            low = middle + 1
        else:
            high = middle
    return low, low < end and state.arena_tick[low] == tick


@njit(nogil=True, cache=True, error_model="numpy")
def _insert_tick_nb(state, row, place, tick):
    end = state.tick_start[row] + state.tick_count[row]
    for k in range(end, place, -1):
        state.arena_tick[k] = state.arena_tick[k - 1]
        for limb in range(2):
            state.arena_net[k, limb] = state.arena_net[k - 1, limb]
            state.arena_gross[k, limb] = state.arena_gross[k - 1, limb]
    state.arena_tick[place] = tick
    for limb in range(2):
        state.arena_net[place, limb] = _ZERO
        state.arena_gross[place, limb] = _ZERO
    state.tick_count[row] += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _remove_tick_nb(state, row, place):
    end = state.tick_start[row] + state.tick_count[row]
    for k in range(place, end - 1):
        state.arena_tick[k] = state.arena_tick[k + 1]
        for limb in range(2):
            state.arena_net[k, limb] = state.arena_net[k + 1, limb]
            state.arena_gross[k, limb] = state.arena_gross[k + 1, limb]
    state.tick_count[row] -= 1


@njit(nogil=True, cache=True, error_model="numpy")
def _raise_gross_to_net_nb(gross, net):
    """Where gross liquidity was never read, |net| is the least it can be."""
    low, high = net[0], net[1]
    if high & _SIGN:
        borrow = _ONE if low != _ZERO else _ZERO
        low = _ZERO - low
        high = _ZERO - high - borrow
    if high > gross[1] or (high == gross[1] and low > gross[0]):
        gross[0] = low
        gross[1] = high


@njit(nogil=True, cache=True, error_model="numpy")
def _update_tick_nb(state, row, tick, low, high, mint, is_lower):
    """Tick.update for one end of a position; a refusal code or 0."""
    if tick < state.known_low[row] or tick > state.known_high[row]:
        return 0
    place, found = _find_tick_nb(state, row, tick)
    if not found:
        if not mint:
            return _UNDERFLOW
        _insert_tick_nb(state, row, place, tick)
    gross, net = state.arena_gross[place], state.arena_net[place]
    if _shift_net_nb(net, low, high, mint == is_lower):
        return _LIQUIDITY
    if mint:
        if _add128_nb(gross, low, high):
            return _LIQUIDITY
        return 0
    underflow = _subtract128_nb(gross, low, high)
    if state.gross_known[row]:
        if underflow:
            return _UNDERFLOW
    else:
        if underflow:
            gross[0] = _ZERO
            gross[1] = _ZERO
        _raise_gross_to_net_nb(gross, net)
    if gross[0] == _ZERO and gross[1] == _ZERO:
        _remove_tick_nb(state, row, place)
    return 0


@njit(nogil=True, cache=True, error_model="numpy")
def _apply_position_nb(state, row, amount, lower, upper, mint):
    """A V3 mint or burn of `amount` (u64[4]) over [lower, upper)."""
    spacing = state.tick_spacing[row]
    if lower >= upper or lower < MIN_TICK or upper > MAX_TICK:
        return _TICK
    if spacing <= 0 or lower % spacing != 0 or upper % spacing != 0:
        return _TICK
    if amount[2] != _ZERO or amount[3] != _ZERO:
        return _LIQUIDITY
    low, high = amount[0], amount[1]
    if low == _ZERO and high == _ZERO:
        return 0
    if lower <= state.tick[row] < upper:
        if mint:
            if _add128_nb(state.liquidity[row], low, high):
                return _LIQUIDITY
        elif _subtract128_nb(state.liquidity[row], low, high):
            return _UNDERFLOW
    code = _update_tick_nb(state, row, lower, low, high, mint, True)
    if code == 0:
        code = _update_tick_nb(state, row, upper, low, high, mint, False)
    return code


@njit(nogil=True, cache=True, error_model="numpy")
def _price_in_bounds_nb(price):
    if price[3] != _ZERO:
        return False
    if price[1] == _ZERO and price[2] == _ZERO and price[0] < _MIN_SQRT_LOW:
        return False
    if price[2] != _MAX_SQRT_2:
        return price[2] < _MAX_SQRT_2
    if price[1] != _MAX_SQRT_1:
        return price[1] < _MAX_SQRT_1
    return price[0] < _MAX_SQRT_0


@njit(nogil=True, cache=True, error_model="numpy")
def _apply_price_nb(state, row, price, tick):
    if not _price_in_bounds_nb(price):
        return _PRICE
    if tick < MIN_TICK or tick > MAX_TICK:
        return _TICK
    for limb in range(4):
        state.sqrt_price[row, limb] = price[limb]
    state.tick[row] = tick
    return 0


@njit(nogil=True, cache=True, error_model="numpy")
def _apply_sync_nb(state, row, reserve0, reserve1):
    if reserve0[2] | reserve0[3] | reserve1[2] | reserve1[3]:
        return _RESERVE
    if reserve0[1] >= _UINT48 or reserve1[1] >= _UINT48:
        return _RESERVE
    for limb in range(2):
        state.reserves[row, 0, limb] = reserve0[limb]
        state.reserves[row, 1, limb] = reserve1[limb]
    return 0


@njit(nogil=True, cache=True, error_model="numpy")
def _apply_event_nb(state, events, n):
    kind, row = events.kind[n], events.pool[n]
    if kind == EVENT_V2_SYNC and state.family[row] == KIND_V2:
        return _apply_sync_nb(state, row, events.a[n], events.b[n])
    if kind in (EVENT_V2_SYNC, EVENT_SOLIDLY_SYNC):
        # A Camelot pair of the stable curve is kept as words and logs the other Sync.
        if (kind == EVENT_V2_SYNC) != (state.dynamic_fee[row] != 0):
            return _WRONG_FAMILY
        return apply_word_sync_nb(state, row, events.a[n], events.b[n])
    if kind in (EVENT_FEES, EVENT_PROTOCOL_FEE, EVENT_SWAP_FEE):
        return apply_fee_event_nb(state, events, n)
    if kind < EVENT_V3_SWAP or kind > EVENT_V3_INITIALIZE:
        return _UNKNOWN_KIND
    if state.family[row] != KIND_V3:
        return _WRONG_FAMILY
    mint = kind == EVENT_V3_MINT
    if mint or kind == EVENT_V3_BURN:
        return _apply_position_nb(state, row, events.a[n], events.tick_lower[n], events.tick_upper[n], mint)
    code = _apply_price_nb(state, row, events.a[n], events.tick_lower[n])
    if code == 0 and kind == EVENT_V3_SWAP:
        if events.b[n, 2] | events.b[n, 3]:
            return _LIQUIDITY
        for limb in range(2):
            state.liquidity[row, limb] = events.b[n, limb]
    return code


@njit(nogil=True, cache=True, error_model="numpy")
def apply_events_nb(state: StateTables, events: StateEvents, codes: NDArray[np.uint8]) -> int:
    """Apply events in order; `codes` u8[n] receives 0 or the key of `REASONS`.

    A pool whose event is refused becomes stale: its later events are passed over. The caller restores what
    the refused event and those before it wrote. Rows must be in range and the arena must have room for two
    more ticks per mint. Returns how many events were refused.
    """
    refused = 0
    for n in range(len(events.kind)):
        row = events.pool[n]
        codes[n] = 0
        if state.stale[row]:
            continue
        code = _apply_event_nb(state, events, n)
        if code != 0:
            codes[n] = code
            state.stale[row] = 1
            refused += 1
    return refused
