"""Markets made to break a search: it ends in time, and what it says is exact."""

from __future__ import annotations

import math
import random
import time

import numpy as np
import pytest
from search_reference import (
    BLOCK,
    UINT112,
    Pool,
    all_cycles,
    best_profit,
    check_execution,
    random_pools,
    to_market,
    token_address,
)

from engine.domain.market import PoolRecord, Protocol, Token
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.finder import MAX_CANDIDATES, Finder

CROWD = 50_000


@pytest.fixture(scope="module")
def crowd() -> Market:
    """A token with fifty thousand pools, each with a token of its own, and a few that make cycles."""
    market = Market()
    hub = token_address(0)
    market.add_token(Token(hub, "HUB", 18))
    for n in range(1, CROWD + 1):
        token = token_address(n)
        market.add_token(Token(token, "T", 18))
        row = market.add_pool(
            PoolRecord(token_address(2**32 + n), Protocol.UNISWAP_V2, "", (hub, token), 3000)
        )
        market.set_v2(row, 10**20, 10**20 + 10**12 * n)
    for n in range(200):
        tokens = token_address(2 * n + 1), token_address(2 * n + 2)
        row = market.add_pool(PoolRecord(token_address(2**33 + n), Protocol.UNISWAP_V2, "", tokens, 3000))
        market.set_v2(row, 10**20, int(10**20 * (1.05 if n % 10 == 0 else 1.0)))
    market.start(BLOCK)
    return market


@pytest.mark.parametrize("base", [0, 1])
def test_a_token_with_fifty_thousand_pools(crowd: Market, base: int) -> None:
    finder = Finder(crowd, [token_address(base)], 4)
    found = finder.find(None, BLOCK, limit=20)
    assert found
    assert not found.partial
    assert all(opportunity.gross_profit > 0 for opportunity in found)
    row = crowd.pool_row[found[0].pools[1]]
    assert finder.find(np.array([row], np.int32), BLOCK, limit=1)[0] == found[0]


@pytest.mark.parametrize(("room", "seconds"), [(MAX_CANDIDATES, 0.02), (64, 0.5)])
def test_a_search_among_millions_ends_and_says_what_it_left_out(room: int, seconds: float) -> None:
    """Hundreds of pools side by side far out of balance: millions of cycles, little time or little memory."""
    rng = random.Random(1)
    pools = [
        Pool(tokens, 3000, (10**21, int(10**21 * rng.uniform(0.5, 2.0))))
        for tokens in ((0, 1), (1, 2), (0, 2), (0, 3), (2, 3))
        for _ in range(120)
    ]
    market = to_market(pools, 4)
    finder = Finder(market, [token_address(0)], 4, max_candidates=room)
    started = time.monotonic()
    found = finder.find(None, BLOCK, limit=5, deadline=started + seconds)
    # What was begun is finished: a walk up to its bound on memory, a batch of cycles.
    assert time.monotonic() - started < 20.0
    assert found.partial
    values = [opportunity.gross_profit for opportunity in found]
    assert values == sorted(values, reverse=True)
    for opportunity in found:
        check_execution(pools, market, opportunity)


def test_a_deadline_in_the_past_finds_nothing_and_says_so() -> None:
    pools = random_pools(random.Random(2), 5, 30, 0.4, 0.05)
    finder = Finder(to_market(pools, 5), [token_address(0)], 4)
    late = finder.find(None, BLOCK, deadline=time.monotonic() - 1.0)
    assert late == []
    assert late.partial
    assert not finder.find(None, BLOCK).partial


