"""The write-ahead journal: one checksummed JSON line per record, on disk before the call returns.

A line is `{"crc":"<8 hex digits>","record":{...}}`, the CRC-32 being of the record's own bytes. Records are
intents and outcomes; a later outcome of the same intent supersedes an earlier one.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from engine.domain.errors import ExecutionError, UsageError
from engine.domain.execution import Execution, Intent, Outcome
from engine.ledger.codec import intent_from_json, intent_to_json, outcome_from_json, outcome_to_json

_PREFIX = b'{"crc":"'
_MIDDLE = b'","record":'
_SUFFIX = b"}\n"
_CRC_AT = len(_PREFIX)
_RECORD_AT = _CRC_AT + 8 + len(_MIDDLE)
MAX_LINE_BYTES = 16 * 1024 * 1024
# Kept in memory so that recovery can ask the chain about them again.
_DOUBTFUL_KEPT = 256
_SETTLED_KEPT = 256
_NOT_LANDED = frozenset((Outcome.NEVER_SENT, Outcome.MISSED, Outcome.REPLACED))
_IN_A_BLOCK = frozenset((Outcome.LANDED, Outcome.REVERTED))


class JournalCorrupt(UsageError):
    """A record before the last one does not match its checksum."""


class FileJournal:
    """The journal of one operator in one file, owned by one process at a time.

    Implements `engine.domain.ports.Journal`. A record torn by a crash at the very end of the file was never
    acted upon: it is cut off, and `torn_bytes` says how much. After a failed write nothing more is written.
    """

    def __init__(self, path: Path):
        """Open or create the journal and take its lock.

        Raises UsageError when another process has it or it cannot be opened, JournalCorrupt when a complete
        record is damaged.
        """
        self.path = path
        self.torn_bytes = 0
        self._intents: dict[str, Intent] = {}
        self._doubtful: dict[str, Intent] = {}
        self._settled: dict[str, Execution] = {}
        self._seen: set[str] = set()
        self._broken = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(path.with_name(path.name + ".lock"))
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise UsageError(
                f"journal {path} cannot be opened: {error.strerror}; check the storage directory"
            ) from error
        try:
            with _well_formed(path):
                self._load()
            _sync_directory(path.parent)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> FileJournal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the file and its lock. Idempotent."""
        for name in ("_file", "_lock"):
            descriptor = self.__dict__.pop(name, None)
            if descriptor is not None:
                os.close(descriptor)

    def record_intent(self, intent: Intent) -> None:
        """Write an intent; on disk when this returns.

        Raises ExecutionError when this transaction was journalled before and may have left, OSError when
        the disk refuses.
        """
        if intent.id in self._seen and not self._is_unsent(intent.id):
            raise ExecutionError(f"intent {intent.id} is in the journal already: it is not sent twice")
        self._append({"type": "intent", **intent_to_json(intent)})
        self._apply_intent(intent)

    def record_outcome(self, execution: Execution) -> None:
        """Write what became of an intent; on disk when this returns. Raises OSError when the disk refuses."""
        if execution.intent.id not in self._seen:
            raise ExecutionError(f"intent {execution.intent.id} is not in the journal")
        self._append({"type": "outcome", **outcome_to_json(execution)})
        self._apply_outcome(execution)

    def open_intents(self) -> list[Intent]:
        """Intents without an outcome, oldest first."""
        return list(self._intents.values())

    def doubtful_intents(self) -> list[Intent]:
        """The most recent intents recorded as not landed, oldest first."""
        return list(self._doubtful.values())

    def settled_executions(self) -> list[Execution]:
        """The most recent executions recorded as mined, oldest first: a reorg may undo them."""
        return list(self._settled.values())

    def _is_unsent(self, intent_id: str) -> bool:
        return intent_id not in self._intents and intent_id in self._doubtful

    def _apply_intent(self, intent: Intent) -> None:
        self._seen.add(intent.id)
        self._doubtful.pop(intent.id, None)
        self._intents[intent.id] = intent

    def _apply_outcome(self, execution: Execution) -> None:
        intent = execution.intent
        for known in (self._intents, self._doubtful, self._settled):
            known.pop(intent.id, None)
        if execution.outcome is Outcome.UNDONE:
            self._intents[intent.id] = intent
        elif execution.outcome in _IN_A_BLOCK:
            self._settled[intent.id] = execution
            if len(self._settled) > _SETTLED_KEPT:
                del self._settled[next(iter(self._settled))]
        elif execution.outcome in _NOT_LANDED:
            self._doubtful[intent.id] = intent
            if len(self._doubtful) > _DOUBTFUL_KEPT:
                del self._doubtful[next(iter(self._doubtful))]

    def _known(self, intent_id: str) -> Intent | None:
        settled = self._settled.get(intent_id)
        if settled is not None:
            return settled.intent
        return self._intents.get(intent_id) or self._doubtful.get(intent_id)

    def _append(self, record: dict[str, Any]) -> None:
        if self._broken or "_file" not in self.__dict__:
            raise ExecutionError(f"journal {self.path} failed before: restart to recover it")
        data = encode_line(record)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError:
            # What is on disk is unknown now; only a fresh start may trust it again.
            self._broken = True
            raise

    def _load(self) -> None:
        good = 0
        for record, good in _records(self.path):  # noqa: B007
            if record["type"] == "intent":
                self._apply_intent(intent_from_json(record))
            else:
                known = self._known(record["intent"])
                if known is not None:
                    self._apply_outcome(outcome_from_json(record, known))
        size = os.fstat(self._file).st_size
        if size > good:
            self.torn_bytes = size - good
            os.ftruncate(self._file, good)
            os.fsync(self._file)


