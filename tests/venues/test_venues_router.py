"""Cycles over published bytecode of every family, in every place of a cycle: what the engine computes is what
the router realises, to the wei, and nothing is left behind."""

from __future__ import annotations

from dataclasses import astuple, replace

import pytest
from eth_abi import encode
from venue_bench import Bench

from benchmarks.gas import OPERATOR, sized
from engine.app.toolchain import forge_artifact, project_root
from engine.domain.errors import ExecutionError
from engine.domain.market import ZERO_ADDRESS, BlockRef
from engine.domain.opportunity import Opportunity
from engine.execution.commands import Kind
from engine.execution.encoder import Validity, decode_stream, encode_cycles, encode_stream
from engine.execution.lenders import Lender

pytestmark = pytest.mark.skipif(
    not (project_root() / ".build" / "published").is_dir(),
    reason="the published packages were not fetched: run `make setup`",
)

CHEAP = ("v2:04a", "v3:04a", "solidly:04")
FAIR = (
    "v2:04b", "v3:04b", "v4:04", "balancer:04", "balancer-v3:04", "curve:04", "algebra:04", "slipstream:04",
    "solidly-stable:04",
)  # fmt: skip
DEAR = ("v2:04c", "v3:04c")
CYCLES = (
    *((cheap, fair) for cheap in CHEAP for fair in FAIR),
    *((fair, dear) for fair in FAIR for dear in DEAR),
    # Vaults first, last and in between, before and behind pools that must be paid exactly.
    ("vault", "v3:vault-dear"),
    ("v3:vault-cheap", "vault"),
    ("v3:04a", "vault4", "v3:vault4-dear"),
    ("v2:04a", "vault4", "v3:vault4-dear"),
    ("curve:04", "vault4", "v3:vault4-dear"),
    ("balancer:04", "vault4", "v3:vault4-dear"),
    ("v3:vault4-cheap", "vault4", "v4:04"),
    ("v3:vault4-cheap", "vault4", "curve:04"),
    ("v3:vault4-cheap", "vault4", "balancer:04"),
    ("v3:vault4-cheap", "vault4", "balancer-v3:04"),
    ("balancer-v3:04", "vault4", "v3:vault4-dear"),
    # Runs of V4, together and apart.
    ("v4:01a", "v4:01b"),
    ("v4:01a", "v3:01b"),
    ("v2:01a", "v4:01b"),
    ("v4:01a", "v4:12", "v4:02"),
    ("v3:01a", "v4:12", "v4:02"),
    ("v4:01a", "v4:12", "v3:02"),
    ("v4:01a", "v3:12", "v4:02"),
    ("v4:01a", "v2:12", "v4:02"),
    # The native coin.
    ("weth", "v4:n4", "v3:04c"),
    ("weth", "v4:n4", "v2:04c"),
    ("v3:04a", "v4:n4", "weth"),
    ("solidly:04", "v4:n4", "weth"),
    ("weth", "v4:n1", "v4:01b"),
    ("weth", "v4:n1", "v3:01b"),
)


def encoded(bench: Bench, opportunity: Opportunity, lender: Lender | None = None) -> bytes:
    deadline = bench.block.timestamp + 600
    return encode_stream(opportunity, deadline, opportunity.gross_profit, bench.market.pinned, lender)


@pytest.mark.parametrize("pools", CYCLES, ids="-".join)
def test_what_was_computed_is_realised(bench: Bench, pools: tuple[str, ...]):
    opportunity = sized(bench.market, pools, bench.block)
    assert opportunity.gross_profit > 0
    bench.run([opportunity], encoded(bench, opportunity))