@pytest.mark.parametrize("seed", range(4))
def test_prices_and_decimals_at_the_ends(seed: int) -> None:
    """Prices from 1e-18 to 1e18, tokens of 0 and 36 decimals: nothing but finite, exact answers."""
    rng = random.Random(seed)
    decimals = [0, 36, 18, 6, 2]
    pools = []
    for _ in range(26):
        first, second = sorted(rng.sample(range(5), 2))
        price = 10.0 ** rng.choice([-18, -9, 0, 9, 18]) * rng.uniform(0.9, 1.1)
        size = 10.0 ** rng.uniform(0, 30)
        reserves = max(1, min(UINT112, int(size))), max(1, min(UINT112, int(size * price)))
        pools.append(Pool((first, second), rng.choice([0, 1, 3000, 999_999]), reserves))
    market = to_market(pools, 5)
    for row, places in enumerate(decimals):
        market.tokens[row] = Token(market.tokens[row].address, "T", places)
    base = rng.randrange(5)
    rates = {token_address(base): 10.0 ** rng.choice([-18, 0, 18])}
    costs = GasCosts(gas_price_wei=10**9, base_units_per_eth_wei=rates)
    finder = Finder(market, [token_address(base)], 4)
    found = finder.find(None, BLOCK, costs)
    assert finder.find(None, BLOCK, costs, limit=7) == found[:7]
    profits = {check_execution(pools, market, one): one.gross_profit for one in found}
    for cycle in all_cycles(pools, base, 4):
        assert profits.get(cycle, 0) >= best_profit(pools, cycle), cycle
    candidates = finder.candidates()
    assert all(math.isfinite(value) for value in finder.est_ceilings(candidates))


@pytest.mark.parametrize("seed", range(6))
def test_the_first_few_are_the_first_of_all(seed: int) -> None:
    """Cycles that are never sized or verified, for their ceilings, are indeed not among them."""
    rng = random.Random(100 + seed)
    pools = random_pools(rng, 6, 22, 0.6, rng.choice([0.005, 0.05]))
    market = to_market(pools, 6)
    rates = {token_address(0): 1.0, token_address(2): 10.0 ** rng.uniform(-6, 6)}
    costs = GasCosts(gas_price_wei=rng.choice([0, 10**6, 10**9]), base_units_per_eth_wei=rates)
    finder = Finder(market, [token_address(k) for k in (0, 2, 4)], 3)
    every = finder.find(None, BLOCK, costs)
    for limit in (1, 3, 10):
        assert finder.find(None, BLOCK, costs, limit) == every[:limit]


@pytest.mark.parametrize("seed", range(6))
def test_no_execution_exceeds_its_ceiling(seed: int) -> None:
    rng = random.Random(200 + seed)
    pools = random_pools(rng, 6, 22, 0.6, rng.choice([0.01, 0.3]))
    finder = Finder(to_market(pools, 6), [token_address(1)], 3)
    solved = finder.solve()
    ceilings = finder.est_ceilings(finder.candidates())
    found = finder.find(None, BLOCK)
    gained = {tuple(finder.market.pool_row[pool] for pool in one.pools): one.gross_profit for one in found}
    assert gained
    for edges, ceiling in zip(solved.cycles.tolist(), ceilings.tolist(), strict=True):
        assert gained.get(tuple(edge >> 1 for edge in edges if edge >= 0), 0) <= ceiling


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_cap_on_what_is_sold_is_kept(share: float) -> None:
    rng = random.Random(5)
    pools = random_pools(rng, 5, 20, share, 0.05)
    market = to_market(pools, 5)
    base = token_address(0)
    free = Finder(market, [base], 3).find(None, BLOCK)
    cap = sorted(one.amount_in for one in free)[len(free) // 2]
    capped = Finder(market, [base], 3, max_input={base: cap}).find(None, BLOCK)
    assert all(one.amount_in <= cap for one in capped)
    known = {one.pools: one.gross_profit for one in capped}
    for one in free:
        if one.amount_in <= cap:
            assert known[one.pools] >= one.gross_profit * (1 - 1e-6)
        else:
            # Profit rises up to the optimum: a smaller size earns, and less.
            assert 0 < known.get(one.pools, 1) <= one.gross_profit
    assert Finder(market, [base], 3, max_input={base: 0}).find(None, BLOCK) == []
