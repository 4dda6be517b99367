"""Following submissions until each nonce has exactly one outcome."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from engine.domain.describe import chains_of
from engine.domain.errors import NodeError
from engine.domain.execution import Execution, Intent, Outcome
from engine.domain.market import BlockRef
from engine.domain.ports import Journal, Node
from engine.domain.quantity import quantity
from engine.execution.misses import attributed
from engine.execution.receipts import Receipt, TokenDelta, execution_of, parse_receipt
from engine.execution.submitter import CANCEL, TRADE, Submitter


def settle(
    intents: Iterable[Intent], receipts: dict[str, Receipt], router: str, token_delta: TokenDelta
) -> list[Execution]:
    """Outcomes of all intents of one nonce that the chain has used.

    The one with a receipt landed or reverted; a trade whose cancellation took the nonce is missed; the
    others were replaced.
    """
    members = list(intents)
    winner = next((intent for intent in members if intent.transaction.hash in receipts), None)
    executions = []
    for intent in members:
        if intent is winner:
            receipt = receipts[intent.transaction.hash]
            executions.append(execution_of(intent, receipt, router, token_delta))
        elif winner is not None and winner.kind == CANCEL and intent.kind == TRADE:
            executions.append(Execution(intent, Outcome.MISSED, winner_block(receipts, winner)))
        else:
            executions.append(Execution(intent, Outcome.REPLACED))
    return executions


def winner_block(receipts: dict[str, Receipt], winner: Intent) -> int:
    """Number of the block that used the nonce."""
    return receipts[winner.transaction.hash].block_number


async def fetch_receipts(node: Node, intents: list[Intent]) -> dict[str, Receipt]:
    """Receipts by transaction hash, of those that have one. Raises NodeError when the node did not answer
    for one of them: an unknown receipt is not a missing one."""
    if not intents:
        return {}
    hashes = [intent.transaction.hash for intent in intents]
    answers = await node.batch([("eth_getTransactionReceipt", [hash_]) for hash_ in hashes])
    found = {}
    for hash_, answer in zip(hashes, answers, strict=True):
        if isinstance(answer, NodeError):
            raise answer
        if answer is not None:
            found[hash_] = parse_receipt(answer, hash_)
    return found


# A reorg that reaches deeper makes the engine read everything anew.
REORG_BLOCKS = 64


def amended(
    execution: Execution, receipt: Receipt | None, router: str, token_delta: TokenDelta
) -> Execution | None:
    """What a fresh look at the receipt makes of an execution recorded as mined: None where it still holds,
    UNDONE where the chain no longer has it, else the same in its new block."""
    if receipt is None:
        return Execution(execution.intent, Outcome.UNDONE)
    found = execution_of(execution.intent, receipt, router, token_delta)
    return None if found == replace(execution, miss=None, rival="") else found


class Tracker:
    """Resolves what one operator has in flight, block by block, and takes back what a reorg undid.

    `missed_after_blocks`: how many blocks after the one it was built on a transaction may wait before its
    nonce is taken back by a cancellation.
    """

    def __init__(
        self,
        node: Node,
        journal: Journal,
        submitter: Submitter,
        operator: str,
        router: str,
        token_delta: TokenDelta,
        missed_after_blocks: int = 3,
    ):
        self._node = node
        self._journal = journal
        self._submitter = submitter
        self._operator = operator
        self._router = router
        self._token_delta = token_delta
        self._missed_after_blocks = missed_after_blocks
        self._open: dict[int, list[Intent]] = {}
        self._doubtful: dict[int, list[Intent]] = {}
        self._unexplained: set[int] = set()
        self._tried: dict[int, int] = {}
        self._settled: dict[int, Execution] = {}
        self._rivals: dict[int, list[Intent]] = {}
        self._late: set[str] = set()
        self._last: BlockRef | None = None

    @property
    def in_flight(self) -> list[Intent]:
        """Every intent without an outcome, by nonce."""
        return [intent for nonce in sorted(self._open) for intent in self._open[nonce]]

    @property
    def in_flight_pools(self) -> frozenset[str]:
        """Pools that a trade in flight touches."""
        return frozenset(
            hop["pool"]
            for intent in self.in_flight
            if intent.kind == TRADE
            for chain in chains_of(intent.record)
            for hop in chain
        )

    def follow(self, intent: Intent) -> None:
        """Track an intent to its outcome."""
        self._open.setdefault(intent.transaction.nonce, []).append(intent)

    def sent_late(self, intent: Intent) -> None:
        """Note that the block it was meant for was there already when it was sent."""
        self._late.add(intent.id)

    def doubt(self, intent: Intent) -> None:
        """Watch an intent whose recorded outcome says that it did not land, until its nonce is used: a copy
        of its transaction may still be somewhere."""
        self._doubtful.setdefault(intent.transaction.nonce, []).append(intent)

    def watch(self, execution: Execution) -> None:
        """Take back an execution recorded as mined if a reorg undoes it."""
        self._settled[execution.intent.transaction.nonce] = execution

    async def on_block(self, head: BlockRef, *, may_cancel: bool = True) -> list[Execution]:
        """Resolve what `head` decided, journal it, and cancel what waited too long; what only builders were
        shown expires instead.

        `may_cancel` is False while catching up: a later block that is already there may hold what seems to
        wait.

        Raises NodeError when the node does not answer; nothing is concluded then and the next block asks
        again.
        """
        executions = await self._take_back(head)
        self._last = head
        if not self._open and not self._doubtful:
            return executions
        used = await self._used_nonces(head)
        decided = [nonce for nonce in sorted({*self._open, *self._doubtful}) if nonce < used]
        receipts = await fetch_receipts(
            self._node, [intent for nonce in decided for intent in self._members(nonce)]
        )
        for nonce in decided:
            executions += await self._decide(nonce, receipts, head)
        for nonce in sorted(self._open):
            if nonce < used:
                continue
            members = self._open[nonce]
            if members[-1].last_block:
                executions += await self._expire(nonce, head)
            elif may_cancel and self._waited(members, head):
                executions += await self._cancel(nonce, head)
        return executions

    async def _take_back(self, head: BlockRef) -> list[Execution]:
        """Look again at what was mined, after a reorg. What is gone is in flight again, also in the
        journal."""
        # After a start nobody knows what happened between the recovery and this block: it is looked at, too.
        if self._last is not None and head.parent_hash == self._last.hash:
            final = head.number - REORG_BLOCKS
            for nonce in [n for n, settled in self._settled.items() if settled.block_number <= final]:
                del self._settled[nonce]
                self._rivals.pop(nonce, None)
            return []
        settled = [self._settled[nonce] for nonce in sorted(self._settled)]
        receipts = await fetch_receipts(self._node, [execution.intent for execution in settled])
        changes = []
        for execution in settled:
            intent = execution.intent
            receipt = receipts.get(intent.transaction.hash)
            change = amended(execution, receipt, self._router, self._token_delta)
            if change is None:
                continue
            self._journal.record_outcome(change)
            changes.append(change)
            if change.outcome is not Outcome.UNDONE:
                self.watch(change)
                continue
            del self._settled[intent.transaction.nonce]
            self.follow(intent)
            # What lost to it may win now.
            for rival in self._rivals.pop(intent.transaction.nonce, ()):
                self.doubt(rival)
        return changes

    async def _used_nonces(self, head: BlockRef) -> int:
        count: Any = await self._node.request("eth_getTransactionCount", [self._operator, hex(head.number)])
        return quantity(count, "transaction count")

    def _members(self, nonce: int) -> list[Intent]:
        # A cancellation that is sent anew at the same fee is the very transaction that is doubted.
        members = [*self._open.get(nonce, ()), *self._doubtful.get(nonce, ())]
        return list({intent.transaction.hash: intent for intent in reversed(members)}.values())[::-1]

    async def _why(self, execution: Execution, head: BlockRef) -> Execution:
        """The execution with the reason for a miss."""
        was_late = execution.intent.id in self._late
        self._late.discard(execution.intent.id)
        return await attributed(self._node, execution, head.number, was_late=was_late)

    async def _decide(self, nonce: int, receipts: dict[str, Receipt], head: BlockRef) -> list[Execution]:
        members = self._members(nonce)
        explained = any(intent.transaction.hash in receipts for intent in members)
        if not explained and nonce not in self._unexplained:
            # A node may know a block before it can find its receipts: ask once more at the next block.
            self._unexplained.add(nonce)
            return []
        still_open = {intent.id for intent in self._open.get(nonce, ())}
        executions = [
            await self._why(execution, head)
            for execution in settle(members, receipts, self._router, self._token_delta)
            if execution.intent.id in still_open or execution.intent.transaction.hash in receipts
        ]
        self._unexplained.discard(nonce)
        self._tried.pop(nonce, None)
        self._open.pop(nonce, None)
        self._doubtful.pop(nonce, None)
        for execution in executions:
            self._journal.record_outcome(execution)
            if execution.block_hash:
                self.watch(execution)
        if explained:
            self._submitter.spent(nonce)
        self._rivals[nonce] = [
            intent
            for intent in members
            if nonce in self._settled and intent is not self._settled[nonce].intent
        ]
        return executions

    async def _expire(self, nonce: int, head: BlockRef) -> list[Execution]:
        """Give up what was only shown to builders once its last block is there without it. A copy may have
        leaked or come back with a reorg: it is watched until the nonce is used."""
        members = self._open[nonce]
        if head.number < max(intent.last_block for intent in members):
            return []
        missed = [Execution(intent, Outcome.MISSED, intent.last_block) for intent in members]
        executions = [self._submitter.expire(await self._why(each, head)) for each in missed]
        for intent in self._open.pop(nonce):
            self.doubt(intent)
        return executions

    def _waited(self, members: list[Intent], head: BlockRef) -> bool:
        newest = members[-1]
        since = max(newest.block_number, self._tried.get(newest.transaction.nonce, 0))
        late = newest.kind == TRADE and head.timestamp > newest.deadline and since == newest.block_number
        return late or head.number - since >= self._missed_after_blocks

    async def _cancel(self, nonce: int, head: BlockRef) -> list[Execution]:
        self._tried[nonce] = head.number
        sent = await self._submitter.cancel(self._open[nonce], head)
        if isinstance(sent, Execution):
            return [sent]
        self._open[nonce].append(sent)
        return []
