"""The tripwire on a real node: every cause of a divergence, brought about and told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fault_proxy import FaultProxy
from local_dex import LocalDex
from local_node import LocalNode
from published_worlds import NODE_OPTIONS, OWNER, build_on, needs_published

from engine.app.market_feed import MarketFeed
from engine.app.settings import build_settings
from engine.app.tripwire import SAMPLE_SIZE, Tripwire
from engine.chain.calls import View
from engine.chain.endpoint_set import EndpointSet
from engine.chain.logs import decode
from engine.chain.wire import header
from engine.domain.events import Fact, PoolDiverged, VenueHalted
from engine.domain.market import BlockRef, Protocol, RawBlock, Venue
from engine.domain.pool_state import Erc4626PoolState
from engine.market.divergence import Rotation, VenueTrust, differences
from engine.market.market import Market

GET_RESERVES = View.of("getReserves()").data()


class Watched:
    """A market read from a node over two endpoints, fed block by block, and its tripwire."""

    def __init__(self, node: LocalNode, nodes: EndpointSet, venues: list[Venue], tokens: list[str]):
        self.node, self.nodes = node, nodes
        settings = build_settings(
            {
                "chain": {"chain_id": 31337, "rpc_url": "http://127.0.0.1:1"},
                "market": {"base_tokens": tokens, "wrapped_native": tokens[0]},
            },
            "test",
        )
        self.feed = MarketFeed(nodes, settings, lambda what, done, total: None)
        self.feed.venues = tuple(venues)
        self.facts: list[Fact] = []
        self.trust = VenueTrust()

    async def start(self) -> None:
        self.market = await self.feed.read_all(self.head())
        self.tripwire = Tripwire(self.nodes, self.market, self.feed, self.facts.append, self.trust)

    def head(self) -> BlockRef:
        return header(self.node.block()).ref

    async def follow(self, *, blind: bool = False, depth: int = 0) -> None:
        """Apply the blocks up to the head; `blind` of their logs."""
        assert self.market.head is not None
        for number in range(self.market.head.number + 1, self.head().number + 1):
            block = header(self.node.block(hex(number))).ref
            logs = [] if blind else self.node.rpc("eth_getLogs", {"blockHash": block.hash})
            decoded = decode(logs, self.market.pool_row, self.market.pools, self.market.hubs)
            refreshed = await self.feed.refresh(
                block, [self.market.pools[row] for row in sorted(decoded.touched)]
            )
            raw = RawBlock(block, logs)
            self.market.apply(block, decoded.events, refreshed, decoded.touched)
            self.tripwire.note(raw, depth)
            await self.feed.admit(self.market, raw)

    def causes(self) -> list[str]:
        return [fact.cause for fact in self.facts if isinstance(fact, PoolDiverged)]

    def hidden(self, pool: str) -> str | None:
        return self.market.quarantined.get(self.market.pool_row[pool])


@pytest.fixture
async def watched(local_dex: LocalDex) -> AsyncIterator[Watched]:
    node = local_dex.node
    with FaultProxy(node.http) as first, FaultProxy(node.http) as second:
        async with EndpointSet([first.http, second.http]) as nodes:
            made = Watched(node, nodes, local_dex.venues, local_dex.tokens)
            made.proxies = first, second  # type: ignore[attr-defined]
            await made.start()
            assert len(made.market.pool_row) == 4
            yield made
            await made.tripwire.close()


async def test_what_agrees_passes(watched: Watched, local_dex: LocalDex) -> None:
    for at in range(6):
        local_dex.swap_v2(at % 2 == 0, 10**18 + at)
        local_dex.swap_v3(local_dex.pools[at % 3], at % 2 == 1, 10**18 + at)
        await watched.follow()
        assert await watched.tripwire.check(watched.head(), watched.market.pool_row.keys()) == frozenset()
        watched.tripwire.sample(watched.head())
        await watched.tripwire._running  # type: ignore[misc]
        assert watched.tripwire.settle() == []
    assert watched.facts == []


async def test_a_missed_log_is_found_and_the_pool_read_again(watched: Watched, local_dex: LocalDex) -> None:
    local_dex.swap_v2(True, 10**20)
    await watched.follow(blind=True)
    block = watched.head()
    assert await watched.tripwire.check(block, [local_dex.pair, local_dex.pools[0]]) == {local_dex.pair}
    assert watched.causes() == ["missed log"]
    assert watched.hidden(local_dex.pair) == f"missed log: reserve0, reserve1 at block {block.number}"
    local_dex.node.mine()
    await watched.follow()
    assert watched.hidden(local_dex.pair) is None
    assert (
        watched.market.state_of(watched.market.pool_row[local_dex.pair]).reserve0 == local_dex.reserves()[0]
    )
    assert await watched.tripwire.check(watched.head(), [local_dex.pair]) == frozenset()


async def test_a_missed_mint_is_found_by_the_samples(watched: Watched, local_dex: LocalDex) -> None:
    pool = local_dex.pools[0]
    local_dex.mint(pool, -887220, 60 * 5000, 10**20)
    tick = local_dex.slot0(pool)[1]
    local_dex.mint(pool, tick // 60 * 60 + 6000, tick // 60 * 60 + 12000, 10**20)
    await watched.follow(blind=True)
    assert len(watched.market.pool_row) <= SAMPLE_SIZE
    watched.tripwire.sample(watched.head())
    await watched.tripwire._running  # type: ignore[misc]
    assert watched.facts == [], "nothing is acted on beside the line"
    assert watched.tripwire.settle() == []
    assert {fact.pool for fact in watched.facts if isinstance(fact, PoolDiverged)} == {pool}
    assert set(watched.causes()) == {"missed log"}
    assert any("ticks" in fact.changed for fact in watched.facts if isinstance(fact, PoolDiverged))


@pytest.mark.parametrize("receipts", [True, False])
async def test_logs_are_counted_against_the_receipts_or_the_bloom(
    watched: Watched, local_dex: LocalDex, receipts: bool
) -> None:
    """Also of pools that are not in the sample."""
    watched.tripwire._rotation.take = lambda keys, count: []  # type: ignore[method-assign]
    if not receipts:
        watched.tripwire._audit._has_receipts = False
    local_dex.swap_v3(local_dex.pools[1], True, 10**18)
    await watched.follow()
    watched.tripwire.sample(watched.head())
    await watched.tripwire._running  # type: ignore[misc]
    assert watched.tripwire.settle() == []
    assert watched.facts == []
    local_dex.swap_v3(local_dex.pools[1], True, 10**18)
    await watched.follow(blind=True)
    watched.tripwire.sample(watched.head())
    await watched.tripwire._running  # type: ignore[misc]
    watched.tripwire.settle()
    (fact,) = watched.facts
    assert isinstance(fact, PoolDiverged)
    assert (fact.pool, fact.cause, fact.changed) == (local_dex.pools[1], "missed log", ("logs",))


async def test_a_state_that_moves_without_a_log_is_unknown_behaviour(
    watched: Watched, local_dex: LocalDex
) -> None:
    reserves = (12345 << 112 | 678).to_bytes(32, "big").hex()
    local_dex.node.rpc("anvil_setStorageAt", local_dex.pair, hex(8), "0x" + reserves)
    local_dex.node.mine()
    await watched.follow()
    assert await watched.tripwire.check(watched.head(), [local_dex.pair]) == {local_dex.pair}
    assert watched.causes() == ["unknown behaviour"]


async def test_a_picture_left_over_from_another_branch_is_an_unhandled_reorg(
    watched: Watched, local_dex: LocalDex
) -> None:
    await watched.tripwire.check(watched.head(), watched.market.pool_row.keys())
    local_dex.swap_v2(True, 10**20)
    await watched.follow()
    local_dex.node.rpc("anvil_reorg", 2, [])
    # As if the market had not been rewound: it only learns the new head.
    watched.market.start(watched.head())
    watched.tripwire.note(RawBlock(watched.head(), []), 2)
    assert await watched.tripwire.check(watched.head(), [local_dex.pair]) == {local_dex.pair}
    assert watched.causes() == ["unhandled reorg"]


async def test_a_lying_endpoint_loses_the_lead_and_the_pool_keeps_its_state(
    watched: Watched, local_dex: LocalDex
) -> None:
    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_call" and params[0].get("data") == GET_RESERVES:
            return "0x" + (1).to_bytes(32, "big").hex() * 2 + result[130:]
        return result

    leading = watched.nodes.watch.leader
    for member in watched.nodes.members:
        member.health.up = True
    watched.proxies[leading].alter = lie  # type: ignore[attr-defined]
    assert await watched.tripwire.check(watched.head(), [local_dex.pair]) == frozenset()
    assert watched.causes() == ["lying node"]
    assert watched.hidden(local_dex.pair) is None
    assert watched.nodes.watch.leader != leading
    assert watched.nodes.members[leading].health.failures["refused"] >= 1


async def test_an_answer_that_does_not_hold_is_no_divergence(watched: Watched, local_dex: LocalDex) -> None:
    """A node may answer from the block it is just working on; asked again it says the truth."""
    lies = 1

    def slip(method: str, params: list[Any], result: Any) -> Any:
        nonlocal lies
        if method == "eth_call" and params[0].get("data") == GET_RESERVES and lies:
            lies -= 1
            return "0x" + (1).to_bytes(32, "big").hex() * 2 + result[130:]
        return result

    leading = watched.nodes.watch.leader
    first = watched.proxies[leading]  # type: ignore[attr-defined]
    async with EndpointSet([first.http]) as alone:
        for nodes in (alone, watched.nodes):
            lies, watched.tripwire._node, first.alter = 1, nodes, slip
            assert await watched.tripwire.check(watched.head(), [local_dex.pair]) == frozenset()
            lies = 1
            watched.tripwire.sample(watched.head())
            await watched.tripwire._running  # type: ignore[misc]
            assert watched.tripwire.settle() == []
    assert watched.causes() == ["raced node"] * 4
    assert all(fact.by_node for fact in watched.facts if isinstance(fact, PoolDiverged))
    assert watched.hidden(local_dex.pair) is None
    assert not watched.trust.halted
    assert watched.nodes.watch.leader == leading, "it corrected itself"


async def test_a_node_that_does_not_say_stops_the_trade(watched: Watched, local_dex: LocalDex) -> None:
    for proxy in watched.proxies:  # type: ignore[attr-defined]
        proxy.hanging = True
    assert await watched.tripwire.check(watched.head(), [local_dex.pair]) == {local_dex.pair}
    assert watched.facts == []


async def test_a_venue_that_diverges_again_and_again_is_halted(watched: Watched, local_dex: LocalDex) -> None:
    for at in range(3):
        local_dex.swap_v2(True, 10**19 + at)
        await watched.follow(blind=True)
        await watched.tripwire.check(watched.head(), [local_dex.pair])
        local_dex.node.mine()
        await watched.follow()
    halted = [fact for fact in watched.facts if isinstance(fact, VenueHalted)]
    assert [fact.venue for fact in halted] == ["v2"]
    assert set(watched.trust.halted) == {"v2"}


@pytest.fixture(scope="module")
def vault_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNode]:
    with ExitStack() as stack:
        node = LocalNode(tmp_path_factory.mktemp("vault"))
        node.start(*NODE_OPTIONS)
        stack.callback(node.stop)
        yield node


@needs_published
async def test_what_no_log_tells_is_drift_and_put_right(vault_node: LocalNode) -> None:
    import exact_vaults

    world = build_on(vault_node, exact_vaults, lambda: exact_vaults.World("openzeppelin"))
    vault = world.vaults[1][0].lower()
    asset = world.chain.call(vault, "asset()", returns=("address",)).lower()
    world.chain.call(asset, "set(address,uint256)", OWNER, 10**30)
    world.chain.call(vault, "deposit(uint256,address)", 10**21, OWNER)
    venue = Venue("vault", Protocol.ERC4626, vault, vault, "0x" + "00" * 32)
    async with EndpointSet([vault_node.http]) as nodes:
        watched = Watched(vault_node, nodes, [venue], [asset, vault])
        await watched.start()
        row = watched.market.pool_row[vault]
        world.chain.call(vault, "deposit(uint256,address)", 10**20, OWNER)
        await watched.follow()
        assert watched.market.state_of(row).total_assets == 11 * 10**20, "a deposit is logged"
        assert await watched.tripwire.check(watched.head(), [vault]) == frozenset()
        world.chain.call(asset, "set(address,uint256)", vault, 2 * 10**21)
        await watched.follow()
        assert await watched.tripwire.check(watched.head(), [vault]) == {vault}
        assert watched.causes() == ["drift"]
        assert watched.tripwire.settle() == list(watched.market.rows_of(row))
        assert watched.market.state_of(row).total_assets == 2 * 10**21
        assert watched.hidden(vault) is None
        assert await watched.tripwire.check(watched.head(), [vault]) == frozenset()


def test_every_pool_comes_up_once_per_round() -> None:
    rotation, keys = Rotation(), [f"pool {n}" for n in range(10)]
    seen = [key for _ in range(10) for key in rotation.take(keys, 3)]
    assert sorted(seen) == sorted(keys * 3)
    assert rotation.take(["pool 1", "new"], 8) in (["pool 1", "new"], ["new", "pool 1"])
    assert rotation.take([], 8) == []


def test_states_of_different_pools_differ() -> None:
    market = Market()
    assert market.pool_row == {}
    first = Erc4626PoolState(None, 1, 2)  # type: ignore[arg-type]
    assert differences(first, Erc4626PoolState(None, 1, 3)) == ("total_supply",)  # type: ignore[arg-type]
