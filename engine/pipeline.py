"""The line: block in, signed transaction out. Direct calls only; facts go to whoever listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.chain.log_decoder import LogDecoder
from engine.domain.errors import NodeError
from engine.domain.events import (
    BlockApplied,
    BlockFinished,
    BlockSkipped,
    ExecutionResolved,
    PoolQuarantined,
)
from engine.domain.market import BlockRef, RawBlock
from engine.domain.opportunity import TradingState
from engine.domain.ports import BlockSource
from engine.line.carrying_out import carry_out
from engine.line.choosing import assess_found, combine
from engine.line.stages import Line
from engine.risk.view import RiskView


class Pipeline:
    """Runs the line block by block.

    Pools of opportunities that were not executed are searched again with the next block's changes: what was
    refused for a passing reason must not be forgotten because its pools stayed quiet.
    """

    def __init__(self, line: Line):
        self._line = line
        self._decoder = LogDecoder(line.market.pool_row, line.market.pools, line.market.hubs)
        self._carried: set[int] = set()
        self._searched_all = False

    async def run(self, source: BlockSource, blocks: int | None = None) -> None:
        """Follow `source`, for `blocks` blocks if given.

        Raises ReorgTooDeep when the market must be read anew.
        """
        done = 0
        async for raw in source.blocks():
            await self.on_block(raw)
            done += 1
            if blocks is not None and done >= blocks:
                return

    async def on_block(self, raw: RawBlock) -> BlockFinished | None:
        """Take one block through the line. None when the node failed before anything was decided: the market
        has the block, its changes are searched with the next one's."""
        arrived = time.perf_counter()
        if self._line.tripwire is not None:
            self._carried.update(self._line.tripwire.settle())
        changed = await self._apply(raw)
        try:
            return await self._decide(raw, changed, arrived)
        except NodeError as error:
            self._carried.update(changed.tolist())
            self._line.publish(BlockSkipped(raw.block, str(error)))
            return None

    async def _decide(self, raw: RawBlock, changed: NDArray[np.int32], arrived: float) -> BlockFinished:
        line, block = self._line, raw.block
        conditions_task = asyncio.create_task(line.conditions(block))
        try:
            added = await line.admit(raw)
            await self._resolve(block)
            conditions = await conditions_task
        finally:
            conditions_task.cancel()
            await asyncio.gather(conditions_task, return_exceptions=True)
        rows = self._rows(changed, added) if self._searched_all else None
        deadline = None if line.search_seconds is None else time.monotonic() + line.search_seconds
        found = await asyncio.to_thread(
            line.finder.find, rows, block, conditions.costs, line.per_block, deadline
        )
        self._searched_all = self._searched_all or not found.partial
        for fact in found.facts:
            line.publish(fact)
        carried = {line.market.pool_row[pool] for opportunity in found for pool in opportunity.pools}
        self._carried = {row for first in carried for row in line.market.rows_of(first)}
        if found.partial and rows is not None:
            # What the deadline cut off is looked at again.
            self._carried.update(rows.tolist())
        view = self._with_outcomes(conditions.view)
        approved, riders = assess_found(line, found, view, conditions.costs)
        chosen = combine(line, approved, riders, found, view, conditions.costs)
        simulated, submitted = await carry_out(line, chosen, block, conditions.costs, arrived)
        elapsed_ms = (time.perf_counter() - arrived) * 1e3
        finished = BlockFinished(
            block, len(found), len(approved) + len(riders), simulated, submitted, elapsed_ms, found.partial
        )
        line.publish(finished)
        if line.tripwire is not None:
            line.tripwire.sample(block)
        return finished

    async def _apply(self, raw: RawBlock) -> NDArray[np.int32]:
        """The block into the market, after unwinding what it replaces."""
        line, block = self._line, raw.block
        head = line.market.head
        assert head is not None
        unwound = np.zeros(0, np.int32)
        if block.parent_hash != head.hash:
            unwound = line.market.rewind(block.parent_hash)
        decoded = self._decoder.decode(raw.logs)
        known_bad = set(line.market.quarantined)
        for row, reason in decoded.hostile:
            line.market.quarantine(row, reason)
        touched = (line.market.pools[row] for row in sorted(decoded.touched))
        unlogged = list(dict.fromkeys((*touched, *line.silent(decoded.events))))
        refreshed = await line.refresh(block, unlogged) if unlogged else ()
        changed = line.market.apply(block, decoded.events, refreshed, decoded.touched)
        fresh = line.market.quarantined.keys() - known_bad
        for row in sorted({line.market.rows_of(row).start for row in fresh}):
            line.publish(PoolQuarantined(block, line.market.pools[row].key, line.market.quarantined[row]))
        depth = head.number - block.number + 1
        if line.tripwire is not None:
            line.tripwire.note(raw, max(depth, 0))
        line.publish(BlockApplied(block, len(changed), max(depth, 0)))
        return np.union1d(changed, unwound).astype(np.int32)

    def _rows(self, changed: NDArray[np.int32], added: Sequence[int]) -> NDArray[np.int32]:
        carried = np.fromiter(self._carried, np.int32, len(self._carried))
        return np.union1d(np.union1d(changed, carried), np.asarray(added, np.int32)).astype(np.int32)

    def _with_outcomes(self, view: RiskView) -> RiskView:
        # Conditions are read while the block's outcomes are: only now is it known what still waits.
        view = replace(view, activity=self._line.activity(view.head))
        if (state := self._line.state()) is not TradingState.ACTIVE:
            view = replace(view, trading_state=state)
        execute = self._line.execute
        return view if execute is None else replace(view, in_flight_pools=execute.in_flight_pools)

    async def settle(self, block: BlockRef) -> None:
        """Resolve what `block` decided, without searching or sending."""
        await self._resolve(block)

    async def _resolve(self, block: BlockRef) -> None:
        if self._line.execute is None:
            return
        for execution in await self._line.execute.on_block(block):
            self._line.publish(ExecutionResolved(execution))
