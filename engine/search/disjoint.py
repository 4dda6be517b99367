"""Choosing opportunities that can all be executed against the same state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from engine.domain.opportunity import Opportunity


def choose_disjoint(
    ranked: Sequence[Opportunity], limit: int | None = None, occupied: Iterable[str] = ()
) -> list[Opportunity]:
    """The ranked opportunities, in order, of which no two share a pool and none uses an `occupied` pool.

    Taking the best first is a greedy choice: a joint optimum may be worth more, never less than its best
    member. At most `limit` when given.
    """
    taken: set[str] = set(occupied)
    chosen: list[Opportunity] = []
    for opportunity in ranked:
        if limit is not None and len(chosen) >= limit:
            break
        pools: AbstractSet[str] = set(opportunity.pools)
        if taken.isdisjoint(pools):
            taken |= pools
            chosen.append(opportunity)
    return chosen
