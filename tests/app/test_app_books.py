"""A running engine compares its books, and halts where somebody changed them."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from app_process import AppProcess, roundtrip
from living_world import LivingWorld


def wait_for_books(process: AppProcess, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def seen(run: AppProcess) -> bool:
        found[:] = [each for each in run.events("books_compared") if fits(each)]
        return bool(found)

    process.wait_for(seen)
    return found[0]


def test_a_ledger_that_was_changed_halts_and_one_that_lacks_is_made_whole(
    living: LivingWorld, tmp_path: Path
) -> None:
    config = living.write_config(tmp_path, storage__reconcile_every_s=0.5)
    records = tmp_path / "records"
    with roundtrip("run", "--config", config, "--mode", "live", "--yes-live") as process:
        process.wait_for_log("started")
        for _ in range(40):
            process.finished(living.step())
            if len(process.events("execution_resolved")) >= 2:
                break
        level = wait_for_books(process, lambda each: each["agreed"] >= 2)
        assert (level["restored"], level["differences"]) == (0, "")
        with closing(sqlite3.connect(records / "ledger.sqlite")) as ledger, ledger:
            ledger.execute("pragma foreign_keys = on")
            first, second = (
                row[0] for row in ledger.execute("select id from executions where outcome = 'landed' limit 2")
            )
            ledger.execute("delete from executions where id = ?", (first,))
        restored = wait_for_books(process, lambda each: each["restored"] == 1)
        wait_for_books(
            process, lambda each: each["timestamp"] > restored["timestamp"] and each["agreed"] >= 2
        )
        assert process.events("trading_state_changed") == []
        with closing(sqlite3.connect(records / "ledger.sqlite")) as ledger, ledger:
            assert ledger.execute("select 1 from executions where id = ?", (first,)).fetchone()
            ledger.execute(
                "update entries set account = 'friend' where execution_id = ? and position = 0", (second,)
            )
        told = wait_for_books(process, lambda each: each["differences"] != "")
        assert told["differences"].startswith(f"{second}: entries is [router ")
        assert "[friend " in told["differences"]
        sent = len(process.events("plan_submitted"))
        for _ in range(3):
            process.finished(living.step())
        assert process.events("trading_state_changed")[-1]["state"] == "halted"
        assert len(process.events("plan_submitted")) == sent
        process.stop_with(signal.SIGINT)
    assert "books: " in (records / "halt-31337").read_text()
    with closing(sqlite3.connect(records / "ledger.sqlite")) as ledger:
        # What somebody has to look at is left as it is.
        assert ledger.execute("select 1 from entries where account = 'friend'").fetchone()
