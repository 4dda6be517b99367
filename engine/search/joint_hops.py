"""Planned cycles and conversions as the rest of the engine knows them."""

from __future__ import annotations

from engine.domain.market import BlockRef
from engine.domain.opportunity import Hop, Opportunity
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.hops import hop_of
from engine.search.joint_carry import Planned, PlannedCycle


def opportunity_of(market: Market, block: BlockRef, cycle: PlannedCycle, costs: GasCosts) -> Opportunity:
    """A planned cycle as the rest of the engine knows it: exact on the state the cycles before it left."""
    hops = hops_of(market, cycle)
    units = costs.gas_units(hop.protocol for hop in hops)
    base = hops[0].token_in
    return Opportunity(block, base, hops, units, costs.cost(base, units, len(hops)))


def hops_of(market: Market, planned: Planned) -> tuple[Hop, ...]:
    """The swaps of a planned cycle or conversion."""
    bought = planned.amounts[1:]
    each = zip(planned.edges, planned.amounts, bought, strict=False)
    return tuple(hop_of(market, *one) for one in each)
