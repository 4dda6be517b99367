"""The bound on what plans net after gas lies above what plans net, and proves what is impossible."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.joint import E18, HUBS, hub_values, shocked
from benchmarks.net_bound import NetBound
from benchmarks.synthetic import Size, SyntheticMarket
from engine.search.costs import GasCosts
from engine.search.joint_finder import JointFinder
from engine.search.joint_solver import JointSolver


@pytest.mark.parametrize("seed", range(2))
def test_no_plan_nets_more_than_the_bound_and_what_lies_above_is_excluded(seed: int) -> None:
    synthetic = SyntheticMarket(seed, Size(tokens=40, pools=200, v3_share=0.5))
    shocked(synthetic, random.Random(seed), 10)
    market = synthetic.market
    assert market.head is not None
    bases = [token.address for token in market.tokens[:HUBS]]
    rates = {base: synthetic.units[hub] / E18 for hub, base in enumerate(bases)}
    costs = GasCosts(gas_price_wei=20 * 10**9, base_units_per_eth_wei=rates)
    finder = JointFinder(market, bases)
    finder.find(None, market.head, costs, limit=1)
    assert finder.last is not None
    net = finder.last.net_wei
    assert net > 0
    solver = JointSolver(market.arrays, len(market.pools), len(market.tokens), hub_values(synthetic))
    free = solver.solve()
    prices = np.where(free.prices > 0.0, free.prices, 1.0)
    gas = np.array([costs.gas_of(pool.protocol) * costs.gas_price_wei for pool in market.pools], float)
    bound = NetBound(solver, gas)
    root = bound.root(prices)
    assert net <= root < free.bound
    assert bound.below(prices, root * 1.001, 1) is True
    assert bound.below(prices, net * 0.999, 20) is not True
