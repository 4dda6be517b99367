"""The journal is held against a real chain: receipts of what no reorg reaches, and the number of nonces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from router_bench import RouterBench
from test_execution_nodes import Sending, plan_for

from engine.chain.keys import LocalSigner
from engine.chain.logs import token_delta
from engine.chain.rpc import RpcNode
from engine.domain.execution import Execution, Intent, MissReason, Outcome, SimulatedPlan
from engine.execution.chain_audit import ChainAudit
from engine.execution.simulator import Simulator
from engine.execution.tracker import REORG_BLOCKS
from engine.ledger.journal import FileJournal, read_executions


@pytest.fixture
async def node(bench: RouterBench):
    async with RpcNode(bench.rpc.url) as connected:
        yield connected


async def land(sending: Sending) -> Execution:
    plan = plan_for(sending.bench)
    simulated = await Simulator(sending.node, sending.signer.address).simulate(plan, plan.opportunity.block)
    assert isinstance(simulated, SimulatedPlan)
    intent = await sending.submitter(sending.node).submit(simulated)
    assert isinstance(intent, Intent)
    tracker = sending.tracker(sending.node)
    tracker.follow(intent)
    (execution,) = await tracker.on_block(sending.bench.rpc.mine())
    assert execution.outcome is Outcome.LANDED
    return execution


async def test_the_journal_is_held_against_the_chain(
    bench: RouterBench, node: RpcNode, signer: LocalSigner, tmp_path: Path
):
    path = tmp_path / "journal.jsonl"
    sending = Sending(bench, node, signer, path)
    sending.journal.close()
    with FileJournal(path) as journal:
        sending.journal = journal
        bench.rpc("anvil_mine", hex(REORG_BLOCKS))
        audit = ChainAudit(node, signer.address, bench.router, token_delta)
        assert await audit.look(read_executions(path), bench.rpc.head().number) == {}
        landed = await land(sending)
        # A reorg may still take it: nothing is concluded, whatever the journal says.
        wrong = replace(landed, gas_used=landed.gas_used + 1)
        assert await audit.look([wrong], bench.rpc.head().number) == {}
        bench.rpc("anvil_mine", hex(REORG_BLOCKS))
        assert await audit.look(read_executions(path), bench.rpc.head().number) == {}
        # Why a trade was missed is the journal's to know, and in no receipt.
        explained = replace(landed, miss=MissReason.LATE, rival="0x" + "cd" * 32)
        fresh = ChainAudit(node, signer.address, bench.router, token_delta)
        assert await fresh.look([explained], bench.rpc.head().number) == {}

    head = bench.rpc.head().number
    fresh = ChainAudit(node, signer.address, bench.router, token_delta)
    (told,) = (await fresh.look([wrong], head)).values()
    assert f"for {wrong.gas_paid_wei} wei of gas in the journal" in told
    assert f"for {landed.gas_paid_wei} wei of gas in the chain" in told
    never = Execution(landed.intent, Outcome.NEVER_SENT)
    fresh = ChainAudit(node, signer.address, bench.router, token_delta)
    assert "never_sent in block 0" in (await fresh.look([never], head))[landed.intent.id]
    ghost = replace(landed.intent, transaction=replace(landed.intent.transaction, hash="0x" + "ab" * 32))
    fresh = ChainAudit(node, signer.address, bench.router, token_delta)
    assert "is not in the chain" in (await fresh.look([replace(landed, intent=ghost)], head))[ghost.id]
    # What the operator's key signed elsewhere shows as a nonce too many.
    bench.rpc("anvil_impersonateAccount", signer.address)
    bench.rpc("eth_sendTransaction", {"from": signer.address, "to": signer.address, "gas": hex(21_000)})
    bench.rpc("anvil_mine", hex(REORG_BLOCKS + 1))
    told = (await fresh.look([landed], bench.rpc.head().number))["nonces"]
    assert told.endswith("the journal has 0 transactions there")
    assert "used 1 nonces" in told
