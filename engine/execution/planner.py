"""Terms of sending: calldata, minimum profit, when it may run, bid, gas and fees."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.domain.errors import ExecutionError
from engine.domain.execution import Pinned, Plan
from engine.domain.market import BlockRef
from engine.domain.opportunity import Approved, ApprovedConversion, Opportunity
from engine.execution.bids import BID_GAS
from engine.execution.commands import Kind
from engine.execution.encoder import UNKNOWN, Settled, Validity, encode_plan
from engine.execution.lenders import Lender, cheapest_lender, financed, needs_loan

BPS = 10_000
GAS_CEILING_FACTOR = 3
GAS_CEILING_EXTRA = 200_000


class Pin(StrEnum):
    """What a stream is bound to besides its sender: a deadline; the one block it is made for; that block, and
    the hash of the block that it was found on."""

    DEADLINE = "deadline"
    BLOCK = "block"
    PARENT = "parent"


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """`min_profit_bps`: part of the expected profit that the router enforces, 1e-4; `deadline_s`: seconds
    after the block that is built on, or after now if that is later; `pin` may be narrower than that."""

    priority_fee_wei: int
    min_profit_bps: int = BPS
    deadline_s: int = 36
    pin: Pin = Pin.DEADLINE


class Planner:
    """Makes plans for one router, constructed with `pinned`. `clock` returns unix seconds. `lenders` lend to
    cycles in which no pool pays before it is paid; they may be a live view."""

    def __init__(
        self,
        router: str,
        terms: PlanTerms,
        clock: Callable[[], float] = time.time,
        pinned: Pinned = UNKNOWN,
        lenders: Sequence[Lender] = (),
    ):
        self._pinned = pinned
        self._given = lenders
        self._router = router
        self._terms = terms
        self._clock = clock

    @property
    def _lenders(self) -> Sequence[Lender]:
        given = self._given
        named = any(lender.kind is Kind.BALANCER_LOAN for lender in given)
        # Balancer's vault lends to whoever knows it.
        return given if named or not self._pinned.balancer_vault else (Lender(Kind.BALANCER_LOAN), *given)

    def turn_to(self, router: str, pinned: Pinned) -> None:
        """Make plans for another router from now on."""
        self._router, self._pinned = router, pinned

    def finance(self, opportunity: Opportunity) -> Opportunity:
        """The opportunity with the cost of the loan that `plan` will take for it, where it needs one."""
        return financed(opportunity, self._lenders)

    def plan(
        self,
        approved: Approved,
        head: BlockRef,
        also: Sequence[Approved] = (),
        conversions: Sequence[ApprovedConversion] = (),
    ) -> Plan:
        """Plan an approved opportunity for the child of `head`, those to be carried out after it, and what
        sells their profits in other base tokens, to the last unit, for the first one's.

        The fee bears two blocks' worth of doubling at most: 2 * next base fee + priority fee. `gas_limit` is
        a ceiling for the simulation, which replaces it by what was needed. Raises ExecutionError when the
        opportunities cannot be encoded, need different lenders, or would leave another token behind.
        """
        deadline = max(head.timestamp, int(self._clock())) + self._terms.deadline_s
        plan = Plan(
            approved=approved,
            router=self._router,
            calldata=b"",
            min_profit=0,
            deadline=deadline,
            gas_limit=0,
            max_fee_wei=2 * head.next_base_fee_wei() + self._terms.priority_fee_wei,
            priority_fee_wei=self._terms.priority_fee_wei,
            also=tuple(also),
            conversions=tuple(conversions),
        )
        _require_one_token(plan)
        lender = self._lender_of(plan)
        loan_fee = sum(lender.fee(amount) for amount in _borrowed(plan)) if lender else 0
        gas_limit = plan.gas_estimate * GAS_CEILING_FACTOR + GAS_CEILING_EXTRA
        return self._encoded(replace(plan, loan_fee=loan_fee, gas_limit=gas_limit), head, lender)

    def can_bid(self, plan: Plan) -> bool:
        """Whether the run could pay the builder itself: only what it earns in the wrapped native token."""
        return plan.opportunity.base_token == self._pinned.wrapped_native

    def with_bid(self, plan: Plan, head: BlockRef, bid: int) -> Plan:
        """The plan whose run pays `bid` wei to the block's fee recipient before its profit is looked at, so
        that nothing is paid unless it lands. To be simulated anew. Raises ExecutionError for another base
        token, or a bid that leaves nothing."""
        if not self.can_bid(plan):
            raise ExecutionError("a bid can be paid in the pinned wrapped native token only")
        if not 0 < bid < plan.expected_profit + plan.bid:
            raise ExecutionError(f"a bid of {bid} leaves nothing of {plan.expected_profit + plan.bid}")
        gas_limit = plan.gas_limit + BID_GAS * (plan.bid == 0)
        return self._encoded(replace(plan, bid=bid, gas_limit=gas_limit), head, self._lender_of(plan))

    def _lender_of(self, plan: Plan) -> Lender | None:
        """Who lends to all of its cycles that need it. Raises ExecutionError when that is not one."""
        chosen = (cheapest_lender(self._lenders, each.opportunity) for each in plan.together)
        lenders = list(dict.fromkeys(lender for lender in chosen if lender is not None))
        if len(lenders) > 1:
            raise ExecutionError("the cycles need different lenders")
        return lenders[0] if lenders else None

    def _encoded(self, plan: Plan, head: BlockRef, lender: Lender | None) -> Plan:
        """The plan with its minimum profit and the calldata that enforces it."""
        min_profit = self._min_profit(plan.expected_profit, plan.gas_cost)
        settled = Settled(
            [each.opportunity for each in plan.together],
            plan.opportunity.base_token,
            [each.conversion for each in plan.conversions],
        )

        def stream(validity: Validity) -> bytes:
            return encode_plan(settled, validity, min_profit, self._pinned, lender, plan.bid)

        unpinned = stream(Validity(plan.deadline))
        pin = self._terms.pin
        if pin is Pin.DEADLINE:
            return replace(plan, min_profit=min_profit, calldata=unpinned)
        parent = head.hash if pin is Pin.PARENT else None
        calldata = stream(Validity(0, head.number + 1, parent))
        return replace(plan, min_profit=min_profit, calldata=calldata, unpinned=unpinned)

    def _min_profit(self, expected: int, gas_cost: int) -> int:
        # Relaxing it may cost profit, but never so much that landing does not pay for its gas.
        return max(expected * self._terms.min_profit_bps // BPS, min(expected, gas_cost))


def _require_one_token(plan: Plan) -> None:
    """Raises ExecutionError where a plan would leave more or less of any token than the first one's base
    token, which alone is looked at and booked, or would borrow another."""
    base = plan.opportunity.base_token
    left: Counter[str] = Counter()
    for each in (each.opportunity for each in plan.together if each.opportunity.base_token != base):
        left[each.base_token] += each.gross_profit
        if needs_loan(each):
            raise ExecutionError(f"a cycle of {each.base_token} beside those of {base} needs a lender")
    for sold in (each.conversion for each in plan.conversions):
        left[sold.token_in] -= sold.amount_in
        if sold.token_out != base or sold.token_in == base:
            raise ExecutionError(f"a conversion to {sold.token_out} in a plan of {base}")
    if any(left.values()):
        raise ExecutionError(f"a plan of {base} that leaves {dict(left)}")


def _borrowed(plan: Plan) -> list[int]:
    """What each cycle that needs a loan borrows, base units."""
    return [each.opportunity.amount_in for each in plan.together if needs_loan(each.opportunity)]
