"""Limits over the last hour, at their boundaries, and the log that they are taken from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_risk_checks import GWEI, HEAD, OPPORTUNITY, POOL_B, USDC, VIEW, WBTC, WETH, reason

from engine.domain.describe import describe_opportunity
from engine.domain.events import BlockApplied, ExecutionResolved, PlanSubmitted
from engine.domain.execution import Execution, Intent, Outcome, SignedTransaction
from engine.domain.feeds import FeedQuote, FeedStatus
from engine.domain.market import Protocol
from engine.domain.opportunity import RefusalReason
from engine.domain.pool_details import UniswapV4Details
from engine.risk.activity import HOUR_S, OUTCOMES_KEPT, Activity, ActivityLog
from engine.risk.limits import RiskLimits

E18 = 10**18


def intent(number: int, kind: str = "trade") -> Intent:
    signed = SignedTransaction("0x" + "dd" * 20, number, f"0x{number:064x}", b"")
    record: dict[str, Any] = {"opportunity": describe_opportunity(OPPORTUNITY)} if kind == "trade" else {}
    return Intent(str(number), kind, 1, HEAD.number, WETH, 10**16, 10**16, 0, 1, 1, signed, record)


def ended(
    number: int, outcome: Outcome, profit: int = 10**16, gas: int = 0, kind: str = "trade"
) -> Execution:
    return Execution(intent(number, kind), outcome, 1, "0x01", profit, gas, GWEI)


@pytest.mark.parametrize(("lost", "expected"), [(99, None), (100, RefusalReason.LOSS_LIMIT)])
def test_losses(lost: int, expected: RefusalReason | None) -> None:
    view = replace(VIEW, activity=Activity(lost_wei=lost))
    assert reason(view=view, limits=RiskLimits(max_loss_wei_per_hour=100)) is expected
    assert reason(view=view) is None


@pytest.mark.parametrize(
    ("outcomes", "failures", "expected"),
    [(9, 9, None), (10, 5, None), (10, 6, RefusalReason.FAILURE_RATE), (50, 26, RefusalReason.FAILURE_RATE)],
)
def test_failure_rate(outcomes: int, failures: int, expected: RefusalReason | None) -> None:
    view = replace(VIEW, activity=Activity(outcomes=outcomes, failures=failures))
    assert reason(view=view, limits=RiskLimits(max_failure_rate_bps=5_000)) is expected


@pytest.mark.parametrize(("trades", "expected"), [(4, None), (5, RefusalReason.EXPOSURE)])
def test_venue_exposure(trades: int, expected: RefusalReason | None) -> None:
    view = replace(VIEW, activity=Activity(venue_trades={"v3": trades}))
    assert reason(view=view, limits=RiskLimits(max_venue_trades_per_hour=5)) is expected


@pytest.mark.parametrize(("volume", "expected"), [(E18, None), (E18 + 1, RefusalReason.EXPOSURE)])
def test_token_exposure_counts_the_trade_itself(volume: int, expected: RefusalReason | None) -> None:
    view = replace(VIEW, activity=Activity(volume={WETH: volume}))
    assert reason(view=view, limits=RiskLimits(max_volume_per_hour={WETH: 2 * E18})) is expected
    assert reason(view=view, limits=RiskLimits(max_volume_per_hour={USDC: 0})) is None


@pytest.mark.parametrize(
    ("depth", "since", "expected"),
    [(3, 0, None), (4, 0, RefusalReason.REORG_RECENT), (4, 9, RefusalReason.REORG_RECENT), (4, 10, None)],
)
def test_reorgs(depth: int, since: int, expected: RefusalReason | None) -> None:
    view = replace(VIEW, activity=Activity(reorg_depth=depth, blocks_since_reorg=since))
    assert reason(view=view, limits=RiskLimits(reorg_quiet_blocks=10)) is expected


@pytest.mark.parametrize(("held", "expected"), [(10 * E18, None), (10 * E18 - 1, RefusalReason.TOO_DEEP)])
def test_depth(held: int, expected: RefusalReason | None) -> None:
    view = replace(VIEW, depth=lambda hop: held if hop.token_in == WETH else None)
    assert reason(view=view, limits=RiskLimits(max_depth_bps=1_000)) is expected


@pytest.mark.parametrize(
    ("error", "expected"), [(6 * 10**15, None), (6 * 10**15 + 1, RefusalReason.MODEL_ERROR)]
)
def test_model_error(error: int, expected: RefusalReason | None) -> None:
    assert OPPORTUNITY.net_profit == 6 * 10**15
    assert reason(view=replace(VIEW, activity=Activity(error={WETH: error}))) is expected
    relaxed = RiskLimits(min_profit_to_error_bps=0)
    assert reason(view=replace(VIEW, activity=Activity(error={WETH: error})), limits=relaxed) is None


@pytest.mark.parametrize(("failures", "expected"), [(1, None), (2, RefusalReason.NET_PROFIT_TOO_LOW)])
def test_failures_raise_the_least_profit(failures: int, expected: RefusalReason | None) -> None:
    limits = RiskLimits(min_net_profit={WETH: 5 * 10**15}, tighten_bps_per_failure=2_000)
    view = replace(VIEW, activity=Activity(outcomes=3, failures=failures))
    assert reason(view=view, limits=limits) is expected


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 10_000))
def test_limits_only_ever_tighten(fewer: int, more: int, step: int) -> None:
    fewer, more = sorted((fewer, more))
    limits = RiskLimits(min_net_profit={WETH: 10**15}, tighten_bps_per_failure=step)
    refusals = [
        reason(view=replace(VIEW, activity=Activity(outcomes=0, failures=n)), limits=limits)
        for n in (fewer, more)
    ]
    assert refusals[0] is None or refusals[1] is not None


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (E18, None),
        (E18 + E18 // 100, None),
        (E18 - E18 // 100, None),
        (E18 + E18 // 50, RefusalReason.DEPEGGED),
        (E18 - E18 // 50, RefusalReason.DEPEGGED),
    ],
)
def test_pegs(price: int, expected: RefusalReason | None) -> None:
    feeds = {**VIEW.feeds, USDC: FeedQuote(price, HEAD.timestamp, FeedStatus.OK)}
    assert reason(view=replace(VIEW, feeds=feeds), limits=RiskLimits(pegs={USDC: 100})) is expected
    silent = {**VIEW.feeds, USDC: FeedQuote(0, 0, FeedStatus.CALL_FAILED)}
    missing = reason(view=replace(VIEW, feeds=silent), limits=RiskLimits(pegs={USDC: 100}))
    assert missing is RefusalReason.FEED_MISSING


def test_a_sequencer_that_is_down_is_named() -> None:
    feeds = {**VIEW.feeds, WETH: FeedQuote(1, HEAD.timestamp, FeedStatus.SEQUENCER_DOWN)}
    assert reason(view=replace(VIEW, feeds=feeds)) is RefusalReason.SEQUENCER_DOWN


def test_hooks_must_be_allowed() -> None:
    hooks = "0x" + "ab" * 20
    details = UniswapV4Details(
        pool_id="0x" + "01" * 32, hooks=hooks, manager="0x" + "cd" * 20, key_fee=3000, tick_spacing=60
    )
    hops = list(OPPORTUNITY.hops)
    hops[1] = replace(hops[1], protocol=Protocol.UNISWAP_V4, details=details)
    hooked = replace(OPPORTUNITY, hops=tuple(hops))
    assert reason(hooked) is RefusalReason.HOOKS
    assert reason(hooked, limits=RiskLimits(allowed_hooks=(hooks,))) is None
    plain = replace(details, hooks="0x" + "00" * 20)
    hops[1] = replace(hops[1], details=plain)
    assert reason(replace(OPPORTUNITY, hops=tuple(hops))) is None


def test_the_log_remembers_an_hour_of_the_chain_s_time() -> None:
    log = ActivityLog()
    log.take(BlockApplied(HEAD, 1, 0))
    log.take(PlanSubmitted(intent(1), 1.0))
    log.take(PlanSubmitted(intent(2), 1.0))
    log.take(ExecutionResolved(ended(1, Outcome.LANDED, profit=10**16 - 7)))
    log.take(ExecutionResolved(ended(2, Outcome.REVERTED, profit=0, gas=50_000)))
    log.take(ExecutionResolved(ended(3, Outcome.LANDED, profit=0, gas=21_000, kind="cancel")))
    log.take(ExecutionResolved(ended(4, Outcome.NEVER_SENT, profit=0)))
    activity = log.at(HEAD)
    assert activity.volume == {WETH: 2 * OPPORTUNITY.amount_in}
    assert activity.venue_trades == {"v2": 4, "v3": 2}
    assert activity.lost_wei == 71_000 * GWEI
    assert (activity.outcomes, activity.failures) == (2, 1)
    assert activity.error == {WETH: 7}
    later = replace(HEAD, number=HEAD.number + 300, timestamp=HEAD.timestamp + HOUR_S + 1)
    forgotten = log.at(later)
    assert (forgotten.volume, forgotten.venue_trades, forgotten.lost_wei, forgotten.error) == ({}, {}, 0, {})
    assert (forgotten.outcomes, forgotten.failures) == (2, 1)


def test_the_log_counts_the_last_outcomes_and_the_last_reorg() -> None:
    log = ActivityLog()
    for n in range(2 * OUTCOMES_KEPT):
        log.take(ExecutionResolved(ended(n, Outcome.MISSED if n < OUTCOMES_KEPT else Outcome.LANDED)))
    assert (log.at(HEAD).outcomes, log.at(HEAD).failures) == (OUTCOMES_KEPT, 0)
    assert log.at(HEAD).reorg_depth == 0
    log.take(BlockApplied(HEAD, 1, 5))
    activity = log.at(replace(HEAD, number=HEAD.number + 4))
    assert (activity.reorg_depth, activity.blocks_since_reorg) == (5, 4)


def test_every_token_and_pool_of_these_tests_is_in_the_cycle() -> None:
    assert {hop.token_in for hop in OPPORTUNITY.hops} == {WETH, USDC, WBTC}
    assert POOL_B in OPPORTUNITY.pools
