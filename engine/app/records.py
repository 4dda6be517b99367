"""What a run leaves on disk: the operator's journal and the ledger made from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from engine import __version__
from engine.domain.events import (
    ExecutionResolved,
    Fact,
    OpportunityApproved,
    OpportunityRefused,
    PlanSimulated,
    TokenJudged,
)
from engine.domain.execution import Execution
from engine.ledger.audit import Audit, audit
from engine.ledger.book import entries_of
from engine.ledger.journal import FileJournal, read_executions
from engine.ledger.reconcile import Reconciled, reconcile
from engine.storage.database import open_database
from engine.storage.repository import Repository
from engine.storage.writer import LedgerWriter

JOURNAL_NAME = "journal-{chain_id}-{operator}.jsonl"
LEDGER_NAME = "ledger.sqlite"


class Records:
    """Writes facts to the ledger, off the line. There is a journal for each operator, in their order; none in
    paper mode."""

    def __init__(
        self, repository: Repository, writer: LedgerWriter, journals: Sequence[FileJournal], chain_id: int
    ):
        self.chain_id = chain_id
        self.repository = repository
        self.writer = writer
        self.journals = journals

    def take(self, fact: Fact) -> None:
        """Hand one fact over; never waits."""
        match fact:
            case OpportunityRefused():
                self.writer.record_verdict(fact.refused)
            case OpportunityApproved():
                self.writer.record_verdict(fact.approved)
            case PlanSimulated():
                self.writer.record_verdict(fact.simulated)
            case TokenJudged():
                self.writer.record_token(fact.verdict)
            case ExecutionResolved():
                self.writer.record_execution(fact.execution, entries_of(fact.execution))

    def executions(self) -> list[Execution]:
        """Every outcome in the journals, in the order of each. Raises JournalCorrupt."""
        return [execution for journal in self.journals for execution in read_executions(journal.path)]

    def audit(self) -> Audit:
        """Compare the ledger with the journal, changing neither. Raises SQLAlchemyError, JournalCorrupt."""
        # The ledger first: what is booked meanwhile is in the journal already.
        booked = self.repository.booked(self.chain_id)
        return audit(self.executions(), booked)

    def restore(self, execution: Execution) -> None:
        """Book an execution that the ledger lacks; never waits."""
        self.writer.record_execution(execution, entries_of(execution))

    def reconcile(self) -> Reconciled:
        """Bring the ledger level with the journal; call it after recovery."""
        return reconcile(self.executions(), self.repository)


@asynccontextmanager
async def open_records(
    directory: Path,
    chain_id: int,
    mode: str,
    operators: Sequence[str],
    on_error: Callable[[Exception], None],
) -> AsyncIterator[Records]:
    """The records of one run in `directory`; with `operators`, their journals too, locked for this process.

    Raises UsageError when the directory cannot be written or another process sends with the same key.
    """
    with ExitStack() as stack:
        journals = []
        for operator in operators:
            name = JOURNAL_NAME.format(chain_id=chain_id, operator=operator)
            journals.append(stack.enter_context(FileJournal(directory / name)))
        engine = open_database(directory / LEDGER_NAME, whole=True)
        stack.callback(engine.dispose)
        repository = Repository(engine)
        run_id = repository.start_run(mode, chain_id, __version__)
        writer = LedgerWriter(repository, run_id, on_error=on_error)
        try:
            yield Records(repository, writer, journals, chain_id)
        finally:
            await writer.close()
