"""The engine following a chain through a faulty node, and the comparison of its picture with the truth."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fault_proxy import FaultProxy, Script
from follow_chain import FollowWorld

from engine.chain.bootstrap import read_with_block, refresh
from engine.chain.endpoint_set import EndpointSet
from engine.chain.rpc import RpcNode
from engine.chain.source import LiveBlockSource
from engine.domain.errors import GapTooWide, NodeError, ReorgTooDeep
from engine.domain.market import BlockRef, PoolRecord, RawBlock
from engine.domain.opportunity import TradingState
from engine.domain.pool_state import BlockReading, PoolState
from engine.execution.planner import Planner, PlanTerms
from engine.line.stages import Conditions, Line
from engine.market.market import Market
from engine.market.silent import SilentReads
from engine.pipeline import Pipeline
from engine.risk.chain import RiskChain
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView
from engine.search.costs import GasCosts
from engine.search.finder import Finder

STANDSTILL_S = 60.0
LAST_BLOCKS = 100
REREADS = 20
SILENT_PER_BLOCK = 4
# The chain waits so long, every so many blocks, for a follower that is further behind than that.
PACE_S, PACE_BLOCKS = 1.0, 10


@dataclass
class Follower:
    """The line in paper mode over one node. `resyncs` counts how often everything had to be read anew."""

    node: RpcNode
    world: FollowWorld
    market: Market = field(default_factory=Market)
    resyncs: int = 0
    skipped: int = 0
    followed: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def synchronise(self) -> None:
        """Read every pool at the node's head, for as long as it takes."""
        while True:
            with contextlib.suppress(NodeError):
                head = (await self.node.latest()).ref
                states = await read_all(self.node, self.world, head)
                self.market = market_of(self.world, head, states)
                self.pipeline = Pipeline(self._line())
                return
            await asyncio.sleep(0.05)

    async def follow(self) -> None:
        """Take blocks through the line until cancelled."""
        while True:
            assert self.market.head is not None
            source = LiveBlockSource(self.node, self.market.head, poll_s=0.02, watch_s=0.5)
            try:
                async with contextlib.aclosing(source.blocks()) as blocks:
                    async for raw in blocks:
                        if await self.pipeline.on_block(raw) is None:
                            self.skipped += 1
                        self.followed += 1
                        self.moved.set()
            except (ReorgTooDeep, GapTooWide):
                self.resyncs += 1
                await self.synchronise()
                self.moved.set()

    async def reaches(self, head: BlockRef) -> bool:
        """Whether the picture becomes one of `head`: false once it stood still for too long."""
        with contextlib.suppress(TimeoutError):
            while self.market.head is None or self.market.head.hash != head.hash:
                self.moved.clear()
                async with asyncio.timeout(STANDSTILL_S):
                    await self.moved.wait()
            return True
        return False

    async def catches_up(self, number: int) -> None:
        """Wait a while until the picture is one of block `number` or later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PACE_S):
                while self.market.head is None or self.market.head.number < number:
                    self.moved.clear()
                    await self.moved.wait()

    def _line(self) -> Line:
        base = self.world.pools[0].record.tokens[0]
        return Line(
            market=self.market,
            finder=Finder(self.market, [base]),
            conditions=self._conditions,
            admit=self._admit,
            refresh=self._refresh,
            assess=RiskChain(RiskLimits()).assess,
            plan=Planner("0x" + "ab" * 20, PlanTerms(priority_fee_wei=1)).plan,
            simulate=self._never,
            execute=None,
            publish=lambda fact: None,
            per_block=8,
            silent=SilentReads(self.market, SILENT_PER_BLOCK).due,
        )

    async def _conditions(self, block: BlockRef) -> Conditions:
        # No venue is known, so that the risk chain refuses whatever is found.
        return Conditions(RiskView(block, TradingState.HALTED, {}, frozenset()), GasCosts())

    async def _admit(self, raw: RawBlock) -> Sequence[int]:
        market, stale = self.market, self.market.tables.stale
        lost = sorted({int(market.tables.group[row]) for row in market.quarantined if stale[row]})
        if not lost:
            return ()
        records = [market.pools[row] for row in lost[:REREADS]]
        states, _ = await refresh(
            self.node, records, self.world.venues, raw.block, trade_time=raw.block.timestamp + 12
        )
        rows = []
        for record in records:
            if record.key in states:
                rows.append(market.pool_row[record.key])
                market.set_state(rows[-1], states[record.key])
        return rows

    async def _refresh(self, block: BlockRef, pools: Sequence[PoolRecord]) -> Sequence[BlockReading]:
        try:
            readings, _ = await read_with_block(
                self.node, pools, self.world.venues, block, trade_time=block.timestamp + 12
            )
        except NodeError:
            return ()
        return readings

    async def _never(self, plan: Any, block: BlockRef) -> Any:
        raise AssertionError("nothing may pass the risk chain here")


async def read_all(node: RpcNode, world: FollowWorld, head: BlockRef) -> dict[str, PoolState]:
    """Every pool's state at `head`. Raises NodeError."""
    records = [followed.record for followed in world.pools]
    states, refused = await refresh(node, records, world.venues, head, trade_time=head.timestamp + 12)
    if refused:
        raise NodeError(f"not readable: {refused}")
    return states


