"""A market read from a node once, for a scan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from engine.app.loading import load
from engine.app.output import progress_bar
from engine.app.simulate.chain_table import load_chain_table
from engine.chain.bootstrap import bootstrap
from engine.chain.deployments import check, read_manifests
from engine.chain.discovery import find_pools
from engine.chain.registry import read_registry
from engine.chain.rpc import RpcNode, connect
from engine.chain.wire import header
from engine.domain.errors import ConfigError, UsageError
from engine.domain.market import BlockRef, Venue
from engine.market.market import Market


@dataclass(frozen=True, slots=True)
class NodeScope:
    """Which of a node's pools to read: those of the venues of our deployment in `deployments`, or else of the
    repository's table of the chain; with `tokens`, only pools both of whose tokens are among them (a chain
    table's base tokens always are). `from_block` is where the search for pools begins."""

    deployments: Path = Path("deployments")
    tokens: Collection[str] = ()
    from_block: int | None = None


@dataclass(frozen=True, slots=True)
class _Universe:
    venues: tuple[Venue, ...]
    tokens: set[str] | None
    from_block: int


def read_node_market(url: str, scope: NodeScope | None = None) -> Market:
    """Discover and read pools at the node's head, with progress on stderr.

    Raises ConfigError when nothing is known of the node's chain, UsageError when it has no such pools,
    NodeUnreachable for a dead node.
    """
    with progress_bar("connecting") as tell:
        return asyncio.run(_read(url, scope or NodeScope(), tell))


async def _read(url: str, scope: NodeScope, tell: Callable[[str, int, int | None], None]) -> Market:
    async with connect(url) as node:
        head = header(await node.request("eth_getBlockByNumber", ["latest", False])).ref
        universe = await _universe(node, scope, head)
        pools, _ = await find_pools(
            node,
            universe.venues,
            universe.from_block,
            head,
            tokens=universe.tokens,
            progress=lambda done, total, pools: tell(f"searching factories, {pools} pools", done, total),
        )
        reading = await bootstrap(node, pools, universe.venues, head, progress=tell)
    if not reading.pools:
        raise UsageError(
            f"the node's chain has no readable pools of the known venues since block {universe.from_block}: "
            "check --from-block and --token"
        )
    market = Market()
    market.start(head)
    load(market, reading)
    return market


async def _universe(node: RpcNode, scope: NodeScope, head: BlockRef) -> _Universe:
    chain_id = await node.chain_id()
    tokens = {token.lower() for token in scope.tokens}
    if (scope.deployments / str(chain_id)).is_dir():
        deployment = await check(node, read_manifests(scope.deployments, chain_id))
        registry = await read_registry(node, deployment.dex_registry, head.hash)
        venues = tuple(venue for venue in registry.venues if venue.enabled)
        return _Universe(venues, tokens or None, scope.from_block or 0)
    try:
        table = load_chain_table(chain_id)
    except ConfigError:
        raise UsageError(
            f"no venues are known for chain {chain_id}: name the folder of your deployment's manifests with "
            "--deployments"
        ) from None
    first = min(table.first_blocks.values(), default=0)
    return _Universe(
        table.venues,
        tokens | set(table.base_tokens),
        first if scope.from_block is None else scope.from_block,
    )
