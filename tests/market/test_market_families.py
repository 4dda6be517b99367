"""Every family through the market: recorded swaps by row and dispatch, exact-out, states read back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from golden_pools import FILES, market_of, recorded_pools, row_of, set_moment

from engine.amm.estimates import est_out_nb, est_rate_nb
from engine.amm.quote import QuoteRefused, quote_exact_in, quote_exact_out
from engine.market.market import Market

SELLS_ONLY = ("curve-3pool-susd", "curve-stableswap-ng", "curve-twocrypto-ng", "curve-tricrypto-ng", "wsteth")


def quote(market: Market, row: int, zero_for_one: bool, exact_in: bool, amount: int) -> int | None:
    ask = quote_exact_in if exact_in else quote_exact_out
    try:
        return ask(market.arrays, row, zero_for_one, amount)
    except QuoteRefused:
        return None


def is_least(market: Market, row: int, zero_for_one: bool, least: int, wanted: int) -> bool:
    """Whether `least` buys `wanted` and one unit less does not."""
    enough = quote_exact_in(market.arrays, row, zero_for_one, least) >= wanted
    less = quote(market, row, zero_for_one, True, least - 1) if least > 1 else None
    return enough and (less is None or less < wanted)


@pytest.mark.parametrize("name", FILES)
def test_recorded_swaps_through_the_market(name: str) -> None:
    done = refused = 0
    for _, swaps in recorded_pools(name):
        market = market_of(swaps[0])
        for swap in swaps:
            set_moment(market, 0, swap)
            assert market.state_of(0) == swap.state
            row, zero_for_one = row_of(market, swap)
            answer = quote(market, row, zero_for_one, swap.exact_in, swap.amount)
            if swap.moved is None:
                refused += answer is None
            elif name == "wsteth" and swap.coin_in == 1:
                # The wallet's shares may round its growth up; with none before it is what the market says.
                assert answer is not None
                assert 0 <= swap.moved - answer <= 2
            else:
                assert answer == swap.moved, swap
                done += 1
    assert done >= 100


@pytest.mark.parametrize("name", SELLS_ONLY)
def test_the_cost_of_an_amount_is_the_least_input_where_contracts_only_sell(name: str) -> None:
    asked = 0
    for _, swaps in recorded_pools(name):
        market = market_of(swaps[0])
        for swap in swaps[::7]:
            if not swap.moved:
                continue
            set_moment(market, 0, swap)
            row, zero_for_one = row_of(market, swap)
            wanted = quote_exact_in(market.arrays, row, zero_for_one, swap.amount)
            for amount in {wanted, wanted // 3 or 1, 1}:
                least = quote(market, row, zero_for_one, False, amount)
                if least is not None:
                    assert is_least(market, row, zero_for_one, least, amount), (swap, amount, least)
                    asked += 1
                assert least is not None or amount != wanted, swap
    assert asked >= 40


@pytest.mark.parametrize("name", ["solidly", "camelot-v2-volatile"])
def test_pools_whose_routers_only_sell_ask_no_more_than_the_sale_needed(name: str) -> None:
    asked = 0
    for _, swaps in recorded_pools(name):
        market = market_of(swaps[0])
        for swap in swaps[::5]:
            set_moment(market, 0, swap)
            row, zero_for_one = row_of(market, swap)
            wanted = quote(market, row, zero_for_one, True, swap.amount)
            cost = wanted and quote(market, row, zero_for_one, False, wanted)
            if cost:
                assert cost <= swap.amount
                asked += 1
    assert asked >= 30


def test_a_row_of_a_kind_that_was_not_made_ready_is_refused_not_called() -> None:
    _, swaps = recorded_pools("erc4626")[0]
    market = market_of(swaps[0])
    arrays = market.arrays._replace(calls=market.arrays.calls * 0)
    with pytest.raises(QuoteRefused):
        quote_exact_in(arrays, 0, True, 10**6)


def test_estimates_are_near_the_quotes_of_every_family() -> None:
    compared = 0
    for name in FILES:
        for _, swaps in recorded_pools(name):
            market = market_of(swaps[0])
            for swap in swaps[::9]:
                if not swap.exact_in or not swap.moved or swap.moved < 10**5:
                    continue
                balances = getattr(swap.state, "balances", None) or getattr(swap.state, "live_balances", None)
                if balances is not None and swap.amount < 1e-8 * balances[swap.coin_in]:
                    continue  # there the contract's own rounding is more than the estimate's
                set_moment(market, 0, swap)
                row, zero_for_one = row_of(market, swap)
                exact = quote_exact_in(market.arrays, row, zero_for_one, swap.amount)
                estimate, used = est_out_nb(market.arrays, row, zero_for_one, float(swap.amount))
                assert used == pytest.approx(swap.amount)
                rounding = 3e-5 + 4 / min(exact, swap.amount)
                assert estimate == pytest.approx(exact, rel=rounding), (name, swap)
                rate = est_rate_nb(market.arrays, row, zero_for_one)
                assert rate * swap.amount >= estimate * (1 - 1e-3)
                compared += 1
    assert compared >= 150


def test_a_v4_pool_whose_hook_may_change_amounts_is_never_quoted() -> None:
    _, swaps = recorded_pools("uniswap-v4")[0]
    record = swaps[0].state.pool
    for bits in (1 << 0, 1 << 1, 1 << 2, 1 << 3):
        facts = replace(record.details, hooks=f"0x{bits:040x}")
        swap = replace(swaps[0], state=replace(swaps[0].state, pool=replace(record, details=facts)))
        market = market_of(swap)
        assert "may take or give amounts" in market.quarantined[0]
        assert quote(market, *row_of(market, swap), True, 10**6) is None
