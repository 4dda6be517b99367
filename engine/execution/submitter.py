"""Sending: the signed intent is on disk before its bytes leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.domain.describe import describe_conversion, describe_opportunity, describe_results
from engine.domain.errors import ExecutionError
from engine.domain.execution import (
    AccessList,
    Dispatch,
    Execution,
    Intent,
    Outcome,
    SignedTransaction,
    SimulatedPlan,
)
from engine.domain.market import BlockRef
from engine.domain.ports import Channel, Journal, Node, Signer
from engine.execution.access_lists import as_json
from engine.execution.channels import PoolChannel, may_land
from engine.execution.nonces import NonceLane

TRADE = "trade"
CANCEL = "cancel"
TRANSFER_GAS = 21_000
# Pools accept a replacement that raises both fees by a tenth; an eighth leaves room for rounding.
BUMP_NUMERATOR = 9
BUMP_DENOMINATOR = 8


def nothing(point: str) -> None:
    """The default observer of the points between which a process may die."""


def unheard(intent: Intent, dispatches: Sequence[Dispatch]) -> None:
    """The default listener to what channels answered."""


def raised(fee_wei: int) -> int:
    """The lowest fee that replaces a transaction offering `fee_wei`: an eighth more, rounded up."""
    return -(-fee_wei * BUMP_NUMERATOR // BUMP_DENOMINATOR)


class Submitter:
    """Sends plans and cancellations from one operator key.

    Trades go through `channel`, by default the node's own pool; cancellations always through the latter.
    `at` is called with each point passed: "reserved", "signed", "persisted", "sent"; `heard` with what the
    channels answered. `cancel_gas` pays for an empty transfer of the operator to itself.
    """

    def __init__(
        self,
        node: Node,
        signer: Signer,
        journal: Journal,
        lane: NonceLane,
        chain_id: int,
        *,
        channel: Channel | None = None,
        cancel_gas: int = TRANSFER_GAS,
        at: Callable[[str], None] = nothing,
        heard: Callable[[Intent, Sequence[Dispatch]], None] = unheard,
    ):
        self._pool = PoolChannel(node)
        self._channel = channel or self._pool
        self._heard = heard
        self._signer = signer
        self._journal = journal
        self._lane = lane
        self._chain_id = chain_id
        self._cancel_gas = cancel_gas
        self._at = at

    async def submit(self, simulated: SimulatedPlan) -> Intent | Execution:
        """Journal and send a simulated plan.

        Returns the intent when the transaction may land (also when nobody answered), or an execution with
        outcome NEVER_SENT, already journalled, when every channel refused it. Raises ExecutionError when the
        journal cannot be written; nothing is sent then.
        """
        plan = simulated.plan
        nonce = self._lane.reserve()
        self._at("reserved")
        try:
            signed = self._sign(
                nonce,
                plan.router,
                plan.calldata,
                plan.gas_limit,
                plan.max_fee_wei,
                plan.priority_fee_wei,
                plan.access_list,
            )
        except BaseException:
            self._lane.release(nonce)
            raise
        self._at("signed")
        intent = Intent(
            id=signed.hash[2:18],
            kind=TRADE,
            chain_id=self._chain_id,
            block_number=simulated.block.number,
            base_token=plan.opportunity.base_token,
            expected_profit=plan.expected_profit,
            simulated_profit=simulated.simulated_profit,
            deadline=plan.deadline,
            max_fee_wei=plan.max_fee_wei,
            priority_fee_wei=plan.priority_fee_wei,
            transaction=signed,
            record=_record(simulated),
            last_block=simulated.block.number + 1 if self._channel.is_private else 0,
        )
        try:
            self._write(intent)
        except ExecutionError:
            self._lane.release(nonce)
            raise
        if not await self._send(intent, self._channel):
            # The signed bytes went nowhere, and the journal says so before the nonce is used again.
            execution = self._never_sent(intent)
            self._lane.release(nonce)
            return execution
        return intent

    async def cancel(self, stuck: list[Intent], head: BlockRef) -> Intent | Execution:
        """Replace the given intents of one nonce by a transfer of nothing that outbids all of them."""
        priority = max(raised(intent.priority_fee_wei) for intent in stuck)
        max_fee = max(raised(intent.max_fee_wei) for intent in stuck)
        max_fee = max(max_fee, 2 * head.next_base_fee_wei() + priority)
        nonce = stuck[0].transaction.nonce
        signed = self._sign(nonce, self._signer.address, b"", self._cancel_gas, max_fee, priority)
        intent = Intent(
            id=signed.hash[2:18],
            kind=CANCEL,
            chain_id=self._chain_id,
            block_number=head.number,
            base_token=stuck[0].base_token,
            expected_profit=0,
            simulated_profit=0,
            deadline=0,
            max_fee_wei=max_fee,
            priority_fee_wei=priority,
            transaction=signed,
            record={"cancels": [other.id for other in stuck]},
        )
        self._write(intent)
        return intent if await self._send(intent, self._pool) else self._never_sent(intent)

    def expire(self, missed: Execution) -> Execution:
        """Book a private intent whose last block passed without it as missed, and give its nonce back.

        Raises ExecutionError for an intent that waits in a pool, whose nonce only the chain gives back.
        """
        intent = missed.intent
        if not intent.last_block:
            raise ExecutionError(f"intent {intent.id} waits in a pool: it does not expire")
        self._journal.record_outcome(missed)
        self._lane.release(intent.transaction.nonce)
        return missed

    def spent(self, nonce: int) -> None:
        """Take note that the chain has used a nonce by a transaction of ours, perhaps one given up before."""
        self._lane.spend(nonce)

    def _sign(
        self,
        nonce: int,
        to: str,
        calldata: bytes,
        gas: int,
        max_fee_wei: int,
        priority_fee_wei: int,
        access_list: AccessList = (),
    ) -> SignedTransaction:
        transaction = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": nonce,
            "to": to,
            "value": 0,
            "data": "0x" + calldata.hex(),
            "gas": gas,
            "maxFeePerGas": max_fee_wei,
            "maxPriorityFeePerGas": priority_fee_wei,
        }
        # Without one the quicker way of signing is taken.
        return self._signer.sign(
            transaction | {"accessList": as_json(access_list)} if access_list else transaction
        )

    def _write(self, intent: Intent) -> None:
        try:
            self._journal.record_intent(intent)
        except OSError as error:
            raise ExecutionError(f"the journal cannot be written, so nothing is sent: {error}") from error
        self._at("persisted")

    def _never_sent(self, intent: Intent) -> Execution:
        execution = Execution(intent=intent, outcome=Outcome.NEVER_SENT)
        self._journal.record_outcome(execution)
        return execution

    async def _send(self, intent: Intent, channel: Channel) -> bool:
        """Whether the transaction may land. Unknown counts as yes: the tracker finds out."""
        try:
            dispatches = await channel.send(intent.transaction, intent.block_number + 1)
        finally:
            self._at("sent")
        self._heard(intent, dispatches)
        return may_land(dispatches)


def _record(simulated: SimulatedPlan) -> dict[str, Any]:
    plan = simulated.plan
    return {
        "opportunity": describe_opportunity(plan.opportunity),
        "checks": describe_results(simulated.results),
        "also": [
            {
                "opportunity": describe_opportunity(each.opportunity),
                "checks": describe_results(each.results),
            }
            for each in plan.also
        ],
        "conversions": [
            {
                "conversion": describe_conversion(each.conversion),
                "checks": describe_results(each.results),
            }
            for each in plan.conversions
        ],
        "plan": {
            "router": plan.router,
            "calldata": "0x" + plan.calldata.hex(),
            "min_profit": str(plan.min_profit),
            "bid": str(plan.bid),
            "deadline": plan.deadline,
            "gas_limit": plan.gas_limit,
            "max_fee_wei": str(plan.max_fee_wei),
            "priority_fee_wei": str(plan.priority_fee_wei),
            "simulated_gas": simulated.gas_used,
            "simulated_at": simulated.block.hash,
        },
    }
