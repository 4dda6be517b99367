"""The block source on a real node that reorganises, dies, comes back and runs ahead."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from local_dex import LocalDex
from local_node import LocalNode

from engine.chain.events import SYNC
from engine.chain.json_text import Unparsed, read_message
from engine.chain.log_scanner import ScannedLogs, scan_logs
from engine.chain.rpc import RpcNode
from engine.chain.source import UNDO_BLOCKS, LiveBlockSource
from engine.chain.wire import header
from engine.domain.errors import GapTooWide, NodeError, ReorgTooDeep
from engine.domain.market import BlockRef, RawBlock

KINDS = ["http", "ws", "ipc"]


class Follower:
    """Consumes a source as the market would: each block must extend one it remembers."""

    def __init__(self, node: LocalNode, kind: str, **options: Any):
        self.node = node
        self.start: BlockRef = header(node.block()).ref
        self.chain = [self.start]
        self.logs: dict[str, list[dict[str, Any]]] = {}
        self.facts: list[tuple[str, dict[str, Any]]] = []
        self.connection = RpcNode({"http": node.http, "ws": node.ws, "ipc": node.ipc}[kind], attempts=1)
        self.source = LiveBlockSource(
            self.connection,
            self.start,
            poll_s=0.02,
            observer=lambda fact, values: self.facts.append((fact, values)),
            **options,
        )
        self.task: asyncio.Task[None] | None = None

    async def consume(self) -> None:
        async for raw in self.source.blocks():
            self.apply(raw)

    def apply(self, raw: RawBlock) -> None:
        hashes = [block.hash for block in self.chain]
        assert raw.block.hash not in hashes, "a block came twice"
        position = hashes.index(raw.block.parent_hash)
        assert len(self.chain) - 1 - position <= UNDO_BLOCKS
        assert raw.block.number == self.chain[position].number + 1
        del self.chain[position + 1 :]
        self.chain.append(raw.block)
        self.logs[raw.block.hash] = raw.logs

    async def caught_up(self, timeout_s: float = 20) -> None:
        assert self.task is not None
        async with asyncio.timeout(timeout_s):
            while self.chain[-1].hash != self.node.block()["hash"]:
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.01)

    def assert_equals_node(self) -> None:
        assert self.chain[0] == self.start
        # A restarted anvil gives its genesis a new timestamp, though block 1 still extends the old one.
        for block in self.chain[1:]:
            assert self.node.block(hex(block.number))["hash"] == block.hash

    async def heard(self, fact: str, times: int) -> None:
        for _ in range(1000):
            if self.count(fact) >= times:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{fact} was not heard {times} times")

    def count(self, fact: str) -> int:
        return sum(name == fact for name, _ in self.facts)


@asynccontextmanager
async def following(node: LocalNode, kind: str, **options: Any) -> AsyncIterator[Follower]:
    follower = Follower(node, kind, **options)
    async with follower.connection:
        follower.task = asyncio.create_task(follower.consume())
        try:
            yield follower
        finally:
            follower.task.cancel()
            await asyncio.wait([follower.task])
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1, "the source left a task behind"


def reorg(node: LocalNode, depth: int) -> None:
    """Replace the last `depth` blocks; the transaction makes every replacement differ."""
    sender = node.rpc("eth_accounts")[1]
    spend = {"from": sender, "to": sender, "value": hex(random.randrange(1, 10**9)), "gas": hex(21000)}
    node.rpc("anvil_reorg", depth, [[spend, 0]])


@pytest.mark.parametrize("kind", KINDS)
async def test_blocks_come_in_order_through_bursts_and_gaps(local_node: LocalNode, kind: str) -> None:
    async with following(local_node, kind) as follower:
        for _ in range(5):
            local_node.mine()
            await follower.caught_up()
        await asyncio.to_thread(local_node.rpc, "anvil_mine", hex(300))
        await follower.caught_up()
        assert [block.number for block in follower.chain] == list(range(306))
        follower.assert_equals_node()


@pytest.mark.parametrize("kind", KINDS)
async def test_reorgs_down_to_the_undo_limit_are_followed(local_node: LocalNode, kind: str) -> None:
    local_node.rpc("anvil_mine", "0x5")
    async with following(local_node, kind) as follower:
        await asyncio.to_thread(local_node.rpc, "anvil_mine", hex(100))
        await follower.caught_up()
        for depth in (1, 2, 3, 7, 32, 63, 64):
            before = follower.chain[-1].hash
            await asyncio.to_thread(reorg, local_node, depth)
            assert local_node.block()["hash"] != before
            await follower.caught_up()
            follower.assert_equals_node()
        assert max(values["depth"] for fact, values in follower.facts if fact == "reorg") == 64
        local_node.mine(3)
        await follower.caught_up()
        follower.assert_equals_node()


@pytest.mark.campaign
@pytest.mark.parametrize("depth", range(1, UNDO_BLOCKS + 1))
async def test_a_reorg_of_each_depth_is_followed(local_node: LocalNode, depth: int) -> None:
    local_node.rpc("anvil_mine", "0x5")
    async with following(local_node, "ws") as follower:
        await asyncio.to_thread(local_node.rpc, "anvil_mine", hex(70))
        await follower.caught_up()
        await asyncio.to_thread(reorg, local_node, depth)
        await follower.caught_up()
        follower.assert_equals_node()
        local_node.mine(2)
        await follower.caught_up()
        follower.assert_equals_node()
        assert depth in [values["depth"] for fact, values in follower.facts if fact == "reorg"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deeper_reorg_is_refused(local_node: LocalNode, kind: str) -> None:
    async with following(local_node, kind) as follower:
        await asyncio.to_thread(local_node.rpc, "anvil_mine", hex(90))
        await follower.caught_up()
        await asyncio.to_thread(reorg, local_node, 65)
        with pytest.raises(ReorgTooDeep) as caught:
            await asyncio.wait_for(asyncio.shield(follower.task), 20)
        assert caught.value.limit == UNDO_BLOCKS


@pytest.mark.parametrize("kind", KINDS)
async def test_a_gap_that_is_too_wide_is_for_reading_anew(local_node: LocalNode, kind: str) -> None:
    start = header(local_node.block()).ref
    await asyncio.to_thread(local_node.rpc, "anvil_mine", hex(22))
    url = {"http": local_node.http, "ws": local_node.ws, "ipc": local_node.ipc}[kind]
    async with RpcNode(url) as node:
        blocks = LiveBlockSource(node, start, max_gap=20).blocks()
        with pytest.raises(GapTooWide) as caught:
            await anext(blocks)
        assert (caught.value.blocks, caught.value.limit) == (21, 20)
        within = LiveBlockSource(node, start, max_gap=21).blocks()
        assert (await anext(within)).block.number == 1
        await within.aclose()


async def test_a_reorg_of_the_starting_block_is_refused(local_node: LocalNode) -> None:
    local_node.rpc("anvil_mine", "0x5")
    async with following(local_node, "ws") as follower:
        local_node.mine()
        await follower.caught_up()
        await asyncio.to_thread(reorg, local_node, 2)
        with pytest.raises(ReorgTooDeep):
            await asyncio.wait_for(asyncio.shield(follower.task), 20)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_node_killed_and_restarted_on_its_port_is_found_again(
    local_node: LocalNode, kind: str
) -> None:
    local_node.stop(signal.SIGTERM)
    local_node.start("--state", local_node.state)
    async with following(local_node, kind) as follower:
        local_node.rpc("anvil_mine", "0x5")
        await follower.caught_up()
        for times in (1, 2):
            await asyncio.to_thread(local_node.stop, signal.SIGTERM)
            await follower.heard("node_lost", times)
            await asyncio.to_thread(local_node.start, "--state", local_node.state)
            # More than one segment is missed while the source waits to try again.
            await asyncio.to_thread(local_node.rpc, "anvil_mine", hex(150))
            await follower.caught_up()
        follower.assert_equals_node()
        assert len(follower.chain) == 306
        assert follower.count("node_lost") == follower.count("node_recovered") == 2
        assert follower.count("gap") >= 2


async def test_a_subscription_that_falls_silent_is_replaced(local_node: LocalNode) -> None:
    async with following(local_node, "ws", watch_s=0.2) as follower:
        local_node.mine()
        await follower.caught_up()
        await asyncio.sleep(0.5)
        assert follower.count("node_lost") == 0, "a quiet chain is no fault"
        provider: Any = follower.connection._provider
        provider._streams.clear()
        local_node.mine(2)
        await follower.caught_up()
        assert follower.count("node_lost") == 1
        follower.assert_equals_node()


async def test_logs_are_those_of_the_block_and_follow_a_reorg(local_dex: LocalDex) -> None:
    dex, node = local_dex, local_dex.node
    rng = random.Random(5)
    async with following(node, "ws") as follower:
        for round_number in range(12):
            pool = rng.choice(dex.pools)
            await asyncio.to_thread(dex.swap_v2, True, 10**19)
            await asyncio.to_thread(dex.swap_v3, pool, rng.random() < 0.5, 10**18)
            if round_number % 3 == 2:
                await asyncio.to_thread(reorg, node, rng.randrange(1, 4))
            await follower.caught_up()
        follower.assert_equals_node()
        synced = 0
        for block in follower.chain[1:]:
            expected = node.rpc("eth_getLogs", {"blockHash": block.hash})
            kept = [entry for entry in expected if entry["topics"][0] in follower.source._filter["topics"][0]]
            assert follower.logs[block.hash] == kept
            synced += sum(entry["topics"][0] == SYNC for entry in kept)
        assert synced >= 3
        assert follower.count("logs_parsed") == 0
        assert all(isinstance(logs, ScannedLogs) for logs in follower.logs.values())
        last = follower.chain[-1].hash
    ask = [Unparsed("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "latest"}])]
    calls = [*ask, ("eth_getBlockByHash", [last, False])]
    for url in (node.http, node.ws, node.ipc):
        async with RpcNode(url) as connection:
            logs, block = await connection.batch(calls)
            assert block["hash"] == last
            assert isinstance(scan_logs(logs.text, None), ScannedLogs), url


async def test_cancelling_at_any_moment_leaves_nothing_running(local_node: LocalNode) -> None:
    rng = random.Random(3)
    for _ in range(25):
        async with following(local_node, rng.choice(KINDS)):
            mining = asyncio.create_task(asyncio.to_thread(local_node.mine, 2))
            await asyncio.sleep(rng.random() * 0.03)
            await mining
    async with RpcNode(local_node.ws) as node:
        blocks = LiveBlockSource(node, header(local_node.block()).ref).blocks()
        local_node.mine()
        await anext(blocks)
        await blocks.aclose()


class LyingNode(RpcNode):
    """A real node whose answers to eth_getLogs are altered."""

    def __init__(self, url: str, alter: Callable[[list[dict[str, Any]], int], Any]):
        super().__init__(url)
        self.alter = alter
        self.asked = 0

    async def batch(self, calls: Any) -> list[Any]:
        answers = await super().batch(calls)
        for at, (method, _) in enumerate(calls):
            if method == "eth_getLogs":
                self.asked += 1
                altered = self.alter(answers[at].parsed(), self.asked)
                answers[at] = altered if isinstance(altered, NodeError) else self.written(altered)
        return answers

    def written(self, result: Any) -> Any:
        """The result as a message of the node's would bring it."""
        return read_message(orjson.dumps({"jsonrpc": "2.0", "id": 1, "result": result}))["result"]