def read_executions(path: Path) -> Iterator[Execution]:
    """Every recorded outcome in order, with its intent; a later one of the same intent supersedes.

    Needs no lock. Raises JournalCorrupt as `FileJournal` does; a missing file has no executions.
    """
    intents: dict[str, Intent] = {}
    if not path.exists():
        return
    for record, _ in _records(path):
        with _well_formed(path):
            if record["type"] == "intent":
                intents[record["id"]] = intent_from_json(record)
                continue
            execution = outcome_from_json(record, intents[record["intent"]])
        yield execution


def encode_line(record: dict[str, Any]) -> bytes:
    """One journal line."""
    body = orjson.dumps(record)
    return b"".join((_PREFIX, f"{zlib.crc32(body):08x}".encode(), _MIDDLE, body, _SUFFIX))


def decode_line(line: bytes) -> dict[str, Any] | None:
    """The record of a complete, undamaged line, else None."""
    body = line[_RECORD_AT : -len(_SUFFIX)]
    if line != b"".join((_PREFIX, f"{zlib.crc32(body):08x}".encode(), _MIDDLE, body, _SUFFIX)):
        return None
    try:
        record = json.loads(body)
    except ValueError:
        return None
    return record if isinstance(record, dict) and record.get("type") in ("intent", "outcome") else None


def _records(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Records with the offset after each; a torn end is left out."""
    end = 0
    with path.open("rb") as file:
        lines = iter(lambda: file.readline(MAX_LINE_BYTES), b"")
        for number, line in enumerate(lines, start=1):
            record = decode_line(line)
            if record is None:
                if _is_torn(line) and not file.read(1):
                    return
                raise JournalCorrupt(
                    f"journal {path}, line {number}: the record does not match its checksum; "
                    "restore the file from a copy before sending anything with this key"
                )
            end += len(line)
            yield record, end


@contextmanager
def _well_formed(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise JournalCorrupt(
            f"journal {path} holds a record this version cannot read ({error!r}): "
            "use the version that wrote it, or choose another storage directory"
        ) from error


def _is_torn(line: bytes) -> bool:
    # A crash cuts the last write short or leaves unwritten blocks of zeros; other damage is not a crash's.
    return not line.endswith(b"\n") or b"\0" in line


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UsageError(
            f"another process holds {path}: stop it, or choose another storage directory"
        ) from None
    return descriptor


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
