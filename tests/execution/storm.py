"""One operator in seeded disorder, and what must hold when it is over."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from router_bench import RouterBench

from engine.chain.keys import LocalSigner
from engine.chain.logs import token_delta
from engine.chain.rpc import RpcNode
from engine.domain.execution import Execution, Intent, Outcome, SimulatedPlan
from engine.domain.ledger import NATIVE
from engine.domain.opportunity import Approved, CheckResult
from engine.domain.ports import Channel
from engine.execution.nonces import NonceLane
from engine.execution.planner import Planner, PlanTerms
from engine.execution.recovery import recover
from engine.execution.simulator import Simulator
from engine.execution.submitter import Submitter
from engine.execution.tracker import Tracker
from engine.ledger.book import balances, entries_of
from engine.ledger.journal import FileJournal, read_executions

CYCLES = [["v3y", "v2x"], ["v2y", "v2x"], ["v2y", "v3x"], ["v3y", "v3ab", "v2b"], ["v3y", "v3x"]]
ACTIONS = 16
DEPTHS = (1, 2, 3, 5, 8)
MINED = (Outcome.LANDED, Outcome.REVERTED)


class Storm:
    """One operator whose transactions are dropped, stuck, reorganised and resent, and who dies at times."""

    def __init__(
        self,
        bench: RouterBench,
        node: RpcNode,
        signer: LocalSigner,
        path: Path,
        seed: int,
        channel: Channel | None = None,
    ):
        self.channel = channel
        self.bench, self.node, self.signer, self.path = bench, node, signer, path
        self.rng = random.Random(seed)
        self.met: Counter[str] = Counter()
        self.first = bench.rpc.head().number
        self.before_wei = self.funds()
        self.journal = FileJournal(path)
        self._use(NonceLane(0))

    def _use(self, lane: NonceLane) -> None:
        self.lane = lane
        self.submitter = Submitter(self.node, self.signer, self.journal, lane, 31337, channel=self.channel)
        self.tracker = Tracker(
            self.node,
            self.journal,
            self.submitter,
            self.signer.address,
            self.bench.router,
            token_delta,
            missed_after_blocks=3,
        )

    def funds(self) -> int:
        return int(self.bench.rpc("eth_getBalance", self.signer.address, "latest"), 16)

    async def act(self) -> None:
        actions: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "trade": (5, self.trade),
            "block": (4, self.mine),
            "dropped": (2, self.drop),
            "reorg without": (2, self.reorg),
            "reorg with": (1, self.reorg_with),
            "stuck": (1, self.spike),
            "resent": (1, self.resend),
            "killed": (2, self.restart),
        }
        names = list(actions)
        (name,) = self.rng.choices(names, [actions[each][0] for each in names])
        await actions[name][1]()

    async def trade(self) -> None:
        head = self.bench.rpc.mine()
        await self.tracker.on_block(head)
        opportunity = self.bench.opportunity(self.rng.choice(CYCLES), head, gas_estimate=300_000, gas_cost=1)
        if opportunity.gross_profit <= 0:
            return
        plan = Planner(self.bench.router, PlanTerms(priority_fee_wei=10**8)).plan(
            Approved(opportunity, (CheckResult("test", True),)), head
        )
        simulated = await Simulator(self.node, self.signer.address).simulate(plan, head)
        if isinstance(simulated, SimulatedPlan):
            sent = await self.submitter.submit(simulated)
            if isinstance(sent, Intent):
                self.tracker.follow(sent)
                self.met["sent"] += 1

    async def mine(self) -> None:
        await self.tracker.on_block(self.bench.rpc.mine())

    async def drop(self) -> None:
        for intent in self.tracker.in_flight[:1]:
            self.bench.rpc("anvil_dropTransaction", intent.transaction.hash)
            self.met["dropped"] += 1

    async def reorg(self) -> None:
        await self._reorganise([])

    async def reorg_with(self) -> None:
        waiting = [intent.transaction.raw for intent in self.tracker.in_flight[:1]]
        await self._reorganise([["0x" + raw.hex(), 0] for raw in waiting])

    async def _reorganise(self, transactions: list[list[object]]) -> None:
        deepest = self.bench.rpc.head().number - self.first
        depths = [depth for depth in DEPTHS if depth < deepest]
        if not depths:
            return
        self.bench.rpc("anvil_reorg", self.rng.choice(depths), transactions)
        self.met["reorganised with ours" if transactions else "reorganised"] += 1
        await self.mine()

    async def spike(self) -> None:
        """Three blocks whose base fee is beyond what anything in the pool pays."""
        for _ in range(3):
            self.bench.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**12))
            await self.mine()
        self.bench.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**9))
        self.met["base fee spike"] += 1
        await self.mine()

    async def resend(self) -> None:
        """What was sent comes in again, from somebody who has seen it."""
        for intent in self.tracker.in_flight[-1:]:
            await self.node.batch([("eth_sendRawTransaction", ["0x" + intent.transaction.raw.hex()])])
            self.met["resent"] += 1

    async def restart(self) -> None:
        self.journal.close()
        self.journal = FileJournal(self.path)
        found = await recover(self.node, self.journal, self.signer.address, self.bench.router, token_delta)
        self._use(found.lane)
        for intent in found.in_flight:
            self.tracker.follow(intent)
        for intent in found.doubtful:
            self.tracker.doubt(intent)
        for execution in found.settled:
            self.tracker.watch(execution)
        self.met["restarted"] += 1

    async def settle(self) -> None:
        """Blocks without disorder, until nothing is in flight. What waits above a nonce that was given back
        goes on when the next trade fills it."""
        for number in range(60):
            await (self.trade() if number % 6 == 5 else self.mine())
            if not self.tracker.in_flight:
                return
        raise AssertionError(f"still in flight: {[each.id for each in self.tracker.in_flight]}")

    def check(self) -> None:
        """The invariants: one outcome per nonce, the chain's transactions are the journal's, to the wei."""
        last: dict[str, Execution] = {each.intent.id: each for each in read_executions(self.path)}
        assert self.journal.open_intents() == []
        assert Outcome.UNDONE not in {execution.outcome for execution in last.values()}
        count = int(self.bench.rpc("eth_getTransactionCount", self.signer.address, "latest"), 16)
        mined = [each for each in last.values() if each.outcome in MINED]
        assert sorted(each.intent.transaction.nonce for each in mined) == list(range(count))
        ours = {}
        for number in range(self.first + 1, self.bench.rpc.head().number + 1):
            block = self.bench.rpc("eth_getBlockByNumber", hex(number), True)
            ours |= {
                each["hash"]: number for each in block["transactions"] if each["from"] == self.signer.address
            }
        assert {each.intent.transaction.hash: each.block_number for each in mined} == ours
        sums = balances(entry for execution in last.values() for entry in entries_of(execution))
        held = self.bench.balance(self.bench.base, self.bench.router)
        assert sums.get(("router", self.bench.base), 0) == held
        assert sums.get(("operator", NATIVE), 0) == self.funds() - self.before_wei
        for execution in last.values():
            if execution.intent.kind != "trade":
                continue
            # Nothing is sent without a recorded approval.
            checks = execution.intent.record["checks"]
            assert checks[-1]["check"] == "simulation"
            assert all(check["passed"] for check in checks)
            if execution.outcome is Outcome.LANDED:
                assert execution.realised_profit >= int(execution.intent.record["plan"]["min_profit"])
