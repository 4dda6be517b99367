"""Where blocks come from: folders of stored blocks, or a node."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.app.simulate.acting import latest
from engine.app.simulate.blocks import StoredBlock, load_block
from engine.app.simulate.chain_table import ChainTable
from engine.app.simulate.forks import candidate_pools, fetch_block, fetch_logs, forked_stage
from engine.app.simulate.pools import find_pools, pool_like
from engine.app.simulate.replay import Replayed, Replayer, log_mismatches, stored_replayer
from engine.app.simulate.simulating import (
    Scene,
    SetScene,
    Terms,
    Watch,
    against_searchers,
    best_at_start,
    find_arbitrages,
)
from engine.app.simulate.stages import Moment, stored_stage
from engine.app.simulate.swaps import swapping_pools
from engine.chain.discovery import discover
from engine.chain.rpc import RpcNode
from engine.domain.market import BlockRef, PoolRecord


async def simulate_stored(folder: Path, terms: Terms, watch: Watch) -> dict[str, Any]:
    """The report of one stored block. Raises UsageError for a malformed one."""
    block = load_block(folder)
    table = terms.table
    watch("replaying", 0, None)
    with tempfile.TemporaryDirectory(prefix="roundtrip-replay-") as scratch:
        async with stored_replayer(block, table.chain_id, Path(scratch)) as replayer:
            known = {address: account.storage for address, account in block.state.items()}
            head = await latest(replayer.node)
            found = await find_pools(replayer.node, pool_like(block.state), table, head, known)
            terms = replace(terms, table=table.with_venues(found.venues))
            replayed = await replayer.run(len(block.transactions))
            logs, mismatched = _trusted_logs(block, replayed)
            arbitrages = find_arbitrages(block.transactions, logs, _tokens(found.records), table)
            set_scene = _stored_scene(block, replayer, terms.table, known, mismatched)
            rows = await against_searchers(arbitrages, set_scene, terms, watch)
    return {
        "number": block.number,
        "transactions": len(block.transactions),
        "pools": len(found.records),
        "landed_arbitrages": rows,
        "replay": {
            "logs_checked": block.recorded_logs is not None,
            "log_mismatches": mismatched,
            "not_run": {str(index): why for index, why in replayed.refused.items()},
        },
    }


async def simulate_remote(
    node: RpcNode, url: str, number: int, terms: Terms, watch: Watch, extra_pools: Sequence[PoolRecord] = ()
) -> dict[str, Any]:
    """The report of a block of a node, replayed on forks of it. Raises UsageError when the node lacks it."""
    table = terms.table
    watch("reading", 0, None)
    block = await fetch_block(node, number)
    logs = await fetch_logs(node, block)
    swapped = sorted({pool for part in logs.values() for pool in swapping_pools(part)})
    head = (await fetch_block(node, number - 1))["hash"]
    found = await candidate_pools(node, swapped, table, number - 1, head)
    terms = replace(terms, table=table.with_venues(found.venues))
    addresses = sorted({record.address for record in (*found.records, *extra_pools)})
    arbitrages = find_arbitrages(block["transactions"], logs, _tokens(found.records), table)

    @asynccontextmanager
    async def set_scene(count: int, folder: Path) -> AsyncIterator[Scene]:
        async with forked_stage(url, terms.table, block, count, addresses, folder) as (stage, refused):
            yield Scene(stage, None, _not_run(refused))

    report = {
        "number": number,
        "transactions": len(block["transactions"]),
        "pools": len(addresses),
        "landed_arbitrages": await against_searchers(arbitrages, set_scene, terms, watch),
    }
    if not arbitrages and len(addresses) > 1:
        watch("acting at the block's start", 0, None)
        report["best_at_start"] = await best_at_start(set_scene, terms)
    return report


async def discovered_pools(
    node: RpcNode, table: ChainTable, from_block: int, to_block: int, watch: Watch
) -> list[PoolRecord]:
    """Pools the table's venues created in these blocks, both included. Raises NodeError."""
    end = await fetch_block(node, to_block)
    block = BlockRef(to_block, end["hash"], end["parentHash"], int(end["timestamp"], 16))
    creations = await discover(
        node,
        table.venues,
        from_block,
        block,
        progress=lambda done, total, found: watch(f"discovering pools ({found} so far)", done - 1, total),
    )
    return creations.pools


def _trusted_logs(
    block: StoredBlock, replayed: Replayed
) -> tuple[Mapping[int, list[dict[str, Any]]], list[int]]:
    """The replay's logs, but the recorded ones where those exist and differ; and where they did."""
    count = len(block.transactions)
    if block.recorded_logs is None:
        return {index: replayed.logs(index) for index in range(count)}, []
    mismatched = log_mismatches(replayed, block.recorded_logs, count)
    return block.recorded_logs, mismatched


def _stored_scene(
    block: StoredBlock,
    replayer: Replayer,
    table: ChainTable,
    known: Mapping[str, Mapping[int, int]],
    mismatched: Sequence[int],
) -> SetScene:
    @asynccontextmanager
    async def set_scene(count: int, folder: Path) -> AsyncIterator[Scene]:
        notes = _not_run((await replayer.run(count)).refused) if count else []
        earlier = sum(index < count for index in mismatched)
        if earlier:
            notes.append(f"{earlier} earlier transactions replayed with other logs than recorded")
        state = await replayer.state() if count else block.state
        moment = Moment(table.chain_id, block.header, state, known)
        async with stored_stage(moment, table, folder) as stage:
            yield Scene(stage, known, notes)

    return set_scene


def _not_run(refused: Mapping[int, str]) -> list[str]:
    return [f"{len(refused)} earlier transactions did not run"] if refused else []


def _tokens(records: Sequence[PoolRecord]) -> dict[str, tuple[str, str]]:
    return {record.address: (record.tokens[0], record.tokens[1]) for record in records}
