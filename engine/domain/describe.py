"""Values as JSON-safe documents: integers that may exceed 53 bits are decimal strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.domain.opportunity import CheckResult, Opportunity


def describe_opportunity(opportunity: Opportunity) -> dict[str, Any]:
    """The opportunity with its cycle; `gas_estimate` in gas units, amounts in base units, all as strings."""
    return {
        "id": opportunity.id,
        "block": opportunity.block.number,
        "block_hash": opportunity.block.hash,
        "base_token": opportunity.base_token,
        "cycle": [
            {
                "pool": hop.pool,
                "protocol": hop.protocol.value,
                "venue": hop.venue,
                "token_in": hop.token_in,
                "token_out": hop.token_out,
                "amount_in": str(hop.amount_in),
                "amount_out": str(hop.amount_out),
            }
            for hop in opportunity.hops
        ],
        "amount_in": str(opportunity.amount_in),
        "amount_out": str(opportunity.amount_out),
        "gross_profit": str(opportunity.gross_profit),
        "gas_estimate": str(opportunity.gas_estimate),
        "gas_cost": str(opportunity.gas_cost),
        "loan_fee": str(opportunity.loan_fee),
        "net_profit": str(opportunity.net_profit),
    }


def describe_results(results: Iterable[CheckResult]) -> list[dict[str, Any]]:
    """Check results in order, each with the numbers it compared."""
    return [
        {
            "check": result.check,
            "passed": result.passed,
            "reason": result.reason.value if result.reason else None,
            "numbers": dict(result.numbers),
        }
        for result in results
    ]


def cycles_of(record: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """The hops of each opportunity that an intent's record carries, in the order they are carried out."""
    described = [record.get("opportunity", {}), *(each["opportunity"] for each in record.get("also", ()))]
    return [each.get("cycle", []) for each in described]
