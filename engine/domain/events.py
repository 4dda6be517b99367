"""Facts the line states as it goes; whoever listens may be slow or dead, the line goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.execution import Dispatch, Execution, Intent, SimulatedPlan
from engine.domain.market import BlockRef
from engine.domain.opportunity import Approved, Refused, TradingState
from engine.domain.token_safety import TokenVerdict


@dataclass(frozen=True, slots=True)
class BlockApplied:
    """All of a block's pool events are in the market. `reorg_depth` blocks were unwound first."""

    block: BlockRef
    changed_pools: int
    reorg_depth: int = 0


@dataclass(frozen=True, slots=True)
class PoolQuarantined:
    """A pool's state can no longer be trusted; it is invisible to search until it is read again."""

    block: BlockRef
    pool: str
    reason: str


@dataclass(frozen=True, slots=True)
class PoolDiverged:
    """The node said otherwise about a pool than the market at the same block. `cause` is a class of
    explanations, `changed` names what differs; `by_node` where the node was wrong and our state of the pool
    is right."""

    block: BlockRef
    pool: str
    venue: str
    cause: str
    changed: tuple[str, ...]
    by_node: bool = False


@dataclass(frozen=True, slots=True)
class VenueHalted:
    """The venue's pools diverged again and again: nothing is traded there until the next start."""

    block: BlockRef
    venue: str
    reason: str


@dataclass(frozen=True, slots=True)
class OptimumBounded:
    """What all pools together held at a block, wei of the native coin: at most `bound_wei` before gas, and at
    least `reached_wei`. `cycles` planned together earn the part `captured` of the bound, and `net_wei` after
    the gas of their swaps. The bound does not cover `left_out`: token pairs of pools, counted by protocol."""

    block: BlockRef
    bound_wei: int
    reached_wei: int
    captured: float
    net_wei: int
    cycles: int
    elapsed_ms: float
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenJudged:
    """A token was tried at a block, and what came of it."""

    block: BlockRef
    verdict: TokenVerdict


@dataclass(frozen=True, slots=True)
class OpportunityRefused:
    """The risk chain or the simulation said no."""

    refused: Refused


@dataclass(frozen=True, slots=True)
class OpportunityApproved:
    """Every check before simulation passed."""

    approved: Approved


@dataclass(frozen=True, slots=True)
class PlanSimulated:
    """The node repeated the predicted profit to the wei. In paper mode the line ends here."""

    simulated: SimulatedPlan


@dataclass(frozen=True, slots=True)
class PlanTakenApart:
    """Opportunities that did not hold together in one transaction, with the reason; they are tried one by
    one."""

    block: BlockRef
    opportunities: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class PlanSubmitted:
    """The intent is on disk and the node took the transaction. `block_to_submit_ms` from block arrival."""

    intent: Intent
    block_to_submit_ms: float


@dataclass(frozen=True, slots=True)
class PlanDispatched:
    """What each channel answered to a transaction."""

    intent: Intent
    dispatches: tuple[Dispatch, ...]


@dataclass(frozen=True, slots=True)
class ExecutionResolved:
    """A nonce has its one outcome."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class BlockFinished:
    """The line is done with a block. `elapsed_ms` from its arrival; `partial` when the search ran out of time
    and may have missed better opportunities."""

    block: BlockRef
    found: int
    approved: int
    simulated: int
    submitted: int
    elapsed_ms: float
    partial: bool = False


@dataclass(frozen=True, slots=True)
class BlockSkipped:
    """The node failed while the block was in the line; nothing more is decided on it."""

    block: BlockRef
    reason: str


@dataclass(frozen=True, slots=True)
class TradingStateChanged:
    """The engine went to another rung of the degradation ladder at a block, and why."""

    block: BlockRef
    state: TradingState
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BooksCompared:
    """Journal, chain and ledger were compared at a block: `level` executions are the same in all, `restored`
    were lacking in the ledger and are written again, `differences` say what disagrees otherwise."""

    block: BlockRef
    level: int
    restored: int
    differences: tuple[str, ...]


Fact = (
    BlockApplied
    | PoolQuarantined
    | PoolDiverged
    | VenueHalted
    | OptimumBounded
    | TokenJudged
    | OpportunityRefused
    | OpportunityApproved
    | PlanSimulated
    | PlanTakenApart
    | PlanSubmitted
    | PlanDispatched
    | ExecutionResolved
    | BlockFinished
    | BlockSkipped
    | TradingStateChanged
    | BooksCompared
)
