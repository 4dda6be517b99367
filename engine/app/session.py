"""One run of the line against one node: connect, check, read the market, recover, follow."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import stamina

from engine.app.closing import Closing
from engine.app.conditions import ConditionsReader, Guard, data_fee_of, gas_learner, halt_file
from engine.app.finders import make_finder
from engine.app.lanes import Lane, LaneKey, Lanes
from engine.app.lenders import LenderBook
from engine.app.market_feed import MarketFeed, Progress
from engine.app.recording.recorder import Recorder
from engine.app.sender import Key, open_sender
from engine.app.sending import make_bidder, plan_terms
from engine.app.settings import Settings
from engine.app.token_watch import TokenWatch, token_judge
from engine.app.tripwire import Tripwire
from engine.chain.data_fees import DataFee
from engine.chain.deployments import (
    DEX_REGISTRY,
    PRICE_FEED_REGISTRY,
    ROUTER,
    Deployment,
    read_manifests,
)
from engine.chain.endpoint_set import EndpointSet, connect_all
from engine.chain.implementations import ImplementationWatch
from engine.chain.registry import read_registry
from engine.chain.routers import Router, RouterWatch, current_deployment, sister_router
from engine.chain.source import LiveBlockSource
from engine.chain.wire import header
from engine.domain.errors import (
    ConfigError,
    GapTooWide,
    NodeError,
    ReorgTooDeep,
    UnknownParent,
)
from engine.domain.events import Fact
from engine.domain.execution import Plan
from engine.domain.market import BlockRef
from engine.domain.opportunity import Approved, ApprovedConversion
from engine.domain.ports import Node
from engine.domain.token_safety import TokenVerdict
from engine.execution.access_lists import AccessLists
from engine.execution.bids import Bidder
from engine.execution.planner import Planner
from engine.execution.second_opinion import Endpoint, SecondOpinion, Simulate
from engine.execution.simulator import Simulator
from engine.line.stages import Line
from engine.market.divergence import VenueTrust
from engine.market.market import Market
from engine.market.silent import SilentReads
from engine.pipeline import Pipeline
from engine.risk.activity import ActivityLog
from engine.risk.chain import RiskChain
from engine.risk.ladder import Ladder
from engine.search.gas_learning import GasLearner
from engine.storage.pool_cache import PoolCache

# How long each step of closing may take.
_STEP_S = 2.0


def silent(what: str, done: int, total: int | None) -> None:
    """Progress (what, done, total) that nobody watches."""


@dataclass(slots=True)
class Session:
    """A connected, checked and bootstrapped line. `follow` runs it."""

    settings: Settings
    node: EndpointSet
    deployment: Deployment
    operator: str
    guard: Guard
    publish: Callable[[Fact], None]
    observe: Callable[[str, dict[str, Any]], None]
    feed: MarketFeed
    bidder: Bidder
    activity: ActivityLog
    gas: GasLearner
    routers: RouterWatch
    watch: ImplementationWatch
    lenders: LenderBook
    tokens: TokenWatch
    ladder: Ladder
    recorder: Recorder | None = None
    sender: Lanes | None = None
    lists: AccessLists | None = None
    market: Market = field(default_factory=Market)
    trust: VenueTrust = field(default_factory=VenueTrust)
    tripwire: Tripwire | None = None
    planner: Planner | None = None
    pipeline: Pipeline | None = None
    source: LiveBlockSource | None = None
    reader: ConditionsReader | None = None

    async def synchronise(self) -> None:
        """Read the registry and every pool at the node's head, and build the line on that picture."""
        head = await self._head()
        registry = await read_registry(self.node, self.deployment.dex_registry, head.hash)
        self.feed.venues = registry.venues
        self.market = await self.feed.read_all(head)
        self._build(head)
        if self.settings.risk.token_verdicts == "required":
            await self.tokens.start(self.market, head, self.settings.tokens.startup_s)

    async def follow(self, blocks: int | None = None) -> None:
        """Take blocks through the line, `blocks` of them if given; reads the market anew, as often as it
        takes, when a reorg or a gap reaches past what can be undone or caught up, or a venue was enabled."""
        assert self.pipeline is not None
        assert self.source is not None
        done = 0
        while blocks is None or done < blocks:
            try:
                async with aclosing(self.source.blocks()) as stream:
                    async for raw in stream:
                        await self.pipeline.on_block(raw)
                        done += 1
                        if blocks is not None and done >= blocks:
                            return
                        if self._venue_enabled():
                            break
                await self._resynchronise("a venue was enabled in the DexRegistry")
            except (ReorgTooDeep, GapTooWide, UnknownParent) as error:
                await self._resynchronise(str(error))

    async def close(self) -> None:
        """Stop what runs beside the line."""
        await self.tokens.close()
        await self.rest()
        await self.save()

    async def rest(self) -> None:
        """Stop looking at samples."""
        if self.tripwire is not None:
            await self.tripwire.close()

    async def save(self) -> None:
        """Keep what was read of pools, where a market was read at all."""
        if self.tripwire is not None:
            self.feed.save(self.market)

    def _venue_enabled(self) -> bool:
        """Whether the registry now allows a venue whose pools were not read."""
        known = {venue.name for venue in self.feed.venues if venue.enabled}
        return self.reader is not None and not self.reader.venues_enabled <= known

    async def _resynchronise(self, reason: str) -> None:
        self.observe("resync", {"reason": reason})
        self.ladder.resynchronising(reason, self.market.head.number if self.market.head else 0)
        await self.close()
        started = time.perf_counter()
        async for attempt in stamina.retry_context(
            on=NodeError, attempts=None, timeout=None, wait_initial=0.1, wait_max=5.0, wait_jitter=0.5
        ):
            with attempt:
                await self.synchronise()
        elapsed_s = round(time.perf_counter() - started, 3)
        self.observe("resynchronised", {"pools": self.market.pool_count, "elapsed_s": elapsed_s})

    def _build(self, head: BlockRef) -> None:
        settings, market = self.settings, self.market
        bases = [token for token in settings.market.base_tokens if token in market.token_row]
        if not bases:
            raise ConfigError(
                "none of market.base_tokens is in any pool of the enabled venues: check the addresses and "
                "market.discovery_from_block"
            )
        self.reader = reader = ConditionsReader(
            self.node,
            settings,
            market,
            self.deployment,
            self.operator,
            self.guard,
            self._priced(),
            # A live view: venues may be halted at any block.
            halted=self.trust.halted.keys(),
            distrusted=self.watch.distrusted,
            rotated=self._rotated,
            gas=self.gas,
            lenders=self.lenders,
            verdicts=self.tokens.verdicts,
            ladder=self.ladder,
            fuel=None if self.sender is None else self.sender.fuel,
        )
        router = self.routers.current
        # The chain's clock decides: a deadline follows the block that is built on.
        self.planner = planner = Planner(
            router.address, plan_terms(settings), lambda: 0, router.pinned, self.lenders
        )
        on_landing = planner if settings.bid.payment == "landing" else None
        self.tripwire = Tripwire(self.node, market, self.feed, self.publish, self.trust)
        risk = RiskChain(settings.risk)
        line = Line(
            market=market,
            finder=make_finder(
                settings.search.finder,
                market,
                bases,
                settings.search.max_hops,
                settings.risk.trade_caps,
                settings.execution.together,
            ),
            conditions=reader.read,
            admit=lambda raw: self.feed.admit(market, raw),
            refresh=self.feed.refresh,
            silent=SilentReads(market).due,
            tripwire=self.tripwire,
            assess=risk.assess,
            assess_conversion=risk.assess_conversion,
            plan=self._plan,
            simulate=self._simulation(),
            execute=self.sender,
            publish=self.publish,
            activity=self.activity.at,
            state=lambda: self.ladder.state,
            per_block=settings.search.per_block,
            together=settings.execution.together,
            search_seconds=settings.search.deadline_ms / 1e3,
            price=lambda simulated, costs: self.bidder.price(simulated, costs.value_wei, on_landing),
            finance=planner.finance,
        )
        if self.recorder is not None:
            line = self.recorder.wrap(line, lambda: self.routers.current, bases, lambda: self.lenders)
        self.pipeline = Pipeline(line)
        self.source = LiveBlockSource(self.node, head, observer=self.observe)

    def _plan(
        self,
        approved: Approved,
        head: BlockRef,
        also: Sequence[Approved] = (),
        conversions: Sequence[ApprovedConversion] = (),
    ) -> Plan:
        """A plan, placed in a lane where there are some."""
        assert self.planner is not None
        plan = self.planner.plan(approved, head, also, conversions)
        if self.sender is not None:
            plan = self.sender.place(plan)
        return plan if self.lists is None else self.lists.on(plan)

    def sender_to(self, router: str) -> str:
        """Who sends to a router."""
        return self.operator if self.sender is None else self.sender.operators.get(router, self.operator)

    def _simulation(self) -> Simulate:
        """By the healthiest endpoint, large trades by all of them."""

        def simulator(node: Node) -> Simulator:
            interval_s = self.settings.chain.block_interval_s
            return Simulator(node, self.operator, interval_s, lambda: lanes.operators if lanes else {})

        lanes = self.sender

        known = [(member, simulator(member.node).simulate) for member in self.node.members]
        return SecondOpinion(
            simulator(self.node).simulate,
            lambda: [Endpoint(member.name, each) for member, each in known if member.refused is None],
            self.settings.risk,
        ).simulate

    async def _rotated(self, named: str, block: BlockRef) -> str | None:
        """Why nothing must be sent while the registry names `named`; plans go to the router in use."""
        reason = await self.routers.distrusted(named, block)
        router = self.routers.current
        assert self.planner is not None
        self.planner.turn_to(router.address, router.pinned)
        self.tokens.turn_to(router.address)
        if self.sender is not None:
            self.sender.turn_to(router.address)
        if self.lenders.pinned != router.pinned:
            await self.lenders.open(router.pinned)
            await self.lenders.refresh(block)
        return reason

    def _priced(self) -> set[str]:
        """Tokens whose feed matters: base tokens, the wrapped native token, and what may be traded."""
        settings = self.settings
        wanted = {*settings.market.base_tokens, settings.market.wrapped_native, *settings.risk.allowed_tokens}
        return wanted & self.market.token_row.keys()

    async def _head(self) -> BlockRef:
        return await _head(self.node)


