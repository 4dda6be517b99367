"""After any mixture of faults and reorgs the engine's picture of every pool is the node's, to the unit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest
from follow_chain import FollowWorld
from following import run_seed
from local_node import LocalNode
from published_worlds import NODE_OPTIONS, needs_published

pytestmark = needs_published
SEEDS = 50
# Some more than 2,000 actions, so that every draw has as many.
BLOCKS, ACTIONS = 500, 2_250


@contextmanager
def new_world(folder: Path) -> Iterator[FollowWorld]:
    """A chain of its own: a node forgets the states of blocks far behind, which a later reorg would need."""
    node = LocalNode(folder)
    node.start(*NODE_OPTIONS, "--auto-impersonate")
    try:
        yield FollowWorld(node)
    finally:
        node.stop()


async def test_a_short_run_ends_level_with_the_node(tmp_path: Path) -> None:
    with new_world(tmp_path) as world:
        outcome = await run_seed(world, 2, 60, 300)
        assert outcome.differences == []
        assert outcome.reorgs > 0
        assert outcome.actions > 100
        assert outcome.moved == len(world.pools)


@pytest.mark.campaign
@pytest.mark.timeout(0)
async def test_long_runs_end_level_with_the_node(tmp_path: Path) -> None:
    first = int(os.environ.get("ROUNDTRIP_CAMPAIGN_SEED", "1"))
    recoveries: list[float] = []
    for seed in range(first, first + int(os.environ.get("ROUNDTRIP_FOLLOW_SEEDS", SEEDS))):
        with new_world(tmp_path) as world:
            outcome = await run_seed(world, seed, BLOCKS, ACTIONS)
            pools = len(world.pools)
        recoveries.append(outcome.recovery_s)
        print(
            f"follow: seed {seed}, {outcome.actions} actions, {outcome.reorgs} reorgs up to "
            f"{outcome.deepest} deep, {outcome.resyncs} resyncs, {outcome.followed} blocks followed, "
            f"{dict(outcome.faults)}, level again in {outcome.recovery_s:.2f} s",
            flush=True,
        )
        assert outcome.differences == [], f"seed {seed}"
        assert outcome.moved == pools
    print(f"follow: level again in {median(recoveries):.2f} s (median), {max(recoveries):.2f} s at most")
