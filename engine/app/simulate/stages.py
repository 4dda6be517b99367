"""Setting the stage: a node with current rules that stands where a searcher stood, our contracts on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils import keccak

from engine.app.deploy import deploy, present
from engine.app.loading import load
from engine.app.settings import Settings, build_settings
from engine.app.simulate.acting import Stage, latest
from engine.app.simulate.blocks import State, genesis
from engine.app.simulate.chain_table import ChainTable
from engine.app.simulate.hardforks import CURRENT
from engine.app.simulate.pools import KnownSlots, find_pools, partial_state, pool_like
from engine.app.simulate.replay import NODE_TIMEOUT_S, local_node
from engine.app.world.node import AnvilOptions
from engine.chain.bootstrap import bootstrap
from engine.chain.deployments import check, read_manifests
from engine.chain.keys import signer_of_key
from engine.chain.rpc import RpcNode
from engine.domain.errors import MarketError
from engine.domain.pool_state import Bootstrap
from engine.market.market import Market

# Blocks between the stage's first one and the searcher's: the deployment takes up to this many.
DEPLOYMENT_BLOCKS = 128
# The lowest fee EIP-1559 does not change from block to block: gas must not decide what we compare.
BASE_FEE_WEI = 7
_OPERATOR_BALANCE_WEI = 10**22
STAGE_FLAGS = ("--disable-min-priority-fee", "--no-request-size-limit")


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a block: the state after some of its transactions.

    `header` is the block's. `known` are the slots whose value is known, by account; None for all.
    """

    chain_id: int
    header: Mapping[str, Any]
    state: State
    known: KnownSlots

    @property
    def number(self) -> int:
        return int(self.header["number"], 16)

    @property
    def timestamp(self) -> int:
        return int(self.header["timestamp"], 16)


@asynccontextmanager
async def stored_stage(moment: Moment, table: ChainTable, folder: Path) -> AsyncIterator[Stage]:
    """A stage upon a known state: our block will have the searcher's block's number and time."""
    start = folder / "stage.json"
    start.write_text(json.dumps(genesis(moment.state, moment.header, moment.chain_id, moment.timestamp - 1)))
    options = AnvilOptions(
        chain_id=moment.chain_id,
        hardfork=CURRENT,
        order="fifo",
        number=moment.number - 1 - DEPLOYMENT_BLOCKS,
        timestamp=moment.timestamp - 1,
        base_fee_wei=BASE_FEE_WEI,
        init=start,
        extra=STAGE_FLAGS,
    )
    async with local_node(options) as node:
        addresses = pool_like(moment.state)
        yield await prepare(node, node_url(node), moment, addresses, table, folder)


async def prepare(
    node: RpcNode, url: str, moment: Moment, addresses: list[str], table: ChainTable, folder: Path
) -> Stage:
    """Deploy on the node, bring it to the block before the searcher's, and read the pools at `addresses`."""
    signer = signer_of_key(keccak(text="roundtrip simulation operator"))
    vault = signer_of_key(keccak(text="roundtrip simulation vault")).address
    await node.request("anvil_setBalance", [signer.address, hex(_OPERATOR_BALANCE_WEI)])
    # The deployment's blocks share one timestamp, so that the searcher's is still to come.
    await node.request("anvil_setBlockTimestampInterval", [0])
    manifests = folder / "deployments"
    pinned = await present(node, table.pinned)
    await deploy(url, manifests, operator=signer.address, vault=vault, venues=table.venues, pinned=pinned)
    deployment = await check(node, read_manifests(manifests, moment.chain_id))
    await node.request("evm_setAutomine", [False])
    ahead = moment.number - 1 - (await latest(node)).number
    if ahead > 0:
        await node.request("anvil_mine", [hex(ahead), "0x0"])
    head = await latest(node)
    found = await find_pools(node, addresses, table, head, moment.known)
    partial = await partial_state(node, found.records, moment.state, moment.known, table, head)
    reading = await bootstrap(node, found.records, table.venues, head, partial=partial)
    reading = consistent(reading, head)
    return Stage(
        node=node,
        head=head,
        deployment=deployment,
        pinned=pinned,
        signer=signer,
        settings=simulation_settings(url, moment.chain_id, table),
        reading=Bootstrap(head, reading.tokens, reading.pools, {**found.refused, **reading.refused}),
        mine=miner(node, moment.header),
        folder=folder,
        block_interval_s=max(moment.timestamp - head.timestamp, 0),
    )


def consistent(reading: Bootstrap, head: Any) -> Bootstrap:
    """The reading without pools whose partial state contradicts itself."""
    kept, refused = [], dict(reading.refused)
    for state in reading.pools:
        market = Market()
        market.start(head)
        try:
            load(market, Bootstrap(head, reading.tokens, (state,)))
        except MarketError as error:
            refused[state.pool.address] = str(error)
        else:
            kept.append(state)
    return Bootstrap(head, reading.tokens, tuple(kept), refused)


def miner(node: RpcNode, header: Mapping[str, Any]) -> Callable[[], Any]:
    """Mines the next block with the header's coinbase and time."""

    async def mine() -> None:
        await node.request("anvil_setCoinbase", [header["miner"]])
        timestamp = int(header["timestamp"], 16)
        if (await latest(node)).timestamp < timestamp:
            await node.request("evm_setNextBlockTimestamp", [timestamp])
        await node.request("evm_mine", [])

    return mine


def simulation_settings(url: str, chain_id: int, table: ChainTable) -> Settings:
    """Every token may be traded and no feed is asked for: searchers had no such limits either."""
    return build_settings(
        {
            "chain": {"chain_id": chain_id, "rpc_url": url, "timeout_s": NODE_TIMEOUT_S},
            "market": {"base_tokens": list(table.base_tokens), "wrapped_native": table.wrapped_native},
            "risk": {"token_policy": "any", "token_verdicts": "off", "require_base_feed": False},
            "execution": {"priority_fee_wei": 0},
        },
        "simulation",
    )


def node_url(node: RpcNode) -> str:
    """The local node's address."""
    return node.shown
