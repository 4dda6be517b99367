"""A ledger that is torn, damaged at any byte, locked, or on a disk that fails: the journal makes it right."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from disk_limits import disk_ends_at
from storage_values import execution, opportunity, simulated

from engine.domain.errors import UsageError
from engine.domain.execution import Execution, Outcome
from engine.ledger.book import balances, entries_of
from engine.ledger.reconcile import reconcile
from engine.storage.database import open_database
from engine.storage.queries import LedgerQueries
from engine.storage.repository import Repository
from engine.storage.writer import LedgerWriter

LAST_BYTES = 4096
STRIDES = 32
OUTCOMES = (Outcome.LANDED, Outcome.LANDED, Outcome.REVERTED, Outcome.MISSED, Outcome.NEVER_SENT)


def executions(count: int = 12) -> list[Execution]:
    """What the journal holds."""
    made = []
    for nonce in range(count):
        found = opportunity(nonce + 1, profit=10**18 + nonce)
        made.append(execution(found, OUTCOMES[nonce % len(OUTCOMES)], nonce))
    return made


JOURNALLED = executions()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of one file, closed in order."""
    path = tmp_path_factory.mktemp("whole") / "ledger.sqlite"
    engine = open_database(path)
    repository = Repository(engine)
    run = repository.start_run("live", 1, "0.1.0")
    repository.put_verdicts(run, [simulated(opportunity(n + 1)) for n in range(12)])
    reconcile(JOURNALLED, repository)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    assert not path.with_name(path.name + "-wal").exists()
    return path


def reopened(path: Path) -> tuple[list[dict[str, Any]], dict[tuple[str, str], int]] | None:
    """Executions and sums after a start on this file; None when it says that it cannot be used."""
    refusal = ""
    try:
        engine = open_database(path, whole=True)
    except UsageError as error:
        refusal = str(error)
    if refusal:
        assert str(path) in refusal
        assert "move it away" in refusal
        assert "\n" not in refusal
        return None
    try:
        reconcile(JOURNALLED, Repository(engine))
        queries = LedgerQueries(engine)
        rows = [{k: v for k, v in row.items() if k != "recorded_at"} for row in queries.executions()]
        sums: dict[tuple[str, str], int] = {}
        for row in rows:
            found = queries.explain(row["id"])
            assert found is not None
            for entry in found["entries"]:
                at = entry["account"], entry["token"]
                sums[at] = sums.get(at, 0) + int(entry["amount"])
        return sorted(rows, key=lambda row: row["id"]), sums
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def truth(whole: Path) -> tuple[list[dict[str, Any]], dict[tuple[str, str], int]]:
    """What an undamaged ledger says."""
    found = reopened(whole)
    assert found is not None
    assert found[1] == balances(entry for each in JOURNALLED for entry in entries_of(each))
    assert len(found[0]) == len(JOURNALLED)
    return found


@contextmanager
def damaged(whole: Path, directory: Path, name: str) -> Iterator[Path]:
    path = directory / name / "ledger.sqlite"
    path.parent.mkdir()
    shutil.copy(whole, path)
    yield path
    shutil.rmtree(path.parent)


def starts_right(path: Path, truth: object) -> None:
    """A start on the file gives the truth, or names the file; moved away, it gives the truth."""
    found = reopened(path)
    if found is None:
        for each in path.parent.iterdir():
            each.unlink()
        found = reopened(path)
    assert found == truth


def strides() -> list[Any]:
    return [0, *(pytest.param(n, marks=pytest.mark.campaign) for n in range(1, STRIDES))]


@pytest.mark.parametrize("stride", strides())
def test_damaged_at_every_byte_of_the_last_4_kib(
    whole: Path, tmp_path: Path, truth: object, stride: int
) -> None:
    size, rng = whole.stat().st_size, random.Random(stride)
    step = STRIDES * (4 if stride == 0 else 1)
    for at in range(size - LAST_BYTES + stride, size, step):
        with damaged(whole, tmp_path, str(at)) as path:
            with path.open("r+b") as file:
                file.seek(at)
                old = file.read(1)[0]
                file.seek(at)
                file.write(bytes([old ^ rng.randrange(1, 256)]))
            starts_right(path, truth)


@pytest.mark.parametrize("stride", strides())
def test_torn_at_every_byte_of_the_last_4_kib(
    whole: Path, tmp_path: Path, truth: object, stride: int
) -> None:
    size = whole.stat().st_size
    step = STRIDES * (8 if stride == 0 else 1)
    for left in range(size - LAST_BYTES + stride, size, step):
        with damaged(whole, tmp_path, str(left)) as path:
            os.truncate(path, left)
            starts_right(path, truth)


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.campaign) for n in range(2, 21))])
def test_a_torn_log_of_writes(tmp_path: Path, truth: object, seed: int) -> None:
    """The process died while SQLite wrote ahead: what is left of that log is used, and no more."""
    rng = random.Random(seed)
    path = tmp_path / "ledger.sqlite"
    engine = open_database(path)
    repository = Repository(engine)
    reconcile(JOURNALLED, repository)
    wal = path.with_name(path.name + "-wal")
    left = tmp_path / "left"
    left.mkdir()
    for each in (path, wal):
        shutil.copy(each, left / each.name)
    engine.dispose()
    size = (left / wal.name).stat().st_size
    os.truncate(left / wal.name, rng.randrange(size))
    if rng.random() < 0.5:
        with (left / wal.name).open("r+b") as file:
            file.seek(rng.randrange(max(1, (left / wal.name).stat().st_size)))
            file.write(rng.randbytes(16))
    starts_right(left / path.name, truth)


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.campaign) for n in range(2, 21))])
async def test_a_disk_that_fills_up_loses_nothing_that_the_journal_has(
    tmp_path: Path, truth: object, seed: int
) -> None:
    rng = random.Random(seed)
    path = tmp_path / "ledger.sqlite"
    engine = open_database(path)
    repository = Repository(engine)
    run = repository.start_run("live", 1, "0.1.0")
    errors: list[Exception] = []
    writer = LedgerWriter(repository, run, on_error=errors.append)
    wal = path.with_name(path.name + "-wal")
    with disk_ends_at(wal.stat().st_size + rng.randrange(0, 30_000)):
        for each in JOURNALLED[:3]:
            writer.record_execution(each, entries_of(each))
        assert await writer.close(60)
    engine.dispose()
    assert 0 < writer.failed == len(errors)
    assert reopened(path) == truth


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.campaign) for n in range(2, 21))])
async def test_a_locked_ledger_is_made_level_later(tmp_path: Path, truth: object, seed: int) -> None:
    """Somebody holds the database while executions come: they wait for their turn, and none is lost."""
    rng = random.Random(seed)
    path = tmp_path / "ledger.sqlite"
    engine = open_database(path)
    repository = Repository(engine)
    run = repository.start_run("live", 1, "0.1.0")
    errors: list[Exception] = []
    writer = LedgerWriter(repository, run, on_error=errors.append)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute(rng.choice(("BEGIN IMMEDIATE", "BEGIN EXCLUSIVE")))
        for each in JOURNALLED[: rng.randrange(1, 4)]:
            writer.record_execution(each, entries_of(each))
        await asyncio.sleep(rng.uniform(0.0, 0.3))
        holder.execute("ROLLBACK")
    for each in JOURNALLED[4:6]:
        writer.record_execution(each, entries_of(each))
    assert await writer.close(60)
    assert (writer.failed, errors) == (0, [])
    engine.dispose()
    assert reopened(path) == truth
