"""Pools whose state moves without a log, and which of them to read with a block."""

from __future__ import annotations

from collections.abc import Sequence

from engine.amm.layout import StateEvents
from engine.amm.v4_fees import DYNAMIC_FEE_FLAG
from engine.domain.market import PoolRecord
from engine.domain.pool_details import CurveStableDetails, StableSwapVariant, UniswapV4Details
from engine.market.divergence import SILENT, Rotation
from engine.market.market import Market

# As many are read with every block, in turn where there are more.
READ_PER_BLOCK = 16
# So many more where the block's logs moved them.
MOST_TOUCHED = 64
# Their balances and rates only change where they log it.
_TELLING = frozenset((StableSwapVariant.SUSD, StableSwapVariant.THREE_POOL))


def is_silent(pool: PoolRecord) -> bool:
    """Whether a part of the pool's state may move without a log: rates, fees others decide, donations."""
    if pool.protocol not in SILENT:
        return False
    details = pool.details
    if isinstance(details, UniswapV4Details):
        return details.key_fee == DYNAMIC_FEE_FLAG
    return not (isinstance(details, CurveStableDetails) and details.variant in _TELLING)


class SilentReads:
    """Chooses, block by block, which silent pools are read at its hash: those whose logs moved them, and some
    of all others in turn. Whatever is about to be traded is compared with the node besides (the tripwire)."""

    def __init__(self, market: Market, per_block: int = READ_PER_BLOCK):
        self._market = market
        self._per_block = per_block
        self._rotation = Rotation()
        self._seen = 0
        self._silent: dict[str, None] = {}

    def due(self, events: StateEvents) -> list[PoolRecord]:
        """Pools to read with the block of these events, beside those whose logs ask for it."""
        market = self._market
        silent = self._known()
        moved = (market.pools[row].key for row in dict.fromkeys(events.pool.tolist()))
        chosen = [key for key in dict.fromkeys(moved) if key in silent][:MOST_TOUCHED]
        chosen += self._rotation.take(list(silent), self._per_block)
        rows = (market.pool_row[key] for key in dict.fromkeys(chosen))
        return [market.pools[row] for row in rows if not market.tables.stale[row]]

    def _known(self) -> dict[str, None]:
        pools: Sequence[PoolRecord] = self._market.pools
        for pool in pools[self._seen :]:
            if is_silent(pool):
                self._silent[pool.key] = None
        self._seen = len(pools)
        return self._silent
