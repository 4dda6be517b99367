"""A local node that re-executes a block's own transactions under the block's own rules."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.app.simulate.blocks import Account, State, StoredBlock, genesis
from engine.app.simulate.hardforks import hardfork_of, is_overcharged
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.chain.rpc import RpcNode, connect
from engine.domain.errors import NodeError

NODE_TIMEOUT_S = 120.0
# Senders are impersonated and their balances change within the block: the pool must not judge them early.
REPLAY_FLAGS = (
    "--auto-impersonate",
    "--disable-pool-balance-checks",
    "--disable-min-priority-fee",
    "--no-request-size-limit",
)
_BLOB_TYPE = 3
# What a transaction that ran dry for the node's overcharge is given more: as for eight fresh slots.
_OVERCHARGE_GAS = 2_100
_FRESH_SLOTS = 8


@dataclass(frozen=True, slots=True)
class Replayed:
    """What re-execution of a block's first transactions gave.

    `receipts` by transaction index; `refused` says, by index, why a transaction did not run.
    """

    receipts: dict[int, dict[str, Any]]
    refused: dict[int, str] = field(default_factory=dict)

    def logs(self, index: int) -> list[dict[str, Any]]:
        """Logs of one transaction; empty when it reverted or did not run."""
        return self.receipts[index]["logs"] if index in self.receipts else []


class Replayer:
    """Stands just before a block and runs any number of its first transactions, each time from there."""

    def __init__(
        self,
        node: RpcNode,
        header: Mapping[str, Any],
        transactions: Sequence[dict[str, Any]],
        overcharged: bool = False,
    ):
        """`overcharged`: the node charges more for fresh storage slots than the block's rules."""
        self.node = node
        self._header = header
        self._transactions = transactions
        self._overcharged = overcharged
        self._starved: set[int] = set()
        self._start: str | None = None

    async def run(self, count: int) -> Replayed:
        """Mine the block's first `count` transactions in one block upon the block's pre-state."""
        replayed = await self._run(count)
        if self._overcharged:
            starved = {index for index in replayed.receipts if self._ran_dry(index, replayed)}
            if starved - self._starved:
                self._starved |= starved
                replayed = await self._run(count)
        return replayed

    def _ran_dry(self, index: int, replayed: Replayed) -> bool:
        receipt = replayed.receipts[index]
        used, limit = int(receipt["gasUsed"], 16), int(self._transactions[index]["gas"], 16)
        # A call keeps back a 64th of its gas (EIP-150), which is left when the called contract runs dry.
        return receipt["status"] == "0x0" and 64 * used >= 63 * limit

    async def _run(self, count: int) -> Replayed:
        if self._start is not None:
            await self.node.request("evm_revert", [self._start])
            await self.node.request("anvil_dropAllTransactions", [])
        self._start = await self.node.request("evm_snapshot", [])
        await set_next_block(self.node, self._header)
        parent = await self.node.request("eth_getBlockByNumber", ["latest", False])
        hashes: dict[int, str] = {}
        refused: dict[int, str] = {}
        for index, transaction in enumerate(self._transactions[:count]):
            sent = _unsigned(transaction)
            # Some contracts act only upon the parent block that their caller names.
            sent["data"] = sent["data"].replace(self._header["parentHash"][2:].lower(), parent["hash"][2:])
            if index in self._starved:
                sent["gas"] = hex(int(sent["gas"], 16) + _FRESH_SLOTS * _OVERCHARGE_GAS)
            try:
                hashes[index] = await self.node.request("eth_sendTransaction", [sent])
            except NodeError as error:
                refused[index] = _one_line(error)
        await self.node.request("evm_mine", [])
        answers = await self.node.batch([("eth_getTransactionReceipt", [hash_]) for hash_ in hashes.values()])
        receipts = {}
        for index, answer in zip(hashes, answers, strict=True):
            if isinstance(answer, dict):
                receipts[index] = answer
            else:
                refused[index] = "the local node did not include it"
        return Replayed(receipts, dict(sorted(refused.items())))

    async def state(self) -> State:
        """Every account the node holds, as it is now."""
        return parse_dump(await self.node.request("anvil_dumpState", []))


