"""The line: block in, signed transaction out. Direct calls only; facts go to whoever listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import StateEvents
from engine.chain.log_decoder import LogDecoder
from engine.domain.errors import ExecutionError, NodeError
from engine.domain.events import (
    BlockApplied,
    BlockFinished,
    BlockSkipped,
    ExecutionResolved,
    Fact,
    OpportunityApproved,
    OpportunityRefused,
    PlanSimulated,
    PlanSubmitted,
    PlanTakenApart,
    PoolQuarantined,
)
from engine.domain.execution import Execution, Intent, Plan, SimulatedPlan
from engine.domain.market import BlockRef, PoolRecord, RawBlock
from engine.domain.opportunity import (
    Approved,
    ApprovedConversion,
    CheckResult,
    Conversion,
    Opportunity,
    RefusalReason,
    Refused,
    TradingState,
)
from engine.domain.pool_state import BlockReading
from engine.domain.ports import BlockSource
from engine.execution.combination import Combination, alone, in_sequence, settled, side_by_side
from engine.gas_sharing import assess_riders, in_one, taking
from engine.market.market import Market
from engine.risk.activity import Activity
from engine.risk.view import RiskView
from engine.search.costs import GasCosts
from engine.search.strategy import CycleFinder, Found


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


class Pipeline:
    """Runs the line block by block.

    Pools of opportunities that were not executed are searched again with the next block's changes: what was
    refused for a passing reason must not be forgotten because its pools stayed quiet.
    """

    def __init__(self, line: Line):
        self._line = line
        self._decoder = LogDecoder(line.market.pool_row, line.market.pools, line.market.hubs)
        self._carried: set[int] = set()
        self._searched_all = False

    async def run(self, source: BlockSource, blocks: int | None = None) -> None:
        """Follow `source`, for `blocks` blocks if given.

        Raises ReorgTooDeep when the market must be read anew.
        """
        done = 0
        async for raw in source.blocks():
            await self.on_block(raw)
            done += 1
            if blocks is not None and done >= blocks:
                return

    async def on_block(self, raw: RawBlock) -> BlockFinished | None:
        """Take one block through the line. None when the node failed before anything was decided: the market
        has the block, its changes are searched with the next one's."""
        arrived = time.perf_counter()
        if self._line.tripwire is not None:
            self._carried.update(self._line.tripwire.settle())
        changed = await self._apply(raw)
        try:
            return await self._decide(raw, changed, arrived)
        except NodeError as error:
            self._carried.update(changed.tolist())
            self._line.publish(BlockSkipped(raw.block, str(error)))
            return None

    async def _decide(self, raw: RawBlock, changed: NDArray[np.int32], arrived: float) -> BlockFinished:
        line, block = self._line, raw.block
        conditions_task = asyncio.create_task(line.conditions(block))
        try:
            added = await line.admit(raw)
            await self._resolve(block)
            conditions = await conditions_task
        finally:
            conditions_task.cancel()
            await asyncio.gather(conditions_task, return_exceptions=True)
        rows = self._rows(changed, added) if self._searched_all else None
        deadline = None if line.search_seconds is None else time.monotonic() + line.search_seconds
        found = await asyncio.to_thread(
            line.finder.find, rows, block, conditions.costs, line.per_block, deadline
        )
        self._searched_all = self._searched_all or not found.partial
        for fact in found.facts:
            line.publish(fact)
        carried = {line.market.pool_row[pool] for opportunity in found for pool in opportunity.pools}
        self._carried = {row for first in carried for row in line.market.rows_of(first)}
        if found.partial and rows is not None:
            # What the deadline cut off is looked at again.
            self._carried.update(rows.tolist())
        view = self._with_outcomes(conditions.view)
        approved, riders = self._assess(found, view, conditions.costs)
        chosen = self._combine(approved, riders, found, view, conditions.costs)
        simulated, submitted = await self._carry_out(chosen, block, conditions.costs, arrived)
        elapsed_ms = (time.perf_counter() - arrived) * 1e3
        finished = BlockFinished(
            block, len(found), len(approved) + len(riders), simulated, submitted, elapsed_ms, found.partial
        )
        line.publish(finished)
        if line.tripwire is not None:
            line.tripwire.sample(block)
        return finished

    async def _apply(self, raw: RawBlock) -> NDArray[np.int32]:
        """The block into the market, after unwinding what it replaces."""
        line, block = self._line, raw.block
        head = line.market.head
        assert head is not None
        unwound = np.zeros(0, np.int32)
        if block.parent_hash != head.hash:
            unwound = line.market.rewind(block.parent_hash)
        decoded = self._decoder.decode(raw.logs)
        known_bad = set(line.market.quarantined)
        for row, reason in decoded.hostile:
            line.market.quarantine(row, reason)
        touched = (line.market.pools[row] for row in sorted(decoded.touched))
        unlogged = list(dict.fromkeys((*touched, *line.silent(decoded.events))))
        refreshed = await line.refresh(block, unlogged) if unlogged else ()
        changed = line.market.apply(block, decoded.events, refreshed, decoded.touched)
        fresh = line.market.quarantined.keys() - known_bad
        for row in sorted({line.market.rows_of(row).start for row in fresh}):
            line.publish(PoolQuarantined(block, line.market.pools[row].key, line.market.quarantined[row]))
        depth = head.number - block.number + 1
        if line.tripwire is not None:
            line.tripwire.note(raw, max(depth, 0))
        line.publish(BlockApplied(block, len(changed), max(depth, 0)))
        return np.union1d(changed, unwound).astype(np.int32)

    def _rows(self, changed: NDArray[np.int32], added: Sequence[int]) -> NDArray[np.int32]:
        carried = np.fromiter(self._carried, np.int32, len(self._carried))
        return np.union1d(np.union1d(changed, carried), np.asarray(added, np.int32)).astype(np.int32)

    def _with_outcomes(self, view: RiskView) -> RiskView:
        # Conditions are read while the block's outcomes are: only now is it known what still waits.
        view = replace(view, activity=self._line.activity(view.head))
        if (state := self._line.state()) is not TradingState.ACTIVE:
            view = replace(view, trading_state=state)
        execute = self._line.execute
        return view if execute is None else replace(view, in_flight_pools=execute.in_flight_pools)

    async def settle(self, block: BlockRef) -> None:
        """Resolve what `block` decided, without searching or sending."""
        await self._resolve(block)

    async def _resolve(self, block: BlockRef) -> None:
        if self._line.execute is None:
            return
        for execution in await self._line.execute.on_block(block):
            self._line.publish(ExecutionResolved(execution))

    def _assess(
        self, found: Sequence[Opportunity], view: RiskView, costs: GasCosts
    ) -> tuple[list[Approved], list[Approved]]:
        """Those the risk chain lets pass, best first, and riders: those that are worth what they add to the
        transaction of one of them, but no transaction of their own. Each takes its pools: a later one that
        shares a pool conflicts with it, as with one already in flight."""
        line = self._line
        approved, short = list[Approved](), list[Refused]()
        for opportunity in map(line.finance, found):
            verdict = line.assess(opportunity, view)
            if isinstance(verdict, Approved):
                approved.append(verdict)
                view = taking(view, verdict)
                line.publish(OpportunityApproved(verdict))
            elif verdict.reason is RefusalReason.NET_PROFIT_TOO_LOW:
                short.append(verdict)
            else:
                line.publish(OpportunityRefused(verdict))
        riders = assess_riders(line.assess, line.together, short, approved, view, costs)
        riding = {each.opportunity.id for each in riders}
        for refused in short:
            if refused.opportunity.id not in riding:
                line.publish(OpportunityRefused(refused))
        for each in riders:
            line.publish(OpportunityApproved(each))
        return approved, riders

    def _assess_sequence(
        self,
        sequence: Sequence[Opportunity],
        view: RiskView,
        costs: GasCosts,
        bearing: Collection[str] | None = None,
    ) -> list[Approved]:
        """The opportunities, if the risk chain lets each of them pass with the gas that it adds to the
        transaction and its part of the transaction's own, which those of the `bearing` base tokens bear (each
        token has its own transaction when None); else none."""
        line, approved = self._line, list[Approved]()
        due: dict[int, Opportunity] = {}
        for token in {each.base_token for each in sequence}:
            places = [at for at, each in enumerate(sequence) if each.base_token == token]
            bears = bearing is None or token in bearing
            due |= zip(places, in_one([sequence[at] for at in places], costs, bears), strict=True)
        for at in range(len(sequence)):
            verdict = line.assess(line.finance(due[at]), view)
            if isinstance(verdict, Refused):
                return []
            approved.append(verdict)
        return approved

    def _assess_settlement(self, found: Found, view: RiskView, costs: GasCosts) -> Combination | None:
        """The finder's settlement in one token, if the risk chain lets each opportunity and each conversion
        pass, and the router can carry out all at once."""
        line, settlement = self._line, found.settlement
        if settlement is None or line.assess_conversion is None:
            return None
        if not 1 < len(settlement.opportunities) <= line.together:
            return None
        planned = self._assess_sequence(settlement.opportunities, view, costs, {settlement.base_token})
        if not planned:
            return None
        sold = [line.assess_conversion(each, view.head, view) for each in settlement.conversions]
        passed = tuple(each for each in sold if isinstance(each, ApprovedConversion))
        if len(passed) < len(sold):
            return None
        together = Combination(tuple(planned), (), passed)
        return None if isinstance(self._plan(together, view.head), Refused) else together

    def _combine(
        self,
        approved: Sequence[Approved],
        riders: Sequence[Approved],
        found: Found,
        view: RiskView,
        costs: GasCosts,
    ) -> list[Combination]:
        """What goes out together: opportunities side by side, a sequence, or what is settled in one token,
        whichever is worth most."""
        most = self._line.together
        choices = [side_by_side(approved, most, riders)]
        sequence = found.sequence[:most] if most > 1 else ()
        choices.append(in_sequence(self._assess_sequence(sequence, view, costs), approved))
        one = self._assess_settlement(found, view, costs)
        if one is not None:
            choices.append(settled(one.together, one.conversions, approved, most))
        chosen = max(choices, key=lambda choice: sum(net_wei(each, costs) for each in choice))
        said = {id(each) for each in (*approved, *riders)}
        for planned in (each for combination in chosen for each in combination.together):
            if id(planned) not in said:
                self._line.publish(OpportunityApproved(planned))
        return chosen

    def _plan(self, combination: Combination, block: BlockRef) -> Plan | Refused:
        first, *also = combination.together
        try:
            return self._line.plan(first, block, also, combination.conversions)
        except ExecutionError as error:
            unfit = CheckResult("plan", False, RefusalReason.NOT_ENCODABLE, {"error": str(error)})
            return Refused(first.opportunity, (*first.results, unfit))

    async def _diverged(self, combinations: Sequence[Combination], block: BlockRef) -> frozenset[str]:
        """Pools that the tripwire does not let pass; asked while the plans are simulated."""
        if self._line.tripwire is None or not combinations:
            return frozenset()
        keys = frozenset[str]().union(*(each.pools for each in combinations))
        return await self._line.tripwire.check(block, keys)

    async def _simulate(self, combinations: Sequence[Combination], block: BlockRef) -> list[SimulatedPlan]:
        """Simulate all side by side; those that do not hold together are simulated one by one."""
        line, held, apart = self._line, list[SimulatedPlan](), list[Combination]()

        async def simulated(combination: Combination) -> SimulatedPlan | Refused:
            plan = self._plan(combination, block)
            return plan if isinstance(plan, Refused) else await line.simulate(plan, block)

        answers = await asyncio.gather(*(simulated(each) for each in combinations))
        for combination, answer in zip(combinations, answers, strict=True):
            if isinstance(answer, SimulatedPlan):
                held.append(answer)
            elif len(combination.together) > 1:
                ids = tuple(each.opportunity.id for each in combination.together)
                line.publish(PlanTakenApart(block, ids, answer.reason.value))
                apart += alone(combination.apart)
            else:
                line.publish(OpportunityRefused(answer))
        return held + await self._simulate(apart, block) if apart else held

    async def _carry_out(
        self, combinations: Sequence[Combination], block: BlockRef, costs: GasCosts, arrived: float
    ) -> tuple[int, int]:
        """Simulate all plans, price and submit those that held in order; returns both counts."""
        line = self._line
        diverged, held = await asyncio.gather(
            self._diverged(combinations, block), self._simulate(combinations, block)
        )
        simulated = submitted = 0
        for answer in held:
            if bad := diverged.intersection(answer.plan.pools):
                for refused in _distrusted(answer, sorted(bad)):
                    line.publish(OpportunityRefused(refused))
                continue
            simulated += 1
            priced = line.price(answer, costs)
            if priced.plan.calldata != answer.plan.calldata:
                again = await line.simulate(priced.plan, block)
                if isinstance(again, Refused):
                    for each in priced.plan.together:
                        line.publish(OpportunityRefused(replace(again, opportunity=each.opportunity)))
                    continue
                priced = again
            line.publish(PlanSimulated(priced))
            if line.execute is None:
                continue
            sent = await line.execute.submit(priced)
            if isinstance(sent, Execution):
                line.publish(ExecutionResolved(sent))
                continue
            submitted += 1
            line.publish(PlanSubmitted(sent, (time.perf_counter() - arrived) * 1e3))
        return simulated, submitted


def net_wei(combination: Combination, costs: GasCosts) -> int:
    """What a combination earns after the gas of its one transaction, wei of the native coin; 0 without a
    price."""
    opportunities = [each.opportunity for each in combination.together]
    sold = [each.conversion for each in combination.conversions]
    hops = [hop.protocol for each in (*opportunities, *sold) for hop in each.hops]
    token = opportunities[0].base_token
    gross = sum(each.gross_profit for each in opportunities if each.base_token == token)
    gross += sum(each.amount_out for each in sold)
    cost = costs.cost(token, costs.gas_units(hops), len(hops))
    return costs.value_wei(token, gross - cost) or 0


def _distrusted(simulated: SimulatedPlan, pools: list[str]) -> list[Refused]:
    failed = CheckResult("tripwire", False, RefusalReason.POOL_QUARANTINED, {"pools": ",".join(pools)})
    return [Refused(each.opportunity, (*each.results, failed)) for each in simulated.plan.together]
