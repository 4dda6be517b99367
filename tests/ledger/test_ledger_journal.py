"""The journal against crashes at any byte, damage, a second writer and a failing disk."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_values import execution, intent

from engine.domain.errors import ExecutionError, UsageError
from engine.domain.execution import Outcome
from engine.ledger.codec import intent_from_json, intent_to_json, outcome_from_json, outcome_to_json
from engine.ledger.journal import (
    MAX_LINE_BYTES,
    FileJournal,
    JournalCorrupt,
    decode_line,
    encode_line,
    read_executions,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "journal.jsonl"


def test_records_survive_a_restart(path: Path):
    first, second, third = intent(1), intent(2), intent(3)
    with FileJournal(path) as journal:
        for each in (first, second, third):
            journal.record_intent(each)
        journal.record_outcome(execution(first))
        journal.record_outcome(execution(third, Outcome.NEVER_SENT))
        assert journal.open_intents() == [second]
    with FileJournal(path) as journal:
        assert journal.open_intents() == [second]
        assert journal.doubtful_intents() == [third]
        assert journal.torn_bytes == 0
    assert list(read_executions(path)) == [execution(first), execution(third, Outcome.NEVER_SENT)]


def test_each_line_is_json_with_the_checksum_of_its_record(path: Path):
    with FileJournal(path) as journal:
        journal.record_intent(intent(1))
        journal.record_outcome(execution(intent(1)))
    for line in path.read_bytes().splitlines():
        body = line[line.index(b'"record":') + len(b'"record":') : -1]
        assert json.loads(line)["crc"] == f"{zlib.crc32(body):08x}"


def test_a_record_is_on_disk_when_the_call_returns(path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    with FileJournal(path) as journal:
        monkeypatch.setattr(os, "fsync", fsync)
        journal.record_intent(intent(1))
        assert synced == [path.stat().st_size]
        journal.record_outcome(execution(intent(1)))
        assert synced[1:] == [path.stat().st_size]


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncing is tested above; a thousand real syncs would take minutes."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("last", ["intent", "outcome"])
def test_torn_at_every_byte_of_the_last_record(path: Path, last: str):
    with FileJournal(path) as journal:
        journal.record_intent(intent(1))
        if last == "outcome":
            start = path.stat().st_size
            journal.record_outcome(execution(intent(1)))
        else:
            start = path.stat().st_size
            journal.record_intent(intent(2))
    whole = path.read_bytes()
    for cut in range(start, len(whole)):
        for filler in (b"", b"\0" * (len(whole) - cut)):
            path.write_bytes(whole[:cut] + filler)
            with FileJournal(path) as journal:
                assert [i.id for i in journal.open_intents()] == [intent(1).id], cut
                assert journal.torn_bytes == len(whole[start:cut] + filler)
                journal.record_intent(intent(3))
            with FileJournal(path) as journal:
                assert [i.id for i in journal.open_intents()] == [intent(1).id, intent(3).id]
                assert journal.torn_bytes == 0


@pytest.mark.usefixtures("quick_disk")
def test_damage_before_the_end_is_refused_by_name_at_every_byte(path: Path):
    with FileJournal(path) as journal:
        journal.record_intent(intent(1))
        size = path.stat().st_size
        journal.record_intent(intent(2))
    whole = path.read_bytes()
    for position in range(size):
        damaged = bytearray(whole)
        damaged[position] ^= 0x01
        path.write_bytes(damaged)
        with pytest.raises(JournalCorrupt, match=r"journal\.jsonl, line 1"):
            FileJournal(path)
        assert path.read_bytes() == bytes(damaged)


LAST_BYTES, STRIDES = 4096, 32


@pytest.fixture
def long_journal(path: Path) -> Path:
    """A journal of more than the bytes that are damaged."""
    with FileJournal(path) as journal:
        number = 0
        while not path.exists() or path.stat().st_size < 2 * LAST_BYTES:
            number += 1
            journal.record_intent(intent(number))
            journal.record_outcome(execution(intent(number)))
    return path


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize(
    "stride", [0, *(pytest.param(n, marks=pytest.mark.campaign) for n in range(1, STRIDES))]
)
def test_torn_or_damaged_at_every_byte_of_the_last_4_kib(long_journal: Path, stride: int):
    """What is whole before a torn end is kept, and nothing else; any other damage is refused by name."""
    path, rng = long_journal, random.Random(stride)
    whole = path.read_bytes()
    known = list(read_executions(path))
    for at in range(len(whole) - LAST_BYTES + stride, len(whole), STRIDES):
        path.write_bytes(whole[:at])
        kept = whole[:at].rfind(b"\n") + 1
        with FileJournal(path) as journal:
            assert journal.torn_bytes == at - kept
        assert path.read_bytes() == whole[:kept]
        found = list(read_executions(path))
        assert found == known[: len(found)]
        damaged = bytearray(whole)
        damaged[at] ^= rng.randrange(1, 256)
        path.write_bytes(damaged)
        # Damage may look like a crash's torn write at the very end only.
        lost = b"\n" not in damaged[at:] or (damaged[at] == 0 and b"\n" not in whole[at:-1])
        if lost:
            with FileJournal(path) as journal:
                assert journal.torn_bytes > 0
        else:
            with pytest.raises(JournalCorrupt, match=r"journal\.jsonl, line"):
                FileJournal(path)
            assert path.read_bytes() == bytes(damaged)


def test_a_damaged_complete_last_record_is_not_taken_for_a_torn_one(path: Path):
    with FileJournal(path) as journal:
        journal.record_intent(intent(1))
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0x01
    path.write_bytes(whole)
    with pytest.raises(JournalCorrupt, match="line 1"):
        FileJournal(path)


def test_a_second_writer_is_refused_in_one_sentence(path: Path):
    with FileJournal(path):
        with pytest.raises(UsageError, match="another process holds"):
            FileJournal(path)
        code = (
            "import sys\nfrom pathlib import Path\nfrom engine.domain.errors import UsageError\n"
            "from engine.ledger.journal import FileJournal\n"
            "try:\n    FileJournal(Path(sys.argv[1]))\nexcept UsageError:\n    sys.exit(42)"
        )
        assert subprocess.run([sys.executable, "-c", code, str(path)], timeout=60).returncode == 42
    with FileJournal(path):
        pass


def test_the_same_transaction_is_not_journalled_twice_unless_it_never_left(path: Path):
    with FileJournal(path) as journal:
        journal.record_intent(intent(1))
        with pytest.raises(ExecutionError, match="not sent twice"):
            journal.record_intent(intent(1))
        journal.record_outcome(execution(intent(1), Outcome.NEVER_SENT))
        journal.record_intent(intent(1))
        journal.record_outcome(execution(intent(1)))
    with FileJournal(path) as journal:
        with pytest.raises(ExecutionError, match="not sent twice"):
            journal.record_intent(intent(1))
        with pytest.raises(ExecutionError, match="not in the journal"):
            journal.record_outcome(execution(intent(2)))


def test_a_failing_disk_ends_all_writing_until_a_restart(path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with FileJournal(path) as journal:
        journal.record_intent(intent(1))
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(OSError, match="No space"):
                journal.record_intent(intent(2))
        with pytest.raises(ExecutionError, match="failed before"):
            journal.record_intent(intent(3))
    with FileJournal(path) as journal:
        assert [i.id for i in journal.open_intents()] == [intent(1).id]


def test_a_record_of_another_version_is_refused_in_one_sentence(path: Path):
    path.parent.mkdir()
    path.write_bytes(encode_line({"type": "intent", "id": "1"}))
    with pytest.raises(JournalCorrupt, match="cannot read"):
        FileJournal(path)
    with pytest.raises(JournalCorrupt, match="cannot read"):
        list(read_executions(path))


def test_an_endless_record_is_refused_without_reading_it_all(path: Path):
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(MAX_LINE_BYTES + 2)
    with pytest.raises(JournalCorrupt, match="line 1"):
        FileJournal(path)


def test_an_unusable_directory_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be opened"):
        FileJournal(tmp_path / "file" / "journal.jsonl")


def test_a_missing_journal_has_no_executions(tmp_path: Path):
    assert list(read_executions(tmp_path / "none.jsonl")) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_lines_decode_to_what_was_encoded(values: dict):
    record = {**values, "type": "intent"}
    line = encode_line(record)
    assert line.count(b"\n") == 1
    assert decode_line(line) == record


@given(st.integers(1, 10**6), st.integers(0, 2**256 - 1), st.integers(-(2**255), 2**255))
def test_intents_and_outcomes_survive_json(number: int, profit: int, realised: int):
    original = intent(number, profit=profit)
    copy = intent_from_json(json.loads(json.dumps(intent_to_json(original))))
    assert copy == original
    done = execution(original, realised_profit=realised)
    assert outcome_from_json(json.loads(json.dumps(outcome_to_json(done))), original) == done
