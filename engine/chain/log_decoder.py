"""From scanned logs straight to arrays of events, without a Python object per log.

Decoded here are the events of V2-type and V3-type pools and V4's swaps, which are nearly all of a busy block.
A log of any other kind that matters is handed to `engine.chain.logs`, which also words what is wrong with
one; the answer is the same as if it had read everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.layout import (
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    StateEvents,
    allocate_events,
)
from engine.chain import logs as slow
from engine.chain.events import (
    MANAGER_EVENTS,
    OWN_EVENTS,
    PANCAKE_V3_SWAP,
    SYNC,
    V3_BURN,
    V3_INITIALIZE,
    V3_MINT,
    V3_SWAP,
    V4_SWAP,
)
from engine.chain.hex_text import are_digits_nb, eight_nb, limb_nb, prefixed_nb, word_nb
from engine.chain.log_fields import fits_nb, is_price_nb, tick_of_nb
from engine.chain.log_scanner import (
    ADDRESS,
    DATA,
    DATA_SIZE,
    TOPIC,
    TOPIC_COUNT,
    TOPICS,
    WHICH,
    ScannedLogs,
)
from engine.chain.manager_logs import ManagedPools, decode_swap_nb, managed_row_nb
from engine.domain.market import PoolRecord

# What is made of each event: (kind, topics, words of data, word of a, of b, of the tick or -1). Where the
# ticks are topics, the tick's place is -1.
_SHAPES = {
    SYNC: (EVENT_V2_SYNC, 1, 2, 0, 1, -1),
    V3_SWAP: (EVENT_V3_SWAP, 3, 5, 2, 3, 4),
    PANCAKE_V3_SWAP: (EVENT_V3_SWAP, 3, 7, 2, 3, 4),
    V3_MINT: (EVENT_V3_MINT, 4, 4, 1, -1, -1),
    V3_BURN: (EVENT_V3_BURN, 4, 3, 0, -1, -1),
    V3_INITIALIZE: (EVENT_V3_INITIALIZE, 1, 2, 0, -1, 1),
}
# By number of a first topic: its shape, kind 0 where the log is left to the slow path, and whether it counts
# as unknown when nobody is followed at its address.
_SHAPE_OF = np.array([_SHAPES.get(topic, (0,) * 6) for topic in TOPICS], np.int64)
_COUNTS = np.array([topic in OWN_EVENTS or topic in MANAGER_EVENTS for topic in TOPICS])

_V4_SWAP = TOPICS.index(V4_SWAP)

# Rows of emitters: of nobody, of those whose logs only the slow path reads, and of V4's manager.
_NOBODY, _SLOW, _MANAGER = -1, -2, -3
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Rows(NamedTuple):
    """Open addressing over emitters' addresses: three words of an address u64[S, 3], its row i32[S]."""

    key: NDArray[np.uint64]
    row: NDArray[np.int32]


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _slot_nb(key, first, second, third):
    """Where an address is, or the empty slot where it would be."""
    mask = np.uint64(len(key) - 1)
    slot = ((first ^ third) * _MIX) >> np.uint64(32) & mask
    while key[slot, 2] != _ZERO and not (
        key[slot, 0] == first and key[slot, 1] == second and key[slot, 2] == third
    ):
        slot = (slot + _ONE) & mask
    return slot


@njit(nogil=True, cache=True, error_model="numpy")
def _row_nb(text, at, rows):
    """(pool row of the address whose forty digits begin at `at` or -1, whether they are digits)."""
    if not are_digits_nb(text.body, at, 40):
        return np.int32(-1), False
    first, second = limb_nb(text, at), limb_nb(text, at + 16)
    third = eight_nb(text, at + 32)
    # One bit more than an address has, so that no stored key is zero.
    slot = _slot_nb(rows.key, first, second, third | (_ONE << np.uint64(32)))
    return rows.row[slot], True


