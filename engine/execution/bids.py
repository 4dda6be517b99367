"""What to offer the builder: a part of the profit, at the price that has paid best so far.

A block's place is sold in a sealed first-price auction: what is offered is paid when it is won. The most
expected profit lies where (1 - share) * P(win | share) is greatest; P is estimated for a ladder of shares
from the outcomes seen in the same bucket, starting from a prior that more wins more often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

from engine.domain.execution import Execution, Outcome, Plan, SimulatedPlan
from engine.domain.market import BlockRef

BPS = 10_000
# How many outcomes the prior is worth, and how many seen ones count: the market of last week is another one.
PRIOR_WEIGHT = 4.0
MEMORY = 200.0
# Unwrapping a bid and sending it to a fee recipient without code, on published contracts.
BID_GAS = 17_000


class BidPolicy(Protocol):
    """Chooses what part of the profit after the base fee to offer. `share_bps` in 1e-4, `settle` hears how
    offers ended. A model may stand here; it never raises the limits around it."""

    def share_bps(self, bucket: str) -> int: ...

    def settle(self, bucket: str, share_bps: int, won: bool) -> None: ...


class FirstPrice:
    """The ladder of shares with measured win rates; implements `BidPolicy`."""

    def __init__(self, ladder_bps: Sequence[int]):
        """`ladder_bps` ascending shares below 1e4. Raises ValueError for another ladder."""
        ladder = tuple(ladder_bps)
        if not ladder or ladder[0] < 0 or ladder[-1] >= BPS or any(a >= b for a, b in pairwise(ladder)):
            raise ValueError("the ladder of shares must ascend and stay below 10000 bps")
        self.ladder_bps = ladder
        self._seen: dict[tuple[str, int], tuple[float, float]] = {}

    def win_rate(self, bucket: str, share_bps: int) -> float:
        """Estimated chance of winning at this rung: the outcomes seen there on top of the prior."""
        won, count = self._seen.get((bucket, share_bps), (0.0, 0.0))
        return (won + PRIOR_WEIGHT * self._prior(share_bps)) / (count + PRIOR_WEIGHT)

    def share_bps(self, bucket: str) -> int:
        """The rung with the greatest expected profit; the lower one of equals."""
        return max(self.ladder_bps, key=lambda share: (self._expected(bucket, share), -share))

    def settle(self, bucket: str, share_bps: int, won: bool) -> None:
        """Count an outcome; what is older fades."""
        wins, count = self._seen.get((bucket, share_bps), (0.0, 0.0))
        kept = 1.0 if count < MEMORY else (MEMORY - 1.0) / MEMORY
        self._seen[bucket, share_bps] = wins * kept + won, count * kept + 1.0

    def _expected(self, bucket: str, share_bps: int) -> float:
        return (BPS - share_bps) * self.win_rate(bucket, share_bps)

    def _prior(self, share_bps: int) -> float:
        # Every rung starts at the same expected profit, so that the lowest untried one is tried first.
        return (BPS - self.ladder_bps[-1]) / (BPS - share_bps)


@dataclass(frozen=True, slots=True)
class BidLimits:
    """`floor_wei` and `cap_wei`: priority fee per gas. Nothing is offered that leaves less than
    `keep_bps` (1e-4) of the profit after the base fee."""

    floor_wei: int
    cap_wei: int
    keep_bps: int = 100


ValueInWei = Callable[[str, int], int | None]


class PaysOnLanding(Protocol):
    """Who can have the run itself pay the builder: the planner."""

    def can_bid(self, plan: Plan) -> bool: ...

    def with_bid(self, plan: Plan, head: BlockRef, bid: int) -> Plan: ...


def bucket_of(plan: Plan, profit_wei: int) -> str:
    """Opportunities whose competition should be alike: base token, hops, and the size of the profit in powers
    of four of a thousandth of the native coin."""
    opportunity = plan.opportunity
    size = max(profit_wei // 10**15, 1).bit_length() // 2
    return f"{opportunity.base_token}:{len(opportunity.hops)}:{size}"


class Bidder:
    """Prices simulated plans and learns from their executions. Without a policy the plan's own fee stays."""

    def __init__(self, limits: BidLimits, policy: BidPolicy | None):
        self._limits = limits
        self._policy = policy
        self._open: dict[str, tuple[str, int]] = {}

    def price(
        self, simulated: SimulatedPlan, value_in_wei: ValueInWei, run: PaysOnLanding | None = None
    ) -> SimulatedPlan:
        """The plan with a priority fee of max(floor, min(cap, share of the profit / gas used)).

        `value_in_wei(token, amount)` is what base units are worth in the native coin, None where no feed
        says; the plan's own fee stays then. Only fees change: calldata, amounts and what the simulation
        proved stay. With `run` what exceeds the floor is not a fee, which a reverted transaction pays too,
        but a payment of the run itself, where it can pay: the calldata changes, and must be simulated anew.
        """
        plan = simulated.plan
        value = value_in_wei(plan.opportunity.base_token, plan.expected_profit)
        base_fee = simulated.block.next_base_fee_wei()
        profit = (value or 0) - simulated.gas_used * base_fee
        if self._policy is None or profit <= 0 or not simulated.gas_used:
            return simulated
        bucket = bucket_of(plan, profit)
        share = self._policy.share_bps(bucket)
        offered = profit * min(share, BPS - self._limits.keep_bps) // BPS
        priority = max(self._limits.floor_wei, min(self._limits.cap_wei, offered // simulated.gas_used))
        if run is not None and run.can_bid(plan):
            gas = simulated.gas_used + BID_GAS
            spare = offered - BID_GAS * base_fee - gas * self._limits.floor_wei
            bid = min(spare, gas * (self._limits.cap_wei - self._limits.floor_wei))
            if bid > 0:
                plan, priority = run.with_bid(plan, simulated.block, bid), self._limits.floor_wei
        self._open["0x" + plan.calldata.hex()] = bucket, share
        return replace(
            simulated,
            plan=replace(plan, priority_fee_wei=priority, max_fee_wei=2 * base_fee + priority),
        )

    def settle(self, execution: Execution) -> None:
        """Tell the policy how an offer ended. One that was never sent says nothing."""
        known = self._open.pop(execution.intent.record.get("plan", {}).get("calldata"), None)
        if known is not None and self._policy is not None and execution.outcome is not Outcome.NEVER_SENT:
            self._policy.settle(*known, execution.outcome is Outcome.LANDED)
