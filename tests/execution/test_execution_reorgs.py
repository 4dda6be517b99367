"""What was mined and is no more: the journal, the ledger and the nonces follow the chain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from router_bench import RouterBench

from engine.chain.keys import LocalSigner
from engine.chain.logs import token_delta
from engine.chain.rpc import RpcNode
from engine.domain.execution import Execution, Intent, Outcome, SimulatedPlan
from engine.domain.ledger import NATIVE
from engine.domain.opportunity import Approved, CheckResult
from engine.execution.nonces import NonceLane
from engine.execution.planner import Planner, PlanTerms
from engine.execution.recovery import recover
from engine.execution.simulator import Simulator
from engine.execution.submitter import Submitter
from engine.execution.tracker import Tracker
from engine.ledger.book import balances, entries_of
from engine.ledger.journal import FileJournal, read_executions

CYCLE = ["v3y", "v2x"]


class Desk:
    """A bench whose trades are sent to the pool, tracked and journalled."""

    def __init__(self, bench: RouterBench, node: RpcNode, signer: LocalSigner, path: Path):
        self.bench, self.node, self.signer, self.path = bench, node, signer, path
        self.journal = FileJournal(path)
        self.lane = NonceLane(0)
        self.submitter = Submitter(node, signer, self.journal, self.lane, 31337)
        self.tracker = Tracker(node, self.journal, self.submitter, signer.address, bench.router, token_delta)

    async def trade(self) -> Intent:
        """Send a trade and mine it."""
        head = self.bench.rpc.mine()
        await self.tracker.on_block(head)
        opportunity = self.bench.opportunity(CYCLE, head, gas_estimate=300_000, gas_cost=1)
        approved = Approved(opportunity, (CheckResult("test", True),))
        plan = Planner(self.bench.router, PlanTerms(priority_fee_wei=10**8)).plan(approved, head)
        simulated = await Simulator(self.node, self.signer.address).simulate(plan, head)
        assert isinstance(simulated, SimulatedPlan)
        intent = await self.submitter.submit(simulated)
        assert isinstance(intent, Intent)
        self.tracker.follow(intent)
        return intent

    async def mine(self) -> list[Execution]:
        return await self.tracker.on_block(self.bench.rpc.mine())

    def reorg(self, depth: int, *raws: bytes) -> None:
        self.bench.rpc("anvil_reorg", depth, [["0x" + raw.hex(), 0] for raw in raws])

    def check_ledger(self, before_wei: int) -> None:
        """The last outcome of every intent, booked, is what the chain's balances did."""
        last = {execution.intent.id: execution for execution in read_executions(self.path)}
        sums = balances(entry for execution in last.values() for entry in entries_of(execution))
        held = self.bench.balance(self.bench.base, self.bench.router)
        spent = int(self.bench.rpc("eth_getBalance", self.signer.address, "latest"), 16) - before_wei
        assert sums.get(("router", self.bench.base), 0) == held
        assert sums.get(("operator", NATIVE), 0) == spent


@pytest.fixture
async def desk(bench: RouterBench, signer: LocalSigner, tmp_path: Path) -> AsyncIterator[Desk]:
    async with RpcNode(bench.rpc.url) as node:
        yield Desk(bench, node, signer, tmp_path / "journal.jsonl")


def funds(desk: Desk) -> int:
    return int(desk.bench.rpc("eth_getBalance", desk.signer.address, "latest"), 16)


@pytest.mark.parametrize("depth", [1, 2])
async def test_a_trade_that_a_reorg_removes_is_undone_and_lands_again(desk: Desk, depth: int) -> None:
    before = funds(desk)
    intent = await desk.trade()
    (landed,) = await desk.mine()
    assert landed.outcome is Outcome.LANDED
    for _ in range(depth - 1):
        assert await desk.mine() == []
    desk.reorg(depth)
    (undone,) = await desk.tracker.on_block(desk.bench.rpc.head())
    assert (undone.intent, undone.outcome) == (intent, Outcome.UNDONE)
    assert desk.journal.open_intents() == desk.tracker.in_flight == [intent]
    desk.check_ledger(before)
    desk.bench.rpc("eth_sendRawTransaction", "0x" + intent.transaction.raw.hex())
    (again,) = await desk.mine()
    assert (again.intent, again.outcome) == (intent, Outcome.LANDED)
    assert again.block_hash != landed.block_hash
    desk.check_ledger(before)
    assert desk.tracker.in_flight == []


