"""Values as JSON-safe documents: integers that may exceed 53 bits are decimal strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.domain.opportunity import CheckResult, Conversion, Hop, Opportunity


def describe_opportunity(opportunity: Opportunity) -> dict[str, Any]:
    """The opportunity with its cycle; `gas_estimate` in gas units, amounts in base units, all as strings."""
    return {
        "id": opportunity.id,
        "block": opportunity.block.number,
        "block_hash": opportunity.block.hash,
        "base_token": opportunity.base_token,
        "cycle": _describe_hops(opportunity.hops),
        "amount_in": str(opportunity.amount_in),
        "amount_out": str(opportunity.amount_out),
        "gross_profit": str(opportunity.gross_profit),
        "gas_estimate": str(opportunity.gas_estimate),
        "gas_cost": str(opportunity.gas_cost),
        "loan_fee": str(opportunity.loan_fee),
        "net_profit": str(opportunity.net_profit),
    }


def describe_conversion(conversion: Conversion) -> dict[str, Any]:
    """The conversion with its path; units as `describe_opportunity`'s, `gas_cost` in those of `token_out`."""
    return {
        "token_in": conversion.token_in,
        "token_out": conversion.token_out,
        "path": _describe_hops(conversion.hops),
        "amount_in": str(conversion.amount_in),
        "amount_out": str(conversion.amount_out),
        "gas_estimate": str(conversion.gas_estimate),
        "gas_cost": str(conversion.gas_cost),
    }


def _describe_hops(hops: Iterable[Hop]) -> list[dict[str, Any]]:
    return [
        {
            "pool": hop.pool,
            "protocol": hop.protocol.value,
            "venue": hop.venue,
            "token_in": hop.token_in,
            "token_out": hop.token_out,
            "amount_in": str(hop.amount_in),
            "amount_out": str(hop.amount_out),
        }
        for hop in hops
    ]


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


def conversions_of(record: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """The hops of each conversion that an intent's record carries, in their order."""
    return [each["conversion"]["path"] for each in record.get("conversions", ())]


def chains_of(record: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """The hops of all that an intent's record carries: cycles, then conversions."""
    return [*cycles_of(record), *conversions_of(record)]
