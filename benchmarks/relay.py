"""From a block's header to the bundle that a local relay has accepted, with the node's own share apart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_utils import keccak

from benchmarks.measure import Result, Unmeasurable, main
from benchmarks.soak import OPERATOR_KEY, PASSPHRASE, open_market
from engine.app.records import open_records
from engine.app.sender import Key
from engine.app.sending import open_channel
from engine.app.session import open_session
from engine.app.settings import build_settings
from engine.app.toolchain import project_root
from engine.app.world.world import World
from engine.chain.endpoint_set import EndpointSet
from engine.chain.keys import signer_of_key
from engine.chain.relays import RelayChannel
from engine.chain.source import LiveBlockSource
from engine.domain.errors import RoundtripError
from engine.domain.events import BlockFinished, BlockSkipped, Fact
from engine.domain.execution import Delivery
from engine.telemetry.telemetry import percentile

WARM_UP, BLOCKS = 20, 150
_RELAY = project_root() / "tests" / "execution" / "bundle_relay.py"


@dataclass(slots=True)
class Times:
    """Seconds since some moment: when each block's header was known, when the node was being waited for, and
    when the relay was asked and had accepted."""

    header: dict[int, float] = field(default_factory=dict)
    node: list[tuple[float, float]] = field(default_factory=list)
    relay: dict[int, tuple[float, float]] = field(default_factory=dict)

    def shares(self, block: int) -> tuple[float, float, float]:
        """Milliseconds of a block from header to acceptance: all, the node's, the relay's."""
        start, (asked, accepted) = self.header[block], self.relay[block]
        waited, until = 0.0, start
        for began, ended in sorted(self.node):
            if ended > until and began < asked:
                waited += min(ended, asked) - max(began, until)
                until = max(until, min(ended, asked))
        return (accepted - start) * 1e3, waited * 1e3, (accepted - asked) * 1e3


@contextlib.contextmanager
def watched(times: Times) -> Iterator[None]:
    """Node, block source and relay channel note when they are used."""
    request, batch, advance, send = (
        EndpointSet.request, EndpointSet.batch, LiveBlockSource._advance, RelayChannel.send
    )  # fmt: skip

    async def timed(call: Any, *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return await call(*arguments)
        finally:
            times.node.append((began, time.perf_counter()))

    def advanced(self: LiveBlockSource, head: Any) -> Any:
        times.header.setdefault(head.ref.number, time.perf_counter())
        return advance(self, head)

    async def sent(self: RelayChannel, transaction: Any, block: int) -> Any:
        began = time.perf_counter()
        dispatches = await send(self, transaction, block)
        if all(each.delivery is Delivery.ACCEPTED for each in dispatches):
            times.relay.setdefault(block - 1, (began, time.perf_counter()))
        return dispatches

    EndpointSet.request = lambda self, *given: timed(request, self, *given)  # type: ignore[method-assign]
    EndpointSet.batch = lambda self, *given: timed(batch, self, *given)  # type: ignore[method-assign]
    LiveBlockSource._advance = advanced  # type: ignore[method-assign]
    RelayChannel.send = sent  # type: ignore[method-assign]
    try:
        yield
    finally:
        EndpointSet.request, EndpointSet.batch = request, batch  # type: ignore[method-assign]
        LiveBlockSource._advance, RelayChannel.send = advance, send  # type: ignore[method-assign]


@asynccontextmanager
async def serving_relay(node_url: str) -> AsyncIterator[str]:
    """The tests' relay in a process of its own; its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(_RELAY), node_url, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=project_root(),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def follow(world: World, directory: Path, url: str, times: Times) -> None:
    """An engine follows the world's blocks and sends its bundles to the relay, which includes none."""
    identity, passphrase = directory / "identity.json", directory / "passphrase"
    key = keccak(text="roundtrip relay identity")
    identity.write_text(json.dumps(Account.encrypt(key, PASSPHRASE, kdf="pbkdf2", iterations=1_000)))
    raw = tomllib.loads((directory / "roundtrip.toml").read_text())
    raw["execution"] |= {"submission": "bundles", "relays": {"flashbots": {"url": url}}}
    raw["keys"] |= {"identity": str(identity), "identity_passphrase_file": str(passphrase)}
    settings = build_settings(raw, "benchmark")
    signer, done, moved = signer_of_key(OPERATOR_KEY), [0], asyncio.Event()

    def hear(fact: Fact) -> None:
        if isinstance(fact, BlockFinished | BlockSkipped):
            done[0] = fact.block.number
            moved.set()

    async with (
        open_records(
            settings.storage.directory, 31337, "live", [signer.address], lambda error: None
        ) as records,
        open_channel(settings, [signer.address]) as channel,
    ):
        opening = open_session(settings, key=Key(signer, records.journals[0], channel), publish=hear)
        async with opening as session:
            task = asyncio.create_task(session.follow())
            try:
                for _ in range(WARM_UP + BLOCKS):
                    await world.trade()
                    await world.mine()
                    async with asyncio.timeout(60):
                        while done[0] < world.head.number:
                            moved.clear()
                            await moved.wait()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


async def run() -> Times:
    """What was noted over all blocks."""
    from engine.app.kernels import warm_kernels

    await asyncio.to_thread(warm_kernels)
    times = Times()
    with tempfile.TemporaryDirectory(prefix="roundtrip-relay-") as scratch, watched(times):
        directory = Path(scratch)
        async with open_market(directory) as world, serving_relay(world.anvil.http_url) as url:
            await follow(world, directory, url, times)
    return times


def measure() -> list[Result]:
    """p50 and p99 over the blocks in which a bundle was accepted, of the whole and of each share."""
    try:
        times = asyncio.run(run())
    except RoundtripError as error:
        raise Unmeasurable(f"the world could not be made: {error}") from error
    blocks = [block for block in sorted(times.relay) if block in times.header][WARM_UP // 2 :]
    if not blocks:
        raise Unmeasurable("no bundle was accepted")
    shares = [times.shares(block) for block in blocks]
    parts = {
        "all": [total for total, _, _ in shares],
        "node": [node for _, node, _ in shares],
        "relay": [relay for _, _, relay in shares],
        "own": [total - node - relay for total, node, relay in shares],
    }
    figures = {
        f"{name}_{label}": round(percentile(values, part) or 0.0, 2)
        for name, values in parts.items()
        for label, part in (("p50_ms", 0.5), ("p99_ms", 0.99))
    }
    return [
        Result(
            "relay",
            "a block's header to its first bundle accepted by a local relay, it and the node in processes of "
            "their own: all, while the node was waited for, the relay's answer, and the rest, which is ours",
            "ms",
            {"bundles": len(blocks), **figures},
        )
    ]


if __name__ == "__main__":
    raise SystemExit(main(measure))
