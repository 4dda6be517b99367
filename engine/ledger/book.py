"""Double entry: every execution's effect on balances, twice, with opposite signs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from engine.domain.execution import Execution, Outcome
from engine.domain.ledger import NATIVE, Entry

ROUTER = "router"
INCOME = "income:arbitrage"
OPERATOR = "operator"
GAS = "expense:gas"


def entries_of(execution: Execution) -> tuple[Entry, ...]:
    """The entries of one execution; empty when nothing happened on the chain.

    Realised profit moves from income to the router in the base token, gas from the operator to expenses in
    wei. Each pair sums to zero.
    """
    entries: list[Entry] = []
    if execution.outcome is Outcome.LANDED and execution.realised_profit:
        token, profit = execution.intent.base_token, execution.realised_profit
        entries += _pair(execution.intent.id, token, ROUTER, INCOME, profit)
    if execution.gas_paid_wei:
        entries += _pair(execution.intent.id, NATIVE, GAS, OPERATOR, execution.gas_paid_wei)
    return tuple(entries)


def _pair(execution_id: str, token: str, to: str, source: str, amount: int) -> list[Entry]:
    return [Entry(execution_id, to, token, amount), Entry(execution_id, source, token, -amount)]


def balances(entries: Iterable[Entry]) -> dict[tuple[str, str], int]:
    """Sum of the entries by (account, token)."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for entry in entries:
        sums[entry.account, entry.token] += entry.amount
    return dict(sums)


def is_mismatch(execution: Execution) -> bool:
    """Whether a landed trade did not realise, to the wei, what was expected and simulated."""
    intent = execution.intent
    return (
        intent.kind == "trade"
        and execution.outcome is Outcome.LANDED
        and not intent.expected_profit == intent.simulated_profit == execution.realised_profit
    )
