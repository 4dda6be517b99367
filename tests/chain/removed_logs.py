"""The logs that a reorganisation removed, as nodes push them to who subscribed to logs; anvil does not."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

REMEMBERED = 1024
SUBSCRIPTION = "0x" + "10" * 16


class RemovedLogs:
    """Remembers what a node answered, and says what a new head makes of it."""

    def __init__(self) -> None:
        self._known: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)

    def note(self, logs: Sequence[dict[str, Any]]) -> None:
        """Logs of blocks that are in the chain."""
        self._known.extend(logs)

    def some(self) -> list[dict[str, Any]]:
        """The last logs there were, as if they had been removed."""
        return [log | {"removed": True} for log in list(self._known)[-2:]]

    def by(self, head: dict[str, Any]) -> list[dict[str, Any]]:
        """What the block of a head notification replaced."""
        number, block_hash = int(head["number"], 16), head.get("hash")
        kept, gone = [], []
        for log in self._known:
            replaced = int(log["blockNumber"], 16) >= number and log["blockHash"] != block_hash
            (gone if replaced else kept).append(log)
        self._known = deque(kept, maxlen=REMEMBERED)
        return [log | {"removed": True} for log in gone]


def notification(log: dict[str, Any], subscription: str = SUBSCRIPTION) -> dict[str, Any]:
    """The message that pushes a log."""
    params = {"subscription": subscription, "result": log}
    return {"jsonrpc": "2.0", "method": "eth_subscription", "params": params}
