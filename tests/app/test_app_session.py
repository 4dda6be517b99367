"""How a run bears reorgs, new pools, a lost node, and switches that are thrown on the chain."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from app_process import AppProcess, roundtrip
from cuttable_proxy import CuttableProxy
from living_world import ADMIN, CURATOR, EMERGENCY_STOP, GUARDIAN, RESUME, LivingWorld
from records_check import (
    assert_agrees_with_chain,
    assert_exact,
    journal_records,
    ledger_rows,
    refusals,
    unresolved,
)

from engine.app.world.outbox import calldata

NEWCOMER = "0x" + "f7" * 20
RICHES = 10**24
Settle = Callable[[Path], Any]


def live(config: Path, *options: object) -> AppProcess:
    return roundtrip("run", "--config", config, "--mode", "live", "--yes-live", "--json", *options)


def data(signature: str, *arguments: Any) -> str:
    return "0x" + calldata(signature, *arguments).hex()


def trade_on(living: LivingWorld, process: AppProcess, blocks: int) -> None:
    """Blocks with trades, each mined once the run is done with the one before it."""
    for _ in range(blocks):
        process.finished(living.step())


def token(living: LivingWorld, symbol: str) -> str:
    return next(each.address for each in living.world.tokens if each.symbol == symbol)


@pytest.fixture
def rich(living: LivingWorld) -> LivingWorld:
    """The world, with a newcomer who holds ether and tokens; those of the world are free for all."""
    living.rpc("anvil_setBalance", NEWCOMER, hex(RICHES))
    living.send(NEWCOMER, living.world.wrapped_native, data("deposit()"), 1_000 * 10**18)
    for symbol in ("DAI", "LINK"):
        living.send(NEWCOMER, token(living, symbol), data("mint(address,uint256)", NEWCOMER, RICHES))
    return living


def sell_ether(living: LivingWorld, pool: str, amount: int) -> None:
    """Move a V2 pool's price by selling to it directly, in two blocks."""
    weth = living.world.wrapped_native
    living.send(NEWCOMER, weth, data("transfer(address,uint256)", pool, amount))
    answer = living.rpc("eth_call", {"to": pool, "data": data("getReserves()")}, "latest")
    reserves = int(answer[2:66], 16), int(answer[66:130], 16)
    (record,) = [each for each in living.world.pools if each.address == pool]
    first = record.tokens[0] == weth
    into, out_of = reserves if first else reserves[::-1]
    bought = amount * 997 * out_of // (into * 1000 + amount * 997)
    outs = (0, bought) if first else (bought, 0)
    living.send(NEWCOMER, pool, data("swap(uint256,uint256,address,bytes)", *outs, NEWCOMER, b""))


def test_a_reorg_is_followed(rich: LivingWorld, config: Path, records: Path) -> None:
    living = rich
    pair = {living.world.wrapped_native, token(living, "DAI")}
    pool = next(p.address for p in living.world.pools if p.venue == "uniswap-v2" and set(p.tokens) == pair)
    with roundtrip("run", "--config", config, "--json") as process:
        process.wait_for_log("started")
        before = living.mine()
        process.finished(before)
        sell_ether(living, pool, 40 * 10**18)
        head = living.head()
        process.finished(head)
        paid = {entry["id"] for entry in process.events("plan_simulated", block=head)}
        assert paid
        living.rpc("anvil_reorg", head - before, [])
        living.rpc("evm_mine")
        assert process.wait_for_log("reorg")["depth"] == head - before
        process.finished(living.head())
        # Trading goes on, and the node agrees with every prediction made on the other branch.
        proved = len(process.events("plan_simulated"))
        trade_on(living, process, 6)
        assert len(process.events("plan_simulated")) > proved
        process.stop_with(signal.SIGINT)
        assert "Traceback" not in process.stderr
    # Only a plan whose block is replaced while it is simulated may fail: its own reason says so.
    assert not {"simulation_mismatch", "simulation_reverted"} & refusals(records).keys()


def test_a_pool_created_meanwhile_is_traded(
    rich: LivingWorld, config: Path, records: Path, settle: Settle
) -> None:
    living, first = rich, rich.head()
    factory = next(venue.factory for venue in living.world.venues if venue.name == "uniswap-v2")
    dai, link = token(living, "DAI"), token(living, "LINK")
    with live(config) as process:
        process.wait_for_log("started")
        receipt = living.send(NEWCOMER, factory, data("createPair(address,address)", dai, link))
        pool = "0x" + receipt["logs"][0]["data"][26:66]
        for sold in (dai, link):
            # As many of one as of the other: far from what they are worth.
            living.send(NEWCOMER, sold, data("transfer(address,uint256)", pool, 10**22))
            process.finished(living.head())
        living.send(NEWCOMER, pool, data("mint(address)", NEWCOMER))
        process.finished(living.head())
        trade_on(living, process, 3)
        process.stop_with(signal.SIGINT)
    settle(config)
    used = [
        hop["pool"]
        for record in journal_records(records)
        if record["type"] == "intent" and record["kind"] == "trade"
        for hop in record["record"]["opportunity"]["cycle"]
    ]
    assert pool in used
    rows = ledger_rows(records)
    assert {row["outcome"] for row in rows if row["kind"] == "trade"} == {"landed"}
    assert_exact(rows)
    assert_agrees_with_chain(living, records, first + 1)


