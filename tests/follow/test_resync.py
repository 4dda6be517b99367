"""Past what can be undone or caught up the market is read anew, and is then the node's again."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from fault_proxy import FaultProxy
from following import Follower, differences, market_of, read_all
from published_worlds import needs_published
from test_follow import new_world

from engine.chain.endpoint_set import EndpointSet
from engine.chain.rpc import RpcNode
from engine.chain.source import MAX_GAP_BLOCKS, UNDO_BLOCKS

pytestmark = needs_published


@pytest.mark.campaign
async def test_a_reorg_too_deep_and_a_gap_too_wide_are_read_anew(tmp_path: Path) -> None:
    rng = random.Random(9)
    with new_world(tmp_path) as world, FaultProxy(world.node.http) as proxy:
        async with EndpointSet([proxy.ws], timeout_s=1.0) as nodes, RpcNode(world.node.http) as honest:
            follower = Follower(nodes, world)  # type: ignore[arg-type]
            await follower.synchronise()
            task = asyncio.create_task(follower.follow())

            async def act(blocks: int) -> None:
                for _ in range(blocks):
                    await asyncio.to_thread(world.act, rng)
                    await asyncio.to_thread(world.node.mine)

            async def level() -> list[str]:
                """Differences once the picture is of the node's head."""
                head = (await honest.latest()).ref
                assert await follower.reaches(head)
                return differences(
                    follower.market, market_of(world, head, await read_all(honest, world, head))
                )

            await act(UNDO_BLOCKS + 10)
            assert await level() == []
            assert follower.resyncs == 0
            proxy.refusing = True
            proxy.cut()
            await asyncio.to_thread(world.node.rpc, "anvil_reorg", UNDO_BLOCKS + 5, [])
            await act(3)
            proxy.behave()
            assert await level() == []
            assert follower.resyncs == 1
            proxy.refusing = True
            proxy.cut()
            await asyncio.to_thread(world.node.rpc, "anvil_mine", hex(MAX_GAP_BLOCKS + 5))
            await act(3)
            proxy.behave()
            assert await level() == []
            assert follower.resyncs == 2
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
