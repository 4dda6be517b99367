"""Intents and executions as JSON objects, exactly: integers beyond 53 bits as decimal strings."""

from __future__ import annotations

from typing import Any

from engine.domain.execution import Execution, Intent, MissReason, Outcome, SignedTransaction


def intent_to_json(intent: Intent) -> dict[str, Any]:
    """An intent with its signed bytes."""
    return {
        "id": intent.id,
        "kind": intent.kind,
        "chain_id": intent.chain_id,
        "block_number": intent.block_number,
        "base_token": intent.base_token,
        "expected_profit": str(intent.expected_profit),
        "simulated_profit": str(intent.simulated_profit),
        "deadline": intent.deadline,
        "max_fee_wei": str(intent.max_fee_wei),
        "priority_fee_wei": str(intent.priority_fee_wei),
        "sender": intent.transaction.sender,
        "nonce": intent.transaction.nonce,
        "hash": intent.transaction.hash,
        "raw": "0x" + intent.transaction.raw.hex(),
        "record": intent.record,
        "last_block": intent.last_block,
    }


def intent_from_json(value: dict[str, Any]) -> Intent:
    """The inverse of `intent_to_json`. Raises KeyError, TypeError or ValueError when malformed."""
    return Intent(
        id=value["id"],
        kind=value["kind"],
        chain_id=int(value["chain_id"]),
        block_number=int(value["block_number"]),
        base_token=value["base_token"],
        expected_profit=int(value["expected_profit"]),
        simulated_profit=int(value["simulated_profit"]),
        deadline=int(value["deadline"]),
        max_fee_wei=int(value["max_fee_wei"]),
        priority_fee_wei=int(value["priority_fee_wei"]),
        transaction=SignedTransaction(
            sender=value["sender"],
            nonce=int(value["nonce"]),
            hash=value["hash"],
            raw=bytes.fromhex(value["raw"][2:]),
        ),
        record=value["record"],
        last_block=int(value.get("last_block", 0)),
    )


def outcome_to_json(execution: Execution) -> dict[str, Any]:
    """An execution's outcome; the intent by its id."""
    return {
        "intent": execution.intent.id,
        "outcome": execution.outcome.value,
        "block_number": execution.block_number,
        "block_hash": execution.block_hash,
        "realised_profit": str(execution.realised_profit),
        "gas_used": execution.gas_used,
        "effective_gas_price_wei": str(execution.effective_gas_price_wei),
        "data_fee_wei": str(execution.data_fee_wei),
        "data_gas": execution.data_gas,
        **({"miss": execution.miss.value, "rival": execution.rival} if execution.miss else {}),
    }


def outcome_from_json(value: dict[str, Any], intent: Intent) -> Execution:
    """The inverse of `outcome_to_json`. Raises KeyError, TypeError or ValueError when malformed."""
    return Execution(
        intent=intent,
        outcome=Outcome(value["outcome"]),
        block_number=int(value["block_number"]),
        block_hash=value["block_hash"],
        realised_profit=int(value["realised_profit"]),
        gas_used=int(value["gas_used"]),
        effective_gas_price_wei=int(value["effective_gas_price_wei"]),
        data_fee_wei=int(value.get("data_fee_wei", 0)),
        data_gas=int(value.get("data_gas", 0)),
        miss=MissReason(value["miss"]) if "miss" in value else None,
        rival=value.get("rival", ""),
    )
