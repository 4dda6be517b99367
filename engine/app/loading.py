"""From what a node said to a market."""

from __future__ import annotations

from engine.domain.errors import MarketError
from engine.domain.pool_state import Bootstrap
from engine.market.market import Market


def load(market: Market, reading: Bootstrap) -> list[int]:
    """Put a reading's tokens and pools into `market`, as of its head; returns the pools' rows.

    A pool that is said to be in a state no contract can be in is hidden until it is read again. Raises
    MarketError when a reading contradicts what the market already knows of a token or pool.
    """
    for token in reading.tokens:
        market.add_token(token)
    rows = []
    for state in reading.pools:
        row = market.add_pool(state.pool)
        try:
            market.set_state(row, state)
        except MarketError as error:
            market.distrust(row, str(error))
        rows.append(row)
    return rows
