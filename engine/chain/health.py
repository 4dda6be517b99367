"""How well an endpoint serves: what it failed, how fast it answers, how far behind its head is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.chain.wire import Header
from engine.domain.errors import MalformedAnswer, NodeError, NodeUnreachable, RateLimited

_HALF_LIFE_S = 30.0
_NEW_SAMPLE_WEIGHT = 0.2
_LEAST_PATIENCE_S = 0.4
_MOST_PATIENCE_S = 5.0
# What one failure of each kind adds to the score, in milliseconds of latency it is worth.
_PENALTY_MS = {
    "unreachable": 500.0,
    "rate limited": 300.0,
    "malformed": 5_000.0,
    "refused": 100.0,
    "overtaken": 200.0,
}
_BEHIND_MS = 1_000.0


def failure_kind(error: NodeError) -> str:
    """The name under which an error is counted against its endpoint."""
    if isinstance(error, MalformedAnswer):
        return "malformed"
    if isinstance(error, RateLimited):
        return "rate limited"
    return "unreachable" if isinstance(error, NodeUnreachable) else "refused"


@dataclass(slots=True)
class Health:
    """What is known of one endpoint. `est_latency_ms` by method; `head` is the newest it announced, heard at
    `head_at` on `clock` (seconds); `up` says whether its heads are being received, `lost` that
    listening to them failed."""

    clock: Callable[[], float] = time.monotonic
    est_latency_ms: dict[str, float] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    up: bool = False
    lost: bool = False
    head: Header | None = None
    head_at: float = 0.0
    _penalty_ms: float = 0.0
    _penalised_at: float = 0.0

    def answered(self, method: str, elapsed_s: float) -> None:
        """Count an answer."""
        self.answers += 1
        known = self.est_latency_ms.get(method)
        sample = elapsed_s * 1e3
        self.est_latency_ms[method] = (
            sample if known is None else known + _NEW_SAMPLE_WEIGHT * (sample - known)
        )

    def failed(self, error: NodeError) -> None:
        """Count a failure against the endpoint; it weighs half as much every thirty seconds."""
        self._count(failure_kind(error))

    def overtaken(self) -> None:
        """Count that another endpoint, asked later, answered first."""
        self._count("overtaken")

    def _count(self, kind: str) -> None:
        self.failures[kind] += 1
        self._penalty_ms = self._decayed_ms() + _PENALTY_MS[kind]
        self._penalised_at = self.clock()

    def heard(self, head: Header) -> None:
        """A head it announced."""
        self.up, self.lost = True, False
        if self.head is None or self.head.ref.hash != head.ref.hash:
            self.head_at = self.clock()
        self.head = head

    def score_ms(self, best_block: int) -> float:
        """Lower is better: typical latency, plus what failures and the lag behind `best_block` are worth."""
        latencies = self.est_latency_ms.values()
        latency = sum(latencies) / len(latencies) if latencies else 0.0
        behind = max(best_block - self.head.ref.number, 0) if self.head else 0
        return latency + self._decayed_ms() + _BEHIND_MS * behind

    def patience_s(self, method: str) -> float:
        """How long to wait for its answer before another endpoint is asked too."""
        usual_s = self.est_latency_ms.get(method, 0.0) / 1e3
        return min(max(3 * usual_s, _LEAST_PATIENCE_S), _MOST_PATIENCE_S)

    def _decayed_ms(self) -> float:
        return self._penalty_ms * 0.5 ** ((self.clock() - self._penalised_at) / _HALF_LIFE_S)
