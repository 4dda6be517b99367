"""The chain of checks, in one visible order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from engine.domain.market import BlockRef
from engine.domain.opportunity import (
    Approved,
    ApprovedConversion,
    CheckResult,
    Conversion,
    Opportunity,
    Refused,
)
from engine.risk.checks import amounts, conversions, exposure, feeds, pools, state, tokens
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView

Check = Callable[[Opportunity, RiskView, RiskLimits], CheckResult]

# From what holds for everything to what holds for one opportunity; the first refusal ends the walk.
GLOBAL: tuple[Check, ...] = (
    state.trading_state,
    state.witnessed,
    state.reorg,
    amounts.gas_price,
    exposure.losses,
    exposure.failure_rate,
)
VENUE: tuple[Check, ...] = (
    pools.venue,
    pools.quarantine,
    pools.provenance,
    pools.hooks,
    exposure.venue_exposure,
)
TOKEN: tuple[Check, ...] = (
    tokens.listed,
    tokens.verdicts,
    feeds.base_feed,
    feeds.pegs,
    exposure.token_exposure,
)
OPPORTUNITY: tuple[Check, ...] = (
    state.age,
    state.in_flight,
    amounts.net_profit,
    amounts.model_error,
    amounts.trade_cap,
    amounts.depth,
    amounts.gas_balance,
    feeds.feed_deviation,
)
CHECKS: tuple[Check, ...] = (*GLOBAL, *VENUE, *TOKEN, *OPPORTUNITY)
# A conversion is a way between two base tokens: what is asked of a profit in one token is asked of its price.
_OF_A_PROFIT = {amounts.net_profit, amounts.model_error}


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

    def assess_conversion(
        self, conversion: Conversion, block: BlockRef, view: RiskView
    ) -> ApprovedConversion | Refused:
        """Approve a conversion found at `block`, or refuse it at the first check that says no: every check
        that an opportunity must pass except those of its profit, as for an opportunity that starts with what
        is sold; then what is asked of the token that is bought."""
        alike = Opportunity(block, conversion.token_in, conversion.hops, conversion.gas_estimate)
        results: list[CheckResult] = []
        for result in self._of_conversion(conversion, alike, view):
            results.append(result)
            if not result.passed:
                return Refused(alike, tuple(results))
        return ApprovedConversion(conversion, tuple(results))

    def _of_conversion(
        self, conversion: Conversion, alike: Opportunity, view: RiskView
    ) -> Iterator[CheckResult]:
        for check in self._checks:
            if check not in _OF_A_PROFIT:
                yield check(alike, view, self.limits)
        yield from conversions.bought(conversion, alike.block, view, self.limits)
        yield conversions.worth_its_gas(conversion)
