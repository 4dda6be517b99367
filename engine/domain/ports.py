"""The seams between stages: what a stage needs from another room, as structural types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from engine.domain.execution import Dispatch, Execution, Intent, SignedTransaction
from engine.domain.market import RawBlock


class Node(Protocol):
    """A JSON-RPC endpoint.

    `request` raises `NodeError` with the node's message, `NodeUnreachable` when there is no answer.
    `batch` returns results in order; an entry that failed is the `NodeError` itself, not raised.
    """

    async def request(self, method: str, params: Sequence[Any]) -> Any: ...

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]: ...


class BlockSource(Protocol):
    """Blocks in chain order. Each block's parent was yielded before it; when it is not the latest one
    yielded, the blocks after that parent are no longer part of the chain (a reorg)."""

    def blocks(self) -> AsyncIterator[RawBlock]: ...


class Signer(Protocol):
    """Signs for one operator address (lower-case hex)."""

    @property
    def address(self) -> str: ...

    def sign(self, transaction: dict[str, Any]) -> SignedTransaction: ...


class Channel(Protocol):
    """A way for a signed transaction to reach those who build blocks.

    `is_private` channels show it to builders only, for one block; what they do not include expires. `send`
    answers within its own time limit and does not raise for what the other side does.
    """

    @property
    def is_private(self) -> bool: ...

    async def send(self, transaction: SignedTransaction, target_block: int) -> Sequence[Dispatch]: ...


class Journal(Protocol):
    """The write-ahead intent journal. `record_*` return only once the record is on disk."""

    def record_intent(self, intent: Intent) -> None: ...

    def record_outcome(self, execution: Execution) -> None: ...

    def open_intents(self) -> list[Intent]: ...
