"""The stages of the line, and what each is asked: chosen by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engine.amm.layout import StateEvents
from engine.domain.events import Fact
from engine.domain.execution import Execution, Intent, Plan, SimulatedPlan
from engine.domain.market import BlockRef, PoolRecord, RawBlock
from engine.domain.opportunity import (
    Approved,
    ApprovedConversion,
    Conversion,
    Opportunity,
    Refused,
    TradingState,
)
from engine.domain.pool_state import BlockReading
from engine.market.market import Market
from engine.risk.activity import Activity
from engine.risk.view import RiskView
from engine.search.costs import GasCosts
from engine.search.strategy import CycleFinder


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the node says at a block besides the pools: prices, balances, switches."""

    view: RiskView
    costs: GasCosts


class Execute(Protocol):
    """The sending half of the line: absent in paper mode. `submit` returns the intent that may land, or the
    execution that says it was never sent; `in_flight_pools` are those that such intents touch."""

    @property
    def in_flight_pools(self) -> frozenset[str]: ...

    async def submit(self, simulated: SimulatedPlan) -> Intent | Execution: ...

    async def on_block(self, block: BlockRef) -> list[Execution]: ...


class Watch(Protocol):
    """Compares the market with the node. `note` hears of each block applied; `check` names those of the pools
    about to be traded that must not be; `sample` starts a comparison beside the line; `settle` acts on what
    samples found and returns the rows put right."""

    def note(self, raw: RawBlock, reorg_depth: int) -> None: ...

    async def check(self, block: BlockRef, keys: Collection[str]) -> frozenset[str]: ...

    def sample(self, block: BlockRef) -> None: ...

    def settle(self) -> list[int]: ...


def unpriced(simulated: SimulatedPlan, costs: GasCosts) -> SimulatedPlan:
    """The plan at its own fee."""
    return simulated


def unfinanced(opportunity: Opportunity) -> Opportunity:
    """The opportunity as it was found: no loan costs anything."""
    return opportunity


class PlanFor(Protocol):
    """Plans an opportunity for the child of `head`, those after it, and the conversions of their profits."""

    def __call__(
        self,
        approved: Approved,
        head: BlockRef,
        also: Sequence[Approved] = (),
        conversions: Sequence[ApprovedConversion] = (),
    ) -> Plan: ...


AssessConversion = Callable[[Conversion, BlockRef, RiskView], ApprovedConversion | Refused]


def no_pools(events: StateEvents) -> Sequence[PoolRecord]:
    """Logs tell everything."""
    return ()


def no_activity(block: BlockRef) -> Activity:
    """An engine that has done nothing yet."""
    return Activity()


def always_active() -> TradingState:
    """An engine without a ladder."""
    return TradingState.ACTIVE


@dataclass(frozen=True, slots=True)
class Line:
    """The stages between the market and the sender, chosen by the composition root.

    `conditions` asks the node what holds at a block; `admit` reads pools created in it into the market and
    returns their rows; `refresh` reads pools whose logs say that they changed, but not how, and with them
    those that `silent` names, which move without a log; `finance` adds what a loan costs; `price` sets the
    fees a simulated plan is sent at, and what is not as it was simulated is simulated anew; `execute` is None
    in paper mode; `publish` must not block; `activity` is what the engine did lately, `state` its rung of the
    ladder; `tripwire` compares the market with the node; a search stops after `search_seconds` with what it
    has; a transaction carries out at most `together` opportunities. Without `assess_conversion` only those of
    one base token go out together.
    """

    market: Market
    finder: CycleFinder
    conditions: Callable[[BlockRef], Coroutine[Any, Any, Conditions]]
    admit: Callable[[RawBlock], Awaitable[Sequence[int]]]
    refresh: Callable[[BlockRef, Sequence[PoolRecord]], Awaitable[Sequence[BlockReading]]]
    assess: Callable[[Opportunity, RiskView], Approved | Refused]
    plan: PlanFor
    simulate: Callable[[Plan, BlockRef], Awaitable[SimulatedPlan | Refused]]
    execute: Execute | None
    publish: Callable[[Fact], None]
    per_block: int
    silent: Callable[[StateEvents], Sequence[PoolRecord]] = no_pools
    price: Callable[[SimulatedPlan, GasCosts], SimulatedPlan] = unpriced
    finance: Callable[[Opportunity], Opportunity] = unfinanced
    activity: Callable[[BlockRef], Activity] = no_activity
    state: Callable[[], TradingState] = always_active
    tripwire: Watch | None = None
    search_seconds: float | None = None
    together: int = 1
    assess_conversion: AssessConversion | None = None
