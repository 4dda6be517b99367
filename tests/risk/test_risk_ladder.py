"""The degradation ladder: causes lead down, only their end leads up, only a person takes a halt back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_risk_checks import GWEI, HEAD, OPPORTUNITY, VIEW
from test_risk_exposure import ended, intent

from engine.domain.events import (
    BlockFinished,
    BlockSkipped,
    ExecutionResolved,
    Fact,
    OpportunityRefused,
    PlanSimulated,
    PoolDiverged,
    TradingStateChanged,
    VenueHalted,
)
from engine.domain.execution import Outcome, Plan, SimulatedPlan
from engine.domain.market import BlockRef
from engine.domain.opportunity import Approved, CheckResult, RefusalReason, Refused, TradingState
from engine.risk.breakers import BreakerLimits, Breakers
from engine.risk.ladder import LATCHED, Cause, Ladder

ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED


class Bench:
    """A ladder whose halts and facts are kept."""

    def __init__(self, **limits: object):
        self.halts: list[str] = []
        self.facts: list[Fact] = []
        self.ladder = Ladder(BreakerLimits(**limits), self.halts.append, self.facts.append)

    def at(self, number: int, person: str | None = None, chain: str | None = None) -> TradingState:
        return self.ladder.at(block(number), person, chain)

    @property
    def states(self) -> list[TradingState]:
        return [fact.state for fact in self.facts if isinstance(fact, TradingStateChanged)]


def block(number: int) -> BlockRef:
    return replace(HEAD, number=number)


def finished(number: int) -> BlockFinished:
    return BlockFinished(block(number), 0, 0, 0, 0, 1.0)


def diverged(number: int, cause: str = "unknown behaviour") -> PoolDiverged:
    by_node = cause == "lying node"
    return PoolDiverged(block(number), "0x" + "aa" * 20, "v2", cause, ("reserves",), by_node)


def reverted(number: int) -> ExecutionResolved:
    execution = replace(ended(number, Outcome.REVERTED, profit=0, gas=50_000), block_number=number)
    return ExecutionResolved(execution)


def failed(number: int, reason: RefusalReason = RefusalReason.SIMULATION_REVERTED) -> OpportunityRefused:
    opportunity = replace(OPPORTUNITY, block=block(number))
    return OpportunityRefused(Refused(opportunity, (CheckResult("simulation", False, reason),)))


def passed() -> PlanSimulated:
    plan = Plan(Approved(OPPORTUNITY, ()), "0x", b"", 1, 0, 1, 1, 1)
    return PlanSimulated(SimulatedPlan(plan, HEAD, 1, 1, ()))


def test_an_engine_with_nothing_wrong_is_active() -> None:
    bench = Bench()
    assert bench.at(1) is ACTIVE
    assert bench.facts == []


@pytest.mark.parametrize("whose", ["person", "chain"])
def test_a_halt_lasts_as_long_as_it_stands(whose: str) -> None:
    bench = Bench()
    assert bench.at(1, **{whose: "stop"}) is HALTED
    assert bench.at(2, **{whose: "stop"}) is HALTED
    assert bench.at(3) is ACTIVE
    assert bench.states == [HALTED, ACTIVE]
    assert bench.halts == []


@pytest.mark.parametrize("needed", [1, 3])
def test_a_failing_node_reduces_until_blocks_succeed_in_a_row(needed: int) -> None:
    bench = Bench(recovery_blocks=needed)
    bench.ladder.take(BlockSkipped(block(1), "gone"))
    for number in range(2, 2 + needed):
        assert bench.at(number) is REDUCING
        bench.ladder.take(finished(number))
    assert bench.at(9) is ACTIVE
    bench.ladder.take(BlockSkipped(block(9), "gone"))
    bench.ladder.take(finished(10))
    bench.ladder.take(BlockSkipped(block(11), "gone again"))
    assert bench.at(12) is REDUCING


def test_a_market_read_anew_has_to_prove_itself() -> None:
    bench = Bench()
    bench.ladder.resynchronising("reorg", 5)
    assert bench.at(6) is REDUCING
    bench.ladder.take(finished(6))
    assert bench.at(7) is ACTIVE


def test_many_divergences_reduce_for_a_while() -> None:
    bench = Bench(divergences=3, window_blocks=10, rest_blocks=20)
    for number in (1, 2):
        bench.ladder.take(diverged(number))
    # A lying node is dealt with where nodes are.
    bench.ladder.take(diverged(3, "lying node"))
    bench.ladder.take(diverged(12))
    assert bench.at(12) is ACTIVE
    bench.ladder.take(diverged(12))
    bench.ladder.take(diverged(13))
    assert bench.at(13) is REDUCING
    assert bench.at(32) is REDUCING
    assert bench.at(33) is ACTIVE


def test_reverts_halt_until_a_person_resumes() -> None:
    bench = Bench(reverts=2, window_blocks=10)
    bench.ladder.take(reverted(1))
    bench.ladder.take(reverted(11))
    assert bench.at(11) is ACTIVE
    bench.ladder.take(reverted(12))
    # The state holds before the halt is found where it was written down, and does not end by itself.
    assert bench.at(12) is HALTED
    assert bench.at(500) is HALTED
    assert bench.halts == ["reverts: 2 reverts within 10 blocks"]
    assert bench.at(501, person=bench.halts[0]) is HALTED
    assert bench.at(502) is ACTIVE
    assert bench.states == [HALTED, ACTIVE]


@pytest.mark.parametrize(("limit", "state"), [(50_000 * GWEI, HALTED), (50_000 * GWEI + 1, ACTIVE)])
def test_losses_halt(limit: int, state: TradingState) -> None:
    bench = Bench(loss_wei=limit)
    bench.ladder.take(reverted(1))
    assert bench.at(1) is state
    assert len(bench.halts) == (state is HALTED)


def test_less_profit_than_the_router_was_to_enforce_halts() -> None:
    for off, state in ((0, ACTIVE), (1, ACTIVE), (-1, HALTED)):
        bench = Bench()
        profit = intent(1).simulated_profit + off
        bench.ladder.take(ExecutionResolved(ended(1, Outcome.LANDED, profit=profit)))
        assert bench.at(1) is state
    for off, state in ((0, ACTIVE), (-1, HALTED)):
        bench, execution = Bench(), ended(1, Outcome.LANDED, profit=1_000 + off)
        execution.intent.record["plan"] = {"min_profit": "1000"}
        bench.ladder.take(ExecutionResolved(execution))
        assert bench.at(1) is state
    bench = Bench(halt_on_mismatch=False)
    bench.ladder.take(ExecutionResolved(ended(1, Outcome.LANDED, profit=0)))
    assert bench.at(1) is ACTIVE


def test_the_worst_cause_decides() -> None:
    bench = Bench()
    bench.ladder.take(BlockSkipped(block(1), "gone"))
    assert bench.at(2, person="stop") is HALTED
    assert bench.at(3) is REDUCING
    assert {standing.state for standing in bench.ladder.causes.values()} == {REDUCING}


_EVENTS = st.sampled_from(["skip", "finish", "revert", "diverge", "resync", "lose", "person", "chain"])


@given(st.lists(_EVENTS, max_size=40))
def test_no_latched_cause_ever_ends_without_a_person(events: list[str]) -> None:
    bench = Bench(reverts=1, loss_wei=1, divergences=2, window_blocks=5, rest_blocks=5)
    latched: set[Cause] = set()
    for number, event in enumerate(events, 1):
        ladder = bench.ladder
        match event:
            case "skip":
                ladder.take(BlockSkipped(block(number), "gone"))
            case "finish":
                ladder.take(finished(number))
            case "revert" | "lose":
                ladder.take(reverted(number))
            case "diverge":
                ladder.take(diverged(number))
            case "resync":
                ladder.resynchronising("reorg", number)
        before = set(ladder.causes)
        chain = "stop" if event == "chain" else None
        # A halt that was written down is read back; nobody resumes here.
        state = bench.at(number, "halted" if bench.halts or event == "person" else None, chain)
        latched |= LATCHED & before
        if bench.halts:
            assert state is HALTED
        assert latched <= set(ladder.causes)
        assert (state is ACTIVE) == (not ladder.causes)


def test_a_pool_rests_after_failures_and_a_success_forgives() -> None:
    bench = Bench(pool_failures=3, venue_pools=None, rest_blocks=10)
    for number in (1, 2):
        bench.ladder.take(failed(number))
    bench.ladder.take(passed())
    for number in (3, 4):
        bench.ladder.take(failed(number, RefusalReason.SIMULATION_MISMATCH))
    bench.ladder.take(failed(4, RefusalReason.TOO_OLD))
    bench.at(4)
    assert bench.ladder.breakers.resting == {}
    bench.ladder.take(failed(5))
    bench.at(5)
    assert set(bench.ladder.breakers.resting) == set(OPPORTUNITY.pools)
    bench.at(15)
    assert bench.ladder.breakers.resting == {}
    # Half open: one failure more is enough.
    bench.ladder.take(failed(16))
    bench.at(16)
    assert set(bench.ladder.breakers.resting) == set(OPPORTUNITY.pools)


def test_a_venue_closes_when_enough_of_its_pools_rest() -> None:
    bench = Bench(pool_failures=1, venue_pools=2, rest_blocks=10)
    bench.ladder.take(failed(1))
    bench.at(1)
    # Two of the three pools are of v2.
    assert set(bench.ladder.breakers.closed) == {"v2"}
    assert [fact.venue for fact in bench.facts if isinstance(fact, VenueHalted)] == ["v2"]
    bench.at(2)
    assert len(bench.facts) == 1
    bench.at(11)
    assert bench.ladder.breakers.closed == {}


def test_breakers_that_are_switched_off_stay_closed() -> None:
    breakers = Breakers(BreakerLimits(pool_failures=None))
    for number in range(100):
        breakers.failed({"0x01": "v2"}, number)
    assert breakers.at(100) == []
    assert breakers.resting == {}


def test_the_view_of_these_tests_is_active() -> None:
    assert VIEW.trading_state is ACTIVE
