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


def open_database(path: Path, *, create: bool = True) -> Engine:
    """The SQLite database at `path`, in WAL mode, migrated to the newest schema.

    Raises UsageError when it is missing (without `create`), unreadable, not a database, or newer than this
    version.
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
        upgrade(engine)
    except DatabaseError as error:
        engine.dispose()
        raise UsageError(
            f"ledger {path} cannot be used ({error.orig}): move it away and it is rebuilt from the journal"
        ) from error
    except CommandError as error:
        engine.dispose()
        raise UsageError(
            f"ledger {path} was written by another version ({error}): move it away and it is rebuilt "
            "from the journal"
        ) from error
    return engine


def upgrade(engine: Engine) -> None:
    """Run the migrations that the database lacks."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _prepare(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
