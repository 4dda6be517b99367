"""Curve's newer pools and wstETH, whose bytecode is in no registry: the router against a stand-in that takes
its input as they do and pays what they were recorded to pay, first and last in a cycle. Those of them that a
stored block has the code of are in `test_venues_mainnet.py` too."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from venue_bench import Bench

from benchmarks.gas_venues import builds
from engine.app.toolchain import project_root
from engine.app.world.dexes import published
from engine.domain.market import ZERO_ADDRESS, Protocol
from engine.domain.opportunity import Hop, Opportunity
from engine.domain.pool_details import (
    CryptoSwapVariant,
    CurveCryptoDetails,
    CurveStableDetails,
    PoolDetails,
    StableSwapVariant,
)
from engine.execution.encoder import encode_stream

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
GOLDEN = DATA / "golden"
pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason=f"no recorded data at {GOLDEN}: set ROUNDTRIP_DATA"
)
FILES = ("curve-stableswap-ng", "curve-twocrypto-ng", "curve-tricrypto-ng", "wsteth")
POOLS, PER_POOL = 2, 1
# Amounts that a pair can hold a hundred times of.
LEAST, MOST = 10**6, 10**24
DEEP = 100


def details_of(family: str, pool: dict[str, Any]) -> tuple[Protocol, PoolDetails | None]:
    if family == "wsteth":
        return Protocol.WSTETH, None
    if family == "curve-stableswap-ng":
        return Protocol.CURVE_STABLESWAP, CurveStableDetails(StableSwapVariant.NG)
    variant = {"tri": CryptoSwapVariant.TRICRYPTO, "v2.0.0": CryptoSwapVariant.TWOCRYPTO_20}
    named = variant.get(pool["params"]["version"], CryptoSwapVariant.TWOCRYPTO_21)
    precisions = tuple(map(int, pool["params"]["precisions"]))
    return Protocol.CURVE_CRYPTOSWAP, CurveCryptoDetails(named, precisions)


def recorded() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """A few trades of each recorded pool, in both directions where there are both."""
    for family in FILES:
        for pool in json.loads((GOLDEN / f"{family}.json").read_text())["pools"][:POOLS]:
            chosen: dict[tuple[str, str], int] = {}
            for case in pool["cases"]:
                way = case["token_in"], case["token_out"]
                amounts = case["amount_in"], case["amount_out"]
                if case["reverted"] or case["amount_in"] != case["amount_specified"]:
                    continue
                if chosen.get(way, 0) < PER_POOL and all(LEAST <= int(one) <= MOST for one in amounts):
                    chosen[way] = chosen.get(way, 0) + 1
                    yield family, pool, case


class Stand:
    """A recorded venue for one trade over the market's tokens, and pairs that make a cycle of it pay."""

    def __init__(self, bench: Bench, family: str, pool: dict[str, Any], case: dict[str, Any], first: bool):
        self.bench, self.family = bench, family
        self.protocol, self.details = details_of(family, pool)
        self.coins = int(case["token_in"]), int(case["token_out"])
        self.amounts = int(case["amount_in"]), int(case["amount_out"])
        market = bench.market
        count = 2 if family == "wsteth" else int(pool["params"]["n_coins"])
        base_at = self.coins[0 if first else 1]
        others = iter(market.tokens[1:])
        self.tokens = [market.tokens[0] if k == base_at else next(others) for k in range(count)]
        shares = family == "wsteth"
        given = [ZERO_ADDRESS if shares and k == 1 else token for k, token in enumerate(self.tokens)]
        build = builds()
        roots = (
            ("", project_root() / "tests" / "venues" / "contracts"),
            ("solmate/", project_root() / "node_modules/@uniswap/v4-core/lib/solmate/src"),
        )
        code = build.compiled(build.Build("", ("RecordedVenue.sol",), roots))["RecordedVenue"]["code"]
        self.venue = market.deploy(bytes.fromhex(code) + encode(["address[]"], [given]))
        if shares:
            self.tokens[1] = self.venue
            market.send(self.venue, "mint(address,uint256)", market.owner, 10 * DEEP * MOST)
        sold, bought = (self.tokens[k] for k in self.coins)
        if bought != self.venue:
            market.send(bought, "transfer(address,uint256)", self.venue, self.amounts[1])
        market.send(self.venue, "record(uint256,uint256,uint256,uint256)", *self.coins, *self.amounts)
        self.sold, self.bought = sold, bought

    def pair(self, sold: str, bought: str, sells: int, gives: int) -> str:
        """A pair deep enough, at which selling `sells` gives about `gives` and a twentieth."""
        market = self.bench.market
        factory = market.deploy(published("UniswapV2Factory").bytecode + encode(["address"], [market.owner]))
        market.send(factory, "createPair(address,address)", sold, bought)
        (pair,) = market.node.read(factory, ["address"], "getPair(address,address)", sold, bought)
        market.send(sold, "transfer(address,uint256)", pair, DEEP * sells)
        market.send(bought, "transfer(address,uint256)", pair, DEEP * gives * 105 // 100)
        market.send(pair, "mint(address)", market.owner)
        return pair.lower()

    def hop(self) -> Hop:
        facts = (self.venue, self.protocol, "recorded", self.sold, self.bought, *self.amounts, 0)
        return Hop(*facts, self.details, *self.coins)


def out_of(reserve_in: int, reserve_out: int, amount: int) -> int:
    """Uniswap V2's exact-in formula."""
    return amount * 997 * reserve_out // (reserve_in * 1000 + amount * 997)


def in_for(reserve_in: int, reserve_out: int, amount: int) -> int:
    return reserve_in * amount * 1000 // ((reserve_out - amount) * 997) + 1


def cycle(bench: Bench, stand: Stand, first: bool) -> Opportunity:
    """The recorded trade first or last; the pair sells, or buys, exactly its other side."""
    base, (paid, got) = bench.market.tokens[0], stand.amounts
    if first:
        pair = stand.pair(stand.bought, base, got, paid)
        reserves = DEEP * got, DEEP * paid * 105 // 100
        out = out_of(*reserves, got)
        other = Hop(
            pair, Protocol.UNISWAP_V2, "published", stand.bought, base, in_for(*reserves, out), out, 3000
        )
        return Opportunity(bench.block, base, (stand.hop(), other))
    pair = stand.pair(base, stand.sold, got, paid)
    reserves = DEEP * got, DEEP * paid * 105 // 100
    amounts = in_for(*reserves, paid), paid
    other = Hop(pair, Protocol.UNISWAP_V2, "published", base, stand.sold, *amounts, 3000)
    return Opportunity(bench.block, base, (other, stand.hop()))


@pytest.mark.timeout(300)
def test_recorded_trades_are_realised_first_and_last(world: Bench):
    """What the real contracts paid is what the router earns, to the wei, and nothing is left behind."""
    seen: dict[tuple[str, bool], int] = {}
    for family, pool, case in recorded():
        for first in (True, False):
            # wstETH itself is nothing to start or end a cycle in.
            if family == "wsteth" and first != (case["token_in"] == "0"):
                continue
            world.reset()
            stand = Stand(world, family, pool, case, first)
            opportunity = cycle(world, stand, first)
            deadline = world.block.timestamp + 600
            profit = opportunity.gross_profit
            assert profit > 0
            stream = encode_stream(opportunity, deadline, profit, world.market.pinned)
            world.run([opportunity], stream)
            seen[family, first] = seen.get((family, first), 0) + 1
    assert set(seen) == {(family, first) for family in FILES for first in (True, False)}
