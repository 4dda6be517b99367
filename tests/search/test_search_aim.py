"""A search for the first few is the beginning of a search for all, however few cycles it aims at."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from search_reference import BLOCK, random_pools, to_market, token_address

from engine.search import finder as finder_module
from engine.search.aim import LEAST, new_aim, note_nb
from engine.search.costs import GasCosts
from engine.search.finder import Finder


@pytest.mark.parametrize("promising", [(1, 1, 1), (1, 1, 40), (8, 1, 16), None])
@pytest.mark.parametrize("seed", range(4))
def test_the_first_few_are_those_of_all(
    seed: int, promising: tuple[int, int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if promising is not None:
        for name, value in zip(("_PROMISING", "_PROMISING_EACH", "_MORE_PROMISING"), promising, strict=True):
            monkeypatch.setattr(finder_module, name, value)
    rng = random.Random(seed)
    market = to_market(random_pools(rng, 5, 40, 0.4, 0.05), 5)
    bases = [token_address(n) for n in range(1 + seed % 3)]
    prices = {base: 0.5 + rng.random() for base in bases[: 1 + seed % 2]}
    finder = Finder(market, bases, 3)
    rows = np.array(sorted(rng.sample(range(40), 3)), np.int32)
    for gas_price in (0, 10**6, 10**12):
        costs = GasCosts(gas_price_wei=gas_price, base_units_per_eth_wei=prices)
        for changed in (None, rows):
            every = finder.find(changed, BLOCK, costs)
            assert every
            for limit in (1, 4, 30, len(every) + 1):
                assert finder.find(changed, BLOCK, costs, limit) == every[:limit]


def test_few_of_many_are_looked_at() -> None:
    market = to_market(random_pools(random.Random(5), 4, 150, 0.3, 0.05), 4)
    finder = Finder(market, [token_address(0)], 3)
    every, few = finder.find(None, BLOCK), finder.find(None, BLOCK, limit=10)
    assert few == every[:10]
    assert few.screened < every.screened / 4


def test_the_largest_worths_are_noted() -> None:
    rng = random.Random(3)
    aim = new_aim(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), np.zeros(1), 20, -math.inf)
    worths = [rng.gauss(0.0, 1e15) for _ in range(500)]
    for worth in (math.inf, *worths):
        if worth > aim.state[LEAST]:
            note_nb(aim.tops, aim.state, worth)
    assert sorted(aim.tops.tolist()) == sorted(worths)[-20:]
    assert aim.passed_over == sorted(worths)[-20]
