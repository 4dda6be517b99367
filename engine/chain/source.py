"""Live blocks in chain order: heads, gap backfill and reorgs from one node, for as long as it takes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from engine.chain.creations import CREATION_TOPICS
from engine.chain.endpoint_set import EndpointSet
from engine.chain.json_text import JsonText, Unparsed
from engine.chain.log_scanner import scan_logs
from engine.chain.logs import STATE_TOPICS
from engine.chain.rpc import RpcNode
from engine.chain.wire import Header, bloom_may_contain, hash32, header, quantity
from engine.domain.errors import GapTooWide, NodeError, ReorgTooDeep
from engine.domain.market import BlockRef, RawBlock

UNDO_BLOCKS = 64
MAX_GAP_BLOCKS = 1024
_SEGMENT_BLOCKS = 64

Observer = Callable[[str, dict[str, Any]], None]


class _ChainMoved(Exception):
    """The node no longer knows a block it told us about: start again from its present head."""


class LiveBlockSource:
    """Implements `engine.domain.ports.BlockSource` over one node, or several as one.

    `start` counts as yielded: the first block extends it. On WebSocket and IPC heads are pushed, on http the
    head is polled every `poll_s` seconds. A lost connection is opened again for ever, and what was missed is
    read by number; a quiet subscription is cross-checked every `watch_s` seconds. Logs are asked for by block
    hash, filtered by `topics` (and by `addresses` where given), and checked against the header's bloom. They
    are scanned, not parsed, where the node writes them as nodes do.

    `observer(fact, values)` hears "node_lost", "node_recovered", "gap", "stale_head", "reorg", and, once for
    each reason, "logs_parsed".
    `blocks()` raises ReorgTooDeep when the chain left `start` or the last 64 blocks behind, GapTooWide when
    more than `max_gap` blocks were missed; the market must then be read again.
    """

    def __init__(
        self,
        node: RpcNode | EndpointSet,
        start: BlockRef,
        *,
        topics: Sequence[str] = STATE_TOPICS + CREATION_TOPICS,
        addresses: Sequence[str] = (),
        poll_s: float = 0.25,
        watch_s: float = 5.0,
        max_gap: int = MAX_GAP_BLOCKS,
        observer: Observer | None = None,
    ):
        self._node = node
        self._yielded = [start]
        self._filter: dict[str, Any] = {"topics": [list(topics)]}
        if addresses:
            self._filter["address"] = list(addresses)
        self._bloom_groups = [
            [bytes.fromhex(item[2:]) for item in group] for group in (topics, addresses) if group
        ]
        self._poll_s = poll_s
        self._watch_s = watch_s
        self._max_gap = max_gap
        self._observe = observer or (lambda fact, values: None)
        self._why_parsed: set[str] = set()

    @property
    def last(self) -> BlockRef:
        """The block yielded last (at first, `start`)."""
        return self._yielded[-1]

    async def blocks(self) -> AsyncGenerator[RawBlock, None]:
        """Blocks in chain order, endlessly. Closing the iterator or cancelling its task leaves nothing
        running; the node stays open."""
        down = False
        backoff = _backoff()
        while True:
            try:
                async with aclosing(self._follow()) as following:
                    async for block in following:
                        if down:
                            self._observe("node_recovered", {"node": self._node.shown})
                            down, backoff = False, _backoff()
                        if block is not None:
                            yield block
            except NodeError as error:
                if isinstance(self._node, EndpointSet):
                    self._node.depose(error)
                if not down:
                    self._observe("node_lost", {"node": self._node.shown, "reason": str(error)})
                down = True
                await asyncio.sleep(next(backoff))

    async def _follow(self) -> AsyncGenerator[RawBlock | None, None]:
        """Blocks until the node fails. None says that the node answered and has nothing new."""
        async with aclosing(self._node.heads(self._poll_s, self._watch_s)) as heads:
            async for head in heads:
                fresh = False
                async with aclosing(self._advance(head)) as advance:
                    async for block in advance:
                        fresh = True
                        yield block
                if not fresh:
                    yield None

    async def _advance(self, head: Header) -> AsyncGenerator[RawBlock, None]:
        """Yield the blocks from the last one yielded to `head`."""
        if head.ref.number < self._yielded[0].number:
            # Older than anything we remember: a node still catching up. Nothing can be told from it.
            self._observe("stale_head", {"block": head.ref.number, "last": self.last.number})
            return
        missed = head.ref.number - self.last.number - 1
        if missed > self._max_gap:
            raise GapTooWide(missed, self._max_gap)
        if missed > 0:
            self._observe("gap", {"from_block": self.last.number + 1, "to_block": head.ref.number - 1})
        attempts = 0
        while not self._remembers(head.ref.hash):
            try:
                segment = await self._segment(head)
                for each in segment:
                    block = await self._with_logs(each)
                    self._record(each.ref)
                    attempts = 0
                    yield block
            except _ChainMoved:
                # Reorgs come in bursts; a node that keeps naming blocks it does not have is at fault.
                attempts += 1
                if attempts > 20:
                    raise NodeError(
                        f"node {self._node.shown} keeps announcing blocks it does not know"
                    ) from None
                await asyncio.sleep(0.02 * attempts)
                head = await self._node.latest()

    async def _segment(self, head: Header) -> list[Header]:
        """Linked headers, oldest first, the first one extending a remembered block, at most up to `head`."""
        first = self.last.number + 1
        if head.ref.number > first:
            last = min(head.ref.number, first + _SEGMENT_BLOCKS - 1)
            numbers = range(first, last + 1 if last < head.ref.number else last)
            segment = [
                self._known(raw)
                for raw in await self._node.batch(
                    [("eth_getBlockByNumber", [hex(number), False]) for number in numbers]
                )
            ]
            if last == head.ref.number:
                segment.append(head)
        else:
            segment = [head]
        for child, parent in zip(segment[1:], segment, strict=False):
            if child.ref.parent_hash != parent.ref.hash or child.ref.number != parent.ref.number + 1:
                raise _ChainMoved
        return await self._rooted(segment)

    async def _rooted(self, segment: list[Header]) -> list[Header]:
        """`segment`, extended backwards until its first parent is a remembered block."""
        oldest = self._yielded[0]
        while not self._remembers(segment[0].ref.parent_hash):
            child = segment[0].ref
            if child.number <= oldest.number + 1:
                raise ReorgTooDeep(self.last.number - oldest.number + 1, len(self._yielded) - 1)
            parent = self._known(await self._node.request("eth_getBlockByHash", [child.parent_hash, False]))
            if parent.ref.hash != child.parent_hash or parent.ref.number != child.number - 1:
                raise NodeError(f"node {self._node.shown} answered with another block than asked for")
            segment.insert(0, parent)
        return segment

    async def _with_logs(self, block: Header) -> RawBlock:
        wanted = {"blockHash": block.ref.hash, **self._filter}
        possible = all(
            any(bloom_may_contain(block.bloom, item) for item in group) for group in self._bloom_groups
        )
        checked: Sequence[dict] = []
        for pause in (0.0, 0.02, 0.05):
            await asyncio.sleep(pause)
            logs, still = await self._node.batch(
                [Unparsed("eth_getLogs", [wanted]), ("eth_getBlockByHash", [block.ref.hash, False])]
            )
            if isinstance(still, NodeError):
                raise still
            if still is None:
                raise _ChainMoved
            if isinstance(logs, NodeError):
                raise logs
            checked = self._read(block.ref, logs)
            # A node may announce a block before it has indexed its logs; the bloom gives it away.
            if checked or not possible:
                break
        return RawBlock(block.ref, checked)

    def _read(self, block: BlockRef, logs: Any) -> Sequence[dict]:
        """The logs in log-index order, each once, all of this block. Raises NodeError."""
        reason = "its message is not what nodes write"
        if isinstance(logs, JsonText):
            scanned = scan_logs(logs.text, block.hash)
            if not isinstance(scanned, str):
                return scanned
            reason, logs = scanned, logs.parsed()
        checked = self._checked(block, logs)
        if reason not in self._why_parsed:
            self._why_parsed.add(reason)
            self._observe("logs_parsed", {"block": block.number, "reason": reason})
        return checked

    def _checked(self, block: BlockRef, logs: Any) -> list[dict]:
        """The logs in log-index order, each once, all of this block. Raises NodeError."""
        if not isinstance(logs, list):
            raise NodeError(f"node {self._node.shown} answered eth_getLogs with something else")
        by_index: dict[int, dict] = {}
        for log in logs:
            if not isinstance(log, dict):
                raise NodeError(f"node {self._node.shown} answered eth_getLogs with something else")
            if hash32(log.get("blockHash"), "log's block hash") != block.hash or log.get("removed"):
                raise NodeError(f"node {self._node.shown} mixed logs of other blocks into {block.number}")
            by_index[quantity(log.get("logIndex"), "log index")] = log
        return [by_index[index] for index in sorted(by_index)]

    def _record(self, block: BlockRef) -> None:
        position = next(
            at for at in range(len(self._yielded) - 1, -1, -1) if self._yielded[at].hash == block.parent_hash
        )
        undone = len(self._yielded) - 1 - position
        if undone:
            self._observe("reorg", {"depth": undone, "block": block.number})
            del self._yielded[position + 1 :]
        self._yielded.append(block)
        del self._yielded[: -(UNDO_BLOCKS + 1)]

    def _remembers(self, block_hash: str) -> bool:
        return any(block.hash == block_hash for block in reversed(self._yielded))

    def _known(self, raw: Any) -> Header:
        if isinstance(raw, NodeError):
            raise raw
        if raw is None:
            raise _ChainMoved
        return header(raw)


def _backoff() -> Iterator[float]:
    """Endless waits in seconds: doubling to five, with jitter so that many clients do not return as one."""
    wait = 0.1
    while True:
        yield wait * random.uniform(0.5, 1.0)
        wait = min(2 * wait, 5.0)
