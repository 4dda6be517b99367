"""The finder on real pool states, against brute force over plain integers."""

from __future__ import annotations

import numpy as np
import pytest
from search_reference import all_cycles, best_profit, check_execution, closed_form, from_market, profit
from snapshot_files import BLOCK, WETH, snapshot_path, v2_balances, v2_pairs, v3_ticks

from engine.market.market import Market
from engine.market.snapshot import load
from engine.search.finder import Finder

USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
# The closed-form optimum of each profitable cycle polished over three units each way, summed.
BENCH_TOTAL = 2_098_580_165_178_116_099


@pytest.fixture(scope="module")
def bench() -> Market:
    return load(snapshot_path("bench_graph_5757_v2.json.gz"))[0]


def test_bench_graph_total(bench: Market) -> None:
    finder = Finder(bench, [WETH], 3)
    found = finder.find(None, bench.head)
    assert finder.candidates_count == 25_076
    assert len(found) >= 7_209
    assert sum(opportunity.gross_profit for opportunity in found) >= BENCH_TOTAL


def test_bench_graph_equals_brute_force(bench: Market) -> None:
    pools = from_market(bench)
    found = {}
    for opportunity in Finder(bench, [WETH], 3).find(None, bench.head):
        found[check_execution(pools, bench, opportunity)] = opportunity.gross_profit
    expected = {}
    for cycle in all_cycles(pools, bench.token_row[WETH], 3):
        optimum = closed_form(pools, cycle)
        gains = (profit(pools, cycle, x) for x in range(max(1, optimum - 3), optimum + 4)) if optimum else ()
        best = max((gain for gain in gains if gain is not None), default=0)
        if best > 0:
            expected[cycle] = best
    assert len(expected) == 7_209
    assert sum(expected.values()) == BENCH_TOTAL
    assert found.keys() == expected.keys()
    assert all(found[cycle] >= best for cycle, best in expected.items())


def compare(market: Market, base: str, max_hops: int) -> tuple[int, int]:
    """(candidates, profitable), with the finder's answer equal to brute force's."""
    pools = from_market(market)
    finder = Finder(market, [base], max_hops)
    found = {}
    for opportunity in finder.find(None, BLOCK):
        found[check_execution(pools, market, opportunity)] = opportunity.gross_profit
    cycles = list(all_cycles(pools, market.token_row[base], max_hops))
    assert len(cycles) == finder.candidates_count
    for cycle in cycles:
        assert found.get(cycle, 0) >= best_profit(pools, cycle, forward=True), cycle
    return len(cycles), len(found)


def test_v3_moment_without_arbitrage() -> None:
    market = v3_ticks("univ3_ticks_mainnet_2025_17pools.json")
    assert compare(market, WETH, 3) == (8, 0)
    assert compare(market, WETH, 4) == (12, 0)
    assert compare(market, USDC, 4)[1] == 0


@pytest.mark.parametrize("percent", [-5, -3, 3, 5])
@pytest.mark.parametrize("moved", [0, 1, 3, 4, 6, 7])
def test_v3_moment_with_one_price_moved(moved: int, percent: int) -> None:
    market = v3_ticks("univ3_ticks_mainnet_2025_17pools.json")
    pools = from_market(market)
    state = pools[moved].v3
    assert state is not None
    # Swap in plain integers until the pool stands at another price, as a trader would leave it.
    target = int(state.sqrt_price * (1 + percent / 200))
    state.swap(percent < 0, 10**30, True, target)
    ticks = sorted(state.ticks.items())
    market.set_v3(moved, state.sqrt_price, state.liquidity, state.tick, ticks)
    profitable = [compare(market, base, 3)[1] for base in (WETH, USDC)]
    assert max(profitable) > 0


def test_v2_block_without_arbitrage() -> None:
    market = v2_balances("univ2_mainnet_20440688_700pools.json")
    assert len(market.pools) > 600
    assert compare(market, WETH, 3)[1] == 0


def test_v2_crawl_counts() -> None:
    """1,454 three-hop and 101,156 four-hop cycles have a product of rates above one; none of two hops."""
    market = v2_pairs("univ2_mainnet_2020-09_pairs.json")
    assert len(market.pools) > 10_700
    for max_hops, expected in ((2, 0), (3, 1_454), (4, 1_454 + 101_156)):
        candidates = Finder(market, [WETH], max_hops).candidates()
        assert candidates.complete
        assert candidates.rings == len(candidates.cycles) == expected


def test_v2_crawl_equals_brute_force() -> None:
    market = v2_pairs("univ2_mainnet_2020-09_pairs.json")
    assert compare(market, WETH, 2)[1] == 0
    assert compare(market, WETH, 3)[1] > 900


def test_v2_crawl_four_hops() -> None:
    market = v2_pairs("univ2_mainnet_2020-09_pairs.json")
    finder = Finder(market, [WETH], 4)
    found = finder.find(None, BLOCK, limit=50)
    assert len(found) == 50
    pools = from_market(market)
    for opportunity in found:
        cycle = check_execution(pools, market, opportunity)
        assert opportunity.gross_profit >= best_profit(pools, cycle)
    row = market.pool_row[found[0].hops[0].pool]
    again = finder.find(np.array([row], np.int32), BLOCK, limit=1)
    assert again[0] == found[0]
