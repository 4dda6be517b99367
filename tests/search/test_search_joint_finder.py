"""The joint finder: the incremental one's answer, what goes side by side first, and the block's bound."""

from __future__ import annotations

import time

import numpy as np
import pytest
from joint_markets import BLOCK, E18, MarketMaker, random_market, swap_plainly, token

from engine.amm.layout import copy_pools
from engine.domain.market import PoolRecord, Protocol
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.disjoint import choose_disjoint
from engine.search.finder import Finder
from engine.search.joint_finder import JointFinder
from engine.search.strategy import CycleFinder

BASES = [token(0), token(1)]
GWEI = 10**9


def costs(gwei: float) -> GasCosts:
    return GasCosts(gas_price_wei=int(gwei * GWEI), base_units_per_eth_wei=dict.fromkeys(BASES, 1))


@pytest.mark.parametrize("gwei", [0, 1, 30])
@pytest.mark.parametrize("seed", range(4))
def test_what_comes_first_can_be_done_side_by_side_and_is_worth_no_less(seed: int, gwei: float) -> None:
    market = random_market(seed, 8, 40, 0.01)
    finder: CycleFinder = JointFinder(market, BASES)
    found = finder.find(None, BLOCK, costs(gwei))
    single = Finder(market, BASES).find(None, BLOCK, costs(gwei))
    assert {one.id for one in single} <= {one.id for one in found}
    greedy = choose_disjoint(single)
    ours = choose_disjoint(found)
    assert ours == list(found[: len(ours)])
    assert sum(one.net_profit for one in ours) >= sum(one.net_profit for one in greedy)


@pytest.mark.parametrize("seed", range(4))
def test_the_plan_is_exact_in_its_order_and_beats_repeating_the_best(seed: int) -> None:
    market = random_market(seed, 8, 40, 0.01)
    finder = JointFinder(market, BASES)
    found = finder.find(None, BLOCK, costs(5))
    outcome = finder.last
    assert outcome is not None
    assert outcome.bound.gap <= 1e-6
    (fact,) = found.facts
    assert fact.bound_wei >= fact.reached_wei > 0
    assert (fact.captured, fact.cycles) == (outcome.captured, len(outcome.plan))
    assert fact.left_out == {}
    state = copy_pools(market.arrays)
    gross = 0
    for one in outcome.plan:
        for place, hop in enumerate(one.hops):
            edge = 2 * market.pool_row[hop.pool] + (0 if hop.zero_for_one else 1)
            swap_plainly(state, edge, hop.amount_in, hop.amount_out, place == len(one.hops) - 1)
        gross += one.gross_profit
    for sold in outcome.conversions:
        for place, hop in enumerate(sold.hops):
            edge = 2 * market.pool_row[hop.pool] + (0 if hop.zero_for_one else 1)
            swap_plainly(state, edge, hop.amount_in, hop.amount_out, place == len(sold.hops) - 1)
        gross += sold.amount_out - sold.amount_in
    assert gross == sum(outcome.earned.values())
    assert outcome.captured == pytest.approx(gross / outcome.bound.bound)
    assert 0.0 < outcome.captured <= 1.0
    best = max(Finder(market, BASES).find(None, BLOCK, costs(5)), key=lambda one: one.net_profit)
    assert outcome.net_wei >= best.net_profit


def test_a_changed_pool_is_taken_into_the_bound_and_a_new_one_too() -> None:
    maker = MarketMaker(2)
    maker.v2(0, 1, 1_000 * E18, 1_000 * E18)
    row = maker.v2(0, 1, 1_000 * E18, 1_000 * E18)
    market = maker.market
    finder = JointFinder(market, BASES[:1])
    assert finder.find(None, BLOCK, costs(0)) == []
    assert finder.last is not None
    assert finder.last.bound.bound == 0.0
    market.set_v2(row, 1_000 * E18, 1_100 * E18)
    assert len(finder.find(np.array([row], np.int32), BLOCK, costs(0))) == 1
    first = finder.last.bound.bound
    maker.v2(0, 1, 1_000 * E18, 1_000 * E18)
    finder.find(np.array([2], np.int32), BLOCK, costs(0))
    assert finder.last.bound.bound > 1.2 * first > 0.0


def test_what_the_bound_does_not_cover_is_named() -> None:
    market = random_market(1, 8, 40, 0.01)
    market.add_pool(PoolRecord("0x" + "ee" * 20, Protocol.WETH, "", (token(0), token(1)), 0))
    row = market.add_pool(PoolRecord("0x" + "dd" * 20, Protocol.UNISWAP_V2, "", (token(0), token(1)), 3_000))
    finder = JointFinder(market, BASES)
    (fact,) = finder.find(None, BLOCK, costs(1)).facts
    assert fact.left_out == {Protocol.UNISWAP_V2: 1, Protocol.WETH: 1}
    market.set_v2(row, E18, E18)
    (fact,) = finder.find(np.array([row], np.int32), BLOCK, costs(1)).facts
    assert fact.left_out == {Protocol.WETH: 1}


def test_past_its_deadline_it_answers_with_what_there_is_and_recovers() -> None:
    market: Market = random_market(1, 8, 40, 0.01)
    finder = JointFinder(market, BASES)
    late = finder.find(None, BLOCK, costs(0), limit=3, deadline=time.monotonic() - 1.0)
    assert late.partial
    assert finder.last is None
    whole = finder.find(None, BLOCK, costs(0), limit=3)
    assert len(whole) == 3
    assert not whole.partial
    assert finder.last is not None
