"""The same from a node: its blocks are replayed on forks of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from engine.app.simulate.acting import Stage
from engine.app.simulate.chain_table import ChainTable
from engine.app.simulate.hardforks import CURRENT, TRANSIENT, hardfork_of, is_overcharged
from engine.app.simulate.pools import find_pools
from engine.app.simulate.replay import REPLAY_FLAGS, Replayer, local_node
from engine.app.simulate.stages import BASE_FEE_WEI, Moment, node_url, prepare
from engine.app.world.node import AnvilOptions
from engine.chain.rpc import RpcNode
from engine.domain.errors import NodeError, UsageError
from engine.domain.market import ZERO_HASH, BlockRef, PoolRecord


async def fetch_block(node: RpcNode, number: int) -> dict[str, Any]:
    """A block with full transactions. Raises UsageError when the node does not have it."""
    raw = await node.request("eth_getBlockByNumber", [hex(number), True])
    if not isinstance(raw, dict):
        raise UsageError(f"the node at {node.shown} does not have block {number}: lower --to-block")
    if not isinstance(raw.get("transactions"), list):
        raise NodeError("the node answered with a malformed block", method="eth_getBlockByNumber")
    return raw


async def fetch_logs(node: RpcNode, block: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """The block's logs by transaction index. Raises NodeError."""
    logs = await node.request("eth_getLogs", [{"blockHash": block["hash"]}])
    by_index: dict[int, list[dict[str, Any]]] = {}
    for log in logs:
        by_index.setdefault(int(log["transactionIndex"], 16), []).append(log)
    return by_index


async def candidate_pools(
    node: RpcNode, addresses: Sequence[str], table: ChainTable, number: int, block_hash: str
) -> list[PoolRecord]:
    """Those of `addresses` that are pools of known venues at the block. Raises NodeError."""
    block = BlockRef(number, block_hash, ZERO_HASH, 0)
    return (await find_pools(node, addresses, table, block)).records


@asynccontextmanager
async def forked_stage(
    url: str,
    chain_id: int,
    block: dict[str, Any],
    count: int,
    addresses: Sequence[str],
    table: ChainTable,
    folder: Path,
) -> AsyncIterator[tuple[Stage, dict[int, str]]]:
    """A stage upon the node's own state after the block's first `count` transactions, and, by index, why
    some of them did not run. Our block has the searcher's block's time; its number is a few higher, because
    our contracts are deployed after the replay."""
    number = int(block["number"], 16)
    rules = hardfork_of(chain_id, number)
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(local_node(_options(url, chain_id, number, rules)))
        replayer = Replayer(node, block, block["transactions"], is_overcharged(chain_id, number))
        refused = (await replayer.run(count)).refused if count else {}
        if rules not in TRANSIENT:
            # What the replay changed goes over to a fork whose rules the router needs.
            dump = await node.request("anvil_dumpState", [])
            node = await stack.enter_async_context(local_node(_options(url, chain_id, number, CURRENT)))
            await node.request("anvil_loadState", [dump])
        await node.request("evm_setAutomine", [True])
        await node.request("anvil_setNextBlockBaseFeePerGas", [hex(BASE_FEE_WEI)])
        moment = Moment(chain_id, block, {}, None)
        yield await prepare(node, node_url(node), moment, list(addresses), table, folder), refused


def _options(url: str, chain_id: int, number: int, rules: str) -> AnvilOptions:
    return AnvilOptions(
        chain_id=chain_id,
        hardfork=rules,
        order="fifo",
        no_mining=True,
        fork_url=url,
        fork_block_number=number - 1,
        extra=REPLAY_FLAGS,
    )
