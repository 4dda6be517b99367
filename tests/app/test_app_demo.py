"""The whole job on an embedded world, as a person starts it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from app_process import AppProcess, roundtrip
from records_check import assert_books_balance, assert_exact, ledger_rows, unresolved

SHORT = 12


@cache
def _report(folder: Path, blocks: int, seed: int) -> dict[str, Any]:
    path = folder / f"{blocks}-{seed}.json"
    with roundtrip(
        *("demo", "--blocks", blocks, "--seed", seed, "--report", path, "--json"),
        *("--directory", folder / f"demo-{blocks}-{seed}"),
    ) as process:
        assert process.result(180) == 0, process.stderr[-3000:]
        assert process.remains() == []
        assert json.loads(process.stdout) == json.loads(path.read_text())
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    """The report of the demo as `make demo` runs it."""
    return _report(folder, 60, 1)


def test_the_report_has_every_figure(report: dict[str, Any]) -> None:
    counts = ("chain_id", "seed", "blocks", "pools", "tokens", "opportunities_found", "approved")
    counts += ("submitted", "landed", "reverted", "missed", "mismatches")
    assert {name: type(report[name]) for name in counts} == dict.fromkeys(counts, int)
    assert all(type(n) is int and n > 0 for n in report["refused_by_reason"].values())
    assert int(report["expected_profit_wei"]) == int(report["realised_profit_wei"]) > 0
    spread = report["latency_ms"]["block_to_submit"]
    assert 0 < spread["p50"] <= spread["p99"]
    assert {"ArbitrageRouter", "DexRegistry", "PriceFeedRegistry"} <= report["contracts"].keys()
    keys = {"block", "tx", "cycle", "base_token", "amount_in"}
    keys |= {"expected_wei", "simulated_wei", "realised_wei", "gas_used"}
    assert all(keys <= execution.keys() for execution in report["executions"])
    assert len(report["executions"]) == report["landed"]


def test_it_lands_many_trades_exactly_and_none_reverts(report: dict[str, Any]) -> None:
    assert (report["chain_id"], report["seed"], report["blocks"]) == (31337, 1, 60)
    assert report["pools"] >= 60
    assert report["tokens"] >= 12
    assert report["landed"] >= 30
    assert (report["reverted"], report["mismatches"]) == (0, 0)
    assert report["submitted"] == report["landed"] + report["missed"]
    for execution in report["executions"]:
        assert execution["outcome"] == "landed"
        assert execution["expected_wei"] == execution["simulated_wei"] == execution["realised_wei"]
        assert int(execution["realised_wei"]) > 0


def test_it_crosses_two_and_three_hops_and_both_kinds_of_venue(report: dict[str, Any]) -> None:
    cycles = [execution["cycle"] for execution in report["executions"]]
    assert {2, 3} <= {len(cycle) for cycle in cycles}
    assert {"uniswap-v2", "uniswap-v3"} <= {hop["protocol"] for cycle in cycles for hop in cycle}
    for execution in report["executions"]:
        cycle = execution["cycle"]
        assert cycle[0]["token_in"] == cycle[-1]["token_out"] == execution["base_token"]
        assert cycle[0]["amount_in"] == execution["amount_in"]
        for before, after in pairwise(cycle):
            assert (before["token_out"], before["amount_out"]) == (after["token_in"], after["amount_in"])
        profit = int(cycle[-1]["amount_out"]) - int(cycle[0]["amount_in"])
        assert profit == int(execution["realised_wei"])


def test_the_ledger_says_what_the_report_says(report: dict[str, Any], folder: Path) -> None:
    directory = folder / "demo-60-1"
    rows = ledger_rows(directory)
    landed = [row for row in rows if row["outcome"] == "landed"]
    assert {row["transaction_hash"] for row in landed} == {e["tx"] for e in report["executions"]}
    assert_exact(rows)
    assert_books_balance(directory)
    assert unresolved(directory) == []


def test_a_seed_repeats_itself_and_another_differs(report: dict[str, Any], folder: Path) -> None:
    # Side by side: neither may see anything of the other.
    with ThreadPoolExecutor() as pool:
        again, other = pool.map(lambda seed: _report(folder, SHORT, seed), (1, 2))

    def told(document: dict[str, Any]) -> list[tuple[Any, ...]]:
        names = ("block", "tx", "cycle", "amount_in", "realised_wei", "gas_used")
        return [tuple(execution[name] for name in names) for execution in document["executions"]]

    last = max(execution["block"] for execution in again["executions"])
    assert told(again) == [item for item in told(report) if item[0] <= last]
    assert len(told(again)) >= 5
    assert other["landed"] >= 1
    assert not {item[1] for item in told(other)} & {item[1] for item in told(again)}


def _said(words: str) -> Callable[[AppProcess], bool]:
    return lambda process: words in process.stderr


def _trading(directory: Path) -> Callable[[AppProcess], bool]:
    def holds(process: AppProcess) -> bool:
        return any(path.stat().st_size > 20_000 for path in directory.glob("journal-*.jsonl"))

    return holds


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        pytest.param("starting a local node", signal.SIGTERM, marks=pytest.mark.campaign),
        pytest.param("deploying tokens", signal.SIGINT, marks=pytest.mark.campaign),
        ("deploying our contracts", signal.SIGINT),
        pytest.param("reading the market", signal.SIGINT, marks=pytest.mark.campaign),
        ("trading", signal.SIGTERM),
    ],
)
def test_a_signal_ends_it_within_five_seconds_and_leaves_nothing_running(
    tmp_path: Path, moment: str, number: int
) -> None:
    directory = tmp_path / "demo"
    reached = _trading(directory) if moment == "trading" else _said(moment)
    with roundtrip("demo", "--directory", directory, "--json") as process:
        process.wait_for(reached)
        # Into the moment, not at its very beginning.
        time.sleep(0.4)
        code, took_s = process.stop_with(number)
        assert (code, took_s < 5) == (130, True), process.stderr[-2000:]
        assert process.remains() == []
        assert process.stdout == ""
        assert "Traceback" not in process.stderr
        assert process.stderr.splitlines()[-1] == "roundtrip: interrupted"
    if moment == "trading":
        rows = ledger_rows(directory)
        assert rows
        assert_exact(rows)
        assert_books_balance(directory)
