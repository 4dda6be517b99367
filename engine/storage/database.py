"""Opening the ledger database and bringing its schema up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from engine.domain.errors import UsageError

BUSY_TIMEOUT_MS = 5_000
_MIGRATIONS = Path(__file__).with_name("migrations")


def open_database(path: Path, *, create: bool = True, whole: bool = False) -> Engine:
    """The SQLite database at `path`, in WAL mode, migrated to the newest schema; with `whole`, every page of
    it is read and checked first.

    Raises UsageError when it is missing (without `create`), unreadable, not a database, damaged, or newer
    than this version.
    """
    if not create and not path.is_file():
        raise UsageError(f"there is no ledger at {path}: name the storage directory of an earlier run")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the ledger's directory {path.parent} cannot be made: {error.strerror}") from error
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _prepare)
    try:
        if whole:
            _check_pages(engine)
        upgrade(engine)
    except (DatabaseError, _Damaged) as error:
        engine.dispose()
        raise UsageError(
            f"ledger {path} cannot be used ({_reason(error)}): move it away and it is rebuilt from the "
            "journal"
        ) from error
    except CommandError as error:
        engine.dispose()
        raise UsageError(
            f"ledger {path} was written by another version ({error}): move it away and it is rebuilt "
            "from the journal"
        ) from error
    return engine


class _Damaged(Exception):
    """What SQLite says about its pages."""


def _reason(error: DatabaseError | _Damaged) -> object:
    return error.orig if isinstance(error, DatabaseError) else error


def _check_pages(engine: Engine) -> None:
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    if found != "ok":
        raise _Damaged(" ".join(str(found).split()))


def upgrade(engine: Engine) -> None:
    """Run the migrations that the database lacks."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _prepare(connection: Any, record: Any) -> None:
    # Damaged text is compared like other text, and found to differ.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