@njit(nogil=True, cache=True, error_model="numpy")
def _decode_nb(text, shape, where, events, n, limbs):
    """Write event `n`; False where a field is not what the event's type allows."""
    body, kind, words = text.body, shape[0], where[DATA] + 2
    if where[TOPIC_COUNT] != shape[1] or where[DATA] < 0 or where[DATA_SIZE] != 2 + 64 * shape[2]:
        return False
    if not (prefixed_nb(body, where[DATA]) and are_digits_nb(body, words, 64 * shape[2])):
        return False
    for column, place in ((events.a, shape[3]), (events.b, shape[4])):
        for limb in range(4):
            column[n, limb] = _ZERO
        if place >= 0:
            word_nb(text, words + 64 * place, column[n])
    if kind == EVENT_V2_SYNC:
        fits = fits_nb(events.a[n], 112) and fits_nb(events.b[n], 112)
    elif kind == EVENT_V3_SWAP:
        fits = is_price_nb(events.a[n]) and fits_nb(events.b[n], 128)
    elif kind == EVENT_V3_INITIALIZE:
        fits = is_price_nb(events.a[n])
    else:
        fits = fits_nb(events.a[n], 128)
    if not fits:
        return False
    lower, upper, ok = np.int64(0), np.int64(0), True
    if shape[5] >= 0:
        word_nb(text, words + 64 * shape[5], limbs)
        lower, ok = tick_of_nb(limbs)
    elif shape[1] == 4:
        for place in range(2):
            at = where[TOPIC + 2 + place]
            if not (prefixed_nb(body, at) and are_digits_nb(body, at + 2, 64)):
                return False
            word_nb(text, at + 2, limbs)
            tick, within = tick_of_nb(limbs)
            ok = ok and within
            lower, upper = (tick, upper) if place == 0 else (lower, tick)
        ok = ok and lower < upper
    events.kind[n] = kind
    events.tick_lower[n] = lower
    events.tick_upper[n] = upper
    return ok


@njit(nogil=True, cache=True, error_model="numpy")
def _insert_nb(rows, digits, row):
    first, second, third = digits[0], digits[1], digits[2]
    slot = _slot_nb(rows.key, first, second, third)
    rows.key[slot, 0], rows.key[slot, 1], rows.key[slot, 2] = first, second, third
    rows.row[slot] = row


@njit(nogil=True, cache=True, error_model="numpy")
def decode_nb(text, places, shapes, counts, rows, managed, events, order, left):
    """Decode scanned logs: writes the events, `order` i64[n] each event's place among the logs, and `left`
    i64[m] the places of the logs for the slow path. Returns (events, logs left, state logs of pools that are
    not followed)."""
    limbs = np.zeros(4, np.uint64)
    written, left_over, unknown = 0, 0, 0
    for number in range(len(places)):
        where = places[number]
        which = where[WHICH]
        if where[TOPIC_COUNT] == 0:
            continue
        row, plain = np.int32(_NOBODY), where[ADDRESS] >= 0 and prefixed_nb(text.body, where[ADDRESS])
        if plain:
            row, plain = _row_nb(text, where[ADDRESS] + 2, rows)
        if plain and row == _MANAGER:
            row, plain = managed_row_nb(text, where, managed, limbs)
            if plain and row >= 0 and which == _V4_SWAP:
                made = decode_swap_nb(text, where, events, written, limbs)
                for n in range(written, written + made):
                    events.pool[n], order[n] = row, number
                written += made
                if made:
                    continue
            plain = plain and (row == _NOBODY or which < 0)
        if plain and row == _NOBODY:
            unknown += which >= 0 and counts[which]
        elif plain and row >= 0 and which < 0:
            continue
        elif (
            plain
            and row >= 0
            and shapes[which, 0] != 0
            and _decode_nb(text, shapes[which], where, events, written, limbs)
        ):
            events.pool[written], order[written] = row, number
            written += 1
        else:
            left[left_over] = number
            left_over += 1
    return written, left_over, unknown


