"""The cycle finders that settings choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.app.settings import FinderName
from engine.domain.market import BlockRef
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.finder import Finder
from engine.search.joint_finder import JointFinder
from engine.search.strategy import CycleFinder, Found


@dataclass(frozen=True, slots=True)
class FullFinder:
    """Looks through every pool in every block, whatever changed."""

    finder: Finder

    def find(
        self,
        changed_rows: NDArray[np.int32] | None,
        block: BlockRef,
        costs: GasCosts | None = None,
        limit: int | None = None,
        deadline: float | None = None,
    ) -> Found:
        """As `CycleFinder`, but opportunities through any pool."""
        return self.finder.find(None, block, costs, limit, deadline)


def make_finder(
    name: FinderName,
    market: Market,
    base_tokens: Sequence[str],
    max_hops: int,
    max_input: Mapping[str, int] | None = None,
    together: int = 1,
) -> CycleFinder:
    """The finder of that name; `max_input` as `Finder`'s, `together` cycles at most in one transaction.
    Raises MarketError as `Finder` does."""
    if name == "joint":
        return JointFinder(market, base_tokens, max_hops, max_input, together)
    finder = Finder(market, base_tokens, max_hops, max_input=max_input)
    return FullFinder(finder) if name == "full" else finder
