"""`roundtrip scan` over one snapshot in which every family has a pool that is out of line with a V2 pool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.app.cli import run_cli
from engine.app.commands.quote import quote_pool
from engine.market.snapshot import load

A, B = "0x" + "0a" * 20, "0x" + "0b" * 20
WAD = 10**18
DEEP = str(10**6 * WAD)
TICKS = {
    "sqrt_price_x96": str(1 << 96),
    "liquidity": DEEP,
    "tick": 0,
    "tick_spacing": 10,
    "ticks": [[-20_000, DEEP], [20_000, "-" + DEEP]],
}
HELD = {"balances": [DEEP, DEEP]}
FAMILIES: dict[str, dict[str, Any]] = {
    "uniswap-v3": TICKS | {"fee_pips": 500},
    "uniswap-v4": TICKS | {"fee_pips": 500, "pool_id": "0x" + "44" * 32, "hooks": "0x" + "00" * 20},
    "slipstream": TICKS | {"fee_pips": 500},
    "algebra": TICKS | {"fee_pips": 500},
    "solidly": {"fee_pips": 300, "reserves": [DEEP, DEEP], "decimals": [18, 18], "stable": True},
    "camelot-v2": {"fee_pips": 0, "fees": [300, 500], "reserves": [DEEP, DEEP], "stable": False},
    "curve-stableswap": HELD | {"rates": [str(WAD)] * 2, "a": "200", "a_precision": 100, "fee": "4000000"},
    "curve-cryptoswap": {
        "balances": [DEEP, DEEP],
        "a": "400000",
        "gamma": "145000000000000",
        "d": str(2 * 10**6 * WAD),
        "price_scale": str(WAD),
        "fees": {"mid_fee": "2600000", "out_fee": "4500000", "fee_gamma": "230000000000000"},
    },
    "balancer-v2-weighted": HELD | {"weights": [str(WAD // 2)] * 2, "swap_fee": str(WAD // 1000)},
    "balancer-v2-stable": HELD
    | {"amp": "200000", "scaling_factors": [str(WAD)] * 2, "swap_fee": str(WAD // 10_000)},
    "balancer-v3-weighted": {
        "live_balances": [DEEP, DEEP],
        "weights": [str(WAD // 2)] * 2,
        "swap_fee": str(WAD // 1000),
    },
    "balancer-v3-stable": {"live_balances": [DEEP, DEEP], "amp": "200000", "swap_fee": str(WAD // 10_000)},
    "erc4626": {"total_assets": DEEP, "total_supply": DEEP},
    "wsteth": {"total_shares": DEEP, "total_pooled_ether": DEEP},
    "weth": {},
}


def document(families: list[str]) -> dict[str, Any]:
    def pool(number: int, protocol: str, rest: dict[str, Any]) -> dict[str, Any]:
        return {"address": f"0x{number:040x}", "protocol": protocol, "tokens": [A, B]} | rest

    cheap = {"fee_pips": 3000, "reserves": [str(10**4 * WAD), str(105 * 10**20)]}
    return {
        "version": 1,
        "chain_id": 1,
        "block": {"number": 19, "hash": "0x" + "01" * 32, "timestamp": 1_700_000_000},
        "tokens": [{"address": a, "symbol": s, "decimals": 18} for a, s in ((A, "WETH"), (B, "BBB"))],
        "pools": [pool(1, "uniswap-v2", cheap)]
        + [pool(2 + n, name, FAMILIES[name]) for n, name in enumerate(families)],
    }


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_scan_finds_exact_cycles_through_every_family(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "market.json"
    path.write_text(json.dumps(document([family])))
    assert run_cli(["scan", "--snapshot", str(path), "--json", "--gas-price-gwei", "0"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["pools"] == 2
    found = report["opportunities"][0]
    assert {hop["protocol"] for hop in found["cycle"]} == {"uniswap-v2", family}
    assert int(found["gross_profit"]) > WAD
    market, _ = load(path)
    hops = found["cycle"]
    for hop, following in zip(hops, [*hops[1:], None], strict=True):
        sold, bought = int(hop["amount_in"]), int(hop["amount_out"])
        paid = quote_pool(market, hop["pool"], hop["token_in"], sold, True, hop["token_out"])
        assert paid.amount_out >= bought
        owed = int(following["amount_in"]) if following else bought
        assert bought >= owed
        if following is None:
            assert paid.amount_out == bought
    assert int(found["amount_out"]) - int(found["amount_in"]) == int(found["gross_profit"])


def test_a_scan_of_all_families_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "market.json"
    path.write_text(json.dumps(document(list(FAMILIES))))
    assert run_cli(["scan", "--snapshot", str(path), "--json", "--top", "100"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["pools"] == 1 + len(FAMILIES)
    through = {hop["protocol"] for found in report["opportunities"] for hop in found["cycle"]}
    assert through == {"uniswap-v2", *FAMILIES}
