"""What happened in a demo run, gathered from the line's facts."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from engine.domain.events import (
    BlockFinished,
    ExecutionResolved,
    Fact,
    OpportunityApproved,
    OpportunityRefused,
    PlanSubmitted,
)
from engine.domain.execution import Execution, Outcome


def percentile(values: list[float], part: float) -> float:
    """The nearest-rank percentile, 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


@dataclass(slots=True)
class Tally:
    """Counts facts; `as_report` is the report's JSON form, amounts as decimal strings."""

    found: int = 0
    approved: int = 0
    submitted: int = 0
    blocks: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    executions: list[Execution] = field(default_factory=list)
    submit_ms: list[float] = field(default_factory=list)
    block_ms: list[float] = field(default_factory=list)

    def take(self, fact: Fact) -> None:
        """Count one fact."""
        match fact:
            case BlockFinished():
                self.blocks += 1
                self.found += fact.found
                self.block_ms.append(fact.elapsed_ms)
            case OpportunityApproved():
                self.approved += 1
            case OpportunityRefused():
                self.refused[fact.refused.reason.value] += 1
            case PlanSubmitted():
                self.submitted += 1
                self.submit_ms.append(fact.block_to_submit_ms)
            case ExecutionResolved():
                self.executions.append(fact.execution)

    def of(self, *outcomes: Outcome) -> list[Execution]:
        """Trades that ended in one of `outcomes`."""
        return [e for e in self.executions if e.outcome in outcomes and e.intent.kind == "trade"]

    @property
    def mismatches(self) -> int:
        """Landed trades of which expected, simulated and realised profit are not one number."""
        return sum(
            not (e.intent.expected_profit == e.intent.simulated_profit == e.realised_profit)
            for e in self.of(Outcome.LANDED)
        )

    def as_report(self, world: dict[str, Any]) -> dict[str, Any]:
        """The report; `world` holds chain_id, seed, pools, tokens, contracts, base_tokens (address, symbol,
        decimals) and the rate of each base token in wei of the native coin per base unit."""
        rates = world.pop("wei_per_base_unit")
        landed = self.of(Outcome.LANDED)
        reverted = self.of(Outcome.REVERTED)

        def in_wei(amount: int, token: str) -> int:
            rate = rates.get(token)
            return 0 if rate is None else int(amount * rate)

        return {
            "chain_id": world["chain_id"],
            "seed": world["seed"],
            "blocks": self.blocks,
            "pools": world["pools"],
            "tokens": world["tokens"],
            "opportunities_found": self.found,
            "approved": self.approved,
            "refused_by_reason": dict(sorted(self.refused.items())),
            "submitted": self.submitted,
            "landed": len(landed),
            "reverted": len(reverted),
            "missed": len(self.of(Outcome.MISSED, Outcome.REPLACED, Outcome.NEVER_SENT)),
            "expected_profit_wei": str(
                sum(in_wei(e.intent.expected_profit, e.intent.base_token) for e in landed)
            ),
            "realised_profit_wei": str(sum(in_wei(e.realised_profit, e.intent.base_token) for e in landed)),
            "gas_paid_wei": str(sum(e.gas_paid_wei for e in [*landed, *reverted])),
            "mismatches": self.mismatches,
            "latency_ms": {
                "block_to_submit": _spread(self.submit_ms),
                "block_to_done": _spread(self.block_ms),
            },
            "contracts": world["contracts"],
            "base_tokens": world["base_tokens"],
            "executions": [_execution(e) for e in [*landed, *reverted]],
        }


def _spread(values: list[float]) -> dict[str, float]:
    return {"p50": round(percentile(values, 0.5), 3), "p99": round(percentile(values, 0.99), 3)}


def _execution(execution: Execution) -> dict[str, Any]:
    intent = execution.intent
    opportunity = intent.record["opportunity"]
    return {
        "id": opportunity["id"],
        "block": execution.block_number,
        "tx": intent.transaction.hash,
        "outcome": execution.outcome.value,
        "cycle": opportunity["cycle"],
        "base_token": intent.base_token,
        "amount_in": opportunity["cycle"][0]["amount_in"],
        "expected_wei": str(intent.expected_profit),
        "simulated_wei": str(intent.simulated_profit),
        "realised_wei": str(execution.realised_profit),
        "gas_used": execution.gas_used,
        "gas_paid_wei": str(execution.gas_paid_wei),
    }
