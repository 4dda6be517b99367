"""No kind of cycle costs more gas than the committed figures say."""

from __future__ import annotations

import pytest

from benchmarks.gas import PATHS, PUBLISHED, measure
from benchmarks.measure import stored_results
from engine.app.toolchain import project_root

pytestmark = pytest.mark.skipif(
    not (project_root() / ".build" / "published").is_dir(),
    reason="the published packages were not fetched: run `make setup`",
)
ALLOWED_GROWTH = 1.005


@pytest.fixture(scope="module")
def measured() -> dict[str, dict]:
    return {row["path"]: row for row in measure().ours}


@pytest.mark.parametrize("path", PATHS)
def test_gas_has_not_grown(measured: dict[str, dict], path: str) -> None:
    (committed,) = (result for result in stored_results() if result["name"] == "gas")
    known = {row["path"]: row for row in committed["ours"]}[path]
    assert measured[path]["gas"] <= known["gas"] * ALLOWED_GROWTH, "run `make gas` if the growth is meant"
    assert measured[path]["calldata_bytes"] == known["calldata_bytes"]


@pytest.mark.parametrize("path", PATHS)
def test_gas_lies_a_little_above_its_floor(measured: dict[str, dict], path: str) -> None:
    row = measured[path]
    only_pairs = set(path.split("-")) <= {"V2", "V3"}
    assert row["floor"] < row["gas"] < row["floor"] * (1.04 if only_pairs else 1.06)


@pytest.mark.parametrize("path", PUBLISHED)
def test_gas_is_less_than_others_published(measured: dict[str, dict], path: str) -> None:
    """Over the floor of its own pools, each: 2 % less than the best executor, a fifth less than a router."""
    floor, executor, router = PUBLISHED[path]
    ours = measured[path]["gas"] / measured[path]["floor"]
    assert ours <= 0.98 * executor / floor
    assert router is None or ours <= 0.80 * router / floor
