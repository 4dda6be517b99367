"""Access lists (EIP-2930) for cycles that come back: learned beside the line, used where they save gas.

A listed address costs 2,400 gas and a slot 1,900, and spares 2,500 and 2,000 when touched: 100 gas each. What
a cycle touches hardly changes from block to block, so the list of one time serves the next; the simulation of
the plan carries it, and so the gas is exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.domain.errors import NodeError
from engine.domain.events import Fact, PlanSimulated
from engine.domain.execution import AccessList, Plan, SimulatedPlan
from engine.domain.ports import Node

# A list is measured anew after so many blocks: ticks move, and what is listed in vain costs.
FRESH_BLOCKS = 50
_KEPT = 1_024
_AT_ONCE = 2

Shape = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """What a cycle touches (empty where no list pays), what that saves, gas units, and since which block."""

    touched: AccessList
    saved: int
    block_number: int


class AccessLists:
    """Knows lists by the cycles' pools and directions. `sender_of(router)` says who would send.

    Only lists that save at least `least_gas` are used. What is found out is found out beside the line: a node
    that has no `eth_createAccessList` leaves everything as it is.
    """

    def __init__(self, node: Node, sender_of: Callable[[str], str], least_gas: int):
        self._node = node
        self._sender_of = sender_of
        self._least_gas = least_gas
        self._known: dict[Shape, Learned] = {}
        self._running: set[asyncio.Task[None]] = set()

    def on(self, plan: Plan) -> Plan:
        """The plan with the list that its cycles are known to save gas with, if there is one."""
        learned = self._known.get(_shape(plan))
        return plan if learned is None or not learned.touched else replace(plan, access_list=learned.touched)

    def take(self, fact: Fact) -> None:
        """Hear of a simulated plan, and begin to find out what it touches where that is not known."""
        if not isinstance(fact, PlanSimulated) or len(self._running) >= _AT_ONCE:
            return
        learned = self._known.get(_shape(fact.simulated.plan))
        now = fact.simulated.block.number
        if learned is not None and 0 <= now - learned.block_number < FRESH_BLOCKS:
            return
        task = asyncio.create_task(self._learn_quietly(fact.simulated), name="access lists")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Stop what runs."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _learn_quietly(self, simulated: SimulatedPlan) -> None:
        try:
            await self.learn(simulated)
        except (NodeError, ValueError, KeyError, TypeError):
            self._keep(simulated, Learned((), 0, simulated.block.number))

    async def learn(self, simulated: SimulatedPlan) -> Learned:
        """Find out what a plan touches and what listing that saves. Raises NodeError, and what a malformed
        answer raises."""
        plan, block = simulated.plan, simulated.block
        call: dict[str, Any] = {
            "from": self._sender_of(plan.router),
            "to": plan.router,
            "data": "0x" + (plan.unpinned or plan.calldata).hex(),
            "gas": hex(2 * plan.gas_limit),
        }
        where = hex(block.number)
        answer = await self._node.request("eth_createAccessList", [call, where])
        touched = _parsed(answer)
        listed = call | {"accessList": as_json(touched)}
        answers = await self._node.batch([("eth_estimateGas", [each, where]) for each in (call, listed)])
        for each in answers:
            if isinstance(each, NodeError):
                raise each
        saved = int(answers[0], 16) - int(answers[1], 16)
        learned = Learned(touched if saved >= self._least_gas else (), saved, block.number)
        self._keep(simulated, learned)
        return learned

    def _keep(self, simulated: SimulatedPlan, learned: Learned) -> None:
        self._known.pop(_shape(simulated.plan), None)
        self._known[_shape(simulated.plan)] = learned
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]


def as_json(touched: AccessList) -> list[dict[str, Any]]:
    """The list as JSON-RPC has it."""
    return [{"address": address, "storageKeys": list(slots)} for address, slots in touched]


def _shape(plan: Plan) -> Shape:
    chains = [each.opportunity.hops for each in plan.together]
    chains += [each.conversion.hops for each in plan.conversions]
    hops = (hop for chain in chains for hop in chain)
    return (plan.router, plan.bid > 0, *((hop.pool, hop.token_in, hop.token_out) for hop in hops))


def _parsed(answer: Mapping[str, Any]) -> AccessList:
    if answer.get("error"):
        raise ValueError(str(answer["error"]))
    return tuple(
        (str(entry["address"]).lower(), tuple(str(slot).lower() for slot in entry["storageKeys"]))
        for entry in answer["accessList"]
    )
