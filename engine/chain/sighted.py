"""A sighted pool on its way to a record."""

from __future__ import annotations

from dataclasses import dataclass

from engine.chain.creations import Sighting
from engine.domain.market import PoolRecord
from engine.domain.pool_details import PoolDetails


@dataclass(frozen=True, slots=True)
class Sighted:
    """A sighting and the draft of its record, under which it is asked and refused."""

    sighting: Sighting
    draft: PoolRecord

    @property
    def address(self) -> str:
        return self.sighting.address

    @property
    def factory(self) -> str:
        return self.sighting.venue.factory


def draft(sighting: Sighting) -> PoolRecord:
    """What is known of the pool so far."""
    venue = sighting.venue
    return PoolRecord(sighting.address, venue.protocol, venue.name, sighting.tokens, 0)


def record(
    one: Sighted, tokens: tuple[str, ...], *, spacing: int = 0, details: PoolDetails | None = None
) -> PoolRecord:
    """The finished record; its fee is part of its state."""
    venue = one.sighting.venue
    return PoolRecord(one.address, venue.protocol, venue.name, tokens, 0, spacing, details)
