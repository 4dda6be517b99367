"""Planned cycles and conversions as the rest of the engine knows them."""

from __future__ import annotations

from engine.domain.market import BlockRef
from engine.domain.opportunity import Hop, Opportunity
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.joint_carry import Planned, PlannedCycle


def opportunity_of(market: Market, block: BlockRef, cycle: PlannedCycle, costs: GasCosts) -> Opportunity:
    """A planned cycle as the rest of the engine knows it: exact on the state the cycles before it left."""
    hops = hops_of(market, cycle)
    units = costs.gas_units(hop.protocol for hop in hops)
    base = hops[0].token_in
    return Opportunity(block, base, hops, units, costs.cost(base, units, len(hops)))


def hops_of(market: Market, planned: Planned) -> tuple[Hop, ...]:
    """The swaps of a planned cycle or conversion."""
    hops = []
    for place, edge in enumerate(planned.edges):
        record = market.pools[edge >> 1]
        token_in, token_out = market.token_in(edge), market.token_in(edge ^ 1)
        hops.append(
            Hop(
                pool=record.key,
                protocol=record.protocol,
                venue=record.venue,
                token_in=token_in,
                token_out=token_out,
                amount_in=planned.amounts[place],
                amount_out=planned.amounts[place + 1],
                fee_pips=record.fee_pips,
                details=record.details,
                coin_in=record.tokens.index(token_in),
                coin_out=record.tokens.index(token_out),
            )
        )
    return tuple(hops)
