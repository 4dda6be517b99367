"""What is asked of a conversion besides: the token it ends in, and that it brings more than its gas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engine.domain.market import BlockRef
from engine.domain.opportunity import CheckResult, Conversion, Opportunity, RefusalReason
from engine.risk.checks import feeds, tokens
from engine.risk.checks.result import decide
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView

Check = Callable[[Conversion, BlockRef, RiskView, RiskLimits], CheckResult]


def _backwards(conversion: Conversion, block: BlockRef) -> Opportunity:
    """Its last hop the other way round: checks ask of what is bought what they ask of what is sold."""
    last = conversion.hops[-1]
    hop = replace(
        last,
        token_in=last.token_out,
        token_out=last.token_in,
        amount_in=last.amount_out,
        amount_out=last.amount_in,
        coin_in=last.coin_out,
        coin_out=last.coin_in,
    )
    return Opportunity(block, conversion.token_out, (hop,))


def bought_listed(conversion: Conversion, block: BlockRef, view: RiskView, limits: RiskLimits) -> CheckResult:
    """The token that is bought may be traded."""
    return _named("bought", tokens.listed(_backwards(conversion, block), view, limits))


def bought_verdict(
    conversion: Conversion, block: BlockRef, view: RiskView, limits: RiskLimits
) -> CheckResult:
    """It was judged lately, and is good."""
    return _named("bought", tokens.verdicts(_backwards(conversion, block), view, limits))


def bought_feed(conversion: Conversion, block: BlockRef, view: RiskView, limits: RiskLimits) -> CheckResult:
    """It has a usable feed."""
    return _named("bought", feeds.base_feed(_backwards(conversion, block), view, limits))


def bought_peg(conversion: Conversion, block: BlockRef, view: RiskView, limits: RiskLimits) -> CheckResult:
    """It is worth a dollar, if it is meant to be."""
    return _named("bought", feeds.pegs(_backwards(conversion, block), view, limits))


def worth_its_gas(conversion: Conversion, block: BlockRef, view: RiskView, limits: RiskLimits) -> CheckResult:
    """What is bought is more than its gas, and that of the opportunities whose profit is sold, costs."""
    return decide(
        "worth_its_gas",
        RefusalReason.NET_PROFIT_TOO_LOW,
        conversion.amount_out > conversion.gas_cost,
        amount_out=conversion.amount_out,
        gas_cost=conversion.gas_cost,
    )


def _named(prefix: str, result: CheckResult) -> CheckResult:
    return result._replace(check=f"{prefix}_{result.check}")
