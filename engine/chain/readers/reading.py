"""One pass over pools at one block: calls in batches, what was read, what was refused and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.chain.calls import UNTRUSTED_GAS, View, call, chunks, contract_failed
from engine.chain.tick_lens import WORDS_PER_CALL, decode_lens, lens_call
from engine.domain.errors import NodeError
from engine.domain.market import BlockRef, PoolRecord, Venue
from engine.domain.pool_state import PartialState, PoolState
from engine.domain.ports import Node

Progress = Callable[[str, int, int], None]

_CALLS_PER_BATCH = 1000
_SPANS_PER_BATCH = 50


@dataclass(frozen=True, slots=True)
class Ask:
    """One call about a pool. `to` is the contract, by default the pool's own; `gas` bounds what an untrusted
    contract may burn, and so how much it may answer. The failure of an `optional` call refuses nothing.
    `sender` asks in another's name."""

    pool: PoolRecord
    view: View
    arguments: tuple[Any, ...] = ()
    to: str | None = None
    optional: bool = False
    gas: int | None = UNTRUSTED_GAS
    sender: str | None = None


class Reading:
    """What is being read at `block`; `states` and `refused` (reasons) by the pools' keys.

    `trade_time` is the timestamp, in seconds, of the block the state is to be traded in. Without `ticks` no
    tick tables are read.
    """

    def __init__(
        self,
        node: Node,
        block: BlockRef,
        venues: Iterable[Venue] = (),
        *,
        trade_time: int | None = None,
        progress: Progress = lambda what, done, total: None,
        partial: PartialState | None = None,
        ticks: bool = True,
    ):
        self.block = block
        self.venues = {venue.name: venue for venue in venues}
        self.trade_time = block.timestamp if trade_time is None else trade_time
        self.windows = (partial or PartialState()).windows
        self.states: dict[str, PoolState] = {}
        self.refused: dict[str, str] = {}
        self.node = node
        self.ticks = ticks
        self._progress = progress

    def keep(self, pools: Sequence[PoolRecord], verdicts: dict[str, str]) -> list[PoolRecord]:
        """Pools without a verdict; the others are refused with theirs. Verdicts are by key."""
        self.refused |= verdicts
        return [pool for pool in pools if pool.key not in verdicts]

    def refuse(self, pool: PoolRecord, reason: str) -> None:
        """Leave the pool out; the first reason stays."""
        self.refused.setdefault(pool.key, reason)

    def accept(self, state: PoolState) -> None:
        """Take a state, unless its pool was refused meanwhile."""
        if state.pool.key not in self.refused:
            self.states[state.pool.key] = state

    def fit(self, pools: Iterable[PoolRecord]) -> list[PoolRecord]:
        """Those not refused so far."""
        return [pool for pool in pools if pool.key not in self.refused]

    async def values(self, asks: Sequence[Ask]) -> list[tuple[Any, ...] | None]:
        """Decoded answers, one per call; None for a call that failed, whose pool is refused unless the call
        was optional. Raises NodeError when it is the node that failed."""
        results: list[tuple[Any, ...] | None] = []
        for part in chunks(len(asks), _CALLS_PER_BATCH):
            batch = [asks[at] for at in part]
            answers = await self.node.batch(
                [
                    call(
                        ask.to or ask.pool.address,
                        ask.view.data(*ask.arguments),
                        self.block.hash,
                        ask.gas,
                        ask.sender,
                    )
                    for ask in batch
                ]
            )
            results.extend(self._decoded(ask, answer) for ask, answer in zip(batch, answers, strict=True))
        return results

    async def of_each(
        self, pools: Sequence[PoolRecord], *views: View, optional: bool = False
    ) -> list[list[tuple[Any, ...] | None]]:
        """The answers of several views without arguments, by pool and in the views' order."""
        answers = await self.values([Ask(pool, view, optional=optional) for pool in pools for view in views])
        return [answers[at : at + len(views)] for at in range(0, len(answers), len(views))]

    async def bitmaps(
        self, pools: Sequence[PoolRecord], words: Callable[[PoolRecord], range], view: View
    ) -> list[tuple[PoolRecord, int, int]]:
        """(pool, word position, bits) of every word of a tick bitmap with a bit set, by pool and ascending
        position. `view` reads one word; `words` says which there are."""
        spans = [
            (pool, words(pool)[part.start : part.stop])
            for pool in pools
            for part in chunks(len(words(pool)), WORDS_PER_CALL)
        ]
        found: list[tuple[PoolRecord, int, int]] = []
        done, total = 0, sum(len(span) for _, span in spans)
        for part in chunks(len(spans), _SPANS_PER_BATCH):
            answers = await self.node.batch(
                [lens_call(spans[at][0].address, spans[at][1], self.block.hash, view.selector) for at in part]
            )
            for at, answer in zip(part, answers, strict=True):
                pool, span = spans[at]
                found.extend((pool, *entry) for entry in await self._span(pool, span, answer, view))
                done += len(span)
            self._progress("tick words", done, total)
        return found

    async def _span(self, pool: PoolRecord, words: range, answer: Any, view: View) -> list[tuple[int, int]]:
        """A span's words; asked one by one where the node does not run the lens."""
        if not isinstance(answer, NodeError):
            return decode_lens(answer, words)
        singly = await self.values([Ask(pool, view, (word,)) for word in words])
        return [(word, bits[0]) for word, bits in zip(words, singly, strict=True) if bits and bits[0]]

    def _decoded(self, ask: Ask, answer: Any) -> tuple[Any, ...] | None:
        reason = f"{ask.view.name}() fails"
        if not isinstance(answer, NodeError):
            try:
                return ask.view.decode(answer)
            except NodeError as error:
                reason = f"{ask.view.name}(): {error}"
        elif not contract_failed(answer):
            raise answer
        if not ask.optional:
            self.refuse(ask.pool, reason)
        return None


def set_bits(bits: int) -> Iterable[int]:
    """Positions of the bits set, ascending."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
