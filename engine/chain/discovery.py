"""Finding pools through their factories' creation logs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from engine.chain.calls import require_canonical
from engine.chain.logs import CREATION_TOPICS, Creations, decode_creations
from engine.chain.wire import quantity
from engine.domain.errors import NodeError, NodeUnreachable
from engine.domain.market import BlockRef, Venue
from engine.domain.ports import Node

_FIRST_RANGE_BLOCKS = 10_000
_MAX_RANGE_BLOCKS = 1_000_000
# A range too large may also show as a timeout; a dead node shows only as that.
_MAX_SILENCES = 3
_FATAL_STATUS = frozenset({401, 402, 403, 404})

Progress = Callable[[int, int, int], None]


async def discover(
    node: Node,
    venues: Sequence[Venue],
    from_block: int,
    block: BlockRef,
    *,
    tokens: Collection[str] | None = None,
    progress: Progress = lambda done, total, found: None,
) -> Creations:
    """Pools the venues' factories created from `from_block` to `block`, both included, in log order.

    Ranges the node finds too large are halved, and grow again after success. With `tokens`, the node is asked
    only for pools both of whose tokens are among them. `progress(blocks done, blocks in all, pools found)`.
    Raises NodeError when the node refuses even a single block, or `block` left the chain meanwhile.
    """
    factories = sorted({venue.factory for venue in venues})
    topics: list[list[str]] = [list(CREATION_TOPICS)]
    if tokens is not None:
        padded = sorted("0x" + "00" * 12 + token[2:] for token in tokens)
        topics += [padded, padded]
    found = Creations([], [])
    seen: set[str] = set()
    total = max(block.number - from_block + 1, 0)
    size, start, silences = _FIRST_RANGE_BLOCKS, from_block, 0
    while factories and start <= block.number:
        end = min(start + size - 1, block.number)
        try:
            logs = await _logs(node, factories, topics, start, end)
        except NodeError as error:
            # Providers cap ranges, log counts and time, each with words of its own.
            silences += isinstance(error, NodeUnreachable)
            if end == start or silences > _MAX_SILENCES or error.code in _FATAL_STATUS:
                raise
            size = (end - start + 1) // 2
            continue
        silences = 0
        part = decode_creations(logs, venues)
        for pool in part.pools:
            if pool.address not in seen:
                seen.add(pool.address)
                found.pools.append(pool)
        found.refused.extend(part.refused)
        progress(end - from_block + 1, total, len(found.pools))
        start, size = end + 1, min(2 * size, _MAX_RANGE_BLOCKS)
    await require_canonical(node, block)
    return found


async def _logs(
    node: Node, factories: list[str], topics: list[list[str]], start: int, end: int
) -> list[dict]:
    """Creation logs of a block range, ordered. Raises NodeError for an answer outside the range."""
    wanted = {"address": factories, "topics": topics, "fromBlock": hex(start), "toBlock": hex(end)}
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
