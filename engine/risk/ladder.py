"""The degradation ladder: which state the engine is in, and why.

ACTIVE trades. REDUCING sends nothing new and resolves what is in flight; it heals by itself once its causes
are gone. HALTED does the same until a person has looked, or until whoever stopped the chain's contracts lets
them go on. The worst cause decides; nothing but the end of a cause leads back up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from engine.domain.events import (
    BlockFinished,
    BlockSkipped,
    BooksCompared,
    ExecutionResolved,
    Fact,
    OpportunityRefused,
    PlanSimulated,
    PoolDiverged,
    TradingStateChanged,
    VenueHalted,
)
from engine.domain.execution import Execution, Outcome
from engine.domain.market import BlockRef
from engine.domain.opportunity import Opportunity, RefusalReason, TradingState
from engine.risk.breakers import BreakerLimits, Breakers


class Cause(StrEnum):
    """Why the engine is not ACTIVE."""

    PERSON = "person"
    CHAIN = "chain"
    NODE = "node"
    RESYNC = "resync"
    DIVERGENCE = "divergence"
    REVERTS = "reverts"
    LOSSES = "losses"
    MISMATCH = "mismatch"
    BOOKS = "books"


# What only a person may take back: each is written down as a halt.
LATCHED = frozenset({Cause.REVERTS, Cause.LOSSES, Cause.MISMATCH, Cause.BOOKS})
_HALTS = LATCHED | {Cause.PERSON, Cause.CHAIN}
_SIMULATION_FAILED = frozenset({RefusalReason.SIMULATION_REVERTED, RefusalReason.SIMULATION_MISMATCH})


@dataclass(frozen=True, slots=True)
class Standing:
    """A cause that holds, in words, and the block since which it does."""

    cause: Cause
    detail: str
    since_block: int

    @property
    def state(self) -> TradingState:
        return TradingState.HALTED if self.cause in _HALTS else TradingState.REDUCING


class Ladder:
    """Hears the line's facts and says what state the engine is in.

    `halt` writes a latched cause down where a restart and `roundtrip resume` find it; `publish` hears of
    changes.
    """

    def __init__(
        self,
        limits: BreakerLimits,
        halt: Callable[[str], None] = lambda reason: None,
        publish: Callable[[Fact], None] = lambda fact: None,
    ):
        self.limits = limits
        self.breakers = Breakers(limits)
        self.causes: dict[Cause, Standing] = {}
        self._halt = halt
        self._publish = publish
        self._told = TradingState.ACTIVE
        self._written_down = False
        self._good_blocks = 0
        self._calm_at = -1
        self._diverged: deque[int] = deque()
        self._reverted: deque[int] = deque()
        self._lost: deque[tuple[int, int]] = deque()

    @property
    def state(self) -> TradingState:
        """The worst of what holds."""
        states = {standing.state for standing in self.causes.values()}
        if TradingState.HALTED in states:
            return TradingState.HALTED
        return TradingState.REDUCING if states else TradingState.ACTIVE

    def at(self, block: BlockRef, person: str | None, chain: str | None) -> TradingState:
        """The state at `block`, given why a person or the chain's contracts halt (None where they do not)."""
        self._set(Cause.PERSON, person, block.number)
        self._set(Cause.CHAIN, chain, block.number)
        if person is not None:
            self._written_down = True
        elif self._written_down:
            # Whoever took the halt back has looked at these.
            self._written_down = False
            for cause in LATCHED:
                self.causes.pop(cause, None)
        if block.number >= self._calm_at:
            self.causes.pop(Cause.DIVERGENCE, None)
        for venue in self.breakers.at(block.number):
            self._publish(VenueHalted(block, venue, self.breakers.closed[venue]))
        if self.state is not self._told:
            self._told = self.state
            why = tuple(f"{each.cause}: {each.detail}" for each in self.causes.values())
            self._publish(TradingStateChanged(block, self._told, why))
        return self._told

    def resynchronising(self, reason: str, block: int) -> None:
        """The market is being read anew: what comes next has to prove itself."""
        self._good_blocks = 0
        self._set(Cause.RESYNC, reason, block)

    def take(self, fact: Fact) -> None:
        """Hear one fact."""
        match fact:
            case BlockFinished():
                self._finished()
            case BlockSkipped():
                self._good_blocks = 0
                self._set(Cause.NODE, fact.reason, fact.block.number)
            case OpportunityRefused() if fact.refused.reason in _SIMULATION_FAILED:
                opportunity = fact.refused.opportunity
                self.breakers.failed(_venues(opportunity), opportunity.block.number)
            case PlanSimulated():
                self.breakers.passed(fact.simulated.plan.opportunity.pools)
            case PoolDiverged() if not fact.by_node:
                self._note_divergence(fact.block.number)
            case ExecutionResolved():
                self._resolved(fact.execution)
            case BooksCompared() if fact.differences:
                more = len(fact.differences) - 1
                what = fact.differences[0] + (f", and {more} more" if more else "")
                self._latch(Cause.BOOKS, what, fact.block.number)

    def _finished(self) -> None:
        self._good_blocks += 1
        if self._good_blocks >= self.limits.recovery_blocks:
            self.causes.pop(Cause.NODE, None)
            self.causes.pop(Cause.RESYNC, None)

    def _note_divergence(self, block: int) -> None:
        limits = self.limits
        self._diverged.append(block)
        _forget(self._diverged, block - limits.window_blocks)
        if limits.divergences is not None and len(self._diverged) >= limits.divergences:
            self._calm_at = block + limits.rest_blocks
            what = f"{len(self._diverged)} pools diverged within {limits.window_blocks} blocks"
            self._set(Cause.DIVERGENCE, what, block)

    def _resolved(self, execution: Execution) -> None:
        limits, block, intent = self.limits, execution.block_number, execution.intent
        if execution.outcome is Outcome.LANDED and intent.kind == "trade":
            # The router reverts below the minimum it is given: less than that is a lie somewhere. More is
            # luck: somebody moved the price, or a reorg took away what came before.
            least = _least_profit(execution)
            if limits.halt_on_mismatch and execution.realised_profit < least:
                what = (
                    f"{intent.transaction.hash} landed with a profit of {execution.realised_profit}, less "
                    f"than the {least} that the router was to enforce"
                )
                self._latch(Cause.MISMATCH, what, block)
            return
        if execution.outcome is Outcome.REVERTED:
            self._reverted.append(block)
            _forget(self._reverted, block - limits.window_blocks)
            if limits.reverts is not None and len(self._reverted) >= limits.reverts:
                what = f"{len(self._reverted)} reverts within {limits.window_blocks} blocks"
                self._latch(Cause.REVERTS, what, block)
        if execution.gas_paid_wei:
            self._lost.append((block, execution.gas_paid_wei))
            while self._lost and self._lost[0][0] <= block - limits.window_blocks:
                self._lost.popleft()
            lost = sum(wei for _, wei in self._lost)
            if limits.loss_wei is not None and lost >= limits.loss_wei:
                self._latch(Cause.LOSSES, f"{lost} wei lost within {limits.window_blocks} blocks", block)

    def _latch(self, cause: Cause, detail: str, block: int) -> None:
        if cause not in self.causes:
            self._set(cause, detail, block)
            self._halt(f"{cause}: {detail}")

    def _set(self, cause: Cause, detail: str | None, block: int) -> None:
        if detail is None:
            self.causes.pop(cause, None)
        elif cause not in self.causes:
            self.causes[cause] = Standing(cause, detail, block)


def _venues(opportunity: Opportunity) -> Mapping[str, str]:
    return {hop.pool: hop.venue for hop in opportunity.hops}


def _least_profit(execution: Execution) -> int:
    """What the router was told to enforce; what was simulated where the intent does not say."""
    intent = execution.intent
    return int(intent.record.get("plan", {}).get("min_profit", intent.simulated_profit))


def _forget(blocks: deque[int], until: int) -> None:
    while blocks and blocks[0] <= until:
        blocks.popleft()
