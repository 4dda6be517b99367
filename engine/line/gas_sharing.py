"""Who pays the gas of a transaction of several opportunities: each what it adds, and all of them together, by
what they earn, what any transaction costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.domain.opportunity import Approved, Opportunity, Refused
from engine.execution.combination import Share, room_beside, sharing
from engine.risk.view import RiskView
from engine.search.costs import GasCosts

Assess = Callable[[Opportunity, RiskView], Approved | Refused]


def in_one(
    opportunities: Sequence[Opportunity], costs: GasCosts, bears_base: bool = True
) -> list[Opportunity]:
    """Opportunities of one base token at what each costs in one transaction of all of them; without the
    transaction's own gas where others bear it."""
    token = opportunities[0].base_token
    gas = [costs.swap_gas(hop.protocol for hop in each.hops) for each in opportunities]
    own = [
        Share(units, costs.cost_added(token, units, len(each.hops)))
        for units, each in zip(gas, opportunities, strict=True)
    ]
    base = Share(costs.base_gas, costs.cost(token, costs.base_gas, 0)) if bears_base else Share(0, 0)
    return sharing(opportunities, own, base)


def taking(view: RiskView, approved: Approved) -> RiskView:
    """The view with the opportunity's pools as those of one in flight."""
    return replace(view, in_flight_pools=view.in_flight_pools | set(approved.opportunity.pools))


def assess_riders(
    assess: Assess,
    most: int,
    short: Sequence[Refused],
    approved: Sequence[Approved],
    view: RiskView,
    costs: GasCosts,
) -> list[Approved]:
    """Of those that earn too little for a transaction of their own (`short`, best first), the ones that the
    risk chain lets pass beside an approved one with what they add, or where none of their base token is
    approved, beside each other with their parts of one transaction. At most `most` go together."""
    room, riders = room_beside(approved, most), list[Approved]()
    for token in dict.fromkeys(each.opportunity.base_token for each in short):
        waiting = [each.opportunity for each in short if each.opportunity.base_token == token]
        among_themselves = token not in room
        least = 2 if among_themselves else 1
        while most > 1 and len(waiting) >= least and room.get(token, most) > 0:
            chosen = waiting[: room.get(token, most)]
            passed, taken = list[Approved](), view
            for due in in_one(chosen, costs, bears_base=among_themselves):
                verdict = assess(due, taken)
                if isinstance(verdict, Approved):
                    passed.append(verdict)
                    taken = taking(taken, verdict)
            if len(passed) == len(chosen):
                riders, view = riders + passed, taken
                break
            # Their parts depend on who is with them: those that are left are asked again.
            left = {each.opportunity.id for each in passed}
            waiting = [each for at, each in enumerate(waiting) if at >= len(chosen) or each.id in left]
    return riders
