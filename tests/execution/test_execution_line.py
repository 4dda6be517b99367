"""Encode, simulate, submit, track and book real cycles with the real router over real pools."""

from __future__ import annotations

from pathlib import Path

import pytest
from router_bench import RouterBench, calldata

from engine.chain.keys import LocalSigner
from engine.chain.logs import token_delta
from engine.chain.rpc import RpcNode
from engine.domain.execution import Execution, Intent, Outcome, SimulatedPlan
from engine.domain.opportunity import Approved, CheckResult, RefusalReason, Refused
from engine.execution.nonces import NonceLane
from engine.execution.planner import Planner, PlanTerms
from engine.execution.simulator import Simulator
from engine.execution.submitter import Submitter
from engine.execution.tracker import Tracker
from engine.ledger.book import balances, entries_of, is_mismatch
from engine.ledger.journal import FileJournal

TERMS = {"gas_estimate": 300_000, "gas_cost": 1}
CYCLES = [
    ["v2y", "v2x"],
    ["v3y", "v2x"],
    ["v2y", "v3x"],
    ["v3y", "v3x"],
    ["v3y", "v3ab", "v2b"],
    ["v3y", "v3ab", "v3b"],
    ["v3b", "v3ab", "v2x"],
]


class Line:
    """The second half of the line on a bench."""

    def __init__(self, bench: RouterBench, node: RpcNode, signer: LocalSigner, journal: FileJournal):
        self.bench = bench
        self.planner = Planner(bench.router, PlanTerms(priority_fee_wei=10**8))
        self.simulator = Simulator(node, signer.address)
        self.lane = NonceLane(0)
        self.submitter = Submitter(node, signer, journal, self.lane, 31337)
        self.tracker = Tracker(
            node, journal, self.submitter, signer.address, bench.router, token_delta, missed_after_blocks=3
        )

    async def simulate(self, names: list[str], **planned: int) -> SimulatedPlan | Refused:
        head = self.bench.rpc.mine()
        opportunity = self.bench.opportunity(names, head, **{**TERMS, **planned})
        assert opportunity.gross_profit > 0
        approved = Approved(opportunity, (CheckResult("test", True),))
        return await self.simulator.simulate(self.planner.plan(approved, head), head)

    async def send(self, names: list[str]) -> Intent:
        simulated = await self.simulate(names)
        assert isinstance(simulated, SimulatedPlan), simulated.results[-1]
        intent = await self.submitter.submit(simulated)
        assert isinstance(intent, Intent)
        self.tracker.follow(intent)
        return intent


@pytest.fixture
async def line(bench: RouterBench, signer: LocalSigner, tmp_path: Path):
    async with RpcNode(bench.rpc.url) as node:
        with FileJournal(tmp_path / "journal.jsonl") as journal:
            yield Line(bench, node, signer, journal)


async def landed(line: Line, names: list[str]) -> Execution:
    bench = line.bench
    before = bench.balance(bench.base, bench.router)
    await line.send(names)
    (execution,) = await line.tracker.on_block(bench.rpc.mine())
    assert execution.outcome is Outcome.LANDED
    assert bench.balance(bench.base, bench.router) - before == execution.realised_profit
    return execution


async def test_cycles_of_every_mix_land_with_exactly_the_expected_profit(line: Line, signer: LocalSigner):
    bench = line.bench
    executions = []
    funds = int(bench.rpc("eth_getBalance", signer.address, "latest"), 16)
    for names in CYCLES:
        execution = await landed(line, names)
        intent = execution.intent
        assert intent.expected_profit == intent.simulated_profit == execution.realised_profit > 0, names
        assert not is_mismatch(execution)
        executions.append(execution)
    sums = balances(entry for execution in executions for entry in entries_of(execution))
    assert sums["router", bench.base] == bench.balance(bench.base, bench.router)
    assert (
        sums["operator", "native"] == int(bench.rpc("eth_getBalance", signer.address, "latest"), 16) - funds
    )
    assert [e.intent.transaction.nonce for e in executions] == list(range(len(CYCLES)))
    assert line.tracker.in_flight == []


