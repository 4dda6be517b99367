"""A disk that is full at any byte of an intent, or read-only: nothing is sent, and nothing is lost."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from disk_limits import disk_ends_at
from router_bench import RouterBench
from storm import Storm

from engine.chain.keys import LocalSigner
from engine.chain.rpc import RpcNode
from engine.domain.errors import ExecutionError, UsageError
from engine.ledger.journal import FileJournal


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Nothing can be made or opened for writing in it; for root, only a mount does that."""
    if os.geteuid():
        directory.chmod(0o500)
        yield
        directory.chmod(0o700)
        return
    mounts = (["mount", "--bind", directory, directory], ["mount", "-o", "remount,bind,ro", directory])
    for command in mounts:
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this system does not let root mount a folder read-only")
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def pending(bench: RouterBench) -> int:
    status = bench.rpc("txpool_status")
    return int(status["pending"], 16) + int(status["queued"], 16)


async def trade_on(storm: Storm) -> None:
    """Until something stops it."""
    while True:
        await storm.trade()


SEEDS: list[Any] = [1, 2, *(pytest.param(n, marks=pytest.mark.campaign) for n in range(3, 23))]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_disk_that_is_full_or_read_only_sends_nothing(
    bench: RouterBench, signer: LocalSigner, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    directory = tmp_path / "records"
    directory.mkdir()
    path = directory / "journal.jsonl"
    async with RpcNode(bench.rpc.url) as node:
        storm = Storm(bench, node, signer, path, seed)
        for _ in range(rng.randrange(1, 3)):
            await storm.trade()
            await storm.mine()
        whole, waiting = path.read_bytes(), pending(bench)
        if seed % 2:
            with disk_ends_at(len(whole) + rng.randrange(2_000)), pytest.raises(ExecutionError):
                await trade_on(storm)
        else:
            storm.journal.close()
            with read_only(directory), pytest.raises(UsageError, match="cannot be opened"):
                FileJournal(path)
            assert path.read_bytes() == whole
        assert pending(bench) == waiting
        # Room again: a fresh start cuts off what was torn, and trading goes on.
        await storm.restart()
        assert path.read_bytes() == whole
        await storm.trade()
        await storm.settle()
        storm.check()
        storm.journal.close()
