"""The ledger database: schema, exact integers, queries, the writer thread, damaged files."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, insert, select
from sqlalchemy.exc import OperationalError, StatementError
from storage_values import BASE, OTHER, approved, execution, opportunity, refused, simulated

from engine.domain.errors import UsageError
from engine.domain.execution import Outcome
from engine.domain.market import Token
from engine.ledger.book import entries_of
from engine.storage.database import open_database, upgrade
from engine.storage.models import Base
from engine.storage.queries import EXPORT_COLUMNS, LedgerQueries
from engine.storage.repository import Repository
from engine.storage.types import Int257, Uint256
from engine.storage.writer import LedgerWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "ledger.sqlite"


@pytest.fixture
def database(path: Path):
    engine = open_database(path)
    yield engine
    engine.dispose()


@pytest.fixture
def repository(database: Engine) -> Repository:
    return Repository(database)


@pytest.fixture
def queries(database: Engine) -> LedgerQueries:
    return LedgerQueries(database)


def test_the_migrations_make_exactly_the_models(database: Engine):
    with database.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_opening_again_keeps_what_is_there(path: Path, repository: Repository):
    assert repository.start_run("paper", 1, "0.1.0") == 1
    again = open_database(path, create=False)
    assert Repository(again).start_run("live", 1, "0.1.0") == 2
    upgrade(again)
    with again.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    again.dispose()


WIDE = Table(
    "wide", MetaData(), Column("id", Integer, primary_key=True), Column("u", Uint256), Column("s", Int257)
)


@given(st.lists(st.tuples(st.integers(0, 2**256 - 1), st.integers(1 - 2**256, 2**256 - 1)), max_size=20))
def test_wide_columns_are_exact_and_ordered(rows: list[tuple[int, int]]):
    engine = create_engine("sqlite://")
    WIDE.metadata.create_all(engine)
    with engine.begin() as connection:
        for unsigned, signed in rows:
            connection.execute(insert(WIDE).values(u=unsigned, s=signed))
        found = connection.execute(select(WIDE.c.u, WIDE.c.s).order_by(WIDE.c.id)).all()
        assert [tuple(row) for row in found] == rows
        for column, position in ((WIDE.c.u, 0), (WIDE.c.s, 1)):
            ordered = connection.execute(select(column).order_by(column)).scalars().all()
            assert ordered == sorted(row[position] for row in rows)
            for pivot in rows:
                above = connection.execute(select(column).where(column > pivot[position])).scalars().all()
                assert sorted(above) == sorted(r[position] for r in rows if r[position] > pivot[position])
    engine.dispose()


@pytest.mark.parametrize(("column", "value"), [("u", -1), ("u", 2**256), ("s", 2**256), ("s", -(2**256))])
def test_numbers_outside_the_columns_are_refused(column: str, value: int):
    engine = create_engine("sqlite://")
    WIDE.metadata.create_all(engine)
    with engine.begin() as connection, pytest.raises((StatementError, OverflowError)):
        connection.execute(insert(WIDE).values(**{column: value}))
    engine.dispose()


def test_explain_tells_everything_about_a_landed_trade(repository: Repository, queries: LedgerQueries):
    found = opportunity()
    run = repository.start_run("live", 1, "0.1.0")
    repository.put_tokens(1, [Token(BASE, "WETH", 18), Token(OTHER, "USDC", 6)])
    repository.put_verdicts(run, [approved(found)])
    repository.put_verdicts(run, [simulated(found)])
    done = execution(found, Outcome.LANDED, 3)
    repository.put_execution(done, entries_of(done))
    for identifier in (found.id, done.intent.id, done.intent.transaction.hash, found.id.upper()):
        told = queries.explain(identifier)
        assert told is not None
        json.dumps(told)
        assert told["verdict"] == "simulated"
        assert told["opportunity"]["gross_profit"] == str(2**200)
        assert [check["check"] for check in told["checks"]] == ["age", "simulation"]
        assert told["checks"][1]["numbers"] == {"gas_used": "150000"}
        assert told["plan"] == {"router": "0x" + "99" * 20}
        assert told["execution"]["realised_profit"] == str(2**200)
        assert told["execution"]["base_symbol"] == "WETH"
        assert sum(int(e["amount"]) for e in told["entries"] if e["token"] == BASE) == 0
        assert len(told["entries"]) == 4
    assert queries.explain("ffff") is None


def test_explain_tells_why_something_was_refused(repository: Repository, queries: LedgerQueries):
    found = opportunity()
    repository.put_verdicts(repository.start_run("paper", 1, "0.1.0"), [refused(found)])
    told = queries.explain(found.id)
    assert told is not None
    assert (told["verdict"], told["reason"]) == ("refused", "token_not_allowed")
    assert told["checks"][-1]["numbers"] == {"unlisted": OTHER}
    assert told["execution"] is None
    assert queries.refusals() == {"token_not_allowed": 1}


def test_explain_works_from_the_execution_alone(repository: Repository, queries: LedgerQueries):
    done = execution(opportunity(), Outcome.NEVER_SENT, 1)
    repository.put_execution(done, ())
    told = queries.explain(opportunity().id)
    assert told is not None
    assert told["opportunity"]["id"] == opportunity().id
    assert [check["check"] for check in told["checks"]] == ["age", "simulation"]


def test_totals_recent_and_export(repository: Repository, queries: LedgerQueries):
    for nonce in range(5):
        done = execution(opportunity(nonce), Outcome.LANDED, nonce, 2**200 - (nonce == 4))
        repository.put_execution(done, entries_of(done))
    repository.put_execution(execution(opportunity(9), Outcome.MISSED, 9), ())
    totals = queries.totals()
    assert totals["outcomes"] == {"landed": 5, "missed": 1}
    assert totals["mismatches"] == 1
    assert totals["gas_paid_wei"] == str(5 * 150_000 * 10**10)
    assert totals["base_tokens"] == [
        {
            "token": BASE,
            "symbol": "",
            "landed": 5,
            "expected_profit": str(5 * 2**200),
            "simulated_profit": str(5 * 2**200),
            "realised_profit": str(5 * 2**200 - 1),
        }
    ]
    rows = list(queries.executions())
    assert len(rows) == 6
    assert all(tuple(row) == EXPORT_COLUMNS for row in rows)
    assert [row["nonce"] for row in queries.recent_executions(2)] == [9, 4]
    json.dumps([rows, totals])


def test_putting_an_execution_again_replaces_it(repository: Repository, queries: LedgerQueries):
    lost = execution(opportunity(), Outcome.NEVER_SENT, 1)
    landed = execution(opportunity(), Outcome.LANDED, 1)
    repository.put_execution(lost, ())
    for _ in range(2):
        repository.put_execution(landed, entries_of(landed))
    assert repository.holds(landed, entries_of(landed))
    assert repository.holds(landed, entries_of(landed)[:-1]) is False
    assert repository.holds(lost, ()) is False
    assert repository.holds(execution(opportunity(2), Outcome.LANDED, 2), ()) is None
    told = queries.explain(landed.intent.id)
    assert told is not None
    assert len(told["entries"]) == 4


async def test_the_writer_writes_everything_before_it_closes(repository: Repository, queries: LedgerQueries):
    writer = LedgerWriter(repository, repository.start_run("demo", 1, "0.1.0"))
    for block in range(600):
        assert writer.record_verdict(refused(opportunity(block)))
    done = execution(opportunity(1), Outcome.LANDED, 1)
    writer.record_execution(done, entries_of(done))
    assert await writer.close()
    assert await writer.close()
    assert (writer.dropped, writer.failed) == (0, 0)
    assert queries.refusals() == {"token_not_allowed": 600}
    assert repository.holds(done, entries_of(done))
    assert not writer.record_verdict(refused(opportunity(1)))


class Blocked:
    """A repository that is held up until released, then fails as told."""

    def __init__(self, failures: int = 0):
        self.release = threading.Event()
        self.failures = failures
        self.written = 0

    def put_verdicts(self, run_id: int, verdicts: list) -> None:
        self.release.wait(10)
        self.written += len(verdicts)

    def put_execution(self, execution: object, entries: object) -> None:
        self.release.wait(10)
        if self.failures:
            self.failures -= 1
            raise OperationalError("insert", {}, sqlite3.OperationalError("database is locked"))
        self.written += 1


async def test_a_slow_database_drops_verdicts_but_never_executions():
    blocked = Blocked()
    writer = LedgerWriter(blocked, 1, capacity=10)
    taken = sum(writer.record_verdict(refused(opportunity(block))) for block in range(100))
    for nonce in range(50):
        writer.record_execution(execution(opportunity(), Outcome.MISSED, nonce), ())
    assert not await writer.close(timeout_s=0.1)
    blocked.release.set()
    assert await writer.close()
    assert writer.dropped == 100 - taken > 0
    assert blocked.written == taken + 50


@pytest.mark.parametrize(("failures", "failed"), [(2, 0), (3, 1)])
async def test_a_locked_database_is_tried_again(failures: int, failed: int):
    blocked, errors = Blocked(failures), []
    blocked.release.set()
    writer = LedgerWriter(blocked, 1, on_error=errors.append)
    writer.record_execution(execution(opportunity(), Outcome.MISSED, 1), ())
    assert await writer.close()
    assert (writer.failed, len(errors), blocked.written) == (failed, failed, 1 - failed)


def test_unusable_ledgers_are_one_sentence_each(tmp_path: Path):
    with pytest.raises(UsageError, match="there is no ledger"):
        open_database(tmp_path / "none.sqlite", create=False)
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "junk.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(UsageError, match="rebuilt from the journal"):
        open_database(tmp_path / "junk.sqlite")
    with pytest.raises(UsageError, match="cannot be made"):
        open_database(tmp_path / "junk.sqlite" / "inside" / "ledger.sqlite")
    newer = tmp_path / "newer.sqlite"
    open_database(newer).dispose()
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UsageError, match="another version"):
        open_database(newer)