async def first_block(
    dex: LocalDex, alter: Callable[[list[dict[str, Any]], int], Any], parsed: list[str] | None = None
) -> RawBlock:
    """The first block of a source; `parsed` receives why its logs had to be."""
    start = header(dex.node.block()).ref
    dex.send(dex.pair, "sync()")

    def observe(fact: str, values: dict[str, Any]) -> None:
        if fact == "logs_parsed" and parsed is not None:
            parsed.append(values["reason"])

    async with LyingNode(dex.node.http, alter) as node:
        source = LiveBlockSource(node, start, poll_s=0.02, observer=observe)
        async with asyncio.timeout(3):
            return await anext(source.blocks())


async def test_logs_that_arrive_late_doubled_or_shuffled_are_set_right(local_dex: LocalDex) -> None:
    honest = await first_block(local_dex, lambda logs, asked: logs)
    assert len(honest.logs) == 1
    late = await first_block(local_dex, lambda logs, asked: logs if asked > 2 else [])
    why: list[str] = []
    doubled = await first_block(
        local_dex, lambda logs, asked: [logs[0] | {"logIndex": "0x1"}, *logs, *logs], why
    )
    assert len(late.logs) == 1
    assert isinstance(honest.logs, ScannedLogs)
    assert not isinstance(doubled.logs, ScannedLogs)
    assert why == ["its logs are not in the order of the block"]
    assert [entry["logIndex"] for entry in doubled.logs] == ["0x0", "0x1"]