async def test_a_trade_that_moves_to_another_block_is_booked_there(desk: Desk) -> None:
    before = funds(desk)
    intent = await desk.trade()
    (landed,) = await desk.mine()
    await desk.mine()
    desk.reorg(2, intent.transaction.raw)
    (moved,) = await desk.tracker.on_block(desk.bench.rpc.head())
    assert (moved.intent, moved.outcome) == (intent, Outcome.LANDED)
    assert moved.realised_profit == landed.realised_profit
    assert moved.block_hash != landed.block_hash
    desk.check_ledger(before)
    assert await desk.mine() == []


async def test_an_undone_trade_is_cancelled_when_its_time_is_over_and_frees_the_nonces_behind(
    desk: Desk,
) -> None:
    before = funds(desk)
    first = await desk.trade()
    await desk.mine()
    desk.reorg(1)
    await desk.tracker.on_block(desk.bench.rpc.head())
    outcomes: dict[str, list[Outcome]] = {}
    for _ in range(6):
        for execution in await desk.mine():
            outcomes.setdefault(execution.intent.id, []).append(execution.outcome)
    assert outcomes[first.id] == [Outcome.MISSED]
    assert desk.tracker.in_flight == []
    second = await desk.trade()
    assert second.transaction.nonce == 1
    (landed,) = await desk.mine()
    assert (landed.intent, landed.outcome) == (second, Outcome.LANDED)
    desk.check_ledger(before)


async def test_when_a_cancellation_is_undone_the_trade_may_still_land(desk: Desk) -> None:
    before = funds(desk)
    trade = await desk.trade()
    # The trade waits: blocks without it are mined, until its cancellation takes the nonce.
    desk.bench.rpc("anvil_dropTransaction", trade.transaction.hash)
    executions: list[Execution] = []
    for _ in range(8):
        executions += await desk.mine()
    assert {e.intent.kind: e.outcome for e in executions} == {
        "trade": Outcome.MISSED,
        "cancel": Outcome.LANDED,
    }
    mined_at = next(e.block_number for e in executions if e.intent.kind == "cancel")
    head = desk.bench.rpc.head()
    desk.reorg(head.number - mined_at + 1)
    (undone,) = await desk.tracker.on_block(desk.bench.rpc.head())
    assert (undone.intent.kind, undone.outcome) == ("cancel", Outcome.UNDONE)
    # A node that saw the trade and neither cancellation.
    desk.bench.rpc("anvil_dropAllTransactions")
    desk.bench.rpc("eth_sendRawTransaction", "0x" + trade.transaction.raw.hex())
    executions = await desk.mine()
    ends = {e.intent.kind: e.outcome for e in executions}
    assert ends["cancel"] is Outcome.REPLACED
    # Late, so its deadline may have passed on the chain: mined it is all the same.
    assert ends["trade"] in (Outcome.LANDED, Outcome.REVERTED)
    desk.check_ledger(before)


@pytest.mark.parametrize("resent", [False, True])
async def test_a_reorg_while_we_are_away_is_found_at_the_start(desk: Desk, resent: bool) -> None:
    before = funds(desk)
    intent = await desk.trade()
    await desk.mine()
    desk.journal.close()
    desk.reorg(1, *([intent.transaction.raw] if resent else []))
    with FileJournal(desk.path) as journal:
        assert [e.intent for e in journal.settled_executions()] == [intent]
        recovered = await recover(desk.node, journal, desk.signer.address, desk.bench.router, token_delta)
        last = {e.intent.id: e.outcome for e in recovered.resolved}
        assert last[intent.id] is (Outcome.LANDED if resent else Outcome.NEVER_SENT)
        assert recovered.lane.next_nonce == (1 if resent else 0)
        assert len(recovered.settled) == (1 if resent else 0)
    desk.check_ledger(before)


async def test_what_is_deeper_than_a_reorg_reaches_is_not_asked_again(desk: Desk) -> None:
    await desk.trade()
    await desk.mine()
    desk.bench.rpc("anvil_mine", hex(63), "0x1")
    await desk.tracker.on_block(desk.bench.rpc.head())
    # The jump looked like a reorg: everything was asked again, and held.
    assert await desk.mine() == []
    assert desk.tracker._settled == {}
