"""Large trades leave only when a second real node repeats the very transaction to the wei."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import router_bench
from router_bench import RouterBench, Rpc

from engine.app.world.node import AnvilProcess
from engine.chain.keys import LocalSigner
from engine.chain.rpc import RpcNode
from engine.domain.errors import NodeUnreachable
from engine.domain.execution import Plan, SimulatedPlan
from engine.domain.opportunity import Approved, CheckResult, RefusalReason, Refused
from engine.domain.ports import Node
from engine.execution.planner import Planner, PlanTerms
from engine.execution.second_opinion import Endpoint, SecondOpinion
from engine.execution.simulator import Simulator
from engine.risk.limits import RiskLimits

GENESIS_S = 1_700_000_000


class BothNodes(Rpc):
    """Says everything to two nodes, which so hold the same chain; answers are the first one's."""

    second = ""

    def __call__(self, method: str, *params: Any) -> Any:
        other = Rpc(self.second)
        if method == "evm_mine":
            moment = int(super().__call__("eth_getBlockByNumber", "latest", False)["timestamp"], 16) + 12
            super().__call__("evm_setNextBlockTimestamp", moment)
            other("evm_setNextBlockTimestamp", moment)
        if not method.startswith(("eth_get", "eth_call")):
            other(method, *params)
        return super().__call__(method, *params)


