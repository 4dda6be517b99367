"""Access lists on the real router: what they save is measured, and the line pays exactly what it foresaw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rlp
from router_bench import RouterBench
from test_execution_nodes import FaultyNode, Sending, plan_for

from engine.chain.keys import LocalSigner
from engine.chain.rpc import RpcNode
from engine.domain.errors import NodeError
from engine.domain.events import PlanSimulated
from engine.domain.execution import Intent, Outcome, SimulatedPlan
from engine.execution.access_lists import FRESH_BLOCKS, AccessLists
from engine.execution.simulator import Simulator


@pytest.fixture
async def sending(bench: RouterBench, signer: LocalSigner, tmp_path: Path):
    async with RpcNode(bench.rpc.url) as node:
        made = Sending(bench, node, signer, tmp_path / "journal.jsonl")
        yield made
        made.journal.close()


async def test_a_list_learned_once_saves_gas_the_next_time(sending: Sending) -> None:
    lists = AccessLists(sending.node, lambda router: sending.signer.address, 500)
    bare = await sending.simulated()
    assert lists.on(bare.plan) is bare.plan
    learned = await lists.learn(bare)
    touched = {address for address, _ in learned.touched}
    assert set(bare.plan.opportunity.pools) <= touched
    entries = len(touched) + sum(len(slots) for _, slots in learned.touched)
    # 100 gas for each address and slot; an estimate is a little coarser than that.
    assert 500 <= learned.saved <= 200 * entries
    plan = lists.on(plan_for(sending.bench))
    block = plan.opportunity.block
    listed = await Simulator(sending.node, sending.signer.address).simulate(plan, block)
    assert isinstance(listed, SimulatedPlan)
    assert 0 < bare.gas_used - listed.gas_used <= 200 * entries
    intent = await sending.submitter(sending.node).submit(listed)
    assert isinstance(intent, Intent)
    fields: Any = rlp.decode(intent.transaction.raw[1:])
    assert {"0x" + address.hex() for address, _ in fields[8]} == touched
    tracker = sending.tracker(sending.node)
    tracker.follow(intent)
    (execution,) = await tracker.on_block(sending.bench.rpc.mine())
    assert execution.outcome is Outcome.LANDED
    assert execution.realised_profit == listed.simulated_profit
    assert execution.gas_used <= listed.gas_used
    await lists.close()


async def test_a_list_that_saves_too_little_or_cannot_be_had_is_not_used(sending: Sending) -> None:
    bare = await sending.simulated()
    picky = AccessLists(sending.node, lambda router: sending.signer.address, 10**6)
    assert (await picky.learn(bare)).touched == ()
    assert picky.on(bare.plan) is bare.plan
    unknown = NodeError("the method eth_createAccessList does not exist", code=-32601)
    old = FaultyNode(sending.node, lambda method, _: unknown if method == "eth_createAccessList" else None)
    lists = AccessLists(old, lambda router: sending.signer.address, 500)
    for _ in range(2):
        lists.take(PlanSimulated(bare))
        for task in list(lists._running):
            await task
    assert lists.on(bare.plan) is bare.plan
    # Asked once, and not again for a while.
    assert old.asked.count("eth_createAccessList") == 1
    assert FRESH_BLOCKS > 1
