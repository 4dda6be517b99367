"""What the planner's settings bind a transaction to, literally: a copy, a replay and a reorg revert."""

from __future__ import annotations

import pytest
from venue_bench import Bench

from benchmarks.gas import sized
from engine.domain.execution import Plan, SimulatedPlan
from engine.domain.market import BlockRef
from engine.domain.opportunity import Approved, CheckResult, Opportunity
from engine.execution.bids import Bidder, BidLimits, FirstPrice
from engine.execution.encoder import decode_stream
from engine.execution.planner import Pin, Planner, PlanTerms

STRANGER = "0x" + "5a" * 20
POOLS = ("v3:04a", "curve:04")
BUILDER = "0x" + "b1" * 20


def planner(bench: Bench, pin: Pin = Pin.DEADLINE) -> Planner:
    # A part of the profit, so that it is not the minimum that refuses.
    terms = PlanTerms(0, min_profit_bps=1_000, deadline_s=600, pin=pin)
    return Planner(bench.market.router, terms, lambda: 0, bench.market.pinned)


def approved(opportunity: Opportunity) -> Approved:
    return Approved(opportunity, (CheckResult("test", True),))


def planned(bench: Bench, pin: Pin) -> Plan:
    opportunity = sized(bench.market, POOLS, bench.block)
    return planner(bench, pin).plan(approved(opportunity), bench.block)


@pytest.mark.parametrize("pin", list(Pin))
def test_a_strangers_copy_reverts(bench: Bench, pin: Pin):
    bench.node("anvil_setBalance", STRANGER, hex(10**20))
    stream = planned(bench, pin).calldata
    with pytest.raises(RuntimeError, match="reverted"):
        bench.send(stream, STRANGER)
    bench.reset()
    assert bench.reason(stream, STRANGER).startswith("UnexpectedCallback")
    bench.send(stream)


@pytest.mark.parametrize(
    ("pin", "outcome"), [(Pin.DEADLINE, None), (Pin.BLOCK, "Expired"), (Pin.PARENT, "Expired")]
)
def test_a_replay_in_another_block_reverts(bench: Bench, pin: Pin, outcome: str | None):
    """A deadline alone lets our own transaction land later; a pin does not."""
    stream = planned(bench, pin).calldata
    bench.node("evm_mine")
    if outcome is None:
        bench.send(stream)
        return
    assert bench.reason(stream).startswith(outcome)
    with pytest.raises(RuntimeError, match="reverted"):
        bench.send(stream)


def test_a_deadline_passes(bench: Bench):
    stream = planned(bench, Pin.DEADLINE).calldata
    bench.node("evm_increaseTime", 3_600)
    with pytest.raises(RuntimeError, match="reverted"):
        bench.send(stream)


def test_a_bid_of_the_run_is_paid_only_if_it_lands(bench: Bench):
    """The bidder offers through the run, the planner encodes it, the builder has it to the wei."""
    node, market = bench.node, bench.market
    node("anvil_setCoinbase", BUILDER)
    opportunity = sized(market, POOLS, bench.block)
    plan = planner(bench).plan(approved(opportunity), bench.block)
    gas, block = 250_000, bench.block
    simulated = SimulatedPlan(plan, block, plan.expected_profit, gas, ())
    bidder = Bidder(BidLimits(0, 10**15), FirstPrice((9_000,)))
    priced = bidder.price(simulated, lambda token, amount: amount, planner(bench)).plan
    assert priced.priority_fee_wei == 0
    assert decode_stream(priced.calldata).bid == priced.bid > opportunity.gross_profit * 8 // 10
    assert priced.expected_profit == opportunity.gross_profit - priced.bid
    before = int(node("eth_getBalance", BUILDER, "latest"), 16)
    held = bench.held(opportunity.base_token)
    late = planner(bench, Pin.BLOCK).with_bid(plan, BlockRef(1, "", "", 0), priced.bid)
    with pytest.raises(RuntimeError, match="reverted"):
        bench.send_free(late.calldata)
    assert int(node("eth_getBalance", BUILDER, "latest"), 16) == before
    bench.send_free(priced.calldata)
    assert int(node("eth_getBalance", BUILDER, "latest"), 16) - before == priced.bid
    assert bench.held(opportunity.base_token) - held == priced.expected_profit


def test_a_reorg_makes_the_parent_another_and_ours_reverts(bench: Bench):
    """Last in the file: the reorg takes the snapshots of the node with it."""
    plan, block = planned(bench, Pin.PARENT), bench.block
    by_number = planned(bench, Pin.BLOCK)
    other = {"from": bench.market.owner, "to": STRANGER, "value": "0x1"}
    bench.node("anvil_reorg", 1, [[other, 0]])
    head = bench.node("eth_getBlockByNumber", "latest", False)
    assert (int(head["number"], 16), head["hash"] != block.hash) == (block.number, True)
    assert bench.reason(plan.calldata).startswith("OtherParent")
    # The number alone is the same on the other branch: that is what the parent is for.
    assert bench.reason(by_number.calldata) == "not refused"
    # Our very transaction, made public by whoever saw it.
    with pytest.raises(RuntimeError, match="reverted"):
        bench.send(plan.calldata)
    bench.keep()
    bench.send(planned(bench, Pin.PARENT).calldata)
