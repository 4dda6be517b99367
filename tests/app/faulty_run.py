"""An engine in this process, in live mode against a node that misbehaves, and what must hold afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from living_world import OPERATOR_KEY, LivingWorld
from records_check import assert_agrees_with_chain

from engine.app.market_feed import MarketFeed
from engine.app.records import Records, open_records
from engine.app.sender import Key
from engine.app.session import Session, open_session, silent
from engine.app.settings import Settings, build_settings
from engine.chain.keys import signer_of_key
from engine.chain.rpc import RpcNode
from engine.chain.wire import header
from engine.domain.events import (
    BlockFinished,
    BlockSkipped,
    ExecutionResolved,
    Fact,
    OpportunityRefused,
    PlanSubmitted,
)

_PATIENCE_S = 60.0


class FaultyRun:
    """A session that follows the world's chain; `step` trades, and waits until the engine is done."""

    def __init__(self, living: LivingWorld, session: Session, records: Records, facts: list[Fact]):
        self.living, self.session, self.records, self.facts = living, session, records, facts
        self.task = asyncio.create_task(session.follow())

    def of(self, kind: type) -> list[Any]:
        """The facts of that kind so far."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def is_done_with(self, block: int) -> bool:
        return any(each.block.number >= block for each in self.of(BlockFinished) + self.of(BlockSkipped))

    async def until(self, wanted: Callable[[], object], timeout_s: float = _PATIENCE_S) -> None:
        """Until it holds; fails when the session ended or it takes too long."""
        try:
            async with asyncio.timeout(timeout_s):
                while not wanted():
                    if self.task.done():
                        self.task.result()
                        raise AssertionError("the session ended")
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"not within {timeout_s} s: {self.facts[-5:]}") from None

    async def step(self, patience_s: float = _PATIENCE_S, *, must: bool = True) -> int:
        """A block with trades, and the engine done with it; in `patience_s`, if it `must` be."""
        block = await asyncio.to_thread(self.living.step)
        try:
            await self.until(lambda: self.is_done_with(block), patience_s)
        except AssertionError:
            if must or self.task.done():
                raise
        return block

    async def rpc(self, method: str, *params: Any) -> Any:
        """Ask the node itself."""
        return await asyncio.to_thread(self.living.rpc, method, *params)

    async def block_at(self, base_fee_wei: int) -> None:
        """A block of that base fee, which takes of what waits only what pays so much."""
        await self.rpc("anvil_setNextBlockBaseFeePerGas", hex(base_fee_wei))
        await self.rpc("evm_mine")
        head = int(await self.rpc("eth_blockNumber"), 16)
        await self.until(lambda: self.is_done_with(head))

    def submitted(self) -> int:
        """How many trades were sent so far."""
        return len(self.of(PlanSubmitted))

    async def trades_again(self, blocks: int = 25) -> None:
        """Trading goes on, within so many blocks without faults."""
        before = {fact.intent.id for fact in self.of(PlanSubmitted)}
        for _ in range(blocks):
            block = await self.step()
            sent = {fact.intent.id for fact in self.of(PlanSubmitted)} - before
            ended = {fact.execution.intent.id for fact in self.of(ExecutionResolved)}
            # What was just built on this block has no outcome yet.
            if sent & ended and not self._waiting(block):
                return
        refused = Counter(fact.refused.reason.value for fact in self.of(OpportunityRefused))
        raise AssertionError(
            f"in {blocks} blocks without faults {len(sent)} were sent, {len(sent & ended)} have an outcome, "
            f"and {self._waiting(block)} wait: {refused}"
        )

    def _waiting(self, block: int) -> set[str]:
        """Ids of what was built before `block` and has no outcome yet."""
        sent = {fact.intent.id for fact in self.of(PlanSubmitted) if fact.intent.block_number < block}
        return sent - {fact.execution.intent.id for fact in self.of(ExecutionResolved)}

    async def settle(self) -> None:
        """Blocks in which nobody trades, until nothing is in flight."""
        assert self.session.sender is not None
        for _ in range(30):
            block = await asyncio.to_thread(self.living.mine)
            await self.until(lambda block=block: self.is_done_with(block))
            if not self.session.sender.in_flight():
                return
        raise AssertionError("something is in flight for ever")

    async def assert_market_is_the_nodes(self) -> None:
        """Every pool's state is what the node itself says at the same block."""
        block = await asyncio.to_thread(self.living.mine)
        await self.until(lambda: self.is_done_with(block))
        session = self.session
        async with RpcNode(self.living.anvil.http_url) as node:
            fresh = MarketFeed(node, session.settings, silent)
            fresh.venues = session.feed.venues
            head = header(await node.request("eth_getBlockByNumber", ["latest", False])).ref
            truth = await fresh.read_all(head)
        assert session.market.head == head
        assert truth.pool_row.keys() == session.market.pool_row.keys()
        assert not session.market.quarantined
        for key, row in truth.pool_row.items():
            assert session.market.state_of(session.market.pool_row[key]) == truth.state_of(row), key


@asynccontextmanager
async def faulty_run(
    living: LivingWorld, directory: Path, urls: list[str], **changes: Any
) -> AsyncIterator[FaultyRun]:
    """An engine behind `urls`, ended at last with nothing in flight and everything in order.

    `changes` are `section__key` settings."""
    settings = _settings(living, directory, urls, changes)
    first, facts = living.head() + 1, list[Fact]()
    signer = signer_of_key(OPERATOR_KEY)
    async with open_records(
        settings.storage.directory, settings.chain.chain_id, "live", [signer.address], lambda error: None
    ) as records:

        def publish(fact: Fact) -> None:
            records.take(fact)
            facts.append(fact)

        async with open_session(settings, key=Key(signer, records.journals[0]), publish=publish) as session:
            records.reconcile()
            run = FaultyRun(living, session, records, facts)
            try:
                yield run
                await run.settle()
                await run.assert_market_is_the_nodes()
            finally:
                run.task.cancel()
                await asyncio.gather(run.task, return_exceptions=True)
        records.reconcile()
    assert_agrees_with_chain(living, directory / "records", first)


def _settings(living: LivingWorld, directory: Path, urls: list[str], changes: dict[str, Any]) -> Settings:
    usual = {"chain__rpc_url": urls, "chain__timeout_s": 1.0}
    return build_settings(living.settings(directory, **{**usual, **changes}), "test")
