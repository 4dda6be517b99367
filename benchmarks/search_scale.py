"""Exhaustive searches at scale, and what a block costs: 100,000 pools, a crawl of mainnet, 10,000 mixed."""

from __future__ import annotations

import gc
import json
import math
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks.measure import Result, Unmeasurable, main
from benchmarks.synthetic import Size, SyntheticMarket, count_pools
from engine.chain.logs import decode
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market
from engine.search.codes import FOUND
from engine.search.costs import GasCosts
from engine.search.finder import Finder

SEED = 12
POOLS, HUBS, BASES = 100_000, 200, 5
SHOCKED = 30
ROUNDS = 15
BLOCKS, WARM_UP = 400, 20
CRAWL = "snapshots/univ2_mainnet_2020-09_pairs.json"
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
_START = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 1_700_000_000)


def _address(number: int) -> str:
    return f"0x{number:040x}"


def large_market() -> Market:
    """V2 pools as mainnet has them: a fifth among the hubs with up to twelve side by side, the rest a new
    token against a hub, mostly the first. Prices agree within the fees but for a few."""
    rng = random.Random(SEED)
    market = Market()
    worth = [10.0 ** rng.uniform(-6, 6) for _ in range(HUBS)]
    for n in range(HUBS):
        market.add_token(Token(_address(n + 1), f"H{n}", 18))
    side_by_side: dict[tuple[int, int], int] = {}
    for n in range(POOLS):
        if n % 5 == 0:
            first, second = sorted((min(int(rng.expovariate(0.06)), HUBS - 1), rng.randrange(HUBS)))
            if first == second:
                first, second = 0, 1 + rng.randrange(HUBS - 1)
            if side_by_side.get((first, second), 0) == 12:
                first, second = sorted(rng.sample(range(HUBS), 2))
            side_by_side[first, second] = side_by_side.get((first, second), 0) + 1
        else:
            first = 0 if rng.random() < 0.7 else rng.randrange(HUBS)
            second = len(worth)
            worth.append(10.0 ** rng.uniform(-6, 6))
            market.add_token(Token(_address(second + 1), f"T{second}", 18))
        error = rng.gauss(0, 0.008 if n % (POOLS // SHOCKED) == 0 else 0.0004)
        depth = 10.0 ** rng.uniform(18, 22)
        row = market.add_pool(
            PoolRecord(
                _address(2**32 + n),
                Protocol.UNISWAP_V2,
                "",
                (_address(first + 1), _address(second + 1)),
                3000,
            )
        )
        market.set_v2(row, int(depth / worth[first]) + 1, int(depth / worth[second] * math.exp(error)) + 1)
    market.start(_START)
    return market


def crawl_market() -> Market:
    """The crawled pairs; those no pair can hold are left out. Raises Unmeasurable where they are absent."""
    root = Path(os.environ.get("ROUNDTRIP_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not (root / CRAWL).is_file():
        raise Unmeasurable(f"{CRAWL} is not in the data folder (ROUNDTRIP_DATA names it)")
    market = Market()
    for pair in json.loads((root / CRAWL).read_text()):
        sides = sorted(
            (pair[token]["address"].lower(), int(pair[reserve]))
            for token, reserve in (("token0", "reserve0"), ("token1", "reserve1"))
        )
        if sides[0][0] == sides[1][0] or max(sides[0][1], sides[1][1]) >= 1 << 112:
            continue
        for token, _ in sides:
            market.add_token(Token(token, token[2:8], 18))
        tokens = sides[0][0], sides[1][0]
        record = PoolRecord(pair["address"].lower(), Protocol.UNISWAP_V2, "", tokens, 3000)
        market.set_v2(market.add_pool(record), sides[0][1], sides[1][1])
    market.start(_START)
    return market


def _milliseconds(run: Callable[[], Any], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        taken.append((time.perf_counter() - started) * 1e3)
    return taken


def _searches(market: Market, bases: list[str], hops: tuple[int, ...]) -> dict[str, Any]:
    """Cycles, those that passed the screen, those profitable in integers, and the time of it all by hops."""
    facts: dict[str, Any] = {}
    for max_hops in hops:
        finder = Finder(market, bases, max_hops)
        finder.solve()
        solved = finder.solve()
        assert solved.complete
        taken = _milliseconds(finder.solve, ROUNDS)
        facts[f"{max_hops} hops"] = {
            "cycles": finder.candidates_count,
            "screened": len(solved.cycles),
            "profitable": int((solved.codes == FOUND).sum()),
            "median_ms": round(float(np.median(taken)), 3),
            "lowest_ms": round(min(taken), 3),
        }
    return facts


def measure_large() -> Result:
    """Full searches of 100,000 pools from five base tokens."""
    market = large_market()
    facts = _searches(market, [_address(n + 1) for n in range(BASES)], (3, 4))
    ours = {f"up to {hops}": row["median_ms"] for hops, row in facts.items()}
    work = f"find and verify every profitable cycle through {BASES} base tokens of {POOLS:,} V2 pools"
    return Result("search_scale", work, "ms", ours, extra={"searches": facts, "pools": POOLS})


def measure_crawl() -> Result:
    """Full searches of the crawl from WETH."""
    market = crawl_market()
    facts = _searches(market, [WETH], (2, 3, 4))
    ours = {f"up to {hops}": row["median_ms"] for hops, row in facts.items()}
    work = f"count, find, size and verify every cycle from WETH among {len(market.pools):,} crawled V2 pairs"
    return Result("search_crawl", work, "ms", ours, extra={"searches": facts})


def measure_blocks() -> Result:
    """A block's state change to its ranked opportunities."""
    world = SyntheticMarket(SEED, Size(tokens=1_500, pools=10_000, v3_share=0.5, trades_per_block=50))
    market = world.market
    finder = Finder(market, [world.base], 3)
    costs = GasCosts(gas_price_wei=10**9, base_units_per_eth_wei={world.base: 1})
    finder.find(None, world.head, costs, 10)
    taken, worked, changed_rows, screened, found_total = [], [], 0, 0, 0
    gc.collect()
    gc.freeze()
    for n in range(WARM_UP + BLOCKS):
        block, body = world.next_block()
        events = decode(orjson.loads(body)["result"], market.pool_row, market.pools, market.hubs).events
        gc.collect(0)
        gc.disable()
        started, began = time.perf_counter(), time.process_time()
        changed = market.apply(block, events)
        found = finder.find(changed, block, costs, 10)
        elapsed, used = (time.perf_counter() - started) * 1e3, (time.process_time() - began) * 1e3
        gc.enable()
        if n >= WARM_UP:
            taken.append(elapsed)
            worked.append(used)
            changed_rows, screened = changed_rows + len(changed), screened + found.screened
            found_total += bool(found)
    gc.unfreeze()
    ours = {f"p{q}": round(float(np.percentile(taken, q)), 3) for q in (10, 50, 90, 99)}
    # Of all threads: the most a block takes on a machine with nothing else to do.
    ours |= {f"p{q} of processor time": round(float(np.percentile(worked, q)), 3) for q in (50, 99)}
    pools = count_pools(market)
    total = sum(pools.values())
    work = f"a block's events to ranked exact opportunities, {total:,} pools, cycles of up to 3 hops"
    extra = {
        "pools": pools,
        "cycles": finder.candidates_count,
        "blocks": BLOCKS,
        "changed_per_block": changed_rows / BLOCKS,
        "screened_per_block": screened / BLOCKS,
        "blocks_with_opportunities": found_total,
    }
    return Result("search_block", work, "ms", ours, extra=extra)


def measure() -> list[Result]:
    """All three; the crawl only where its data is."""
    results = [measure_large(), measure_blocks()]
    try:
        results.append(measure_crawl())
    except Unmeasurable as error:
        print(f"skipped: {error}")
    return results


if __name__ == "__main__":
    raise SystemExit(main(measure))
