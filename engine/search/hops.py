"""Directed edges of the search as the hops that the rest of the engine knows."""

from __future__ import annotations

from engine.domain.opportunity import Hop
from engine.market.market import Market


def hop_of(market: Market, edge: int, amount_in: int, amount_out: int) -> Hop:
    """What sells `amount_in` along a directed edge (2 * row + direction) for `amount_out`, base units."""
    record = market.pools[edge >> 1]
    token_in, token_out = market.token_in(edge), market.token_in(edge ^ 1)
    return Hop(
        pool=record.key,
        protocol=record.protocol,
        venue=record.venue,
        token_in=token_in,
        token_out=token_out,
        amount_in=amount_in,
        amount_out=amount_out,
        fee_pips=record.fee_pips,
        details=record.details,
        coin_in=record.tokens.index(token_in),
        coin_out=record.tokens.index(token_out),
    )