def test_an_emergency_stop_halts_trading_until_it_is_lifted(
    living: LivingWorld, config: Path, records: Path, settle: Settle
) -> None:
    registry, first = living.contract("DexRegistry"), living.head()
    with live(config) as process:
        process.wait_for_log("started")
        living.send(GUARDIAN, registry, EMERGENCY_STOP)
        stopped = living.head()
        try:
            process.finished(stopped)
            trade_on(living, process, 4)
            halted = [e for e in process.events("block_finished") if e["block"] >= stopped]
            assert sum(entry["found"] for entry in halted) > 0
            assert sum(entry["approved"] + entry["submitted"] for entry in halted) == 0
        finally:
            living.announce_and_send(ADMIN, registry, RESUME)
        process.finished(living.head())
        trade_on(living, process, 3)
        assert any(e["submitted"] for e in process.events("block_finished") if e["block"] > stopped + 4)
        process.stop_with(signal.SIGINT)
    settle(config)
    assert refusals(records)["trading_halted"] > 0
    assert_agrees_with_chain(living, records, first + 1)


def test_a_disabled_venue_is_not_traded(living: LivingWorld, config: Path, records: Path) -> None:
    registry = living.contract("DexRegistry")
    names = [venue.name for venue in living.world.venues]
    number = names.index("uniswap-v3")
    with live(config) as process:
        process.wait_for_log("started")
        # Registered in this order, from the first on.
        living.send(GUARDIAN, registry, data("disableVenue(uint256)", number))
        disabled = living.head()
        try:
            process.finished(disabled)
            trade_on(living, process, 5)
            process.stop_with(signal.SIGINT)
        finally:
            living.announce_and_send(CURATOR, registry, data("enableVenue(uint256)", number))
    assert refusals(records)["venue_disabled"] > 0
    venues = {
        hop["venue"]
        for record in journal_records(records)
        if record["type"] == "intent" and record["kind"] == "trade" and record["block_number"] >= disabled
        for hop in record["record"]["opportunity"]["cycle"]
    }
    assert "uniswap-v3" not in venues


def test_a_barred_pool_and_the_pools_of_a_barred_token_are_not_traded(
    living: LivingWorld, config: Path, records: Path
) -> None:
    registry = living.contract("DexRegistry")
    dai = next(token.address for token in living.world.tokens if token.symbol == "DAI")
    pool = next(pool for pool in living.world.pools if dai not in pool.tokens)
    accounts = (pool.address, dai)
    with live(config) as process:
        process.wait_for_log("started")
        for account in accounts:
            living.send(GUARDIAN, registry, data("bar(address)", account))
        barred = living.head()
        try:
            process.finished(barred)
            trade_on(living, process, 5)
            process.stop_with(signal.SIGINT)
        finally:
            for account in accounts:
                living.announce_and_send(CURATOR, registry, data("unbar(address)", account))
    untouchable = {p.address for p in living.world.pools if dai in p.tokens} | {pool.address}
    traded = {
        hop["pool"]
        for record in journal_records(records)
        if record["type"] == "intent" and record["kind"] == "trade" and record["block_number"] >= barred
        for hop in record["record"]["opportunity"]["cycle"]
    }
    assert refusals(records)["pool_quarantined"] > 0
    assert traded
    assert traded.isdisjoint(untouchable)


@pytest.fixture
def proxy(living: LivingWorld) -> Iterator[CuttableProxy]:
    line = CuttableProxy(int(living.anvil.http_url.rpartition(":")[2]))
    yield line
    line.close()


@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_a_lost_node_is_found_again(
    living: LivingWorld, config: Path, records: Path, settle: Settle, proxy: CuttableProxy, scheme: str
) -> None:
    first = living.head()
    with live(config, "--rpc", f"{scheme}://127.0.0.1:{proxy.port}") as process:
        process.wait_for_log("started")
        trade_on(living, process, 2)
        proxy.cut()
        living.step()
        living.step()
        process.wait_for_log("node_lost")
        proxy.mend()
        process.finished(living.step())
        assert process.events("node_recovered")
        trade_on(living, process, 3)
        code, took_s = process.stop_with(signal.SIGTERM)
        assert (code, took_s < 5) == (0, True)
        assert "Traceback" not in process.stderr
    settle(config)
    assert unresolved(records) == []
    rows = ledger_rows(records)
    assert any(row["outcome"] == "landed" for row in rows)
    assert not {"simulation_mismatch", "simulation_reverted"} & refusals(records).keys()
    assert_agrees_with_chain(living, records, first + 1)


def test_a_stop_while_the_node_is_lost(living: LivingWorld, config: Path, proxy: CuttableProxy) -> None:
    with live(config, "--rpc", f"ws://127.0.0.1:{proxy.port}") as process:
        process.wait_for_log("started")
        proxy.cut()
        process.wait_for_log("node_lost")
        code, took_s = process.stop_with(signal.SIGINT)
        assert (code, took_s < 5) == (0, True), process.stderr[-2000:]
        assert "Traceback" not in process.stderr
