"""A node of one's own, and one furnished with real pools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_dex import LocalDex
from local_node import LocalNode


@pytest.fixture
def local_node(tmp_path: Path) -> Iterator[LocalNode]:
    """A fresh node that mines only when told to."""
    node = LocalNode(tmp_path)
    node.start()
    yield node
    node.stop()


@pytest.fixture
def local_dex(local_node: LocalNode) -> LocalDex:
    """Real Uniswap V2, Uniswap V3 and PancakeSwap V3 pools on a fresh node."""
    return LocalDex(local_node)
