"""Recall on traced blocks: nothing with a known state is missed, and what is not known is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks.recall import document, traced_rows
from engine.app.simulate.chain_table import load_chain_table
from engine.app.simulate.swaps import Swap
from engine.app.simulate.trace_states import PairState, Unknown, state_before

PAIR, SOLD, BOUGHT = ("0x" + digit * 40 for digit in "923")


def traced_blocks() -> list[Path]:
    root = Path(os.environ.get("ROUNDTRIP_DATA") or Path(__file__).resolve().parents[2] / "../shared/data")
    found = sorted((root / "traces").glob("[0-9]*.json"))
    if not found:
        pytest.skip(f"no traced blocks under ROUNDTRIP_DATA ({root})")
    return found


def test_every_traced_arbitrage_with_known_state_is_found() -> None:
    table = load_chain_table(1)
    blocks = traced_blocks()
    rows = [row for path in blocks for row in traced_rows(path, table)]
    listed = json.loads((blocks[0].parent / "derived_arbitrages.json").read_text())
    gaining = {
        (row["block"], row["tx"]) for row in listed if all(int(net) > 0 for net in row["net"].values())
    }
    assert {(row.block, row.tx) for row in rows} == gaining
    complete = [row for row in rows if row.complete]
    assert len(complete) == 7
    assert all(row.recalled for row in complete)
    assert all(row.why_not for row in rows if not row.complete)
    text = document(rows, {"stored": 0, "traced": len(blocks)}, table.bases)
    assert "7 of 7" in text


def call(to: str, data: str, output: str, path: list[int], sender: str = PAIR) -> dict:
    action = {"to": to, "from": sender, "input": data, "callType": "call"}
    return {"action": action, "result": {"output": output}, "trace_address": path}


def word(value: int) -> str:
    return f"{value:064x}"


def swap_calls(sold_after: int, bought_after: int, named: tuple[int, int] | None = None) -> list[dict]:
    """A pair's swap that reads its balances; before it, perhaps, the reserves it named (bought is token1)."""
    asked = []
    if named is not None:
        asked = [call(PAIR, "0x0902f1ac", "0x" + word(named[0]) + word(named[1]) + word(0), [0], SOLD)]
    question = "0x70a08231" + PAIR[2:].rjust(64, "0")
    return [
        *asked,
        call(PAIR, "0x022c0d9f" + word(0), "0x", [1], SOLD),
        call(SOLD, question, "0x" + word(sold_after), [1, 0]),
        call(BOUGHT, question, "0x" + word(bought_after), [1, 1]),
    ]


SWAP = Swap(PAIR, "uniswap-v2", SOLD, BOUGHT, 1_000, 900, 0)


def test_reserves_before_a_swap_follow_from_the_balances_after_it() -> None:
    found = state_before(SWAP, swap_calls(1_001_000, 999_100))
    assert found == PairState(PAIR, (SOLD, BOUGHT), 1_000_000, 1_000_000)
    assert state_before(SWAP, swap_calls(1_001_000, 999_100, (1_000_000, 1_000_000))) == found


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        (swap_calls(1_001_000, 999_100, (1_000_000, 999_999)), "differ from its reserves"),
        (swap_calls(1_001_000, 899), "it paid more than"),
        (swap_calls(1_001_000, 999_100)[:1], "not in the trace"),
        ([], "swaps in it 0 times"),
        ([*swap_calls(1_001_000, 999_100), *swap_calls(1_001_000, 999_100)], "swaps in it 2 times"),
    ],
)
def test_a_state_the_trace_does_not_show_is_not_made_up(calls: list[dict], reason: str) -> None:
    found = state_before(SWAP, calls)
    assert isinstance(found, Unknown)
    assert reason in found.reason
