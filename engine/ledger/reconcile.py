"""Bringing the ledger level with the journal, which is the authority."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.domain.execution import Execution
from engine.domain.ledger import Entry
from engine.ledger.book import entries_of


class Ledger(Protocol):
    """Where executions are kept for reading. `put_execution` replaces what is there under the same id, and
    `holds` says whether it is there with all its entries: None when nothing is there under its id."""

    def holds(self, execution: Execution, entries: Sequence[Entry]) -> bool | None: ...

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
        entries = entries_of(execution)
        found = ledger.holds(execution, entries)
        if found:
            level += 1
            continue
        ledger.put_execution(execution, entries)
        added, corrected = added + (found is None), corrected + (found is not None)
    return Reconciled(level, added, corrected)
