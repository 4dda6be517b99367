"""The sending half of a line: one key's nonces, journal, submitter and tracker, opened and kept in step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from engine.app.settings import Settings
from engine.chain.logs import token_delta
from engine.domain.errors import ConfigError, ExecutionError, NodeError
from engine.domain.events import ExecutionResolved, Fact, PlanDispatched
from engine.domain.execution import Execution, Intent, SimulatedPlan
from engine.domain.market import BlockRef
from engine.domain.ports import Channel, Node, Signer
from engine.domain.quantity import quantity
from engine.execution.bids import Bidder
from engine.execution.nonces import NonceLane
from engine.execution.recovery import RecoverableJournal, recover
from engine.execution.submitter import Submitter
from engine.execution.tracker import Tracker

_HEAD_TIMEOUT_S = 0.5


@contextmanager
def _journal_failures() -> Iterator[None]:
    """A journal that cannot be written ends the run: nothing may be sent that it does not hold."""
    try:
        yield
    except OSError as error:
        raise ExecutionError(
            f"the journal cannot be written ({error.strerror}): nothing more is sent"
        ) from error


class Sender:
    """Submits and tracks with one key; the nonce lane is compared with the chain at every block."""

    def __init__(
        self,
        node: Node,
        operator: str,
        lane: NonceLane,
        submitter: Submitter,
        tracker: Tracker,
        bidder: Bidder | None = None,
    ):
        self._bidder = bidder
        self._node = node
        self.operator = operator
        self._lane = lane
        self._submitter = submitter
        self._asked: set[asyncio.Task[int | None]] = set()
        self.tracker = tracker

    @property
    def in_flight_pools(self) -> frozenset[str]:
        """Pools that a trade in flight touches."""
        return self.tracker.in_flight_pools

    def in_flight(self) -> int:
        """How many transactions have no outcome yet."""
        return len(self.tracker.in_flight)

    async def submit(self, simulated: SimulatedPlan) -> Intent | Execution:
        """Send a simulated plan and follow it."""
        # Asked beside the sending, and only to tell later why a trade was missed: nobody waits for it.
        head = asyncio.create_task(self._head_number())
        try:
            with _journal_failures():
                sent = await self._submitter.submit(simulated)
        except BaseException:
            head.cancel()
            raise
        if isinstance(sent, Intent):
            self.tracker.follow(sent)
            self._asked.add(head)
            head.add_done_callback(partial(self._note_head, sent))
        else:
            head.cancel()
        return sent

    def _note_head(self, sent: Intent, asked: asyncio.Task[int | None]) -> None:
        self._asked.discard(asked)
        if not asked.cancelled() and (asked.result() or 0) > sent.block_number:
            self.tracker.sent_late(sent)

    async def _head_number(self) -> int | None:
        """The node's head; None when it does not say."""
        try:
            async with asyncio.timeout(_HEAD_TIMEOUT_S):
                return quantity(await self._node.request("eth_blockNumber", []), "block number")
        except (NodeError, TimeoutError):
            return None

    async def on_block(self, block: BlockRef) -> list[Execution]:
        """Outcomes that `block` decided. Raises ForeignNonce when somebody else sends with the key."""
        behind = False
        if self.tracker.in_flight:
            latest = quantity(await self._node.request("eth_blockNumber", []), "block number")
            behind = latest > block.number
        with _journal_failures():
            executions = await self.tracker.on_block(block, may_cancel=not behind)
        if self._bidder is not None:
            for execution in executions:
                self._bidder.settle(execution)
        if not self.tracker.in_flight:
            count = await self._node.request("eth_getTransactionCount", [self.operator, hex(block.number)])
            self._lane.observe(quantity(count, "transaction count"))
        return executions


@dataclass(frozen=True, slots=True)
class Key:
    """What sending needs: the operator's signer, the journal its intents go to, and the channel for trades
    (None: the node's own pool)."""

    signer: Signer
    journal: RecoverableJournal
    channel: Channel | None = None


async def open_sender(
    node: Node,
    settings: Settings,
    key: Key,
    router: str,
    obeyed: str,
    bidder: Bidder,
    publish: Callable[[Fact], None],
) -> Sender:
    """Check the key against the chain and against `obeyed`, whom the contract at `router` obeys; recover what
    an earlier run left; prepare to send.

    Raises ConfigError for a key that must not send, ExecutionError for a foreign use of it.
    """
    operator = key.signer.address
    if operator != obeyed:
        raise ConfigError(
            f"the keystore is of {operator} but the router obeys {obeyed}: use the operator's key"
        )
    balance, code = await asyncio.gather(
        node.request("eth_getBalance", [operator, "latest"]),
        node.request("eth_getCode", [operator, "latest"]),
    )
    held_wei = quantity(balance, "balance")
    if held_wei <= settings.risk.gas_reserve_wei:
        raise ConfigError(
            f"operator {operator} holds {held_wei} wei, not more than risk.gas_reserve_wei "
            f"({settings.risk.gas_reserve_wei}): send it native coin for gas"
        )
    if code != "0x":
        raise ConfigError(f"operator {operator} carries code: a delegated account must not be an operator")
    recovered = await recover(node, key.journal, operator, router, token_delta)
    submitter = Submitter(
        node,
        key.signer,
        key.journal,
        recovered.lane,
        settings.chain.chain_id,
        channel=key.channel,
        heard=lambda intent, dispatches: publish(PlanDispatched(intent, tuple(dispatches))),
    )
    tracker = Tracker(
        node, key.journal, submitter, operator, router, token_delta, settings.execution.missed_after_blocks
    )
    for intent in recovered.in_flight:
        tracker.follow(intent)
    for intent in recovered.doubtful:
        tracker.doubt(intent)
    for execution in recovered.settled:
        tracker.watch(execution)
    for execution in recovered.resolved:
        publish(ExecutionResolved(execution))
    return Sender(node, operator, recovered.lane, submitter, tracker, bidder)
