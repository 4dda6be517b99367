"""The finder against brute force over plain integers."""

from __future__ import annotations

import random

import pytest
from search_reference import (
    BLOCK,
    all_cycles,
    best_profit,
    check_execution,
    profit,
    random_pools,
    to_market,
    token_address,
    trisect,
)

from engine.search.finder import Finder


def compare(pools: list, tokens: int, base: int, max_hops: int) -> tuple[int, int]:
    """(profitable by brute force, found); every found cycle executes, none of brute force's is missed or
    beaten."""
    market = to_market(pools, tokens)
    finder = Finder(market, [token_address(base)], max_hops)
    cycles = list(all_cycles(pools, base, max_hops))
    assert finder.candidates_count == len(cycles)
    found = {}
    for opportunity in finder.find(None, BLOCK):
        cycle = check_execution(pools, market, opportunity)
        assert cycle not in found
        found[cycle] = opportunity.gross_profit
    assert found.keys() <= set(cycles)
    profitable = 0
    for cycle in cycles:
        expected = best_profit(pools, cycle)
        profitable += expected > 0
        assert found.get(cycle, 0) >= expected, cycle
        if expected and any(pools[n].v3 is not None for n, _ in cycle):
            # Found without a formula and sold forward, as no router command does: a few units off at most.
            free = profit(pools, cycle, trisect(pools, cycle)) or 0
            assert found[cycle] >= free - max(16, free // 100_000), cycle
    return profitable, len(found)


@pytest.mark.parametrize("seed", range(20))
def test_v2_graphs(seed: int) -> None:
    rng = random.Random(seed)
    pools = random_pools(rng, 7, 24, 0.0, rng.choice([0.002, 0.02, 0.3]))
    expected, found = compare(pools, 7, rng.randrange(7), 3)
    assert found >= expected


@pytest.mark.parametrize("seed", range(40))
def test_mixed_graphs(seed: int) -> None:
    rng = random.Random(1000 + seed)
    pools = random_pools(rng, 6, 14, 0.6, rng.choice([0.005, 0.05]))
    expected, found = compare(pools, 6, rng.randrange(6), 3)
    assert found >= expected


def test_four_hops() -> None:
    rng = random.Random(77)
    pools = random_pools(rng, 5, 14, 0.2, 0.01)
    expected, found = compare(pools, 5, 0, 4)
    assert found >= expected > 0
