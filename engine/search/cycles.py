"""The stored list of cycles and, for every pool, which of them pass through it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.estimates import est_rate_nb, est_segment_nb
from engine.amm.layout import KIND_V3, PoolArrays
from engine.search.graph import Graph, walk_cycles_nb

# The product of float64 rates differs from the real one by a few parts in 1e16 per hop, and integer rounding
# only ever works against the trader: a cycle that pays in integers has a real product above one.
RATE_FLOOR = 1.0 - 1e-12


@dataclass(frozen=True, slots=True)
class CycleIndex:
    """All cycles through the base tokens: `cycles` i32[N, 4] of directed edges, -1 after the last, and the
    ids of those through pool p, `member[start[p] : start[p + 1]]`."""

    cycles: NDArray[np.int32]
    start: NDArray[np.int64]
    member: NDArray[np.int32]


def update_rates(rates: NDArray[np.float64], pools: PoolArrays, rows: NDArray[np.int32]) -> None:
    """Refresh `rates` f64[2P] (est marginal out per in, after fee, by directed edge) of these pool rows."""
    _update_rates_nb(rates, pools, rows)


@njit(nogil=True, cache=True, error_model="numpy")
def _update_rates_nb(rates, pools, rows):
    for row in rows:
        for d in range(2):
            rate = est_rate_nb(pools, row, d == 0)
            if rate == 0.0 and pools.kind[row] == KIND_V3:
                # No liquidity at the price itself: a trade passes to the next range for free.
                virtual_in, virtual_out, _ = est_segment_nb(pools, row, d == 0)
                if virtual_in > 0.0:
                    rate = (1.0 - pools.fee_pips[row, d] * 1e-6) * virtual_out / virtual_in
            rates[2 * row + d] = rate if np.isfinite(rate) else 0.0


def count_cycles(graph: Graph, bases: NDArray[np.int32], max_hops: int) -> int:
    """How many cycles the index would hold."""
    return sum(_walk_all(graph, int(base), max_hops, np.zeros((0, 4), np.int32)) for base in bases)


def build_index(graph: Graph, bases: NDArray[np.int32], max_hops: int, pool_count: int) -> CycleIndex:
    """Enumerate every cycle: counted, then filled. Memory: 16 bytes a cycle and 4 a hop."""
    parts = []
    for base in bases:
        part = np.empty((_walk_all(graph, int(base), max_hops, np.zeros((0, 4), np.int32)), 4), np.int32)
        _walk_all(graph, int(base), max_hops, part)
        parts.append(part)
    cycles = np.concatenate(parts) if parts else np.zeros((0, 4), np.int32)
    start = np.zeros(pool_count + 1, np.int64)
    _count_members_nb(cycles, start)
    member = np.empty(int(start[-1]), np.int32)
    _fill_members_nb(cycles, start.copy(), member)
    return CycleIndex(cycles, start, member)


def _walk_all(graph: Graph, base: int, max_hops: int, out: NDArray[np.int32]) -> int:
    edges = int(graph.edge.max()) + 2 if len(graph.edge) else 2
    rates, touched = np.ones(edges), np.ones(edges, np.uint8)
    return walk_cycles_nb(graph, base, max_hops, rates, 0.0, touched, out)[1]


@njit(nogil=True, cache=True, error_model="numpy")
def _count_members_nb(cycles, start):
    for n in range(len(cycles)):
        for k in range(4):
            if cycles[n, k] >= 0:
                start[(cycles[n, k] >> 1) + 1] += 1
    for p in range(1, len(start)):
        start[p] += start[p - 1]


@njit(nogil=True, cache=True, error_model="numpy")
def _fill_members_nb(cycles, cursor, member):
    for n in range(len(cycles)):
        for k in range(4):
            if cycles[n, k] >= 0:
                row = cycles[n, k] >> 1
                member[cursor[row]] = n
                cursor[row] += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _pays_nb(cycles, n, rates):
    product = rates[cycles[n, 0]]
    for k in range(1, 4):
        if cycles[n, k] >= 0:
            product *= rates[cycles[n, k]]
    return product > RATE_FLOOR


@njit(nogil=True, cache=True, error_model="numpy")
def _screen_all_nb(cycles, rates, out):
    found = 0
    for n in range(len(cycles)):
        if _pays_nb(cycles, n, rates):
            out[found] = n
            found += 1
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def _screen_changed_nb(cycles, start, member, rates, rows, seen, stamp, out):
    """Cycles through any of `rows`, each once: `seen` i32[N] holds the stamp of the last screening."""
    found, walked = 0, 0
    for row in rows:
        for k in range(start[row], start[row + 1]):
            n = member[k]
            if seen[n] == stamp:
                continue
            seen[n] = stamp
            walked += 1
            if _pays_nb(cycles, n, rates):
                out[found] = n
                found += 1
    return walked, found


class Screen:
    """The float64 screen: which cycles may pay at the current rates.

    Up to `max_stored` cycles are kept as an index, so that a block costs only the cycles through its pools;
    beyond that nothing is stored and the graph is walked anew each time.
    """

    def __init__(
        self, graph: Graph, bases: NDArray[np.int32], max_hops: int, pool_count: int, max_stored: int
    ) -> None:
        self.graph = graph
        self.bases = bases
        self.max_hops = max_hops
        self.pool_count = pool_count
        self.candidates_count = count_cycles(graph, bases, max_hops)
        self.index: CycleIndex | None = None
        if self.candidates_count <= max_stored:
            self.index = build_index(graph, bases, max_hops, pool_count)
            self._seen = np.zeros(self.candidates_count, np.int32)
            self._found = np.empty(self.candidates_count, np.int32)
            self._stamp = 0

    def candidates(self, rates: NDArray[np.float64], rows: NDArray[np.int32] | None) -> NDArray[np.int32]:
        """Cycles i32[n, 4] through any of `rows` (all when None) whose est rate product exceeds the floor."""
        if self.index is None:
            return self._walk(rates, rows)
        index = self.index
        if rows is None:
            found = _screen_all_nb(index.cycles, rates, self._found)
        else:
            self._stamp += 1
            rows = rows[rows < self.pool_count]
            _, found = _screen_changed_nb(
                index.cycles, index.start, index.member, rates, rows, self._seen, self._stamp, self._found
            )
        return index.cycles[self._found[:found]]

    def _walk(self, rates: NDArray[np.float64], rows: NDArray[np.int32] | None) -> NDArray[np.int32]:
        touched = np.full(max(self.pool_count, 1), rows is None, np.uint8)
        if rows is not None:
            touched[rows[rows < self.pool_count]] = 1
        parts = [np.zeros((0, 4), np.int32)]
        for base in self.bases:
            arguments = (self.graph, int(base), self.max_hops, rates, RATE_FLOOR, touched)
            out = np.empty((4096, 4), np.int32)
            _, found = walk_cycles_nb(*arguments, out)
            if found > len(out):
                out = np.empty((found, 4), np.int32)
                walk_cycles_nb(*arguments, out)
            parts.append(out[:found])
        return np.concatenate(parts)
