"""Reading the ledger: JSON-safe documents, amounts as decimal strings in base units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, exists, func, select
from sqlalchemy.orm import Session

from engine.storage.models import CheckResultRow, EntryRow, ExecutionRow, OpportunityRow, TokenRow

EXPORT_COLUMNS = (
    "id",
    "recorded_at",
    "kind",
    "outcome",
    "opportunity_id",
    "chain_id",
    "built_on_block",
    "block_number",
    "block_hash",
    "transaction_hash",
    "sender",
    "nonce",
    "base_token",
    "base_symbol",
    "expected_profit",
    "simulated_profit",
    "realised_profit",
    "gas_used",
    "gas_price_wei",
    "gas_paid_wei",
    "miss",
    "rival",
)
_WIDE = ("expected_profit", "simulated_profit", "realised_profit", "gas_price_wei", "gas_paid_wei")


class LedgerQueries:
    """The ledger's reading side."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def recent_executions(self, limit: int = 20) -> list[dict[str, Any]]:
        """The latest executions, newest first."""
        return list(self._executions(_newest_first().limit(limit)))

    def executions(self) -> Iterator[dict[str, Any]]:
        """Every execution in the order recorded, each a flat document of `EXPORT_COLUMNS`."""
        return self._executions(select(ExecutionRow).order_by(ExecutionRow.recorded_at, ExecutionRow.nonce))

    def totals(self) -> dict[str, Any]:
        """Outcomes and reasons of misses counted, profits of landed trades by base token, gas paid in wei,
        mismatches."""
        outcomes: Counter[str] = Counter()
        misses: Counter[str] = Counter()
        by_token: dict[str, dict[str, int]] = {}
        symbols: dict[str, str] = {}
        gas_paid = mismatches = 0
        for row in self.executions():
            gas_paid += int(row["gas_paid_wei"])
            if row["kind"] != "trade":
                continue
            outcomes[row["outcome"]] += 1
            if row["miss"]:
                misses[row["miss"]] += 1
            if row["outcome"] != "landed":
                continue
            symbols[row["base_token"]] = row["base_symbol"]
            amounts = [int(row[f"{stage}_profit"]) for stage in ("expected", "simulated", "realised")]
            mismatches += len(set(amounts)) > 1
            sums = by_token.setdefault(
                row["base_token"], {"landed": 0, "expected": 0, "simulated": 0, "realised": 0}
            )
            for name, amount in zip(
                ("landed", "expected", "simulated", "realised"), (1, *amounts), strict=True
            ):
                sums[name] += amount
        return {
            "outcomes": dict(outcomes),
            "misses": dict(misses),
            "gas_paid_wei": str(gas_paid),
            "mismatches": mismatches,
            "base_tokens": [
                {
                    "token": token,
                    "symbol": symbols[token],
                    "landed": sums["landed"],
                    "expected_profit": str(sums["expected"]),
                    "simulated_profit": str(sums["simulated"]),
                    "realised_profit": str(sums["realised"]),
                }
                for token, sums in sorted(by_token.items())
            ],
        }

    def refusals(self) -> dict[str, int]:
        """How many opportunities were refused, by reason."""
        with Session(self._engine) as session:
            reasons = session.scalars(
                select(OpportunityRow.reason).where(OpportunityRow.verdict == "refused")
            ).all()
        return dict(Counter(reason for reason in reasons if reason))

    def explain(self, identifier: str) -> dict[str, Any] | None:
        """Everything known about an opportunity or execution, by either's id or a transaction hash; the
        latest run's verdict when several runs saw it. None when nothing has that id."""
        wanted = identifier.lower()
        with Session(self._engine) as session:
            execution = session.scalars(
                select(ExecutionRow)
                .where(
                    (ExecutionRow.id == wanted)
                    | (ExecutionRow.transaction_hash == wanted)
                    | (ExecutionRow.opportunity_id == wanted)
                    | _carried_out(wanted)
                )
                .order_by(ExecutionRow.recorded_at.desc())
                .limit(1)
            ).one_or_none()
            named = execution is not None and wanted in (execution.id, execution.transaction_hash)
            opportunity_id = execution.opportunity_id if execution and named else wanted
            opportunity = session.scalars(
                select(OpportunityRow)
                .where(OpportunityRow.id == opportunity_id)
                .order_by(OpportunityRow.run_id.desc())
                .limit(1)
            ).one_or_none()
            if execution is None and opportunity is None:
                return None
            symbols = _symbols(session)
            return {
                "opportunity": _opportunity_document(opportunity, execution),
                "verdict": opportunity.verdict if opportunity else None,
                "reason": opportunity.reason if opportunity else None,
                "checks": _checks(session, opportunity, execution),
                "plan": execution.document.get("plan") if execution else None,
                "conversions": _conversions(execution) if execution else [],
                "execution": _flat(execution, symbols) if execution else None,
                "entries": _entries(session, execution) if execution else [],
                "symbols": symbols,
            }

    def _executions(self, query: Select[ExecutionRow]) -> Iterator[dict[str, Any]]:
        with Session(self._engine) as session:
            symbols = _symbols(session)
            for row in session.scalars(query.execution_options(yield_per=500)):
                yield _flat(row, symbols)


def _newest_first() -> Select[ExecutionRow]:
    return select(ExecutionRow).order_by(ExecutionRow.recorded_at.desc(), ExecutionRow.nonce.desc())


def _conversions(execution: ExecutionRow) -> list[dict[str, Any]]:
    """What sold the opportunities' profits in other tokens within the same transaction."""
    return [each["conversion"] for each in execution.document.get("conversions", ())]


def _carried_out(opportunity_id: str) -> ColumnElement[bool]:
    """Whether an execution carried that opportunity out after its first one."""
    also = func.json_each(ExecutionRow.document, "$.also").table_valued("value")
    found = func.json_extract(also.c.value, "$.opportunity.id") == opportunity_id
    return exists(select(1).select_from(also).where(found))


def _symbols(session: Session) -> dict[str, str]:
    return {row.address: row.symbol for row in session.scalars(select(TokenRow))}


def _flat(row: ExecutionRow, symbols: dict[str, str]) -> dict[str, Any]:
    document = {name: getattr(row, name) for name in EXPORT_COLUMNS if name != "base_symbol"}
    for name in _WIDE:
        document[name] = str(document[name])
    document["base_symbol"] = symbols.get(row.base_token, "")
    return {name: document[name] for name in EXPORT_COLUMNS}


def _opportunity_document(
    opportunity: OpportunityRow | None, execution: ExecutionRow | None
) -> dict[str, Any] | None:
    if opportunity is not None:
        return opportunity.document
    return execution.document.get("opportunity") if execution else None


def _checks(
    session: Session, opportunity: OpportunityRow | None, execution: ExecutionRow | None
) -> list[dict[str, Any]]:
    if opportunity is None:
        return execution.document.get("checks", []) if execution else []
    rows = session.scalars(
        select(CheckResultRow)
        .where(CheckResultRow.run_id == opportunity.run_id, CheckResultRow.opportunity_id == opportunity.id)
        .order_by(CheckResultRow.position)
    )
    return [
        {"check": row.check_name, "passed": row.passed, "reason": row.reason, "numbers": row.numbers}
        for row in rows
    ]


def _entries(session: Session, execution: ExecutionRow) -> list[dict[str, Any]]:
    rows = session.scalars(
        select(EntryRow).where(EntryRow.execution_id == execution.id).order_by(EntryRow.position)
    )
    return [{"account": row.account, "token": row.token, "amount": str(row.amount)} for row in rows]
