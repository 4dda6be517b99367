"""Flash loans for cycles in which no pool pays before it is paid: who lends, and who costs least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from engine.domain.market import PAYING_FIRST, Protocol
from engine.domain.opportunity import Conversion, Opportunity
from engine.execution.commands import Kind

BALANCER_V2 = frozenset({Protocol.BALANCER_V2_WEIGHTED, Protocol.BALANCER_V2_STABLE})
# What borrowing adds to a run on published contracts: a transfer out and one back; for those that pull, an
# approval besides; Aave's accounting.
LOAN_GAS = {Kind.BALANCER_LOAN: 45_000, Kind.MORPHO_LOAN: 55_000, Kind.AAVE_LOAN: 130_000}
_BPS = 10_000
_WAD = 10**18


@dataclass(frozen=True, slots=True)
class Lender:
    """Who lends the base token when no pool of a cycle does.

    `fee_bps` is Aave's premium, 1e-4 of the loan; `fee_wad` Balancer's, 1e-18 of it. `holds` is what there is
    to lend, base units by token; None where that is not known.
    """

    kind: Kind
    address: str | None = None
    fee_bps: int = 0
    fee_wad: int = 0
    holds: Mapping[str, int] | None = field(default=None, hash=False)

    def fee(self, amount: int) -> int:
        """What a loan of `amount` costs, base units. Aave rounds half up, Balancer up."""
        if self.kind is Kind.BALANCER_LOAN:
            return -(-amount * self.fee_wad // _WAD)
        return (amount * self.fee_bps + _BPS // 2) // _BPS


def needs_loan(part: Opportunity | Conversion) -> bool:
    """Does no hop of it pay before it is paid?"""
    return not any(hop.protocol in PAYING_FIRST for hop in part.hops)


def lends_for(lender: Lender, opportunity: Opportunity) -> bool:
    """Whether the lender has enough and may be called for it.

    Balancer V2's vault cannot be entered twice, so it does not lend for a cycle over its own pools."""
    if lender.holds is not None and lender.holds.get(opportunity.base_token, 0) < opportunity.amount_in:
        return False
    over_balancer = any(hop.protocol in BALANCER_V2 for hop in opportunity.hops)
    return lender.kind is not Kind.BALANCER_LOAN or not over_balancer


def cheapest_lender(lenders: Sequence[Lender], opportunity: Opportunity) -> Lender | None:
    """The lender whose fee and gas cost least for this cycle, in base units at the rate of its gas estimate.

    None where no lender lends for it, or where it needs none.
    """
    if not needs_loan(opportunity):
        return None
    rate = Fraction(opportunity.gas_cost, opportunity.gas_estimate or 1)
    fitting = [lender for lender in lenders if lends_for(lender, opportunity)]
    return min(
        fitting,
        key=lambda lender: lender.fee(opportunity.amount_in) + LOAN_GAS[lender.kind] * rate,
        default=None,
    )


def financed(opportunity: Opportunity, lenders: Sequence[Lender]) -> Opportunity:
    """The opportunity with what the cheapest loan adds to its gas and costs besides, for whoever judges its
    profit. Unchanged where it needs no loan or nobody lends."""
    lender = cheapest_lender(lenders, opportunity)
    if lender is None:
        return opportunity
    gas = opportunity.gas_estimate + LOAN_GAS[lender.kind]
    cost = -(-opportunity.gas_cost * gas // (opportunity.gas_estimate or 1))
    return replace(opportunity, gas_estimate=gas, gas_cost=cost, loan_fee=lender.fee(opportunity.amount_in))
