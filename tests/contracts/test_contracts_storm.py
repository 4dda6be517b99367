"""Ten million calls at random on the router, in parts that are not run again: `make fuzz ARGS="-k storm"`.

A part is one seed. What was done is kept under `.build/campaign/`, for the code it was done with; an edit of
the router or of the storm starts anew. ROUNDTRIP_CAMPAIGN_MINUTES ends it early.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time

import pytest

from engine.app.toolchain import forge_artifact, foundry_tool, project_root

TARGET_CALLS = 10_000_000
RUNS, ROUNDS, CALLS_PER_ROUND = 16, 1_000, 32
PART_CALLS = RUNS * ROUNDS * CALLS_PER_ROUND
STORM = "contracts/test/ArbitrageRouterStorm.t.sol"


def storm(seed: int, rounds: int) -> int:
    """Run one seed; the number of calls. Fails with forge's own report."""
    root = project_root()
    command = [foundry_tool("forge"), "test", "--match-path", STORM, "--match-test", "testFuzz_storm"]
    done = subprocess.run(
        [*command, "--fuzz-seed", hex(seed)],
        cwd=root,
        env=os.environ | {"ROUNDTRIP_STORM_ROUNDS": str(rounds)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    (runs,) = re.findall(r"\[PASS\] testFuzz_storm\(uint256\) \(runs: (\d+)", done.stdout)
    return int(runs) * rounds * CALLS_PER_ROUND


@pytest.mark.campaign
@pytest.mark.timeout(0)
def test_ten_million_calls_take_nothing():
    code = forge_artifact("ArbitrageRouter").bytecode + (project_root() / STORM).read_bytes()
    path = project_root() / ".build" / "campaign" / f"storm-{hashlib.sha256(code).hexdigest()[:16]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = json.loads(path.read_text()) if path.is_file() else {}
    limit = 60 * float(os.environ.get("ROUNDTRIP_CAMPAIGN_MINUTES", "1e9"))
    started = time.monotonic()
    for seed in range(1, -(-TARGET_CALLS // PART_CALLS) + 1):
        if str(seed) in parts or time.monotonic() - started > limit:
            continue
        began = time.monotonic()
        calls = storm(seed, ROUNDS)
        parts[str(seed)] = {"calls": calls, "seconds": round(time.monotonic() - began, 1)}
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(parts))
        draft.replace(path)
    total = sum(part["calls"] for part in parts.values())
    minutes = sum(part["seconds"] for part in parts.values()) / 60
    print(f"router: {total:,} random calls in {minutes:.1f} minutes, nothing taken, nothing left behind")
    assert total >= TARGET_CALLS or time.monotonic() - started > limit
