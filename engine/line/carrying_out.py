"""The chosen combinations, planned, simulated, priced and sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from engine.domain.errors import ExecutionError
from engine.domain.events import (
    ExecutionResolved,
    OpportunityRefused,
    PlanSimulated,
    PlanSubmitted,
    PlanTakenApart,
)
from engine.domain.execution import Execution, Plan, SimulatedPlan
from engine.domain.market import BlockRef
from engine.domain.opportunity import CheckResult, RefusalReason, Refused
from engine.execution.combination import Combination, alone
from engine.line.stages import Line
from engine.search.costs import GasCosts


def plan_of(line: Line, combination: Combination, block: BlockRef) -> Plan | Refused:
    """The combination's transaction for the child of `block`, or why the router cannot carry it out."""
    first, *also = combination.together
    try:
        return line.plan(first, block, also, combination.conversions)
    except ExecutionError as error:
        unfit = CheckResult("plan", False, RefusalReason.NOT_ENCODABLE, {"error": str(error)})
        return Refused(first.opportunity, (*first.results, unfit))


async def _diverged(line: Line, combinations: Sequence[Combination], block: BlockRef) -> frozenset[str]:
    """Pools that the tripwire does not let pass; asked while the plans are simulated."""
    if line.tripwire is None or not combinations:
        return frozenset()
    keys = frozenset[str]().union(*(each.pools for each in combinations))
    return await line.tripwire.check(block, keys)


async def _simulate(line: Line, combinations: Sequence[Combination], block: BlockRef) -> list[SimulatedPlan]:
    """Simulate all side by side; those that do not hold together are simulated one by one."""
    held, apart = list[SimulatedPlan](), list[Combination]()

    async def simulated(combination: Combination) -> SimulatedPlan | Refused:
        plan = plan_of(line, combination, block)
        return plan if isinstance(plan, Refused) else await line.simulate(plan, block)

    answers = await asyncio.gather(*(simulated(each) for each in combinations))
    for combination, answer in zip(combinations, answers, strict=True):
        if isinstance(answer, SimulatedPlan):
            held.append(answer)
        elif len(combination.together) > 1:
            ids = tuple(each.opportunity.id for each in combination.together)
            line.publish(PlanTakenApart(block, ids, answer.reason.value))
            apart += alone(combination.apart)
        else:
            line.publish(OpportunityRefused(answer))
    return held + await _simulate(line, apart, block) if apart else held


async def carry_out(
    line: Line, combinations: Sequence[Combination], block: BlockRef, costs: GasCosts, arrived: float
) -> tuple[int, int]:
    """Simulate all plans, price and submit those that held in order; returns both counts."""
    diverged, held = await asyncio.gather(
        _diverged(line, combinations, block), _simulate(line, combinations, block)
    )
    simulated = submitted = 0
    for answer in held:
        if bad := diverged.intersection(answer.plan.pools):
            for refused in _distrusted(answer, sorted(bad)):
                line.publish(OpportunityRefused(refused))
            continue
        simulated += 1
        priced = line.price(answer, costs)
        if priced.plan.calldata != answer.plan.calldata:
            again = await line.simulate(priced.plan, block)
            if isinstance(again, Refused):
                for each in priced.plan.together:
                    line.publish(OpportunityRefused(replace(again, opportunity=each.opportunity)))
                continue
            priced = again
        line.publish(PlanSimulated(priced))
        if line.execute is None:
            continue
        sent = await line.execute.submit(priced)
        if isinstance(sent, Execution):
            line.publish(ExecutionResolved(sent))
            continue
        submitted += 1
        line.publish(PlanSubmitted(sent, (time.perf_counter() - arrived) * 1e3))
    return simulated, submitted


def _distrusted(simulated: SimulatedPlan, pools: list[str]) -> list[Refused]:
    failed = CheckResult("tripwire", False, RefusalReason.POOL_QUARANTINED, {"pools": ",".join(pools)})
    return [Refused(each.opportunity, (*each.results, failed)) for each in simulated.plan.together]
