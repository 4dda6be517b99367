"""Cycles through every family on recorded states: found, sized, and exact by the family's own quote."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "market"))

from golden_pools import FILES, Swap, market_of, recorded_pools

from engine.amm.estimates import est_rate_nb
from engine.amm.quote import QuoteRefused, quote_exact_in, quote_exact_out
from engine.domain.market import PoolRecord, Protocol
from engine.domain.opportunity import Opportunity
from engine.market.market import Market
from engine.search.finder import Finder

_DEEP = 10**28


def beside(market: Market, cheaper: float) -> list[int]:
    """A deep V2 pool next to each pair of the pool's tokens, in which the higher one is cheaper by a part."""
    rows = []
    for row in list(market.rows_of(0)):
        rate = float(est_rate_nb(market.arrays, row, True))
        if not rate > 0.0:
            continue
        tokens = market.token_in(2 * row), market.token_in(2 * row + 1)
        if not int(tokens[0], 16):
            continue  # the native coin is in no V2 pool
        record = PoolRecord(f"0x{2**120 + row:040x}", Protocol.UNISWAP_V2, "", tokens, 500)
        scale = min(_DEEP, int(_DEEP / rate)) if rate > 1.0 else _DEEP
        other = market.add_pool(record)
        market.set_v2(other, scale, max(int(scale * rate * cheaper), 1))
        rows.append(other)
    return rows


def check_hops(market: Market, found: Opportunity) -> None:
    """What each hop gives costs what it takes, by an exact-out swap or, where there is none, as the pool pays
    for it; and the next one takes no more."""
    for k, hop in enumerate(found.hops):
        first = market.pool_row[hop.pool]
        edges = [2 * row + d for row in market.rows_of(first) for d in (0, 1)]
        (edge,) = (
            e for e in edges if (market.token_in(e), market.token_in(e ^ 1)) == (hop.token_in, hop.token_out)
        )
        paid = quote_exact_in(market.arrays, edge >> 1, edge & 1 == 0, hop.amount_in)
        last = k == len(found.hops) - 1
        if last or paid == hop.amount_out:
            assert paid == hop.amount_out
        else:
            cost = quote_exact_out(market.arrays, edge >> 1, edge & 1 == 0, hop.amount_out)
            assert cost - hop.amount_in in (0, 1)  # a V2 pair may ask one unit less than its library
        assert last or hop.amount_out >= found.hops[k + 1].amount_in
    assert found.gross_profit == found.hops[-1].amount_out - found.hops[0].amount_in > 0


def by_selling(market: Market, edges: list[int], amount: int) -> int:
    """What selling forward earns; the loss of all where a pool refuses."""
    out = amount
    try:
        for edge in edges:
            out = quote_exact_in(market.arrays, edge >> 1, edge & 1 == 0, out)
    except QuoteRefused:
        return -amount
    return out - amount


def best_by_selling(market: Market, edges: list[int]) -> int:
    """The best of many sizes, by powers and then by thirds."""
    sizes = [1 << bits for bits in range(2, 110, 2)]
    best = max(sizes, key=lambda size: by_selling(market, edges, size))
    low, high = best >> 2, best << 2
    while high - low > 3 + high // 10**7:
        third = (high - low) // 3
        if by_selling(market, edges, low + third) < by_selling(market, edges, high - third):
            low += third
        else:
            high -= third
    return max(by_selling(market, edges, size) for size in {best, low, high, (low + high) // 2})


def swaps_to_try(name: str) -> list[Swap]:
    """A state of each recorded pool."""
    return [swaps[len(swaps) // 2] for _, swaps in recorded_pools(name)[:4] if swaps]


@pytest.mark.parametrize("name", FILES)
def test_mispriced_pools_of_a_family_are_arbitraged(name: str) -> None:
    searched = 0
    for swap in swaps_to_try(name):
        for cheaper in (0.96, 1.04):
            market = market_of(swap)
            rows = beside(market, cheaper)
            if not rows:
                continue
            base = market.token_in(2 * rows[0])
            assert market.head is not None
            found = Finder(market, [base], 2).find(None, market.head)
            for opportunity in found:
                check_hops(market, opportunity)
            profits = {opportunity.pools: opportunity.gross_profit for opportunity in found}
            assert Finder(market, [base], 2).find(None, market.head, limit=1) == found[:1]
            for row in rows:
                mate = row - rows[0] + min(market.rows_of(0))
                tokens = market.token_in(2 * row), market.token_in(2 * row + 1)
                if base not in tokens:
                    continue
                mates = [r for r in market.rows_of(0) if market.token_in(2 * r) == tokens[0]]
                mate = next(r for r in mates if market.token_in(2 * r + 1) == tokens[1])
                d = int(tokens[1] == base)
                for first, second in ((row, mate), (mate, row)):
                    edges = [2 * first + d, 2 * second + 1 - d]
                    expected = best_by_selling(market, edges)
                    got = profits.get(tuple(market.pools[edge >> 1].key for edge in edges), 0)
                    # CryptoSwap pays a unit for less than one: what that is worth in dust is not sought.
                    unit = int(2 / est_rate_nb(market.arrays, first, d == 0))
                    assert got >= expected - max(16, expected // 10_000, unit), (name, cheaper, edges)
                    searched += expected > 0
    assert searched


@pytest.mark.parametrize("name", FILES)
def test_a_hidden_pool_of_a_family_is_not_quoted(name: str) -> None:
    """Not even by what the search keeps in the empty rows' place of the table of families."""
    swap = swaps_to_try(name)[0]
    market = market_of(swap)
    base = market.token_in(0)
    Finder(market, [base], 2)
    market.quarantine(0, "a test")
    for exact in (quote_exact_in, quote_exact_out):
        with pytest.raises(QuoteRefused, match="not initialised"):
            exact(market.arrays, 0, True, 10**6)
    assert market.head is not None
    assert not Finder(market, [base], 2).find(None, market.head)
