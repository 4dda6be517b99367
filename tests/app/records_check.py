"""Whether what a run left on disk agrees with itself and with the chain."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from living_world import LivingWorld

from engine.ledger.journal import decode_line
from engine.storage.database import open_database
from engine.storage.queries import LedgerQueries

MINED = ("landed", "reverted")


def ledger_rows(directory: Path) -> list[dict[str, Any]]:
    """Every execution in the ledger of a storage directory."""
    engine = open_database(directory / "ledger.sqlite", create=False)
    try:
        return list(LedgerQueries(engine).executions())
    finally:
        engine.dispose()


def refusals(directory: Path) -> dict[str, int]:
    """How many opportunities the ledger says were refused, by reason."""
    engine = open_database(directory / "ledger.sqlite", create=False)
    try:
        return LedgerQueries(engine).refusals()
    finally:
        engine.dispose()


def journal_records(directory: Path) -> list[dict[str, Any]]:
    """Every record of a storage directory's journals."""
    found = []
    for path in directory.glob("journal-*.jsonl"):
        for line in path.read_bytes().splitlines(keepends=True):
            record = decode_line(line)
            assert record is not None, line
            found.append(record)
    return found


def assert_books_balance(directory: Path) -> None:
    """By execution and token the ledger's entries sum to zero."""
    engine = open_database(directory / "ledger.sqlite", create=False)
    sums: dict[tuple[str, str], int] = defaultdict(int)
    try:
        queries = LedgerQueries(engine)
        for row in queries.executions():
            found = queries.explain(row["id"])
            assert found is not None
            for entry in found["entries"]:
                sums[row["id"], entry["token"]] += int(entry["amount"])
    finally:
        engine.dispose()
    assert not any(sums.values())


def assert_exact(rows: list[dict[str, Any]]) -> None:
    """Every landed trade brought what was expected and simulated."""
    for row in rows:
        if row["kind"] == "trade" and row["outcome"] == "landed":
            profits = row["expected_profit"], row["simulated_profit"], row["realised_profit"]
            assert len(set(profits)) == 1, row


def assert_agrees_with_chain(living: LivingWorld, directory: Path, first_block: int) -> None:
    """Each of the operator's transactions in the chain since `first_block` is in the ledger once, with its
    own block; the ledger has no other mined one; and no intent has two outcomes that stand."""
    chain = living.operator_transactions(first_block)
    rows = ledger_rows(directory)
    mined = [row for row in rows if row["outcome"] in MINED]
    assert sorted((t["hash"], int(t["blockNumber"], 16)) for t in chain) == sorted(
        (row["transaction_hash"], row["block_number"]) for row in mined
    )
    assert max(Counter(row["nonce"] for row in mined).values(), default=1) == 1
    assert max(Counter(row["id"] for row in rows).values(), default=1) == 1
    assert_books_balance(directory)


def unresolved(directory: Path) -> list[dict[str, Any]]:
    """Intents of the journal that have no outcome."""
    records = journal_records(directory)
    resolved = {record["intent"] for record in records if record["type"] == "outcome"}
    return [record for record in records if record["type"] == "intent" and record["id"] not in resolved]


def every_byte(*places: Path) -> bytes:
    """The contents of every file in the given files and folders."""
    parts = []
    for place in places:
        files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        parts += [path.read_bytes() for path in files]
    return b"\n".join(parts)


def one_json(text: str) -> Any:
    """The one JSON document that `text` is."""
    return json.loads(text)
