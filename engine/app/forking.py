"""Fork mode: our contracts on a private fork of a node, with that chain's venues and feeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from eth_utils import keccak

from engine.app.deploy import NONE_PINNED, FeedListing, RegisteredFeed, deploy, present
from engine.app.settings import Settings
from engine.app.simulate.chain_table import load_chain_table
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.chain.access import FEED
from engine.chain.calls import View, read_view
from engine.chain.deployments import check, read_manifests
from engine.chain.keys import LocalSigner, signer_of_key
from engine.chain.registry import read_registry
from engine.chain.routers import read_router
from engine.chain.rpc import connect
from engine.domain.errors import DeploymentError
from engine.domain.execution import Pinned
from engine.domain.market import Venue
from engine.domain.ports import Node

BLOCK_TIME_S = 1
_FUNDS_WEI = 10 * 10**18
_FEED_COUNT = View.of("feedCount()", "uint256")
_FEEDS = View.of("feeds(uint256,uint256)", f"{FEED}[]")
_PAGE_SIZE = 50
# Elsewhere than a deployment that the forked chain has already.
_SALT = "0x" + keccak(text="roundtrip fork").hex()


@dataclass(frozen=True, slots=True)
class Universe:
    """What is to be registered on the fork, and what its router is to know."""

    venues: tuple[Venue, ...]
    feeds: tuple[FeedListing | RegisteredFeed, ...]
    pinned: Pinned = NONE_PINNED


async def read_universe(settings: Settings) -> Universe:
    """Venues, feeds and pinned contracts of the forked chain: from our contracts there if they are deployed,
    else from the repository's table of that chain. Raises ConfigError when there is neither."""
    async with connect(settings.chain.rpc_url[0], timeout_s=settings.chain.timeout_s) as node:
        try:
            manifests = read_manifests(settings.deployments.directory, settings.chain.chain_id)
        except DeploymentError:
            table = load_chain_table(settings.chain.chain_id)
            return Universe(table.venues, table.feeds, table.pinned)
        deployment = await check(node, manifests)
        block = await node.request("eth_getBlockByNumber", ["latest", False])
        registry = await read_registry(node, deployment.dex_registry, block["hash"])
        feeds = await _feeds(node, deployment.price_feed_registry)
        return Universe(registry.venues, feeds, (await read_router(node, deployment.router)).pinned)


async def _feeds(node: Node, registry: str) -> tuple[RegisteredFeed, ...]:
    (count,) = await read_view(node, registry, _FEED_COUNT, (), "latest")
    feeds: list[RegisteredFeed] = []
    for offset in range(0, count, _PAGE_SIZE):
        (page,) = await read_view(node, registry, _FEEDS, (offset, _PAGE_SIZE), "latest")
        feeds += [RegisteredFeed(*row) for row in page]
    return tuple(feeds)


def start_fork(settings: Settings) -> AnvilProcess:
    """A private fork of the node's chain that mines each transaction, until `mine_on_timer`; start and stop
    it as a context manager."""
    return AnvilProcess(
        AnvilOptions(
            chain_id=settings.chain.chain_id,
            fork_url=settings.chain.rpc_url[0],
        )
    )


async def mine_on_timer(node: Node) -> None:
    """From now on the fork mines a block a second, whatever is sent. Before, it waits for the engine: reading
    the market through a fork takes its time."""
    await node.request("evm_setIntervalMining", [BLOCK_TIME_S])


async def deploy_on_fork(
    anvil: AnvilProcess, universe: Universe, directory: Path, wrapped_native: str
) -> LocalSigner:
    """Deploy our contracts for a fresh operator with play money; returns its signer. The router knows
    `wrapped_native` and what else of the universe's contracts is on the chain."""
    operator = signer_of_key(keccak(text="roundtrip fork operator"))
    vault = signer_of_key(keccak(text="roundtrip fork vault"))
    async with connect(anvil.http_url) as node:
        await node.request("anvil_setBalance", [operator.address, hex(_FUNDS_WEI)])
        pinned = await present(node, replace(universe.pinned, wrapped_native=wrapped_native))
    await deploy(
        anvil.http_url,
        directory,
        operator=operator.address,
        vault=vault.address,
        venues=universe.venues,
        feeds=universe.feeds,
        salt=_SALT,
        pinned=pinned,
    )
    return operator
