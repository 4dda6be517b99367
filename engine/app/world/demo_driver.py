"""Runs the world for a number of blocks around whoever trades in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from engine.app.world.world import World
from engine.domain.market import BlockRef


async def run_blocks(
    world: World, blocks: int, before_mine: Callable[[int], Awaitable[None]]
) -> list[BlockRef]:
    """For each block: the inhabitants submit their trades, `before_mine` is awaited with the number of the
    head to act on, and the next block is mined. The blocks mined, in order.

    `before_mine` must return once everything meant for the next block has been submitted; what it raises
    ends the run. The market must be open (`World.open_market`).
    """
    mined = []
    for _ in range(blocks):
        await world.trade()
        await before_mine(world.head.number)
        mined.append(await world.mine())
    return mined
