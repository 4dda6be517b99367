"""The pools by directed token pair, each pair's pools best first: the index every search walks.

A directed edge is 2 * pool_row + d, d = 0 selling token0, d = 1 selling token1, so `edge ^ 1` is the same
pool the other way. A directed pair is 2 * pair + d in the same sense, so `q ^ 1` is the same pair the other
way. Rates are est marginal output per input after the fee: no amount trades better. A state change moves a
pool within its pair; a new pool is inserted; nothing is ever rebuilt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.layout import PoolArrays
from engine.search.ceilings import est_ceilings_nb, update_bends_nb
from engine.search.rates import quick_arrays, quick_rate_nb, rate_nb


class PairTables(NamedTuple):
    """The kernels' view: U pairs, S slots, P pool rows, A adjacency places, T tokens, B base tokens."""

    source: NDArray[np.int32]  # [2U] token row a directed pair sells
    target: NDArray[np.int32]  # [2U] token row it buys
    best: NDArray[np.float64]  # [2U] rate of its best pool, 0 when none trades
    start: NDArray[np.int64]  # [2U] first slot
    held: NDArray[np.int32]  # [2U] slots used: pools of the pair
    slot_edge: NDArray[np.int32]  # [S] directed edges, by falling rate within a pair
    slot_rate: NDArray[np.float64]  # [S]
    place: NDArray[np.int64]  # [2P] slot of a directed edge; -1 for a pool that is on no cycle
    pair_of: NDArray[np.int32]  # [P] pair of a pool row, -1 likewise
    out_start: NDArray[np.int64]  # [T] first adjacency place of a token
    out_count: NDArray[np.int32]  # [T]
    out_pair: NDArray[np.int32]  # [A] directed pairs that sell the token
    rank: NDArray[np.int32]  # [T] place of a base token among the bases; -1 for others
    to_base: NDArray[np.int32]  # [B, T] directed pair from a token to a base, -1 when none


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _move_nb(place, slot_edge, slot_rate, edge, rate, first, last):
    """Put an edge at its new place among the pools of its pair, slots [first, last]."""
    at = place[edge]
    while at > first and slot_rate[at - 1] < rate:
        slot_rate[at] = slot_rate[at - 1]
        slot_edge[at] = slot_edge[at - 1]
        place[slot_edge[at]] = at
        at -= 1
    while at < last and slot_rate[at + 1] > rate:
        slot_rate[at] = slot_rate[at + 1]
        slot_edge[at] = slot_edge[at + 1]
        place[slot_edge[at]] = at
        at += 1
    slot_rate[at] = rate
    slot_edge[at] = edge
    place[edge] = at


@njit(nogil=True, cache=True, error_model="numpy")
def _update_nb(tables, pools, rows):
    arrays = quick_arrays(pools)
    start, held, best, pair_of = tables.start, tables.held, tables.best, tables.pair_of
    place, slot_edge, slot_rate = tables.place, tables.slot_edge, tables.slot_rate
    for row in rows:
        if pair_of[row] < 0:
            continue
        for d in range(2):
            edge, q = 2 * row + d, 2 * pair_of[row] + d
            rate = quick_rate_nb(arrays, row, d)
            if rate < 0.0:
                rate = rate_nb(pools, np.int64(row), d == 0)
            if rate != slot_rate[place[edge]]:
                _move_nb(place, slot_edge, slot_rate, edge, rate, start[q], start[q] + held[q] - 1)
                best[q] = slot_rate[start[q]]


@njit(nogil=True, cache=True, error_model="numpy")
def _sort_nb(tables, q):
    """Order a pair's slots by falling rate (shell sort: quick on sorted and on thousands)."""
    first, count = tables.start[q], np.int64(tables.held[q])
    slot_edge, slot_rate = tables.slot_edge, tables.slot_rate
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for k in range(first + gap, first + count):
            rate, edge = slot_rate[k], slot_edge[k]
            at = k
            while at >= first + gap and slot_rate[at - gap] < rate:
                slot_rate[at], slot_edge[at] = slot_rate[at - gap], slot_edge[at - gap]
                at -= gap
            slot_rate[at], slot_edge[at] = rate, edge
        gap //= 3
    for k in range(first, first + count):
        tables.place[slot_edge[k]] = k


