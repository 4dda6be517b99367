"""Pools found and read on a real local node: from nothing, and at later starts, when few have changed.

The pools are those of the published factories of Uniswap V2 and V3, each with liquidity.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import rlp
from eth_abi import encode
from eth_utils import keccak

from benchmarks.gas_market import Node, calldata
from benchmarks.measure import Result, main
from engine.app.market_feed import MarketFeed
from engine.app.settings import build_settings
from engine.app.toolchain import forge_artifact
from engine.app.world.dexes import published
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.chain.rpc import connect
from engine.chain.wire import header
from engine.domain.market import Protocol, Venue
from engine.domain.provenance import pool_address
from engine.storage.pool_cache import PoolCache

TOKENS, V3_POOLS, CHANGED = 46, 200, 50
_CHAIN, _FEE, _EDGE = 31337, 3000, 887_220
_Q96 = 1 << 96
_BATCH = 250


class Ground:
    """The node with the factories and pools."""

    def __init__(self, url: str) -> None:
        self.node = Node(url)
        self.owner: str = self.node("eth_accounts")[0]
        self._pending: list[dict[str, Any]] = []
        creation = forge_artifact("WorldToken").bytecode
        made = [encode(["string", "string", "uint8"], [f"Token {n}", f"T{n}", 18]) for n in range(TOKENS)]
        first = self._nonce = int(self.node("eth_getTransactionCount", self.owner, "latest"), 16)
        self.tokens = sorted(
            (self._deploy(creation + arguments, first + at) for at, arguments in enumerate(made)),
            key=lambda token: int(token, 16),
        )
        v2 = self._deploy(
            published("UniswapV2Factory").bytecode + encode(["address"], [self.owner]), first + TOKENS
        )
        v3 = self._deploy(published("UniswapV3Factory").bytecode, first + TOKENS + 1)
        self.callee = self._deploy(forge_artifact("V3Callee").bytecode, first + TOKENS + 2)
        hashes = [
            "0x" + keccak(published(name).bytecode).hex() for name in ("UniswapV2Pair", "UniswapV3Pool")
        ]
        self.venues = (
            Venue("v2", Protocol.UNISWAP_V2, v2, v2, hashes[0], fee_pips=_FEE),
            Venue("v3", Protocol.UNISWAP_V3, v3, v3, hashes[1]),
        )
        self.pairs = [self._pair(*tokens) for tokens in combinations(self.tokens, 2)]
        for token in self.tokens:
            self._call(token, "mint(address,uint256)", self.owner, 10**40)
            self._call(token, "approve(address,uint256)", self.callee, 2**256 - 1)
        self.pools = [self._pool(*tokens) for tokens in list(combinations(self.tokens, 2))[:V3_POOLS]]
        self.flush()

    def change(self, count: int) -> None:
        """Give to so many pairs, and let them notice."""
        for pair in self.pairs[:count]:
            self._call(self.tokens[0], "mint(address,uint256)", pair, 10**18)
            self._call(pair, "sync()")
        self.flush()

    def flush(self) -> None:
        """Send what was called for, and mine it."""
        for start in range(0, len(self._pending), _BATCH):
            self._post(self._pending[start : start + _BATCH])
            self.node("evm_mine")
        self._pending.clear()

    def _pair(self, first: str, second: str) -> str:
        factory = self.venues[0].factory
        self._call(factory, "createPair(address,address)", first, second)
        pair = pool_address(self.venues[0], first, second, _FEE)
        for token in (first, second):
            self._call(token, "mint(address,uint256)", pair, 10**24)
        self._call(pair, "mint(address)", self.owner)
        return pair

    def _pool(self, first: str, second: str) -> str:
        self._call(self.venues[1].factory, "createPool(address,address,uint24)", first, second, _FEE)
        pool = pool_address(self.venues[1], first, second, _FEE)
        self._call(pool, "initialize(uint160)", _Q96)
        for edge in (_EDGE, 6_000, 600):
            signature = "mint(address,address,int24,int24,uint128)"
            self._call(self.callee, signature, pool, self.owner, -edge, edge, 10**21)
        return pool

    def _call(self, to: str, signature: str, *arguments: Any) -> None:
        self._pending.append({"to": to, "data": "0x" + calldata(signature, *arguments).hex()})

    def _deploy(self, code: bytes, nonce: int) -> str:
        self._pending.append({"data": "0x" + code.hex()})
        return "0x" + keccak(rlp.encode([bytes.fromhex(self.owner[2:]), nonce]))[12:].hex()

    def _post(self, transactions: Sequence[dict[str, Any]]) -> None:
        body = [
            {"jsonrpc": "2.0", "id": at, "method": "eth_sendTransaction"}
            | {"params": [{"from": self.owner, "gas": hex(6_000_000), "nonce": hex(self._nonce + at)} | each]}
            for at, each in enumerate(transactions)
        ]
        request = urllib.request.Request(
            self.node.url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            refused = [each["error"] for each in json.loads(response.read()) if "error" in each]
        assert not refused, refused[0]
        self._nonce += len(transactions)


async def _start(ground: Ground, path: Path) -> tuple[float, int, int]:
    """(seconds, pools in the market, pools asked for) of one start with the cache at `path`."""
    chain = {"chain_id": _CHAIN, "rpc_url": ground.node.url}
    market = {"base_tokens": ground.tokens, "wrapped_native": ground.tokens[0]}
    settings = build_settings({"chain": chain, "market": market}, "benchmark")
    cache = PoolCache(path, _CHAIN)
    try:
        async with connect(ground.node.url) as node:
            head = header(await node.request("eth_getBlockByNumber", ["latest", False])).ref
            feed = MarketFeed(node, settings, lambda what, done, total: None, cache)
            feed.venues = ground.venues
            started = time.perf_counter()
            read = await feed.read_all(head)
            seconds = time.perf_counter() - started
            assert not feed.refused, next(iter(feed.refused.items()))
            return seconds, read.pool_count, feed.reread
    finally:
        cache.close()


def measure() -> list[Result]:
    """Make the pools, then start three times: from nothing, unchanged, and after some changed."""
    options = AnvilOptions(chain_id=_CHAIN, order="fifo", no_mining=True, gas_limit=4_000_000_000)
    with AnvilProcess(options) as anvil, tempfile.TemporaryDirectory() as folder:
        ground, path = Ground(anvil.http_url), Path(folder) / "pools.sqlite"
        cold, pools, asked = asyncio.run(_start(ground, path))
        assert pools == asked == len(ground.pairs) + len(ground.pools)
        again, _, none = asyncio.run(_start(ground, path))
        ground.change(CHANGED)
        changed, _, some = asyncio.run(_start(ground, path))
        assert (none, some) == (0, CHANGED)
    found = {
        "from_nothing_s": round(cold, 2),
        "pools_per_s": round(pools / cold),
        "unchanged_s": round(again, 2),
        "changed_s": round(changed, 2),
    }
    work = (
        f"{len(ground.pairs):,} pairs of Uniswap V2 and {len(ground.pools)} pools of V3 found and read on a "
        f"local node; a start with nothing changed asks for no pool, one after {CHANGED} changed for these"
    )
    return [Result("discovery", work, "s", found)]


if __name__ == "__main__":
    raise SystemExit(main(measure))
