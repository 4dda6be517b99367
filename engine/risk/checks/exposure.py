"""Have we done enough, lost enough or failed enough for this hour?"""

from __future__ import annotations

from engine.domain.opportunity import CheckResult, Opportunity, RefusalReason
from engine.risk.checks.result import decide, passed, refused
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView

BPS = 10_000


def losses(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Gas paid for nothing within the hour is below `max_loss_wei_per_hour`."""
    ceiling = limits.max_loss_wei_per_hour
    return decide(
        "losses",
        RefusalReason.LOSS_LIMIT,
        ceiling is None or view.activity.lost_wei < ceiling,
        lost_wei=view.activity.lost_wei,
        max_loss_wei_per_hour="none" if ceiling is None else ceiling,
    )


def failure_rate(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Of the last trades, at most `max_failure_rate_bps` did not land, once `failure_rate_after` ended."""
    activity = view.activity
    few = activity.outcomes < limits.failure_rate_after
    return decide(
        "failure_rate",
        RefusalReason.FAILURE_RATE,
        few or activity.failures * BPS <= limits.max_failure_rate_bps * activity.outcomes,
        failures=activity.failures,
        outcomes=activity.outcomes,
        max_failure_rate_bps=limits.max_failure_rate_bps,
    )


def venue_exposure(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """No venue was traded on `max_venue_trades_per_hour` times already."""
    ceiling = limits.max_venue_trades_per_hour
    if ceiling is None:
        return passed("venue_exposure", max_venue_trades_per_hour="none")
    for hop in opportunity.hops:
        count = view.activity.venue_trades.get(hop.venue, 0)
        if count >= ceiling:
            return refused(
                "venue_exposure",
                RefusalReason.EXPOSURE,
                venue=hop.venue,
                trades=count,
                max_venue_trades_per_hour=ceiling,
            )
    return passed("venue_exposure", max_venue_trades_per_hour=ceiling)


def token_exposure(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """The base token's amounts sent within the hour, this one included, stay within its
    `max_volume_per_hour`."""
    token = opportunity.base_token
    ceiling = limits.max_volume_per_hour.get(token)
    volume = view.activity.volume.get(token, 0) + opportunity.amount_in
    return decide(
        "token_exposure",
        RefusalReason.EXPOSURE,
        ceiling is None or volume <= ceiling,
        volume=volume,
        max_volume_per_hour="none" if ceiling is None else ceiling,
    )