class LogDecoder:
    """Decodes blocks of logs for one set of pools, given as `engine.chain.logs.decode` takes it; it may
    grow."""

    def __init__(
        self,
        pool_row: Mapping[str, int],
        pools: Sequence[PoolRecord] = (),
        hubs: Mapping[str, Mapping[str, int]] | None = None,
    ):
        self._pool_row = pool_row
        self._pools = pools
        self._hubs = {} if hubs is None else hubs
        self._known = 0
        self._managed = ManagedPools(pools, self._hubs)
        self._rows = _empty_rows(16)
        self._events = allocate_events(64)
        self._order = np.zeros(64, np.int64)
        self._left = np.zeros(64, np.int64)
        self._learn()

    def decode(self, logs: Sequence[dict]) -> slow.Decoded:
        """What `engine.chain.logs.decode` makes of the logs, scanned or not."""
        if not isinstance(logs, ScannedLogs):
            return self._slowly(logs)
        if len(self._pool_row) != self._known:
            self._learn()
        # A log makes two events at most.
        if 2 * len(logs) > len(self._order):
            self._events = allocate_events(4 * len(logs))
            self._order, self._left = np.zeros(4 * len(logs), np.int64), np.zeros(4 * len(logs), np.int64)
        written, left, unknown = decode_nb(
            logs.text,
            logs.places,
            _SHAPE_OF,
            _COUNTS,
            self._rows,
            self._managed.table,
            self._events,
            self._order,
            self._left,
        )
        events = StateEvents(*(column[:written].copy() for column in self._events))
        if not left:
            return slow.Decoded(events, unknown, [])
        return self._merged(logs, events, self._order[:written], self._left[:left].tolist(), unknown)

    def _merged(
        self,
        logs: ScannedLogs,
        events: StateEvents,
        order: NDArray[np.int64],
        left: list[int],
        unknown: int,
    ) -> slow.Decoded:
        others = [logs.log(place) for place in left]
        rest = self._slowly(others)
        hostile = [row for row, _ in rest.hostile]
        if hostile:
            kept = ~np.isin(events.pool, hostile)
            events, order = StateEvents(*(column[kept] for column in events)), order[kept]
        if not len(rest.events.kind):
            return slow.Decoded(events, unknown + rest.unknown, rest.hostile, rest.touched)
        # Which of the handed-over logs became events, and how many: decode one by one, in the same order.
        places = [
            place
            for place, log in zip(left, others, strict=True)
            for row in self._slowly([log]).events.pool.tolist()
            if row not in hostile
        ]
        sorted_ = np.argsort(np.concatenate((order, np.array(places, np.int64))), kind="stable")
        pairs = zip(events, rest.events, strict=True)
        merged = StateEvents(*(np.concatenate(pair)[sorted_] for pair in pairs))
        return slow.Decoded(merged, unknown + rest.unknown, rest.hostile, rest.touched)

    def _slowly(self, logs: Sequence[dict]) -> slow.Decoded:
        return slow.decode(logs, self._pool_row, self._pools, self._hubs)

    def _learn(self) -> None:
        wanted = len(self._pool_row) + len(self._hubs)
        if 2 * wanted > len(self._rows.row):
            size = 16
            while size < 4 * wanted:
                size *= 2
            self._rows, self._known = _empty_rows(size), 0
        for key, row in islice(self._pool_row.items(), self._known, None):
            again = bool(self._pools) and self._pools[row].protocol in slow.READ_AGAIN
            self._insert(key, _SLOW if again else row)
        self._managed.learn()
        for emitter in self._hubs:
            apart = emitter == self._managed.manager and emitter not in self._pool_row
            self._insert(emitter, _MANAGER if apart else _SLOW)
        self._known = len(self._pool_row)

    def _insert(self, address: str, row: int) -> None:
        digits = address.removeprefix("0x")
        if len(digits) == 40:
            value = int(digits, 16)
            words = (value >> 96, value >> 32 & (2**64 - 1), value & (2**32 - 1) | 1 << 32)
            _insert_nb(self._rows, np.array(words, np.uint64), np.int32(row))


def _empty_rows(size: int) -> Rows:
    return Rows(np.zeros((size, 3), np.uint64), np.full(size, _NOBODY, np.int32))