@asynccontextmanager
async def stored_replayer(block: StoredBlock, chain_id: int, folder: Path) -> AsyncIterator[Replayer]:
    """A replayer of a stored block. `folder` takes the node's files."""
    start = folder / f"{block.number}-pre.json"
    start.write_text(json.dumps(genesis(block.state, block.header, chain_id, block.timestamp - 1)))
    options = AnvilOptions(
        chain_id=chain_id,
        hardfork=hardfork_of(chain_id, block.number),
        order="fifo",
        no_mining=True,
        # Small differences in gas must not push the last transactions out of a full block.
        gas_limit=2 * int(block.header["gasLimit"], 16),
        number=block.number - 1,
        timestamp=block.timestamp - 1,
        init=start,
        extra=REPLAY_FLAGS,
    )
    async with local_node(options) as node:
        yield Replayer(node, block.header, block.transactions, is_overcharged(chain_id, block.number))


@asynccontextmanager
async def local_node(options: AnvilOptions) -> AsyncIterator[RpcNode]:
    """A started anvil and a connection to it; both end with the context."""
    with AnvilProcess(options) as process:
        async with connect(process.http_url, timeout_s=NODE_TIMEOUT_S) as node:
            yield node


async def set_next_block(node: RpcNode, header: Mapping[str, Any]) -> None:
    """Give the next block the header's coinbase, timestamp and base fee."""
    await node.request("anvil_setCoinbase", [header["miner"]])
    await node.request("evm_setNextBlockTimestamp", [int(header["timestamp"], 16)])
    if header.get("baseFeePerGas") is not None:
        await node.request("anvil_setNextBlockBaseFeePerGas", [header["baseFeePerGas"]])


def parse_dump(dump: str) -> State:
    """The accounts of an `anvil_dumpState` answer. Raises NodeError when it is something else."""
    try:
        raw = bytes.fromhex(dump.removeprefix("0x"))
        accounts = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)["accounts"]
        return {
            address.lower(): Account(
                balance=int(entry["balance"], 16),
                nonce=int(entry["nonce"]),
                code=bytes.fromhex(entry["code"].removeprefix("0x")),
                storage={int(slot, 16): int(value, 16) for slot, value in entry["storage"].items()},
            )
            for address, entry in accounts.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise NodeError("the local node dumped a state of unknown form", method="anvil_dumpState") from error


def log_mismatches(replayed: Replayed, recorded: Mapping[int, list[dict[str, Any]]], count: int) -> list[int]:
    """Indices of transactions whose replayed logs differ from the recorded ones."""
    return [index for index in range(count) if _bare(replayed.logs(index)) != _bare(recorded.get(index, []))]


def _bare(logs: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...], str]]:
    return [(log["address"].lower(), tuple(log["topics"]), log["data"].lower()) for log in logs]


def _unsigned(transaction: Mapping[str, Any]) -> dict[str, Any]:
    """The transaction as its sender's node would send it: own fees, nonce and access list."""
    sent: dict[str, Any] = {name: transaction[name] for name in ("from", "gas", "value", "nonce")}
    sent["data"] = transaction["input"].lower()
    if transaction.get("to") is not None:
        sent["to"] = transaction["to"]
    kind = int(transaction.get("type") or "0x0", 16)
    if transaction.get("maxFeePerGas") is not None:
        sent["maxFeePerGas"] = transaction["maxFeePerGas"]
        sent["maxPriorityFeePerGas"] = transaction["maxPriorityFeePerGas"]
    else:
        sent["gasPrice"] = transaction["gasPrice"]
    if transaction.get("accessList"):
        sent["accessList"] = transaction["accessList"]
    if transaction.get("authorizationList"):
        sent["authorizationList"] = transaction["authorizationList"]
    # Blobs are not part of a block: such a transaction runs as the ordinary one it is otherwise.
    if kind != _BLOB_TYPE:
        sent["type"] = hex(kind)
    return sent


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
