"""Venues whose code no registry has, as mainnet had them: code and storage of stored blocks, with our router
among them. What the kernels computed of what the readers read is what the router realises."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from stored_bench import WETH, Case, StoredBench, stored
from stored_reading import found, payments

from benchmarks.gas import sized
from engine.chain.events import TRANSFER
from engine.domain.market import PoolRecord, Protocol
from engine.domain.opportunity import Opportunity
from engine.domain.pool_details import (
    CryptoSwapVariant,
    CurveCryptoDetails,
    CurveStableDetails,
    PoolDetails,
    StableSwapVariant,
)
from engine.execution.encoder import encode_stream

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
BLOCKS = DATA / "evm_blocks"
pytestmark = pytest.mark.skipif(
    not BLOCKS.is_dir(), reason=f"no stored blocks at {BLOCKS}: set ROUNDTRIP_DATA"
)

DAI = "0x6b175474e89094c44da98b954eedeac495271d0f"
USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
USDT = "0xdac17f958d2ee523a2206206994597c13d831ec7"
SUSD = "0x57ab1ec28d129707052df4df418d58a2d46d5f51"
RENBTC = "0xeb4c2781e4eba804ce9a9803c67d0893436bb27d"
WBTC = "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599"
SBTC = "0xfe18be6b3bd88a2d2a7f928d00292e7a9963cfc6"
CRVUSD = "0xf939e0a03fb07f59a73314e73794be0e57ac1b4e"
CRV = "0xd533a949740bb3306d119cc777fa900ba034cd52"
USDP = "0x8e870d67f660d95d5be530380d0ec0bd388289e1"
STETH = "0xae7ab96520de3a18e5e111b5eaab095312d7fe84"
WSTETH = "0x7f39c581f595b53c5cb19bd0b3f8da6c935e2ca0"
DECIMALS = {USDC: 6, USDT: 6, RENBTC: 8, WBTC: 8}


def stable(address: str, variant: StableSwapVariant, *tokens: str) -> PoolRecord:
    return PoolRecord(address, Protocol.CURVE_STABLESWAP, "", tokens, 0, details=CurveStableDetails(variant))


def record(address: str, protocol: Protocol, tokens: tuple[str, ...], details: PoolDetails | None = None):
    return PoolRecord(address, protocol, "", tokens, 0, details=details)


TRICRYPTO = CurveCryptoDetails(CryptoSwapVariant.TRICRYPTO, (1, 1, 1))
OLD, PLAIN = StableSwapVariant.SUSD, StableSwapVariant.THREE_POOL
POOLS = {
    "3pool": stable("0xbebc44782c7db0a1a60cb6fe97d0b483032ff1c7", PLAIN, DAI, USDC, USDT),
    "sbtc": stable("0x7fc77b5c7614e1533320ea6ddc2eb61fa00a9714", PLAIN, RENBTC, WBTC, SBTC),
    "factory": stable("0xca978a0528116dda3cba9acd3e68bc6191ca53d0", StableSwapVariant.FACTORY, USDP, CRVUSD),
    "susd": stable("0xa5407eae9ba41422680e2e00537571bcc53efbfd", OLD, DAI, USDC, USDT, SUSD),
    "tricrypto": record(
        "0x4ebdf703948ddcea3b11f675b4d1fba9d2414a14",
        Protocol.CURVE_CRYPTOSWAP,
        (CRVUSD, WETH, CRV),
        TRICRYPTO,
    ),
    "wsteth": record(WSTETH, Protocol.WSTETH, (STETH, WSTETH)),
}
CASES = {
    "3pool": Case(16257471, POOLS["3pool"], USDC, USDT, 10**9, DECIMALS),
    "sbtc": Case(12047794, POOLS["sbtc"], RENBTC, WBTC, 10**7, DECIMALS),
    "factory": Case(19933597, POOLS["factory"], CRVUSD, USDP, 10**20, DECIMALS),
    "susd": Case(10760440, POOLS["susd"], DAI, USDC, 10**21, DECIMALS),
    "tricrypto": Case(19933597, POOLS["tricrypto"], WETH, CRVUSD, 10**17, DECIMALS),
    "wsteth": Case(18085863, POOLS["wsteth"], STETH, WSTETH, 10**18, DECIMALS),
}
# stETH moves whole shares: a transfer may move a wei or two less than it says, and so may the run's profit.
SHARE_WEI = {"wsteth": 2}


def wrapped_by(bench: StoredBench) -> int:
    """What the last run wrapped or unwrapped, of wstETH."""
    zero = "0x" + "00" * 32
    logs = bench.landed[-1]["logs"]
    (amount,) = (
        int(log["data"], 16)
        for log in logs
        if log["address"] == WSTETH and log["topics"][0] == TRANSFER and zero in log["topics"][1:]
    )
    return amount


def require_found(bench: StoredBench) -> None:
    """The search makes of the address what the contract is, and the reading its state."""
    read, refused = found(bench)
    assert refused == {}
    (state,) = read.pools
    record = bench.market.record
    assert (state.pool.tokens, state.pool.details) == (record.tokens, record.details)
    assert replace(state, pool=record) == bench.market.state()


def require_paid(bench: StoredBench) -> None:
    """What the kernel computes of the reading is what the contract itself pays, for every two coins."""
    sold = 0
    for trade, computed, paid in payments(bench):
        assert computed == paid, trade
        sold += paid is not None
    assert sold >= 6


def realise(bench: StoredBench, opportunity: Opportunity, loss: int) -> None:
    """Lands with the profit that was computed less `loss` at most; one more is refused."""
    held, deadline = bench.held(opportunity.base_token), bench.block.timestamp + 600
    pinned = bench.market.pinned
    least = opportunity.gross_profit - loss
    if loss == 0:
        more = encode_stream(opportunity, deadline, least + 1, pinned)
        assert bench.reason(more) == f"ProfitTooLow({least}, {least + 1})"
        bench.run([opportunity], encode_stream(opportunity, deadline, least, pinned))
        return
    bench.send(encode_stream(opportunity, deadline, least, pinned))
    assert abs(bench.held(opportunity.base_token) - held - opportunity.gross_profit) <= loss
    bench.require_nothing_allowed([opportunity])


@pytest.mark.parametrize("name", CASES)
def test_real_venues_pay_what_was_computed(tmp_path: Path, name: str):
    """First in a cycle and last, so in both directions."""
    case, loss = CASES[name], SHARE_WEI.get(name, 0)
    with stored(BLOCKS, case, tmp_path) as bench:
        require_found(bench)
        if case.record.protocol is not Protocol.WSTETH:
            require_paid(bench)
        for pools in (("cheap", "real"), ("real", "dear")):
            bench.reset()
            opportunity = sized(bench.market, pools, bench.block, case.amount)
            assert opportunity.gross_profit > 0
            realise(bench, opportunity, loss)
            assert bench.unknown() == {}
            if name == "wsteth":
                hop = opportunity.hops[pools.index("real")]
                assert wrapped_by(bench) == (hop.amount_in if hop.token_in == WSTETH else hop.amount_out)