def market_of(world: FollowWorld, head: BlockRef, states: dict[str, PoolState]) -> Market:
    """A market at `head` with these states."""
    market = Market()
    market.start(head)
    for followed in world.pools:
        for token in followed.tokens():
            market.add_token(token)
        market.set_state(market.add_pool(followed.record), states[followed.record.key])
    return market


def differences(market: Market, truth: Market) -> list[str]:
    """In what the two markets differ, pool by pool; nothing when they are equal to the unit."""
    found = [f"{market.pools[row].key} is quarantined: {why}" for row, why in market.quarantined.items()]
    ours, theirs = market.tables, truth.tables
    for row, record in enumerate(truth.pools):
        mine = market.pool_row[record.key] + row - truth.pool_row[record.key]
        for name in ("kind", "fee_pips", "reserves", "sqrt_price", "liquidity", "tick"):
            if (getattr(ours, name)[mine] != getattr(theirs, name)[row]).any():
                found.append(f"{record.protocol} {record.key}: {name}")
        if any((a != b).any() if len(a) == len(b) else True for a, b in _slices(market, truth, mine, row)):
            found.append(f"{record.protocol} {record.key}: ticks or words")
    return found


def _slices(market: Market, truth: Market, mine: int, row: int) -> list[tuple[Any, Any]]:
    pairs = list(zip(market.tables.read_ticks(mine), truth.tables.read_ticks(row), strict=True))
    words = []
    for tables, at in ((market.arrays, mine), (truth.arrays, row)):
        start = int(tables.word_start[at])
        words.append(tables.words[start : start + int(tables.word_count[at])])
    return [*pairs, (words[0], words[1])]


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `moved` pools are not as they were at its start; `followed` counts blocks taken, those
    of abandoned branches too; `recovery_s` from the last fault to a picture that is level with the node's
    head."""

    differences: list[str]
    moved: int
    recovery_s: float
    reorgs: int
    deepest: int
    actions: int
    blocks: int
    followed: int
    resyncs: int
    faults: dict[str, int]


def script_of(seed: int) -> Script:
    """Everything that may go wrong on the way, at rates drawn by the seed."""
    rng = random.Random(seed)
    names = ("drop", "delay", "duplicate", "reorder", "cut", "corrupt", "removed")
    # Per message: a block takes some forty.
    rates = {name: rng.choice([0.0, 0.0003, 0.001, 0.004]) for name in names}
    return Script(seed=seed, delay_s=0.1, **rates)


async def run_seed(world: FollowWorld, seed: int, blocks: int, actions: int) -> Outcome:
    """`blocks` blocks with about `actions` random actions in all, reorgs of 1 to 64 blocks among them, then
    calm; what the engine believes in the end beside what the node says."""
    rng = random.Random(seed)
    node = world.node
    with FaultProxy(node.http) as proxy:
        url = proxy.ws if seed % 3 else proxy.http
        async with EndpointSet([url], timeout_s=1.0) as faulty, RpcNode(node.http) as honest:
            follower = Follower(faulty, world)  # type: ignore[arg-type]
            await follower.synchronise()
            before = market_of(
                world, head := (await honest.latest()).ref, await read_all(honest, world, head)
            )
            proxy.script = script_of(seed)
            task = asyncio.create_task(follower.follow())
            started = int(node.block()["number"], 16)
            done = deepest = reorgs = 0
            for n in range(blocks):
                for _ in range(rng.randrange(2 * actions // blocks + 1)):
                    await asyncio.to_thread(world.act, rng)
                    done += 1
                await asyncio.to_thread(node.mine)
                height = int(node.block()["number"], 16) - started
                if rng.random() < 0.04 and height > 1:
                    depth = min(rng.choice([1, 1, 2, 3, 7, 20, rng.randrange(1, 65)]), height)
                    await asyncio.to_thread(node.rpc, "anvil_reorg", depth, [])
                    reorgs, deepest = reorgs + 1, max(deepest, depth)
                if rng.random() < 0.02:
                    _misbehave(proxy, rng)
                if n % PACE_BLOCKS == 0:
                    await follower.catches_up(int(node.block()["number"], 16) - PACE_BLOCKS)
            faults = dict(proxy.counts)
            proxy.behave()
            calm = time.monotonic()
            found, truth = ["it never became level"], before
            for _ in range(LAST_BLOCKS):
                if not found or task.done():
                    break
                # Pools that were lost are read again with the next block.
                await asyncio.to_thread(node.mine)
                head = (await honest.latest()).ref
                if not await follower.reaches(head):
                    found = [f"it is at block {follower.market.head}, the node at {head.number}"]
                    break
                truth = market_of(world, head, await read_all(honest, world, head))
                found = differences(follower.market, truth)
            recovery = time.monotonic() - calm
            moved = len({line.split(": ")[0] for line in differences(before, truth)})
            if task.done():
                task.result()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    counts = (reorgs, deepest, done, blocks, follower.followed, follower.resyncs)
    return Outcome(found, moved, recovery, *counts, faults)


def _misbehave(proxy: FaultProxy, rng: random.Random) -> None:
    kind = rng.randrange(4)
    if kind == 0:
        proxy.cut()
    elif kind == 1:
        proxy.lag_blocks = rng.randrange(1, 5)
    elif kind == 2:
        proxy.freeze()
    else:
        script = proxy.script
        proxy.behave()
        proxy.script = script
