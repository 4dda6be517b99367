"""Whether what a run left on disk agrees with itself and with the chain."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from living_world import LivingWorld

from engine.domain.ledger import NATIVE
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
    """What must hold at the end of every run, whatever befell it; its records in `directory` begin with
    `first_block`. Each of the operator's transactions in the chain is in the ledger once, with its own block,
    and no other; the journal's nonces are the chain's; to the wei, the ledger's sums are how the balances
    changed; and nothing was sent twice, without a recorded approval, or while not ACTIVE."""
    chain = living.operator_transactions(first_block)
    rows = ledger_rows(directory)
    mined = [row for row in rows if row["outcome"] in MINED]
    assert sorted((t["hash"], int(t["blockNumber"], 16)) for t in chain) == sorted(
        (row["transaction_hash"], row["block_number"]) for row in mined
    )
    nonces = sorted(row["nonce"] for row in mined)
    assert nonces == list(range(living.nonce() - len(nonces), living.nonce()))
    assert max(Counter(row["id"] for row in rows).values(), default=1) == 1
    assert_books_balance(directory)
    assert_sums_are_the_changes(living, directory, first_block - 1)
    assert_sent_as_approved(directory, {each["hash"]: each["input"] for each in chain})


def assert_sums_are_the_changes(living: LivingWorld, directory: Path, before: int) -> None:
    """The ledger's sums are by how much operator and router hold more than at block `before`, to the wei."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for row in ledger_rows(directory):
        for entry in explained(directory, row["id"])["entries"]:
            sums[entry["account"], entry["token"]] += int(entry["amount"])
    router = living.contract("ArbitrageRouter")
    blocks = [hex(max(before, 0)), "latest"]
    was, holds = (int(living.rpc("eth_getBalance", living.operator, block), 16) for block in blocks)
    assert holds - was == sums["operator", NATIVE]
    for token in living.world.base_tokens:
        call = {"to": token, "data": "0x70a08231" + router[2:].rjust(64, "0")}
        was, holds = (int(living.rpc("eth_call", call, block), 16) for block in blocks)
        assert holds - was == sums["router", token], token


def assert_sent_as_approved(directory: Path, sent: dict[str, str]) -> None:
    """Every intent was journalled once, every transaction of `sent` (calldata by hash) is one of them, and
    each trade's record holds a risk chain and a simulation that passed while the engine was ACTIVE."""
    intents = [record for record in journal_records(directory) if record["type"] == "intent"]
    hashes = Counter(intent["hash"] for intent in intents)
    undone = {each["intent"] for each in journal_records(directory) if each.get("outcome") == "never_sent"}
    assert all(count == 1 or hash_[2:18] in undone for hash_, count in hashes.items()), hashes
    assert sent.keys() <= hashes.keys()
    for intent in intents:
        if intent["kind"] != "trade":
            continue
        record = intent["record"]
        for part in (record, *record["also"]):
            checks = {check["check"]: check for check in part["checks"]}
            assert all(check["passed"] for check in checks.values()), intent["id"]
            assert checks["trading_state"]["numbers"]["state"] == "active"
        assert "simulation" in {check["check"] for check in record["checks"]}
        calldata = sent.get(intent["hash"], record["plan"]["calldata"])
        assert calldata == record["plan"]["calldata"]


def explained(directory: Path, identifier: str) -> dict[str, Any]:
    """What the ledger knows under an id."""
    engine = open_database(directory / "ledger.sqlite", create=False)
    try:
        found = LedgerQueries(engine).explain(identifier)
        assert found is not None
        return found
    finally:
        engine.dispose()


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
