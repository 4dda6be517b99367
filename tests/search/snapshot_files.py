"""Real pool states in other people's formats, as markets. Read in place, never copied."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market

DATA = Path(
    os.environ.get("ROUNDTRIP_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
BLOCK = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 0)
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
_FEES = {"Lowest": (100, 1), "Low": (500, 10), "Medium": (3000, 60), "High": (10_000, 200)}


def snapshot_path(name: str) -> Path:
    """A stored snapshot; the test is skipped where the data is not at hand."""
    path = DATA / "snapshots" / name
    if not path.is_file():
        pytest.skip(f"{name} is not under ROUNDTRIP_DATA ({DATA})")
    return path


def _add_v2(market: Market, name: str, tokens: list[tuple[str, int]], reserves: list[int]) -> None:
    for address, decimals in tokens:
        if address not in market.token_row:
            market.add_token(Token(address, address[2:8], min(decimals, 36)))
    ordered = sorted(zip(tokens, reserves, strict=True))
    record = PoolRecord(name, Protocol.UNISWAP_V2, "", (ordered[0][0][0], ordered[1][0][0]), 3000)
    market.set_v2(market.add_pool(record), ordered[0][1], ordered[1][1])


def v2_pairs(name: str) -> Market:
    """A list of V2 pairs with integer reserves; those whose reserves no pair can hold are left out."""
    market = Market()
    for pair in json.loads(snapshot_path(name).read_text()):
        tokens = [(pair[key]["address"].lower(), pair[key]["decimal"]) for key in ("token0", "token1")]
        reserves = [int(pair["reserve0"]), int(pair["reserve1"])]
        if max(reserves) < 1 << 112 and tokens[0][0] != tokens[1][0]:
            _add_v2(market, pair["address"].lower(), tokens, reserves)
    market.start(BLOCK)
    return market


def v2_balances(name: str) -> Market:
    """V2 pools by their token balances at one block."""
    market = Market()
    stream = json.loads(snapshot_path(name).read_text())["state_msgs"]["uniswap_v2"]
    for address, pool in stream["snapshots"]["states"].items():
        balances = {token.lower(): int(value, 16) for token, value in pool["state"]["balances"].items()}
        if len(balances) == 2 and max(balances.values()) < 1 << 112:
            tokens = [(token, 18) for token in balances]
            _add_v2(market, address.lower(), tokens, list(balances.values()))
    market.start(BLOCK)
    return market


def v3_ticks(name: str) -> Market:
    """V3 pools with every initialised tick, and a few V2 pools, at one moment."""
    market = Market()
    for n, entry in enumerate(json.loads(snapshot_path(name).read_text())):
        address, state = f"0x{n + 1:040x}", entry["state"]["state"]
        tokens = [(token["address"].lower(), token["decimals"]) for token in entry["tokens"]]
        if "reserve0" in state:
            _add_v2(market, address, tokens, [int(state["reserve0"], 16), int(state["reserve1"], 16)])
            continue
        for token, decimals in tokens:
            if token not in market.token_row:
                market.add_token(Token(token, token[2:8], decimals))
        fee, spacing = _FEES[state["fee"]]
        assert spacing == state["ticks"]["tick_spacing"]
        names = (tokens[0][0], tokens[1][0])
        row = market.add_pool(PoolRecord(address, Protocol.UNISWAP_V3, "", names, fee, spacing))
        ticks = [(tick["index"], tick["net_liquidity"]) for tick in state["ticks"]["ticks"]]
        market.set_v3(row, int(state["sqrt_price"], 16), state["liquidity"], state["tick"], ticks)
    market.start(BLOCK)
    return market
