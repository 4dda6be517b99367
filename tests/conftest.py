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
    """The scripts of `ape run`, one after another in a process of their own, which takes seconds to start:
    the first script waits for it."""

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
        self._ready = False

    def start(self, script: str, *words: object) -> None:
        """Have a script run without waiting for its end."""
        if not self._ready:
            assert json.loads(self._answer()) == "ready"
            self._ready = True
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([script, *map(str, words)]) + "\n")
        self.process.stdin.flush()

    def __call__(self, script: str, *words: object) -> Said:
        self.start(script, *words)
        return Said(**json.loads(self._answer()))

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def kill(self) -> None:
        """As `kill -9` would."""
        self.process.kill()
        self.process.wait()


class ApePool:
    """Processes for scripts, handed from test to test."""

    def __init__(self) -> None:
        self._idle: list[ApeCommands] = []

    def take(self) -> ApeCommands:
        """One that nobody else uses."""
        return self._idle.pop() if self._idle else ApeCommands()

    def give_back(self, ape: ApeCommands) -> None:
        """It is free again, unless it was killed. It must not be in the middle of a script."""
        if ape.process.poll() is None:
            self._idle.append(ape)

    def close(self) -> None:
        """End those that are free."""
        for each in self._idle:
            each.kill()


@pytest.fixture(scope="session")
def apes() -> Iterator[ApePool]:
    """Processes for `ape run` scripts, ended with the session."""
    pool = ApePool()
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def ape(apes: ApePool) -> Iterator[ApeCommands]:
    """A process for the scripts of a module's tests."""
    taken = apes.take()
    yield taken
    apes.give_back(taken)
