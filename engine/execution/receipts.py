"""Receipts as the tracker needs them; what a node sends is checked before it is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.errors import NodeError
from engine.domain.execution import Execution, Intent, Outcome

# (logs, token, account) -> change of the account's balance, base units
TokenDelta = Callable[[Iterable[Mapping[str, Any]], str, str], int]


@dataclass(frozen=True, slots=True)
class Receipt:
    """`gas_used` in gas units, `gas_price_wei` per gas; `logs` as JSON-RPC objects. For a transaction's bytes
    a rollup charges `data_fee_wei` besides, or counts `data_gas` of the gas used."""

    transaction_hash: str
    succeeded: bool
    block_number: int
    block_hash: str
    gas_used: int
    gas_price_wei: int
    logs: list[dict]
    data_fee_wei: int = 0
    data_gas: int = 0


def parse_receipt(answer: Any, transaction_hash: str) -> Receipt:
    """Read `eth_getTransactionReceipt`'s answer. Raises NodeError when it is malformed or of another hash."""
    try:
        receipt = Receipt(
            transaction_hash=str(answer["transactionHash"]).lower(),
            succeeded=int(answer["status"], 16) == 1,
            block_number=int(answer["blockNumber"], 16),
            block_hash=str(answer["blockHash"]).lower(),
            gas_used=int(answer["gasUsed"], 16),
            gas_price_wei=int(answer["effectiveGasPrice"], 16),
            logs=list(answer["logs"]),
            # The first is of chains of the OP stack, the second of Arbitrum's.
            data_fee_wei=int(answer.get("l1Fee") or "0x0", 16),
            data_gas=int(answer.get("gasUsedForL1") or "0x0", 16),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NodeError(
            f"malformed receipt of {transaction_hash}: {error!r}", method="eth_getTransactionReceipt"
        ) from error
    if receipt.transaction_hash != transaction_hash:
        raise NodeError(
            f"asked for the receipt of {transaction_hash}, got that of {receipt.transaction_hash}",
            method="eth_getTransactionReceipt",
        )
    return receipt


def execution_of(intent: Intent, receipt: Receipt, router: str, token_delta: TokenDelta) -> Execution:
    """The execution that a receipt of the intent's own transaction proves. `router` is the current one: an
    intent that went to an earlier one says so itself."""
    landed = receipt.succeeded
    is_trade = intent.kind == "trade"
    router = intent.record.get("plan", {}).get("router", router)
    return Execution(
        intent=intent,
        outcome=Outcome.LANDED if landed else Outcome.REVERTED,
        block_number=receipt.block_number,
        block_hash=receipt.block_hash,
        realised_profit=token_delta(receipt.logs, intent.base_token, router) if landed and is_trade else 0,
        gas_used=receipt.gas_used,
        effective_gas_price_wei=receipt.gas_price_wei,
        data_fee_wei=receipt.data_fee_wei,
        data_gas=receipt.data_gas,
    )
