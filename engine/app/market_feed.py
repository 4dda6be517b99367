"""What a session's market is filled from and kept up with: discovery, readings, what was refused and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.app.loading import load
from engine.app.settings import Settings
from engine.chain.bootstrap import bootstrap, refresh
from engine.chain.creations import decode_creations
from engine.chain.discovery import find_pools, list_pools
from engine.chain.identify import identify
from engine.chain.readers.reading import Reading
from engine.domain.errors import NodeError
from engine.domain.market import ZERO_ADDRESS, BlockRef, PoolRecord, RawBlock, Venue
from engine.domain.pool_state import PoolState
from engine.domain.ports import Node
from engine.market.market import Market

Progress = Callable[[str, int, int | None], None]
_MAX_REREADS_PER_BLOCK = 20


class MarketFeed:
    """Reads pools of the enabled venues of `settings` into markets.

    `refused` says, by address or key, why a token or pool is not traded; `unread` are pools that were created
    and wait to be read.
    """

    def __init__(self, node: Node, settings: Settings, progress: Progress):
        self.venues: tuple[Venue, ...] = ()
        self.refused: dict[str, str] = {}
        self.unread: dict[str, PoolRecord] = {}
        self._node = node
        self._settings = settings
        self._progress = progress

    async def read_all(self, head: BlockRef) -> Market:
        """A market of every pool there is at `head`. Raises NodeError when the node fails."""
        pools, refused = await find_pools(
            self._node,
            [venue for venue in self.venues if venue.enabled],
            self._settings.market.discovery_from_block,
            head,
            tokens=self._tradable(),
            progress=lambda done, total, pools: self._progress("factory blocks", done, total),
        )
        self.refused |= refused
        reading = await bootstrap(
            self._node,
            pools,
            self.venues,
            head,
            progress=self._progress,
            trade_time=self.trade_time(head),
        )
        self.refused |= reading.refused
        market = Market(block_interval=self._settings.chain.block_interval_s)
        market.start(head)
        load(market, reading)
        return market

    async def admit(self, market: Market, raw: RawBlock) -> Sequence[int]:
        """Read pools created in the block, and pools whose state was lost, as of the block; their rows."""
        await self._note_created(market, raw)
        stale = market.tables.stale
        lost = sorted({int(market.tables.group[row]) for row in market.quarantined if stale[row]})
        wanted = [*self.unread.values(), *(market.pools[row] for row in lost[:_MAX_REREADS_PER_BLOCK])]
        if not wanted:
            return ()
        # A node that fails here leaves them to the next block.
        reading = await bootstrap(
            self._node, wanted, self.venues, raw.block, trade_time=self.trade_time(raw.block)
        )
        self.unread.clear()
        self.refused |= reading.refused
        return [row for first in load(market, reading) for row in market.rows_of(first)]

    async def _note_created(self, market: Market, raw: RawBlock) -> None:
        """Pools the block's logs announce, known or newly asked for, wait in `unread`."""
        created = decode_creations(raw.logs, self.venues)
        self.refused |= dict(created.refused)
        reading = Reading(self._node, raw.block, self.venues)
        sightings = [one for one in created.sightings if one.address]
        for venue in {one.venue for one in created.sightings if not one.address}:
            known = market.pool_row.keys() | self.unread.keys() | self.refused.keys()
            sightings += [one for one in await list_pools(reading, venue) if one.address not in known]
        records = created.pools + (await identify(reading, sightings) if sightings else [])
        self.refused |= reading.refused
        tradable = self._tradable()
        for pool in records:
            if tradable is None or (tradable | {ZERO_ADDRESS}).issuperset(pool.tokens):
                self.unread[pool.key] = pool

    async def refresh(self, block: BlockRef, pools: Sequence[PoolRecord]) -> Sequence[PoolState]:
        """States at `block` of known pools whose logs do not carry them; fewer when some cannot be read, none
        when the node fails: the market then holds those to be lost, and `admit` reads them later."""
        try:
            states, refused = await refresh(
                self._node, pools, self.venues, block, trade_time=self.trade_time(block)
            )
        except NodeError:
            return ()
        self.refused |= refused
        return tuple(states.values())

    def trade_time(self, block: BlockRef) -> int:
        """When a state as of `block` is to be traded on, seconds."""
        return block.timestamp + self._settings.chain.block_interval_s

    def _tradable(self) -> set[str] | None:
        """Tokens a pool may consist of; None when any may be traded."""
        if self._settings.risk.token_policy == "any":
            return None
        return {*self._settings.risk.allowed_tokens, *self._settings.market.base_tokens}
