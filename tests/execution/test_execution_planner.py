"""Fees, deadline and minimum profit of a plan."""

from __future__ import annotations

import pytest

from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Approved, CheckResult, Hop, Opportunity
from engine.execution.encoder import decode_stream
from engine.execution.planner import Planner, PlanTerms
from engine.execution.submitter import raised

HEAD = BlockRef(5, "0x" + "01" * 32, "0x" + "00" * 32, 1_000, 100, 30_000_000, 30_000_000)
TOKENS = ("0x" + "11" * 20, "0x" + "22" * 20)


def approved(profit: int, gas_cost: int) -> Approved:
    hops = tuple(
        Hop(
            "0x" + pool * 20,
            Protocol.UNISWAP_V2,
            "v",
            TOKENS[k],
            TOKENS[1 - k],
            1_000,
            1_000 + k * profit,
            3000,
        )
        for k, pool in enumerate(("aa", "bb"))
    )
    opportunity = Opportunity(HEAD, TOKENS[0], hops, gas_estimate=10, gas_cost=gas_cost)
    return Approved(opportunity, (CheckResult("test", True),))


@pytest.mark.parametrize(
    ("bps", "gas_cost", "min_profit"),
    [(10_000, 0, 200), (9_999, 0, 199), (5_000, 0, 100), (5_000, 150, 150), (0, 0, 0), (0, 500, 200)],
)
def test_the_minimum_profit_is_relaxed_but_pays_for_the_gas(bps: int, gas_cost: int, min_profit: int):
    planner = Planner("0x" + "99" * 20, PlanTerms(3, bps), clock=lambda: 0)
    plan = planner.plan(approved(200, gas_cost), HEAD)
    assert plan.min_profit == min_profit
    assert decode_stream(plan.calldata).min_profit == min_profit


@pytest.mark.parametrize(("now", "deadline"), [(0, 1_036), (1_000.9, 1_036), (2_000.5, 2_036)])
def test_the_deadline_counts_from_the_later_of_head_and_clock(now: float, deadline: int):
    planner = Planner("0x" + "99" * 20, PlanTerms(3, deadline_s=36), clock=lambda: now)
    plan = planner.plan(approved(1, 0), HEAD)
    assert plan.deadline == decode_stream(plan.calldata).deadline == deadline


def test_fees_bear_a_doubled_base_fee():
    plan = Planner("0x" + "99" * 20, PlanTerms(3), clock=lambda: 0).plan(approved(1, 0), HEAD)
    # A full block raises the base fee by an eighth: 100 -> 112.
    assert (plan.max_fee_wei, plan.priority_fee_wei) == (2 * 112 + 3, 3)


@pytest.mark.parametrize(("fee", "more"), [(0, 0), (1, 2), (8, 9), (9, 11), (10**18, 1_125 * 10**15)])
def test_a_replacement_fee_is_an_eighth_more_rounded_up(fee: int, more: int):
    assert raised(fee) == more
