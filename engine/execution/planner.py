"""Terms of sending: calldata, minimum profit, deadline, gas and fees."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.domain.execution import Pinned, Plan
from engine.domain.market import BlockRef
from engine.domain.opportunity import Approved
from engine.execution.commands import Kind
from engine.execution.cycle_commands import Lender, cheapest_lender
from engine.execution.encoder import UNKNOWN, encode_stream

BPS = 10_000
GAS_CEILING_FACTOR = 3
GAS_CEILING_EXTRA = 200_000


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """`min_profit_bps`: part of the expected profit that the router enforces, 1e-4; `deadline_s`: seconds
    after the block that is built on, or after now if that is later."""

    priority_fee_wei: int
    min_profit_bps: int = BPS
    deadline_s: int = 36


class Planner:
    """Makes plans for one router, constructed with `pinned`. `clock` returns unix seconds. `lenders` lend to
    cycles in which no pool pays before it is paid."""

    def __init__(
        self,
        router: str,
        terms: PlanTerms,
        clock: Callable[[], float] = time.time,
        pinned: Pinned = UNKNOWN,
        lenders: Sequence[Lender] = (),
    ):
        self._pinned = pinned
        # Balancer's vault lends for nothing to whoever knows it.
        known = (Lender(Kind.BALANCER_LOAN),) if pinned.balancer_vault else ()
        self._lenders = (*known, *lenders)
        self._router = router
        self._terms = terms
        self._clock = clock

    def plan(self, approved: Approved, head: BlockRef) -> Plan:
        """Plan an approved opportunity for the child of `head`.

        The fee bears two blocks' worth of doubling at most: 2 * next base fee + priority fee. `gas_limit` is
        a ceiling for the simulation, which replaces it by what was needed. Raises ExecutionError when the
        opportunity cannot be encoded.
        """
        opportunity = approved.opportunity
        lender = cheapest_lender(self._lenders, opportunity)
        loan_fee = lender.fee(opportunity.amount_in) if lender else 0
        min_profit = self._min_profit(opportunity.gross_profit - loan_fee, opportunity.gas_cost)
        deadline = max(head.timestamp, int(self._clock())) + self._terms.deadline_s
        return Plan(
            approved=approved,
            router=self._router,
            calldata=encode_stream(opportunity, deadline, min_profit, self._pinned, lender),
            min_profit=min_profit,
            deadline=deadline,
            gas_limit=opportunity.gas_estimate * GAS_CEILING_FACTOR + GAS_CEILING_EXTRA,
            max_fee_wei=2 * head.next_base_fee_wei() + self._terms.priority_fee_wei,
            priority_fee_wei=self._terms.priority_fee_wei,
            loan_fee=loan_fee,
        )

    def _min_profit(self, expected: int, gas_cost: int) -> int:
        # Relaxing it may cost profit, but never so much that landing does not pay for its gas.
        return max(expected * self._terms.min_profit_bps // BPS, min(expected, gas_cost))
