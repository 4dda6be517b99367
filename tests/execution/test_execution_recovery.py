"""A process killed between any two points of sending leaves nothing lost and nothing sent twice."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import signal
import sys
from pathlib import Path

import pytest
from router_bench import RouterBench

from engine.chain.keys import LocalSigner
from engine.chain.logs import token_delta
from engine.chain.rpc import RpcNode
from engine.domain.execution import Intent, Outcome, SimulatedPlan
from engine.domain.opportunity import Approved, CheckResult
from engine.execution.nonces import ForeignNonce
from engine.execution.planner import Planner, PlanTerms
from engine.execution.recovery import Recovered, recover
from engine.execution.simulator import Simulator
from engine.execution.submitter import Submitter
from engine.execution.tracker import Tracker
from engine.ledger.journal import FileJournal, read_executions
from engine.ledger.reconcile import Reconciled, reconcile
from engine.storage.database import open_database
from engine.storage.queries import LedgerQueries
from engine.storage.repository import Repository

CYCLE = ["v2y", "v2x"]
TERMS = {"gas_estimate": 300_000, "gas_cost": 1}


class Restarts:
    """A storage directory that outlives processes, and what a start finds in it."""

    def __init__(self, bench: RouterBench, node: RpcNode, signer: LocalSigner, directory: Path):
        self.bench = bench
        self.node = node
        self.signer = signer
        self.directory = directory
        self.path = directory / "journal.jsonl"

    async def simulate(self) -> SimulatedPlan:
        head = self.bench.rpc.mine()
        # Without numbers of its own it cannot be handed to another process.
        passed = CheckResult("test", True, None, {})
        approved = Approved(self.bench.opportunity(CYCLE, head, **TERMS), (passed,))
        plan = Planner(self.bench.router, PlanTerms(priority_fee_wei=10**8)).plan(approved, head)
        simulated = await Simulator(self.node, self.signer.address).simulate(plan, head)
        assert isinstance(simulated, SimulatedPlan)
        return simulated

    async def die_at(self, point: str) -> None:
        (self.directory / "simulated.pickle").write_bytes(pickle.dumps(await self.simulate()))
        child = Path(__file__).with_name("crash_child.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(child),
            self.bench.rpc.url,
            str(self.directory),
            point,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL

    async def recover(self, journal: FileJournal) -> Recovered:
        return await recover(self.node, journal, self.signer.address, self.bench.router, token_delta)

    def resume(self, journal: FileJournal, found: Recovered) -> tuple[Submitter, Tracker]:
        submitter = Submitter(self.node, self.signer, journal, found.lane, 31337)
        tracker = Tracker(self.node, journal, submitter, self.signer.address, self.bench.router, token_delta)
        for intent in found.in_flight:
            tracker.follow(intent)
        for intent in found.doubtful:
            tracker.doubt(intent)
        return submitter, tracker

    def transactions(self) -> int:
        return int(self.bench.rpc("eth_getTransactionCount", self.signer.address, "latest"), 16)

    def pool_size(self) -> int:
        status = self.bench.rpc("txpool_status")
        return int(status["pending"], 16) + int(status["queued"], 16)

    def ledger(self) -> tuple[Reconciled, LedgerQueries]:
        engine = open_database(self.directory / "ledger.sqlite")
        return reconcile(read_executions(self.path), Repository(engine)), LedgerQueries(engine)

    def assert_ledger_equals_chain(self) -> None:
        _, queries = self.ledger()
        rows = list(queries.executions())
        mined = [row for row in rows if row["outcome"] in ("landed", "reverted")]
        assert sorted(row["nonce"] for row in mined) == list(range(self.transactions()))
        realised = sum(int(row["realised_profit"]) for row in mined)
        assert realised == self.bench.balance(self.bench.base, self.bench.router)
        spent = 10**21 - int(self.bench.rpc("eth_getBalance", self.signer.address, "latest"), 16)
        assert sum(int(row["gas_paid_wei"]) for row in mined) == spent


@pytest.fixture
async def restarts(bench: RouterBench, signer: LocalSigner, tmp_path: Path):
    async with RpcNode(bench.rpc.url) as node:
        yield Restarts(bench, node, signer, tmp_path)


@pytest.mark.parametrize("point", ["reserved", "signed"])
async def test_killed_before_the_intent_leaves_no_trace(restarts: Restarts, point: str):
    await restarts.die_at(point)
    with FileJournal(restarts.path) as journal:
        found = await restarts.recover(journal)
    assert (found.in_flight, found.resolved, found.lane.next_nonce) == ((), (), 0)
    assert restarts.pool_size() == 0


async def test_killed_between_intent_and_send(restarts: Restarts):
    await restarts.die_at("persisted")
    with FileJournal(restarts.path) as journal:
        found = await restarts.recover(journal)
        assert [e.outcome for e in found.resolved] == [Outcome.NEVER_SENT]
        assert restarts.pool_size() == 0
        assert found.lane.next_nonce == 0
        submitter, tracker = restarts.resume(journal, found)
        intent = await submitter.submit(await restarts.simulate())
        assert isinstance(intent, Intent)
        tracker.follow(intent)
        (execution,) = await tracker.on_block(restarts.bench.rpc.mine())
        assert execution.outcome is Outcome.LANDED
    reconciled, queries = restarts.ledger()
    assert reconciled == Reconciled(level=0, added=2, corrected=0)
    assert queries.totals()["outcomes"] == {"never_sent": 1, "landed": 1}
    restarts.assert_ledger_equals_chain()


async def test_killed_between_send_and_receipt(restarts: Restarts):
    await restarts.die_at("sent")
    assert restarts.pool_size() == 1
    with FileJournal(restarts.path) as journal:
        found = await restarts.recover(journal)
        assert [len(found.in_flight), len(found.resolved), found.lane.next_nonce] == [1, 0, 1]
        assert restarts.pool_size() == 1
        _, tracker = restarts.resume(journal, found)
        (execution,) = await tracker.on_block(restarts.bench.rpc.mine())
        assert execution.outcome is Outcome.LANDED
    assert restarts.transactions() == 1
    restarts.assert_ledger_equals_chain()


async def test_killed_after_it_landed_unrecorded(restarts: Restarts):
    await restarts.die_at("sent")
    restarts.bench.rpc.mine()
    for attempt in range(2):
        with FileJournal(restarts.path) as journal:
            found = await restarts.recover(journal)
            assert [e.outcome for e in found.resolved] == [Outcome.LANDED][attempt:]
            assert found.lane.next_nonce == 1
        reconciled, _ = restarts.ledger()
        assert (reconciled.added, reconciled.level) == ((1, 0), (0, 1))[attempt]
    restarts.assert_ledger_equals_chain()


async def test_a_copy_that_lands_after_recovery_corrects_the_record(restarts: Restarts):
    await restarts.die_at("persisted")
    with FileJournal(restarts.path) as journal:
        found = await restarts.recover(journal)
        restarts.ledger()
        _, tracker = restarts.resume(journal, found)
        raw = found.resolved[0].intent.transaction.raw
        restarts.bench.rpc("eth_sendRawTransaction", "0x" + raw.hex())
        (execution,) = await tracker.on_block(restarts.bench.rpc.mine())
        assert execution.outcome is Outcome.LANDED
    reconciled, _ = restarts.ledger()
    assert reconciled == Reconciled(level=0, added=0, corrected=1)
    restarts.assert_ledger_equals_chain()


async def test_a_copy_that_landed_while_stopped_corrects_the_record(restarts: Restarts):
    await restarts.die_at("persisted")
    with FileJournal(restarts.path) as journal:
        found = await restarts.recover(journal)
    raw = found.resolved[0].intent.transaction.raw
    restarts.bench.rpc("eth_sendRawTransaction", "0x" + raw.hex())
    restarts.bench.rpc.mine()
    with FileJournal(restarts.path) as journal:
        again = await restarts.recover(journal)
    assert [e.outcome for e in again.resolved] == [Outcome.LANDED]
    assert again.lane.next_nonce == 1
    restarts.assert_ledger_equals_chain()


async def test_somebody_elses_pending_transaction_stops_the_start(restarts: Restarts, signer: LocalSigner):
    foreign = signer.sign(
        {
            "chainId": 31337,
            "nonce": 0,
            "to": restarts.bench.owner,
            "value": 1,
            "gas": 21_000,
            "data": "0x",
            "gasPrice": 10**11,
        }
    )
    restarts.bench.rpc("eth_sendRawTransaction", "0x" + foreign.raw.hex())
    with FileJournal(restarts.path) as journal, pytest.raises(ForeignNonce, match="another program"):
        await restarts.recover(journal)


POINTS = ("reserved", "signed", "persisted", "sent", "acknowledged", "receipt", "booked")


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.campaign) for n in range(2, 9))])
@pytest.mark.parametrize(
    "point", [pytest.param(p, marks=() if p in POINTS[4:] else pytest.mark.campaign) for p in POINTS]
)
async def test_killed_at_each_point_after_whatever_came_before(restarts: Restarts, point: str, seed: int):
    """Trades before it landed or wait; blocks come, or not, while nobody looks; then the next start."""
    rng = random.Random(f"{point} {seed}")
    with FileJournal(restarts.path) as journal:
        submitter, tracker = restarts.resume(journal, await restarts.recover(journal))
        for _ in range(rng.randrange(3)):
            earlier = await submitter.submit(await restarts.simulate())
            assert isinstance(earlier, Intent)
            tracker.follow(earlier)
            await tracker.on_block(restarts.bench.rpc.mine())
    await restarts.die_at(point)
    for _ in range(rng.randrange(3)):
        restarts.bench.rpc.mine()
    # Once more at the same place, sometimes: the second start has less to tie up.
    for _ in range(rng.randrange(1, 3)):
        with FileJournal(restarts.path) as journal:
            submitter, tracker = restarts.resume(journal, await restarts.recover(journal))
            for _ in range(rng.randrange(2)):
                await tracker.on_block(restarts.bench.rpc.mine())
    with FileJournal(restarts.path) as journal:
        submitter, tracker = restarts.resume(journal, await restarts.recover(journal))
        for _ in range(6):
            if not tracker.in_flight:
                break
            await tracker.on_block(restarts.bench.rpc.mine())
        assert tracker.in_flight == journal.open_intents() == []
        # It goes on, with the nonce that is due.
        last = await submitter.submit(await restarts.simulate())
        assert isinstance(last, Intent)
        tracker.follow(last)
        await tracker.on_block(restarts.bench.rpc.mine())
        assert journal.open_intents() == []
    restarts.assert_ledger_equals_chain()
    sent = [each.intent.transaction.hash for each in read_executions(restarts.path)]
    assert sent[-1] == last.transaction.hash
