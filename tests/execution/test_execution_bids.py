"""Offers: never above the cap or the profit, never below the floor, and better the more has been seen."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.execution import Execution, Intent, Outcome, Plan, SignedTransaction, SimulatedPlan
from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Approved, CheckResult, Hop, Opportunity
from engine.execution.bids import BID_GAS, BPS, Bidder, BidLimits, FirstPrice, bucket_of

WETH, USDC = "0x" + "11" * 20, "0x" + "22" * 20
GWEI = 10**9
LADDER = (9000, 9300, 9600, 9800, 9900)
BLOCK = BlockRef(7, "0x" + "07" * 32, "0x" + "06" * 32, 1_700_000_000, 10 * GWEI, 15_000_000)


def simulated(profit: int, gas_used: int = 150_000, token: str = WETH) -> SimulatedPlan:
    hops = (
        Hop("0x" + "aa" * 20, Protocol.UNISWAP_V2, "v2", token, USDC, 10**18, 5, 3000),
        Hop("0x" + "bb" * 20, Protocol.UNISWAP_V2, "v2", USDC, token, 5, 10**18 + profit, 3000),
    )
    approved = Approved(Opportunity(BLOCK, token, hops, 200_000, 1), (CheckResult("test", True),))
    plan = Plan(approved, "0x" + "cc" * 20, b"\x01\x02", profit, 0, 200_000, 21 * GWEI, GWEI)
    return SimulatedPlan(plan, BLOCK, profit, gas_used, ())


def in_wei(token: str, amount: int) -> int | None:
    return amount if token == WETH else None


def execution(plan: Plan, outcome: Outcome) -> Execution:
    record: dict[str, Any] = {"plan": {"calldata": "0x" + plan.calldata.hex()}}
    signed = SignedTransaction("0x" + "dd" * 20, 0, "0x" + "ee" * 32, b"")
    return Execution(Intent("1", "trade", 1, 7, WETH, 1, 1, 0, 1, 1, signed, record), outcome)


@given(
    st.integers(-(10**18), 10**21),
    st.integers(0, 5_000_000),
    st.integers(0, 10 * GWEI),
    st.integers(0, 10**14),
    st.integers(0, BPS),
)
def test_an_offer_keeps_its_bounds(profit: int, gas: int, floor: int, above: int, keep: int) -> None:
    limits = BidLimits(floor, floor + above, keep)
    before = simulated(profit, gas)
    after = Bidder(limits, FirstPrice(LADDER)).price(before, in_wei)
    assert after.plan.calldata == before.plan.calldata
    assert replace(after, plan=before.plan) == before
    left = profit - gas * BLOCK.next_base_fee_wei()
    if left <= 0 or not gas:
        assert after == before
        return
    priority = after.plan.priority_fee_wei
    assert floor <= priority <= limits.cap_wei
    assert priority == floor or priority * gas <= left * (BPS - keep) // BPS
    assert after.plan.max_fee_wei == 2 * BLOCK.next_base_fee_wei() + priority


class Run:
    """Has the run pay; the calldata tells."""

    def can_bid(self, plan: Plan) -> bool:
        return plan.opportunity.base_token == WETH

    def with_bid(self, plan: Plan, head: BlockRef, bid: int) -> Plan:
        return replace(plan, bid=bid, calldata=b"bid")


@given(
    st.integers(-(10**18), 10**21),
    st.integers(1, 5_000_000),
    st.integers(0, 10 * GWEI),
    st.integers(0, 10**14),
    st.integers(0, BPS),
)
def test_what_the_run_pays_keeps_the_same_bounds(
    profit: int, gas: int, floor: int, above: int, keep: int
) -> None:
    limits, before = BidLimits(floor, floor + above, keep), simulated(profit, gas)
    after = Bidder(limits, FirstPrice(LADDER)).price(before, in_wei, Run()).plan
    if not after.bid:
        assert after.calldata == before.plan.calldata
        return
    base_fee, spent = BLOCK.next_base_fee_wei(), gas + BID_GAS
    assert after.priority_fee_wei == floor
    assert after.bid <= spent * (limits.cap_wei - floor)
    # All that is paid, for more gas than without, is the part that was to be offered.
    offered = (profit - gas * base_fee) * (BPS - keep) // BPS
    assert after.bid + spent * floor + BID_GAS * base_fee <= offered


def test_a_run_that_earns_another_token_offers_by_fee() -> None:
    def worth(token: str, amount: int) -> int | None:
        return amount

    before = simulated(10**18, token="0x" + "33" * 20)
    first, second = (Bidder(BidLimits(0, 10**15), FirstPrice(LADDER)) for _ in range(2))
    assert first.price(before, worth, Run()) == second.price(before, worth)


def test_without_a_policy_or_a_price_the_plans_fee_stays() -> None:
    limits = BidLimits(0, 10**12)
    assert Bidder(limits, None).price(simulated(10**18), in_wei) == simulated(10**18)
    unknown = simulated(10**18, token="0x" + "33" * 20)
    assert Bidder(limits, FirstPrice(LADDER)).price(unknown, in_wei) == unknown


def test_the_lowest_share_is_tried_first_and_losing_raises_it() -> None:
    policy = FirstPrice(LADDER)
    tried = []
    for _ in range(40):
        share = policy.share_bps("b")
        tried.append(share)
        policy.settle("b", share, False)
    assert tried[0] == LADDER[0]
    assert set(tried) == set(LADDER)
    assert policy.share_bps("another") == LADDER[0]


@pytest.mark.parametrize("threshold", LADDER)
def test_it_finds_the_share_that_wins(threshold: int) -> None:
    rng = random.Random(threshold)
    policy = FirstPrice(LADDER)
    recent = []
    for n in range(2_000):
        share = policy.share_bps("b")
        rival = min(threshold - 50 + rng.randint(-30, 30), BPS - 1)
        policy.settle("b", share, share > rival)
        recent += [share] if n >= 1_500 else []
    assert max(set(recent), key=recent.count) == threshold


def test_what_was_learnt_fades_when_the_competition_changes() -> None:
    policy = FirstPrice(LADDER)
    for _ in range(3_000):
        policy.settle("b", 9000, True)
    assert policy.share_bps("b") == 9000
    for _ in range(600):
        policy.settle("b", 9000, False)
    assert policy.share_bps("b") > 9000


@pytest.mark.parametrize(
    ("outcome", "rates"),
    [
        (Outcome.LANDED, "rises"),
        (Outcome.MISSED, "falls"),
        (Outcome.REVERTED, "falls"),
        (Outcome.REPLACED, "falls"),
        (Outcome.NEVER_SENT, "stays"),
    ],
)
def test_outcomes_are_counted_once(outcome: Outcome, rates: str) -> None:
    policy = FirstPrice(LADDER)
    bidder = Bidder(BidLimits(0, 10**15), policy)
    plan = bidder.price(simulated(10**18), in_wei).plan
    bucket = bucket_of(plan, 10**18 - 150_000 * BLOCK.next_base_fee_wei())
    before = policy.win_rate(bucket, LADDER[0])
    for _ in range(2):
        bidder.settle(execution(plan, outcome))
    after = policy.win_rate(bucket, LADDER[0])
    assert {"rises": after > before, "falls": after < before, "stays": after == before}[rates]
    once = FirstPrice(LADDER)
    if outcome is not Outcome.NEVER_SENT:
        once.settle(bucket, LADDER[0], outcome is Outcome.LANDED)
    assert after == once.win_rate(bucket, LADDER[0])


@pytest.mark.parametrize("ladder", [(), (1, 1), (2, 1), (-1, 5), (9_000, 10_000)])
def test_an_impossible_ladder_is_refused(ladder: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="ladder"):
        FirstPrice(ladder)