async def _head(node: EndpointSet) -> BlockRef:
    return header(await node.request("eth_getBlockByNumber", ["latest", False])).ref


@asynccontextmanager
async def open_session(
    settings: Settings,
    *,
    key: Key | None = None,
    lanes: Sequence[LaneKey] = (),
    guard: Guard | None = None,
    publish: Callable[[Fact], None] = lambda fact: None,
    observe: Callable[[str, dict[str, Any]], None] = lambda fact, values: None,
    progress: Progress = silent,
    cache: PoolCache | None = None,
    verdicts: Iterable[TokenVerdict] = (),
    recorder: Recorder | None = None,
) -> AsyncIterator[Session]:
    """A session ready to `follow`. Without a `key` nothing can be sent (paper mode). A `cache` spares reading
    again what did not change since an earlier session; `verdicts` on tokens are its findings.

    Raises ConfigError for a node of another chain, DeploymentError for contracts that are not what the
    manifests record, NodeUnreachable for a dead node, ExecutionError for a foreign use of the key.
    """
    chain = settings.chain
    async with Closing(observe) as closing:
        connecting = connect_all(
            chain.rpc_url,
            throttle_per_second=chain.requests_per_second,
            timeout_s=chain.timeout_s,
            witnesses=chain.head_witnesses,
            observer=observe,
        )
        node = await closing.enter("node connections", connecting, _STEP_S)
        chain_id = await node.chain_id()
        if chain_id != chain.chain_id:
            raise ConfigError(
                f"node {chain.shown_url} serves chain {chain_id} but chain.chain_id is "
                f"{chain.chain_id}: use a node of that chain or correct the setting"
            )
        directory = settings.deployments.directory
        manifests = read_manifests(directory, chain_id)
        deployment, router = await current_deployment(node, manifests, await _head(node))
        if (recorded := manifests[ROUTER].address) != router.address:
            observe("router_changed", {"from": recorded, "to": router.address})
        lenders = LenderBook(node, settings.execution.lenders, router.pinned, settings.market.base_tokens)
        await lenders.open()
        activity, gas = ActivityLog(), gas_learner(settings.gas)

        def heard(fact: Fact) -> None:
            activity.take(fact)
            ladder.take(fact)
            if settings.risk.token_verdicts == "required":
                tokens.take(fact)
            gas.take(fact)
            if session.lists is not None:
                session.lists.take(fact)
            publish(fact)

        tokens = TokenWatch(
            node, token_judge(settings, node, deployment.router, router.operator), heard, verdicts
        )
        guard = guard or Guard(halt_file(settings))
        ladder = Ladder(settings.breakers, _halting(guard, observe), heard)
        session = Session(
            settings,
            node,
            deployment,
            router.operator,
            guard,
            heard,
            observe,
            MarketFeed(node, settings, progress, cache),
            make_bidder(settings),
            activity,
            gas,
            RouterWatch(node, directory, chain_id, observe, router),
            ImplementationWatch(
                node,
                directory,
                chain_id,
                observe,
                {DEX_REGISTRY: deployment.dex_registry, PRICE_FEED_REGISTRY: deployment.price_feed_registry},
            ),
            lenders,
            tokens,
            ladder,
            recorder,
        )
        if key is not None:
            session.sender = await _open_lanes(
                node, settings, [LaneKey(key, router.address), *lanes], router, session.bidder, heard
            )
            session.routers.in_flight = session.sender.in_flight
        if settings.execution.access_lists == "auto" and data_fee_of(settings) is DataFee.NONE:
            least_gas = settings.execution.access_list_least_gas
            session.lists = AccessLists(node, session.sender_to, least_gas)
            closing.then("access lists", session.lists.close, _STEP_S)
        closing.then("pool cache", session.save, _STEP_S)
        closing.then("tripwire", session.rest, _STEP_S)
        closing.then("token trials", tokens.close, _STEP_S)
        await session.synchronise()
        yield session


async def _open_lanes(
    node: EndpointSet,
    settings: Settings,
    lanes: Sequence[LaneKey],
    current: Router,
    bidder: Bidder,
    publish: Callable[[Fact], None],
) -> Lanes:
    """Every operator's sender, the current router's first: what an earlier run left is tied up in each."""
    opened = []
    for lane in lanes:
        own = lane.router == current.address
        router = current if own else await sister_router(node, lane.router, current)
        sender = await open_sender(node, settings, lane.key, router.address, router.operator, bidder, publish)
        opened.append(Lane(router.address, sender))
    return Lanes(opened)


def _halting(guard: Guard, observe: Callable[[str, dict[str, Any]], None]) -> Callable[[str], None]:
    """Writes a halt down; where that fails the run is halted all the same."""

    def halt(reason: str) -> None:
        try:
            guard.halt(reason)
        except OSError as error:
            observe("halt_not_written", {"reason": reason, "error": str(error)})

    return halt
