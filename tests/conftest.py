"""Fixtures every test may use: nodes that are stopped when the test ends."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

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
