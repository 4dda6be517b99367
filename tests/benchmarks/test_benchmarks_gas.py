"""No kind of cycle costs more gas than the committed figures say."""

from __future__ import annotations

import pytest

from benchmarks.gas import PATHS, measure
from benchmarks.measure import stored_results

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
    assert row["floor"] < row["gas"] < row["floor"] * 1.06
