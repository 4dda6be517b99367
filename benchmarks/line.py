"""The line's own work on a block: the node's JSON in, the best opportunity's calldata out."""

from __future__ import annotations

import gc
import time
from typing import Any

import numpy as np
import orjson

from benchmarks.measure import Result, main
from benchmarks.synthetic import Size, SyntheticMarket, count_pools
from engine.amm.quote import quote_exact_in
from engine.chain.logs import decode
from engine.domain.opportunity import Opportunity
from engine.execution.encoder import encode_stream
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.finder import Finder

SEED = 9
WARM_UP, BLOCKS = 10, 200
MAX_HOPS = 3
LIMIT = 10
GAS_PRICE_WEI = 10**9
STAGES = ("parse", "decode", "apply", "find", "encode")


def _check(market: Market, found: list[Opportunity]) -> None:
    """The quotes along each cycle are those of the applied state. Raises AssertionError."""
    for opportunity in found:
        last = opportunity.hops[-1]
        row = market.pool_row[last.pool]
        assert quote_exact_in(market.arrays, row, last.zero_for_one, last.amount_in) == last.amount_out
        assert opportunity.gross_profit > 0


class Stopwatch:
    """Milliseconds of each stage of one block."""

    def __init__(self) -> None:
        self.laps: list[float] = []
        self._since = time.perf_counter()

    def lap(self) -> None:
        now = time.perf_counter()
        self.laps.append((now - self._since) * 1e3)
        self._since = now


def run_blocks() -> tuple[np.ndarray, dict[str, Any]]:
    """Milliseconds f64[BLOCKS, stages], and what was worked on."""
    world = SyntheticMarket(SEED, Size())
    market = world.market
    finder = Finder(market, [world.base], MAX_HOPS)
    costs = GasCosts(gas_price_wei=GAS_PRICE_WEI, base_units_per_eth_wei={world.base: 1})
    at_rest = len(finder.find(None, world.head, costs))
    rows, logs, found_total, sized = [], 0, 0, 0
    gc.collect()
    gc.freeze()
    for n in range(WARM_UP + BLOCKS):
        block, body = world.next_block()
        gc.collect()
        gc.disable()
        watch = Stopwatch()
        received = orjson.loads(body)["result"]
        watch.lap()
        decoded = decode(received, market.pool_row)
        watch.lap()
        changed = market.apply(block, decoded.events)
        watch.lap()
        found = finder.find(changed, block, costs, LIMIT)
        watch.lap()
        if found:
            encode_stream(found[0], block.timestamp + 36, found[0].gross_profit)
        watch.lap()
        gc.enable()
        _check(market, found)
        assert not decoded.hostile
        assert decoded.unknown == 0
        if n >= WARM_UP:
            rows.append(watch.laps)
            logs, found_total, sized = logs + len(received), found_total + bool(found), sized + len(found)
    gc.unfreeze()
    facts = {
        "pools": count_pools(market),
        "candidates": finder.candidates_count,
        "profitable_cycles_at_rest": at_rest,
        "blocks": BLOCKS,
        "logs_per_block": logs / BLOCKS,
        "blocks_with_opportunities": found_total,
        "opportunities": sized,
    }
    return np.array(rows), facts


def _percentiles(times: np.ndarray) -> dict[str, float]:
    return {name: round(float(np.percentile(times, q)), 3) for name, q in (("p50", 50), ("p99", 99))}


def measure() -> list[Result]:
    """Percentiles of the whole and of each stage."""
    times, facts = run_blocks()
    pools = sum(facts["pools"].values())
    work = (
        f"a block's logs as JSON to the calldata of its best opportunity: {pools:,} pools "
        f"({facts['pools']['uniswap-v3']:,} of them V3), cycles of up to {MAX_HOPS} hops"
    )
    stages = {stage: _percentiles(times[:, k]) for k, stage in enumerate(STAGES)}
    return [Result("line", work, "ms", _percentiles(times.sum(axis=1)), extra={"stages": stages, **facts})]


if __name__ == "__main__":
    raise SystemExit(main(measure))
