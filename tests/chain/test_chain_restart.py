"""Starting again: what is in the cache and was not touched since is not read again, and is right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fault_proxy import FaultProxy
from local_dex import LocalDex

from engine.app import market_feed
from engine.app.listed import read_listed
from engine.app.market_feed import MarketFeed
from engine.app.settings import build_settings
from engine.chain.changes import touched_since
from engine.chain.rpc import RpcNode
from engine.chain.wire import header
from engine.domain.errors import ConfigError, NodeError
from engine.market.market import Market
from engine.storage.pool_cache import PoolCache, refusals


class Starts:
    """Starts of a bot on one node and one cache."""

    def __init__(self, dex: LocalDex, proxy: FaultProxy, path: Path):
        self.dex, self.proxy, self.path = dex, proxy, path
        self.market: dict[str, object] = {}

    async def start(self, *, cached: bool = True) -> tuple[MarketFeed, Market]:
        chain = {"chain_id": 31337, "rpc_url": "http://127.0.0.1:1"}
        market: dict[str, object] = {"base_tokens": self.dex.tokens, "wrapped_native": self.dex.tokens[0]}
        market |= self.market
        settings = build_settings({"chain": chain, "market": market}, "test")
        cache = PoolCache(self.path, 31337) if cached else None
        self.proxy.counts.clear()
        async with RpcNode(self.proxy.http, attempts=1) as node:
            feed = MarketFeed(node, settings, lambda what, done, total: None, cache)
            feed.venues = tuple(self.dex.venues)
            try:
                read = await feed.read_all(header(self.dex.node.block()).ref)
            finally:
                if cache is not None:
                    cache.close()
        return feed, read

    async def assert_right(self, market: Market) -> None:
        """Equal, pool by pool, to a market read from nothing."""
        _, fresh = await self.start(cached=False)
        assert market.pool_row.keys() == fresh.pool_row.keys()
        for key, row in fresh.pool_row.items():
            assert market.state_of(market.pool_row[key]) == fresh.state_of(row)
        assert {token.address: token for token in market.tokens} == {t.address: t for t in fresh.tokens}


@pytest.fixture
def starts(local_dex: LocalDex, tmp_path: Path) -> Iterator[Starts]:
    with FaultProxy(local_dex.node.http) as proxy:
        yield Starts(local_dex, proxy, tmp_path / "pools-31337.sqlite")


async def test_a_restart_reads_only_what_changed(starts: Starts) -> None:
    dex = starts.dex
    feed, _ = await starts.start()
    assert feed.reread == 4
    everything = starts.proxy.counts["eth_call"]
    feed, market = await starts.start()
    assert (feed.reread, starts.proxy.counts["eth_call"]) == (0, 0)
    await starts.assert_right(market)
    dex.swap_v3(dex.pools[0], True, 10**18)
    dex.mint(dex.pools[1], -600, 600, 10**20)
    feed, market = await starts.start()
    assert feed.reread == 2
    assert 0 < starts.proxy.counts["eth_call"] < everything
    await starts.assert_right(market)
    # A pool created meanwhile is found, and no factory is searched from the start again.
    created = dex.create_v3(dex.venues[1], dex.tokens[0], dex.tokens[2], 500, 1 << 96)
    feed, market = await starts.start()
    assert feed.reread == 1
    assert created in market.pool_row
    await starts.assert_right(market)


async def test_a_cache_of_another_branch_is_not_believed(starts: Starts) -> None:
    dex = starts.dex
    dex.swap_v2(True, 10**20)
    await starts.start()
    dex.node.rpc("anvil_reorg", 1, [])
    feed, market = await starts.start()
    assert feed.reread == 4
    await starts.assert_right(market)


async def test_an_interrupted_reading_goes_on_where_it_stopped(starts: Starts) -> None:
    """The node dies once the pools were found and the first of them were read."""
    import engine.chain.bootstrap as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_POOLS_PER_BATCH", 2)
        reads = 0

        def die(method: str, params: list, result: object) -> object:
            nonlocal reads
            reads += method == "eth_call" and params[0].get("data") == "0x3850c7bd"
            if reads > 1:
                starts.proxy.refusing = True
                starts.proxy.cut()
            return result

        starts.proxy.alter = lambda method, params, result: (
            die(method, params, result) if method == "eth_call" else result
        )
        # From the proxy's own thread a cut would wait for itself.
        starts.proxy._call = lambda action: action()  # type: ignore[method-assign]
        with pytest.raises(NodeError):
            await starts.start()
        starts.proxy.behave()
        feed, market = await starts.start()
    assert 0 < feed.reread < 4
    await starts.assert_right(market)


async def test_a_cap_on_logs_is_worked_around(starts: Starts) -> None:
    dex = starts.dex
    first = int(dex.node.block()["number"], 16) + 1
    for at in range(6):
        dex.swap_v2(at % 2 == 0, 10**18)
        dex.swap_v3(dex.pools[at % 3], True, 10**15)
    last = int(dex.node.block()["number"], 16)
    emitters = {pool: {"": [pool]} for pool in [dex.pair, *dex.pools]}
    async with RpcNode(starts.proxy.http) as node:
        whole = await touched_since(node, emitters, first, last)
        starts.proxy.log_cap = 2
        assert await touched_since(node, emitters, first, last) == whole == set(emitters)
        starts.proxy.log_cap = 0
        with pytest.raises(NodeError, match="more than 0"):
            await touched_since(node, emitters, first, last)


async def test_pools_of_unknown_code_are_left_out_with_a_reason_and_within_bounds(
    starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A factory whose pools run other code than the registry says may make as many as it likes."""
    dex = starts.dex
    dex.venues = [replace(venue, init_code_hash="0x" + "ee" * 32) for venue in dex.venues]
    feed, market = await starts.start()
    assert market.pool_count == 0
    assert set(feed.refused) == {dex.pair, *dex.pools}
    assert all("not at the address" in reason for reason in feed.refused.values())
    assert refusals(starts.path.parent) == feed.refused
    starts.path.unlink()
    monkeypatch.setattr(market_feed, "MAX_REFUSED", 2)
    feed, _ = await starts.start()
    assert len(feed.refused) == 2


