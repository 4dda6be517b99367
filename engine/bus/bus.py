"""Facts to whoever listens, without ever waiting for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Generic, TypeVar

Message = TypeVar("Message")


class Overflow(StrEnum):
    """What a full subscription loses: what it has waited longest for, or what came last."""

    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"


class Subscription(Generic[Message]):
    """A bounded queue of messages of some types. `dropped` counts what did not fit."""

    def __init__(self, types: tuple[type[Message], ...], capacity: int, overflow: Overflow):
        self.types = types
        self.dropped = 0
        self._capacity = capacity
        self._overflow = overflow
        self._waiting: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, message: Message) -> None:
        """Queue a message, or drop one as declared."""
        if self._closed:
            return
        if len(self._waiting) >= self._capacity:
            self.dropped += 1
            if self._overflow is Overflow.DROP_NEWEST:
                return
            self._waiting.popleft()
        self._waiting.append(message)
        self._arrived.set()

    def close(self) -> None:
        """Take no more; iteration ends after what waits."""
        self._closed = True
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._closed:
                return
            self._arrived.clear()
            await self._arrived.wait()


class Bus:
    """Publishes each message to the subscriptions of its type, in the order subscribed. Not thread-safe."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def subscribe(
        self, *types: type[Message], capacity: int, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> Subscription[Message]:
        """Listen to messages of `types`, queueing at most `capacity`. Raises ValueError when there is no
        type or no room."""
        if not types or capacity < 1:
            raise ValueError("a subscription needs a message type and room for one message")
        subscription = Subscription(types, capacity, overflow)
        self._subscriptions.append(subscription)
        return subscription

    def publish(self, message: object) -> None:
        """Hand the message to every subscription of its type; never waits."""
        for subscription in self._subscriptions:
            if isinstance(message, subscription.types):
                subscription.offer(message)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop a subscription; one that is gone already is ignored."""
        subscription.close()
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def close(self) -> None:
        """Close every subscription; each delivers what it has queued."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions.clear()