async def test_a_changed_pool_is_a_refusal_with_its_numbers(line: Line):
    bench = line.bench
    head = bench.rpc.mine()
    opportunity = bench.opportunity(["v2y", "v2x"], head, **TERMS)
    bench.send(bench.a, "transfer(address,uint256)", bench.pools["v2x"].address, 10**18)
    bench.send(bench.pools["v2x"].address, "sync()")
    head = bench.rpc.head()
    plan = line.planner.plan(Approved(opportunity, (CheckResult("test", True),)), head)
    refused = await line.simulator.simulate(plan, head)
    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.SIMULATION_REVERTED
    assert "UniswapV2: K" in refused.results[-1].numbers["error"]


async def test_more_profit_than_expected_is_a_mismatch(line: Line):
    bench = line.bench
    head = bench.rpc.mine()
    bench.refresh()
    opportunity = bench.sized(["v2y", "v3x"], 10**18, head, **TERMS)
    plan = line.planner.plan(Approved(opportunity, (CheckResult("test", True),)), head)
    # The last pool pays more for the same input once somebody else moved its price in our favour.
    row = bench.market.pool_row[bench.pools["v3x"].address]
    assert bench.market.arrays.kind[row]
    bench.send(
        bench.callee,
        "swap(address,address,bool,int256,uint160)",
        bench.pools["v3x"].address,
        bench.owner,
        True,
        10**18,
        0,
    )
    head = bench.rpc.head()
    refused = await line.simulator.simulate(plan, head)
    assert isinstance(refused, Refused)
    numbers = refused.results[-1].numbers
    assert refused.reason is RefusalReason.SIMULATION_MISMATCH, numbers
    assert int(numbers["simulated_profit"]) > int(numbers["expected_profit"]) == opportunity.gross_profit


async def test_gas_dearer_than_estimated_is_refused_when_it_eats_the_profit(line: Line):
    simulated = await line.simulate(["v2y", "v2x"])
    assert isinstance(simulated, SimulatedPlan)
    gross, gas = simulated.simulated_profit, simulated.gas_used
    fine = await line.simulate(["v2y", "v2x"], gas_estimate=gas, gas_cost=gross - 1)
    assert isinstance(fine, SimulatedPlan)
    refused = await line.simulate(["v2y", "v2x"], gas_estimate=gas, gas_cost=gross)
    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.NET_PROFIT_TOO_LOW


async def test_a_trade_that_lost_its_profit_reverts_and_is_booked_as_gas_only(line: Line):
    bench = line.bench
    intent = await line.send(["v2y", "v2x"])
    rival = {"from": bench.owner, "to": bench.a, "gas": hex(100_000), "gasPrice": hex(10**12)}
    data = calldata("transfer(address,uint256)", (bench.pools["v2x"].address, 10**18))
    # The rival's transactions must be mined first.
    bench.rpc("anvil_dropTransaction", intent.transaction.hash)
    bench.rpc("eth_sendTransaction", {**rival, "data": data})
    bench.rpc("eth_sendTransaction", {**rival, "to": bench.pools["v2x"].address, "data": "0xfff6cae9"})
    bench.rpc("eth_sendRawTransaction", "0x" + intent.transaction.raw.hex())
    (execution,) = await line.tracker.on_block(bench.rpc.mine())
    assert execution.outcome is Outcome.REVERTED
    assert execution.realised_profit == 0
    entries = entries_of(execution)
    assert {entry.token for entry in entries} == {"native"}
    assert sum(entry.amount for entry in entries) == 0
    assert execution.gas_paid_wei > 0