@pytest.mark.parametrize(
    "alter",
    [
        lambda logs, asked: None,
        lambda logs, asked: ["0x"],
        lambda logs, asked: [logs],
        lambda logs, asked: [logs[0] | {"blockHash": "0x" + "12" * 32}],
        lambda logs, asked: [logs[0] | {"removed": True}],
        lambda logs, asked: [logs[0] | {"logIndex": "0x" + "f" * 100_000}],
        lambda logs, asked: NodeError("rate limited"),
    ],
)
async def test_logs_that_cannot_be_true_are_asked_for_again(
    local_dex: LocalDex, alter: Callable[[list[dict[str, Any]], int], Any]
) -> None:
    block = await first_block(local_dex, lambda logs, asked: alter(logs, asked) if asked == 1 else logs)
    assert len(block.logs) == 1


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (lambda log: log | {"removed": 0}, "its text is not what nodes write"),
        (lambda log: log | {"more": {"of": "this"}}, "its text is not what nodes write"),
        (lambda log: log | {"blockHash": log["blockHash"].upper().replace("0X", "0x")}, "plainly say"),
        (lambda log: log | {"logIndex": "0x" + "0" * 40}, "not in the order"),
    ],
)
async def test_logs_that_are_true_but_odd_are_parsed_and_the_reason_is_heard(
    local_dex: LocalDex, alter: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    why: list[str] = []
    block = await first_block(local_dex, lambda logs, asked: [alter(log) for log in logs], why)
    assert len(block.logs) == 1
    assert len(why) == 1
    assert reason in why[0]
