"""Every check at its boundary: one below, on it, one above."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.domain.feeds import FeedQuote, FeedStatus
from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Approved, Hop, Opportunity, RefusalReason, Refused, TradingState
from engine.domain.token_safety import TokenCode, TokenFault, TokenVerdict
from engine.risk.chain import CHECKS, RiskChain
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView

WETH, USDC, WBTC = ("0x" + digit * 40 for digit in "123")
POOL_A, POOL_B, POOL_C = ("0x" + digit * 40 for digit in "abc")
GWEI = 10**9
E18 = 10**18
HEAD = BlockRef(100, "0x" + "01" * 32, "0x" + "00" * 32, 1_700_000_000, 10 * GWEI, 15_000_000)
DECIMALS = {WETH: 18, USDC: 6, WBTC: 8}
# One WETH is 2,000 dollars, one WBTC 40,000.
FEEDS = {
    WETH: FeedQuote(2_000 * E18, HEAD.timestamp - 60, FeedStatus.OK),
    USDC: FeedQuote(E18, HEAD.timestamp - 60, FeedStatus.OK),
    WBTC: FeedQuote(40_000 * E18, HEAD.timestamp - 60, FeedStatus.OK),
}


def hop(pool: str, token_in: str, token_out: str, amount_in: int, amount_out: int, venue: str = "v2") -> Hop:
    return Hop(pool, Protocol.UNISWAP_V2, venue, token_in, token_out, amount_in, amount_out, 3000)


def verdict_on(token: str, fault: TokenFault | None = None, lasts_s: int = 60) -> TokenVerdict:
    judged_at = HEAD.timestamp - 100
    return TokenVerdict(token, fault, "", "", TokenCode("0x"), 90, judged_at, HEAD.timestamp + lasts_s)


OPPORTUNITY = Opportunity(
    HEAD,
    WETH,
    (
        hop(POOL_A, WETH, USDC, E18, 2_000 * 10**6),
        hop(POOL_B, USDC, WBTC, 2_000 * 10**6, 5 * 10**6),
        hop(POOL_C, WBTC, WETH, 5 * 10**6, E18 + 10**16, "v3"),
    ),
    gas_estimate=200_000,
    gas_cost=4 * 10**15,
)
VIEW = RiskView(
    head=HEAD,
    trading_state=TradingState.ACTIVE,
    venues={"v2": True, "v3": True, "off": False},
    proven_pools={POOL_A, POOL_B, POOL_C},
    allowed_tokens={WETH, USDC, WBTC},
    token_verdicts={token: verdict_on(token) for token in (WETH, USDC, WBTC)},
    decimals=DECIMALS,
    feeds=FEEDS,
    operator_balance_wei=E18,
    next_base_fee_wei=10 * GWEI,
    priority_fee_wei=GWEI,
)


def reason(
    opportunity: Opportunity = OPPORTUNITY, view: RiskView = VIEW, limits: RiskLimits | None = None
) -> RefusalReason | None:
    answer = RiskChain(limits or RiskLimits()).assess(opportunity, view)
    return answer.reason if isinstance(answer, Refused) else None


def test_a_sound_opportunity_passes_every_check_in_order():
    approved = RiskChain(RiskLimits()).assess(OPPORTUNITY, VIEW)
    assert isinstance(approved, Approved)
    names = {"listed": "tokens", "verdicts": "token_verdicts"}
    wanted = [names.get(check.__name__, check.__name__) for check in CHECKS]
    assert [result.check for result in approved.results] == wanted
    assert all(result.passed and result.reason is None for result in approved.results)
    assert all(isinstance(v, str) for result in approved.results for v in result.numbers.values())


def test_the_chain_stops_at_the_first_refusal_and_keeps_what_passed():
    refused = RiskChain(RiskLimits()).assess(OPPORTUNITY, replace(VIEW, proven_pools=set()))
    assert isinstance(refused, Refused)
    assert [result.passed for result in refused.results] == [True] * (len(refused.results) - 1) + [False]
    assert refused.results[-1].check == "provenance"
    assert len(refused.results) < len(CHECKS)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (TradingState.ACTIVE, None),
        (TradingState.REDUCING, RefusalReason.TRADING_HALTED),
        (TradingState.HALTED, RefusalReason.TRADING_HALTED),
    ],
)
def test_trading_state(state: TradingState, expected: RefusalReason | None):
    assert reason(view=replace(VIEW, trading_state=state)) is expected


@pytest.mark.parametrize(("past", "expected"), [(1, None), (2, None), (3, RefusalReason.TOO_OLD)])
def test_age(past: int, expected: RefusalReason | None):
    head = replace(HEAD, number=HEAD.number + past, hash="0x" + "02" * 32)
    assert reason(view=replace(VIEW, head=head), limits=RiskLimits(max_age_blocks=2)) is expected


def test_an_opportunity_of_another_branch_or_of_the_future_is_too_old():
    assert reason(view=replace(VIEW, head=replace(HEAD, hash="0x" + "02" * 32))) is RefusalReason.TOO_OLD
    assert reason(view=replace(VIEW, head=replace(HEAD, number=99))) is RefusalReason.TOO_OLD


@pytest.mark.parametrize(("off", "expected"), [(-1, RefusalReason.GAS_PRICE), (0, None), (1, None)])
def test_gas_price(off: int, expected: RefusalReason | None):
    assert reason(limits=RiskLimits(max_gas_price_wei=11 * GWEI + off)) is expected


@pytest.mark.parametrize(("off", "expected"), [(-1, None), (0, None), (1, RefusalReason.NET_PROFIT_TOO_LOW)])
def test_net_profit_absolute(off: int, expected: RefusalReason | None):
    net = OPPORTUNITY.net_profit
    assert reason(limits=RiskLimits(min_net_profit={WETH: net + off})) is expected
    assert reason(limits=RiskLimits(min_net_profit_default=net + off)) is expected


@pytest.mark.parametrize(("off", "expected"), [(-1, None), (0, None), (1, RefusalReason.NET_PROFIT_TOO_LOW)])
def test_net_profit_relative_to_gas(off: int, expected: RefusalReason | None):
    # Net profit is 6e15, one and a half times the gas cost.
    assert reason(limits=RiskLimits(min_profit_to_gas_bps=15_000 + off)) is expected


def test_gas_that_eats_the_profit_is_refused_by_default():
    gross = OPPORTUNITY.gross_profit
    assert reason(replace(OPPORTUNITY, gas_cost=gross - 1)) is None
    assert reason(replace(OPPORTUNITY, gas_cost=gross)) is RefusalReason.NET_PROFIT_TOO_LOW
    assert reason(replace(OPPORTUNITY, gas_cost=gross + 1)) is RefusalReason.NET_PROFIT_TOO_LOW


@pytest.mark.parametrize(("off", "expected"), [(-1, RefusalReason.TRADE_CAP), (0, None), (1, None)])
def test_trade_cap(off: int, expected: RefusalReason | None):
    assert reason(limits=RiskLimits(trade_caps={WETH: E18 + off})) is expected
    assert reason(limits=RiskLimits(trade_caps={USDC: 0})) is None


@pytest.mark.parametrize(("off", "expected"), [(-1, RefusalReason.GAS_BALANCE), (0, None), (1, None)])
def test_gas_balance(off: int, expected: RefusalReason | None):
    needed = 200_000 * 21 * GWEI + 7
    view = replace(VIEW, operator_balance_wei=needed + off)
    assert reason(view=view, limits=RiskLimits(gas_reserve_wei=7)) is expected


@pytest.mark.parametrize("pool", [POOL_A, POOL_B, POOL_C])
def test_pools_quarantined_unproven_or_in_flight(pool: str):
    assert reason(view=replace(VIEW, quarantined={pool: "odd"})) is RefusalReason.POOL_QUARANTINED
    unproven = replace(VIEW, proven_pools=VIEW.proven_pools - {pool})
    assert reason(view=unproven) is RefusalReason.POOL_PROVENANCE
    assert reason(view=replace(VIEW, in_flight_pools={pool})) is RefusalReason.IN_FLIGHT_CONFLICT
    assert reason(view=replace(VIEW, in_flight_pools={"0x" + "d" * 40})) is None


def test_venues():
    last = OPPORTUNITY.hops[2]
    for venue, expected in (("off", RefusalReason.VENUE_DISABLED), ("", RefusalReason.VENUE_UNKNOWN)):
        hops = (*OPPORTUNITY.hops[:2], replace(last, venue=venue))
        assert reason(replace(OPPORTUNITY, hops=hops)) is expected


@pytest.mark.parametrize("token", [WETH, USDC, WBTC])
def test_tokens(token: str):
    view = replace(VIEW, allowed_tokens=VIEW.allowed_tokens - {token})
    assert reason(view=view) is RefusalReason.TOKEN_NOT_ALLOWED
    assert reason(view=view, limits=RiskLimits(token_policy="any")) is None


@pytest.mark.parametrize("token", [WETH, USDC, WBTC])
def test_tokens_that_were_not_judged_or_did_not_behave(token: str):
    others = {other: verdict for other, verdict in VIEW.token_verdicts.items() if other != token}
    assert reason(view=replace(VIEW, token_verdicts=others)) is RefusalReason.TOKEN_UNJUDGED
    assert reason(view=replace(VIEW, token_verdicts=others), limits=RiskLimits(token_verdicts="off")) is None
    for fault in TokenFault:
        view = replace(VIEW, token_verdicts=others | {token: verdict_on(token, fault)})
        assert reason(view=view) is RefusalReason.TOKEN_UNSAFE


@pytest.mark.parametrize(("lasts_s", "expected"), [(1, None), (0, RefusalReason.TOKEN_UNJUDGED)])
def test_a_verdict_ends(lasts_s: int, expected: RefusalReason | None):
    verdicts = dict(VIEW.token_verdicts) | {USDC: verdict_on(USDC, lasts_s=lasts_s)}
    assert reason(view=replace(VIEW, token_verdicts=verdicts)) is expected


def with_feed(token: str, **changes: int) -> RiskView:
    return replace(VIEW, feeds={**FEEDS, token: replace(FEEDS[token], **changes)})


@pytest.mark.parametrize(("off", "expected"), [(-1, None), (0, None), (1, RefusalReason.FEED_STALE)])
def test_base_feed_age(off: int, expected: RefusalReason | None):
    view = with_feed(WETH, updated_at=HEAD.timestamp - 3_600 - off)
    assert reason(view=view, limits=RiskLimits(max_feed_age_s=3_600)) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": FeedStatus.STALE}, RefusalReason.FEED_STALE),
        ({"status": FeedStatus.MISSING}, RefusalReason.FEED_MISSING),
        ({"status": FeedStatus.OUT_OF_BOUNDS}, RefusalReason.FEED_MISSING),
        ({"status": FeedStatus.CALL_FAILED}, RefusalReason.FEED_MISSING),
        ({"price_e18": 0}, RefusalReason.FEED_MISSING),
        ({"price_e18": -1}, RefusalReason.FEED_MISSING),
    ],
)
def test_base_feed_status(changes: dict[str, int], expected: RefusalReason):
    view = with_feed(WETH, **changes)
    assert reason(view=view) is expected
    assert reason(view=view, limits=RiskLimits(require_base_feed=False)) is None


def test_base_feed_absent():
    view = replace(VIEW, feeds={token: quote for token, quote in FEEDS.items() if token != WETH})
    assert reason(view=view) is RefusalReason.FEED_MISSING


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("off", "expected"), [(-1, None), (0, None), (1, RefusalReason.FEED_DEVIATION)])
def test_feed_deviation(sign: int, off: int, expected: RefusalReason | None):
    # 2,000 USDC for one WETH is the feeds' price; 5 % of it is 100 USDC.
    amount = 2_000 * 10**6 + sign * (100 * 10**6 + off)
    hops = (replace(OPPORTUNITY.hops[0], amount_out=amount), *OPPORTUNITY.hops[1:])
    assert reason(replace(OPPORTUNITY, hops=hops), limits=RiskLimits(max_feed_deviation_bps=500)) is expected


def test_hops_without_usable_feeds_are_not_compared():
    wild = replace(OPPORTUNITY.hops[1], amount_out=1)
    opportunity = replace(OPPORTUNITY, hops=(OPPORTUNITY.hops[0], wild, OPPORTUNITY.hops[2]))
    assert reason(opportunity) is RefusalReason.FEED_DEVIATION
    assert reason(opportunity, with_feed(WBTC, status=FeedStatus.STALE)) is None
    assert reason(opportunity, with_feed(WBTC, updated_at=0)) is None
    assert reason(opportunity, replace(VIEW, decimals={WETH: 18, USDC: 6})) is None


def test_an_amount_in_of_zero_is_an_infinite_deviation():
    hops = (replace(OPPORTUNITY.hops[0], amount_in=0), *OPPORTUNITY.hops[1:])
    assert reason(replace(OPPORTUNITY, hops=hops)) is RefusalReason.FEED_DEVIATION


def test_limits_refuse_unknown_keys_and_malformed_addresses():
    with pytest.raises(ValueError, match="extra"):
        RiskLimits.model_validate({"max_age": 1})
    with pytest.raises(ValueError, match="20-byte"):
        RiskLimits.model_validate({"trade_caps": {"0x12": 1}})
    caps = RiskLimits.model_validate({"trade_caps": {WETH.upper().replace("0X", "0x"): "5"}}).trade_caps
    assert caps == {WETH: 5}
