"""Our line at one moment of a block: search, check, plan, simulate, journal, send, mine, and book."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.app.conditions import ConditionsReader, Guard
from engine.app.loading import load
from engine.app.sender import Sender
from engine.app.sending import plan_terms
from engine.app.settings import Settings
from engine.chain.deployments import Deployment
from engine.chain.logs import token_delta
from engine.chain.rpc import RpcNode
from engine.chain.wire import header
from engine.domain.errors import ExecutionError
from engine.domain.execution import Execution, Intent, Outcome, Pinned
from engine.domain.market import BlockRef
from engine.domain.opportunity import Opportunity, Refused
from engine.domain.pool_state import Bootstrap
from engine.domain.ports import Signer
from engine.execution.nonces import NonceLane
from engine.execution.planner import Planner
from engine.execution.simulator import Simulator
from engine.execution.submitter import Submitter
from engine.execution.tracker import Tracker
from engine.ledger.journal import FileJournal
from engine.market.market import Market
from engine.risk.chain import RiskChain
from engine.risk.view import RiskView
from engine.search.finder import Finder


@dataclass(frozen=True, slots=True)
class Stage:
    """Where we act: a node just before the block, our deployment, our key, and how to mine the block.

    `reading` is the pools' state at `head`. `mine` mines the block we want to be in. `block_interval_s` is
    the time from `head` to that block.
    """

    node: RpcNode
    head: BlockRef
    deployment: Deployment
    pinned: Pinned
    signer: Signer
    settings: Settings
    reading: Bootstrap
    mine: Callable[[], Awaitable[None]]
    folder: Path
    block_interval_s: int = 1


@dataclass(frozen=True, slots=True)
class Act:
    """What came of one run of the line. `landed` is our mined transaction with its `opportunity`; without it
    `why_not` says why. `refusals` counts refused opportunities by reason."""

    landed: Execution | None
    opportunity: Opportunity | None
    found: int
    refusals: dict[str, int] = field(default_factory=dict)
    why_not: str | None = None


async def act(
    stage: Stage, bases: Collection[str], pools: Collection[str] | None, max_hops: int, attempts: int
) -> Act:
    """Land the best opportunity of `pools` (all when None) from `bases`, trying at most `attempts` of them in
    order of gross profit until one passes the risk chain and the simulation.

    Raises NodeError when the node fails.
    """
    market = _market(stage, pools)
    present = [token for token in bases if token in market.token_row]
    if not present:
        return Act(None, None, 0, why_not="none of these pools trades the base token and has a known state")
    journal_path = stage.folder / "journal.jsonl"
    journal_path.unlink(missing_ok=True)
    with FileJournal(journal_path) as journal:
        sender = await _sender(stage, journal)
        reader = ConditionsReader(
            stage.node,
            stage.settings,
            market,
            stage.deployment,
            stage.signer.address,
            Guard(),
            present,
            lambda: sender.tracker.in_flight_pools,
        )
        conditions = await reader.read(stage.head)
        found = Finder(market, present, max_hops).find(None, stage.head, conditions.costs, attempts)
        return await _first_that_holds(stage, found, conditions.view, sender)


async def _first_that_holds(
    stage: Stage, found: Sequence[Opportunity], view: RiskView, sender: Sender
) -> Act:
    """Take opportunities through checks and simulation in order, and send the first that passes."""
    chain = RiskChain(stage.settings.risk)
    terms = plan_terms(stage.settings)
    planner = Planner(stage.deployment.router, terms, clock=lambda: 0, pinned=stage.pinned)
    simulator = Simulator(stage.node, stage.signer.address, stage.block_interval_s)
    refusals: dict[str, int] = {}
    for opportunity in map(planner.finance, found):
        verdict = chain.assess(opportunity, view)
        if isinstance(verdict, Refused):
            refusals[verdict.reason] = refusals.get(verdict.reason, 0) + 1
            continue
        answer = await simulator.simulate(planner.plan(verdict, stage.head), stage.head)
        if isinstance(answer, Refused):
            refusals[answer.reason] = refusals.get(answer.reason, 0) + 1
            continue
        execution = await _land(stage, sender, await sender.submit(answer))
        if execution.outcome is Outcome.LANDED:
            return Act(execution, opportunity, len(found), refusals)
        return Act(None, opportunity, len(found), refusals, f"our transaction was {execution.outcome}")
    return Act(None, None, len(found), refusals, _why_not(found, refusals))


async def latest(node: RpcNode) -> BlockRef:
    """The node's head. Raises NodeError."""
    return header(await node.request("eth_getBlockByNumber", ["latest", False])).ref


def _market(stage: Stage, pools: Collection[str] | None) -> Market:
    reading = stage.reading
    states = tuple(state for state in reading.pools if pools is None or state.pool.address in pools)
    market = Market()
    market.start(stage.head)
    tokens = {token for state in states for token in state.pool.tokens}
    chosen = tuple(token for token in reading.tokens if token.address in tokens)
    load(market, Bootstrap(reading.block, chosen, states))
    return market


async def _sender(stage: Stage, journal: FileJournal) -> Sender:
    node, operator = stage.node, stage.signer.address
    count = await node.request("eth_getTransactionCount", [operator, "latest"])
    lane = NonceLane(int(count, 16))
    submitter = Submitter(node, stage.signer, journal, lane, stage.deployment.chain_id)
    tracker = Tracker(node, journal, submitter, operator, stage.deployment.router, token_delta)
    return Sender(node, operator, lane, submitter, tracker)


async def _land(stage: Stage, sender: Sender, sent: Intent | Execution) -> Execution:
    """Mine the block and resolve what we sent."""
    if isinstance(sent, Execution):
        return sent
    await stage.mine()
    executions = await sender.on_block(await latest(stage.node))
    for execution in executions:
        if execution.intent.id == sent.id:
            return execution
    raise ExecutionError(f"the local node mined the block without our transaction {sent.transaction.hash}")


def _why_not(found: Collection[Opportunity], refusals: dict[str, int]) -> str:
    if not found:
        return "no profitable cycle in the known state"
    listed = ", ".join(f"{reason} {count}" for reason, count in sorted(refusals.items()))
    return f"none of {len(found)} profitable cycles held: {listed}"
