"""After any mixture of faults and reorgs the engine's picture of every pool is the node's, to the unit."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from follow_chain import FollowWorld
from following import run_seed
from local_node import LocalNode
from published_worlds import NODE_OPTIONS, needs_published

pytestmark = needs_published
SEEDS = 50
BLOCKS, ACTIONS = 500, 2_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowWorld]:
    node = LocalNode(tmp_path_factory.mktemp("follow"))
    node.start(*NODE_OPTIONS, "--auto-impersonate")
    try:
        yield FollowWorld(node)
    finally:
        node.stop()


async def test_a_short_run_ends_level_with_the_node(world: FollowWorld) -> None:
    outcome = await run_seed(world, 1, 60, 240)
    assert outcome.differences == []
    assert outcome.reorgs > 0
    assert outcome.actions > 100
    assert outcome.moved == len(world.pools)


@pytest.mark.campaign
@pytest.mark.timeout(0)
async def test_long_runs_end_level_with_the_node(world: FollowWorld) -> None:
    first = int(os.environ.get("ROUNDTRIP_CAMPAIGN_SEED", "1"))
    for seed in range(first, first + int(os.environ.get("ROUNDTRIP_FOLLOW_SEEDS", SEEDS))):
        outcome = await run_seed(world, seed, BLOCKS, ACTIONS)
        print(
            f"follow: seed {seed}, {outcome.actions} actions, {outcome.reorgs} reorgs up to "
            f"{outcome.deepest} deep, {outcome.resyncs} resyncs, level again in {outcome.recovery_s:.2f} s",
            flush=True,
        )
        assert outcome.differences == [], f"seed {seed}"
        assert outcome.moved == len(world.pools)
