"""The line again, on what a recording holds: no node, no clock, no network."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.app.depth import depth_of
from engine.app.finders import make_finder
from engine.app.loading import load
from engine.app.recording.codec import rich
from engine.app.recording.decisions import Decisions
from engine.app.recording.recorder import VERSION, simulation_key
from engine.app.sending import make_bidder, plan_terms
from engine.app.settings import Settings, build_settings
from engine.domain.errors import ConfigError, NodeError, RoundtripError, UsageError
from engine.domain.events import Fact
from engine.domain.execution import Pinned, Plan, SimulatedPlan
from engine.domain.market import BlockRef, PoolRecord, RawBlock
from engine.domain.opportunity import CheckResult, RefusalReason, Refused, TradingState
from engine.domain.pool_state import BlockReading, Bootstrap
from engine.execution.lenders import Lender
from engine.execution.planner import Planner
from engine.line.stages import Conditions, Line
from engine.market.market import Market
from engine.market.silent import SilentReads
from engine.pipeline import Pipeline
from engine.risk.activity import ActivityLog
from engine.risk.chain import RiskChain
from engine.risk.view import RiskView
from engine.search.costs import GasCosts


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay. `recorded` is the digest of the decisions when they were recorded; None where
    the recording was cut off."""

    blocks: int
    decisions: Decisions
    recorded: str | None


