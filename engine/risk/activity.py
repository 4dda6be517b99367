"""What the engine did lately, for the checks that limit exposure, losses and bad luck."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.describe import chains_of
from engine.domain.events import BlockApplied, ExecutionResolved, Fact, PlanSubmitted
from engine.domain.execution import Execution, Intent, Outcome
from engine.domain.market import BlockRef

HOUR_S = 3_600
OUTCOMES_KEPT = 50
_ENDED = frozenset((Outcome.LANDED, Outcome.REVERTED, Outcome.MISSED, Outcome.REPLACED))


@dataclass(frozen=True, slots=True)
class Activity:
    """The last hour before a block, by the chain's clock.

    - `volume`: amounts in of what was sent, by base token, base units.
    - `venue_trades`: how often each venue was traded on.
    - `lost_wei`: gas paid for transactions that reverted or only cancelled.
    - `outcomes`, `failures`: of the last 50 trades however old, those that ended and those that did not land.
    - `error`: largest difference between expected and realised profit, by base token, base units.
    - `reorg_depth`, `blocks_since_reorg`: of the last reorg that was seen; depth 0 when there was none.
    """

    volume: Mapping[str, int] = field(default_factory=dict)
    venue_trades: Mapping[str, int] = field(default_factory=dict)
    lost_wei: int = 0
    outcomes: int = 0
    failures: int = 0
    error: Mapping[str, int] = field(default_factory=dict)
    reorg_depth: int = 0
    blocks_since_reorg: int = 0


class ActivityLog:
    """Listens to the line's facts and answers with the `Activity` at a block. Bounded: it keeps an hour."""

    def __init__(self) -> None:
        self._now_s = 0
        self._sent: deque[tuple[int, Intent]] = deque()
        self._ended: deque[tuple[int, Execution]] = deque()
        self._outcomes: deque[bool] = deque(maxlen=OUTCOMES_KEPT)
        self._reorg: tuple[int, int] | None = None

    def take(self, fact: Fact) -> None:
        """Note one fact; those that say nothing about activity are passed over."""
        match fact:
            case BlockApplied():
                self._now_s = fact.block.timestamp
                if fact.reorg_depth:
                    self._reorg = fact.reorg_depth, fact.block.number
            case PlanSubmitted():
                self._sent.append((self._now_s, fact.intent))
            case ExecutionResolved():
                self._resolved(fact.execution)

    def _resolved(self, execution: Execution) -> None:
        self._ended.append((self._now_s, execution))
        if execution.intent.kind == "trade" and execution.outcome in _ENDED:
            self._outcomes.append(execution.outcome is Outcome.LANDED)

    def at(self, block: BlockRef) -> Activity:
        """The last hour before `block`."""
        since = block.timestamp - HOUR_S
        for kept in (self._sent, self._ended):
            while kept and kept[0][0] < since:
                kept.popleft()
        volume: Counter[str] = Counter()
        venues: Counter[str] = Counter()
        for _, intent in self._sent:
            for chain in chains_of(intent.record):
                if chain:
                    volume[chain[0]["token_in"]] += int(chain[0]["amount_in"])
                venues.update(hop["venue"] for hop in chain)
        error: dict[str, int] = {}
        lost = 0
        for _, execution in self._ended:
            token = execution.intent.base_token
            if execution.intent.kind == "trade" and execution.outcome is Outcome.LANDED:
                missed = abs(execution.realised_profit - execution.intent.expected_profit)
                error[token] = max(error.get(token, 0), missed)
            else:
                lost += execution.gas_paid_wei
        depth, at = self._reorg or (0, block.number)
        return Activity(
            volume=dict(volume),
            venue_trades=dict(venues),
            lost_wei=lost,
            outcomes=len(self._outcomes),
            failures=sum(not landed for landed in self._outcomes),
            error=error,
            reorg_depth=depth,
            blocks_since_reorg=max(block.number - at, 0),
        )
