"""A live run killed at any point of sending: the next start loses nothing and sends nothing twice."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_process import AppProcess
from living_world import LivingWorld
from records_check import (
    MINED,
    assert_agrees_with_chain,
    assert_exact,
    journal_records,
    ledger_rows,
    unresolved,
)

CHILD = Path(__file__).with_name("crash_run.py")


def dying_run(config: Path, point: str, passes: int) -> AppProcess:
    """A live run that dies at the given pass of a point."""
    arguments = ["run", "--config", str(config), "--mode", "live", "--yes-live", "--json"]
    return AppProcess([sys.executable, str(CHILD), point, str(passes), *arguments])


def kill_at(living: LivingWorld, config: Path, point: str, passes: int) -> None:
    """Trade, block by block, until the run has died where it was told to."""
    with dying_run(config, point, passes) as process:
        process.wait_for_log("started")
        for _ in range(40):
            head = living.step()
            process.wait_for(lambda run, head=head: run.ended or run.is_done_with(head))
            if process.ended:
                break
        assert process.result() == -signal.SIGKILL, process.stderr[-2000:]
        assert process.remains() == []


def intents(records: Path) -> list[dict[str, Any]]:
    """Intents in the journal, in order."""
    return [record for record in journal_records(records) if record["type"] == "intent"]


@pytest.mark.parametrize(
    ("point", "passes"), [("signed", 2), ("persisted", 1), ("persisted", 3), ("sent", 1)]
)
def test_the_next_start_ties_up_every_end(
    living: LivingWorld, config: Path, records: Path, settle: Callable[[Path], Any], point: str, passes: int
) -> None:
    first, nonce = living.head(), living.nonce()
    kill_at(living, config, point, passes)
    written = intents(records)
    # What the chain can know of is on disk already, and only what was sent is known to the node.
    sent = len(written) - (point == "persisted")
    assert len(written) == (passes if point in ("persisted", "sent") else passes - 1)
    assert living.nonce() + living.waiting() == nonce + sent
    settle(config)
    assert living.nonce() == nonce + sent
    assert unresolved(records) == []
    rows = ledger_rows(records)
    assert {row["id"] for row in rows} == {intent["id"] for intent in written}
    assert [row["outcome"] for row in rows].count("never_sent") == (point == "persisted")
    assert sum(row["outcome"] in MINED for row in rows) == sent
    assert_exact(rows)
    assert_agrees_with_chain(living, records, first + 1)


def test_it_landed_while_nobody_looked(
    living: LivingWorld, config: Path, records: Path, settle: Callable[[Path], Any]
) -> None:
    first, nonce = living.head(), living.nonce()
    kill_at(living, config, "sent", 2)
    for _ in range(3):
        living.step()
    assert living.nonce() == nonce + 2
    # Twice: the second start finds everything in order and changes nothing.
    for _ in range(2):
        settle(config)
        rows = ledger_rows(records)
        assert [row["outcome"] for row in rows] == ["landed", "landed"]
        assert_agrees_with_chain(living, records, first + 1)
    assert living.nonce() == nonce + 2
    assert len(intents(records)) == 2


def test_it_goes_on_trading_after_a_crash(
    living: LivingWorld, config: Path, records: Path, settle: Callable[[Path], Any]
) -> None:
    first, nonce = living.head(), living.nonce()
    kill_at(living, config, "persisted", 2)
    # Started again on the same records, it dies again a little later, having reused the nonce.
    kill_at(living, config, "sent", 2)
    settle(config)
    rows = ledger_rows(records)
    outcomes = [row["outcome"] for row in rows]
    assert outcomes.count("never_sent") == 1
    assert set(outcomes) == {"landed", "never_sent"}
    assert living.nonce() - nonce == outcomes.count("landed") == 3
    assert_exact(rows)
    assert_agrees_with_chain(living, records, first + 1)


def test_a_ledger_that_was_lost_is_made_again_from_the_journal(
    living: LivingWorld, config: Path, records: Path, settle: Callable[[Path], Any]
) -> None:
    first = living.head()
    kill_at(living, config, "sent", 2)
    for path in records.glob("ledger.sqlite*"):
        path.unlink()
    settle(config)
    assert len(ledger_rows(records)) == 2
    assert_agrees_with_chain(living, records, first + 1)
