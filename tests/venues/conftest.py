"""The benchmarks are a package of the checkout, not of the distribution. A node with every family on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from engine.app.toolchain import project_root
from engine.app.world.node import AnvilOptions, AnvilProcess

# First, because a dependency installs a package of the same name.
sys.path.insert(0, str(project_root()))


@pytest.fixture(scope="module")
def world() -> Iterator:
    from venue_bench import Bench, Node

    if not (project_root() / ".build" / "published").is_dir():
        pytest.skip("the published packages were not fetched: run `make setup`")
    options = AnvilOptions(timestamp=1_700_000_000, balance_eth=10**10)
    with AnvilProcess(options) as anvil:
        yield Bench(Node(anvil.http_url))


@pytest.fixture
def bench(world):
    """The market as it was made, whatever the test before did."""
    world.reset()
    return world
