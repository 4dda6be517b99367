"""Committed results have the agreed form, the document shows them, and timing and comparing add up."""

from __future__ import annotations

import pytest

from benchmarks.measure import Contender, Timing, compared, race, stored_results
from benchmarks.tables import documented, render

FIELDS = {"name", "work", "unit", "ours", "peers", "ratio", "machine"}


def test_every_result_file_has_the_agreed_form() -> None:
    results = stored_results()
    assert "gas" in {result["name"] for result in results}
    for result in results:
        assert result.keys() >= FIELDS, result["name"]


def test_gas_rows_have_the_agreed_form() -> None:
    (gas,) = (result for result in stored_results() if result["name"] == "gas")
    paths = [row["path"] for row in gas["ours"]]
    assert len(paths) == len(set(paths)) == 16
    assert all(row.keys() >= {"path", "gas", "floor", "calldata_bytes"} for row in gas["ours"])
    assert gas["ratio"].keys() == set(paths)
    # Peers have the mixes of V2, V3 and V4 alone.
    assert set(gas["peers"]) == set(paths[:11])


def test_the_document_shows_the_stored_results() -> None:
    assert documented() == render(), "run `python -m benchmarks --tables`"


def test_contenders_take_turns() -> None:
    turns: list[str] = []
    race([Contender("a", lambda: turns.append("a")), Contender("b", lambda: turns.append("b"))], 3)
    assert turns == ["a", "b"] * 4  # once to warm up


def test_a_turn_repeats_short_work() -> None:
    now = 0
    turns: list[str] = []

    def work(name: str, takes: int) -> None:
        nonlocal now
        turns.append(name)
        now += takes

    short, long = (
        Contender("short", lambda: work("short", 30), 10),
        Contender("long", lambda: work("long", 150)),
    )
    timings = race([short, long], 2, lambda: now, least_ns=100)
    assert turns == ["short", "long"] + ["short"] * 4 + ["long"] + ["short"] * 4 + ["long"]
    assert timings == {"short": Timing(3, 3, 3), "long": Timing(150, 150, 150)}


def test_a_ratio_is_the_peers_time_over_ours() -> None:
    timings = {"ours": Timing(2_000, 1_000, 3_000), "peer": Timing(5_000, 4_000, 6_000)}
    result = compared("x", "y", "us", timings)
    assert (result.ours, result.peers, result.ratio) == (2.0, {"peer": 5.0}, {"peer": 2.5})


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
def test_units_do_not_change_ratios(unit: str) -> None:
    timings = {"ours": Timing(3e6, 3e6, 3e6), "peer": Timing(4.5e6, 4.5e6, 4.5e6)}
    assert compared("x", "y", unit, timings).ratio == {"peer": 1.5}
