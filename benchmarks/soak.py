"""A live engine over many blocks at high speed: memory, open files, tasks and latency must stay level.

`make soak`, or `python -m benchmarks.soak [--blocks N] [--windows N]`; exit code 1 when something grew. The
engine is `roundtrip run --mode live` in a process of its own; people trade in an embedded world, and it is
done with each block before the next one is mined.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_utils import keccak

from benchmarks.flatness import Window, growths, leaks
from benchmarks.measure import Result, Unmeasurable, finish
from engine.app.deploy import FeedListing, deploy
from engine.app.world.node import AnvilProcess
from engine.app.world.world import World, node_options
from engine.chain.keys import signer_of_key
from engine.domain.errors import RoundtripError
from engine.telemetry.telemetry import percentile

SEED = 17
BLOCKS, WINDOWS = 20_000, 25
PASSPHRASE = "a soak's play money"
OPERATOR_KEY = keccak(text="roundtrip soak operator")
FUNDS_WEI = 10_000 * 10**18
ROUNDTRIP = (sys.executable, "-m", "engine")
# The node forgets what is older than any reorg that the engine follows.
_NODE_KEEPS = ("--prune-history", "256", "--transaction-block-keeper", "512")
_BLOCK_TIMEOUT_S = 60.0
_SAMPLE_S = 1.0
_LOG_LINE_BYTES = 1 << 20


@dataclass(slots=True)
class Engine:
    """A running engine: what it logged about blocks, and what its health says it holds."""

    process: asyncio.subprocess.Process
    health: Path
    done: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    submitted: int = 0
    warnings: dict[str, int] = field(default_factory=dict)
    divergences: dict[str, int] = field(default_factory=dict)
    last_lines: list[str] = field(default_factory=list)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        """Read its log to the end."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode(errors="replace")
            self.last_lines = [*self.last_lines[-20:], text]
            if text.startswith("{"):
                self._hear(json.loads(text))
            async with self._moved:
                self._moved.notify_all()
        async with self._moved:
            self._moved.notify_all()

    def _hear(self, entry: dict[str, Any]) -> None:
        event = entry["event"]
        if event == "block_finished":
            self.latencies_ms.append(entry["elapsed_ms"])
            self.done, self.submitted = entry["block"], self.submitted + entry["submitted"]
        elif event == "block_skipped":
            self.done, self.skipped = entry["block"], self.skipped + 1
        elif event == "execution_resolved":
            outcome = entry["outcome"]
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        if event in ("pool_diverged", "raced_node", "lying_node"):
            self.divergences[entry["cause"]] = self.divergences.get(entry["cause"], 0) + 1
        if entry["level"] in ("warning", "error"):
            self.warnings[event] = self.warnings.get(event, 0) + 1

    async def until(self, block: int) -> None:
        """Until it is done with a block. Raises RuntimeError when it ended or does not come so far."""

        def ready() -> bool:
            return self.done >= block or self.process.returncode is not None

        try:
            async with asyncio.timeout(_BLOCK_TIMEOUT_S), self._moved:
                await self._moved.wait_for(ready)
        except TimeoutError:
            raise RuntimeError(f"block {block} was not finished: {''.join(self.last_lines)}") from None
        if self.done < block:
            raise RuntimeError(f"the engine ended: {''.join(self.last_lines)}")

    def holds(self) -> dict[str, Any] | None:
        """What it held when it last reported."""
        try:
            return json.loads(self.health.read_text())["process"]
        except (OSError, ValueError):
            return None


