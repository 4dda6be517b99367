"""Intents and executions to journal and book."""

from __future__ import annotations

from engine.domain.execution import Execution, Intent, Outcome, SignedTransaction

BASE = "0x" + "11" * 20


def intent(number: int = 1, *, kind: str = "trade", nonce: int | None = None, profit: int = 100) -> Intent:
    transaction = SignedTransaction(
        sender="0x" + "ee" * 20,
        nonce=number if nonce is None else nonce,
        hash=f"0x{number:064x}",
        raw=bytes(range(number % 200)),
    )
    return Intent(
        id=f"{number:016x}",
        kind=kind,
        chain_id=1,
        block_number=number,
        base_token=BASE,
        expected_profit=profit,
        simulated_profit=profit,
        deadline=2_000_000_000,
        max_fee_wei=2**90,
        priority_fee_wei=2**70,
        transaction=transaction,
        record={"opportunity": {"id": f"{number:016x}", "cycle": [{"pool": "0x" + "aa" * 20}]}},
    )


def execution(of: Intent, outcome: Outcome = Outcome.LANDED, **changes: int) -> Execution:
    mined = outcome in (Outcome.LANDED, Outcome.REVERTED)
    fields = {
        "block_number": 9 if mined else 0,
        "realised_profit": of.expected_profit if outcome is Outcome.LANDED and of.kind == "trade" else 0,
        "gas_used": 150_000 if mined else 0,
        "effective_gas_price_wei": 10**10 if mined else 0,
        **changes,
    }
    return Execution(of, outcome, block_hash="0x" + "0b" * 32 if mined else "", **fields)
