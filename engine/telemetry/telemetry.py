"""One method per meaningful event: it logs and it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable
from typing import Any

from engine.domain.events import (
    BlockApplied,
    BlockFinished,
    BlockSkipped,
    BooksCompared,
    ExecutionResolved,
    Fact,
    OpportunityApproved,
    OpportunityRefused,
    OptimumBounded,
    PlanDispatched,
    PlanSimulated,
    PlanSubmitted,
    PlanTakenApart,
    PoolDiverged,
    PoolQuarantined,
    TokenJudged,
    TradingStateChanged,
    VenueHalted,
)
from engine.domain.execution import Delivery, Outcome
from engine.domain.opportunity import TradingState

LATENCIES_KEPT = 100_000


def percentile(values: list[float], part: float) -> float | None:
    """The smallest value that at least `part` (0..1) of the values do not exceed; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * part // 1))
    return ordered[int(rank) - 1]


class Telemetry:
    """Listens to the line's facts. `counts` by event name, refusals also by reason."""

    def __init__(self, logger: Any):
        self.log = logger
        self.counts: Counter[str] = Counter()
        self.refused_by_reason: Counter[str] = Counter()
        self.expected_profit_wei: Counter[str] = Counter()
        self.realised_profit_wei: Counter[str] = Counter()
        self.block_to_submit_ms: list[float] = []
        self.block_elapsed_ms: list[float] = []

    async def listen(self, facts: AsyncIterable[Fact]) -> None:
        """Handle facts until there are no more."""
        async for fact in facts:
            self.handle(fact)

    def handle(self, fact: Fact) -> None:
        """Log and count one fact."""
        match fact:
            case BlockApplied():
                self.block_applied(fact)
            case BlockFinished():
                self.block_finished(fact)
            case BlockSkipped():
                self.block_skipped(fact)
            case PoolQuarantined():
                self.pool_quarantined(fact)
            case PoolDiverged():
                self.pool_diverged(fact)
            case VenueHalted():
                self.venue_halted(fact)
            case TradingStateChanged():
                self.trading_state_changed(fact)
            case TokenJudged():
                self.token_judged(fact)
            case OptimumBounded():
                self.optimum_bounded(fact)
            case OpportunityRefused():
                self.opportunity_refused(fact)
            case OpportunityApproved():
                self.opportunity_approved(fact)
            case PlanSimulated():
                self.plan_simulated(fact)
            case PlanTakenApart():
                self.plan_taken_apart(fact)
            case PlanSubmitted():
                self.plan_submitted(fact)
            case PlanDispatched():
                self.plan_dispatched(fact)
            case ExecutionResolved():
                self.execution_resolved(fact)
            case BooksCompared():
                self.books_compared(fact)

    def latency_ms(self) -> dict[str, dict[str, float | None]]:
        """p50 and p99 of block-to-submit and of whole blocks, in milliseconds."""
        return {
            "block_to_submit": _percentiles(self.block_to_submit_ms),
            "block": _percentiles(self.block_elapsed_ms),
        }

    def block_applied(self, fact: BlockApplied) -> None:
        self.counts["block_applied"] += 1
        self.counts["blocks_unwound"] += fact.reorg_depth
        emit = self.log.warning if fact.reorg_depth else self.log.debug
        emit(
            "block_applied",
            block=fact.block.number,
            hash=fact.block.hash,
            changed_pools=fact.changed_pools,
            reorg_depth=fact.reorg_depth,
        )

    def block_finished(self, fact: BlockFinished) -> None:
        self.counts["block_finished"] += 1
        self.counts["opportunities_found"] += fact.found
        if fact.partial:
            self.counts["partial_search"] += 1
        _keep(self.block_elapsed_ms, fact.elapsed_ms)
        self.log.info(
            "block_finished",
            block=fact.block.number,
            found=fact.found,
            approved=fact.approved,
            simulated=fact.simulated,
            submitted=fact.submitted,
            elapsed_ms=round(fact.elapsed_ms, 2),
        )

    def block_skipped(self, fact: BlockSkipped) -> None:
        self.counts["block_skipped"] += 1
        self.log.warning("block_skipped", block=fact.block.number, reason=fact.reason)

    def pool_quarantined(self, fact: PoolQuarantined) -> None:
        self.counts["pool_quarantined"] += 1
        self.log.warning("pool_quarantined", block=fact.block.number, pool=fact.pool, reason=fact.reason)

    def pool_diverged(self, fact: PoolDiverged) -> None:
        # Where the node was wrong the pool is not what diverged; about an answer that it corrected itself
        # there is nothing to do.
        event = fact.cause.replace(" ", "_") if fact.by_node else "pool_diverged"
        self.counts[event] += 1
        (self.log.info if fact.cause == "raced node" else self.log.warning)(
            event,
            block=fact.block.number,
            pool=fact.pool,
            venue=fact.venue,
            cause=fact.cause,
            changed=", ".join(fact.changed),
        )

    def venue_halted(self, fact: VenueHalted) -> None:
        self.counts["venue_halted"] += 1
        self.log.error("venue_halted", block=fact.block.number, venue=fact.venue, reason=fact.reason)

    def trading_state_changed(self, fact: TradingStateChanged) -> None:
        self.counts[f"state_{fact.state.value}"] += 1
        (self.log.info if fact.state is TradingState.ACTIVE else self.log.warning)(
            "trading_state_changed",
            block=fact.block.number,
            state=fact.state.value,
            causes="; ".join(fact.causes),
        )

    def token_judged(self, fact: TokenJudged) -> None:
        verdict = fact.verdict
        self.counts["token_judged"] += 1
        self.counts["token_refused"] += not verdict.is_safe
        (self.log.debug if verdict.is_safe else self.log.warning)(
            "token_judged",
            block=fact.block.number,
            token=verdict.token,
            verdict="good" if verdict.fault is None else verdict.fault.value,
            detail=verdict.detail,
            context=verdict.context,
        )

    def optimum_bounded(self, fact: OptimumBounded) -> None:
        self.counts["optimum_bounded"] += 1
        self.log.info(
            "optimum_bounded",
            block=fact.block.number,
            bound_wei=str(fact.bound_wei),
            reached_wei=str(fact.reached_wei),
            captured=round(fact.captured, 6),
            net_wei=str(fact.net_wei),
            cycles=fact.cycles,
            left_out=",".join(f"{protocol} {count}" for protocol, count in fact.left_out.items()),
            elapsed_ms=round(fact.elapsed_ms, 2),
        )

    def opportunity_refused(self, fact: OpportunityRefused) -> None:
        refused = fact.refused
        self.counts["refused"] += 1
        self.refused_by_reason[refused.reason.value] += 1
        last = refused.results[-1]
        self.log.debug(
            "opportunity_refused",
            id=refused.opportunity.id,
            block=refused.opportunity.block.number,
            reason=refused.reason.value,
            check=last.check,
            **{f"of_{name}": value for name, value in last.numbers.items()},
        )

    def opportunity_approved(self, fact: OpportunityApproved) -> None:
        self.counts["approved"] += 1
        opportunity = fact.approved.opportunity
        self.log.debug(
            "opportunity_approved",
            id=opportunity.id,
            block=opportunity.block.number,
            hops=len(opportunity.hops),
            net_profit=opportunity.net_profit,
        )

    def plan_simulated(self, fact: PlanSimulated) -> None:
        self.counts["simulated"] += 1
        simulated = fact.simulated
        self.log.info(
            "plan_simulated",
            id=simulated.plan.opportunity.id,
            block=simulated.block.number,
            profit=simulated.simulated_profit,
            base_token=simulated.plan.opportunity.base_token,
            gas=simulated.gas_used,
            also=",".join(each.opportunity.id for each in simulated.plan.also),
        )

    def plan_taken_apart(self, fact: PlanTakenApart) -> None:
        self.counts["taken_apart"] += 1
        self.log.warning(
            "plan_taken_apart",
            block=fact.block.number,
            opportunities=",".join(fact.opportunities),
            reason=fact.reason,
        )

    def plan_submitted(self, fact: PlanSubmitted) -> None:
        self.counts["submitted"] += 1
        _keep(self.block_to_submit_ms, fact.block_to_submit_ms)
        intent = fact.intent
        self.log.info(
            "plan_submitted",
            id=intent.id,
            transaction=intent.transaction.hash,
            nonce=intent.transaction.nonce,
            expected_profit=intent.expected_profit,
            base_token=intent.base_token,
            block_to_submit_ms=round(fact.block_to_submit_ms, 2),
        )

    def plan_dispatched(self, fact: PlanDispatched) -> None:
        for dispatch in fact.dispatches:
            self.counts[f"dispatch_{dispatch.delivery.value}"] += 1
            emit = self.log.info if dispatch.delivery is Delivery.ACCEPTED else self.log.warning
            emit(
                "plan_dispatched",
                id=fact.intent.id,
                channel=dispatch.channel,
                delivery=dispatch.delivery.value,
                detail=dispatch.detail,
                elapsed_ms=round(dispatch.elapsed_ms, 2),
            )

    def execution_resolved(self, fact: ExecutionResolved) -> None:
        execution, intent = fact.execution, fact.execution.intent
        numbers = {
            "id": intent.id,
            "kind": intent.kind,
            "outcome": execution.outcome.value,
            "block": execution.block_number,
            "nonce": intent.transaction.nonce,
            "gas_used": execution.gas_used,
            "gas_price_wei": execution.effective_gas_price_wei,
        }
        if intent.kind != "trade":
            self.counts["cancel_" + execution.outcome.value] += 1
            self.log.info("cancel_resolved", **numbers)
            return
        self.counts[execution.outcome.value] += 1
        if execution.outcome is not Outcome.LANDED:
            miss = execution.miss.value if execution.miss else None
            self.counts[f"miss_{miss or 'unexplained'}"] += 1
            self.log.warning("execution_resolved", **numbers, miss=miss, rival=execution.rival)
            return
        self.expected_profit_wei[intent.base_token] += intent.expected_profit
        self.realised_profit_wei[intent.base_token] += execution.realised_profit
        amounts = (intent.expected_profit, intent.simulated_profit, execution.realised_profit)
        mismatch = len(set(amounts)) > 1
        self.counts["mismatches"] += mismatch
        (self.log.error if mismatch else self.log.info)(
            "execution_resolved",
            **numbers,
            base_token=intent.base_token,
            expected_profit=amounts[0],
            simulated_profit=amounts[1],
            realised_profit=amounts[2],
            mismatch=mismatch,
        )

    def books_compared(self, fact: BooksCompared) -> None:
        self.counts["books_compared"] += 1
        self.counts["books_differ"] += len(fact.differences)
        emit = self.log.error if fact.differences else self.log.warning if fact.restored else self.log.info
        emit(
            "books_compared",
            block=fact.block.number,
            agreed=fact.level,
            restored=fact.restored,
            differences="; ".join(fact.differences),
        )

    def started(self, **facts: object) -> None:
        """A run begins; what it runs on."""
        self.counts["started"] += 1
        self.log.info("started", **facts)

    def stopped(self, **facts: object) -> None:
        """A run ends, and how."""
        self.counts["stopped"] += 1
        self.log.info("stopped", **facts)

    def recovered(self, in_flight: int, resolved: int, torn_bytes: int) -> None:
        """An earlier run's open ends were tied up."""
        self.counts["recovered"] += resolved
        emit = self.log.warning if torn_bytes else self.log.info
        emit("recovered", in_flight=in_flight, resolved=resolved, torn_bytes=torn_bytes)

    def search_ready(self, seconds: float) -> None:
        """The search's kernels are loaded, that long after they were asked for."""
        self.counts["search_ready"] += 1
        self.log.info("search_ready", seconds=round(seconds, 3))

    def degraded(self, what: str, error: BaseException | str) -> None:
        """Something the line does without for now failed."""
        self.counts["degraded"] += 1
        self.log.warning("degraded", what=what, error=error)


def _keep(values: list[float], value: float) -> None:
    if len(values) < LATENCIES_KEPT:
        values.append(value)


def _percentiles(values: list[float]) -> dict[str, float | None]:
    return {"p50": percentile(values, 0.50), "p99": percentile(values, 0.99)}
