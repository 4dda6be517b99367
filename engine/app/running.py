"""The bot: one session against a node, in paper, fork or live mode, until it is asked to stop."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from engine.app.alerting import alerting, make_alerts
from engine.app.closing import Closing
from engine.app.forking import deploy_on_fork, mine_on_timer, read_universe, start_fork
from engine.app.health import health_board, reporting
from engine.app.kernels import warm_kernels
from engine.app.lanes import LaneKey, LaneSigner, require_different
from engine.app.lifecycle import wait_cancelled
from engine.app.market_feed import Progress
from engine.app.output import progress_bar
from engine.app.reconciling import reconciling
from engine.app.recording.recorder import Recorder
from engine.app.records import Records, open_records
from engine.app.sender import Key
from engine.app.sending import open_channel
from engine.app.session import Session, open_session, silent
from engine.app.settings import Settings
from engine.bus.bus import Bus, Subscription
from engine.chain.keys import LocalSigner
from engine.domain.events import (
    BlockApplied,
    BlockFinished,
    BlockSkipped,
    BooksCompared,
    ExecutionResolved,
    Fact,
    OpportunityApproved,
    OpportunityRefused,
    OptimumBounded,
    PlanDispatched,
    PlanSimulated,
    PlanSubmitted,
    PlanTakenApart,
    PoolDiverged,
    PoolQuarantined,
    TokenJudged,
    TradingStateChanged,
    VenueHalted,
)
from engine.storage.pool_cache import PoolCache, cache_path
from engine.telemetry.telemetry import Telemetry

_FACTS = (
    BlockApplied,
    BlockFinished,
    BlockSkipped,
    BooksCompared,
    ExecutionResolved,
    OpportunityApproved,
    OpportunityRefused,
    OptimumBounded,
    PlanDispatched,
    PlanSimulated,
    PlanSubmitted,
    PlanTakenApart,
    PoolDiverged,
    PoolQuarantined,
    TokenJudged,
    TradingStateChanged,
    VenueHalted,
)
_TELEMETRY_QUEUE = 10_000
# How long these may take to close.
_STEP_S = 1.0
_LAST_WORDS_S = 2.0


class Mode(StrEnum):
    """Paper proves plans and sends nothing; fork sends on a private fork; live sends."""

    PAPER = "paper"
    FORK = "fork"
    LIVE = "live"


@dataclass(slots=True)
class Summary:
    """What a run did, for the last line it prints."""

    blocks: int = 0
    found: int = 0
    simulated: int = 0
    submitted: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def take(self, fact: Fact) -> None:
        """Count one fact."""
        match fact:
            case BlockFinished():
                self.blocks += 1
                self.found += fact.found
                self.simulated += fact.simulated
                self.submitted += fact.submitted
            case ExecutionResolved() if fact.execution.intent.kind == "trade":
                self.outcomes[fact.execution.outcome.value] += 1

    def as_json(self) -> dict[str, Any]:
        """The summary as a JSON document."""
        return {
            "blocks": self.blocks,
            "opportunities_found": self.found,
            "simulated": self.simulated,
            "submitted": self.submitted,
            "outcomes": dict(self.outcomes),
        }


@dataclass(frozen=True, slots=True)
class Run:
    """What to run. `signer` is the operator's in live mode, else None, `lanes` further operators'; `summary`
    is filled as it goes; what enters the line is told to a `recorder`."""

    settings: Settings
    mode: Mode
    blocks: int | None
    signer: LocalSigner | None
    logger: Any
    summary: Summary
    recorder: Recorder | None = None
    lanes: Sequence[LaneSigner] = ()


async def run_bot(run: Run) -> None:
    """Run until `blocks` are done or the task is cancelled; everything opened is closed in reverse order."""
    if run.mode is Mode.FORK:
        await _run_fork(run)
    else:
        await _run_line(run, run.settings, run.signer)


async def _run_fork(run: Run) -> None:
    universe = await read_universe(run.settings)
    with (
        tempfile.TemporaryDirectory(prefix="roundtrip-fork-") as scratch,
        start_fork(run.settings) as anvil,
    ):
        run.logger.info("fork_started", url=anvil.http_url)
        native = run.settings.market.wrapped_native
        operator = await deploy_on_fork(anvil, universe, Path(scratch), native)
        chain = run.settings.chain.model_copy(update={"rpc_url": [anvil.ws_url]})
        deployments = run.settings.deployments.model_copy(update={"directory": Path(scratch)})
        storage = run.settings.storage.model_copy(
            update={"directory": run.settings.storage.directory / "fork" / str(anvil.pid)}
        )
        # A local node charges nothing for bytes, whatever chain it took its state from.
        gas = run.settings.gas.model_copy(update={"data_fee": "none"})
        settings = run.settings.model_copy(
            update={"gas": gas, "chain": chain, "deployments": deployments, "storage": storage}
        )
        await _run_line(run, settings, operator)


async def _run_line(run: Run, settings: Settings, signer: LocalSigner | None) -> None:
    started = time.perf_counter()
    with progress_bar("preparing the compiled kernels") as tell:
        await asyncio.to_thread(warm_kernels, settings.search.finder, tell)
    telemetry, bus = Telemetry(run.logger), Bus()
    ready_s = time.perf_counter() - started
    lanes = run.lanes if signer else ()
    operators = [each.address for each in (signer, *(lane.signer for lane in lanes)) if each]
    require_different(operators)
    async with Closing(lambda fact, values: run.logger.warning(fact, **values)) as closing:
        opening = open_records(
            settings.storage.directory,
            settings.chain.chain_id,
            run.mode.value,
            operators,
            lambda error: telemetry.degraded("ledger", error),
        )
        records = await closing.enter("records", opening)
        listeners: list[Callable[[Fact], None]] = [run.summary.take, records.take, bus.publish]
        if run.recorder is not None:
            listeners.append(run.recorder.take)

        def publish(fact: Fact) -> None:
            for listener in listeners:
                listener(fact)

        alerts = make_alerts(settings.alerts)
        await closing.enter("log", _listening(bus, telemetry), _LAST_WORDS_S)
        await closing.enter("alerts", alerting(bus, alerts), _LAST_WORDS_S)
        key, others = None, list[LaneKey]()
        if signer:
            channel = await closing.enter("channels", open_channel(settings, operators), _STEP_S)
            key, *further = (
                Key(each, journal, channel)
                for each, journal in zip(
                    (signer, *(lane.signer for lane in lanes)), records.journals, strict=True
                )
            )
            others = [LaneKey(own, lane.router) for own, lane in zip(further, lanes, strict=True)]
        cache = await closing.enter("pool cache file", open_cache(settings), _STEP_S)
        bars = Bars(run.logger)
        with bars:
            line = open_session(
                settings,
                key=key,
                lanes=others,
                publish=publish,
                observe=bars.observe,
                progress=bars.tell,
                cache=cache,
                verdicts=records.repository.token_verdicts(settings.chain.chain_id),
                recorder=run.recorder,
            )
            session = await closing.enter("session", line)
        # Not before: a run that cannot start says why in one line and nothing else.
        telemetry.search_ready(ready_s)
        board = health_board(session, records, run.mode.value, alerts)
        listeners.append(board.take)
        await closing.enter("health", reporting(board, settings, telemetry), _STEP_S)
        every_s = settings.storage.reconcile_every_s
        books = reconciling(session, records, every_s, telemetry.degraded)
        await closing.enter("reconciliation", books, _STEP_S)
        await _follow(run, session, records, telemetry)


@asynccontextmanager
async def open_cache(settings: Settings) -> AsyncIterator[PoolCache]:
    """The pools of earlier runs, in the storage directory."""
    chain_id = settings.chain.chain_id
    cache = PoolCache(cache_path(settings.storage.directory, chain_id), chain_id)
    try:
        yield cache
    finally:
        cache.close()


class Bars:
    """Logs what is observed, and shows a bar while the market is read: at the start and at a resync."""

    def __init__(self, logger: Any):
        self._logger = logger
        self._stack = ExitStack()
        self._tell: Progress = silent

    def __enter__(self) -> Bars:
        self._tell = self._stack.enter_context(progress_bar("reading the market"))
        return self

    def __exit__(self, *error: object) -> None:
        self._tell = silent
        self._stack.close()

    def tell(self, what: str, done: int, total: int | None) -> None:
        """Progress of the reading, shown where a bar is open."""
        self._tell(what, done, total)

    def observe(self, fact: str, values: dict[str, Any]) -> None:
        """Log one fact of the connection."""
        self._logger.warning(fact, **values)
        if fact == "resync":
            self.__enter__()
        elif fact == "resynchronised":
            self.__exit__()


async def _follow(run: Run, session: Session, records: Records, telemetry: Telemetry) -> None:
    settings = session.settings
    level = records.reconcile()
    records.repository.put_tokens(settings.chain.chain_id, session.market.tokens)
    telemetry.started(
        mode=run.mode.value,
        chain_id=settings.chain.chain_id,
        operator=session.operator,
        router=session.deployment.router,
        pools=session.market.pool_count,
        refused_pools=len(session.feed.refused),
        ledger_restored=level.added + level.corrected,
        in_flight=session.sender.in_flight() if session.sender else 0,
    )
    if run.mode is Mode.FORK:
        await mine_on_timer(session.node)
    try:
        await session.follow(run.blocks)
    finally:
        telemetry.stopped(**run.summary.as_json())


@asynccontextmanager
async def _listening(bus: Bus, telemetry: Telemetry) -> AsyncIterator[None]:
    """Telemetry listens while the line runs, then hears what is still queued."""
    subscription: Subscription[Fact] = bus.subscribe(*_FACTS, capacity=_TELEMETRY_QUEUE)
    task = asyncio.create_task(telemetry.listen(subscription), name="log")
    try:
        yield
    finally:
        bus.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 1.0)
        await wait_cancelled(task)
