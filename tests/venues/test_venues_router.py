"""Cycles over published bytecode of every family, in every place of a cycle: what the engine computes is what
the router realises, to the wei, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, replace

import pytest
from eth_abi import encode

from benchmarks.gas import OPERATOR, sized
from benchmarks.gas_market import GasMarket, Node
from engine.app.toolchain import forge_artifact, project_root
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.domain.errors import ExecutionError
from engine.domain.market import ZERO_ADDRESS, BlockRef
from engine.domain.opportunity import Opportunity
from engine.execution.commands import Kind
from engine.execution.cycle_commands import Lender
from engine.execution.encoder import Validity, decode_stream, encode_cycles, encode_stream

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


class Bench:
    """The market on its node, and the state that every case starts from."""

    def __init__(self, node: Node) -> None:
        self.node, self.market = node, GasMarket(node, OPERATOR)
        node("anvil_setBalance", OPERATOR, hex(10**21))
        node("anvil_impersonateAccount", OPERATOR)
        # Below the head, where a reorg leaves it alone.
        node("evm_mine")
        node("evm_mine")
        self.snapshot = node("evm_snapshot")

    def reset(self) -> BlockRef:
        self.node("evm_revert", self.snapshot)
        self.snapshot = self.node("evm_snapshot")
        return self.market.refresh()

    def held(self, token: str) -> int:
        router = self.market.router
        if token == ZERO_ADDRESS:
            return int(self.node("eth_getBalance", router, "latest"), 16)
        return self.node.read(token, ["uint256"], "balanceOf(address)", router)[0]

    def send(self, stream: bytes, sender: str = OPERATOR) -> dict:
        self.node("anvil_impersonateAccount", sender)
        transaction = {"from": sender, "to": self.market.router, "data": "0x" + stream.hex()}
        return self.market.transact(transaction)

    def everything(self) -> set[str]:
        return {token for record in self.market.pools.values() for token in record.tokens}

    def run(self, opportunities: list[Opportunity], stream: bytes) -> None:
        """Lands with exactly the expected profit; no other balance falls, no allowance is left."""
        base = opportunities[0].base_token
        tokens = self.everything()
        before = {token: self.held(token) for token in tokens}
        expected = sum(each.gross_profit for each in opportunities)
        self.send(stream)
        after = {token: self.held(token) for token in tokens}
        assert after[base] - before[base] == expected
        for token in tokens - {base}:
            dust = sum(
                hop.amount_out - following.amount_in
                for each in opportunities
                for hop, following in zip(each.hops, each.hops[1:], strict=False)
                if hop.token_out == token
            )
            assert 0 <= after[token] - before[token] <= dust, token
        spenders = {hop.pool for each in opportunities for hop in each.hops if len(hop.pool) == 42}
        spenders |= set(astuple(self.market.pinned))
        for token in tokens - {ZERO_ADDRESS}:
            for spender in spenders:
                arguments = self.market.router, spender
                (left,) = self.node.read(token, ["uint256"], "allowance(address,address)", *arguments)
                assert left == 0, (token, spender)


@pytest.fixture(scope="module")
def world() -> Iterator[Bench]:
    options = AnvilOptions(timestamp=1_700_000_000, balance_eth=10**10)
    with AnvilProcess(options) as anvil:
        yield Bench(Node(anvil.http_url))


@pytest.fixture
def bench(world: Bench) -> Bench:
    world.block = world.reset()
    return world


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


def test_a_copy_a_replay_and_a_reorg_are_refused(bench: Bench):
    """What a stranger can do with calldata it has seen, and what becomes of ours in other blocks.

    Last in the file: the reorg takes the snapshots of the node with it.
    """
    pools = ("v3:04a", "curve:04")
    opportunity = sized(bench.market, pools, bench.block)
    validity = Validity(0, bench.block.number + 1, bench.block.hash)
    stream = encode_cycles([opportunity], validity, 1, bench.market.pinned)
    stranger = "0x" + "5a" * 20
    bench.node("anvil_setBalance", stranger, hex(10**20))
    with pytest.raises(RuntimeError, match="reverted"):
        bench.send(stream, stranger)
    # That was the block it was made for, so now it is too late.
    with pytest.raises(RuntimeError, match="reverted"):
        bench.send(stream)
    block = bench.reset()
    validity = Validity(0, block.number + 1, block.hash)
    stream = encode_cycles([opportunity], validity, 1, bench.market.pinned)
    other = {"from": bench.market.owner, "to": stranger, "value": "0x1"}
    bench.node("anvil_reorg", 1, [[other, 0]])
    head = bench.node("eth_getBlockByNumber", "latest", False)
    assert (int(head["number"], 16), head["hash"] != block.hash) == (block.number, True)
    with pytest.raises(RuntimeError, match="reverted"):
        bench.send(stream)
    block = bench.market.refresh()
    validity = Validity(0, block.number + 1, block.hash)
    bench.send(encode_cycles([opportunity], validity, 1, bench.market.pinned))
