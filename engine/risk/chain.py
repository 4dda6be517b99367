"""The chain of checks, in one visible order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.domain.opportunity import Approved, CheckResult, Opportunity, Refused
from engine.risk.checks import amounts, feeds, pools, state
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView

Check = Callable[[Opportunity, RiskView, RiskLimits], CheckResult]

# Cheap to dear; the first refusal ends the walk.
CHECKS: tuple[Check, ...] = (
    state.trading_state,
    state.age,
    state.witnessed,
    amounts.gas_price,
    amounts.net_profit,
    amounts.trade_cap,
    amounts.gas_balance,
    pools.quarantine,
    pools.venue,
    pools.provenance,
    pools.tokens,
    state.in_flight,
    feeds.base_feed,
    feeds.feed_deviation,
)


class RiskChain:
    """Asks every check in order and records each answer; the only maker of `Approved`."""

    def __init__(self, limits: RiskLimits, checks: Sequence[Check] = CHECKS):
        self.limits = limits
        self._checks = tuple(checks)

    def assess(self, opportunity: Opportunity, view: RiskView) -> Approved | Refused:
        """Approve the opportunity, or refuse it at the first check that says no."""
        results: list[CheckResult] = []
        for check in self._checks:
            result = check(opportunity, view, self.limits)
            results.append(result)
            if not result.passed:
                return Refused(opportunity, tuple(results))
        return Approved(opportunity, tuple(results))