async def test_a_persons_list_finds_pools_without_a_search(starts: Starts) -> None:
    dex, listing = starts.dex, starts.path.with_name("pools.json")
    stranger = "0x" + "5a" * 20
    entries = [
        {"address": dex.pair.upper().replace("0X", "0x"), "protocol": "uniswap-v2"},
        {"address": dex.pools[0], "protocol": "uniswap-v3"},
        {"address": dex.pools[2], "protocol": "uniswap-v3", "venue": "pancake"},
        {"address": dex.pools[1], "protocol": "uniswap-v3", "venue": "pancake"},
        {"address": stranger, "protocol": "uniswap-v2"},
        {"address": "0x" + "5b" * 20, "protocol": "curve-stableswap"},
    ]
    listing.write_text(json.dumps(entries))
    starts.market = {"pools_file": str(listing), "only_listed": True}
    feed, market = await starts.start()
    assert set(market.pool_row) == {dex.pair, dex.pools[0], dex.pools[2]}
    assert market.pools[market.pool_row[dex.pools[2]]].venue == "pancake"
    assert feed.refused == {
        dex.pools[1]: "none of the known factories made it",
        stranger: "none of the known factories made it",
        "0x" + "5b" * 20: "its factory is unknown: no venue of the registry fits",
    }
    assert starts.proxy.counts["eth_getLogs"] == 0


@pytest.mark.parametrize(
    "text", ["", "{}", "[5]", '[{"address":"0x1","protocol":"weth"}]', '[{"address":"0x' + "1" * 40 + '"}]']
)
def test_a_list_that_is_none_is_a_persons_mistake(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pools.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"pools_file .*pools\.json"):
        read_listed(path, [])
