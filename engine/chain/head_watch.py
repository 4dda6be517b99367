"""The heads of several endpoints at once: which of them leads, and who else has seen its blocks."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import stamina

from engine.chain.health import Health
from engine.chain.rpc import RpcNode
from engine.chain.wire import Header
from engine.domain.errors import ConfigError, NodeError, NodeUnreachable

Observer = Callable[[str, dict[str, Any]], None]

# A peer that is ahead, or a majority that contradicts, is given the lead after this long.
LAG_PATIENCE_S = 0.25
_REMEMBERED_BLOCKS = 256


@dataclass(slots=True)
class Member:
    """One endpoint of a set and what is known of it. `refused` says why it may not be used at all."""

    node: RpcNode
    health: Health = field(default_factory=Health)
    refused: str | None = None

    @property
    def name(self) -> str:
        return self.node.shown


class HeadWatch:
    """Listens to every member at once and follows the one that leads.

    The lead passes on when its holder is lost (at once), when a peer is ahead of it, or when more peers claim
    another block at its height (both after LAG_PATIENCE_S). A lost member is asked again for ever, with
    growing jittered pauses. `observe` hears "endpoint_lost", "endpoint_recovered", "endpoint_refused" and
    "lead_changed".
    """

    def __init__(self, members: Sequence[Member], observe: Observer):
        self.members = members
        self.leader = 0
        self.chain_id: int | None = None
        self._observe = observe
        self._changed = asyncio.Event()
        self._claims: OrderedDict[str, set[int]] = OrderedDict()
        self._rivalled_since: float | None = None
        self._last_reason = "no endpoint answers"
        self._told_lost = False

    def claimed_by(self, block_hash: str) -> set[int]:
        """Members that announced the block or a child of it."""
        return set(self._claims.get(block_hash, ()))

    @property
    def best_block(self) -> int:
        """The highest block any member announced."""
        return max((m.health.head.ref.number for m in self.members if m.health.head), default=0)

    async def heads(self, poll_s: float, watch_s: float) -> AsyncGenerator[Header, None]:
        """The leader's head, and each one after it; when the lead changes, the new leader's.

        Raises NodeUnreachable once when every endpoint is lost; called again, waits until one is there.
        """
        async with self._watching(poll_s, watch_s):
            given: str | None = None
            while True:
                self._changed.clear()
                overdue_s = self._lead()
                head = self.members[self.leader].health.head
                if self.members[self.leader].health.up and head is not None:
                    self._told_lost = False
                    if head.ref.hash != given:
                        given = head.ref.hash
                        yield head
                        continue
                elif not self._told_lost and all(m.refused or m.health.lost for m in self.members):
                    self._told_lost = True
                    raise NodeUnreachable(self._last_reason)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(overdue_s):
                        await self._changed.wait()

    def depose(self, error: NodeError) -> None:
        """The leader's answers cannot be true: count it, and let the best other member lead."""
        member = self.members[self.leader]
        member.health.failed(error)
        others = self._live(except_for=self.leader)
        if others:
            self._give_lead(min(others, key=self._score), f"{member.name} {error}")

    def _score(self, at: int) -> float:
        return self.members[at].health.score_ms(self.best_block)

    def _live(self, except_for: int | None = None) -> list[int]:
        return [at for at, m in enumerate(self.members) if m.health.up and at != except_for]

    def _lead(self) -> float | None:
        """Settle who leads; returns in how many seconds to look again, None when nothing is overdue."""
        live = self._live()
        if not live:
            return None
        if self.leader not in live:
            self._give_lead(min(live, key=self._score), f"{self.members[self.leader].name} is lost")
            return None
        rivals, why = self._rivals()
        now = asyncio.get_running_loop().time()
        if not rivals:
            self._rivalled_since = None
            return None
        if self._rivalled_since is None:
            self._rivalled_since = now
        left = self._rivalled_since + LAG_PATIENCE_S - now
        if left > 0:
            return left
        self._give_lead(min(rivals, key=self._score), why)
        return None

    def _rivals(self) -> tuple[list[int], str]:
        """Members that would lead better than the leader now, and why."""
        leader = self.members[self.leader]
        others = self._live(self.leader)
        best = max((self._height(at) for at in others), default=0)
        if best > self._height(self.leader):
            behind = best - self._height(self.leader)
            return [at for at in others if self._height(at) == best], f"{leader.name} is {behind} behind"
        ours = self._head_hash(self.leader)
        contradicting = Counter(
            self._head_hash(at) for at in others if self._height(at) == self._height(self.leader)
        )
        with_us = 1 + contradicting.pop(ours, 0)
        if contradicting and (most := contradicting.most_common(1)[0])[1] > with_us:
            why = f"{leader.name} is alone with its block {self._height(self.leader)}"
            return [at for at in others if self._head_hash(at) == most[0]], why
        return [], ""

    def _height(self, at: int) -> int:
        head = self.members[at].health.head
        return head.ref.number if head else 0

    def _head_hash(self, at: int) -> str:
        head = self.members[at].health.head
        return head.ref.hash if head else ""

    def _give_lead(self, at: int, why: str) -> None:
        if at != self.leader:
            self.leader = at
            self._rivalled_since = None
            self._observe("lead_changed", {"node": self.members[at].name, "reason": why})

    @asynccontextmanager
    async def _watching(self, poll_s: float, watch_s: float) -> AsyncGenerator[None, None]:
        for member in self.members:
            member.health.up = member.health.lost = False
        tasks = [
            asyncio.create_task(self._watch(at, poll_s, watch_s))
            for at, member in enumerate(self.members)
            if member.refused is None
        ]
        try:
            yield
        finally:
            await _end(tasks)

    async def _watch(self, at: int, poll_s: float, watch_s: float) -> None:
        """Listen to one member for ever."""
        member, was_lost = self.members[at], False
        while member.refused is None:
            async for attempt in stamina.retry_context(
                on=NodeError, attempts=None, timeout=None, wait_initial=0.1, wait_max=5.0, wait_jitter=0.5
            ):
                with attempt:
                    try:
                        await self._verify(member)
                        async with aclosing(member.node.heads(poll_s, watch_s)) as heads:
                            async for head in heads:
                                if was_lost:
                                    self._tell("endpoint_recovered", {"node": member.name})
                                    was_lost = False
                                self._heard(at, head)
                    except NodeError as error:
                        lost_now = member.health.up
                        self._lost(member, error, was_lost)
                        was_lost = True
                        if not lost_now:
                            # Another failure in a row: the pause before the next attempt grows.
                            raise
                    except ConfigError as error:
                        member.refused = str(error)
                        self._tell("endpoint_refused", {"node": member.name, "reason": str(error)})

    async def _verify(self, member: Member) -> None:
        served = await member.node.chain_id()
        if self.chain_id is None:
            self.chain_id = served
        elif served != self.chain_id:
            raise ConfigError(f"it serves chain {served}, not {self.chain_id}")

    def _heard(self, at: int, head: Header) -> None:
        self.members[at].health.heard(head)
        for block_hash in (head.ref.hash, head.ref.parent_hash):
            self._claims.setdefault(block_hash, set()).add(at)
        while len(self._claims) > _REMEMBERED_BLOCKS:
            self._claims.popitem(last=False)
        self._changed.set()

    def _lost(self, member: Member, error: NodeError, was_lost: bool) -> None:
        member.health.failed(error)
        member.health.up, member.health.lost = False, True
        self._last_reason = str(error)
        if not was_lost:
            self._tell("endpoint_lost", {"node": member.name, "reason": str(error)})
        self._changed.set()

    def _tell(self, fact: str, values: dict[str, Any]) -> None:
        # With one endpoint the block source says the same as node_lost and node_recovered.
        if len(self.members) > 1:
            self._observe(fact, values)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: on Python 3.11 `asyncio.wait_for`, which opens the connections, loses a
    cancellation that comes as it finishes."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)
    await asyncio.gather(*tasks, return_exceptions=True)
