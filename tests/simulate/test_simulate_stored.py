"""The command on stored blocks: our landed profit beside the searchers'."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.app.cli import run_cli

AMOUNTS = ("amount_in", "expected_wei", "realised_wei", "gas_used")


def simulate(folder: Path, report: Path, *numbers: int) -> dict[str, Any]:
    chosen = [part for number in numbers for part in ("--block", str(number))]
    assert run_cli(["simulate", "--blocks-dir", str(folder), *chosen, "--report", str(report)]) == 0
    return json.loads(report.read_text())


def test_lands_at_least_what_the_searchers_landed(
    stored_blocks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = simulate(stored_blocks, tmp_path / "report.json", 12047794, 15537394, 19426587)
    listed = {
        (row["block"], row["tx_index"]): max(int(amount) for amount in row["net"].values())
        for row in json.loads((stored_blocks / "derived_arbitrages.json").read_text())
    }
    rows = [(block, row) for block in report["blocks"] for row in block["landed_arbitrages"]]
    assert [(block["number"], row["tx_index"]) for block, row in rows] == [
        *((12047794, 35), (12047794, 208), (15537394, 69)),
    ]
    for block, row in rows:
        assert int(row["profit_wei"]) == listed[block["number"], row["tx_index"]]
        assert row["state_complete"] is True
        assert row["ours"]["why_not"] is None
        same, best = row["ours"]["same_pools"], row["ours"]["any"]
        assert int(same["realised_wei"]) >= int(row["profit_wei"])
        assert int(best["realised_wei"]) >= int(same["realised_wei"])
        for ours in (same, best):
            assert ours["expected_wei"] == ours["realised_wei"]
            assert all(isinstance(ours[name], str) and int(ours[name]) > 0 for name in AMOUNTS)
        assert {hop["pool"] for hop in same["cycle"]} <= {hop["pool"] for hop in row["cycle"]}
        for hop in row["cycle"]:
            assert hop.keys() == {"pool", "protocol", "token_in", "token_out", "amount_in", "amount_out"}
    quiet = report["blocks"][-1]
    assert (quiet["number"], quiet["landed_arbitrages"]) == (19426587, [])
    assert quiet["pools"] > 0
    assert report["totals"]["ours_at_least_searcher"] == report["totals"]["landed_arbitrages"] == 3
    assert "15537394" in capsys.readouterr().out


def test_says_what_the_state_lacks_and_uses_the_rest(stored_blocks: Path, tmp_path: Path) -> None:
    folder = tmp_path / "blocks" / "15537394"
    shutil.copytree(stored_blocks / "15537394", folder)
    state = json.loads((folder / "pre_state.json").read_text())
    # A V3 pool of the searcher's cycle loses its price.
    del state["0x29f0096512b4af1d689c1a11a867a6e707a8dcde"]["storage"]["0x0"]
    (folder / "pre_state.json").write_text(json.dumps(state))
    report = simulate(tmp_path / "blocks", tmp_path / "report.json")
    (row,) = report["blocks"][0]["landed_arbitrages"]
    assert row["state_complete"] is False
    assert row["ours"]["same_pools"] is None
    assert row["ours"]["why_not"]
    assert any("price or liquidity is not in the state" in note for note in row["notes"])
    assert report["blocks"][0]["replay"]["log_mismatches"]
