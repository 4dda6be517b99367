"""Pool state as struct-of-arrays with amortised growth, and the arenas of initialised ticks and of words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import CALLS, PoolArrays

_COLUMNS: dict[str, tuple[type, tuple[int, ...]]] = {
    "kind": (np.uint8, ()),
    "token0": (np.int32, ()),
    "token1": (np.int32, ()),
    "group": (np.int32, ()),
    "coin0": (np.uint8, ()),
    "coin1": (np.uint8, ()),
    "fee_pips": (np.uint32, (2,)),
    "rules": (np.uint8, ()),
    "reserves": (np.uint64, (2, 2)),
    "sqrt_price": (np.uint64, (4,)),
    "liquidity": (np.uint64, (2,)),
    "tick": (np.int32, ()),
    "tick_spacing": (np.int32, ()),
    "tick_start": (np.int64, ()),
    "tick_count": (np.int32, ()),
    "known_low": (np.int32, ()),
    "known_high": (np.int32, ()),
    "family": (np.uint8, ()),
    "stale": (np.uint8, ()),
    "gross_known": (np.uint8, ()),
    "tick_room": (np.int32, ()),
    "word_start": (np.int64, ()),
    "word_count": (np.int32, ()),
    "lp_fee": (np.uint32, ()),
    "protocol_fee": (np.uint32, ()),
    "dynamic_fee": (np.uint8, ()),
}
_ARENA: dict[str, tuple[type, tuple[int, ...]]] = {
    "arena_tick": (np.int32, ()),
    "arena_net": (np.uint64, (2,)),
    "arena_gross": (np.uint64, (2,)),
}


class PoolTables:
    """Columns of every row, the tick arena, and the words of the families kept as such.

    Beyond the fields of `PoolArrays` it keeps, per pool: `family` (the kind even while `kind` is masked by a
    quarantine), `stale` (1: the state is known to be wrong and events are no longer followed), `gross_known`
    (1: `arena_gross` is exact, 0: a lower bound), `tick_room` (arena places reserved, >= tick_count);
    `lp_fee` and `protocol_fee` as in `V4PoolState`; `dynamic_fee` (1: events may change the fee).
    """

    kind: NDArray[np.uint8]
    token0: NDArray[np.int32]
    token1: NDArray[np.int32]
    group: NDArray[np.int32]
    coin0: NDArray[np.uint8]
    coin1: NDArray[np.uint8]
    fee_pips: NDArray[np.uint32]
    rules: NDArray[np.uint8]
    reserves: NDArray[np.uint64]
    sqrt_price: NDArray[np.uint64]
    liquidity: NDArray[np.uint64]
    tick: NDArray[np.int32]
    tick_spacing: NDArray[np.int32]
    tick_start: NDArray[np.int64]
    tick_count: NDArray[np.int32]
    known_low: NDArray[np.int32]
    known_high: NDArray[np.int32]
    family: NDArray[np.uint8]
    stale: NDArray[np.uint8]
    gross_known: NDArray[np.uint8]
    tick_room: NDArray[np.int32]
    word_start: NDArray[np.int64]
    word_count: NDArray[np.int32]
    lp_fee: NDArray[np.uint32]
    protocol_fee: NDArray[np.uint32]
    dynamic_fee: NDArray[np.uint8]
    arena_tick: NDArray[np.int32]
    arena_net: NDArray[np.uint64]
    arena_gross: NDArray[np.uint64]
    words: NDArray[np.uint64]
    clock: NDArray[np.uint64]
    calls: NDArray[np.uint64]

    def __init__(self, pool_capacity: int = 64, tick_capacity: int = 1024) -> None:
        self.count = 0
        self.arena_used = 0
        self.words_used = 0
        self.words = np.zeros(256, np.uint64)
        self.clock = np.zeros(1, np.uint64)
        self.calls = CALLS
        for name, (dtype, tail) in _COLUMNS.items():
            setattr(self, name, np.zeros((pool_capacity, *tail), dtype))
        for name, (dtype, tail) in _ARENA.items():
            setattr(self, name, np.zeros((tick_capacity, *tail), dtype))
        self._view: PoolArrays | None = None

    @property
    def arrays(self) -> PoolArrays:
        """The compiled kernels' view: the live arrays themselves, not copies; taken anew after growth."""
        if self._view is None:
            self._view = PoolArrays(**{name: getattr(self, name) for name in PoolArrays._fields})
        return self._view

    def add_row(self) -> int:
        """Reserve the next row, zeroed, and return it."""
        row = self.count
        if row == len(self.kind):
            for name in _COLUMNS:
                setattr(self, name, _grown(getattr(self, name), 2 * row))
            self._view = None
        self.count = row + 1
        return row

    def write_words(self, row: int, rows: int, words: NDArray[np.uint64]) -> None:
        """Replace the words of the pool whose `rows` rows begin at `row`; all of them share the slice."""
        count = len(words)
        if self.word_count[row] != count:
            start = self.words_used
            if start + count > len(self.words):
                self.words = _grown(self.words, max(2 * len(self.words), start + count))
                self._view = None
            self.words_used = start + count
            self.word_start[row : row + rows] = start
            self.word_count[row : row + rows] = count
        start = int(self.word_start[row])
        self.words[start : start + count] = words

    def read_words(self, row: int) -> NDArray[np.uint64]:
        """A copy of the pool's words."""
        start = int(self.word_start[row])
        return self.words[start : start + int(self.word_count[row])].copy()

    def reserve_ticks(self, row: int, places: int) -> None:
        """Make room for at least `places` ticks of the pool, moving its slice when it has to."""
        if self.tick_room[row] >= places:
            return
        room = max(8, places + places // 2)
        if self.arena_used + room > len(self.arena_tick):
            self._repack(room)
        start = self.arena_used
        old, count = int(self.tick_start[row]), int(self.tick_count[row])
        for name in _ARENA:
            arena = getattr(self, name)
            arena[start : start + count] = arena[old : old + count]
        self.tick_start[row] = start
        self.tick_room[row] = room
        self.arena_used = start + room

    def write_ticks(
        self, row: int, ticks: NDArray[np.int32], net: NDArray[np.uint64], gross: NDArray[np.uint64]
    ) -> None:
        """Replace the pool's ticks: `ticks` i32[n] ascending, `net` and `gross` u64[n, 2]."""
        count = len(ticks)
        self.reserve_ticks(row, count)
        place = slice(int(self.tick_start[row]), int(self.tick_start[row]) + count)
        self.arena_tick[place] = ticks
        self.arena_net[place] = net
        self.arena_gross[place] = gross
        self.tick_count[row] = count

    def read_ticks(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.uint64]]:
        """Copies of the pool's ticks, net and gross liquidity, as `write_ticks` takes them."""
        start = int(self.tick_start[row])
        place = slice(start, start + int(self.tick_count[row]))
        return self.arena_tick[place].copy(), self.arena_net[place].copy(), self.arena_gross[place].copy()

    def _repack(self, extra: int) -> None:
        """Copy the live slices, without the gaps moved ones left, into an arena with `extra` more places."""
        starts = self.tick_start[: self.count]
        counts = self.tick_count[: self.count].astype(np.int64)
        rooms = self.tick_room[: self.count].astype(np.int64)
        moved = np.concatenate(([0], np.cumsum(rooms)))
        used = int(moved[-1])
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        source = np.repeat(starts, counts) + within
        target = np.repeat(moved[:-1], counts) + within
        capacity = max(2 * (used + extra), len(self.arena_tick))
        for name, (dtype, tail) in _ARENA.items():
            fresh: NDArray[Any] = np.zeros((capacity, *tail), dtype)
            fresh[target] = getattr(self, name)[source]
            setattr(self, name, fresh)
        self.tick_start[: self.count] = moved[:-1]
        self.arena_used = used
        self._view = None


def _grown(array: np.ndarray, capacity: int) -> np.ndarray:
    fresh = np.zeros((capacity, *array.shape[1:]), array.dtype)
    fresh[: len(array)] = array
    return fresh