@njit(nogil=True, cache=True, error_model="numpy")
def _update_all_nb(tables, pools, pairs):
    start, count, best = tables.start, tables.held, tables.best
    slot_edge, slot_rate = tables.slot_edge, tables.slot_rate
    arrays = quick_arrays(pools)
    for q in range(2 * pairs):
        first, sorted_still = start[q], True
        before = np.inf
        for k in range(first, first + count[q]):
            row, d = slot_edge[k] >> 1, slot_edge[k] & 1
            rate = quick_rate_nb(arrays, row, d)
            if rate < 0.0:
                rate = rate_nb(pools, np.int64(row), d == 0)
            slot_rate[k] = rate
            sorted_still = sorted_still and rate <= before
            before = rate
        if not sorted_still:
            _sort_nb(tables, q)
        best[q] = slot_rate[first] if count[q] else 0.0


class PairIndex:
    """Owner of the tables: built once, then updated in place and added to."""

    def __init__(
        self, pools: PoolArrays, pool_count: int, token_count: int, bases: NDArray[np.int32]
    ) -> None:
        """`bases` are token rows i32[B], in the order of preference of equal cycles."""
        self._bases = bases
        self._to_base: NDArray[np.int32] = np.full((len(bases), max(token_count, 1)), -1, np.int32)
        self._bends: NDArray[np.float32] = np.zeros((0, 2), np.float32)
        self._rates, self._bends_stale = np.zeros(0), True
        self.pair_count = 0
        self.pool_count = pool_count
        self._build(pools, token_count)
        self.tables = self._view()
        self.update_all(pools)

    def update(self, pools: PoolArrays, rows: NDArray[np.int32]) -> None:
        """Take the present state of these pool rows."""
        if 8 * len(rows) > self.pool_count:
            self.update_all(pools)
        else:
            _update_nb(self.tables, pools, rows)
            if not self._bends_stale:
                self._update_bends(pools, rows)

    def update_all(self, pools: PoolArrays) -> None:
        """Take the present state of every pool."""
        _update_all_nb(self.tables, pools, self.pair_count)
        self._bends_stale = True

    def est_ceilings(self, pools: PoolArrays, cycles: NDArray[np.int32]) -> NDArray[np.float64]:
        """est profit, base units, that no execution of each cycle exceeds."""
        ceilings = np.empty(len(cycles))
        est_ceilings_nb(cycles, self.bends(pools), self._rates, ceilings)
        return ceilings

    def bends(self, pools: PoolArrays) -> NDArray[np.float32]:
        """How much each directed edge bends, f32[2P, 2]: see `engine.search.ceilings`."""
        if self._bends_stale:
            self._update_bends(pools, np.arange(self.pool_count, dtype=np.int32))
            self._bends_stale = False
        return self._bends

    def _update_bends(self, pools: PoolArrays, rows: NDArray[np.int32]) -> None:
        if len(self._bends) < len(self._place):
            larger = np.zeros((len(self._place), 2), np.float32)
            larger[: len(self._bends)] = self._bends
            self._bends = larger
            self._grow("_rates", len(self._bends), 0.0)
        tables = self.tables
        update_bends_nb(pools, tables.pair_of, tables.place, tables.slot_rate, rows, self._bends, self._rates)

    def count_cycles(self, max_hops: int) -> int:
        """Directed simple cycles of 2..max_hops hops, once for each base token on them; a pool of several
        tokens counted as one pool per pair."""
        return sum(self._count_from(base, max_hops) for base in self._bases.tolist())

    def _count_from(self, base: int, max_hops: int) -> int:
        used = slice(0, 2 * self.pair_count)
        source, target = self._source[used], self._target[used]
        pools = self._held[used].astype(np.float64)
        tokens = len(self._out_count)
        near = np.zeros(tokens)
        near[target[source == base]] = pools[source == base]
        total = float(np.dot(near, near - 1.0))
        inner = (source != base) & (target != base)
        source, target, pools = source[inner], target[inner], pools[inner]
        if max_hops >= 3:
            total += float((near[source] * pools * near[target]).sum())
        if max_hops >= 4:
            # Two hops out to a token and two back, less those that return the way they went.
            ways = near[source] * pools
            total += float((np.bincount(target, ways, tokens) ** 2).sum() - (ways**2).sum())
        return round(total)

    def add_rows(self, pools: PoolArrays, first: int, end: int, token_count: int) -> None:
        """Insert pool rows [first, end) into their pairs."""
        self._grow("_place", 2 * end, -1)
        self._grow("_pair_of", end, -1)
        for name in ("_out_start", "_out_count", "_out_room"):
            self._grow(name, token_count, 0)
        self._grow("_rank", token_count, -1)
        if token_count > self._to_base.shape[1]:
            wider = np.full((len(self._bases), 2 * token_count), -1, np.int32)
            wider[:, : self._to_base.shape[1]] = self._to_base
            self._to_base = wider
        for row in range(first, end):
            token0, token1 = int(pools.token0[row]), int(pools.token1[row])
            if token0 != token1:
                pair = self._find_pair(token0, token1)
                self._insert(row, self._new_pair(token0, token1) if pair < 0 else pair)
        self.pool_count = max(self.pool_count, end)
        self.tables = self._view()
        self.update(pools, np.arange(first, end, dtype=np.int32))

    def _build(self, pools: PoolArrays, token_count: int) -> None:
        token0 = pools.token0[: self.pool_count].astype(np.int64)
        token1 = pools.token1[: self.pool_count].astype(np.int64)
        rows = np.flatnonzero(token0 != token1)
        keys, pair = np.unique(token0[rows] * max(token_count, 1) + token1[rows], return_inverse=True)
        self.pair_count = pairs = len(keys)
        width = max(token_count, 1)
        self._source = np.empty(2 * max(pairs, 1), np.int32)
        self._target = np.empty(2 * max(pairs, 1), np.int32)
        self._source[0 : 2 * pairs : 2] = self._target[1 : 2 * pairs : 2] = keys // width
        self._target[0 : 2 * pairs : 2] = self._source[1 : 2 * pairs : 2] = keys % width
        self._best = np.zeros(2 * max(pairs, 1))
        self._held = np.zeros(2 * max(pairs, 1), np.int32)
        self._held[: 2 * pairs] = np.repeat(np.bincount(pair, minlength=pairs), 2)
        self._room = self._held.copy()
        self._start = np.cumsum(self._held, dtype=np.int64) - self._held
        self._slots_used = int(self._held.sum())
        self._pair_of = np.full(max(self.pool_count, 1), -1, np.int32)
        self._pair_of[rows] = pair
        self._place = np.full(2 * max(self.pool_count, 1), -1, np.int64)
        edges = np.concatenate((2 * rows, 2 * rows + 1))
        order = np.lexsort((edges, np.concatenate((2 * pair, 2 * pair + 1))))
        self._slot_edge = np.zeros(max(len(edges), 1), np.int32)
        self._slot_edge[: len(edges)] = edges[order]
        self._slot_rate = np.zeros(max(len(edges), 1))
        self._place[edges[order]] = np.arange(len(edges))
        self._build_adjacency(width)

    def _build_adjacency(self, token_count: int) -> None:
        directed = 2 * self.pair_count
        self._out_pair = np.zeros(max(directed, 1), np.int32)
        self._out_pair[:directed] = np.argsort(self._source[:directed], kind="stable")
        self._out_count = np.bincount(self._source[:directed], minlength=token_count).astype(np.int32)
        self._out_room = self._out_count.copy()
        self._out_start = np.cumsum(self._out_count, dtype=np.int64) - self._out_count
        self._out_used = directed
        self._rank = np.full(token_count, -1, np.int32)
        self._rank[self._bases] = np.arange(len(self._bases))
        for rank, base in enumerate(self._bases.tolist()):
            into = np.flatnonzero(self._target[:directed] == base)
            self._to_base[rank, self._source[into]] = into

    def _view(self) -> PairTables:
        return PairTables(**{name: getattr(self, f"_{name}") for name in PairTables._fields})

    def _grow(self, name: str, length: int, filler: float) -> None:
        array = getattr(self, name)
        if len(array) < length:
            larger = np.full(max(length, 2 * len(array)), filler, array.dtype)
            larger[: len(array)] = array
            setattr(self, name, larger)

    def _find_pair(self, token0: int, token1: int) -> int:
        few, other = (
            (token0, token1) if self._out_count[token0] <= self._out_count[token1] else (token1, token0)
        )
        first = int(self._out_start[few])
        out = self._out_pair[first : first + int(self._out_count[few])]
        found = out[self._target[out] == other]
        return int(found[0]) >> 1 if len(found) else -1

    def _new_pair(self, token0: int, token1: int) -> int:
        pair = self.pair_count
        self.pair_count = pair + 1
        for name in ("_source", "_target", "_best", "_held", "_room", "_start"):
            self._grow(name, 2 * pair + 2, 0)
        self._source[2 * pair], self._target[2 * pair] = token0, token1
        self._source[2 * pair + 1], self._target[2 * pair + 1] = token1, token0
        for q in (2 * pair, 2 * pair + 1):
            self._held[q] = self._room[q] = 0
            self._best[q] = 0.0
            self._append_out(int(self._source[q]), q)
            rank = int(self._rank[self._target[q]])
            if rank >= 0:
                self._to_base[rank, self._source[q]] = q
        return pair

    def _append_out(self, token: int, q: int) -> None:
        count, start = int(self._out_count[token]), int(self._out_start[token])
        if count == self._out_room[token]:
            room = max(2, 2 * count)
            self._grow("_out_pair", self._out_used + room, 0)
            self._out_pair[self._out_used : self._out_used + count] = self._out_pair[start : start + count]
            self._out_start[token] = start = self._out_used
            self._out_room[token] = room
            self._out_used += room
        self._out_pair[start + count] = q
        self._out_count[token] = count + 1

    def _insert(self, row: int, pair: int) -> None:
        self._pair_of[row] = pair
        for d in (0, 1):
            q = 2 * pair + d
            count, start = int(self._held[q]), int(self._start[q])
            if count == self._room[q]:
                room = max(2, 2 * count)
                self._grow("_slot_edge", self._slots_used + room, 0)
                self._grow("_slot_rate", self._slots_used + room, 0)
                fresh = slice(self._slots_used, self._slots_used + count)
                self._slot_edge[fresh] = self._slot_edge[start : start + count]
                self._slot_rate[fresh] = self._slot_rate[start : start + count]
                self._place[self._slot_edge[fresh]] = np.arange(fresh.start, fresh.stop)
                self._start[q] = start = self._slots_used
                self._room[q] = room
                self._slots_used += room
            self._slot_edge[start + count] = 2 * row + d
            self._slot_rate[start + count] = 0.0
            self._place[2 * row + d] = start + count
            self._held[q] = count + 1


def base_rows(token_row: dict[str, int], base_tokens: Sequence[str]) -> NDArray[np.int32]:
    """Token rows of base token addresses."""
    return np.array([token_row[token] for token in base_tokens], np.int32)
