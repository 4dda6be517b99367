"""Lanes: several operator keys side by side, each with its own router, nonces, journal and lease.

A router obeys one address for ever, so a lane is a key and a router of its own. What waits in one lane does
not hold up what goes through another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.app.sender import Key, Sender
from engine.chain.wire import quantity
from engine.domain.errors import ConfigError, NodeError
from engine.domain.execution import Execution, Intent, Plan, SimulatedPlan
from engine.domain.market import BlockRef
from engine.domain.ports import Node, Signer


@dataclass(frozen=True, slots=True)
class LaneKey:
    """What a lane besides the first one needs: its key, and the router that obeys it (lower-case)."""

    key: Key
    router: str


@dataclass(frozen=True, slots=True)
class LaneSigner:
    """A lane's signer and router, before its journal is open."""

    signer: Signer
    router: str


@dataclass(slots=True)
class Lane:
    """One operator, whose plans go to `router`. `balance_wei` at the last block read."""

    router: str
    sender: Sender
    balance_wei: int = 0
    closed: bool = False


@dataclass(slots=True)
class Lanes:
    """The sending half of the line; implements `engine.pipeline.Execute`. The first lane goes to the router
    that the DexRegistry names."""

    lanes: Sequence[Lane]
    _placed: Counter[str] = field(default_factory=Counter)
    _used: Counter[str] = field(default_factory=Counter)

    @property
    def in_flight_pools(self) -> frozenset[str]:
        """Pools that a trade in flight touches, whichever lane it went through."""
        return frozenset[str]().union(*(lane.sender.in_flight_pools for lane in self.lanes))

    def in_flight(self) -> int:
        """How many transactions of all lanes have no outcome yet."""
        return sum(lane.sender.in_flight() for lane in self.lanes)

    @property
    def operators(self) -> Mapping[str, str]:
        """Who sends to each router: a live view is not needed, lanes keep their routers but for the first."""
        return {lane.router: lane.sender.operator for lane in self.lanes}

    def turn_to(self, router: str) -> None:
        """Send the first lane's plans to another router. The other lanes' routers are of the old kind: they
        resolve what they have in flight and are sent nothing more."""
        first, *others = self.lanes
        if router != first.router:
            first.router = router
            for lane in others:
                lane.closed = True

    def place(self, plan: Plan) -> Plan:
        """The plan for the lane with the least in flight among those that can pay for it, of equals the one
        used least; for the first one where none can pay."""
        needed = plan.gas_limit * plan.max_fee_wei

        def burden(lane: Lane) -> tuple[int, int]:
            operator = lane.sender.operator
            return lane.sender.in_flight() + self._placed[operator], self._used[operator]

        able = [lane for lane in self.lanes if not lane.closed and lane.balance_wei >= needed]
        chosen = min(able or self.lanes[:1], key=burden)
        for count in (self._placed, self._used):
            count[chosen.sender.operator] += 1
        return replace(plan, router=chosen.router)

    async def fuel(self, node: Node, where: object) -> int:
        """What the richest open lane holds at a block, wei; each lane remembers its own. Raises NodeError."""
        answers = await node.batch([("eth_getBalance", [lane.sender.operator, where]) for lane in self.lanes])
        for lane, answer in zip(self.lanes, answers, strict=True):
            if isinstance(answer, NodeError):
                raise answer
            lane.balance_wei = quantity(answer, "balance")
        return max(lane.balance_wei for lane in self.lanes if not lane.closed)

    async def submit(self, simulated: SimulatedPlan) -> Intent | Execution:
        """Send a plan through the lane it was placed in."""
        (lane,) = [each for each in self.lanes if each.router == simulated.plan.router]
        return await lane.sender.submit(simulated)

    async def on_block(self, block: BlockRef) -> list[Execution]:
        """Outcomes that `block` decided, lane by lane. Raises ForeignNonce as `Sender.on_block`."""
        self._placed.clear()
        executions = []
        for lane in self.lanes:
            executions += await lane.sender.on_block(block)
        return executions


def require_different(operators: Sequence[str]) -> None:
    """Raises ConfigError when two lanes have one key: their nonces would be the same."""
    twice = [operator for operator, count in Counter(operators).items() if count > 1]
    if twice:
        raise ConfigError(f"keys.lanes names the key of {twice[0]} twice: each lane needs a key of its own")
