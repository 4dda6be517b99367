"""Simulation and sending through nodes that understand less, answer late, or refuse."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from router_bench import RouterBench

from engine.chain.keys import LocalSigner
from engine.chain.logs import token_delta
from engine.chain.rpc import RpcNode
from engine.domain.errors import ExecutionError, NodeError, NodeUnreachable
from engine.domain.execution import Execution, Intent, Outcome, Plan, SimulatedPlan
from engine.domain.opportunity import Approved, CheckResult
from engine.execution.encoder import decode_stream
from engine.execution.nonces import NonceLane
from engine.execution.planner import Pin, Planner, PlanTerms
from engine.execution.simulator import Simulator, describe_revert
from engine.execution.submitter import Submitter
from engine.execution.tracker import Tracker
from engine.ledger.journal import FileJournal

TERMS = {"gas_estimate": 300_000, "gas_cost": 1}
Fault = Callable[[str, Sequence[Any]], NodeError | None]


class FaultyNode:
    """The real node behind faults: a call for which `fault` gives an error is answered with it. Faults named
    in `after` strike once the real node has done the work."""

    def __init__(self, node: RpcNode, fault: Fault, after: Sequence[str] = ()):
        self.node = node
        self.fault = fault
        self.after = after
        self.asked: list[str] = []

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        self.asked.append(method)
        error = self.fault(method, params)
        if error is not None:
            if method in self.after:
                await self.node.request(method, params)
            raise error
        return await self.node.request(method, params)

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        self.asked += [method for method, _ in calls]
        faults = [self.fault(method, params) for method, params in calls]
        answers = await self.node.batch(calls)
        return [answer if fault is None else fault for fault, answer in zip(faults, answers, strict=True)]


def plan_for(bench: RouterBench, pin: Pin = Pin.DEADLINE) -> Plan:
    head = bench.rpc.mine()
    approved = Approved(bench.opportunity(["v3y", "v2x"], head, **TERMS), (CheckResult("test", True),))
    return Planner(bench.router, PlanTerms(priority_fee_wei=10**8, pin=pin)).plan(approved, head)


@pytest.fixture
async def node(bench: RouterBench):
    async with RpcNode(bench.rpc.url) as connected:
        yield connected


def no_overrides(method: str, params: Sequence[Any]) -> NodeError | None:
    if len(params) > 3:
        return NodeError("too many arguments, want at most 3", method=method, code=-32602)
    return None


def no_hashes(method: str, params: Sequence[Any]) -> NodeError | None:
    if len(params) > 1 and isinstance(params[1], dict):
        return NodeError("invalid argument 1: hex string without 0x", method=method, code=-32602)
    return no_overrides(method, params)


@pytest.mark.parametrize(("fault", "tries"), [(no_overrides, 2), (no_hashes, 3)])
async def test_a_node_that_understands_less_is_asked_less(
    bench: RouterBench, node: RpcNode, signer: LocalSigner, fault: Fault, tries: int
):
    faulty = FaultyNode(node, fault)
    simulator = Simulator(faulty, signer.address)
    for expected in (tries, 1):
        plan = plan_for(bench)
        faulty.asked.clear()
        simulated = await simulator.simulate(plan, plan.opportunity.block)
        assert isinstance(simulated, SimulatedPlan)
        assert simulated.simulated_profit == plan.expected_profit
        assert faulty.asked.count("eth_call") == expected


def nothing_wrong(method: str, params: Sequence[Any]) -> NodeError | None:
    return None


@pytest.mark.parametrize(("fault", "tries"), [(nothing_wrong, 1), (no_overrides, 3)])
@pytest.mark.parametrize("pin", [Pin.BLOCK, Pin.PARENT])
async def test_pins_are_simulated_where_the_node_knows_the_next_block(
    bench: RouterBench, node: RpcNode, signer: LocalSigner, pin: Pin, fault: Fault, tries: int
):
    faulty = FaultyNode(node, fault)
    simulator = Simulator(faulty, signer.address)
    for expected in (tries, 1):
        plan = plan_for(bench, pin)
        faulty.asked.clear()
        simulated = await simulator.simulate(plan, plan.opportunity.block)
        assert isinstance(simulated, SimulatedPlan)
        assert decode_stream(simulated.plan.calldata).validity.block == plan.opportunity.block.number + 1
        assert faulty.asked.count("eth_call") == expected


async def test_by_number_another_block_of_that_height_is_noticed(
    bench: RouterBench, node: RpcNode, signer: LocalSigner
):
    plan = plan_for(bench)
    elsewhere = replace(plan.opportunity.block, hash="0x" + "ab" * 32)
    with pytest.raises(NodeError, match="no longer"):
        await Simulator(FaultyNode(node, no_hashes), signer.address).simulate(plan, elsewhere)
    with pytest.raises(NodeError):
        await Simulator(node, signer.address).simulate(plan, elsewhere)


@pytest.mark.parametrize(
    "error",
    [NodeUnreachable("timed out"), NodeError("header not found", code=-32000), NodeError("429", code=429)],
)
async def test_a_node_that_did_not_run_the_call_refutes_nothing(
    bench: RouterBench, node: RpcNode, signer: LocalSigner, error: NodeError
):
    plan = plan_for(bench)
    simulator = Simulator(FaultyNode(node, lambda method, params: error), signer.address)
    with pytest.raises(NodeError):
        await simulator.simulate(plan, plan.opportunity.block)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("0x203d82d8", "Expired()"),
        ("0x88215f9c" + f"{5:064x}{7:064x}", "ProfitTooLow(5, 7)"),
        ("0x88215f9c00", "ProfitTooLow"),
        ("0x12345678", "0x12345678"),
        ("0xzz", "malformed revert data"),
    ],
)
def test_revert_data_is_told_in_words(data: str, told: str):
    assert describe_revert(data) == told


class Sending:
    """A simulated plan and a submitter over a faulty node."""

    def __init__(self, bench: RouterBench, node: RpcNode, signer: LocalSigner, path: Path):
        self.bench = bench
        self.node = node
        self.signer = signer
        self.journal = FileJournal(path)
        self.lane = NonceLane(0)

    async def simulated(self) -> SimulatedPlan:
        plan = plan_for(self.bench)
        simulated = await Simulator(self.node, self.signer.address).simulate(plan, plan.opportunity.block)
        assert isinstance(simulated, SimulatedPlan)
        return simulated

    def submitter(self, node: Any) -> Submitter:
        return Submitter(node, self.signer, self.journal, self.lane, 31337)

    def tracker(self, node: Any) -> Tracker:
        return Tracker(
            node,
            self.journal,
            self.submitter(node),
            self.signer.address,
            self.bench.router,
            token_delta,
            missed_after_blocks=2,
        )

    def pending(self) -> int:
        return int(self.bench.rpc("txpool_status")["pending"], 16)


@pytest.fixture
async def sending(bench: RouterBench, node: RpcNode, signer: LocalSigner, tmp_path: Path):
    made = Sending(bench, node, signer, tmp_path / "journal.jsonl")
    yield made
    made.journal.close()


def on_send(error: NodeError) -> Fault:
    return lambda method, params: error if method == "eth_sendRawTransaction" else None


@pytest.mark.parametrize(
    "error",
    [
        NodeUnreachable("timed out"),
        NodeError("already known", code=-32000),
        NodeError("nonce too low", code=-32000),
        NodeError("internal error", code=-32603),
    ],
)
async def test_a_transaction_that_arrived_is_in_flight_whatever_the_node_said(
    sending: Sending, error: NodeError
):
    faulty = FaultyNode(sending.node, on_send(error), after=["eth_sendRawTransaction"])
    intent = await sending.submitter(faulty).submit(await sending.simulated())
    assert isinstance(intent, Intent)
    assert (sending.pending(), sending.lane.next_nonce) == (1, 1)
    tracker = sending.tracker(sending.node)
    tracker.follow(intent)
    (execution,) = await tracker.on_block(sending.bench.rpc.mine())
    assert execution.outcome is Outcome.LANDED


async def test_a_lost_transaction_is_cancelled_and_its_nonce_closed(sending: Sending):
    faulty = FaultyNode(sending.node, on_send(NodeUnreachable("timed out")))
    intent = await sending.submitter(faulty).submit(await sending.simulated())
    assert isinstance(intent, Intent)
    assert sending.pending() == 0
    tracker = sending.tracker(sending.node)
    tracker.follow(intent)
    outcomes = []
    for _ in range(4):
        outcomes += await tracker.on_block(sending.bench.rpc.mine())
    assert {e.intent.kind: e.outcome for e in outcomes} == {
        "trade": Outcome.MISSED,
        "cancel": Outcome.LANDED,
    }
    assert sending.journal.open_intents() == []


async def test_a_refused_cancellation_is_tried_again_after_the_same_wait(sending: Sending):
    intent = await sending.submitter(FaultyNode(sending.node, on_send(NodeUnreachable("timed out")))).submit(
        await sending.simulated()
    )
    assert isinstance(intent, Intent)
    tracker = sending.tracker(FaultyNode(sending.node, on_send(NodeError("underpriced", code=-32000))))
    tracker.follow(intent)
    refused = []
    for _ in range(6):
        refused += await tracker.on_block(sending.bench.rpc.mine())
    assert [(e.intent.kind, e.outcome) for e in refused] == [("cancel", Outcome.NEVER_SENT)] * 3
    assert tracker.in_flight == [intent]


async def test_a_silent_node_decides_nothing_and_the_next_block_asks_again(sending: Sending):
    intent = await sending.submitter(sending.node).submit(await sending.simulated())
    assert isinstance(intent, Intent)
    for silent in ("eth_getTransactionCount", "eth_getTransactionReceipt"):
        faulty = FaultyNode(
            sending.node,
            lambda method, params, s=silent: NodeUnreachable("timed out") if method == s else None,
        )
        tracker = sending.tracker(faulty)
        tracker.follow(intent)
        head = sending.bench.rpc.mine()
        with pytest.raises(NodeUnreachable):
            await tracker.on_block(head)
        assert tracker.in_flight == [intent]
        faulty.fault = lambda method, params: None
    (execution,) = await tracker.on_block(sending.bench.rpc.mine())
    assert execution.outcome is Outcome.LANDED
    assert sending.journal.open_intents() == []


async def test_a_late_receipt_is_waited_for(sending: Sending):
    intent = await sending.submitter(sending.node).submit(await sending.simulated())
    assert isinstance(intent, Intent)

    class NoReceipts(FaultyNode):
        async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
            return [None for _ in calls]

    tracker = sending.tracker(NoReceipts(sending.node, lambda method, params: None))
    tracker.follow(intent)
    assert await tracker.on_block(sending.bench.rpc.mine()) == []
    tracker._node = sending.node
    (execution,) = await tracker.on_block(sending.bench.rpc.mine())
    assert execution.outcome is Outcome.LANDED


async def test_nothing_leaves_when_the_journal_cannot_be_written(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
):
    simulated = await sending.simulated()
    faulty = FaultyNode(sending.node, lambda method, params: None)

    def full(intent: Intent) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sending.journal, "record_intent", full)
    with pytest.raises(ExecutionError, match="nothing is sent"):
        await sending.submitter(faulty).submit(simulated)
    assert faulty.asked == []
    assert sending.lane.next_nonce == 0


async def test_the_intent_is_on_disk_before_its_bytes_leave(sending: Sending):
    on_disk: list[bytes] = []

    def look(method: str, params: Sequence[Any]) -> NodeError | None:
        if method == "eth_sendRawTransaction":
            on_disk.append(sending.journal.path.read_bytes())
        return None

    intent = await sending.submitter(FaultyNode(sending.node, look)).submit(await sending.simulated())
    assert isinstance(intent, Intent)
    assert intent.transaction.raw.hex().encode() in on_disk[0]
    assert intent.transaction.hash.encode() in on_disk[0]


async def test_a_malformed_receipt_is_an_error_of_the_node(sending: Sending):
    intent = await sending.submitter(sending.node).submit(await sending.simulated())
    assert isinstance(intent, Intent)

    class Lying(FaultyNode):
        lies: ClassVar[list[Any]] = [{"status": "0x1"}, "0x", {"transactionHash": "0x" + "00" * 32}, 7]

        async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
            return [self.lies.pop() for _ in calls]

    lying = Lying(sending.node, lambda method, params: None)
    tracker = sending.tracker(lying)
    tracker.follow(intent)
    head = sending.bench.rpc.mine()
    while lying.lies:
        with pytest.raises(NodeError, match="malformed receipt"):
            await tracker.on_block(head)
    assert not isinstance(tracker.in_flight[0], Execution)
