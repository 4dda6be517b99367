"""`roundtrip scan` and `roundtrip quote` as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.amm.estimates import est_rate_nb
from engine.app.cli import run_cli
from engine.app.commands.scan import scan_market
from engine.app.scan_plot import arrows_of, fair_prices
from engine.market.snapshot import load

WETH, USDC, TKN = "0x" + "cc" * 20, "0x" + "aa" * 20, "0x" + "bb" * 20
POOLS = ["0x" + f"{n:040x}" for n in (1, 2, 3, 4)]


def document() -> dict[str, Any]:
    tokens = [(WETH, "WETH", 18), (USDC, "USDC", 6), (TKN, "[bold]TKN", 18)]
    return {
        "version": 1,
        "chain_id": 1,
        "block": {"number": 19, "hash": "0x" + "01" * 32, "timestamp": 5, "base_fee_wei": "2000000000"},
        "tokens": [{"address": a, "symbol": s, "decimals": d} for a, s, d in tokens],
        "pools": [
            v2(POOLS[0], [USDC, WETH], ["3000000000000", "1000000000000000000000"]),
            v2(POOLS[1], [WETH, USDC], ["1000000000000000000000", "3200000000000"]),
            v2(POOLS[2], [TKN, WETH], ["1000000000000000000000", "1000000000000000000000"]),
            {
                "address": POOLS[3].upper().replace("0X", "0x"),
                "protocol": "uniswap-v3",
                "tokens": [TKN, WETH],
                "fee_pips": 500,
                "sqrt_price_x96": str(2**96 * 11 // 10),
                "liquidity": "500000000000000000000",
                "tick": 1906,
                "tick_spacing": 10,
                "ticks": [[-20000, "500000000000000000000"], [20000, "-500000000000000000000"]],
            },
            {"protocol": "unheard-of"},
        ],
    }


def v2(address: str, tokens: list[str], reserves: list[str]) -> dict[str, Any]:
    return {
        "address": address,
        "protocol": "uniswap-v2",
        "tokens": tokens,
        "fee_pips": 3000,
        "reserves": reserves,
    }


@pytest.fixture
def snapshot(tmp_path: Path) -> str:
    path = tmp_path / "market.json"
    path.write_text(json.dumps(document()))
    return str(path)


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run_cli(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_cli(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]


def test_scan_json_is_the_contract(capsys: pytest.CaptureFixture[str], snapshot: str) -> None:
    report = run_json(capsys, "scan", "--snapshot", snapshot, "--json")
    assert set(report) == {"block", "pools", "candidates", "opportunities", "elapsed_ms"}
    assert (report["block"], report["pools"]) == (19, 4)
    # Two directed cycles of two hops from WETH over each pair of pools, and the USDC ones again from USDC.
    assert report["candidates"] == 6
    assert len(report["opportunities"]) == 2
    for found in report["opportunities"]:
        assert set(found) == {
            "cycle",
            "base_token",
            "amount_in",
            "amount_out",
            "gross_profit",
            "gas_estimate",
            "net_profit",
            "block",
        }
        hops = found["cycle"]
        assert [set(hop) for hop in hops] == [
            {"pool", "protocol", "token_in", "token_out", "amount_in", "amount_out"}
        ] * len(hops)
        gross = int(found["amount_out"]) - int(found["amount_in"])
        assert gross == int(found["gross_profit"]) > int(found["net_profit"])
        assert (hops[0]["amount_in"], hops[-1]["amount_out"]) == (found["amount_in"], found["amount_out"])
        assert hops[0]["token_in"] == hops[-1]["token_out"] == found["base_token"]
        if found["base_token"] == WETH:
            assert gross - int(found["net_profit"]) == int(found["gas_estimate"]) * 2 * 10**9
    protocols = {hop["protocol"] for found in report["opportunities"] for hop in found["cycle"]}
    assert protocols == {"uniswap-v2", "uniswap-v3"}


def test_scan_options(capsys: pytest.CaptureFixture[str], snapshot: str) -> None:
    base = ("scan", "--snapshot", snapshot, "--json")
    assert len(run_json(capsys, *base, "--top", "1")["opportunities"]) == 1
    free = run_json(capsys, *base, "--gas-price-gwei", "0", "--base", WETH.upper().replace("0X", "0x"))
    assert free["candidates"] == 4
    assert all(found["gross_profit"] == found["net_profit"] for found in free["opportunities"])
    usdc = run_json(capsys, *base, "--base", USDC, "--max-hops", "4")
    assert {found["base_token"] for found in usdc["opportunities"]} == {USDC}


def test_scan_table(capsys: pytest.CaptureFixture[str], snapshot: str) -> None:
    assert run_cli(["scan", "--snapshot", snapshot]) == 0
    captured = capsys.readouterr()
    assert "[bold]TKN" in captured.out
    assert "2 opportunities" in " ".join(captured.out.split())


def test_quote_both_ways(capsys: pytest.CaptureFixture[str], snapshot: str) -> None:
    base = ("quote", "--snapshot", snapshot, "--pool", POOLS[0], "--token-in", USDC, "--json")
    sold = run_json(capsys, *base, "--amount-in", "1000000000")
    kept = 10**9 * 997
    assert int(sold["amount_out"]) == kept * 10**21 // (3 * 10**12 * 1000 + kept)
    assert sold | {"amount_out": ""} == {
        "pool": POOLS[0],
        "token_in": USDC,
        "token_out": WETH,
        "amount_in": "1000000000",
        "amount_out": "",
        "protocol": "uniswap-v2",
        "block": 19,
    }
    bought = run_json(capsys, *base, "--amount-out", sold["amount_out"])
    assert int(bought["amount_in"]) <= 10**9
    v3 = ("quote", "--snapshot", snapshot, "--pool", POOLS[3], "--token-in", TKN, "--json")
    out = run_json(capsys, *v3, "--amount-in", str(10**18))["amount_out"]
    assert 1.2 * 10**18 < int(out) < 1.21 * 10**18
    assert run_cli(["quote", "--snapshot", snapshot, *v3[3:-1], "--amount-out", out]) == 0
    assert "[bold]TKN" in capsys.readouterr().out


BAD_QUOTES = [
    (["--amount-in", "-5"], "--amount-in -5"),
    (["--amount-in", "1.5"], "--amount-in 1.5"),
    (["--amount-in", "0"], "--amount-in 0"),
    (["--amount-in", "ten"], "--amount-in ten"),
    (["--amount-out", "٣"], "--amount-out"),
    (["--amount-in", "9" * 100], "--amount-in"),
    ([], "exactly one"),
    (["--amount-in", "1", "--amount-out", "1"], "exactly one"),
    (["--amount-out", "1000000000000000000000"], "insufficient liquidity"),
    (["--amount-in", str(2**112)], "overflow"),
    (["--amount-in", "5", "--pool", "0x12"], "--pool 0x12"),
    (["--amount-in", "5", "--pool", POOLS[2]], "--token-in"),
    (["--amount-in", "5", "--token-in", "WETH"], "--token-in WETH"),
    (["--amount-in", "5", "--snapshot", "missing.json"], "missing.json"),
    (["--amount-in", "5", "--nonsense"], "nonsense"),
]


@pytest.mark.parametrize(("arguments", "culprit"), BAD_QUOTES)
def test_bad_quotes(
    capsys: pytest.CaptureFixture[str], snapshot: str, arguments: list[str], culprit: str
) -> None:
    base = ["quote", "--snapshot", snapshot, "--pool", POOLS[0], "--token-in", USDC]
    assert culprit in refused(capsys, *base, *arguments)


BAD_SCANS = [
    (["--base", "0x12"], "0x12"),
    (["--base", "0x" + "dd" * 20], "--base"),
    (["--max-hops", "5"], "max-hops"),
    (["--max-hops", "1"], "max-hops"),
    (["--top", "0"], "top"),
    (["--gas-price-gwei", "-1"], "--gas-price-gwei"),
    (["--gas-price-gwei", "much"], "--gas-price-gwei"),
    (["--rpc", "http://127.0.0.1:1"], "exactly one"),
    (["--snapshot", "missing.json"], "missing.json"),
]


@pytest.mark.parametrize(("arguments", "culprit"), BAD_SCANS)
def test_bad_scans(
    capsys: pytest.CaptureFixture[str], snapshot: str, arguments: list[str], culprit: str
) -> None:
    assert culprit in refused(capsys, "scan", "--snapshot", snapshot, *arguments)


def test_scan_needs_a_market(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "exactly one" in refused(capsys, "scan")
    bad = document()
    bad["pools"][0]["reserves"] = ["1", "-1"]
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(bad))
    message = refused(capsys, "scan", "--snapshot", str(path))
    assert str(path) in message
    assert POOLS[0] in message
    no_base = document()
    for token in no_base["tokens"]:
        token["symbol"] = "X"
    path.write_text(json.dumps(no_base))
    assert "--base" in refused(capsys, "scan", "--snapshot", str(path))


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_scan_draws_the_cycles(snapshot: str, tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    for path in (first, second):
        assert run_cli(["scan", "--snapshot", snapshot, "--plot", str(path), "--json"]) == 0
    picture = first.read_bytes()
    assert picture == second.read_bytes()
    if suffix == ".png":
        assert picture.startswith(b"\x89PNG")
        return
    text = picture.decode()
    for comment in ("WETH", "USDC", "[bold]TKN"):
        assert f"<!-- {comment} -->" in text


def test_the_picture_shows_how_far_each_pool_is_from_the_joint_prices(snapshot: str) -> None:
    market, _ = load(Path(snapshot))
    report = scan_market(market, [WETH], 3, 20)
    prices = fair_prices(market, {WETH: 1.0})
    arrows = arrows_of(report, market, prices)
    assert {arrow.pool for arrow in arrows} == {hop.pool for one in report.opportunities for hop in one.hops}
    # What a cycle gains at the margin is the product of what its pools are off.
    best = report.opportunities[0]
    off = {(arrow.sold, arrow.pool): arrow.mispricing for arrow in arrows}
    product = 1.0
    for hop in best.hops:
        product *= 1.0 + off[hop.token_in, hop.pool]
    row = market.pool_row
    rate = 1.0
    for hop in best.hops:
        rate *= est_rate_nb(market.arrays, row[hop.pool], hop.zero_for_one)
    assert product == pytest.approx(rate)
    assert product > 1.0


@pytest.mark.parametrize(
    ("path", "reason"),
    [("picture.pdf", "must end in .png or .svg"), ("nowhere/picture.svg", "does not exist")],
)
def test_scan_refuses_a_picture_it_cannot_write_before_it_reads_anything(
    path: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "missing.json")
    assert run_cli(["scan", "--snapshot", missing, "--plot", str(tmp_path / path)]) == 2
    assert reason in capsys.readouterr().err
