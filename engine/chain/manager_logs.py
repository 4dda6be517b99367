"""Swaps that Uniswap V4's manager logs of its pools, each named by a word: which pool, and its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.layout import EVENT_SWAP_FEE, EVENT_V3_SWAP
from engine.chain.hex_text import are_digits_nb, prefixed_nb, word_nb
from engine.chain.log_fields import fits_nb, is_price_nb, tick_of_nb
from engine.chain.log_scanner import DATA, DATA_SIZE, TOPIC, TOPIC_COUNT
from engine.domain.market import PoolRecord, Protocol

_NOBODY = -1
_WORD_CHARS = 66
_WORDS, _PRICE, _LIQUIDITY, _TICK, _FEE = 6, 2, 3, 4, 5
_ZERO, _ONE, _PIPS = np.uint64(0), np.uint64(1), np.uint64(1_000_000)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SIGN = np.uint64(63)


class IdTable(NamedTuple):
    """Open addressing over pool ids: a word u64[S, 4], its row i32[S], -1 where the slot is empty."""

    word: NDArray[np.uint64]
    row: NDArray[np.int32]


@njit(nogil=True, cache=True, error_model="numpy")
def _slot_nb(table, limbs):
    """Where a word is, or the empty slot where it would be."""
    mask = np.uint64(len(table.row) - 1)
    slot = ((limbs[0] ^ limbs[3]) * _MIX) >> np.uint64(32) & mask
    while table.row[slot] >= 0:
        same = True
        for limb in range(4):
            same = same and table.word[slot, limb] == limbs[limb]
        if same:
            break
        slot = (slot + _ONE) & mask
    return slot


@njit(nogil=True, cache=True, error_model="numpy")
def _insert_nb(table, limbs, row):
    slot = _slot_nb(table, limbs)
    for limb in range(4):
        table.word[slot, limb] = limbs[limb]
    table.row[slot] = row


@njit(nogil=True, cache=True, error_model="numpy")
def managed_row_nb(text, where, table, limbs):
    """(row of the pool that a manager's log is about or -1, whether the log plainly names one)."""
    if where[TOPIC_COUNT] < 2:
        return np.int32(_NOBODY), False
    at = where[TOPIC + 1]
    if not (prefixed_nb(text.body, at) and are_digits_nb(text.body, at + 2, 64)):
        return np.int32(_NOBODY), False
    word_nb(text, at + 2, limbs)
    return table.row[_slot_nb(table, limbs)], True


@njit(nogil=True, cache=True, error_model="numpy")
def decode_swap_nb(text, where, events, n, limbs):
    """Write the events of a V4 swap from `n` on: the swap, and the fee it was charged where it says which way
    it went. Returns how many, 0 where a field is not what the event's type allows."""
    words = where[DATA] + 2
    if where[TOPIC_COUNT] != 3 or where[DATA] < 0 or where[DATA_SIZE] != 2 + 64 * _WORDS:
        return 0
    if not (prefixed_nb(text.body, where[DATA]) and are_digits_nb(text.body, words, 64 * _WORDS)):
        return 0
    word_nb(text, words, limbs)
    paid0 = limbs[3] >> _SIGN != _ZERO
    word_nb(text, words + 64, limbs)
    paid1 = limbs[3] >> _SIGN != _ZERO
    word_nb(text, words + 64 * _PRICE, events.a[n])
    word_nb(text, words + 64 * _LIQUIDITY, events.b[n])
    word_nb(text, words + 64 * _TICK, limbs)
    tick, ok = tick_of_nb(limbs)
    word_nb(text, words + 64 * _FEE, limbs)
    ok = ok and (limbs[1] | limbs[2] | limbs[3]) == _ZERO and limbs[0] <= _PIPS
    if not (ok and is_price_nb(events.a[n]) and fits_nb(events.b[n], 128)):
        return 0
    events.kind[n], events.tick_lower[n], events.tick_upper[n] = EVENT_V3_SWAP, tick, 0
    if paid0 == paid1:
        return 1
    for limb in range(4):
        events.a[n + 1, limb] = limbs[limb]
        events.b[n + 1, limb] = _ZERO
    events.kind[n + 1], events.tick_lower[n + 1], events.tick_upper[n + 1] = EVENT_SWAP_FEE, paid0, 0
    return 2


class ManagedPools:
    """The ids of the V4 pools among `hubs` (`engine.market.hubs`), which may grow."""

    def __init__(self, pools: Sequence[PoolRecord], hubs: Mapping[str, Mapping[str, int]]):
        self._pools = pools
        self._hubs = hubs
        self._known = 0
        # By emitter, how many of its words are known to name V4 pools; -1 where one does not.
        self._seen: dict[str, int] = {}
        self.manager: str | None = None
        self.table = _empty_table(16)

    def learn(self) -> None:
        """Take ids added since. `manager` is the one contract that logs for V4 pools, and for no others;
        None where there is none, or where that is not so."""
        managers = [emitter for emitter in self._hubs if self._is_manager(emitter)]
        if managers != [self.manager]:
            self.manager, self._known = (managers[0] if len(managers) == 1 else None), 0
            self.table = _empty_table(16)
        if self.manager is None:
            return
        ids = self._hubs[self.manager]
        if 2 * len(ids) > len(self.table.row):
            size = 16
            while size < 4 * len(ids):
                size *= 2
            self.table, self._known = _empty_table(size), 0
        for word, row in islice(ids.items(), self._known, None):
            limbs = [int(word, 16) >> shift & (2**64 - 1) for shift in (0, 64, 128, 192)]
            _insert_nb(self.table, np.array(limbs, np.uint64), np.int32(row))
        self._known = len(ids)

    def _is_manager(self, emitter: str) -> bool:
        rows, seen = self._hubs[emitter], self._seen.get(emitter, 0)
        if seen >= 0 and self._pools:
            managed = all(
                len(word) == _WORD_CHARS and self._pools[row].protocol is Protocol.UNISWAP_V4
                for word, row in islice(rows.items(), seen, None)
            )
            self._seen[emitter] = len(rows) if managed else -1
        return self._seen.get(emitter, 0) > 0


def _empty_table(size: int) -> IdTable:
    return IdTable(np.zeros((size, 4), np.uint64), np.full(size, _NOBODY, np.int32))
