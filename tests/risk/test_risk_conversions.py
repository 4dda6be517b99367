"""A conversion is asked what an opportunity is, and of the token it buys what one that is sold is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_risk_checks import E18, FEEDS, HEAD, POOL_A, POOL_B, USDC, VIEW, WBTC, WETH, hop, verdict_on

from engine.domain.opportunity import ApprovedConversion, Conversion, RefusalReason, Refused
from engine.domain.token_safety import TokenFault
from engine.risk.chain import CHECKS, RiskChain
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView

# USDC earned, sold for WETH: only WETH is bought and not sold on the way.
PATH = (hop(POOL_A, USDC, WBTC, 2_000 * 10**6, 5 * 10**6), hop(POOL_B, WBTC, WETH, 5 * 10**6, E18))
CONVERSION = Conversion(PATH, gas_estimate=200_000, gas_cost=E18 - 1)
BOUGHT = ["bought_tokens", "bought_token_verdicts", "bought_base_feed", "bought_pegs"]


def assess(
    conversion: Conversion = CONVERSION, view: RiskView = VIEW, **limits: object
) -> ApprovedConversion | Refused:
    return RiskChain(RiskLimits(**limits)).assess_conversion(conversion, HEAD, view)  # type: ignore[arg-type]


def test_a_sound_conversion_is_asked_everything_but_about_a_profit_of_its_own():
    approved = assess()
    assert isinstance(approved, ApprovedConversion)
    asked = [result.check for result in approved.results]
    assert asked[-5:] == [*BOUGHT, "worth_its_gas"]
    assert len(asked) == len(CHECKS) - 2 + 5
    assert not {"net_profit", "model_error"} & set(asked)


@pytest.mark.parametrize(
    ("view", "limits", "check", "reason"),
    [
        ({"allowed_tokens": {USDC, WBTC}}, {}, "bought_tokens", RefusalReason.TOKEN_NOT_ALLOWED),
        (
            {"token_verdicts": VIEW.token_verdicts | {WETH: verdict_on(WETH, TokenFault.TAKES_FEE)}},
            {},
            "bought_token_verdicts",
            RefusalReason.TOKEN_UNSAFE,
        ),
        ({"feeds": {USDC: FEEDS[USDC]}}, {}, "bought_base_feed", RefusalReason.FEED_MISSING),
        ({}, {"pegs": {WETH: 100}}, "bought_pegs", RefusalReason.DEPEGGED),
    ],
)
def test_a_token_that_is_only_bought_stops_it(view, limits, check: str, reason: RefusalReason):
    refused = assess(view=replace(VIEW, **view), **limits)
    assert isinstance(refused, Refused)
    assert (refused.results[-1].check, refused.reason) == (check, reason)


def test_what_is_sold_and_passed_through_stops_it_too():
    refused = assess(view=replace(VIEW, allowed_tokens={WETH, USDC}))
    assert isinstance(refused, Refused)
    assert refused.results[-1].check == "tokens"


def test_it_must_bring_more_than_its_gas():
    refused = assess(replace(CONVERSION, gas_cost=E18))
    assert isinstance(refused, Refused)
    assert (refused.results[-1].check, refused.reason) == (
        "worth_its_gas",
        RefusalReason.NET_PROFIT_TOO_LOW,
    )
