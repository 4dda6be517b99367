"""What a block overwrote, so that a reorganisation can put it back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.domain.market import BlockRef
from engine.market.tables import PoolTables

_STATE_COLUMNS = ("reserves", "sqrt_price", "liquidity", "tick", "fee_pips", "lp_fee", "protocol_fee")


@dataclass(slots=True)
class UndoEntry:
    """State of the pools a block touched, as it was before the block.

    `before` is the parent's reference. `rows` i32[n] ascending; `columns` are copies of those rows; `ticks`
    holds whole tick slices of the pools whose positions changed, `words` the slices of the pools kept as
    words. `read_rows` are pools whose state was read
    from outside (not derived from logs) while this block was the head: undoing the block leaves their state
    unknown.
    """

    before: BlockRef
    rows: NDArray[np.int32]
    columns: dict[str, NDArray]
    ticks: dict[int, tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.uint64]]]
    words: dict[int, NDArray[np.uint64]] = field(default_factory=dict)
    read_rows: set[int] = field(default_factory=set)


def record(
    tables: PoolTables, before: BlockRef, rows: NDArray[np.int32], position_rows: NDArray[np.int32]
) -> UndoEntry:
    """Copy what a block may overwrite: `rows` touched at all, `position_rows` with mints or burns."""
    kept_as_words = rows[(tables.word_count[rows] > 0) & (tables.group[rows] == rows)]
    return UndoEntry(
        before=before,
        rows=rows,
        columns={name: getattr(tables, name)[rows] for name in _STATE_COLUMNS},
        ticks={int(row): tables.read_ticks(int(row)) for row in position_rows},
        words={int(row): tables.read_words(int(row)) for row in kept_as_words},
    )


def restore(tables: PoolTables, entry: UndoEntry, only: NDArray[np.int32] | None = None) -> None:
    """Put the entry's rows back, or just those of them in `only`."""
    chosen = np.ones(len(entry.rows), bool) if only is None else np.isin(entry.rows, only)
    rows = entry.rows[chosen]
    for name, values in entry.columns.items():
        getattr(tables, name)[rows] = values[chosen]
    wanted = set(rows.tolist())
    for row, slices in entry.ticks.items():
        if row in wanted:
            tables.write_ticks(row, *slices)
    for row, words in entry.words.items():
        if row in wanted:
            start = int(tables.word_start[row])
            tables.words[start : start + len(words)] = words


def is_as_before(tables: PoolTables, entry: UndoEntry, row: int) -> bool:
    """Whether the pool of first row `row`, one of the entry's, has the state it had before the block; no if
    its ticks may have changed."""
    at = int(np.searchsorted(entry.rows, row))
    if row in entry.ticks or any(
        (getattr(tables, name)[row] != values[at]).any() for name, values in entry.columns.items()
    ):
        return False
    words = entry.words.get(row)
    return np.array_equal(tables.read_words(row), words if words is not None else ())
