"""Several endpoints as one node: two or three real nodes behind proxies that fail in every way."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import CORRUPTIONS, FaultProxy
from twin_nodes import TwinNodes

from engine.chain.endpoint_set import EndpointSet, connect_all
from engine.chain.source import LiveBlockSource
from engine.chain.wire import header
from engine.domain.errors import ConfigError, NodeError, NodeUnreachable, RateLimited
from engine.domain.market import BlockRef, RawBlock

KINDS = ["http", "ws"]
ACCOUNT = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"


class Views:
    """Twin nodes, a proxy before each, and what an endpoint set over them says."""

    def __init__(self, twins: TwinNodes, proxies: list[FaultProxy]):
        self.twins = twins
        self.proxies = proxies
        self.facts: list[tuple[str, dict[str, Any]]] = []

    def open(self, kind: str, **options: Any) -> EndpointSet:
        urls = [getattr(proxy, kind) for proxy in self.proxies]
        observer = lambda fact, values: self.facts.append((fact, values))  # noqa: E731
        return EndpointSet(urls, observer=observer, **options)

    def head(self, at: int = 0) -> BlockRef:
        return header(self.twins.nodes[at].block()).ref

    def heard(self, fact: str) -> list[dict[str, Any]]:
        return [values for name, values in self.facts if name == fact]


def views_of(directory: Path, count: int, stack: ExitStack) -> Views:
    twins = TwinNodes(directory, count)
    stack.callback(twins.stop)
    proxies = [stack.enter_context(FaultProxy(node.http)) for node in twins.nodes]
    return Views(twins, proxies)


@pytest.fixture
def views(tmp_path: Path) -> Iterator[Views]:
    with ExitStack() as stack:
        yield views_of(tmp_path, 2, stack)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Views]:
    with ExitStack() as stack:
        yield views_of(tmp_path, 3, stack)


@asynccontextmanager
async def following(views: Views, nodes: EndpointSet) -> AsyncIterator[list[RawBlock]]:
    """The blocks a source gives, as they come."""
    blocks: list[RawBlock] = []
    source = LiveBlockSource(
        nodes, views.head(), poll_s=0.02, observer=lambda fact, values: views.facts.append((fact, values))
    )

    async def take() -> None:
        async for raw in source.blocks():
            blocks.append(raw)

    task = asyncio.create_task(take())
    try:
        yield blocks
    finally:
        task.cancel()
        await asyncio.wait([task])


async def reached(blocks: list[RawBlock], block: BlockRef, timeout_s: float = 10.0) -> float:
    """Seconds until the source gave `block`."""
    started = time.monotonic()
    await happens(lambda: bool(blocks) and blocks[-1].block.hash == block.hash, timeout_s)
    return time.monotonic() - started


async def happens(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait until `condition` holds."""
    for _ in range(int(timeout_s / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


def refuse(proxy: FaultProxy) -> None:
    proxy.refusing = True
    proxy.cut()


def hang(proxy: FaultProxy) -> None:
    proxy.hanging = True


def busy(proxy: FaultProxy) -> None:
    proxy.status = 503


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fail", [refuse, hang, busy])
async def test_reads_pass_to_the_next_endpoint_within_a_second(views: Views, kind: str, fail: Any) -> None:
    if fail is busy and kind == "ws":
        pytest.skip("a socket carries no http status")
    async with views.open(kind) as nodes:
        assert await nodes.chain_id() == 31337
        for failing in (0, 1):
            fail(views.proxies[failing])
            for _ in range(3):
                started = time.monotonic()
                assert int(await nodes.request("eth_getBalance", [ACCOUNT, "latest"]), 16) > 0
                assert await nodes.batch([("eth_chainId", []), ("eth_blockNumber", [])]) == ["0x7a69", "0x0"]
                assert time.monotonic() - started < 6.0
            views.proxies[failing].behave()
        assert sum(sum(member.health.failures.values()) for member in nodes.members) >= 2


@pytest.mark.parametrize("corruption", [name for name in CORRUPTIONS if name not in ("huge", "zeros")])
@pytest.mark.parametrize("kind", KINDS)
async def test_nonsense_is_counted_against_its_endpoint(views: Views, kind: str, corruption: str) -> None:
    async with views.open(kind) as nodes:
        await nodes.chain_id()
        views.proxies[0].corruption = corruption
        for _ in range(3):
            assert await nodes.request("eth_blockNumber", []) == "0x0"
        assert sum(nodes.members[0].health.failures.values()) >= 1
        assert not nodes.members[1].health.failures
        if kind == "http":
            assert nodes.members[0].health.failures["malformed"] >= 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hundred_megabytes_are_refused_without_being_held(views: Views, kind: str) -> None:
    async with views.open(kind) as nodes:
        await nodes.chain_id()
        views.proxies[0].corruption = "huge"
        assert await nodes.request("eth_blockNumber", []) == "0x0"
        with pytest.raises(NodeError):
            await nodes.members[0].node.request("eth_blockNumber", [])
    # The proxy itself, in this process, makes several copies of the text; ours would be one more each time.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4_000_000


async def test_a_node_that_asks_for_rest_gets_it_and_sends_do_not_wait(views: Views) -> None:
    views.proxies[0].status, views.proxies[0].retry_after = 429, "1"
    async with views.open("http") as nodes:
        node = nodes.members[0].node
        with pytest.raises(RateLimited) as caught:
            await node.request("eth_blockNumber", [])
        assert caught.value.retry_after_s == 1.0
        views.proxies[0].behave()
        started = time.monotonic()
        with pytest.raises(NodeError, match="refused eth_sendRawTransaction"):
            await node.request("eth_sendRawTransaction", ["0x00"])
        sent = time.monotonic() - started
        assert await node.request("eth_blockNumber", []) == "0x0"
        assert sent < 0.9 < time.monotonic() - started
        views.proxies[0].status, views.proxies[0].retry_after = 429, "3600"
        with pytest.raises(RateLimited):
            await node.request("eth_blockNumber", [])
        with pytest.raises(RateLimited, match="left alone for"):
            await node.request("eth_blockNumber", [])


async def test_a_send_leaves_once_and_goes_elsewhere_only_when_it_never_left(views: Views) -> None:
    def sends(at: int) -> int:
        return views.proxies[at].counts["eth_sendTransaction"]

    payment = {"from": ACCOUNT, "to": ACCOUNT, "value": "0x1", "gas": hex(21000)}
    async with views.open("ws", timeout_s=1.0) as nodes:
        await nodes.chain_id()
        assert await nodes.request("eth_sendTransaction", [payment])
        assert (sends(0), sends(1)) == (1, 0)
        hang(views.proxies[0])
        with pytest.raises(NodeUnreachable) as caught:
            await nodes.request("eth_sendTransaction", [payment])
        assert caught.value.left
        assert (sends(0), sends(1)) == (2, 0)
        views.proxies[0].behave()
        refuse(views.proxies[0])
        await asyncio.sleep(0.1)
        assert await nodes.request("eth_sendTransaction", [payment])
        assert (sends(0), sends(1)) == (2, 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_heads_go_on_within_a_second_of_the_loss_of_the_leader(three: Views, kind: str) -> None:
    views = three
    async with views.open(kind) as nodes, following(views, nodes) as blocks:
        views.twins.mine(count=3)
        await reached(blocks, views.head())
        slowest = 0.0
        for fail in (refuse, hang):
            leading = nodes.watch.leader
            fail(views.proxies[leading])
            await asyncio.to_thread(views.twins.mine)
            slowest = max(slowest, await reached(blocks, views.head()))
            assert nodes.watch.leader != leading
        assert [raw.block.number for raw in blocks] == list(range(1, 6))
        # Measured far below a second; a busy machine may be slower, a person's patience is not at stake.
        assert slowest < 4.0
        print(f"slowest failover: {slowest * 1e3:.0f} ms")
        assert not views.heard("node_lost"), "one endpoint was always there"
        assert len(views.heard("lead_changed")) >= 2


@pytest.mark.parametrize("kind", KINDS)
async def test_an_endpoint_that_answers_but_stands_still_loses_the_lead(views: Views, kind: str) -> None:
    async with views.open(kind) as nodes, following(views, nodes) as blocks:
        views.twins.mine()
        await reached(blocks, views.head())
        leading = nodes.watch.leader
        await asyncio.to_thread(views.proxies[leading].freeze)
        for _ in range(3):
            await asyncio.to_thread(views.twins.mine)
            await reached(blocks, views.head())
        assert nodes.watch.leader == 1 - leading
        assert "behind" in views.heard("lead_changed")[-1]["reason"]
        assert (await nodes.latest()).ref == views.head()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_head_only_one_endpoint_claims_has_no_witness(three: Views, kind: str) -> None:
    views = three
    async with views.open(kind) as nodes, following(views, nodes) as blocks:
        views.twins.mine()
        await reached(blocks, views.head())
        assert await nodes.witnessed(views.head(), 1.0)
        leading = nodes.watch.leader
        others = [at for at in range(3) if at != leading]
        # The leader alone has a block of its own; the others have the true one.
        await asyncio.to_thread(lambda: views.twins.mine(leading, apart=1))
        await reached(blocks, views.head(leading))
        assert not await nodes.witnessed(views.head(leading), 0.3)
        await asyncio.to_thread(lambda: views.twins.mine(*others))
        await reached(blocks, views.head(others[0]))
        assert await nodes.witnessed(views.head(others[0]), 1.0)
        assert nodes.watch.leader in others
        assert "alone" in views.heard("lead_changed")[-1]["reason"]


async def test_two_endpoints_that_disagree_are_not_traded_on(views: Views) -> None:
    async with views.open("ws") as nodes, following(views, nodes) as blocks:
        await asyncio.to_thread(lambda: views.twins.mine(0))
        await asyncio.to_thread(lambda: views.twins.mine(1, apart=1))
        await reached(blocks, views.head(nodes.watch.leader))
        assert not await nodes.witnessed(views.head(0), 0.3)
        assert not await nodes.witnessed(views.head(1), 0.3)
    async with views.open("ws", witnesses=1) as nodes:
        assert await nodes.witnessed(views.head(0), 0.5)


async def test_one_endpoint_is_its_own_witness(views: Views) -> None:
    async with connect_all([views.proxies[0].ws]) as nodes:
        assert nodes.witnesses == 1
        assert await nodes.witnessed(views.head(), 0.5)


@pytest.mark.parametrize("kind", KINDS)
async def test_all_endpoints_may_go_and_come_back(views: Views, kind: str) -> None:
    async with views.open(kind) as nodes, following(views, nodes) as blocks:
        views.twins.mine()
        await reached(blocks, views.head())
        for proxy in views.proxies:
            refuse(proxy)
        await happens(lambda: bool(views.heard("node_lost")))
        await asyncio.to_thread(lambda: views.twins.mine(count=80))
        for proxy in views.proxies:
            proxy.behave()
        await reached(blocks, views.head(), 12)
        assert [raw.block.number for raw in blocks] == list(range(1, 82))
        assert views.heard("node_recovered")


async def test_what_one_endpoint_lacks_another_is_asked(views: Views) -> None:
    views.twins.mine(0)
    known = views.head(0)
    call = ("eth_getBalance", [ACCOUNT, {"blockHash": known.hash, "requireCanonical": True}])
    async with views.open("http") as nodes:
        for leader in (0, 1):
            nodes.watch.leader = leader
            assert int(await nodes.request(*call), 16) > 0
            assert [int(each, 16) > 0 for each in await nodes.batch([call, call])] == [True, True]


async def test_endpoints_of_different_chains_are_refused(views: Views) -> None:
    views.proxies[1].alter = lambda method, params, result: "0x1" if method == "eth_chainId" else result
    with pytest.raises(ConfigError, match="different chains"):
        async with connect_all([proxy.http for proxy in views.proxies]):
            pass
    # One that was down at the start and turns out to be of another chain is left out.
    refuse(views.proxies[1])
    async with views.open("ws") as nodes:
        await nodes.chain_id()
        views.proxies[1].refusing = False
        async with following(views, nodes) as blocks:
            views.twins.mine()
            await reached(blocks, views.head())
            await happens(lambda: bool(views.heard("endpoint_refused")))
        assert nodes.members[1].refused
        assert not await nodes.witnessed(views.head(), 0.2)


async def test_the_only_dead_node_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(NodeUnreachable, match="connection refused"):
        async with connect_all(["http://127.0.0.1:9", "ws://127.0.0.1:9"], timeout_s=2):
            pass
