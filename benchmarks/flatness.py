"""Whether what a long run holds and how long its blocks take stay level, judged window by window."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

# What a run fills once (caches, pools of connections, an hour of activity) is filled by then.
WARM_UP_PART = 0.2


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of blocks: the median of the memory and the least of the rest that the process held, and how
    long blocks took to be done with."""

    blocks: int
    resident_bytes: int
    open_files: int
    threads: int
    tasks: int
    p50_ms: float
    p99_ms: float
    load: float

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bound:
    """The most a measure may have grown from the first to the last third: a factor and an amount."""

    measure: str
    factor: float
    beyond: float = 0.0


# The journal remembers every transaction's id so that none is sent twice: 0.1 MB per thousand of them.
BOUNDS = (
    Bound("resident_bytes", 1.03),
    Bound("open_files", 1.0, 1),
    Bound("threads", 1.0, 1),
    Bound("tasks", 1.0, 1),
    Bound("p50_ms", 1.25, 0.5),
    Bound("p99_ms", 1.25, 1.0),
)


@dataclass(frozen=True, slots=True)
class Growth:
    """A measure's medians over the first and the last third of the windows after the warm-up."""

    measure: str
    first: float
    last: float
    most: float

    @property
    def is_flat(self) -> bool:
        return self.last <= self.most


def growths(windows: Sequence[Window], bounds: Sequence[Bound] = BOUNDS) -> list[Growth]:
    """How much each measure grew. Raises ValueError for fewer than five windows."""
    if len(windows) < 5:
        raise ValueError(f"{len(windows)} windows do not show a trend: five at least")
    settled = windows[int(len(windows) * WARM_UP_PART) :]
    third = max(1, len(settled) // 3)
    found = []
    for bound in bounds:
        first, last = (
            statistics.median(getattr(window, bound.measure) for window in part)
            for part in (settled[:third], settled[-third:])
        )
        found.append(Growth(bound.measure, first, last, first * bound.factor + bound.beyond))
    return found


def leaks(found: Sequence[Growth]) -> list[str]:
    """One sentence for each measure that is not level."""
    return [
        f"{each.measure} grew from {each.first:,.2f} to {each.last:,.2f}, more than {each.most:,.2f}"
        for each in found
        if not each.is_flat
    ]
