"""The pruned walk against plain enumeration: same cycles, whatever the multigraph."""

from __future__ import annotations

import random

import numpy as np
import pytest
from search_reference import Pool, all_cycles, random_pools, to_market, token_address

from engine.search.finder import Finder
from engine.search.rates import RATE_FLOOR
from engine.search.screen import Candidates


def est_rate(pool: Pool, side: int) -> float:
    assert pool.reserves is not None
    kept = 1.0 - pool.fee_pips * 1e-6
    return kept * pool.reserves[1 - side] / pool.reserves[side]


def product(pools: list[Pool], cycle: tuple[tuple[int, int], ...]) -> float:
    total = 1.0
    for n, side in cycle:
        total *= est_rate(pools[n], side)
    return total


def walked(candidates: Candidates) -> list[tuple[tuple[int, int], ...]]:
    return [tuple((edge >> 1, edge & 1) for edge in row if edge >= 0) for row in candidates.cycles.tolist()]


def multigraph(rng: random.Random, tokens: int, count: int, shape: str, noise: float) -> list[Pool]:
    """Pools between random tokens, around a hub, or many side by side between few."""
    pools = random_pools(rng, tokens, count, 0.0, noise)
    for pool in pools:
        if shape == "hub" and rng.random() < 0.7:
            pool.tokens = (0, rng.randrange(1, tokens))
        elif shape == "parallel":
            pool.tokens = rng.choice([(0, 1), (0, 2), (1, 2), (2, 3), (1, 3)])
            assert pool.reserves is not None
            pool.reserves = (10**20, int(10**20 * rng.lognormvariate(0, noise)))
    return pools


@pytest.mark.parametrize("shape", ["random", "hub", "parallel"])
@pytest.mark.parametrize("max_hops", [2, 3, 4])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.5])
def test_the_walk_is_exhaustive(shape: str, max_hops: int, noise: float) -> None:
    rng = random.Random(f"{shape}{max_hops}{noise}")
    for _ in range(4):
        tokens = 4 if shape == "parallel" else rng.choice([5, 9])
        pools = multigraph(rng, tokens, rng.choice([12, 28]), shape, noise)
        bases = rng.sample(range(tokens), rng.choice([1, 1, 2, 3]))
        finder = Finder(to_market(pools, tokens), [token_address(base) for base in bases], max_hops)
        every = [cycle for base in bases for cycle in all_cycles(pools, base, max_hops)]
        assert finder.candidates_count == len(every)
        expected = {cycle for cycle in every if product(pools, cycle) > RATE_FLOOR}
        candidates = finder.candidates()
        found = walked(candidates)
        assert candidates.complete
        assert len(found) == len(set(found))
        assert set(found) == expected
        # One ring number for all starts of one directed cycle.
        rings = {frozenset(cycle): ring for cycle, ring in zip(found, candidates.ring.tolist(), strict=True)}
        assert len(rings) == candidates.rings
        rows = np.array(sorted(rng.sample(range(len(pools)), 3)), np.int32)
        through = {cycle for cycle in expected if {n for n, _ in cycle} & set(rows.tolist())}
        assert set(walked(finder.candidates(rows))) == through


def test_more_than_can_be_kept_is_cut_to_the_best_and_said_so() -> None:
    pools = multigraph(random.Random(3), 4, 60, "parallel", 0.2)
    market = to_market(pools, 4)
    whole = Finder(market, [token_address(0)], 3).candidates()
    rates = sorted(product(pools, cycle) for cycle in walked(whole))
    assert whole.complete
    cut = Finder(market, [token_address(0)], 3, max_candidates=len(rates) // 3).candidates()
    assert not cut.complete
    kept = sorted(product(pools, cycle) for cycle in walked(cut))
    assert 0 < len(kept) < len(rates) // 3
    assert kept == rates[-len(kept) :]


def test_an_index_of_nothing_is_searched() -> None:
    finder = Finder(to_market([], 1), [token_address(0)], 4)
    assert finder.candidates_count == 0
    assert len(finder.candidates().cycles) == 0
