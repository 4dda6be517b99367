"""Our state of a pool beside what the node says of the same block: what differs, and whether it may."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from engine.amm.layout import MAX_TICK, MIN_TICK
from engine.domain.market import PoolRecord, Protocol
from engine.domain.pool_state import PoolState, V3PoolState, V4PoolState

# What no log of the pool tells: fees that a factory or hook decides, rates, ramps, what a vault earns.
SILENT: dict[Protocol, frozenset[str]] = {
    Protocol.SLIPSTREAM: frozenset({"fees"}),
    Protocol.ALGEBRA: frozenset({"fees"}),
    Protocol.SOLIDLY: frozenset({"fee"}),
    Protocol.UNISWAP_V4: frozenset({"lp_fee"}),
    Protocol.CURVE_STABLESWAP: frozenset({"rates", "balances", "ramp"}),
    Protocol.CURVE_CRYPTOSWAP: frozenset({"a", "gamma", "ramping", "may_lose"}),
    Protocol.BALANCER_V2_STABLE: frozenset({"scaling_factors"}),
    Protocol.BALANCER_V3_WEIGHTED: frozenset({"live_balances", "rates"}),
    Protocol.BALANCER_V3_STABLE: frozenset({"live_balances", "rates", "amp_ramp"}),
    Protocol.ERC4626: frozenset({"total_assets", "total_supply"}),
    Protocol.WSTETH: frozenset({"total_shares", "total_pooled_ether", "wrapped_supply"}),
    Protocol.WETH: frozenset({"supply"}),
}


class Cause(StrEnum):
    """Why our state and the node's differ."""

    DRIFT = "drift"  # a part of the state that no log tells: read again, nothing is wrong
    RACED_NODE = "raced node"  # asked again of the same block, the node says what we say
    LYING_NODE = "lying node"  # it says the same again, and another endpoint says what we say
    MISSED_LOG = "missed log"  # the node has logs of the pool that we were not given
    UNHANDLED_REORG = "unhandled reorg"  # a reorganisation came since they last agreed
    UNKNOWN_BEHAVIOUR = "unknown behaviour"  # the state moved without a log: a rebase, a donation, odd code


def differences(ours: PoolState, theirs: PoolState, *, ticks: bool = True) -> tuple[str, ...]:
    """Names of the fields that differ; without `ticks`, the tick tables are not compared."""
    if type(ours) is not type(theirs) or ours.pool != theirs.pool:
        return ("pool",)
    one, other = _comparable(ours, ticks), _comparable(theirs, ticks)
    return tuple(name for name in one if one[name] != other[name])


def is_drift(pool: PoolRecord, changed: Sequence[str]) -> bool:
    """Whether the pool's logs would not have told of a change of any of these fields."""
    return set(changed) <= SILENT.get(pool.protocol, frozenset())


def _comparable(state: PoolState, ticks: bool) -> dict[str, Any]:
    values = {each.name: getattr(state, each.name) for each in fields(state) if each.name != "pool"}
    if isinstance(state, V3PoolState | V4PoolState):
        low, high = state.known or (MIN_TICK, MAX_TICK)
        del values["known"]
        values["ticks"] = tuple(entry for entry in state.ticks if low <= entry[0] <= high) if ticks else ()
        if not state.sqrt_price_x96:
            # Before its Initialize the tick means nothing.
            values["tick"] = 0
    if isinstance(state, V3PoolState) and state.fees is None:
        values["fees"] = (state.pool.fee_pips, state.pool.fee_pips)
    return values


# Where the node was wrong, not our state of the pool.
BY_NODE = frozenset({Cause.RACED_NODE, Cause.LYING_NODE})


@dataclass(slots=True)
class VenueTrust:
    """Halts a venue whose pools diverge again and again: `limit` times within `window` blocks."""

    limit: int = 3
    window: int = 300
    halted: dict[str, str] = field(default_factory=dict)
    _blocks: dict[str, deque[int]] = field(default_factory=dict)

    def note(self, venue: str, block: int) -> bool:
        """Count a divergence; True when the venue is halted by it."""
        recent = self._blocks.setdefault(venue, deque())
        recent.append(block)
        while recent and recent[0] <= block - self.window:
            recent.popleft()
        if len(recent) < self.limit or venue in self.halted:
            return False
        self.halted[venue] = f"{len(recent)} divergences within {self.window} blocks"
        return True


class Rotation:
    """Takes turns: `take(keys, count)` returns the next keys, so that each comes up once per round."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()

    def take(self, keys: Sequence[str], count: int) -> list[str]:
        """Up to `count` of `keys`, those first that have waited longest."""
        present = set(keys)
        chosen: list[str] = []
        while len(chosen) < min(count, len(present)):
            if not self._waiting:
                self._waiting.extend(keys)
            key = self._waiting.popleft()
            if key in present and key not in chosen:
                chosen.append(key)
        return chosen