async def test_an_unmined_trade_is_cancelled_and_missed(line: Line, signer: LocalSigner):
    bench = line.bench
    intent = await line.send(["v2y", "v2x"])
    assert line.tracker.in_flight_pools == {bench.pools["v2x"].address, bench.pools["v2y"].address}
    bench.rpc("anvil_dropTransaction", intent.transaction.hash)
    executions: list[Execution] = []
    for _ in range(5):
        executions += await line.tracker.on_block(bench.rpc.mine())
    outcomes = {e.intent.kind: e.outcome for e in executions}
    assert outcomes == {"trade": Outcome.MISSED, "cancel": Outcome.LANDED}
    assert line.tracker.in_flight == []
    assert int(bench.rpc("eth_getTransactionCount", signer.address, "latest"), 16) == 1
    execution = await landed(line, ["v2y", "v2x"])
    assert execution.intent.transaction.nonce == 1


async def test_nothing_is_cancelled_on_blocks_that_are_being_caught_up_with(line: Line):
    bench = line.bench
    intent = await line.send(["v2y", "v2x"])
    bench.rpc("anvil_dropTransaction", intent.transaction.hash)
    for _ in range(6):
        assert await line.tracker.on_block(bench.rpc.mine(), may_cancel=False) == []
    assert line.tracker.in_flight == [intent]
    await line.tracker.on_block(bench.rpc.mine())
    assert [open_.kind for open_ in line.tracker.in_flight] == ["trade", "cancel"]


async def test_a_replacement_outbids_by_an_eighth_and_only_one_transaction_lands(line: Line):
    bench = line.bench
    intent = await line.send(["v2y", "v2x"])
    cancel = await line.submitter.cancel([intent], bench.rpc.head())
    assert isinstance(cancel, Intent)
    assert cancel.max_fee_wei * 8 >= intent.max_fee_wei * 9
    assert cancel.priority_fee_wei * 8 >= intent.priority_fee_wei * 9
    line.tracker.follow(cancel)
    executions = await line.tracker.on_block(bench.rpc.mine())
    assert {e.intent.kind: e.outcome for e in executions} == {
        "trade": Outcome.MISSED,
        "cancel": Outcome.LANDED,
    }


async def test_a_refused_transaction_is_never_sent_and_its_nonce_is_used_again(line: Line):
    bench = line.bench
    simulated = await line.simulate(["v2y", "v2x"])
    assert isinstance(simulated, SimulatedPlan)
    bench.rpc("anvil_setBalance", bench.operator, hex(0))
    refused = await line.submitter.submit(simulated)
    assert isinstance(refused, Execution)
    assert refused.outcome is Outcome.NEVER_SENT
    bench.rpc("anvil_setBalance", bench.operator, hex(10**20))
    execution = await landed(line, ["v2y", "v2x"])
    assert execution.intent.transaction.nonce == 0


async def test_foreign_use_of_the_key_leaves_the_trade_replaced(line: Line, signer: LocalSigner):
    bench = line.bench
    intent = await line.send(["v2y", "v2x"])
    bench.rpc("anvil_dropTransaction", intent.transaction.hash)
    foreign = signer.sign(
        {
            "chainId": 31337,
            "nonce": 0,
            "to": bench.owner,
            "value": 1,
            "gas": 21_000,
            "data": "0x",
            "gasPrice": 10**11,
        }
    )
    bench.rpc("eth_sendRawTransaction", "0x" + foreign.raw.hex())
    assert await line.tracker.on_block(bench.rpc.mine()) == []
    (execution,) = await line.tracker.on_block(bench.rpc.mine())
    assert (execution.intent.id, execution.outcome) == (intent.id, Outcome.REPLACED)


async def test_the_router_refuses_an_expired_stream(line: Line):
    bench = line.bench
    intent = await line.send(["v2y", "v2x"])
    bench.rpc("evm_setNextBlockTimestamp", hex(intent.deadline + 1))
    (execution,) = await line.tracker.on_block(bench.rpc.mine())
    assert execution.outcome is Outcome.REVERTED
