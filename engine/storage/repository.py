"""Writing the ledger, one transaction per call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from engine.domain.describe import describe_opportunity, describe_results
from engine.domain.execution import Execution, SimulatedPlan
from engine.domain.ledger import Booked, Entry
from engine.domain.market import Token
from engine.domain.opportunity import Approved, CheckResult, Opportunity, Refused
from engine.domain.token_safety import TokenVerdict
from engine.storage.models import CheckResultRow, EntryRow, ExecutionRow, OpportunityRow, RunRow, TokenRow
from engine.storage.token_verdicts import TokenVerdicts

Verdict = Approved | Refused | SimulatedPlan


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Repository:
    """The ledger's writing side. Safe to call from any one thread at a time."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def start_run(self, mode: str, chain_id: int, version: str) -> int:
        """Record a start of the engine; returns the run's number."""
        with Session(self._engine) as session:
            row = RunRow(started_at=_now(), mode=mode, chain_id=chain_id, version=version)
            session.add(row)
            session.commit()
            return row.id

    def put_tokens(self, chain_id: int, tokens: Iterable[Token]) -> None:
        """Remember how to show these tokens; later facts replace earlier ones."""
        with Session(self._engine) as session:
            for token in tokens:
                session.merge(
                    TokenRow(
                        chain_id=chain_id, address=token.address, symbol=token.symbol, decimals=token.decimals
                    )
                )
            session.commit()

    def put_verdicts(self, run_id: int, verdicts: Sequence[Verdict]) -> None:
        """Record opportunities with their check results; a later verdict on the same one replaces it."""
        latest = {each.opportunity.id: each for verdict in verdicts for each in _each_of(verdict)}
        rows = [_opportunity_row(run_id, verdict) for verdict in latest.values()]
        checks = [check for verdict in latest.values() for check in _check_rows(run_id, verdict)]
        with Session(self._engine) as session:
            session.execute(
                delete(OpportunityRow).where(
                    OpportunityRow.run_id == run_id, OpportunityRow.id.in_(list(latest))
                )
            )
            if rows:
                session.execute(insert(OpportunityRow), rows)
            if checks:
                session.execute(insert(CheckResultRow), checks)
            session.commit()

    def put_execution(self, execution: Execution, entries: Sequence[Entry]) -> None:
        """Record an execution with its entries, replacing what was recorded under its id."""
        with Session(self._engine) as session:
            session.execute(delete(ExecutionRow).where(ExecutionRow.id == execution.intent.id))
            session.add(_execution_row(execution))
            session.flush()
            for position, entry in enumerate(entries):
                session.add(
                    EntryRow(
                        execution_id=entry.execution_id,
                        position=position,
                        account=entry.account,
                        token=entry.token,
                        amount=entry.amount,
                    )
                )
            session.commit()

    def put_token_verdicts(self, run_id: int, verdicts: Sequence[TokenVerdict]) -> None:
        """Keep what was found of tokens, on the chain of the run."""
        with Session(self._engine) as session:
            run = session.get_one(RunRow, run_id)
            chain_id = run.chain_id
        TokenVerdicts(self._engine, chain_id).put(verdicts)

    def token_verdicts(self, chain_id: int) -> list[TokenVerdict]:
        """What earlier runs found of tokens."""
        return TokenVerdicts(self._engine, chain_id).all()

    def booked(self, chain_id: int) -> dict[str, Booked]:
        """What is recorded of a chain's executions, by id, the entries in their order."""
        of_chain = ExecutionRow.chain_id == chain_id
        entries: dict[str, list[Entry]] = {}
        with Session(self._engine) as session:
            rows = session.execute(
                select(
                    ExecutionRow.id,
                    ExecutionRow.outcome,
                    ExecutionRow.block_number,
                    ExecutionRow.realised_profit,
                    ExecutionRow.gas_paid_wei,
                ).where(of_chain)
            ).all()
            ids = select(ExecutionRow.id).where(of_chain)
            ordered = select(EntryRow).where(EntryRow.execution_id.in_(ids)).order_by(EntryRow.position)
            for row in session.scalars(ordered):
                entry = Entry(row.execution_id, row.account, row.token, row.amount)
                entries.setdefault(entry.execution_id, []).append(entry)
        return {
            row.id: Booked(
                row.outcome,
                row.block_number,
                row.realised_profit,
                row.gas_paid_wei,
                tuple(entries.get(row.id, ())),
            )
            for row in rows
        }

    def holds(self, execution: Execution, entries: Sequence[Entry]) -> bool | None:
        """Whether an execution is recorded with every fact and these entries; None when nothing is recorded
        under its id. What cannot be read counts as recorded otherwise."""
        wanted = _facts(_execution_row(execution))
        try:
            with Session(self._engine) as session:
                row = session.get(ExecutionRow, execution.intent.id)
                if row is None:
                    return None
                kept = session.execute(
                    select(EntryRow.position, EntryRow.account, EntryRow.token, EntryRow.amount)
                    .where(EntryRow.execution_id == row.id)
                    .order_by(EntryRow.position)
                ).all()
                facts = _facts(row)
        except (ValueError, TypeError, ArithmeticError):
            return False
        numbered = [(n, each.account, each.token, each.amount) for n, each in enumerate(entries)]
        return facts == wanted and [tuple(each) for each in kept] == numbered


