"""The same from a node: its blocks are replayed on forks of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from engine.app.simulate.acting import Stage
from engine.app.simulate.chain_table import ChainTable
from engine.app.simulate.hardforks import CURRENT, TRANSIENT, hardfork_of, is_overcharged
from engine.app.simulate.pools import FoundPools, find_pools
from engine.app.simulate.replay import REPLAY_FLAGS, Replayer, local_node
from engine.app.simulate.stages import BASE_FEE_WEI, Moment, node_url, prepare
from engine.app.world.node import AnvilOptions
from engine.chain.rpc import RpcNode
from engine.domain.errors import NodeError, UsageError
from engine.domain.market import ZERO_HASH, BlockRef
from engine.domain.provenance import pool_address

# Fees at which factories of V3's kind make pools by themselves, pips.
_FEE_TIERS = (100, 500, 2_500, 3_000, 10_000)


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
    node: RpcNode, swapped: Sequence[str], table: ChainTable, number: int, block_hash: str
) -> FoundPools:
    """Pools of known venues at the block: those of `swapped`, and every venue's pools of the same tokens,
    with one another as those are paired and with the base tokens. Raises NodeError."""
    block = BlockRef(number, block_hash, ZERO_HASH, 0)
    traded = await find_pools(node, swapped, table, block)
    known = {record.address for record in traded.records}
    pairs = {record.tokens for record in traded.records}
    tokens = {token for pair in pairs for token in pair}
    pairs |= {_sorted_pair(token, base) for token in tokens for base in table.base_tokens if token != base}
    expected = {
        pool_address(venue, token0, token1, fee_pips)
        for token0, token1 in pairs
        for venue in table.venues
        for fee_pips in ((0,) if venue.fee_pips is not None else _FEE_TIERS)
    }
    others = sorted(expected - known)
    codes = await node.batch([("eth_getCode", [address, hex(number)]) for address in others])
    there = [
        address for address, code in zip(others, codes, strict=True) if isinstance(code, str) and code != "0x"
    ]
    others_found = await find_pools(node, there, table, block)
    return FoundPools(traded.records + others_found.records, traded.venues)


def _sorted_pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if int(one, 16) < int(other, 16) else (other, one)


@asynccontextmanager
async def forked_stage(
    url: str, table: ChainTable, block: dict[str, Any], count: int, addresses: Sequence[str], folder: Path
) -> AsyncIterator[tuple[Stage, dict[int, str]]]:
    """A stage upon the node's own state after the block's first `count` transactions, and, by index, why
    some of them did not run. Our block has the searcher's block's time; its number is a few higher, because
    our contracts are deployed after the replay."""
    number, chain_id = int(block["number"], 16), table.chain_id
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
            await node.request("anvil_setBlockTimestampInterval", [0])
            # The loaded head is the old rules' and lacks header fields that the new ones look for.
            await node.request("anvil_setNextBlockBaseFeePerGas", [hex(BASE_FEE_WEI)])
            await node.request("evm_mine", [])
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