@pytest.fixture
def twins(
    start_anvil: Callable[..., AnvilProcess], signer: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> tuple[RouterBench, Rpc]:
    first, second = (start_anvil(no_mining=True, order="fifo", timestamp=GENESIS_S) for _ in range(2))
    monkeypatch.setattr(BothNodes, "second", second.http_url)
    monkeypatch.setattr(router_bench, "Rpc", BothNodes)
    return RouterBench(first.http_url, signer.address), Rpc(second.http_url)


def plan_for(bench: RouterBench) -> Plan:
    head = bench.rpc.mine()
    opportunity = bench.opportunity(["v3y", "v2x"], head, gas_estimate=300_000, gas_cost=1)
    approved = Approved(opportunity, (CheckResult("test", True),))
    return Planner(bench.router, PlanTerms(priority_fee_wei=10**8)).plan(approved, head)


def opinion(
    operator: str, plan: Plan, *nodes: Node, amount: int | None = None, wait_s: float = 20.0
) -> SecondOpinion:
    """Trades as large as `plan`, or from `amount` on, need a second node."""
    token = plan.opportunity.base_token
    limits = RiskLimits(
        second_node_amount={token: plan.opportunity.amount_in if amount is None else amount},
        second_node_wait_s=wait_s,
    )
    endpoints = [Endpoint(f"node{at}", Simulator(node, operator).simulate) for at, node in enumerate(nodes)]
    return SecondOpinion(endpoints[0].simulate, lambda: endpoints, limits)


class OtherState:
    """A real node that runs calls upon other reserves of a pair than its chain holds."""

    def __init__(self, node: RpcNode, pair: str, reserves: int):
        self.node = node
        self.state = {pair: {"stateDiff": {f"0x{8:064x}": f"0x{reserves:064x}"}}}

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        return await self.node.request(method, params)

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return await self.node.batch(
            [(method, [*given[:2], self.state, *given[3:]]) for method, given in calls]
        )


class Hung:
    """A node that takes every call and answers none."""

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        await asyncio.Event().wait()

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        await asyncio.Event().wait()
        return []


async def test_two_nodes_that_agree_let_a_large_trade_pass(
    twins: tuple[RouterBench, Rpc], signer: LocalSigner
):
    bench, second = twins
    plan = plan_for(bench)
    block = plan.opportunity.block
    assert second.head() == block
    async with RpcNode(bench.rpc.url) as one, RpcNode(second.url) as two:
        told = await opinion(signer.address, plan, one, two).simulate(plan, block)
    assert isinstance(told, SimulatedPlan)
    assert [result.check for result in told.results] == ["test", "simulation", "second_node"]
    numbers = told.results[-1].numbers
    assert (numbers["agreed"], numbers["asked"]) == ("2", "2")
    assert numbers["amount_in"] == str(plan.opportunity.amount_in)
    assert numbers["endpoint_1 node1"] == f"profit {plan.expected_profit}"
    # A profit that is large asks for it as well.
    by_profit = RiskLimits(second_node_profit={plan.opportunity.base_token: plan.expected_profit})
    async with RpcNode(bench.rpc.url) as one:
        alone = [Endpoint("node0", Simulator(one, signer.address).simulate)]
        refused = await SecondOpinion(alone[0].simulate, lambda: alone, by_profit).simulate(plan, block)
    assert isinstance(refused, Refused)


async def test_a_second_node_of_another_opinion_stops_a_large_trade_and_no_small_one(
    twins: tuple[RouterBench, Rpc], signer: LocalSigner
):
    bench, second = twins
    plan = plan_for(bench)
    block = plan.opportunity.block
    pair = bench.pools["v2x"].address
    reserves = int(second("eth_getStorageAt", pair, "0x8", "latest"), 16)
    async with RpcNode(bench.rpc.url) as one, RpcNode(second.url) as two:
        other = OtherState(two, pair, reserves + 10**20)
        told = await opinion(signer.address, plan, one, other).simulate(plan, block)
        small = opinion(signer.address, plan, one, other, amount=plan.opportunity.amount_in + 1)
        assert isinstance(await small.simulate(plan, block), SimulatedPlan)
    assert isinstance(told, Refused)
    assert told.reason is RefusalReason.SECOND_NODE
    numbers = told.results[-1].numbers
    assert numbers["endpoint_0 node0"] == f"profit {plan.expected_profit}"
    assert "simulation_" in numbers["endpoint_1 node1"]
    assert numbers["why"] == "an endpoint simulated otherwise"


async def test_without_a_second_answer_a_large_trade_is_refused_in_a_sentence(
    twins: tuple[RouterBench, Rpc], signer: LocalSigner
):
    bench, second = twins
    plan = plan_for(bench)
    block = plan.opportunity.block
    async with RpcNode(bench.rpc.url) as one, RpcNode("http://127.0.0.1:9", attempts=1) as dead:
        alone = await opinion(signer.address, plan, one).simulate(plan, block)
        deserted = await opinion(signer.address, plan, one, dead).simulate(plan, block)
        with pytest.raises(NodeUnreachable):
            await opinion(signer.address, plan, dead, dead).simulate(plan, block)
        # One that has not seen the block knows nothing about it.
        second("evm_revert", _rewound(second))
        async with RpcNode(second.url) as behind:
            unseen = await opinion(signer.address, plan, one, behind).simulate(plan, block)
    for told, why in (
        (alone, "only one endpoint may be asked: name another one in chain.rpc_url"),
        (deserted, "no second endpoint answered"),
        (unseen, "no second endpoint answered"),
    ):
        assert isinstance(told, Refused)
        assert told.results[-1].check == "second_node"
        assert told.results[-1].numbers["why"] == why


def _rewound(node: Rpc) -> str:
    """A node that has lost its newest blocks: what a lagging one looks like."""
    node("anvil_rollback", 1)
    return node("evm_snapshot")


async def test_a_plan_that_fails_on_all_nodes_is_the_plans_own_fault(
    twins: tuple[RouterBench, Rpc], signer: LocalSigner
):
    bench, second = twins
    plan = plan_for(bench)
    wrong = replace(plan, loan_fee=1)
    async with RpcNode(bench.rpc.url) as one, RpcNode(second.url) as two:
        told = await opinion(signer.address, plan, one, two).simulate(wrong, plan.opportunity.block)
    assert isinstance(told, Refused)
    assert told.reason is RefusalReason.SIMULATION_MISMATCH


async def test_a_node_that_hangs_does_not_hold_up_the_block(
    twins: tuple[RouterBench, Rpc], signer: LocalSigner
):
    bench, _ = twins
    plan = plan_for(bench)

    async with RpcNode(bench.rpc.url) as one:
        opinions = opinion(signer.address, plan, one, Hung(), wait_s=0.5)
        told = await opinions.simulate(plan, plan.opportunity.block)
    assert isinstance(told, Refused)
    assert "did not answer: no answer within 0.5 s" in told.results[-1].numbers["endpoint_1 node1"]
