"""Tick windows of the concentrated pools that a search verifies, made when first needed.

A window (`engine.amm.tick_window`) must not outlive a change of its pool's ticks. So none is seen by a quote
before it was compared, in the same search, with the pool as it is: whoever changed the pool, a block, a
reorganisation or a reading, and whether the search was told or not. That costs about what one quote does,
once a search for each pool that it verifies.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.layout import KIND_V3, PoolArrays
from engine.amm.tick_window import TickTables, new_tick_tables, refresh_table_nb

# About 8 KiB each; with all of them in use, pools beyond are quoted by the loop until the next search.
MOST_PLACES = 4096


@njit(nogil=True, cache=True, error_model="numpy")
def _show_nb(tables, pools, cycles, picks, home, shown, counts):
    """Give the V3 rows of cycles `picks` their windows, in `tables.place`; `home` i32[P] are the places they
    keep, `counts` i64[2] how many rows are in `shown` and how many places are taken. A row for which there is
    no place is left without."""
    kind, place = pools.kind, tables.place
    seen, taken = counts[0], counts[1]
    room = np.int64(len(tables.facts) // 2)
    for pick in picks:
        for hop in range(cycles.shape[1]):
            edge = cycles[pick, hop]
            if edge < 0:
                break
            row = edge >> 1
            if kind[row] != KIND_V3 or place[row] >= 0:
                continue
            if home[row] < 0:
                if taken == room:
                    continue
                home[row] = taken
                taken += 1
            place[row] = home[row]
            refresh_table_nb(tables, pools, row)
            shown[seen] = row
            seen += 1
    counts[0], counts[1] = seen, taken


class Windows:
    """Keeps the windows of one finder. `begin` each search, then `show` what it is going to verify."""

    def __init__(self) -> None:
        self._tables = new_tick_tables(0, 0)
        self._home: NDArray[np.int32] = np.zeros(0, np.int32)
        self._shown: NDArray[np.int32] = np.zeros(0, np.int32)
        self._counts: NDArray[np.int64] = np.zeros(2, np.int64)

    def begin(self) -> None:
        """The pools may have changed: from here on no window is seen."""
        tables = self._tables
        tables.place[self._shown[: self._counts[0]]] = -1
        self._counts[0] = 0
        if self._counts[1] == MOST_PLACES:
            self._home[:] = -1
            # A place of nothing holds no stops: it is made anew whatever stood there.
            tables.facts[:] = 0
            self._counts[1] = 0

    def show(self, pools: PoolArrays, cycles: NDArray[np.int32], picks: NDArray[np.int64]) -> TickTables:
        """Tables in which the V3 pools of `cycles[picks]` have windows as the pools are at present."""
        self._fit(len(pools.kind))
        _show_nb(self._tables, pools, cycles, picks, self._home, self._shown, self._counts)
        return self._tables

    def _fit(self, rows: int) -> None:
        """Room for as many rows, which is made when pools are added: no search waits for memory."""
        known = len(self._home)
        if known < rows:
            fresh = np.full(rows - known, -1, np.int32)
            self._tables = self._tables._replace(place=np.append(self._tables.place, fresh))
            self._home = np.append(self._home, fresh)
            self._shown = np.append(self._shown, fresh)
            self._grow(min(rows, MOST_PLACES) - len(self._tables.facts) // 2)

    def _grow(self, places: int) -> None:
        tables = self._tables
        if places <= 0:
            return
        more = new_tick_tables(0, places)
        # Memory is given when it is first written to: not in the middle of a search.
        more.stops[:] = 0
        if self._counts[1] == 0:
            self._tables = more._replace(place=tables.place)
            return
        self._tables = TickTables(
            tables.place,
            np.concatenate((tables.stops, more.stops)),
            np.concatenate((tables.heads, more.heads)),
            np.concatenate((tables.facts, more.facts)),
        )
