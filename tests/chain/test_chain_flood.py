"""A factory that announces fake pools without end, beside honest ones."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import endless_factory
import pytest
from local_dex import LocalDex
from local_node import LocalNode

from engine.app.market_feed import MarketFeed
from engine.app.settings import build_settings
from engine.chain.creations import BALANCER_POOL, CURVE_DEPLOYS, MAX_FAKES, Sighting, decode_creations
from engine.chain.discovery import find_pools
from engine.chain.rpc import RpcNode, connect
from engine.chain.wire import header
from engine.domain.market import ZERO_HASH, BlockRef, Protocol, RawBlock, Venue

IGNORED = f"fakes announced more than {MAX_FAKES} pools that it cannot have made: it is ignored"
PER_BLOCK = 2_500


def factory(protocol: Protocol = Protocol.UNISWAP_V2) -> Venue:
    return Venue("fakes", protocol, endless_factory.ADDRESS, endless_factory.ADDRESS, "0x" + "77" * 32)


@pytest.fixture
def flooded(tmp_path: Path) -> Iterator[LocalDex]:
    node = LocalNode(tmp_path)
    node.start("--gas-limit", "1000000000")
    try:
        endless_factory.put(node)
        yield LocalDex(node)
    finally:
        node.stop()


def flood(dex: LocalDex, blocks: int, first: int = 1, per_block: int = PER_BLOCK) -> None:
    for at in range(blocks):
        endless_factory.announce(dex.node, dex.owner, first + at * per_block, per_block)


def resident_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def searched(dex: LocalDex, venue: Venue) -> tuple[set[str], dict[str, str]]:
    async with connect(dex.node.http) as connection:
        head = header(dex.node.block()).ref
        pools, refused = await find_pools(connection, [venue, *dex.venues], 0, head)
    return {pool.address for pool in pools}, refused


def head_with_logs(dex: LocalDex) -> RawBlock:
    block: BlockRef = header(dex.node.block()).ref
    return RawBlock(block, dex.node.rpc("eth_getLogs", {"blockHash": block.hash}))


async def test_a_flood_of_fakes_is_cut_off_and_hides_no_honest_pool(flooded: LocalDex) -> None:
    """At the start and while following; what honest factories made before, between and after is found."""
    flood(flooded, 2)
    between = flooded.create_v3(flooded.venues[1], flooded.tokens[0], flooded.tokens[2], 500, 1 << 96)
    flood(flooded, 2, 10**7)
    found, refused = await searched(flooded, factory())
    assert found == {flooded.pair, *flooded.pools, between}
    assert len(refused) == MAX_FAKES + 2
    assert refused[factory().factory] == IGNORED
    chain = {"chain_id": 31337, "rpc_url": "http://127.0.0.1:1"}
    tokens = {"base_tokens": flooded.tokens, "wrapped_native": flooded.tokens[0]}
    settings = build_settings({"chain": chain, "market": tokens}, "test")
    async with RpcNode(flooded.node.http) as node:
        feed = MarketFeed(node, settings, lambda what, done, total: None)
        feed.venues = (factory(), *flooded.venues)
        market = await feed.read_all(header(flooded.node.block()).ref)
        assert set(market.pool_row) == found
        known = len(feed.refused)
        flood(flooded, 1, 10**8)
        await feed.admit(market, head_with_logs(flooded))
        grown = len(feed.refused)
        assert known < grown <= known + MAX_FAKES + 2
        flood(flooded, 1, 10**9)
        await feed.admit(market, head_with_logs(flooded))
        assert len(feed.refused) == grown
        late = flooded.create_v3(flooded.venues[1], flooded.tokens[1], flooded.tokens[2], 3000, 1 << 96)
        raw = head_with_logs(flooded)
        block = flooded.node.block(hex(raw.block.number - 1))
        created = flooded.node.rpc("eth_getLogs", {"blockHash": block["hash"]})
        await feed.admit(market, RawBlock(raw.block, created + list(raw.logs)))
        assert late in market.pool_row


@pytest.mark.parametrize("protocol", [Protocol.CAMELOT_V2, Protocol.SLIPSTREAM])
async def test_fakes_of_other_kinds_are_cut_off_too(flooded: LocalDex, protocol: Protocol) -> None:
    """As pools to be asked about, and as logs of another protocol."""
    flood(flooded, 1)
    found, refused = await searched(flooded, factory(protocol))
    assert found == {flooded.pair, *flooded.pools}
    assert refused[factory().factory] == IGNORED
    assert len(refused) <= MAX_FAKES + 2


def test_pools_that_only_a_list_can_name_cost_no_more_beside_many_others() -> None:
    """A node may say that there are as many logs as fit into an answer, of kinds that nothing proves."""
    weighted, curve = (
        Venue(protocol.value, protocol, address, address, ZERO_HASH)
        for protocol, address in (
            (Protocol.BALANCER_V2_WEIGHTED, "0x" + "b1" * 20),
            (Protocol.CURVE_STABLESWAP, "0x" + "c1" * 20),
        )
    )
    count = 20_000
    logs = [
        {"address": weighted.factory, "topics": [BALANCER_POOL, f"0x{n:064x}"], "data": "0x"}
        for n in range(1, count + 1)
    ]
    logs += [{"address": curve.factory, "topics": [CURVE_DEPLOYS[0]], "data": "0x"}] * count
    started = time.process_time()
    found = decode_creations(logs, [weighted, curve])
    assert time.process_time() - started < 10
    assert len(found.sightings) == count + 1
    assert found.sightings[-1] == Sighting(curve, "")


@pytest.mark.campaign
async def test_a_million_fakes(flooded: LocalDex) -> None:
    many = 12_500
    flood(flooded, 2, per_block=many)
    await searched(flooded, factory())
    before = resident_mib()
    flood(flooded, 78, 10**7, many)
    started = time.perf_counter()
    found, refused = await searched(flooded, factory())
    seconds, grown = time.perf_counter() - started, resident_mib() - before
    print(f"{80 * many:,} fakes: searched in {seconds:.1f} s, {grown:.0f} MiB more kept in memory")
    assert found == {flooded.pair, *flooded.pools}
    assert len(refused) == MAX_FAKES + 2
    assert grown < 400
