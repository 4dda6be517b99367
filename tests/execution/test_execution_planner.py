"""Fees, deadline and minimum profit of a plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.domain.errors import ExecutionError
from engine.domain.execution import Pinned
from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Approved, CheckResult, Hop, Opportunity
from engine.domain.pool_details import CurveStableDetails, StableSwapVariant
from engine.execution.commands import Kind, Loan
from engine.execution.encoder import decode_stream
from engine.execution.lenders import Lender
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


def test_the_cheapest_lender_is_chosen_and_its_fee_is_no_profit():
    free = Lender(Kind.MORPHO_LOAN, "0x" + "e1" * 20)
    dear = Lender(Kind.AAVE_LOAN, "0x" + "e2" * 20, 5)
    base, other = TOKENS
    facts = ("v", base, other, 10**6, 2 * 10**6, 0, CurveStableDetails(StableSwapVariant.SUSD))
    first = Hop("0x" + "aa" * 20, Protocol.CURVE_STABLESWAP, *facts)
    last = replace(first, pool="0x" + "bb" * 20, token_in=other, token_out=base, amount_in=2 * 10**6)
    opportunity = Opportunity(HEAD, base, (first, replace(last, amount_out=11 * 10**5)), 100, 50)
    approved_one = Approved(opportunity, (CheckResult("test", True),))
    for lenders, chosen, fee in (([dear, free], free, 0), ([dear], dear, 500)):
        planner = Planner("0x" + "99" * 20, PlanTerms(3), clock=lambda: 0, lenders=lenders)
        plan = planner.plan(approved_one, HEAD)
        (loan, *_) = decode_stream(plan.calldata).commands
        assert loan == Loan(chosen.kind, 10**6, chosen.address, base)
        assert (plan.loan_fee, plan.expected_profit, plan.min_profit) == (fee, 10**5 - fee, 10**5 - fee)
    vault = Pinned(balancer_vault="0x" + "d2" * 20)
    planner = Planner("0x" + "99" * 20, PlanTerms(3), clock=lambda: 0, pinned=vault, lenders=[dear, free])
    assert decode_stream(planner.plan(approved_one, HEAD).calldata).commands[0] == Loan(
        Kind.BALANCER_LOAN, 10**6, None, base
    )
    with pytest.raises(ExecutionError, match="no lender"):
        Planner("0x" + "99" * 20, PlanTerms(3), clock=lambda: 0).plan(approved_one, HEAD)