def _facts(row: ExecutionRow) -> dict[str, object]:
    """A row's columns, but for when it was written."""
    return {c.name: getattr(row, c.name) for c in ExecutionRow.__table__.columns if c.name != "recorded_at"}


@dataclass(frozen=True, slots=True)
class _Said:
    """What was last said of one opportunity."""

    opportunity: Opportunity
    verdict: str
    reason: str | None
    results: tuple[CheckResult, ...]


def _each_of(verdict: Verdict) -> list[_Said]:
    """One for each opportunity that the verdict is about."""
    if isinstance(verdict, SimulatedPlan):
        # The simulation's answer is one for all of a plan.
        rest = [(each.opportunity, (*each.results, verdict.results[-1])) for each in verdict.plan.also]
        said = [(verdict.plan.opportunity, verdict.results), *rest]
        return [_Said(opportunity, "simulated", None, results) for opportunity, results in said]
    if isinstance(verdict, Refused):
        return [_Said(verdict.opportunity, "refused", verdict.reason.value, verdict.results)]
    return [_Said(verdict.opportunity, "approved", None, verdict.results)]


def _opportunity_row(run_id: int, said: _Said) -> dict:
    opportunity = said.opportunity
    return {
        "run_id": run_id,
        "id": opportunity.id,
        "block_number": opportunity.block.number,
        "base_token": opportunity.base_token,
        "amount_in": opportunity.amount_in,
        "gross_profit": opportunity.gross_profit,
        "net_profit": opportunity.net_profit,
        "verdict": said.verdict,
        "reason": said.reason,
        "document": describe_opportunity(opportunity),
    }


def _check_rows(run_id: int, said: _Said) -> list[dict]:
    return [
        {
            "run_id": run_id,
            "opportunity_id": said.opportunity.id,
            "position": position,
            "check_name": result["check"],
            "passed": result["passed"],
            "reason": result["reason"],
            "numbers": result["numbers"],
        }
        for position, result in enumerate(describe_results(said.results))
    ]


def _execution_row(execution: Execution) -> ExecutionRow:
    intent = execution.intent
    return ExecutionRow(
        id=intent.id,
        recorded_at=_now(),
        kind=intent.kind,
        opportunity_id=intent.record.get("opportunity", {}).get("id"),
        chain_id=intent.chain_id,
        built_on_block=intent.block_number,
        transaction_hash=intent.transaction.hash,
        sender=intent.transaction.sender,
        nonce=intent.transaction.nonce,
        base_token=intent.base_token,
        outcome=execution.outcome.value,
        block_number=execution.block_number,
        block_hash=execution.block_hash,
        expected_profit=intent.expected_profit,
        simulated_profit=intent.simulated_profit,
        realised_profit=execution.realised_profit,
        gas_used=execution.gas_used,
        gas_price_wei=execution.effective_gas_price_wei,
        gas_paid_wei=execution.gas_paid_wei,
        miss=execution.miss.value if execution.miss else None,
        rival=execution.rival or None,
        document=intent.record,
    )
