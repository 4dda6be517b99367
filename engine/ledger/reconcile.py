"""Bringing the ledger level with the journal, which is the authority."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.domain.execution import Execution
from engine.domain.ledger import Entry
from engine.ledger.book import entries_of


class Ledger(Protocol):
    """Where executions are kept for reading. `put_execution` replaces what is there under the same id."""

    def execution_state(self, execution_id: str) -> tuple[str, int] | None: ...

    def put_execution(self, execution: Execution, entries: Sequence[Entry]) -> None: ...


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many of the journal's executions the ledger had, lacked, or had otherwise."""

    level: int
    added: int
    corrected: int


def reconcile(executions: Iterable[Execution], ledger: Ledger) -> Reconciled:
    """Make the ledger hold the last outcome of every journalled intent. Idempotent."""
    last = {execution.intent.id: execution for execution in executions}
    level = added = corrected = 0
    for execution in last.values():
        found = ledger.execution_state(execution.intent.id)
        if found == (execution.outcome.value, execution.realised_profit):
            level += 1
            continue
        ledger.put_execution(execution, entries_of(execution))
        added, corrected = added + (found is None), corrected + (found is not None)
    return Reconciled(level, added, corrected)
