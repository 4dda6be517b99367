"""What the line decided, one line of JSON each, without anything that depends on a clock."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from engine.domain.describe import describe_opportunity, describe_results
from engine.domain.events import (
    BlockApplied,
    BlockFinished,
    BlockSkipped,
    Fact,
    OpportunityApproved,
    OpportunityRefused,
    PlanSimulated,
    PoolQuarantined,
)
from engine.domain.execution import SimulatedPlan


class Decisions:
    """Hears facts; `text` is everything decided so far."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def text(self) -> str:
        """One decision a line."""
        return "".join(line + "\n" for line in self._lines)

    @property
    def digest(self) -> str:
        """SHA-256 of the text, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def take(self, fact: Fact) -> None:
        """Write one fact down, if it is a decision."""
        document = _document(fact)
        if document is not None:
            self._lines.append(json.dumps(document, sort_keys=True, separators=(",", ":")))


def _document(fact: Fact) -> dict[str, Any] | None:
    match fact:
        case BlockApplied():
            return {
                "is": "applied",
                "block": fact.block.number,
                "hash": fact.block.hash,
                "changed": fact.changed_pools,
                "undid": fact.reorg_depth,
            }
        case PoolQuarantined():
            return {"is": "quarantined", "block": fact.block.number, "pool": fact.pool, "reason": fact.reason}
        case OpportunityRefused():
            refused = fact.refused
            return {
                "is": "refused",
                "reason": refused.reason.value,
                "opportunity": describe_opportunity(refused.opportunity),
                "checks": describe_results(refused.results),
            }
        case OpportunityApproved():
            approved = fact.approved
            return {
                "is": "approved",
                "opportunity": describe_opportunity(approved.opportunity),
                "checks": describe_results(approved.results),
            }
        case PlanSimulated():
            return {"is": "simulated", **_plan(fact.simulated)}
        case BlockFinished():
            return {
                "is": "finished",
                "block": fact.block.number,
                "found": fact.found,
                "approved": fact.approved,
                "simulated": fact.simulated,
                "partial": fact.partial,
            }
        case BlockSkipped():
            return {"is": "skipped", "block": fact.block.number}
    return None


def _plan(simulated: SimulatedPlan) -> dict[str, Any]:
    plan = simulated.plan
    return {
        "opportunity": plan.opportunity.id,
        "router": plan.router,
        "calldata": plan.calldata.hex(),
        "min_profit": str(plan.min_profit),
        "deadline": plan.deadline,
        "gas_limit": plan.gas_limit,
        "max_fee_wei": str(plan.max_fee_wei),
        "priority_fee_wei": str(plan.priority_fee_wei),
        "profit": str(simulated.simulated_profit),
        "gas_used": simulated.gas_used,
        "checks": describe_results(simulated.results),
    }
