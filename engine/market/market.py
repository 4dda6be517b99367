"""The market: every pool's exact state as of one block, written by one writer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import (
    EVENT_V3_BURN,
    EVENT_V3_MINT,
    KIND_V2,
    KIND_V3,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    PoolArrays,
    StateEvents,
    int_to_limbs,
    ints_to_limbs,
    signeds_to_limbs,
)
from engine.domain.errors import MarketError, ReorgTooDeep, UnknownParent
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.domain.pool_state import PoolState, V2PoolState, V3PoolState
from engine.market import undo
from engine.market.tables import PoolTables
from engine.market.transition import REASONS, StateTables, apply_events_nb

_KIND = {Protocol.UNISWAP_V2: KIND_V2, Protocol.UNISWAP_V3: KIND_V3}
_UINT112 = 1 << 112
_UINT128 = 1 << 128
_INT128 = 1 << 127
_REWOUND = "its state was read at a block that was reorganised away"


class Market:
    """Tokens, pools and their state at `head`.

    One writer: nothing here is locked. `arrays` are the live arrays; a reader that outlives the current
    block takes copies. A pool in `quarantined` has kind 0 in `arrays`, so no search or quote sees it; its
    logs are still followed unless its state is known to be wrong, in which case only `set_v2` or `set_v3`
    (a fresh reading) brings it back.
    """

    def __init__(self, max_undo: int = 64) -> None:
        self.tokens: list[Token] = []
        self.pools: list[PoolRecord] = []
        self.token_row: dict[str, int] = {}
        self.pool_row: dict[str, int] = {}
        self.head: BlockRef | None = None
        self.quarantined: dict[int, str] = {}
        self.max_undo = max_undo
        self.tables = PoolTables()
        self._undo: deque[undo.UndoEntry] = deque(maxlen=max_undo)
        self._state_faults: set[int] = set()

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

    def add_pool(self, record: PoolRecord) -> int:
        """The pool's row, new (without state) or known.

        Raises MarketError when a token is unknown, the tokens are not two in ascending order, the fee is not
        below 100 %, a V3 tick spacing is not positive, or the address is known as a different pool.
        """
        row = self.pool_row.get(record.address)
        if row is not None:
            if self.pools[row] != record:
                raise MarketError(f"pool {record.address} is already known as a different pool")
            return row
        if record.protocol not in _KIND:
            raise MarketError(f"pool {record.key} is of a family that is not kept")
        if len(record.tokens) != 2:
            raise MarketError(f"pool {record.key} does not have two tokens")
        token0, token1 = record.tokens
        if token0 not in self.token_row or token1 not in self.token_row:
            raise MarketError(f"pool {record.address} has a token that was not added")
        if int(token0, 16) >= int(token1, 16):
            raise MarketError(f"pool {record.address} does not have two tokens in ascending order")
        if not 0 <= record.fee_pips < 1_000_000:
            raise MarketError(f"pool {record.address} has a fee of {record.fee_pips} pips")
        if record.protocol is Protocol.UNISWAP_V3 and not 0 < record.tick_spacing <= MAX_TICK:
            raise MarketError(f"pool {record.address} has a tick spacing of {record.tick_spacing}")
        row = self.tables.add_row()
        tables = self.tables
        tables.family[row] = tables.kind[row] = _KIND[record.protocol]
        tables.token0[row] = self.token_row[token0]
        tables.token1[row] = self.token_row[token1]
        tables.fee_pips[row] = record.fee_pips
        tables.tick_spacing[row] = record.tick_spacing
        tables.known_low[row], tables.known_high[row] = MIN_TICK, MAX_TICK
        tables.gross_known[row] = 1
        self.pools.append(record)
        self.pool_row[record.address] = row
        self._note_reading(row)
        return row

    def set_state(self, row: int, state: PoolState) -> None:
        """Take a reading of a pool as of `head`. Raises MarketError for values the contract cannot hold."""
        if isinstance(state, V2PoolState):
            self.set_v2(row, state.reserve0, state.reserve1)
        elif isinstance(state, V3PoolState):
            known = state.known or (MIN_TICK, MAX_TICK)
            self.set_v3(row, state.sqrt_price_x96, state.liquidity, state.tick, state.ticks, *known)
        else:
            raise MarketError(f"pool {state.pool.key} is of a family whose state is not kept")

    def set_v2(self, row: int, reserve0: int, reserve1: int) -> None:
        """Take a reading of a V2 pool as of `head`. Raises MarketError for a reserve outside uint112."""
        if self.tables.family[row] != KIND_V2:
            raise MarketError(f"pool {self.pools[row].address} is not a V2 pool")
        if not (0 <= reserve0 < _UINT112 and 0 <= reserve1 < _UINT112):
            raise MarketError(f"pool {self.pools[row].address} has a reserve outside uint112")
        self.tables.reserves[row, 0] = int_to_limbs(reserve0, 2)
        self.tables.reserves[row, 1] = int_to_limbs(reserve1, 2)
        self._accept_reading(row)

    def set_v3(
        self,
        row: int,
        sqrt_price_x96: int,
        liquidity: int,
        tick: int,
        ticks: Sequence[tuple[int, int] | tuple[int, int, int]],
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
        record = self.pools[row]
        if self.tables.family[row] != KIND_V3:
            raise MarketError(f"pool {record.address} is not a V3 pool")
        if sqrt_price_x96 != 0 and not MIN_SQRT_RATIO <= sqrt_price_x96 < MAX_SQRT_RATIO:
            raise MarketError(f"pool {record.address} has a square-root price outside the protocol's bounds")
        if not 0 <= liquidity < _UINT128:
            raise MarketError(f"pool {record.address} has a liquidity outside uint128")
        if not MIN_TICK <= known_low <= known_high <= MAX_TICK or not MIN_TICK <= tick <= MAX_TICK:
            raise MarketError(f"pool {record.address} has a tick outside the protocol's bounds")
        _check_ticks(record, ticks)
        tables = self.tables
        tables.sqrt_price[row] = int_to_limbs(sqrt_price_x96)
        tables.liquidity[row] = int_to_limbs(liquidity, 2)
        tables.tick[row] = tick
        tables.known_low[row], tables.known_high[row] = known_low, known_high
        tables.gross_known[row] = all(len(entry) == 3 for entry in ticks)
        tables.write_ticks(
            row,
            np.array([entry[0] for entry in ticks], np.int32),
            signeds_to_limbs(entry[1] for entry in ticks),
            ints_to_limbs((entry[2] if len(entry) == 3 else abs(entry[1]) for entry in ticks), 2),
        )
        self._accept_reading(row)

    def quarantine(self, row: int, reason: str) -> None:
        """Hide the pool from search and quotes; the first reason stays."""
        self.quarantined.setdefault(row, reason)
        self.tables.kind[row] = 0

    def release(self, row: int) -> None:
        """Lift a quarantine. Raises MarketError while the pool's state is known to be wrong."""
        if self.tables.stale[row]:
            raise MarketError(f"pool {self.pools[row].address} needs a fresh reading before its release")
        self.quarantined.pop(row, None)
        self._state_faults.discard(row)
        self.tables.kind[row] = self.tables.family[row]

    def start(self, block: BlockRef) -> None:
        """Say which block the readings so far are of; forgets all undo."""
        self.head = block
        self._undo.clear()

    def apply(self, block: BlockRef, events: StateEvents) -> NDArray[np.int32]:
        """Move the head to its child `block` and return the rows (i32, ascending) whose state changed.

        All of the block is applied or, on an error, none: MarketError for events that name no pool,
        UnknownParent when `block` does not extend the head. An event no honest contract emits (a liquidity
        underflow, a reserve above uint112) does not stop the block, because one hostile pool must not blind
        us to all others: that pool keeps its state from before the block, is quarantined with the reason and
        marked stale, and the rest is applied.
        """
        head = self.head
        if head is None:
            raise MarketError("the market was not started at a block")
        if block.parent_hash != head.hash:
            raise UnknownParent(block.number, block.parent_hash)
        if block.number != head.number + 1:
            raise MarketError(f"block {block.number} claims block {head.number} as its parent")
        _check_events(events, self.tables.count)
        mints = np.bincount(events.pool[events.kind == EVENT_V3_MINT], minlength=1)
        for row in np.flatnonzero(mints):
            self.tables.reserve_ticks(int(row), int(self.tables.tick_count[row] + 2 * mints[row]))
        rows = np.unique(events.pool).astype(np.int32)
        rows = rows[self.tables.stale[rows] == 0]
        positions = (events.kind == EVENT_V3_MINT) | (events.kind == EVENT_V3_BURN)
        position_rows = np.intersect1d(rows, events.pool[positions])
        entry = undo.record(self.tables, head, rows, position_rows)
        codes = np.zeros(len(events.kind), np.uint8)
        state = StateTables(**{name: getattr(self.tables, name) for name in StateTables._fields})
        if apply_events_nb(state, events, codes):
            self._quarantine_refused(block, events, codes, entry)
        self._undo.append(entry)
        self.head = block
        return rows[self.tables.stale[rows] == 0]

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
            for row in sorted(entry.read_rows):
                self._fault(row, _REWOUND)
            self.head = entry.before
        return np.unique(np.concatenate(changed)).astype(np.int32)

    def _quarantine_refused(
        self, block: BlockRef, events: StateEvents, codes: NDArray[np.uint8], entry: undo.UndoEntry
    ) -> None:
        refused = np.flatnonzero(codes)
        undo.restore(self.tables, entry, only=events.pool[refused])
        for n in refused:
            self._fault(int(events.pool[n]), f"{REASONS[int(codes[n])]} in block {block.number}")

    def _fault(self, row: int, reason: str) -> None:
        self.tables.stale[row] = 1
        if row not in self.quarantined:
            self._state_faults.add(row)
        self.quarantine(row, reason)

    def _accept_reading(self, row: int) -> None:
        self.tables.stale[row] = 0
        if row in self._state_faults:
            self.release(row)
        self._note_reading(row)

    def _note_reading(self, row: int) -> None:
        if self._undo:
            self._undo[-1].read_rows.add(row)


def _check_ticks(record: PoolRecord, ticks: Sequence[tuple[int, ...]]) -> None:
    last = MIN_TICK - 1
    for entry in ticks:
        tick, net = entry[0], entry[1]
        if not last < tick <= MAX_TICK or tick % record.tick_spacing:
            raise MarketError(f"pool {record.address} has tick {tick} out of order, bounds or spacing")
        if not -_INT128 < net < _INT128:
            raise MarketError(f"pool {record.address} has liquidity_net outside int128 at tick {tick}")
        if len(entry) == 3 and not max(abs(net), 1) <= entry[2] < _UINT128:
            raise MarketError(f"pool {record.address} has an impossible liquidity_gross at tick {tick}")
        last = tick


def _check_events(events: StateEvents, pool_count: int) -> None:
    lengths = {len(column) for column in events}
    if len(lengths) != 1:
        raise MarketError("the columns of the block's events differ in length")
    if len(events.pool) and not (events.pool.min() >= 0 and events.pool.max() < pool_count):
        raise MarketError("an event of the block names a pool row that does not exist")
