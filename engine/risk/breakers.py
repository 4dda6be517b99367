"""Breakers of pools and venues: what fails again and again rests, by the chain's clock.

Blocks and not seconds count, so that a recording replays to the same decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field


class BreakerLimits(BaseModel):
    """When the engine stops itself. Windows and rests in blocks; None switches a breaker off.

    - `pool_failures`: simulations with a pool that failed since one with it passed, until it rests.
    - `venue_pools`: so many pools of a venue resting at once close the venue.
    - `rest_blocks`: how long pools and venues rest; then one failure more is enough to rest again.
    - `divergences`: pools that diverged from the node within `window_blocks`, until nothing new is sent for
      `rest_blocks`.
    - `reverts`: transactions that reverted within `window_blocks`, until a person has to look.
    - `loss_wei`: gas paid for nothing within `window_blocks`, until a person has to look.
    - `halt_on_mismatch`: a trade that landed with less profit than the router was to enforce halts at once.
    - `recovery_blocks`: blocks in a row that must succeed after one failed or the market was read anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pool_failures: int | None = Field(default=3, gt=0)
    venue_pools: int | None = Field(default=5, gt=0)
    rest_blocks: int = Field(default=50, gt=0)
    divergences: int | None = Field(default=10, gt=0)
    reverts: int | None = Field(default=10, gt=0)
    loss_wei: int | None = Field(default=None, gt=0)
    halt_on_mismatch: bool = True
    window_blocks: int = Field(default=300, gt=0)
    recovery_blocks: int = Field(default=1, gt=0)


@dataclass(slots=True)
class _Record:
    failures: int = 0
    rests_until: int = -1


@dataclass(slots=True)
class Breakers:
    """Pools and venues that rest. `resting` and `closed` say until which block, at the block last told."""

    limits: BreakerLimits
    resting: dict[str, str] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    _pools: dict[str, _Record] = field(default_factory=dict)
    _venues: dict[str, int] = field(default_factory=dict)
    _venue_of: dict[str, str] = field(default_factory=dict)

    def failed(self, pools: Mapping[str, str], block: int) -> None:
        """A simulation with these pools (venue by pool) failed at `block`."""
        limit = self.limits.pool_failures
        if limit is None:
            return
        for pool, venue in pools.items():
            self._venue_of[pool] = venue
            record = self._pools.setdefault(pool, _Record())
            record.failures += 1
            if record.failures >= limit:
                record.rests_until = block + self.limits.rest_blocks

    def passed(self, pools: Iterable[str]) -> None:
        """A simulation with these pools passed: what failed was another."""
        for pool in pools:
            self._pools.pop(pool, None)

    def at(self, block: int) -> list[str]:
        """Bring `resting` and `closed` up to `block`; the venues that it closes."""
        until = {
            pool: record.rests_until for pool, record in self._pools.items() if record.rests_until > block
        }
        self.resting.clear()
        self.resting.update(
            {pool: f"rests until block {end}: simulations with it failed" for pool, end in until.items()}
        )
        by_venue: dict[str, int] = {}
        for pool in until:
            by_venue[self._venue_of[pool]] = by_venue.get(self._venue_of[pool], 0) + 1
        limit = self.limits.venue_pools
        fresh = [
            venue
            for venue, count in sorted(by_venue.items())
            if limit is not None and count >= limit and self._venues.get(venue, -1) <= block
        ]
        for venue in fresh:
            self._venues[venue] = block + self.limits.rest_blocks
        self.closed.clear()
        self.closed.update(
            {
                venue: f"rests until block {end}: too many of its pools do"
                for venue, end in self._venues.items()
                if end > block
            }
        )
        return fresh