async def replay(path: Path, settings: Settings | None = None) -> Replayed:
    """Run the line on a recording, with its settings or others.

    Raises UsageError when the file is not a recording of this version.
    """
    decisions = Decisions()
    recorded, blocks = None, 0
    stage: _Stage | None = None
    try:
        for document in _documents(path):
            match document["is"]:
                case "settings":
                    if document["version"] != VERSION:
                        raise UsageError(
                            f"{path} is of version {document['version']}, not {VERSION}: record anew"
                        )
                    settings = settings or build_settings(document["settings"], str(path))
                case "start" if settings is not None:
                    stage = _Stage(settings, document, decisions)
                case "block" if stage is not None:
                    await stage.take(document)
                    blocks += 1
                case "end":
                    recorded = document["decisions"]
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        if isinstance(error, RoundtripError):
            raise
        raise UsageError(f"{path} is not a recording of `roundtrip record`: {error}") from error
    if stage is None:
        raise UsageError(f"{path} holds no market: the recording was stopped before it began")
    return Replayed(blocks, decisions, recorded)


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    """The recording's lines; one that was cut off ends with its last whole line."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            try:
                for line in file:
                    yield json.loads(line)
            except EOFError:
                return
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"recording {path} cannot be read: {error}") from None


class _Stage:
    """One market and its line, from one reading of the chain to the next."""

    def __init__(self, settings: Settings, start: dict[str, Any], decisions: Decisions):
        reading = rich(start["reading"])
        self._market = market = Market(block_interval=settings.chain.block_interval_s)
        market.start(reading.block)
        load(market, reading)
        self._record: dict[str, Any] = {}
        self._verdicts: Any = {}
        self._lenders = _Lenders()
        activity = ActivityLog()

        def publish(fact: Fact) -> None:
            activity.take(fact)
            decisions.take(fact)

        pinned = Pinned(*start["pinned"])
        planner = Planner(start["router"], plan_terms(settings), lambda: 0, pinned, self._lenders)
        self._planner = planner
        on_landing = planner if settings.bid.payment == "landing" else None
        bidder = make_bidder(settings)
        risk = RiskChain(settings.risk)
        self._pipeline = Pipeline(
            Line(
                market=market,
                finder=make_finder(
                    settings.search.finder,
                    market,
                    start["bases"],
                    settings.search.max_hops,
                    settings.risk.trade_caps,
                    settings.execution.together,
                ),
                conditions=self._conditions,
                admit=self._admit,
                refresh=self._refresh,
                silent=SilentReads(market).due,
                assess=risk.assess,
                assess_conversion=risk.assess_conversion,
                plan=planner.plan,
                simulate=self._simulate,
                execute=None,
                publish=publish,
                activity=activity.at,
                per_block=settings.search.per_block,
                together=settings.execution.together,
                price=lambda simulated, costs: bidder.price(simulated, costs.value_wei, on_landing),
                finance=planner.finance,
            )
        )

    async def take(self, record: dict[str, Any]) -> None:
        """One block through the line."""
        self._record = record
        await self._pipeline.on_block(RawBlock(rich(record["block"]), record["logs"]))

    def _unless_failed(self, what: str) -> None:
        if self._record.get("failed") == what:
            raise NodeError("the node failed here when this was recorded")

    async def _admit(self, raw: RawBlock) -> Sequence[int]:
        self._unless_failed("admit")
        admitted = self._record.get("admitted")
        if admitted is None:
            return ()
        reading: Bootstrap = rich(admitted)
        return [row for first in load(self._market, reading) for row in self._market.rows_of(first)]

    async def _refresh(self, block: BlockRef, pools: Sequence[PoolRecord]) -> Sequence[BlockReading]:
        return rich(self._record["refreshed"])

    async def _conditions(self, block: BlockRef) -> Conditions:
        self._unless_failed("conditions")
        said = self._record["conditions"]
        if (turned_to := self._record.get("turned_to")) is not None:
            self._planner.turn_to(turned_to["router"], Pinned(*turned_to["pinned"]))
        if said["verdicts"] is not None:
            self._verdicts = rich(said["verdicts"])
        self._lenders.known = rich(self._record["lenders"])
        view, costs = said["view"], said["costs"]
        market = self._market
        return Conditions(
            RiskView(
                head=rich(view["head"]),
                trading_state=TradingState(view["trading_state"]),
                venues=view["venues"],
                proven_pools=market.pool_row.keys(),
                quarantined=view["quarantined"],
                allowed_tokens=frozenset(view["allowed_tokens"]),
                token_verdicts=self._verdicts,
                decimals={token.address: token.decimals for token in market.tokens},
                feeds=rich(view["feeds"]),
                operator_balance_wei=view["operator_balance_wei"],
                next_base_fee_wei=view["next_base_fee_wei"],
                priority_fee_wei=view["priority_fee_wei"],
                data_base_wei=view["data_base_wei"],
                data_hop_wei=view["data_hop_wei"],
                head_witnessed=view["head_witnessed"],
                depth=depth_of(market),
            ),
            GasCosts(
                costs["gas_price_wei"],
                rich(costs["base_units_per_eth_wei"]),
                costs["base_gas"],
                rich(costs["hop_gas"]),
                costs["data_base_wei"],
                costs["data_hop_wei"],
            ),
        )

    async def _simulate(self, plan: Plan, block: BlockRef) -> SimulatedPlan | Refused:
        answer = self._record.get("simulations", {}).get(simulation_key(plan, block))
        if answer is None:
            self._unless_failed("simulate")
            unknown = CheckResult(
                "simulation",
                False,
                RefusalReason.SIMULATION_REVERTED,
                {"error": "this plan was not simulated when the recording was made"},
            )
            return Refused(plan.opportunity, (*plan.approved.results, unknown))
        if "refused" in answer:
            return Refused(plan.opportunity, (*plan.approved.results, rich(answer["refused"])))
        return SimulatedPlan(
            plan=replace(plan, gas_limit=answer["gas_limit"]),
            block=block,
            simulated_profit=answer["profit"],
            gas_used=answer["gas_used"],
            results=(*plan.approved.results, *map(rich, answer["results"])),
        )


class _Lenders(Sequence[Lender]):
    """The lenders as of the block that is replayed."""

    def __init__(self) -> None:
        self.known: tuple[Lender, ...] = ()

    def __len__(self) -> int:
        return len(self.known)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self.known[index]
