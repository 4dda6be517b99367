"""Start-up: journal, nonces and receipts are reconciled before anything new is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from engine.domain.errors import NodeError
from engine.domain.execution import Execution, Intent, Outcome
from engine.domain.ports import Journal, Node
from engine.domain.quantity import quantity
from engine.execution.misses import attributed
from engine.execution.nonces import ForeignNonce, NonceLane
from engine.execution.receipts import Receipt, TokenDelta, execution_of
from engine.execution.tracker import REORG_BLOCKS, amended, fetch_receipts, settle


class RecoverableJournal(Journal, Protocol):
    """A journal that also remembers intents recorded as not landed, and executions recorded as mined."""

    def doubtful_intents(self) -> list[Intent]: ...

    def settled_executions(self) -> list[Execution]: ...


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where an earlier run left off. `lane` gives the next nonce; `in_flight` may still land; `resolved` were
    journalled now; `doubtful` are recorded as never sent or missed, their nonce still unused; `settled` are
    recorded as mined in blocks that a reorg may still take."""

    lane: NonceLane
    in_flight: tuple[Intent, ...]
    resolved: tuple[Execution, ...]
    doubtful: tuple[Intent, ...]
    settled: tuple[Execution, ...] = ()


async def recover(
    node: Node, journal: RecoverableJournal, operator: str, router: str, token_delta: TokenDelta
) -> Recovered:
    """Give every open intent its outcome, or find it in flight. Sends nothing.

    Raises ForeignNonce when the node holds pending transactions of the operator that the journal does not
    know, NodeError when the node does not answer.
    """
    latest, pending, head = await _counts(node, operator)
    taken_back, holding = await _taken_back(node, journal, head, router, token_delta)
    intents = journal.open_intents()
    doubtful = journal.doubtful_intents()
    receipts = await fetch_receipts(node, [*intents, *doubtful])
    known = await _known(node, [intent for intent in intents if intent.transaction.hash not in receipts])
    resolved: list[Execution] = []
    in_flight: list[Intent] = []
    unsent: list[Intent] = []
    for group in _by_nonce(intents):
        nonce = group[0].transaction.nonce
        rivals = [intent for intent in doubtful if intent.transaction.nonce == nonce]
        if any(intent.transaction.hash in receipts for intent in (*group, *rivals)):
            settled = settle([*group, *rivals], receipts, router, token_delta)
            resolved += [execution for execution in settled if execution.intent in group]
            continue
        if nonce < latest:
            # The chain used the nonce, but the node shows no receipt yet: the tracker looks again.
            in_flight += group
            continue
        for intent in group:
            if intent.transaction.hash in known or head < intent.last_block:
                in_flight.append(intent)
            elif intent.last_block:
                # Builders saw it, and its last block is there without it.
                resolved.append(Execution(intent, Outcome.MISSED, intent.last_block))
                unsent.append(intent)
            else:
                resolved.append(Execution(intent, Outcome.NEVER_SENT))
                unsent.append(intent)
    resolved += _amended(doubtful, receipts, router, token_delta)
    resolved = [await attributed(node, execution, head) for execution in resolved]
    for execution in resolved:
        journal.record_outcome(execution)
    waiting = (*unsent, *(i for i in doubtful if i.transaction.nonce >= latest))
    resolved = taken_back + resolved
    holding += [execution for execution in resolved if execution.block_hash]
    return Recovered(
        _lane(latest, pending, in_flight, holding), tuple(in_flight), tuple(resolved), waiting, tuple(holding)
    )


async def _taken_back(
    node: Node, journal: RecoverableJournal, head: int, router: str, token_delta: TokenDelta
) -> tuple[list[Execution], list[Execution]]:
    """(what a reorg changed while we were away, already journalled so that its intents are open again; what
    still holds), of the executions that a reorg may reach."""
    recent = [e for e in journal.settled_executions() if e.block_number > head - REORG_BLOCKS]
    receipts = await fetch_receipts(node, [execution.intent for execution in recent])
    changed, holding = [], []
    for execution in recent:
        receipt = receipts.get(execution.intent.transaction.hash)
        change = amended(execution, receipt, router, token_delta)
        if change is None:
            holding.append(execution)
            continue
        journal.record_outcome(change)
        changed.append(change)
    return changed, holding


def _by_nonce(intents: list[Intent]) -> list[list[Intent]]:
    groups: dict[int, list[Intent]] = {}
    for intent in intents:
        groups.setdefault(intent.transaction.nonce, []).append(intent)
    return [groups[nonce] for nonce in sorted(groups)]


def _amended(
    doubtful: list[Intent], receipts: dict[str, Receipt], router: str, token_delta: TokenDelta
) -> list[Execution]:
    """Those recorded as not landed that did land after all."""
    return [
        execution_of(intent, receipts[intent.transaction.hash], router, token_delta)
        for intent in doubtful
        if intent.transaction.hash in receipts
    ]


def _lane(latest: int, pending: int, in_flight: list[Intent], mined: list[Execution]) -> NonceLane:
    # What was mined since the counts were read has used its nonce as well.
    taken = {intent.transaction.nonce for intent in in_flight}
    taken |= {execution.intent.transaction.nonce for execution in mined}
    following = max(latest, max(taken, default=-1) + 1)
    if pending > following:
        raise ForeignNonce(following, pending)
    lane = NonceLane(following)
    for nonce in range(latest, following):
        if nonce not in taken:
            lane.release(nonce)
    return lane


async def _counts(node: Node, operator: str) -> tuple[int, int, int]:
    """The operator's next nonce in the chain and with what waits, and the number of the node's head."""
    answers: list[Any] = await node.batch(
        [
            *(("eth_getTransactionCount", [operator, tag]) for tag in ("latest", "pending")),
            ("eth_blockNumber", []),
        ]
    )
    for answer in answers:
        if isinstance(answer, NodeError):
            raise answer
    latest, pending, head = (quantity(answer, "count") for answer in answers)
    return latest, pending, head


async def _known(node: Node, intents: list[Intent]) -> set[str]:
    """Hashes of the transactions that the node has, mined or waiting."""
    if not intents:
        return set()
    hashes = [intent.transaction.hash for intent in intents]
    answers = await node.batch([("eth_getTransactionByHash", [hash_]) for hash_ in hashes])
    for answer in answers:
        if isinstance(answer, NodeError):
            raise answer
    return {hash_ for hash_, answer in zip(hashes, answers, strict=True) if answer is not None}
