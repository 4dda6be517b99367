"""Submits one simulated plan, mines and books it, and is killed, unable to tidy up, at a point: "reserved",
"signed", "persisted", "sent", "acknowledged", "receipt" (known, not booked) or "booked"."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from router_bench import OPERATOR_KEY

from engine.chain.keys import signer_of_key
from engine.chain.logs import token_delta
from engine.chain.rpc import RpcNode
from engine.chain.wire import header
from engine.domain.execution import Execution, Intent
from engine.execution.recovery import recover
from engine.execution.submitter import Submitter
from engine.execution.tracker import Tracker
from engine.ledger.journal import FileJournal


async def main(url: str, directory: Path, fatal: str) -> None:
    simulated = pickle.loads((directory / "simulated.pickle").read_bytes())

    def at(point: str) -> None:
        if point == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    async with RpcNode(url) as node:
        journal = WatchedJournal(directory / "journal.jsonl", at)
        signer = signer_of_key(OPERATOR_KEY)
        router = simulated.plan.router
        found = await recover(node, journal, signer.address, router, token_delta)
        submitter = Submitter(node, signer, journal, found.lane, 31337, at=at)
        tracker = Tracker(node, journal, submitter, signer.address, router, token_delta)
        for intent in found.in_flight:
            tracker.follow(intent)
        sent = await submitter.submit(simulated)
        at("acknowledged")
        assert isinstance(sent, Intent)
        tracker.follow(sent)
        for _ in range(3):
            await node.request("evm_mine", [])
            head = header(await node.request("eth_getBlockByNumber", ["latest", False])).ref
            await tracker.on_block(head)


class WatchedJournal(FileJournal):
    """The real one, told where to die around the booking of an outcome."""

    def __init__(self, path: Path, at: Callable[[str], None]):
        super().__init__(path)
        self._at = at

    def record_outcome(self, execution: Execution) -> None:
        self._at("receipt")
        super().record_outcome(execution)
        self._at("booked")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
