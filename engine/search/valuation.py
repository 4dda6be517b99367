"""What base tokens are worth in the native coin by the market's own prices, where no feed is at hand.

Estimates: good for ranking and for showing a gas cost, never for a limit or a plan.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.amm.estimates import est_segment_nb
from engine.market.market import Market


def est_base_units_per_wei(market: Market, native: str, base_tokens: Sequence[str]) -> dict[str, float]:
    """Base units of each token that one wei of `native` (the wrapped native token) is worth, at the pool of
    both with the most `native` at its price. Tokens without such a pool are left out."""
    rates = {token: 1.0 for token in base_tokens if token == native}
    depths: dict[str, float] = {}
    wanted = set(base_tokens) - {native}
    pools = market.arrays
    for row, record in enumerate(market.pools):
        if native not in record.tokens:
            continue
        sold, bought = market.token_in(2 * row), market.token_in(2 * row + 1)
        if native not in (sold, bought):
            continue
        zero_for_one = sold == native
        token = bought if zero_for_one else sold
        if token not in wanted:
            continue
        native_depth, token_depth, _ = est_segment_nb(pools, row, zero_for_one)
        if native_depth > depths.get(token, 0.0) and token_depth > 0.0:
            depths[token] = native_depth
            rates[token] = token_depth / native_depth
    return rates
