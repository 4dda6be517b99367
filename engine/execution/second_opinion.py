"""Large trades are proved by several endpoints: one that lies or lags decides nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from engine.domain.errors import NodeError
from engine.domain.execution import Plan, SimulatedPlan
from engine.domain.market import BlockRef
from engine.domain.opportunity import CheckResult, RefusalReason, Refused

CHECK = "second_node"
NEEDED = 2

Simulate = Callable[[Plan, BlockRef], Awaitable[SimulatedPlan | Refused]]
Answer = SimulatedPlan | Refused | NodeError


class Thresholds(Protocol):
    """From what on a trade is large, by base token, base units; see `RiskLimits`."""

    @property
    def second_node_amount(self) -> dict[str, int]: ...

    @property
    def second_node_profit(self) -> dict[str, int]: ...

    @property
    def second_node_wait_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint's own simulation; `name` without credentials."""

    name: str
    simulate: Simulate


class SecondOpinion:
    """Simulates small plans as ever, and large ones on every endpoint at once.

    The exact transaction must return the expected profit, to the wei, at the same parent block, on two
    endpoints at least, and nothing else on any that ran it. `endpoints` gives those that may be asked now.
    """

    def __init__(
        self, simulate: Simulate, endpoints: Callable[[], Sequence[Endpoint]], thresholds: Thresholds
    ):
        self._simulate = simulate
        self._endpoints = endpoints
        self._thresholds = thresholds

    async def simulate(self, plan: Plan, block: BlockRef) -> SimulatedPlan | Refused:
        """As `Simulator.simulate`. A large plan without a second endpoint that agrees is refused for
        SECOND_NODE with what each of them said; raises NodeError when none of them answered."""
        limits = self._thresholds
        token = plan.opportunity.base_token
        amounts: Counter[str] = Counter()
        for each in plan.together:
            amounts[each.opportunity.base_token] += each.opportunity.amount_in
        amount = amounts[token]
        large = any(_reaches(sold, limits.second_node_amount.get(of)) for of, sold in amounts.items())
        large = large or _reaches(plan.expected_profit, limits.second_node_profit.get(token))
        if not large:
            return await self._simulate(plan, block)
        numbers = {"amount_in": str(amount), "expected_profit": str(plan.expected_profit)}
        endpoints = self._endpoints()
        if len(endpoints) < NEEDED:
            return _refused(
                plan, numbers, "only one endpoint may be asked: name another one in chain.rpc_url"
            )
        answers = await asyncio.gather(*(self._ask(each, plan, block) for each in endpoints))
        return _verdict(plan, numbers, endpoints, answers)

    async def _ask(self, endpoint: Endpoint, plan: Plan, block: BlockRef) -> Answer:
        wait_s = self._thresholds.second_node_wait_s
        try:
            async with asyncio.timeout(wait_s):
                return await endpoint.simulate(plan, block)
        except NodeError as error:
            return error
        except TimeoutError:
            return NodeError(f"no answer within {wait_s} s", method="eth_call")


def _verdict(
    plan: Plan, numbers: dict[str, str], endpoints: Sequence[Endpoint], answers: Sequence[Answer]
) -> SimulatedPlan | Refused:
    agreed = [answer for answer in answers if isinstance(answer, SimulatedPlan)]
    refusals = [answer for answer in answers if isinstance(answer, Refused)]
    errors = [answer for answer in answers if isinstance(answer, NodeError)]
    if len(errors) == len(answers):
        raise errors[0]
    if not agreed and not errors:
        # All of them say no: then it is not the endpoints that differ.
        return refusals[0]
    said = {
        f"endpoint_{at} {endpoint.name}": _told(answer)
        for at, (endpoint, answer) in enumerate(zip(endpoints, answers, strict=True))
    }
    numbers = {**numbers, "agreed": str(len(agreed)), "asked": str(len(answers)), **said}
    if refusals:
        return _refused(plan, numbers, "an endpoint simulated otherwise")
    if len(agreed) < NEEDED:
        return _refused(plan, numbers, "no second endpoint answered")
    first = agreed[0]
    # The dearest of the estimates bounds the gas, whichever endpoint's node runs it.
    widest = max(agreed, key=lambda each: each.plan.gas_limit)
    return replace(first, plan=widest.plan, results=(*first.results, CheckResult(CHECK, True, None, numbers)))


def _told(answer: Answer) -> str:
    if isinstance(answer, SimulatedPlan):
        return f"profit {answer.simulated_profit}"
    if isinstance(answer, NodeError):
        return f"did not answer: {str(answer)[:200]}"
    numbers = answer.results[-1].numbers
    profit = numbers.get("simulated_profit")
    what = f"profit {profit}" if profit is not None else numbers.get("error") or numbers.get("message", "")
    return f"{answer.reason.value}: {what}"[:200]


def _reaches(value: int, threshold: int | None) -> bool:
    return threshold is not None and value >= threshold


def _refused(plan: Plan, numbers: dict[str, str], why: str) -> Refused:
    result = CheckResult(CHECK, False, RefusalReason.SECOND_NODE, {**numbers, "why": why})
    return Refused(plan.opportunity, (*plan.approved.results, result))
