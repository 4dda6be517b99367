"""Why a trade that was sent did not land: told from what else touched its pools in the blocks it was meant
for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from engine.domain.describe import chains_of
from engine.domain.errors import NodeError
from engine.domain.execution import Execution, MissReason, Outcome
from engine.domain.ports import Node
from engine.domain.quantity import quantity

_TRADE = "trade"
_NOT_LANDED = (Outcome.MISSED, Outcome.REVERTED)
_ADDRESS_CHARS = 42
# What happened later than so many blocks after a trade was meant to land explains nothing.
_BLOCKS_LOOKED_AT = 8


@dataclass(slots=True)
class _Mover:
    """A transaction that touched some of the pools, and where it stands."""

    hash: str
    at: tuple[int, int]
    pools: set[str] = field(default_factory=set)


async def attributed(node: Node, execution: Execution, head: int, *, was_late: bool = False) -> Execution:
    """The execution with the reason for which a trade was missed or reverted; anything else as it is.

    `head` is the last block that counts; `was_late` says that the block it was meant for was there already
    when it was sent. A node that does not answer leaves the reason open.
    """
    if execution.intent.kind != _TRADE or execution.outcome not in _NOT_LANDED:
        return execution
    try:
        miss, rival = await _why(node, execution, head, was_late)
    except (NodeError, KeyError, TypeError, ValueError, AttributeError):
        miss, rival = (MissReason.LATE, "") if was_late else (None, "")
    return replace(execution, miss=miss, rival=rival)


async def _why(node: Node, execution: Execution, head: int, was_late: bool) -> tuple[MissReason | None, str]:
    intent = execution.intent
    target = intent.block_number + 1
    pools = {hop["pool"] for chain in chains_of(intent.record) for hop in chain}
    until = min(execution.block_number or head, target + _BLOCKS_LOOKED_AT)
    movers = await _movers(node, pools, target, max(until, target))
    before = [each for each in movers if each.hash != intent.transaction.hash]
    reverted = execution.outcome is Outcome.REVERTED
    if reverted:
        receipt = await node.request("eth_getTransactionReceipt", [intent.transaction.hash])
        at = execution.block_number, quantity(receipt["transactionIndex"], "transaction index")
        before = [each for each in before if each.at < at]
    first = before[0] if before else None
    if was_late or (first is None and reverted and execution.block_number > target):
        return MissReason.LATE, first.hash if first else ""
    if first is None:
        return (MissReason.STATE_MOVED if reverted else MissReason.NOT_INCLUDED), ""
    took = len(first.pools & pools) > 1
    return (MissReason.OUTBID if took else MissReason.STATE_MOVED), first.hash


async def _movers(node: Node, pools: Collection[str], first: int, last: int) -> list[_Mover]:
    """Transactions whose logs are of these pools, in the order of the chain."""
    blocks = {"fromBlock": hex(first), "toBlock": hex(last)}
    wanted: list[dict[str, Any]] = []
    # A pool without a contract of its own is named by its id in the first indexed field.
    if contracts := sorted(pool for pool in pools if len(pool) == _ADDRESS_CHARS):
        wanted.append({**blocks, "address": contracts})
    if ids := sorted(pool for pool in pools if len(pool) != _ADDRESS_CHARS):
        wanted.append({**blocks, "topics": [None, ids]})
    found: dict[str, _Mover] = {}
    for query in wanted:
        for log in await node.request("eth_getLogs", [query]):
            at = quantity(log["blockNumber"]), quantity(log["transactionIndex"])
            mover = found.setdefault(log["transactionHash"], _Mover(log["transactionHash"], at))
            named = log["address"].lower() if "address" in query else log["topics"][1].lower()
            mover.pools.add(named)
    return sorted(found.values(), key=lambda each: each.at)