class Sampler:
    """Reads an engine's report every second; `window` says what was seen since the last one."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._held: list[dict[str, Any]] = []
        self._from = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_SAMPLE_S)

    def look(self) -> None:
        """Take one sample now."""
        if held := self._engine.holds():
            self._held.append(held)

    def window(self) -> Window:
        """What was seen since the last window."""
        times = self._engine.latencies_ms[self._from :]
        self._from = len(self._engine.latencies_ms)
        self.look()
        held, self._held = self._held, []
        if not held or not times:
            raise Unmeasurable("the engine reported nothing in a whole window: make windows longer")

        def least(name: str) -> int:
            # A block in the line opens some and closes them again: what leaks is there between blocks, too.
            return min(each[name] or 0 for each in held)

        return Window(
            blocks=len(times),
            resident_bytes=int(statistics.median(each["resident_bytes"] or 0 for each in held)),
            open_files=least("open_files"),
            threads=least("threads"),
            tasks=least("tasks"),
            p50_ms=percentile(times, 0.5) or 0.0,
            p99_ms=percentile(times, 0.99) or 0.0,
            load=round(os.getloadavg()[0], 1),
        )


def _settings(world: World, directory: Path) -> str:
    """A live configuration with keys and records in `directory`."""
    keystore, passphrase = directory / "operator.json", directory / "passphrase"
    keystore.write_text(json.dumps(Account.encrypt(OPERATOR_KEY, PASSPHRASE, kdf="pbkdf2", iterations=1_000)))
    passphrase.write_text(PASSPHRASE + "\n")
    sections: dict[str, dict[str, Any]] = {
        "chain": {
            "chain_id": world.anvil.options.chain_id,
            "rpc_url": world.anvil.ws_url,
            "requests_per_second": 1_000_000,
        },
        "deployments": {"directory": str(directory / "deployments")},
        "market": {"base_tokens": world.base_tokens, "wrapped_native": world.wrapped_native},
        "risk": {"allowed_tokens": world.allowed_tokens},
        "execution": {"live": True},
        "keys": {"keystore": str(keystore), "passphrase_file": str(passphrase)},
        "storage": {"directory": str(directory / "records")},
        "log": {"level": "info", "format": "json"},
    }
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def open_market(directory: Path, seed: int = SEED) -> AsyncIterator[World]:
    """A world with our contracts for a funded operator, its configuration at `directory`/roundtrip.toml."""
    with AnvilProcess(replace(node_options(), extra=_NODE_KEEPS)) as anvil:
        world = await World.create(anvil, seed)
        try:
            operator = signer_of_key(OPERATOR_KEY).address
            await world.node.request("anvil_setBalance", [operator, hex(FUNDS_WEI)])
            await deploy(
                anvil.http_url,
                directory / "deployments",
                operator=operator,
                vault=signer_of_key(keccak(text="roundtrip soak vault")).address,
                venues=world.venues,
                feeds=[
                    FeedListing(f.base, f.quote, f.aggregator, f.max_staleness_s, f.min_answer, f.max_answer)
                    for f in world.feeds
                ],
            )
            await world.open_market()
            (directory / "roundtrip.toml").write_text(_settings(world, directory))
            yield world
        finally:
            await world.close()


@asynccontextmanager
async def running_engine(command: Sequence[str], directory: Path, chain_id: int) -> AsyncIterator[Engine]:
    """The engine in live mode; asked to stop at the end, killed when it does not."""
    process = await asyncio.create_subprocess_exec(
        *command, "run", "--config", str(directory / "roundtrip.toml"), "--mode", "live", "--yes-live",
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True, limit=_LOG_LINE_BYTES,
    )  # fmt: skip
    engine = Engine(process, directory / "records" / f"health-{chain_id}.json")
    listening = asyncio.create_task(engine.listen())
    try:
        yield engine
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            code = await process.wait()
        if code:
            raise RuntimeError(f"the engine ended with {code}: {''.join(engine.last_lines)}")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await listening


async def _started(engine: Engine, world: World) -> None:
    """Blocks come until the engine follows them."""
    deadline = time.monotonic() + 240
    while not engine.done:
        if engine.process.returncode is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the engine did not start: {''.join(engine.last_lines)}")
        await world.mine()
        await asyncio.sleep(0.5)


async def soak(
    blocks: int = BLOCKS, count: int = WINDOWS, command: Sequence[str] = ROUNDTRIP, say: Any = print
) -> tuple[list[Window], Engine, float]:
    """The windows, the engine as it was at the end, and how many seconds the blocks took.

    Raises RuntimeError when the engine stands still or ends."""
    with tempfile.TemporaryDirectory(prefix="roundtrip-soak-") as scratch:
        directory = Path(scratch)
        async with (
            open_market(directory) as world,
            running_engine(command, directory, world.anvil.options.chain_id) as engine,
        ):
            await _started(engine, world)
            sampler, windows = Sampler(engine), []
            sampling = asyncio.create_task(sampler.run())
            started = time.monotonic()
            try:
                for number in range(1, blocks + 1):
                    await world.trade()
                    await engine.until(world.head.number)
                    await world.mine()
                    if number * count // blocks > len(windows):
                        windows.append(sampler.window())
                        say(f"{number:,} blocks, {time.monotonic() - started:.0f} s: {windows[-1]}")
            finally:
                sampling.cancel()
            return windows, engine, time.monotonic() - started


def measure(blocks: int = BLOCKS, count: int = WINDOWS) -> list[Result]:
    """The soak as a result. What grew is in its `leaks`."""
    try:
        windows, engine, took_s = asyncio.run(soak(blocks, count))
    except RoundtripError as error:
        raise Unmeasurable(f"the world could not be made: {error}") from error
    found = growths(windows)
    megabyte = 1 << 20
    ours: dict[str, float] = {"blocks": blocks, "blocks_per_second": round(blocks / took_s, 1)}
    for each in found:
        in_bytes = each.measure.endswith("_bytes")
        name = each.measure.replace("bytes", "mb")
        for part, value in (("first", each.first), ("last", each.last)):
            ours[f"{name}_{part}_third"] = round(value / megabyte if in_bytes else value, 2)
    return [
        Result(
            "soak",
            "a live engine over an embedded world's blocks, each done with before the next is mined: medians "
            "of the first and the last third of the windows after the warm-up, which must not differ",
            "mixed",
            ours,
            extra={
                "leaks": leaks(found),
                "seconds": round(took_s),
                "submitted": engine.submitted,
                "outcomes": engine.outcomes,
                "blocks_skipped": engine.skipped,
                "warnings": engine.warnings,
                "divergences": engine.divergences,
                "windows": [window.document() for window in windows],
            },
        )
    ]


def main(arguments: list[str]) -> int:
    """Exit code 1 when something grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--windows", type=int, default=WINDOWS)
    given = parser.parse_args(arguments)
    results = measure(given.blocks, given.windows)
    if given.blocks >= BLOCKS:
        finish(results)
    grown = results[0].extra["leaks"]
    print("\n".join(grown) or "everything stayed level")
    return 1 if grown else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
