"""Blocks of a node, replayed on forks of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from small_chain import build

from engine.app.cli import run_cli
from engine.app.world.node import AnvilProcess


def test_lands_more_than_the_searcher_on_a_fork_of_a_local_node(
    start_anvil: Callable[..., AnvilProcess], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream = start_anvil(order="fifo", no_mining=True)
    chain = build(upstream.http_url, tmp_path)
    report = tmp_path / "report.json"
    arguments = ["simulate", "--rpc", upstream.http_url, "--chain-table", str(chain.table), "--json"]
    blocks = ["--from-block", str(chain.landed_block), "--to-block", str(chain.open_block)]
    assert run_cli([*arguments, *blocks, "--report", str(report)]) == 0

    written = json.loads(report.read_text())
    assert json.loads(capsys.readouterr().out) == written
    landed, opened = written["blocks"]
    (row,) = landed["landed_arbitrages"]
    assert (row["tx_index"], int(row["profit_wei"])) == (2, chain.searcher_profit)
    for scope in ("same_pools", "any"):
        ours = row["ours"][scope]
        assert int(ours["realised_wei"]) > chain.searcher_profit > 0
        assert ours["realised_wei"] == ours["expected_wei"]
    assert row["ours"]["why_not"] is None
    assert row["state_complete"]

    # Only one pool trades in the second block, but the other venue's pool of its tokens is found.
    assert opened["landed_arbitrages"] == []
    assert opened["pools"] == 2
    best = opened["best_at_start"]
    assert 0 < int(best["realised_wei"]) == int(best["expected_wei"])
    assert written["totals"]["ours_at_least_searcher"] == 1
