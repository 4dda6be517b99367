"""The bot against a node that it did not start."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_process import AppProcess, roundtrip
from living_world import LivingWorld
from records_check import (
    MINED,
    assert_agrees_with_chain,
    assert_exact,
    journal_records,
    ledger_rows,
    one_json,
    unresolved,
)

BLOCKS = 8
Settle = Callable[[Path], Any]


def live(config: Path, *options: object) -> AppProcess:
    """A live run."""
    return roundtrip("run", "--config", config, "--mode", "live", "--yes-live", "--json", *options)


def lockstep(living: LivingWorld, process: AppProcess, blocks: int) -> None:
    """Blocks, each mined once the run is done with the one before it."""
    process.wait_for_log("started")
    for number in range(blocks):
        living.step(lambda head, first=number == 0: None if first else process.finished(head))


def test_paper_mode_proves_plans_and_sends_nothing(living: LivingWorld, config: Path, records: Path) -> None:
    before = living.nonce()
    with roundtrip("run", "--config", config, "--blocks", BLOCKS, "--json") as process:
        lockstep(living, process, BLOCKS)
        assert process.result() == 0
        summary = one_json(process.stdout)
        assert process.remains() == []
    assert summary["blocks"] == BLOCKS
    assert summary["simulated"] > 0
    assert (summary["submitted"], summary["outcomes"]) == (0, {})
    assert (living.nonce(), living.waiting()) == (before, 0)
    assert list(records.glob("journal*")) == []
    assert ledger_rows(records) == []


@pytest.mark.parametrize("transport", ["ws", pytest.param("http", marks=pytest.mark.campaign)])
def test_live_mode_lands_trades_exactly_as_predicted(
    living: LivingWorld, config: Path, records: Path, settle: Settle, transport: str
) -> None:
    url = living.anvil.http_url if transport == "http" else living.anvil.ws_url
    first = living.head()
    with live(config, "--rpc", url, "--blocks", BLOCKS) as process:
        lockstep(living, process, BLOCKS)
        assert process.result() == 0, process.stderr[-2000:]
        assert process.remains() == []
        summary = one_json(process.stdout)
    assert summary["blocks"] == BLOCKS
    assert summary["submitted"] >= 2
    assert set(summary["outcomes"]) == {"landed"}
    settle(config)
    rows = ledger_rows(records)
    assert sum(row["outcome"] == "landed" for row in rows) >= summary["submitted"]
    assert_exact(rows)
    assert {row["outcome"] for row in rows} == {"landed"}
    assert_agrees_with_chain(living, records, first + 1)


def test_blocks_that_wait_for_nobody(
    living: LivingWorld, config: Path, records: Path, settle: Settle
) -> None:
    first = living.head()
    with living.trading(0.5), live(config, "--blocks", 10) as process:
        assert process.result(90) == 0, process.stderr[-2000:]
        assert one_json(process.stdout)["submitted"] > 0
    settle(config)
    rows = ledger_rows(records)
    assert any(row["outcome"] == "landed" for row in rows)
    assert_agrees_with_chain(living, records, first + 1)
    assert unresolved(records) == []


def test_fork_mode_trades_on_a_private_copy(living: LivingWorld, config: Path, records: Path) -> None:
    before = living.head(), living.nonce()
    # A gap between prices that the fork finds as it starts.
    living.step()
    with roundtrip("run", "--config", config, "--mode", "fork", "--blocks", 12, "--json") as process:
        assert process.result(120) == 0, process.stderr[-2000:]
        summary = one_json(process.stdout)
        assert process.remains() == []
    assert summary["blocks"] == 12
    assert summary["submitted"] >= 1
    assert set(summary["outcomes"]) == {"landed"}, process.stderr[-3000:]
    assert (living.head(), living.nonce()) == (before[0] + 1, before[1])
    (folder,) = (records / "fork").iterdir()
    rows = ledger_rows(folder)
    assert_exact(rows)
    assert {row["outcome"] for row in rows if row["kind"] == "trade"} == {"landed"}


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.campaign), signal.SIGTERM])
def test_a_signal_while_a_fork_is_prepared_leaves_nothing_running(
    living: LivingWorld, config: Path, number: int
) -> None:
    with roundtrip("run", "--config", config, "--mode", "fork", "--json") as process:
        process.wait_for_log("fork_started")
        # Into the deployment.
        time.sleep(0.5)
        code, took_s = process.stop_with(number)
        assert (code, took_s < 5) == (0, True), process.stderr[-2000:]
        assert process.remains() == []
        assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("starting", signal.SIGINT),
        pytest.param("starting", signal.SIGTERM, marks=pytest.mark.campaign),
        pytest.param("trading", signal.SIGINT, marks=pytest.mark.campaign),
        ("trading", signal.SIGTERM),
    ],
)
def test_a_signal_ends_a_run_within_five_seconds(
    living: LivingWorld, config: Path, records: Path, settle: Settle, number: int, moment: str
) -> None:
    first = living.head()
    with live(config) as process:
        if moment == "trading":
            lockstep(living, process, 4)
        else:
            process.wait_for(lambda _: (records / "ledger.sqlite").exists())
        code, took_s = process.stop_with(number)
        assert process.remains() == []
    assert (code, took_s < 5) == (0, True), process.stderr[-2000:]
    assert "Traceback" not in process.stderr
    one_json(process.stdout)
    settle(config)
    assert_agrees_with_chain(living, records, first + 1)
    assert unresolved(records) == []


def test_a_second_instance_with_the_same_key_is_refused(
    living: LivingWorld, config: Path, records: Path
) -> None:
    with live(config) as process:
        process.wait_for_log("started")
        with live(config) as second:
            assert second.result() == 2
            assert second.stdout == ""
            assert len(second.stderr.splitlines()) == 1, second.stderr
            assert "another process" in second.stderr
        process.stop_with(signal.SIGINT)
    assert journal_records(records) == []


def test_what_waits_too_long_is_cancelled(living: LivingWorld, tmp_path: Path) -> None:
    config = living.write_config(tmp_path, execution__missed_after_blocks=2)
    first = living.head()
    with live(config) as process:
        process.wait_for_log("started")
        submitted: list[dict] = []
        while not submitted:
            head = living.step()
            process.finished(head)
            submitted = process.events("plan_submitted")
        # The transactions vanish from the node's pool, as they do when a node restarts.
        living.rpc("anvil_dropAllTransactions")
        for _ in range(4):
            process.finished(living.mine())
        process.stop_with(signal.SIGINT)
    rows = ledger_rows(tmp_path / "records")
    outcomes = {row["transaction_hash"]: row["outcome"] for row in rows if row["kind"] == "trade"}
    assert {outcomes[entry["transaction"]] for entry in submitted} <= {"missed", "landed"}
    assert "missed" in outcomes.values()
    assert any(row["kind"] == "cancel" and row["outcome"] in MINED for row in rows)
    assert_agrees_with_chain(living, tmp_path / "records", first + 1)
    assert json.dumps(rows)
