"""A node that mines on request, with pools, a router and an operator."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from router_bench import OPERATOR_KEY, RouterBench

from engine.app.world.node import AnvilProcess
from engine.chain.keys import LocalSigner, signer_of_key


@pytest.fixture
def signer() -> LocalSigner:
    return signer_of_key(OPERATOR_KEY)


@pytest.fixture
def bench(start_anvil: Callable[..., AnvilProcess], signer: LocalSigner) -> RouterBench:
    node = start_anvil(no_mining=True, order="fifo")
    return RouterBench(node.http_url, signer.address)
