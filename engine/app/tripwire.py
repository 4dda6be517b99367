"""The tripwire: our picture beside the node's, of some pools each block and of all about to be traded."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from engine.app.market_feed import MarketFeed
from engine.chain.audit import LogAudit
from engine.chain.bootstrap import refresh
from engine.chain.creations import CREATION_TOPICS
from engine.chain.endpoint_set import EndpointSet
from engine.chain.logs import STATE_TOPICS
from engine.domain.errors import MarketError, NodeError
from engine.domain.events import Fact, PoolDiverged, VenueHalted
from engine.domain.market import BlockRef, PoolRecord, RawBlock
from engine.domain.pool_state import PoolState, V3PoolState, V4PoolState
from engine.domain.ports import Node
from engine.market.divergence import BY_NODE, Cause, Rotation, VenueTrust, differences, is_drift
from engine.market.hubs import hub_of
from engine.market.market import Market

SAMPLE_SIZE = 8
_CHECK_TIMEOUT_S = 1.0
_REMEMBERED_BLOCKS = 256
_SECOND_THOUGHT_S = 0.1


@dataclass(frozen=True, slots=True)
class Finding:
    """A pool that the node knows otherwise at `block`; `theirs` is None when it could not be read."""

    block: BlockRef
    pool: PoolRecord
    cause: Cause
    changed: tuple[str, ...]
    theirs: PoolState | None


class Tripwire:
    """Compares, classifies, and tells: a pool that diverges is hidden and read again; a venue whose pools do
    so repeatedly is halted (`trust.halted`); an endpoint that alone says otherwise, and so when asked again,
    loses the lead.

    `check` is for pools about to be traded: one batch, on the line. `sample` runs beside the line, and also
    compares the block's logs with its receipts; what it finds is acted on by `settle`, before the next block.
    """

    def __init__(
        self,
        node: EndpointSet,
        market: Market,
        feed: MarketFeed,
        publish: Callable[[Fact], None],
        trust: VenueTrust,
    ):
        self.trust = trust
        self._audit = LogAudit(STATE_TOPICS + CREATION_TOPICS)
        self._last: RawBlock | None = None
        self._node = node
        self._market = market
        self._feed = feed
        self._publish = publish
        self._rotation = Rotation()
        self._found: list[Finding] = []
        self._corrected: list[int] = []
        self._running: asyncio.Task[None] | None = None
        self._logs: deque[tuple[BlockRef, Counter[tuple[str, str]]]] = deque(maxlen=_REMEMBERED_BLOCKS)
        self._uncounted: deque[RawBlock] = deque(maxlen=_REMEMBERED_BLOCKS)
        self._agreed_at: dict[str, int] = {}
        self._reorganised_at = -1

    def note(self, raw: RawBlock, reorg_depth: int) -> None:
        """Remember how many logs of each pool a block gave us; they are counted later, beside the line."""
        if reorg_depth:
            self._reorganised_at = raw.block.number
            self._count()
            while self._logs and self._logs[-1][0].number >= raw.block.number:
                self._logs.pop()
        self._last = raw
        self._uncounted.append(raw)

    def _count(self) -> None:
        while self._uncounted:
            raw = self._uncounted.popleft()
            self._logs.append((raw.block, Counter(_emitter(log) for log in raw.logs)))

    async def check(self, block: BlockRef, keys: Collection[str]) -> frozenset[str]:
        """Those of `keys` that must not be traded: their state at `block` is not what the node says, or the
        node does not say it in time. Tick tables are left to the samples and to the simulation."""
        pools = self._records(keys)
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                findings = await self._compare(block, pools, ticks=False)
        except (NodeError, TimeoutError):
            return frozenset(keys)
        for finding in findings:
            self._corrected += self._act(finding)
        return frozenset(finding.pool.key for finding in findings if finding.cause not in BY_NODE)

    def sample(self, block: BlockRef) -> None:
        """Start comparing the next few pools in turn, unless the last sample is still being read."""
        if self._running is not None and not self._running.done():
            return
        healthy = [key for key, row in self._market.pool_row.items() if row not in self._market.quarantined]
        pools = self._records(self._rotation.take(healthy, SAMPLE_SIZE))
        ours = {pool.key: self._ours(pool) for pool in pools}
        raw = self._last if self._last is not None and self._last.block == block else None
        self._running = asyncio.create_task(self._sample(block, pools, ours, raw), name="tripwire")

    async def _sample(
        self,
        block: BlockRef,
        pools: Sequence[PoolRecord],
        ours: dict[str, PoolState],
        raw: RawBlock | None,
    ) -> None:
        self._count()
        try:
            if raw is not None:
                self._found += await self._audited(raw)
            self._found += await self._compare(block, pools, ticks=True, ours=ours)
        except NodeError:
            # The block may have left the chain meanwhile: these pools come up again.
            return

    async def _audited(self, raw: RawBlock) -> list[Finding]:
        """Pools of which the block has logs that we were not given; another endpoint is asked, if any."""
        try:
            missing = await self._audit.missing(self._node.other() or self._node, raw)
        except NodeError:
            return []
        market, rows = self._market, set()
        for log in missing:
            emitter, word = _emitter(log)
            hub = market.hubs.get(emitter, {})
            row = hub.get(word, hub.get("", market.pool_row.get(emitter)))
            if row is not None:
                rows.add(row)
        return [
            Finding(raw.block, market.pools[row], Cause.MISSED_LOG, ("logs",), None) for row in sorted(rows)
        ]

    def settle(self) -> list[int]:
        """Act on what the samples found; the rows whose state was read anew."""
        found, self._found = self._found, []
        corrected, self._corrected = self._corrected, []
        return corrected + [row for finding in found for row in self._act(finding)]

    async def close(self) -> None:
        """Stop the sample that runs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _compare(
        self,
        block: BlockRef,
        pools: Sequence[PoolRecord],
        *,
        ticks: bool,
        ours: dict[str, PoolState] | None = None,
    ) -> list[Finding]:
        ours = ours or {pool.key: self._ours(pool) for pool in pools}
        first = await self._differing(block, pools, ours, ticks)
        for pool in pools:
            if pool.key not in first:
                self._agreed_at[pool.key] = block.number
        if not first:
            return []
        # It may have answered from the block that it was just working on.
        await asyncio.sleep(_SECOND_THOUGHT_S)
        doubtful = [pool for pool in pools if pool.key in first]
        second = await self._differing(block, doubtful, ours, ticks)
        findings = []
        for pool in doubtful:
            if pool.key not in second:
                self._agreed_at[pool.key] = block.number
                findings.append(Finding(block, pool, Cause.RACED_NODE, first[pool.key][1], None))
                continue
            state, changed = second[pool.key]
            cause = await self._cause(block, pool, ours[pool.key], state, changed, ticks)
            if isinstance(state, V3PoolState | V4PoolState) and not ticks:
                held = ours[pool.key]
                assert isinstance(held, V3PoolState | V4PoolState)
                state = replace(state, ticks=held.ticks, known=held.known)
            findings.append(Finding(block, pool, cause, changed, state))
        return findings

    async def _differing(
        self, block: BlockRef, pools: Sequence[PoolRecord], ours: dict[str, PoolState], ticks: bool
    ) -> dict[str, tuple[PoolState | None, tuple[str, ...]]]:
        """What the node says of the pools of which it does not say what we say, and what differs; None where
        it cannot be read."""
        theirs, refused = await self._read(self._node, block, pools, ticks)
        found: dict[str, tuple[PoolState | None, tuple[str, ...]]] = {}
        for pool in pools:
            state = theirs.get(pool.key)
            changed = (
                (refused.get(pool.key, "it cannot be read"),)
                if state is None
                else differences(ours[pool.key], state, ticks=ticks)
            )
            if changed:
                found[pool.key] = state, changed
        return found

    async def _read(
        self, node: Node, block: BlockRef, pools: Sequence[PoolRecord], ticks: bool
    ) -> tuple[dict[str, PoolState], dict[str, str]]:
        trade_time = self._feed.trade_time(block)
        return await refresh(node, pools, self._feed.venues, block, trade_time=trade_time, ticks=ticks)

    async def _cause(
        self,
        block: BlockRef,
        pool: PoolRecord,
        ours: PoolState,
        theirs: PoolState | None,
        changed: tuple[str, ...],
        ticks: bool,
    ) -> Cause:
        other = self._node.other()
        if other is not None:
            try:
                second, _ = await self._read(other, block, [pool], ticks)
            except NodeError:
                second = {}
            if pool.key in second and not differences(ours, second[pool.key], ticks=ticks):
                return Cause.LYING_NODE
        if theirs is not None and is_drift(pool, changed):
            return Cause.DRIFT
        if await self._missed_logs(block, pool):
            return Cause.MISSED_LOG
        if self._reorganised_at >= max(self._agreed_at.get(pool.key, -1), 0):
            return Cause.UNHANDLED_REORG
        return Cause.UNKNOWN_BEHAVIOUR

    async def _missed_logs(self, block: BlockRef, pool: PoolRecord) -> bool:
        """Whether the node has more logs of the pool than we were given, in the blocks we remember."""
        self._count()
        remembered = [(ref, counts) for ref, counts in self._logs if ref.number <= block.number]
        if not remembered:
            return False
        emitter, word = hub_of(pool) or (pool.address, "")
        wanted = {
            "address": emitter,
            "topics": [list(STATE_TOPICS), *([word] if word else [])],
            "fromBlock": hex(remembered[0][0].number),
            "toBlock": hex(block.number),
        }
        try:
            logs = await self._node.request("eth_getLogs", [wanted])
        except NodeError:
            return False
        given = sum(
            count
            for _, counts in remembered
            for (address, topic), count in counts.items()
            if address == emitter and (not word or topic == word)
        )
        return isinstance(logs, list) and len(logs) > given

    def _act(self, finding: Finding) -> list[int]:
        """Hide, put right or blame; the rows whose state was put right."""
        market, pool, block = self._market, finding.pool, finding.block
        row = market.pool_row[pool.key]
        cause, by_node = finding.cause, finding.cause in BY_NODE
        self._publish(PoolDiverged(block, pool.key, pool.venue, cause.value, finding.changed, by_node))
        if cause is Cause.RACED_NODE:
            return []
        if cause is Cause.LYING_NODE:
            self._node.depose(NodeError(f"says of pool {pool.key} what another endpoint denies"))
            return []
        if finding.cause is Cause.DRIFT:
            return self._put_right(finding, row)
        what = f"{finding.cause.value}: {', '.join(finding.changed)} at block {block.number}"
        market.distrust(row, what)
        if self.trust.note(pool.venue, block.number):
            self._publish(VenueHalted(block, pool.venue, self.trust.halted[pool.venue]))
        return []

    def _put_right(self, finding: Finding, row: int) -> list[int]:
        market = self._market
        if finding.theirs is None or market.head != finding.block:
            # Too late for this reading; the pool comes up again, at the latest when it is to be traded.
            return []
        try:
            market.set_state(row, finding.theirs)
        except MarketError as error:
            market.distrust(row, str(error))
            return []
        return list(market.rows_of(row))

    def _records(self, keys: Collection[str]) -> list[PoolRecord]:
        market = self._market
        return [market.pools[market.pool_row[key]] for key in keys if key in market.pool_row]

    def _ours(self, pool: PoolRecord) -> PoolState:
        return self._market.state_of(self._market.pool_row[pool.key])


def _emitter(log: dict) -> tuple[str, str]:
    topics = log.get("topics")
    word = topics[1] if isinstance(topics, list) and len(topics) > 1 else ""
    return str(log.get("address")).lower(), str(word).lower()
