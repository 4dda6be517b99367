"""What is asked of a conversion besides: the token it ends in, and that it brings more than its gas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engine.domain.market import BlockRef
from engine.domain.opportunity import CheckResult, Conversion, Opportunity, RefusalReason
from engine.risk.checks import feeds, tokens
from engine.risk.checks.result import decide
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView

_OF_WHAT_IS_BOUGHT = (tokens.listed, tokens.verdicts, feeds.base_feed, feeds.pegs)


def bought(
    conversion: Conversion, block: BlockRef, view: RiskView, limits: RiskLimits
) -> Iterator[CheckResult]:
    """Of the token that is bought what is asked of one that is sold: it may be traded, was judged lately and
    is good, has a usable feed, and is worth a dollar if it is meant to be."""
    last = conversion.hops[-1]
    back = replace(
        last,
        token_in=last.token_out,
        token_out=last.token_in,
        amount_in=last.amount_out,
        amount_out=last.amount_in,
        coin_in=last.coin_out,
        coin_out=last.coin_in,
    )
    backwards = Opportunity(block, conversion.token_out, (back,))
    for check in _OF_WHAT_IS_BOUGHT:
        result = check(backwards, view, limits)
        yield result._replace(check=f"bought_{result.check}")


def worth_its_gas(conversion: Conversion) -> CheckResult:
    """What is bought is more than its gas, and that of the opportunities whose profit is sold, costs."""
    return decide(
        "worth_its_gas",
        RefusalReason.NET_PROFIT_TOO_LOW,
        conversion.amount_out > conversion.gas_cost,
        amount_out=conversion.amount_out,
        gas_cost=conversion.gas_cost,
    )
