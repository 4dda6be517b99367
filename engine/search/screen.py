"""The float64 screen: which cycles may pay at the present rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.search.aim import NO_AIM, Aim
from engine.search.pairs import PairIndex
from engine.search.rates import RATE_FLOOR
from engine.search.walk import mark_nb, relax_nb, starts_nb, unmark_nb, walk_nb

# Raised until what passes can be stored: a market so far out of balance has more cycles than anyone can use.
_HIGHER_FLOORS = (1.0 + 1e-4, 1.001, 1.01, 1.05, 1.2, 2.0, 10.0, 1e3, 1e6)
NO_BUDGET = 1 << 62
_TOUCHED = 1 << 16


class Candidates(NamedTuple):
    """`cycles` i32[n, 4] of directed edges, -1 after the last, once from each base token on them; those of
    one cycle have the same `ring`, i32[n] < `rings`. `complete` is False when a bound cut the search short.
    """

    cycles: NDArray[np.int32]
    ring: NDArray[np.int32]
    rings: int
    complete: bool


class Screen:
    """Walks the index; keeps the scratch memory between walks. One search at a time."""

    def __init__(
        self, index: PairIndex, bases: NDArray[np.int32], max_hops: int, max_candidates: int
    ) -> None:
        self._index = index
        self._bases = bases
        self._max_hops = max_hops
        self._max_candidates = max_candidates
        self._out = np.empty((max_candidates, 4), np.int32)
        # Memory is given when it is first written to: not in the middle of a search.
        self._out[:_TOUCHED] = -1
        self._ring: NDArray[np.int32] = np.arange(_TOUCHED, dtype=np.int32)
        self._home = self._met_home = np.zeros((max_hops - 1, 0))
        self._met = np.zeros(0, np.uint8)
        self._met_rate = np.zeros(0)

    def candidates(
        self,
        rows: NDArray[np.int32] | None,
        group: NDArray[np.int32],
        budget: int = NO_BUDGET,
        aims: Sequence[Aim] = (),
    ) -> Candidates:
        """Cycles through any of the pool `rows` (all when None) whose product of rates exceeds the floor.
        `group` i32[P]: no cycle uses two rows of a group; `budget` bounds the pairs looked at. With `aims`,
        one for each base, only those that are among the most promising of theirs, or pass another base."""
        self._fit()
        tables = self._index.tables
        if rows is not None:
            mark_nb(tables, rows, self._met, self._met_rate)
        try:
            found, complete = self._walk(rows is None, group, RATE_FLOOR, budget, aims)
            for floor in _HIGHER_FLOORS:
                if found < self._max_candidates:
                    break
                found, _ = self._walk(rows is None, group, floor, budget, aims)
                complete = False
        finally:
            if rows is not None:
                unmark_nb(tables, rows, self._met, self._met_rate)
        cycles = self._out[:found]
        if len(self._bases) < 2:
            if found > len(self._ring):
                self._ring = np.arange(2 * found, dtype=np.int32)
            return Candidates(cycles, self._ring[:found], found, complete)
        rotated, ring = np.empty((4 * found, 4), np.int32), np.empty(4 * found, np.int32)
        count = starts_nb(tables, cycles, rotated, ring)
        return Candidates(rotated[:count], ring[:count], found, complete)

    def _walk(
        self, every: bool, group: NDArray[np.int32], floor: float, budget: int, aims: Sequence[Aim]
    ) -> tuple[int, bool]:
        index, found, looked_total = self._index, 0, 0
        for rank, base in enumerate(self._bases.tolist()):
            relax_nb(
                index.tables,
                2 * index.pair_count,
                base,
                rank,
                self._max_hops,
                self._met_rate,
                self._home,
                self._met_home,
            )
            found, looked = walk_nb(
                index.tables,
                group,
                base,
                rank,
                self._max_hops,
                floor,
                tuple(aims[rank] if aims else NO_AIM),
                every,
                self._met,
                self._met_rate,
                self._home,
                self._met_home,
                self._out,
                found,
                budget - looked_total,
            )
            looked_total += looked
            if found == self._max_candidates or looked_total >= budget:
                return found, False
        return found, True

    def _fit(self) -> None:
        tables = self._index.tables
        tokens = tables.to_base.shape[1]
        if self._home.shape[1] != tokens:
            self._home = np.zeros((max(self._max_hops - 1, 1), tokens))
            self._met_home = np.zeros_like(self._home)
        if len(self._met) != len(tables.pair_of):
            self._met = np.zeros(len(tables.pair_of), np.uint8)
        if len(self._met_rate) != len(tables.best):
            self._met_rate = np.zeros(len(tables.best))
