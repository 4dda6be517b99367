"""What of a block's opportunities goes out, and which of them together."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engine.domain.events import OpportunityApproved, OpportunityRefused
from engine.domain.opportunity import Approved, ApprovedConversion, Opportunity, RefusalReason, Refused
from engine.execution.combination import Combination, in_sequence, settled, side_by_side
from engine.line.carrying_out import plan_of
from engine.line.gas_sharing import assess_riders, in_one, taking
from engine.line.stages import Line
from engine.risk.view import RiskView
from engine.search.costs import GasCosts
from engine.search.strategy import Found


def assess_found(
    line: Line, found: Sequence[Opportunity], view: RiskView, costs: GasCosts
) -> tuple[list[Approved], list[Approved]]:
    """Those the risk chain lets pass, best first, and riders: those that are worth what they add to the
    transaction of one of them, but no transaction of their own. Each takes its pools: a later one that
    shares a pool conflicts with it, as with one already in flight."""
    approved, short = list[Approved](), list[Refused]()
    for opportunity in map(line.finance, found):
        verdict = line.assess(opportunity, view)
        if isinstance(verdict, Approved):
            approved.append(verdict)
            view = taking(view, verdict)
            line.publish(OpportunityApproved(verdict))
        elif verdict.reason is RefusalReason.NET_PROFIT_TOO_LOW:
            short.append(verdict)
        else:
            line.publish(OpportunityRefused(verdict))
    riders = assess_riders(line.assess, line.together, short, approved, view, costs)
    riding = {each.opportunity.id for each in riders}
    for refused in short:
        if refused.opportunity.id not in riding:
            line.publish(OpportunityRefused(refused))
    for each in riders:
        line.publish(OpportunityApproved(each))
    return approved, riders


def _assess_sequence(
    line: Line,
    sequence: Sequence[Opportunity],
    view: RiskView,
    costs: GasCosts,
    bearing: Collection[str] | None = None,
) -> list[Approved]:
    """The opportunities, if the risk chain lets each of them pass with the gas that it adds to the
    transaction and its part of the transaction's own, which those of the `bearing` base tokens bear (each
    token has its own transaction when None); else none."""
    approved = list[Approved]()
    due: dict[int, Opportunity] = {}
    for token in {each.base_token for each in sequence}:
        places = [at for at, each in enumerate(sequence) if each.base_token == token]
        bears = bearing is None or token in bearing
        due |= zip(places, in_one([sequence[at] for at in places], costs, bears), strict=True)
    for at in range(len(sequence)):
        verdict = line.assess(line.finance(due[at]), view)
        if isinstance(verdict, Refused):
            return []
        approved.append(verdict)
    return approved


def _assess_settlement(line: Line, found: Found, view: RiskView, costs: GasCosts) -> Combination | None:
    """The finder's settlement in one token, if the risk chain lets each opportunity and each conversion
    pass, and the router can carry out all at once."""
    settlement = found.settlement
    if settlement is None or line.assess_conversion is None:
        return None
    if not 1 < len(settlement.opportunities) <= line.together:
        return None
    planned = _assess_sequence(line, settlement.opportunities, view, costs, {settlement.base_token})
    if not planned:
        return None
    sold = [line.assess_conversion(each, view.head, view) for each in settlement.conversions]
    passed = tuple(each for each in sold if isinstance(each, ApprovedConversion))
    if len(passed) < len(sold):
        return None
    together = Combination(tuple(planned), (), passed)
    return None if isinstance(plan_of(line, together, view.head), Refused) else together


def combine(
    line: Line,
    approved: Sequence[Approved],
    riders: Sequence[Approved],
    found: Found,
    view: RiskView,
    costs: GasCosts,
) -> list[Combination]:
    """What goes out together: opportunities side by side, a sequence, or what is settled in one token,
    whichever is worth most."""
    most = line.together
    choices = [side_by_side(approved, most, riders)]
    sequence = found.sequence[:most] if most > 1 else ()
    choices.append(in_sequence(_assess_sequence(line, sequence, view, costs), approved))
    one = _assess_settlement(line, found, view, costs)
    if one is not None:
        choices.append(settled(one.together, one.conversions, approved, most))
    chosen = max(choices, key=lambda choice: sum(_net_wei(each, costs) for each in choice))
    said = {id(each) for each in (*approved, *riders)}
    for planned in (each for combination in chosen for each in combination.together):
        if id(planned) not in said:
            line.publish(OpportunityApproved(planned))
    return chosen


def _net_wei(combination: Combination, costs: GasCosts) -> int:
    """What a combination earns after the gas of its one transaction, wei of the native coin; 0 without a
    price."""
    opportunities = [each.opportunity for each in combination.together]
    sold = [each.conversion for each in combination.conversions]
    hops = [hop.protocol for each in (*opportunities, *sold) for hop in each.hops]
    token = opportunities[0].base_token
    gross = sum(each.gross_profit for each in opportunities if each.base_token == token)
    gross += sum(each.amount_out for each in sold)
    cost = costs.cost(token, costs.gas_units(hops), len(hops))
    return costs.value_wei(token, gross - cost) or 0
