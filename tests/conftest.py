"""Fixtures every test may use: nodes that are stopped when the test ends."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from engine.app.deploy import ape_environment
from engine.app.toolchain import project_root
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.app.world.world import World, open_world

# The gate draws the same examples every time; at a desk each run explores further. Neither is judged by how
# fast the machine is.
_TIMELESS = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("desk", **_TIMELESS)
settings.register_profile("gate", derandomize=True, **_TIMELESS)
settings.load_profile("gate" if os.environ.get("CI") else "desk")


@pytest.fixture
def start_anvil() -> Iterator[Callable[..., AnvilProcess]]:
    """Starts anvils with the given `AnvilOptions` fields; all are stopped when the test ends."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(AnvilProcess(AnvilOptions(**options)))


@pytest.fixture
def anvil(start_anvil: Callable[..., AnvilProcess]) -> AnvilProcess:
    """A fresh anvil that mines a block for each transaction."""
    return start_anvil()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A fresh embedded world of seed 1, made in about a second and still mining each transaction.

    Its node is `world.anvil`; `await world.open_market()` turns to mining on request.
    """
    async with open_world(1) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Said:
    """How a script ended and what it printed."""

    code: int
    out: str
    err: str


class ApeCommands:
    """The scripts of `ape run`, one after another in a process of their own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("ape_driver.py"))],
            cwd=project_root(),
            env=ape_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline()) == "ready"

    def start(self, script: str, *words: object) -> None:
        """Have a script run without waiting for its end."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([script, *map(str, words)]) + "\n")
        self.process.stdin.flush()

    def __call__(self, script: str, *words: object) -> Said:
        self.start(script, *words)
        assert self.process.stdout is not None
        return Said(**json.loads(self.process.stdout.readline()))

    def kill(self) -> None:
        """As `kill -9` would."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def start_ape() -> Iterator[Callable[[], ApeCommands]]:
    """Starts processes for `ape run` scripts; all are ended with the module's tests."""
    started: list[ApeCommands] = []

    def start() -> ApeCommands:
        started.append(ApeCommands())
        return started[-1]

    yield start
    for each in started:
        each.kill()
