"""A market followed through endpoints that fail by a seeded script, on a chain that reorganises."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest
from fault_proxy import FaultProxy, Script
from local_dex import LocalDex

from engine.app.market_feed import MarketFeed
from engine.app.settings import build_settings
from engine.chain.endpoint_set import EndpointSet
from engine.chain.logs import decode
from engine.chain.rpc import RpcNode
from engine.chain.source import LiveBlockSource
from engine.chain.wire import header
from engine.domain.errors import GapTooWide, NodeError, ReorgTooDeep, UnknownParent
from engine.domain.market import RawBlock
from engine.market.market import Market

ACTIONS = 60


class Follower:
    """What a session does with its blocks, without the line behind it."""

    def __init__(self, dex: LocalDex, nodes: EndpointSet):
        settings = build_settings(
            {
                "chain": {"chain_id": 31337, "rpc_url": "http://127.0.0.1:1"},
                "market": {"base_tokens": dex.tokens, "wrapped_native": dex.tokens[0]},
            },
            "test",
        )
        self.dex, self.nodes = dex, nodes
        self.feed = MarketFeed(nodes, settings, lambda what, done, total: None)
        self.feed.venues = tuple(dex.venues)
        self.facts: list[str] = []
        self.resyncs = -1

    async def run(self) -> None:
        while True:
            with suppress(ReorgTooDeep, GapTooWide, UnknownParent):
                await self.synchronise()
                async for raw in self.source.blocks():
                    await self.apply(raw)

    async def synchronise(self) -> None:
        while True:
            try:
                self.market = await self.feed.read_all((await self.nodes.latest()).ref)
                break
            except NodeError:
                await asyncio.sleep(0.05)
        assert self.market.head is not None
        self.resyncs += 1
        self.source = LiveBlockSource(
            self.nodes,
            self.market.head,
            poll_s=0.02,
            watch_s=0.5,
            observer=lambda fact, values: self.facts.append(fact),
        )

    async def apply(self, raw: RawBlock) -> None:
        head = self.market.head
        assert head is not None
        if raw.block.parent_hash != head.hash:
            self.market.rewind(raw.block.parent_hash)
        decoded = decode(raw.logs, self.market.pool_row, self.market.pools, self.market.hubs)
        assert not decoded.hostile
        self.market.apply(raw.block, decoded.events)
        with suppress(NodeError):
            await self.feed.admit(self.market, raw)

    def head_hash(self) -> str:
        market = getattr(self, "market", None)
        return market.head.hash if market is not None and market.head is not None else ""


def act(dex: LocalDex, rng: random.Random) -> None:
    """Something that moves the pools, or the chain."""
    kind, pool = rng.random(), rng.choice(dex.pools)
    spacing = {dex.pools[0]: 60, dex.pools[1]: 1, dex.pools[2]: 50}[pool]
    if kind < 0.35:
        dex.swap_v2(rng.random() < 0.5, rng.randrange(10**15, 10**20))
    elif kind < 0.65:
        dex.swap_v3(pool, rng.random() < 0.5, rng.randrange(10**12, 10**18))
    elif kind < 0.8:
        lower = rng.randrange(-300, 300) * spacing
        dex.mint(pool, lower, lower + rng.randrange(1, 200) * spacing, rng.randrange(10**12, 10**20))
    elif kind < 0.9:
        dex.node.mine(rng.randrange(1, 4))
    else:
        dex.node.rpc("anvil_reorg", rng.randrange(1, 7), [])


async def assert_equals_node(follower: Follower, dex: LocalDex) -> None:
    fresh = MarketFeed(follower.nodes, follower.feed._settings, lambda what, done, total: None)
    fresh.venues = follower.feed.venues
    async with RpcNode(dex.node.http) as node:
        fresh._node = node
        truth: Market = await fresh.read_all(header(dex.node.block()).ref)
    assert truth.pool_row.keys() == follower.market.pool_row.keys()
    for key, row in truth.pool_row.items():
        assert follower.market.state_of(follower.market.pool_row[key]) == truth.state_of(row)
    assert not follower.market.quarantined


@pytest.mark.parametrize(
    ("seed", "kinds"),
    [
        (1, ("ws", "ws")),
        (2, ("http", "ws")),
        *(
            pytest.param(n, ("ws", "http" if n % 3 else "ws"), marks=pytest.mark.campaign)
            for n in range(3, 21)
        ),
    ],
)
async def test_the_market_equals_the_node_whatever_happened_in_between(
    local_dex: LocalDex, seed: int, kinds: tuple[str, str]
) -> None:
    dex, rng = local_dex, random.Random(seed)
    rates = {"drop": 0.01, "delay": 0.15, "duplicate": 0.05, "reorder": 0.05, "cut": 0.01, "corrupt": 0.02}
    scripts = [Script(10 * seed + n, **rates, status=0.03, removed=0.1, delay_s=0.05) for n in range(2)]
    with FaultProxy(dex.node.http, scripts[0]) as one, FaultProxy(dex.node.http, scripts[1]) as two:
        urls = [getattr(proxy, kind) for proxy, kind in zip((one, two), kinds, strict=True)]
        async with EndpointSet(urls, timeout_s=1.0) as nodes:
            follower = Follower(dex, nodes)
            task = asyncio.create_task(follower.run())
            try:
                for number in range(ACTIONS):
                    # A pool that a reorganisation has emptied refuses the swap.
                    with suppress(AssertionError):
                        await asyncio.to_thread(act, dex, rng)
                    # Mostly it keeps up; sometimes it is left behind.
                    await asyncio.sleep(rng.choice([0.0, 0.03, 0.06]))
                    if number == ACTIONS // 2:
                        await asyncio.to_thread(one.freeze)
                    if number == ACTIONS * 3 // 4:
                        one._frozen_at = None
                        one.cut()
                for proxy in (one, two):
                    proxy.behave()
                await asyncio.to_thread(dex.node.mine, 2)
                for _ in range(1500):
                    if follower.head_hash() == dex.node.block()["hash"] and not follower.market.quarantined:
                        break
                    assert not task.done(), task.result()
                    await asyncio.sleep(0.02)
                assert follower.head_hash() == dex.node.block()["hash"]
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await assert_equals_node(follower, dex)
        met = one.counts + two.counts
        assert sum(met[fault] for fault in ("delay", "removed", "corrupt", "cut", "drop")) > 10
