"""Finding pools: creation logs, the lists of factories that keep one, what a registry names itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from engine.chain.calls import View, require_canonical
from engine.chain.creations import (
    OTHER_TOPICS,
    PAIR_TOPICS,
    Creations,
    Fakes,
    Sighting,
    decode_creations,
)
from engine.chain.events import V4_INITIALIZE
from engine.chain.identify import identify
from engine.chain.meta_registry import attributed, registry_of
from engine.chain.readers.reading import Ask, Reading
from engine.chain.sighted import draft
from engine.chain.wire import quantity
from engine.domain.errors import NodeError, NodeUnreachable
from engine.domain.market import ZERO_ADDRESS, BlockRef, PoolRecord, Protocol, Venue
from engine.domain.ports import Node
from engine.domain.provenance import is_genuine

_FIRST_RANGE_BLOCKS = 10_000
_MAX_RANGE_BLOCKS = 1_000_000
# A range too large may also show as a timeout; a dead node shows only as that.
_MAX_SILENCES = 3
_FATAL_STATUS = frozenset({401, 402, 403, 404})

_CURVE = (Protocol.CURVE_STABLESWAP, Protocol.CURVE_CRYPTOSWAP)
_BALANCER = (
    Protocol.BALANCER_V2_WEIGHTED,
    Protocol.BALANCER_V2_STABLE,
    Protocol.BALANCER_V3_WEIGHTED,
    Protocol.BALANCER_V3_STABLE,
)
# Each such venue is one contract, which the registry names as its own factory.
SINGLE = (Protocol.ERC4626, Protocol.WSTETH, Protocol.WETH)
_POOL_COUNT = View.of("pool_count()", "uint256")
_POOL_AT = View.of("pool_list(uint256)", "address")
_MAX_LISTED = 100_000

Progress = Callable[[int, int, int], None]


async def find_pools(
    node: Node,
    venues: Sequence[Venue],
    from_block: int,
    block: BlockRef,
    *,
    tokens: Collection[str] | None = None,
    known: Collection[str] = (),
    listed: Iterable[Sighting] = (),
    progress: Progress = lambda done, total, found: None,
) -> tuple[list[PoolRecord], dict[str, str]]:
    """Every pool of the venues whose tokens are all among `tokens` where given; and by address why others
    were refused. What the venues' own lists say of `known` addresses is passed over; `listed` are sightings
    from elsewhere, of which those are kept that a venue can have made. Raises NodeError as `discover`
    does."""
    created = await discover(node, venues, from_block, block, tokens=tokens, progress=progress)
    reading = Reading(node, block, venues)
    reading.refused |= dict(created.refused)
    sightings = list(created.sightings)
    for venue in venues:
        sightings += [one for one in await list_pools(reading, venue) if one.address not in known]
    records = created.pools + await identify(reading, _each_once(sightings))
    records += await _of_their_venue(reading, [one for one in listed if one.address not in known])
    wanted = None if tokens is None else {*tokens, ZERO_ADDRESS}
    unique = {pool.key: pool for pool in records if wanted is None or wanted.issuperset(pool.tokens)}
    return list(unique.values()), reading.refused


async def _of_their_venue(reading: Reading, listed: Sequence[Sighting]) -> list[PoolRecord]:
    """Of each listed pool, the record under the venue that proves to have made it."""
    found: dict[str, PoolRecord] = {}
    for venue in {one.venue for one in listed}:
        for pool in await identify(reading, [one for one in listed if one.venue == venue]):
            if is_genuine(venue, pool):
                found[pool.key] = pool
    for one in listed:
        # Asked as another factory's pool it may have been refused.
        reading.refused.pop(one.address, None)
        if one.address not in found:
            reading.refused[one.address] = "none of the known factories made it"
    return list(found.values())


async def list_pools(reading: Reading, venue: Venue, start: int = 0) -> list[Sighting]:
    """What a venue's own list names from place `start` on: the pools of a Curve factory, or of the
    MetaRegistry, these under the venues that made them, or the one contract that the venue consists of.
    Empty for venues that are known by their logs."""
    if venue.protocol in SINGLE:
        return [Sighting(venue, venue.factory)]
    if venue.protocol not in _CURVE:
        return []
    asked, registry = draft(Sighting(venue, venue.factory)), await registry_of(reading, venue)
    (count,) = await reading.values([Ask(asked, _POOL_COUNT, to=registry, optional=True)])
    if count is None:
        # A pool older than the factories, named by itself.
        return [Sighting(venue, venue.factory)]
    if count[0] > _MAX_LISTED:
        reading.refused[venue.factory] = f"{venue.name} claims to have {count[0]} pools"
        return []
    asks = [Ask(asked, _POOL_AT, (at,), registry, gas=None) for at in range(start, count[0])]
    pools = [answer[0].lower() for answer in await reading.values(asks) if answer is not None]
    made = await attributed(reading, venue, registry, pools)
    return [Sighting(venue, pool) for pool in pools] if made is None else made


async def discover(
    node: Node,
    venues: Sequence[Venue],
    from_block: int,
    block: BlockRef,
    *,
    tokens: Collection[str] | None = None,
    progress: Progress = lambda done, total, found: None,
) -> Creations:
    """What the venues' factories announced from `from_block` to `block`, both included, in log order.

    Ranges the node finds too large are halved, and grow again after success. With `tokens`, the node is asked
    only for pools both of whose tokens are among them, where the logs say which these are. `progress(blocks
    done, blocks in all, pools found)`. A factory that announces more fakes than `Fakes` bears is not asked
    about any further. Raises NodeError when the node refuses even a single block, or `block`
    left the chain meanwhile.
    """
    asked = list(venues)
    queries = _queries(asked, tokens)
    found, fakes = Creations([], []), Fakes()
    seen: set[str] = set()
    total = max(block.number - from_block + 1, 0)
    size, start, silences = _FIRST_RANGE_BLOCKS, from_block, 0
    while queries and start <= block.number:
        end = min(start + size - 1, block.number)
        try:
            logs = [log for query in queries for log in await _logs(node, query, start, end)]
        except NodeError as error:
            # Providers cap ranges, log counts and time, each with words of its own.
            silences += isinstance(error, NodeUnreachable)
            if end == start or silences > _MAX_SILENCES or error.code in _FATAL_STATUS:
                raise
            size = (end - start + 1) // 2
            continue
        silences = 0
        part = decode_creations(logs, venues, fakes)
        for pool in part.pools:
            if pool.key not in seen:
                seen.add(pool.key)
                found.pools.append(pool)
        found.sightings.extend(part.sightings)
        found.refused.extend(part.refused)
        if any(fakes.is_ignored(one) for one in asked):
            asked = [one for one in asked if not fakes.is_ignored(one)]
            queries = _queries(asked, tokens)
        progress(end - from_block + 1, total, len(found.pools) + len(found.sightings))
        start, size = end + 1, min(2 * size, _MAX_RANGE_BLOCKS)
    await require_canonical(node, block)
    return found


def _queries(venues: Sequence[Venue], tokens: Collection[str] | None) -> list[dict[str, Any]]:
    """One log filter for each way in which creation logs index the tokens."""
    hubs = [venue for venue in venues if venue.protocol is Protocol.UNISWAP_V4]
    silent = [venue for venue in venues if venue.protocol in (*_BALANCER, *_CURVE)]
    others = (*hubs, *silent)
    pairs = [venue for venue in venues if venue not in others and venue.protocol not in SINGLE]
    padded = None if tokens is None else sorted("0x" + "00" * 12 + token[2:] for token in tokens)
    with_native = None if padded is None else ["0x" + "00" * 32, *padded]
    queries = [
        (pairs, [list(PAIR_TOPICS), *([padded, padded] if padded is not None else [])]),
        (hubs, [[V4_INITIALIZE], *([None, with_native, with_native] if with_native is not None else [])]),
        (silent, [list(OTHER_TOPICS)]),
    ]
    return [
        {"address": sorted({venue.factory for venue in group}), "topics": topics}
        for group, topics in queries
        if group
    ]


async def _logs(node: Node, query: dict[str, Any], start: int, end: int) -> list[dict]:
    """Creation logs of a block range, ordered. Raises NodeError for an answer outside the range."""
    wanted = query | {"fromBlock": hex(start), "toBlock": hex(end)}
    logs = await node.request("eth_getLogs", [wanted])
    if not isinstance(logs, list) or not all(isinstance(log, dict) for log in logs):
        raise NodeError("the node answered eth_getLogs with something else", method="eth_getLogs")
    keyed = [
        (quantity(log.get("blockNumber"), "block number"), quantity(log.get("logIndex"), "log index"), log)
        for log in logs
    ]
    if any(not start <= number <= end for number, _, _ in keyed):
        raise NodeError(f"the node answered with logs outside blocks {start}..{end}", method="eth_getLogs")
    return [log for _, _, log in sorted(keyed, key=lambda entry: entry[:2])]


def _each_once(sightings: Iterable[Sighting]) -> list[Sighting]:
    return list({one.address: one for one in sightings if one.address}.values())
