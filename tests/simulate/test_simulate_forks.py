"""Blocks of a node, replayed on forks of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_chain import build

from engine.app.cli import run_cli
from engine.app.simulate.blocks import load_block
from engine.app.simulate.replay import stored_replayer
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


async def test_forks_a_node_whose_block_ran_under_old_rules(stored_blocks: Path, tmp_path: Path) -> None:
    block = load_block(stored_blocks / "12047794")
    report = tmp_path / "report.json"
    async with stored_replayer(block, 1, tmp_path) as upstream:
        await upstream.run(len(block.transactions))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engine", "simulate", "--rpc", upstream.node.shown),
            *("--from-block", str(block.number), "--to-block", str(block.number), "--report", str(report)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    (found,) = json.loads(report.read_text())["blocks"]
    assert found["transactions"] == 232
    assert [row["tx_index"] for row in found["landed_arbitrages"]] == [35, 208]
    for row in found["landed_arbitrages"]:
        assert int(row["ours"]["same_pools"]["realised_wei"]) >= int(row["profit_wei"]) > 0
