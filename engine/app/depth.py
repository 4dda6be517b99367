"""How much a pool holds at its price, for the check that bounds a trade by it."""

from __future__ import annotations

from collections.abc import Callable

from engine.amm.estimates import est_segment_nb
from engine.amm.layout import KIND_V2, KIND_V3
from engine.domain.opportunity import Hop
from engine.market.market import Market


def depth_of(market: Market) -> Callable[[Hop], int | None]:
    """For a hop over a pool of reserves or of ranges: the reserve of the token sold, virtual where liquidity
    is concentrated, base units. None for other families, and for pools the market does not have."""

    def depth(hop: Hop) -> int | None:
        row = market.pool_row.get(hop.pool)
        if row is None or market.arrays.kind[row] not in (KIND_V2, KIND_V3):
            return None
        held, _, _ = est_segment_nb(market.arrays, row, hop.zero_for_one)
        return int(held)

    return depth
