"""Ways to the chain: the public pool, a private endpoint, several at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from engine.domain.errors import NodeError, NodeUnreachable
from engine.domain.execution import Delivery, Dispatch, SignedTransaction
from engine.domain.ports import Channel, Node

_TAKEN = ("already known", "known transaction", "already imported", "alreadyknown", "already exists")


def may_land(dispatches: Sequence[Dispatch]) -> bool:
    """Whether any channel took the transaction, or may have."""
    return any(dispatch.delivery is not Delivery.REFUSED for dispatch in dispatches)


class PoolChannel:
    """`eth_sendRawTransaction` to a node, whose pool keeps the transaction until it is mined or replaced.

    A node that keeps it to itself (a private endpoint, an L2's sequencer) is reached the same way.
    """

    is_private = False

    def __init__(self, node: Node, name: str = "public"):
        self._node = node
        self._name = name

    async def send(self, transaction: SignedTransaction, target_block: int) -> list[Dispatch]:
        """Send at once; a node that does not answer may have taken it."""
        started = time.perf_counter()
        delivery, detail = await self._deliver(transaction)
        return [Dispatch(self._name, delivery, detail, (time.perf_counter() - started) * 1e3)]

    async def _deliver(self, transaction: SignedTransaction) -> tuple[Delivery, str]:
        try:
            await self._node.request("eth_sendRawTransaction", ["0x" + transaction.raw.hex()])
        except NodeUnreachable as error:
            return Delivery.UNKNOWN, str(error)
        except NodeError as error:
            if any(word in str(error).lower() for word in _TAKEN):
                return Delivery.ACCEPTED, "known already"
            return await self._known(transaction.hash), str(error)
        return Delivery.ACCEPTED, transaction.hash

    async def _known(self, transaction_hash: str) -> Delivery:
        # "Nonce too low" and its like may be about this very transaction, sent twice by a transport.
        try:
            found = await self._node.request("eth_getTransactionByHash", [transaction_hash])
        except NodeError:
            return Delivery.UNKNOWN
        return Delivery.REFUSED if found is None else Delivery.ACCEPTED


class FanOut:
    """The same transaction through several channels at once. Private only when all of them are."""

    def __init__(self, channels: Sequence[Channel]):
        if not channels:
            raise ValueError("a fan-out needs at least one channel")
        self._channels = tuple(channels)

    @property
    def is_private(self) -> bool:
        return all(channel.is_private for channel in self._channels)

    async def send(self, transaction: SignedTransaction, target_block: int) -> list[Dispatch]:
        """Every channel's answers, in the order of the channels."""
        answers = await asyncio.gather(*(c.send(transaction, target_block) for c in self._channels))
        return [dispatch for answer in answers for dispatch in answer]
