"""What a session's market is filled from and kept up with: discovery, readings, what was refused and why."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence

from engine.app.listed import read_listed
from engine.app.loading import load
from engine.app.settings import Settings
from engine.chain.bootstrap import bootstrap, read_with_block
from engine.chain.changes import touched_since
from engine.chain.creations import CREATION_TOPICS, Fakes, decode_creations
from engine.chain.discovery import find_pools, list_pools
from engine.chain.identify import identify
from engine.chain.log_scanner import about
from engine.chain.logs import READ_AGAIN
from engine.chain.readers.reading import Reading
from engine.domain.errors import NodeError
from engine.domain.market import ZERO_ADDRESS, BlockRef, PoolRecord, RawBlock, Token, Venue
from engine.domain.pool_state import BlockReading, Bootstrap, PartialState, PoolState
from engine.domain.ports import Node
from engine.market.divergence import SILENT
from engine.market.hubs import hub_of
from engine.market.market import Market
from engine.storage.pool_cache import Cached, PoolCache

Progress = Callable[[str, int, int | None], None]
_MAX_REREADS_PER_BLOCK = 20
# Past so many blocks, reading every pool again is quicker than asking what changed.
_MAX_REPLAY_BLOCKS = 2_000
# A person who stops the bot waits for this.
_MAX_SAVED_AT_END = 3_000
# A factory that makes fake pools without end must not fill the memory with reasons.
MAX_REFUSED = 50_000


class MarketFeed:
    """Reads pools of the enabled venues of `settings` into markets.

    `refused` says, by address or key, why a token or pool is not traded; `unread` are pools that were created
    and wait to be read. With a `cache`, what was found and read before is not asked for again as long as no
    log says that it changed; a cache that fails is done without. `reread` counts the pools that the last
    `read_all` had to ask the node for.
    """

    def __init__(self, node: Node, settings: Settings, progress: Progress, cache: PoolCache | None = None):
        self.venues: tuple[Venue, ...] = ()
        self.refused: dict[str, str] = {}
        self.unread: dict[str, PoolRecord] = {}
        self.reread = 0
        self._node = node
        self._settings = settings
        self._progress = progress
        self._cache = cache
        self._fakes = Fakes()

    async def read_all(self, head: BlockRef) -> Market:
        """A market of every pool there is at `head`. Raises NodeError when the node fails."""
        cached = self._recall()
        pools = await self._find(head, cached)
        current = await self._current(pools, head, cached)
        wanted = [pool for pool in pools if pool.key not in current]
        self.reread = len(wanted)
        reading = await bootstrap(
            self._node,
            wanted,
            self.venues,
            head,
            progress=self._progress,
            partial=PartialState(tokens=cached.tokens),
            trade_time=self.trade_time(head),
            keep=lambda states, tokens: self._keep(head, states, tokens),
        )
        self._note_read(reading)
        self._confirm(head, list(current))
        market = Market(block_interval=self._settings.chain.block_interval_s)
        market.start(head)
        used = {token for state in current.values() for token in state.pool.tokens}
        known = [token for address, token in cached.tokens.items() if address in used]
        tokens = {token.address: token for token in (*known, *reading.tokens)}
        load(market, Bootstrap(head, tuple(tokens.values()), (*current.values(), *reading.pools)))
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
        self._note_read(reading)
        return [row for first in load(market, reading) for row in market.rows_of(first)]

    async def refresh(self, block: BlockRef, pools: Sequence[PoolRecord]) -> Sequence[BlockReading]:
        """Readings at `block` of known pools whose logs do not carry their state, or not all of it; fewer
        when some cannot be read, none when the node fails: the market then holds those to be lost whose logs
        asked for it, and `admit` reads them later."""
        try:
            readings, refused = await read_with_block(
                self._node, pools, self.venues, block, trade_time=self.trade_time(block)
            )
        except NodeError:
            return ()
        self._refuse(refused)
        return readings

    def trade_time(self, block: BlockRef) -> int:
        """When a state as of `block` is to be traded on, seconds."""
        return block.timestamp + self._settings.chain.block_interval_s

    def save(self, market: Market) -> None:
        """Keep the market's present state for the next start, unless there is too much of it."""
        if market.head is None or market.pool_count > _MAX_SAVED_AT_END:
            return
        rows = [row for row in market.pool_row.values() if not market.tables.stale[row]]
        self._keep(market.head, [market.state_of(row) for row in rows], market.tokens)

    async def _find(self, head: BlockRef, cached: Cached) -> list[PoolRecord]:
        """Every pool of the enabled venues; searched for from where the cache ends."""
        venues = [venue for venue in self.venues if venue.enabled]
        tokens = self._tradable()
        first = self._settings.market.discovery_from_block
        scope = repr((venues, sorted(tokens or ()), self._settings.market))
        searched = hashlib.sha256(scope.encode()).hexdigest()
        known: dict[str, PoolRecord] = {}
        if cached.searched == searched and await self._is_canonical(
            cached.searched_to, cached.searched_hash, head
        ):
            known, first = cached.pools, cached.searched_to + 1
            self._refuse(cached.refused)
        market = self._settings.market
        listed = ([], {}) if market.pools_file is None else read_listed(market.pools_file, venues)
        self._refuse(listed[1])
        found, refused = await find_pools(
            self._node,
            [] if market.only_listed else venues,
            first,
            head,
            listed=listed[0],
            tokens=tokens,
            known=known.keys() | self.refused.keys(),
            progress=lambda done, total, pools: self._progress("factory blocks", done, total),
        )
        self._refuse(refused)
        pools = list((known | {pool.key: pool for pool in found}).values())
        if self._cache is not None:
            self._quietly(lambda cache: cache.put_search(searched, head.number, head.hash, pools))
        return pools

    async def _current(
        self, pools: Sequence[PoolRecord], head: BlockRef, cached: Cached
    ) -> dict[str, PoolState]:
        """Cached states that still hold at `head`: of families whose logs tell all, untouched since."""
        held = {
            pool.key: cached.states[pool.key]
            for pool in pools
            if pool.key in cached.states
            and cached.states[pool.key].state.pool == pool
            and pool.protocol not in READ_AGAIN
            and pool.protocol not in SILENT
            and all(token in cached.tokens or token == ZERO_ADDRESS for token in pool.tokens)
            and head.number - cached.states[pool.key].block <= _MAX_REPLAY_BLOCKS
        }
        blocks = {(one.block, one.hash) for one in held.values()}
        canonical = {each for each in blocks if await self._is_canonical(*each, head)}
        held = {key: one for key, one in held.items() if (one.block, one.hash) in canonical}
        if not held:
            return {}
        emitters: dict[str, dict[str, list[str]]] = {}
        for key, one in held.items():
            contract, word = hub_of(one.state.pool) or (one.state.pool.address, "")
            emitters.setdefault(contract, {}).setdefault(word, []).append(key)
        first = min(one.block for one in held.values()) + 1
        touched = await touched_since(self._node, emitters, first, head.number)
        return {key: one.state for key, one in held.items() if key not in touched}

    async def _is_canonical(self, number: int, block_hash: str, head: BlockRef) -> bool:
        if not 0 <= number <= head.number:
            return False
        raw = await self._node.request("eth_getBlockByNumber", [hex(number), False])
        return isinstance(raw, dict) and raw.get("hash") == block_hash

    async def _note_created(self, market: Market, raw: RawBlock) -> None:
        """Pools the block's logs announce, known or newly asked for, wait in `unread`."""
        created = decode_creations(about(raw.logs, CREATION_TOPICS), self.venues, self._fakes)
        self._refuse(dict(created.refused))
        reading = Reading(self._node, raw.block, self.venues)
        sightings = [one for one in created.sightings if one.address]
        for venue in {one.venue for one in created.sightings if not one.address}:
            known = market.pool_row.keys() | self.unread.keys() | self.refused.keys()
            sightings += [one for one in await list_pools(reading, venue) if one.address not in known]
        records = created.pools + (await identify(reading, sightings) if sightings else [])
        self._refuse(reading.refused)
        tradable = self._tradable()
        for pool in records:
            if tradable is None or (tradable | {ZERO_ADDRESS}).issuperset(pool.tokens):
                self.unread[pool.key] = pool

    def _note_read(self, reading: Bootstrap) -> None:
        for state in reading.pools:
            self.refused.pop(state.pool.key, None)
        self._refuse(reading.refused)

    def _refuse(self, reasons: Mapping[str, str]) -> None:
        for key, reason in reasons.items():
            if key in self.refused or len(self.refused) < MAX_REFUSED:
                self.refused[key] = reason

    def _tradable(self) -> set[str] | None:
        """Tokens a pool may consist of; None when any may be traded."""
        if self._settings.risk.token_policy == "any":
            return None
        return {*self._settings.risk.allowed_tokens, *self._settings.market.base_tokens}

    def _recall(self) -> Cached:
        found = Cached()
        if self._cache is not None:
            try:
                found = self._cache.load()
            except (sqlite3.Error, ValueError):
                self._cache = None
        return found

    def _keep(self, block: BlockRef, states: Sequence[PoolState], tokens: Sequence[Token]) -> None:
        self._quietly(lambda cache: cache.put(block.number, block.hash, states, tokens))

    def _confirm(self, head: BlockRef, keys: Sequence[str]) -> None:
        self._quietly(lambda cache: cache.confirm(keys, head.number, head.hash))
        self._quietly(lambda cache: cache.put_refused(self.refused))

    def _quietly(self, write: Callable[[PoolCache], None]) -> None:
        """A cache that cannot be written is done without."""
        if self._cache is not None:
            try:
                write(self._cache)
            except sqlite3.Error:
                self._cache = None
