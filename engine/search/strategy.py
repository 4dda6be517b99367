"""The one way to look for opportunities, whoever does it and however."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.events import Fact
from engine.domain.market import BlockRef
from engine.domain.opportunity import Opportunity, Settlement
from engine.search.costs import GasCosts


class Found(list[Opportunity]):
    """Ranked opportunities, best net profit in native wei first.

    `partial` says that the deadline or a bound on memory came before the end: what is here is exact and
    ranked, but better ones may be missing. `screened` counts the cycles that passed the float screen, without
    most of those that could not be among the first when only those were wanted.
    `facts` are what the finder has to say besides. `sequence` are opportunities to be carried out in this
    order in one transaction, each exact on the state those before it leave, where the finder plans so.
    `settlement` is what is worth carrying out together although it starts from several base tokens.
    """

    def __init__(
        self,
        opportunities: Iterable[Opportunity] = (),
        *,
        partial: bool = False,
        screened: int = 0,
        facts: tuple[Fact, ...] = (),
        sequence: tuple[Opportunity, ...] = (),
        settlement: Settlement | None = None,
    ) -> None:
        super().__init__(opportunities)
        self.settlement = settlement
        self.sequence = sequence
        self.partial = partial
        self.screened = screened
        self.facts = facts


class CycleFinder(Protocol):
    """Finds opportunities in the market it was made for; read-only on it, one search at a time."""

    def find(
        self,
        changed_rows: NDArray[np.int32] | None,
        block: BlockRef,
        costs: GasCosts | None = None,
        limit: int | None = None,
        deadline: float | None = None,
    ) -> Found:
        """Opportunities through any of `changed_rows` (pool rows i32[n]; all when None) as of `block`, at
        most `limit`, by what is found until `deadline` (`time.monotonic()` seconds)."""
        ...
