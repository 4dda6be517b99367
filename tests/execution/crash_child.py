"""Submits one simulated plan and is killed, without a chance to tidy up, at the named point."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
from pathlib import Path

from router_bench import OPERATOR_KEY

from engine.chain.keys import signer_of_key
from engine.chain.rpc import RpcNode
from engine.execution.nonces import NonceLane
from engine.execution.submitter import Submitter
from engine.ledger.journal import FileJournal


async def main(url: str, directory: Path, fatal: str) -> None:
    simulated = pickle.loads((directory / "simulated.pickle").read_bytes())

    def at(point: str) -> None:
        if point == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    async with RpcNode(url) as node:
        journal = FileJournal(directory / "journal.jsonl")
        submitter = Submitter(node, signer_of_key(OPERATOR_KEY), journal, NonceLane(0), 31337, at=at)
        await submitter.submit(simulated)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
