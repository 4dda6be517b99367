"""Fixtures every test may use: nodes that are stopped when the test ends."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from engine.app.world.node import AnvilOptions, AnvilProcess


@pytest.fixture
def start_anvil() -> Iterator[Callable[..., AnvilProcess]]:
    """Starts anvils with the given `AnvilOptions` fields; all are stopped when the test ends."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(AnvilProcess(AnvilOptions(**options)))


@pytest.fixture
def anvil(start_anvil: Callable[..., AnvilProcess]) -> AnvilProcess:
    """A fresh anvil that mines a block for each transaction."""
    return start_anvil()
