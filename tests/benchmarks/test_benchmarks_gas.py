"""No kind of cycle costs more gas than the committed figures say."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.gas import PATHS, measure
from benchmarks.gas_targets import (
    EXECUTOR,
    FLOOR,
    HOP_BY_HOP,
    LEANEST,
    PUBLISHED,
    compare,
    missed,
)
from benchmarks.gas_universal import PACKAGE
from benchmarks.measure import Result, stored_results
from engine.app.toolchain import project_root

pytestmark = pytest.mark.skipif(
    not (project_root() / ".build" / "published" / PACKAGE).is_dir(),
    reason="the published packages were not fetched: run `make setup`",
)
ALLOWED_GROWTH = 1.005


@pytest.fixture(scope="module")
def result() -> Result:
    return measure()


@pytest.fixture(scope="module")
def measured(result: Result) -> dict[str, dict]:
    return {row["path"]: row for row in result.ours}


@pytest.mark.parametrize("path", PATHS)
def test_gas_has_not_grown(measured: dict[str, dict], path: str) -> None:
    (committed,) = (result for result in stored_results() if result["name"] == "gas")
    known = {row["path"]: row for row in committed["ours"]}[path]
    assert measured[path]["gas"] <= known["gas"] * ALLOWED_GROWTH, "run `make gas` if the growth is meant"
    assert measured[path]["calldata_bytes"] == known["calldata_bytes"]


@pytest.mark.parametrize("path", PATHS)
def test_gas_keeps_to_every_target(result: Result, path: str) -> None:
    """Over the floor; over Uniswap's router, run beside ours; over the best executor's published figures."""
    assert not [name for cycle, name in missed(result) if cycle == path]


def test_every_cycle_that_a_peer_has_has_a_target(result: Result) -> None:
    """Uniswap's router has neither two factories' pairs in one cycle nor families that are not its own."""
    counted = Counter(name for targets in result.ratio.values() for name in targets)
    assert counted == {FLOOR: len(PATHS), LEANEST: 10, HOP_BY_HOP: 10, EXECUTOR: len(PUBLISHED)}
    dearer = [row | {"gas": 2 * row["gas"]} for row in result.ours]
    universal = {
        path: {form: peers[form]["gas"] for form in (LEANEST, HOP_BY_HOP)}
        for path, peers in result.peers.items()
        if LEANEST in peers
    }
    failing = Counter(name for _, name in missed(compare(dearer, universal)))
    assert failing == {FLOOR: len(PATHS), HOP_BY_HOP: 10, EXECUTOR: len(PUBLISHED)}
