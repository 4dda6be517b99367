"""The joint optimum: certified from both sides, exact when carried out, and quiet on hostile input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_markets import BLOCK, E18, MarketMaker, random_market, swap_plainly, token

from engine.amm.layout import copy_pools
from engine.amm.quote import quote_exact_in, quote_exact_out
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.finder import Finder
from engine.search.joint_carry import net_value, sold_first, touched_rows
from engine.search.joint_curves import allocate_curves, read_curves_nb
from engine.search.joint_dual import allocate_flows, trades_nb
from engine.search.joint_greedy import repeat_best
from engine.search.joint_near import allocate_near, look_around_nb, may_trade_nb
from engine.search.joint_plan import JointPlan, JointPlanner
from engine.search.joint_solver import JointSolver

GAP = 1e-6


def solver_of(market: Market, values: dict[int, float] | None = None) -> JointSolver:
    return JointSolver(market.arrays, len(market.pools), len(market.tokens), values or {0: 1.0})


def planned(market: Market, values: dict[int, float] | None = None) -> JointPlan:
    return JointPlanner(solver_of(market, values)).plan(market.arrays)


markets = st.builds(
    random_market,
    seed=st.integers(0, 2**32),
    tokens=st.integers(2, 9),
    pools=st.integers(2, 40),
    spread=st.sampled_from((0.0, 0.002, 0.02, 0.3)),
)


small_markets = st.builds(
    random_market,
    seed=st.integers(0, 2**32),
    tokens=st.integers(2, 6),
    pools=st.integers(2, 16),
    spread=st.sampled_from((0.002, 0.02, 0.3)),
)


@settings(max_examples=60, deadline=None)
@given(market=markets, bases=st.integers(1, 3))
def test_the_bound_is_certified_by_trades_that_leave_nothing_short(market: Market, bases: int) -> None:
    values = {t: 1.0 for t in range(min(bases, len(market.tokens)))}
    plan = planned(market, values)
    assert plan.bound.gap <= GAP
    netted = plan.netted
    balance: dict[int, int] = {}
    arrays = market.arrays
    for edge, amount_in, amount_out in netted.swaps:
        row, zero_for_one = edge >> 1, edge & 1 == 0
        ends = (int(arrays.token0[row]), int(arrays.token1[row]))
        sold, bought = ends if zero_for_one else ends[::-1]
        selling = quote_exact_in(arrays, row, zero_for_one, amount_in)
        if selling != amount_out:
            assert quote_exact_out(arrays, row, zero_for_one, amount_out) == amount_in
        balance[sold] = balance.get(sold, 0) - amount_in
        balance[bought] = balance.get(bought, 0) + amount_out
    assert len({edge >> 1 for edge, _, _ in netted.swaps}) == len(netted.swaps)
    assert all(amount >= 0 for amount in balance.values())
    assert netted.value == pytest.approx(sum(balance.get(t, 0) * value for t, value in values.items()))
    units = len(netted.swaps) + 1
    assert plan.bound.bound * (1 - 1e-4) - 1e3 * units <= netted.value <= plan.bound.bound * (1 + 1e-9) + 1


@settings(max_examples=60, deadline=None)
@given(market=markets)
def test_cycles_are_exact_when_carried_out_one_after_another(market: Market) -> None:
    before = copy_pools(market.arrays)
    plan = planned(market, {0: 1.0, 1: 1.0})
    for name, column in market.arrays._asdict().items():
        assert np.array_equal(column, getattr(before, name)), name
    state = copy_pools(market.arrays)
    for cycle in plan.cycles:
        assert cycle.profit > 0
        hops = len(cycle.edges)
        for hop, edge in enumerate(cycle.edges):
            swap_plainly(state, edge, cycle.amounts[hop], cycle.amounts[hop + 1], hop == hops - 1)
    earned = {t: 0 for t in (0, 1)}
    for cycle in plan.cycles:
        earned[sold_first(state, cycle.edges)] += cycle.profit
    # What conversions sell is what cycles earned, and nothing else is needed.
    for one in plan.conversions:
        for hop, edge in enumerate(one.edges):
            swap_plainly(state, edge, one.amounts[hop], one.amounts[hop + 1], hop == len(one.edges) - 1)
        earned[sold_first(state, one.edges)] -= one.amounts[0]
        earned[sold_first(state, (one.edges[-1] ^ 1,))] += one.amounts[-1]
        assert one.value > 0
    assert all(amount >= 0 for amount in earned.values())
    assert plan.value == pytest.approx(sum(earned.values()))
    assert plan.captured <= 1 + 1e-9


@settings(max_examples=10, deadline=None)
@given(market=small_markets)
def test_no_plan_earns_more_than_the_bound(market: Market) -> None:
    bases = [token(0), token(1)]
    plan = planned(market, {0: 1.0, 1: 1.0})
    rates = dict.fromkeys(bases, 1)
    limit = plan.bound.bound * (1 + 1e-9) + 1
    single = Finder(market, bases, max_hops=4).find(None, BLOCK, GasCosts(base_units_per_eth_wei=rates))
    assert all(one.gross_profit <= limit for one in single)
    greedy = repeat_best(market, bases, 4, BLOCK, GasCosts(base_units_per_eth_wei=rates))
    assert net_value(greedy) <= limit
    state = copy_pools(market.arrays)
    for cycle in greedy:
        for hop, edge in enumerate(cycle.edges):
            exact_in = hop == len(cycle.edges) - 1
            swap_plainly(state, edge, cycle.amounts[hop], cycle.amounts[hop + 1], exact_in)


def test_two_pools_give_the_closed_form() -> None:
    maker = MarketMaker(2)
    maker.v2(0, 1, 1_000 * E18, 1_000 * E18)
    maker.v2(0, 1, 1_000 * E18, 1_100 * E18)
    bound = solver_of(maker.market).solve()
    # Sell into the dear pool, buy back in the cheap one: k and n as in `engine.search.sizing`.
    kept = 0.997
    k = kept * 1.1 * kept
    n = kept / 1_000 + kept / 1_000 * kept * 1.1
    assert bound.bound == pytest.approx((math.sqrt(k) - 1) ** 2 / n * E18, rel=1e-9)


def test_the_price_between_two_pools_without_profit_is_theirs() -> None:
    maker = MarketMaker(2)
    maker.v2(0, 1, 1_000 * E18, 2_000 * E18)
    bound = solver_of(maker.market).solve()
    assert bound.bound == 0.0
    assert bound.gap == 0.0
    assert bound.prices[1] == pytest.approx(0.5, rel=0.0031)


def test_parallel_pools_share_the_trade() -> None:
    maker = MarketMaker(2)
    maker.v2(0, 1, 10_000 * E18, 10_500 * E18)
    for n in range(300):
        maker.v2(0, 1, (10 + n % 7) * E18, (10 + n % 7) * E18)
    plan = planned(maker.market)
    assert plan.bound.gap <= GAP
    assert plan.bound.trading == 301
    assert plan.netted.value >= 0.9999 * plan.bound.bound
    assert plan.captured >= 0.99
    best = Finder(maker.market, [token(0)], 2).find(None, BLOCK, limit=1)[0].gross_profit
    assert plan.value > 50 * best


def test_crossing_ticks_is_part_of_the_optimum() -> None:
    maker = MarketMaker(2)
    maker.v2(0, 1, 1_000 * E18, 1_300 * E18)
    steps = [(60 * n, 60 * (n + 1), (1 + n % 3) * 2_000 * E18) for n in range(-100, 100)]
    row = maker.v3(0, 1, 1.0001**30, steps)
    plan = planned(maker.market)
    assert plan.bound.gap <= GAP
    (cycle,) = plan.cycles[:1]
    state = copy_pools(maker.market.arrays)
    for hop, edge in enumerate(cycle.edges):
        swap_plainly(state, edge, cycle.amounts[hop], cycle.amounts[hop + 1], hop == 1)
    assert abs(int(state.tick[row]) - 30) > 10 * 60
    assert plan.captured >= 0.9999


def test_an_update_leads_to_the_same_optimum_as_a_fresh_start() -> None:
    market = random_market(3, 30, 300, 0.003)
    warm = solver_of(market, {0: 1.0, 1: 1.0})
    warm.solve()
    rng = np.random.default_rng(1)
    for _ in range(10):
        rows = np.flatnonzero(market.arrays.kind[:300] == 1)
        rows = rng.choice(rows, 10, replace=False).astype(np.int32)
        market.arrays.reserves[rows, 0, 0] -= market.arrays.reserves[rows, 0, 0] >> np.uint64(6)
        warm.read(market.arrays, rows)
        found, fresh = warm.solve(), solver_of(market, {0: 1.0, 1: 1.0}).solve()
        assert found.bound == pytest.approx(fresh.bound, rel=1e-6)
        assert found.gap <= GAP


@settings(max_examples=40, deadline=None)
@given(market=markets, moves=st.lists(st.floats(-0.002, 0.002), min_size=6, max_size=6))
def test_pools_left_out_of_a_trial_would_not_trade(market: Market, moves: list[float]) -> None:
    pools, tokens = len(market.pools), len(market.tokens)
    curves = allocate_curves(pools, len(market.arrays.arena_tick))
    rows = np.arange(pools, dtype=np.int32)
    read_curves_nb(market.arrays, rows, curves)
    near = allocate_near(curves.token0, curves.token1, tokens)
    flows = allocate_flows(pools, tokens)
    count = look_around_nb(curves, rows, np.ones(tokens), near)
    prices = np.exp(np.resize(moves, tokens))
    gain, trading = trades_nb(curves, rows, prices, flows, np.inf)
    expected = set(flows.row[:trading].tolist())
    chosen = may_trade_nb(curves, rows, near, count, prices)
    again, trading = trades_nb(curves, chosen, prices, flows, np.inf)
    assert set(flows.row[:trading].tolist()) == expected
    assert again == pytest.approx(gain)
    assert len(set(chosen.tolist())) == len(chosen)


def test_gas_prunes_what_does_not_pay_for_itself() -> None:
    market = random_market(5, 12, 200, 0.01)
    planner = JointPlanner(solver_of(market, {0: 1.0, 1: 1.0}))
    free = planner.plan(market.arrays)
    dear = planner.plan(market.arrays, lambda path: 2e-4 * E18 * len(path))
    assert 0 < len(dear.cycles) < len(free.cycles)
    assert all(cycle.value >= cycle.cost for cycle in dear.cycles)
    unpruned = sum(cycle.value - 2e-4 * E18 * len(cycle.edges) for cycle in free.cycles)
    assert dear.net_value > max(unpruned, 0.0)
    assert dear.bound.bound == pytest.approx(free.bound.bound, rel=1e-6)
    again = planner.replan(market.arrays, dear.planned, lambda path: 2e-4 * E18 * len(path))
    assert net_value(again) >= dear.net_value
    assert set(touched_rows(again)) <= set(touched_rows(dear.planned))


def hostile_markets() -> dict[str, MarketMaker]:
    makers = {
        name: MarketMaker(6) for name in ("empty", "huge ratios", "apart", "no ticks", "narrow", "lone")
    }
    makers["empty"].v2(0, 1, 0, 0)
    makers["empty"].v2(0, 1, 0, E18)
    makers["empty"].v2(0, 1, E18, E18)
    makers["huge ratios"].v2(0, 1, 1, 2**112 - 1)
    makers["huge ratios"].v2(0, 1, 2**112 - 1, 1)
    makers["huge ratios"].v2(1, 2, 2**112 - 1, 1)
    makers["huge ratios"].v2(0, 2, 10**30, 10**6)
    makers["apart"].v2(0, 1, E18, E18)
    makers["apart"].v2(2, 3, E18, 2 * E18)
    makers["apart"].v2(2, 3, E18, E18)
    makers["no ticks"].v3(0, 1, 1.0, [])
    makers["no ticks"].v2(0, 1, E18, 2 * E18)
    makers["narrow"].v3(0, 1, 1.2, [(-60_000, 60_000, 100 * E18)], known=(1_800, 1_860))
    makers["narrow"].v2(0, 1, E18, E18)
    makers["lone"].v2(3, 4, E18, E18)
    return makers


@pytest.mark.parametrize("name", hostile_markets())
def test_hostile_pools_neither_hang_nor_promise_what_is_not_there(name: str) -> None:
    market = hostile_markets()[name].market
    plan = planned(market)
    assert math.isfinite(plan.bound.bound)
    assert plan.bound.bound >= 0.0
    assert np.isfinite(plan.bound.prices).all()
    state = copy_pools(market.arrays)
    for cycle in plan.cycles:
        for hop, edge in enumerate(cycle.edges):
            exact_in = hop == len(cycle.edges) - 1
            swap_plainly(state, edge, cycle.amounts[hop], cycle.amounts[hop + 1], exact_in)
    assert plan.value <= plan.bound.bound * (1 + 1e-9)
    if name in ("apart", "lone", "empty"):
        assert plan.bound.bound == 0.0
    if name == "narrow":
        # Only what lies within the known ticks is counted on.
        assert plan.netted.value >= 0.999 * plan.bound.bound > 0.0


def test_a_token_with_very_many_pools_is_solved() -> None:
    maker = MarketMaker(2_001, seed=4)
    for n in range(1, 2_001):
        for _ in range(2):
            price = math.exp(maker.rng.gauss(0, 0.004))
            maker.v2(0, n, 100 * E18, int(100 * E18 * price))
    plan = planned(maker.market)
    assert plan.bound.gap <= GAP
    assert plan.captured >= 0.99