def test_the_base_token_may_be_named(bench: Bench):
    """A router that does not know the base token is told it, for each kind of end that a stream may have."""
    for pools in (("v3:04a", "curve:04"), ("curve:04", "v2:04c"), ("v3:04a", "vault4", "v3:vault4-dear")):
        block = bench.reset()
        opportunity = sized(bench.market, pools, block)
        pinned = replace(bench.market.pinned, wrapped_native=None)
        stream = encode_stream(opportunity, block.timestamp + 600, opportunity.gross_profit, pinned)
        bench.run([opportunity], stream)


def test_a_cycle_without_a_pool_that_pays_first_is_borrowed_for(bench: Bench):
    opportunity = sized(bench.market, ("curve:04", "curve-dear:04"), bench.block)
    assert opportunity.gross_profit > 0
    bench.run([opportunity], encoded(bench, opportunity, Lender(Kind.BALANCER_LOAN)))
    through_balancer = sized(bench.market, ("balancer:04", "curve-dear:04"), bench.block)
    with pytest.raises(ExecutionError, match="while it lends"):
        encoded(bench, through_balancer, Lender(Kind.BALANCER_LOAN))


def test_several_cycles_in_one_transaction(bench: Bench):
    chosen = (("v3:04a", "curve:04"), ("v2:01a", "v3:01b"), ("vault", "v3:vault-dear"))
    opportunities = [sized(bench.market, pools, bench.block) for pools in chosen]
    expected = sum(each.gross_profit for each in opportunities)
    parent = BlockRef(bench.block.number + 1, "", bench.block.hash, 0)
    validity = Validity(0, parent.number, parent.parent_hash)
    stream = encode_cycles(opportunities, validity, expected, bench.market.pinned)
    assert len(decode_stream(stream).cycles) == 3
    bench.run(opportunities, stream)


def test_a_bid_reaches_the_builder_before_the_profit_is_looked_at(bench: Bench):
    opportunity = sized(bench.market, ("v2:01a", "v3:01b"), bench.block)
    bid, builder = opportunity.gross_profit // 3, "0x" + "b1" * 20
    bench.node("anvil_setCoinbase", builder)
    validity, kept = Validity(bench.block.timestamp + 600), opportunity.gross_profit - bid
    before = int(bench.node("eth_getBalance", builder, "latest"), 16)
    with pytest.raises(RuntimeError, match="reverted"):
        bench.send(encode_cycles([opportunity], validity, kept + 1, bench.market.pinned, bid=bid))
    block = bench.reset()
    bench.node("anvil_setCoinbase", builder)
    opportunity = sized(bench.market, ("v2:01a", "v3:01b"), block)
    receipt = bench.send(encode_cycles([opportunity], validity, kept, bench.market.pinned, bid=bid))
    fee = int(receipt["effectiveGasPrice"], 16) - int(
        bench.node("eth_getBlockByNumber", receipt["blockNumber"], False)["baseFeePerGas"], 16
    )
    after = int(bench.node("eth_getBalance", builder, "latest"), 16)
    assert after - before == bid + fee * int(receipt["gasUsed"], 16)
    assert bench.held(opportunity.base_token) == kept


def test_what_the_possibility_of_a_stop_costs(bench: Bench):
    """The guardian's build reads one cold storage slot more."""
    market = bench.market
    opportunity = sized(market, ("v3:01a", "v3:01b"), bench.block)
    pinned = (each or ZERO_ADDRESS for each in astuple(market.pinned))
    arguments = encode(["address"] * 7, [market.owner, OPERATOR, market.owner, *pinned])
    stoppable = market.deploy(forge_artifact("ArbitrageRouterWithStop").bytecode + arguments)
    stream, spent = encoded(bench, opportunity), []
    start = bench.node("evm_snapshot")
    for router in (market.router, stoppable):
        bench.node("evm_setNextBlockTimestamp", bench.block.timestamp + 60)
        receipt = market.transact({"from": OPERATOR, "to": router, "data": "0x" + stream.hex()})
        spent.append(int(receipt["gasUsed"], 16))
        bench.node("evm_revert", start)
    assert 2_100 <= spent[1] - spent[0] <= 2_500
