"""The market: every pool's exact state as of one block, written by one writer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.amm.families.table import make_ready
from engine.amm.layout import (
    EVENT_V3_BURN,
    EVENT_V3_MINT,
    MAX_TICK,
    MIN_TICK,
    PoolArrays,
    StateEvents,
)
from engine.amm.v4_fees import DYNAMIC_FEE_FLAG
from engine.domain.errors import MarketError, ReorgTooDeep, UnknownParent
from engine.domain.market import BlockRef, PoolRecord, Token
from engine.domain.pool_details import AlgebraDetails, CamelotDetails, UniswapV4Details
from engine.domain.pool_state import BlockReading, PoolState, V3Fees, V3PoolState, V4Fees, V4PoolState
from engine.market import undo
from engine.market.families import check_record, kind_of, ramp_end, rules_of, untradable
from engine.market.hubs import hub_of
from engine.market.readings import Ticks, state_of, tracked_spacing, write_state, write_v2
from engine.market.tables import PoolTables
from engine.market.transition import REASONS, StateTables, apply_events_nb

_REWOUND = "its state was read at a block that was reorganised away"


class Market:
    """Tokens, pools and their state at `head`.

    A row is one pair of tokens of one pool; `pools[row]` is its record, `pool_row[key]` a pool's first row.
    One writer: nothing here is locked. `arrays` are the live arrays; a reader that outlives the current
    block takes copies. Rows in `quarantined` have kind 0 in `arrays`, so no search or quote sees them; their
    logs are still followed unless the pool's state is known to be wrong, in which case only a fresh reading
    brings it back. `hubs` maps a contract that logs for many pools (V4's manager, Balancer's vaults, stETH)
    to the rows by the log's first indexed word.
    """

    def __init__(self, max_undo: int = 64, block_interval: int = 0) -> None:
        """`block_interval` seconds after the head is the block that quotes are made for."""
        self.tokens: list[Token] = []
        self.pools: list[PoolRecord] = []
        self.token_row: dict[str, int] = {}
        self.pool_row: dict[str, int] = {}
        self.hubs: dict[str, dict[str, int]] = {}
        self.head: BlockRef | None = None
        self.quarantined: dict[int, str] = {}
        self.max_undo = max_undo
        self.block_interval = block_interval
        self.tables = PoolTables()
        self._undo: deque[undo.UndoEntry] = deque(maxlen=max_undo)
        self._state_faults: set[int] = set()
        self._ramp_end: dict[int, int] = {}

    @property
    def arrays(self) -> PoolArrays:
        """The kernels' view; take it anew after adding pools or applying blocks (arrays may have grown)."""
        return self.tables.arrays

    def add_token(self, token: Token) -> int:
        """The token's row, new or known. Raises MarketError when the address is known with other decimals."""
        row = self.token_row.get(token.address)
        if row is not None:
            if self.tokens[row].decimals != token.decimals:
                raise MarketError(f"token {token.address} is already known with other decimals")
            return row
        row = len(self.tokens)
        self.tokens.append(token)
        self.token_row[token.address] = row
        return row

    @property
    def pool_count(self) -> int:
        """How many pools there are: fewer than rows, where some have more than two tokens."""
        return len(self.pool_row)

    def rows_of(self, row: int) -> range:
        """All rows of the pool that `row` belongs to."""
        first = int(self.tables.group[row])
        tokens = len(self.pools[first].tokens)
        return range(first, first + tokens * (tokens - 1) // 2)

    def token_in(self, edge: int) -> str:
        """Address of the token that a directed edge, 2 * row + d, sells."""
        side = self.tables.token1 if edge & 1 else self.tables.token0
        return self.tokens[side[edge >> 1]].address

    def add_pool(self, record: PoolRecord) -> int:
        """The pool's first row, new (without state) or known.

        Raises MarketError when a token is unknown, for a record no pool of its protocol can have, or when the
        key is known as a different pool. Compiles the family, or loads it, when it is the first of its kind.
        """
        first = self.pool_row.get(record.key)
        if first is not None:
            if self.pools[first] != record:
                raise MarketError(f"pool {record.key} is already known as a different pool")
            return first
        check_record(record)
        if any(token not in self.token_row for token in record.tokens):
            raise MarketError(f"pool {record.key} has a token that was not added")
        make_ready(kind_of(record))
        first = self.tables.count
        for coin, token in enumerate(record.tokens):
            for other_coin, other in enumerate(record.tokens[:coin]):
                pair = sorted(((token, coin), (other, other_coin)))
                self._add_row(record, first, pair)
        self.pool_row[record.key] = first
        hub = hub_of(record)
        if hub is not None:
            self.hubs.setdefault(hub[0], {})[hub[1]] = first
        self._note_reading(first)
        reason = untradable(record)
        if reason is not None:
            self.quarantine(first, reason)
        return first

    def _add_row(self, record: PoolRecord, first: int, pair: list[tuple[str, int]]) -> None:
        tables = self.tables
        row = tables.add_row()
        tables.family[row] = tables.kind[row] = kind_of(record)
        tables.group[row] = first
        tables.token0[row], tables.token1[row] = (self.token_row[token] for token, _ in pair)
        tables.coin0[row], tables.coin1[row] = (coin for _, coin in pair)
        tables.fee_pips[row] = record.fee_pips
        tables.rules[row] = rules_of(record)
        tables.tick_spacing[row] = tracked_spacing(record, int(tables.rules[row]))
        tables.known_low[row], tables.known_high[row] = MIN_TICK, MAX_TICK
        tables.gross_known[row] = 1
        facts = record.details
        tables.dynamic_fee[row] = isinstance(facts, AlgebraDetails | CamelotDetails) or (
            isinstance(facts, UniswapV4Details) and facts.key_fee == DYNAMIC_FEE_FLAG
        )
        self.pools.append(record)

    def set_state(self, row: int, state: PoolState) -> None:
        """Take a reading of a pool as of `head`. Raises MarketError for values the contract cannot hold, and
        for a state of another pool."""
        self._write(row, state)
        self._accept_reading(row)

    def set_v2(self, row: int, reserve0: int, reserve1: int) -> None:
        """Take a reading of a V2 pool as of `head`. Raises MarketError for a reserve outside uint112."""
        write_v2(self.tables, row, self.pools[row], reserve0, reserve1)
        self._accept_reading(row)

    def set_v3(
        self,
        row: int,
        sqrt_price_x96: int,
        liquidity: int,
        tick: int,
        ticks: Ticks,
        known_low: int = MIN_TICK,
        known_high: int = MAX_TICK,
    ) -> None:
        """Take a reading of a V3 pool as of `head`.

        `ticks` are all initialised ticks within [known_low, known_high], ascending, each (tick,
        liquidity_net) or (tick, liquidity_net, liquidity_gross). Without the gross liquidity |net| stands in
        for it, and a burn may drop a tick that other positions still hold: readings from a node carry it. A
        `sqrt_price_x96` of 0 is a pool before its Initialize. Raises MarketError for values the contract
        cannot hold.
        """
        known = (known_low, known_high)
        entries: tuple = tuple(ticks)
        self.set_state(row, V3PoolState(self.pools[row], sqrt_price_x96, liquidity, tick, entries, known))

    def state_of(self, row: int) -> PoolState:
        """The pool's state as the reading that would set it; quarantined or not."""
        row = int(self.tables.group[row])
        return state_of(self.tables, row, self.pools[row])

    def _write(self, row: int, state: BlockReading) -> None:
        first = self.pool_row.get(state.pool.key)
        if first is None or first != self.tables.group[row] or self.pools[first] != state.pool:
            raise MarketError(f"the state is of pool {state.pool.key}, which row {row} is not")
        write_state(self.tables, first, len(self.rows_of(first)), state)
        self._note_ramp(first)

    def _note_ramp(self, first: int) -> None:
        tables = self.tables
        end = ramp_end(tables.read_words(first), int(tables.family[first])) if tables.word_count[first] else 0
        if end:
            self._ramp_end[first] = end
        else:
            self._ramp_end.pop(first, None)

    def _moving_rows(self, since: int) -> list[int]:
        """Rows whose prices moved with time alone after the timestamp `since`."""
        moving = (first for first, end in self._ramp_end.items() if end > since)
        return [row for first in moving for row in self.rows_of(first)]

    def quarantine(self, row: int, reason: str) -> None:
        """Hide the pool from search and quotes; the first reason stays."""
        for each in self.rows_of(row):
            self.quarantined.setdefault(each, reason)
            self.tables.kind[each] = 0

    def distrust(self, row: int, reason: str) -> None:
        """The pool's state is known to be wrong: it is hidden until it is read again."""
        self._fault(row, reason)

    def release(self, row: int) -> None:
        """Lift a quarantine. Raises MarketError while the pool's state is known to be wrong."""
        rows = self.rows_of(row)
        if self.tables.stale[rows.start]:
            raise MarketError(f"pool {self.pools[row].key} needs a fresh reading before its release")
        for each in rows:
            self.quarantined.pop(each, None)
            self._state_faults.discard(each)
            self.tables.kind[each] = self.tables.family[each]

    def start(self, block: BlockRef) -> None:
        """Say which block the readings so far are of; forgets all undo."""
        self._set_head(block)
        self._undo.clear()

    def _set_head(self, block: BlockRef) -> None:
        self.head = block
        self.tables.clock[0] = block.timestamp + self.block_interval

    def apply(
        self,
        block: BlockRef,
        events: StateEvents,
        refreshed: Sequence[BlockReading] = (),
        touched: Iterable[int] = (),
    ) -> NDArray[np.int32]:
        """Move the head to its child `block` and return the rows (i32, ascending) whose state changed.

        `refreshed` are readings at this very block of pools whose logs do not carry their state, or not all
        of it; `touched` the rows of pools that need one: a touched pool without a reading is stale from here
        on. All of the block is applied or, on an error, none: MarketError for events or readings that name no
        pool, UnknownParent when `block` does not extend the head. An event no honest contract emits (a
        liquidity underflow, a reserve above uint112), or an impossible reading, does not stop the block,
        because one hostile pool must not blind us to all others: that pool keeps its state from before the
        block, is quarantined with the reason and marked stale, and the rest is applied.
        """
        head = self.head
        if head is None:
            raise MarketError("the market was not started at a block")
        if block.parent_hash != head.hash:
            raise UnknownParent(block.number, block.parent_hash)
        if block.number != head.number + 1:
            raise MarketError(f"block {block.number} claims block {head.number} as its parent")
        _check_events(events, self.tables.count)
        read = self._rows_read(refreshed)
        awaited = {int(self.tables.group[row]) for row in touched} - read.keys()
        entry = self._record(head, events, read, awaited)
        codes = np.zeros(len(events.kind), np.uint8)
        state = StateTables(**{name: getattr(self.tables, name) for name in StateTables._fields})
        if apply_events_nb(state, events, codes):
            self._quarantine_refused(block, events, codes, entry)
        self._undo.append(entry)
        self._set_head(block)
        for row, reading in read.items():
            self._take_reading(row, reading)
        for row in awaited:
            self._fault(row, f"touched in block {block.number} and not read again")
        same = [row for first in read if self._is_as_before(entry, first) for row in self.rows_of(first)]
        moved = self._moving_rows(head.timestamp + self.block_interval)
        rows = entry.rows
        if same or moved:
            rows = np.union1d(np.setdiff1d(rows, same), np.array(moved, np.int32)).astype(np.int32)
        return rows[self.tables.stale[rows] == 0]

    def _is_as_before(self, entry: undo.UndoEntry, row: int) -> bool:
        return row not in entry.read_rows and undo.is_as_before(self.tables, entry, row)

    def _rows_read(self, refreshed: Sequence[BlockReading]) -> dict[int, BlockReading]:
        read = {}
        for reading in refreshed:
            row = self.pool_row.get(reading.pool.key)
            if row is None:
                raise MarketError(f"a reading of the block is of pool {reading.pool.key}, which is not known")
            read[row] = reading
        return read

    def _record(
        self, head: BlockRef, events: StateEvents, read: dict[int, BlockReading], awaited: set[int]
    ) -> undo.UndoEntry:
        """Copies of all that the block may overwrite; room for the ticks it may add."""
        tables = self.tables
        positions = (events.kind == EVENT_V3_MINT) | (events.kind == EVENT_V3_BURN)
        if positions.any():
            mints = np.bincount(events.pool[events.kind == EVENT_V3_MINT], minlength=1)
            for row in np.flatnonzero(mints):
                tables.reserve_ticks(int(row), int(tables.tick_count[row] + 2 * mints[row]))
        rows = np.unique(events.pool).astype(np.int32, copy=False)
        rows = rows[tables.stale[rows] == 0]
        whole_rows = np.intersect1d(rows, events.pool[positions]) if positions.any() else rows[:0]
        if not (read or awaited):
            return undo.record(tables, head, rows, whole_rows)
        groups = [row for first in (*read, *awaited) for row in self.rows_of(first)]
        rows = np.union1d(rows, np.array(groups, np.int32)).astype(np.int32)
        whole = [row for row, reading in read.items() if isinstance(reading, V3PoolState | V4PoolState)]
        return undo.record(tables, head, rows, np.union1d(whole_rows, np.array(whole, np.int32)))

    def _take_reading(self, row: int, reading: BlockReading) -> None:
        """A reading that belongs to the block: undone with it, unless what it replaced was already wrong."""
        was_stale = bool(self.tables.stale[row])
        if was_stale and isinstance(reading, V3Fees | V4Fees):
            return
        try:
            self._write(row, reading)
        except MarketError as error:
            self._fault(row, str(error))
            return
        if was_stale:
            self._accept_reading(row)

    def rewind(self, to_hash: str) -> NDArray[np.int32]:
        """Undo blocks until the head is `to_hash`; returns the rows (i32, ascending) that were put back.

        A pool whose state was read, or that was added, at a block undone here is quarantined as stale until
        it is read again. Raises ReorgTooDeep, changing nothing, when `to_hash` is not within the undo log.
        """
        if self.head is not None and self.head.hash == to_hash:
            return np.zeros(0, np.int32)
        if all(entry.before.hash != to_hash for entry in self._undo):
            raise ReorgTooDeep(len(self._undo) + 1, self.max_undo)
        changed: list[NDArray[np.int32]] = []
        while self.head is None or self.head.hash != to_hash:
            entry = self._undo.pop()
            undo.restore(self.tables, entry)
            changed.append(entry.rows)
            for row in entry.words:
                self._note_ramp(row)
            for row in sorted(entry.read_rows):
                self._fault(row, _REWOUND)
            self._set_head(entry.before)
        changed.append(np.array(self._moving_rows(int(self.tables.clock[0])), np.int32))
        return np.unique(np.concatenate(changed)).astype(np.int32)

    def _quarantine_refused(
        self, block: BlockRef, events: StateEvents, codes: NDArray[np.uint8], entry: undo.UndoEntry
    ) -> None:
        refused = np.flatnonzero(codes)
        undo.restore(self.tables, entry, only=events.pool[refused])
        for n in refused:
            self._fault(int(events.pool[n]), f"{REASONS[int(codes[n])]} in block {block.number}")

    def _fault(self, row: int, reason: str) -> None:
        for each in self.rows_of(row):
            self.tables.stale[each] = 1
            if each not in self.quarantined:
                self._state_faults.add(each)
        self.quarantine(row, reason)

    def _accept_reading(self, row: int) -> None:
        rows = self.rows_of(row)
        self.tables.stale[rows] = 0
        if rows.start in self._state_faults:
            self.release(row)
        self._note_reading(rows.start)

    def _note_reading(self, row: int) -> None:
        if self._undo:
            self._undo[-1].read_rows.add(row)


def _check_events(events: StateEvents, pool_count: int) -> None:
    lengths = {len(column) for column in events}
    if len(lengths) != 1:
        raise MarketError("the columns of the block's events differ in length")
    if len(events.pool) and not (events.pool.min() >= 0 and events.pool.max() < pool_count):
        raise MarketError("an event of the block names a pool row that does not exist")
