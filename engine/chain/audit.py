"""Whether a block's logs were given whole: its receipts hold every log there is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from eth_utils import keccak

from engine.chain.wire import header, quantity
from engine.domain.errors import MalformedAnswer, NodeError
from engine.domain.market import RawBlock
from engine.domain.ports import Node


class LogAudit:
    """Compares the logs a block was given with, by place in the block, with what a node's receipts say.

    A node without `eth_getBlockReceipts` is asked once, and from then on for all logs of the block, which
    have to fill the header's bloom and to be numbered without a gap: less proof, but still of every log but
    those at the end that add no bit.
    """

    def __init__(self, topics: Collection[str]):
        self._topics = frozenset(topics)
        self._has_receipts = True

    async def missing(self, node: Node, raw: RawBlock) -> list[dict[str, Any]]:
        """Logs of the block, of the topics followed, that `raw` lacks. Raises NodeError when the node cannot
        say, MalformedAnswer when what it says contradicts the header."""
        given = {quantity(log.get("logIndex"), "log index") for log in raw.logs}
        logs = await self._from_receipts(node, raw) if self._has_receipts else None
        if logs is None:
            logs = await self._from_logs(node, raw)
        return [
            log
            for log in logs
            if _first_topic(log) in self._topics and quantity(log.get("logIndex"), "log index") not in given
        ]

    async def _from_receipts(self, node: Node, raw: RawBlock) -> list[dict[str, Any]] | None:
        try:
            receipts = await node.request("eth_getBlockReceipts", [raw.block.hash])
        except NodeError as error:
            if error.code not in (-32601, -32602) and "not supported" not in str(error):
                raise
            self._has_receipts = False
            return None
        if not isinstance(receipts, list) or not all(isinstance(each, dict) for each in receipts):
            raise MalformedAnswer("the node answered eth_getBlockReceipts with something else")
        if any(each.get("blockHash") != raw.block.hash for each in receipts):
            raise MalformedAnswer("the node answered with the receipts of another block")
        return [log for each in receipts for log in each.get("logs", ()) if isinstance(log, dict)]

    async def _from_logs(self, node: Node, raw: RawBlock) -> list[dict[str, Any]]:
        logs, head = await node.batch(
            [
                ("eth_getLogs", [{"blockHash": raw.block.hash}]),
                ("eth_getBlockByHash", [raw.block.hash, False]),
            ]
        )
        for answer in (logs, head):
            if isinstance(answer, NodeError):
                raise answer
        if not isinstance(logs, list) or not all(isinstance(each, dict) for each in logs):
            raise MalformedAnswer("the node answered eth_getLogs with something else")
        numbers = sorted(quantity(log.get("logIndex"), "log index") for log in logs)
        if numbers != list(range(len(numbers))):
            raise MalformedAnswer(f"logs of block {raw.block.number} are missing")
        bloom = header(head).bloom
        if bloom_of(logs) != bloom:
            raise MalformedAnswer(f"the logs of block {raw.block.number} do not fill its bloom")
        return logs


def bloom_of(logs: Collection[dict[str, Any]]) -> bytes:
    """The 256-byte bloom of logs (yellow paper, M3:2048): their addresses and topics."""
    items = {str(log.get("address")) for log in logs} | {topic for log in logs for topic in log["topics"]}
    bits = 0
    for item in items:
        digest = keccak(bytes.fromhex(item[2:]))
        for at in (0, 2, 4):
            bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return bits.to_bytes(256, "big")


def _first_topic(log: dict[str, Any]) -> str:
    topics = log.get("topics")
    return str(topics[0]) if isinstance(topics, list) and topics else ""
