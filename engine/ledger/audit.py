"""Whether the ledger says what the journal says: nothing is changed here, only told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.domain.execution import Execution
from engine.domain.ledger import Booked
from engine.ledger.book import entries_of


@dataclass(frozen=True, slots=True)
class Audit:
    """`lacking` are the journal's executions that the ledger does not have: it may have been lost, or been
    refused by the disk, and is made again from the journal. `differences` say, by id, what no service's
    failure explains: the ledger has something else, or something that the journal never held."""

    level: int
    lacking: tuple[Execution, ...]
    differences: Mapping[str, str]


def audit(executions: Iterable[Execution], booked: Mapping[str, Booked]) -> Audit:
    """Compare the last outcome of every journalled intent with what is `booked`, by id."""
    last = {execution.intent.id: execution for execution in executions}
    level, lacking, differences = 0, list[Execution](), dict[str, str]()
    for identifier, execution in last.items():
        found = booked.get(identifier)
        if found is None:
            lacking.append(execution)
            continue
        wrong = _difference(execution, found)
        if wrong is None:
            level += 1
        else:
            differences[identifier] = wrong
    for identifier in booked.keys() - last.keys():
        differences[identifier] = f"{identifier}: the ledger has it, the journal never held it"
    return Audit(level, tuple(lacking), differences)


def _difference(execution: Execution, found: Booked) -> str | None:
    ours = Booked(
        execution.outcome.value,
        execution.block_number,
        execution.realised_profit,
        execution.gas_paid_wei,
        entries_of(execution),
    )
    for name in ("outcome", "block_number", "realised_profit", "gas_paid_wei", "entries"):
        journal, ledger = getattr(ours, name), getattr(found, name)
        if journal != ledger:
            said = f"{name} is {_shown(journal)} in the journal, {_shown(ledger)} in the ledger"
            return f"{execution.intent.id}: {said}"
    return None


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f"{each.account} {each.amount} {each.token}" for each in value) + "]"
    return str(value)
