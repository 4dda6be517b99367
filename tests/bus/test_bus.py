"""The bus delivers in order, by type, and never waits."""

from __future__ import annotations

import asyncio

import pytest

from engine.bus.bus import Bus, Overflow


async def test_messages_arrive_in_order_and_by_type():
    bus = Bus()
    numbers = bus.subscribe(int, capacity=10)
    both = bus.subscribe(int, str, capacity=10)
    for message in (1, "a", 2, None, "b"):
        bus.publish(message)
    bus.close()
    bus.publish(3)
    assert [message async for message in numbers] == [1, 2]
    assert [message async for message in both] == [1, "a", 2, "b"]


@pytest.mark.parametrize(
    ("overflow", "kept"), [(Overflow.DROP_OLDEST, [2, 3, 4]), (Overflow.DROP_NEWEST, [0, 1, 2])]
)
async def test_a_full_subscription_drops_as_declared_and_counts(overflow: Overflow, kept: list[int]):
    bus = Bus()
    slow = bus.subscribe(int, capacity=3, overflow=overflow)
    quick = bus.subscribe(int, capacity=5)
    for message in range(5):
        bus.publish(message)
    assert (slow.dropped, len(slow), quick.dropped) == (2, 3, 0)
    bus.close()
    assert [message async for message in slow] == kept


async def test_a_listener_waits_for_what_comes_later_and_ends_when_unsubscribed():
    bus = Bus()
    subscription = bus.subscribe(int, capacity=1)
    got: list[int] = []

    async def listen() -> None:
        async for message in subscription:
            got.append(message)

    task = asyncio.create_task(listen())
    for message in range(3):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        bus.publish(message)
    await asyncio.sleep(0)
    bus.unsubscribe(subscription)
    bus.unsubscribe(subscription)
    bus.publish(9)
    await asyncio.wait_for(task, 1)
    assert got == [0, 1, 2]


def test_a_subscription_needs_a_type_and_room():
    with pytest.raises(ValueError, match="needs"):
        Bus().subscribe(capacity=1)
    with pytest.raises(ValueError, match="needs"):
        Bus().subscribe(int, capacity=0)
