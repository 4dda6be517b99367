"""Quotes and swaps recorded from deployed contracts, recomputed. Skipped where the data folder is absent."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from amm_evm import v3_row

from engine.amm.quote import QuoteRefused, simulate_swap

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
MAINNET_QUOTES = (
    DATA / "onchain_parity/golden/tests/uniswap/v3/test_uniswap_v3_onchain_parity"
    "/test_cached_calculations_v3_wbtc_weth.json"
)
MAINNET_STATE = DATA / "onchain_parity/state/1/uniswap_v3_wbtc_weth_block_24407242.json"


def load(path: Path) -> Any:
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set ROUNDTRIP_DATA")
    return json.loads(path.read_text())


def test_mainnet_quotes_of_wbtc_weth():
    state, recorded = load(MAINNET_STATE), load(MAINNET_QUOTES)
    scalars = state["scalars"]
    ticks = sorted((int(tick), entry[1]) for tick, entry in state["tick_data"].items())
    pools = v3_row(
        scalars["sqrt_price_x96"],
        scalars["liquidity"],
        scalars["tick"],
        scalars["fee"],
        scalars["tick_spacing"],
        ticks,
    )
    for key, entry in recorded["entries"].items():
        _, function, direction, amount = key.split("|")
        exact_in = function == "quoteExactInputSingle"
        # The quoter answers with what the pool would still move when it runs dry.
        swap = simulate_swap(pools, 0, direction == "WBTC->WETH", int(amount), exact_in=exact_in)
        assert (swap.amount_out if exact_in else swap.amount_in) == entry["value"], key
    assert len(recorded["entries"]) >= 80


def recompute(case: dict[str, Any]) -> None:
    state = case["state"]
    fee_pips, spacing = int(state["fee"]), int(state["tick_spacing"])
    ticks = [(int(tick), int(net)) for tick, net in state["ticks"]]
    price, liquidity, tick = (int(state[name]) for name in ("sqrt_price", "liquidity", "tick"))
    pools = v3_row(price, liquidity, tick, fee_pips, spacing, ticks)
    arguments = pools, 0, case["token_in"] == "0", int(case["amount_specified"])
    exact_in = case["kind"] == "exact_in"
    limit = int(case["sqrt_price_limit"]) if case["sqrt_price_limit"] else None
    if case["reverted"] and case["revert_reason"].startswith("Panic"):
        # The pools' compiler, 0.7.6, knows no Panic: the payer's 6-decimal token refused to go below zero.
        swap = simulate_swap(*arguments, exact_in=exact_in, sqrt_price_limit_x96=limit)
        assert swap.amount_in > 10**30
        return
    if case["reverted"]:
        with pytest.raises(QuoteRefused):
            simulate_swap(*arguments, exact_in=exact_in, sqrt_price_limit_x96=limit)
        return
    swap = simulate_swap(*arguments, exact_in=exact_in, sqrt_price_limit_x96=limit)
    assert (swap.amount_in, swap.amount_out) == (int(case["amount_in"]), int(case["amount_out"]))
    after = case["state_after"]
    expected = tuple(int(after[name]) for name in ("sqrt_price", "liquidity", "tick"))
    assert (swap.sqrt_price_x96, swap.liquidity, swap.tick) == expected


@pytest.mark.parametrize("family", ["pancake-v3", "slipstream"])
def test_recorded_swaps_of_forks(family: str):
    recorded = load(DATA / "golden" / f"{family}.json")
    cases = [case for pool in recorded["pools"] for case in pool["cases"]]
    for case in cases:
        recompute(case)
    assert len(cases) >= 300
