"""Do independent prices agree that this is an arbitrage and not a broken pool?"""

from __future__ import annotations

from engine.domain.feeds import FeedQuote, FeedStatus
from engine.domain.opportunity import CheckResult, Hop, Opportunity, RefusalReason
from engine.risk.checks.result import passed, refused
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView

BPS = 10_000
DOLLAR_E18 = 10**18


def _age_s(quote: FeedQuote, view: RiskView) -> int:
    return view.head.timestamp - quote.updated_at


def _usable(quote: FeedQuote | None, view: RiskView, limits: RiskLimits) -> bool:
    return quote is not None and quote.usable and _age_s(quote, view) <= limits.max_feed_age_s


def base_feed(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """The base token has a usable feed, no older than `max_feed_age_s` at the head's timestamp."""
    if not limits.require_base_feed:
        return passed("base_feed", required=False)
    quote = view.feeds.get(opportunity.base_token)
    if quote is None or quote.status == FeedStatus.MISSING:
        return refused("base_feed", RefusalReason.FEED_MISSING, token=opportunity.base_token)
    numbers = {
        "status": int(quote.status),
        "price_e18": quote.price_e18,
        "age_s": _age_s(quote, view),
        "max_age_s": limits.max_feed_age_s,
    }
    if _usable(quote, view, limits):
        return passed("base_feed", **numbers)
    if quote.status == FeedStatus.SEQUENCER_DOWN:
        return refused("base_feed", RefusalReason.SEQUENCER_DOWN, **numbers)
    stale = quote.status == FeedStatus.STALE or _age_s(quote, view) > limits.max_feed_age_s
    reason = RefusalReason.FEED_STALE if stale else RefusalReason.FEED_MISSING
    return refused("base_feed", reason, **numbers)


def pegs(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Every token of the cycle that is meant to be a dollar has a feed that says it is, within its bound."""
    for hop in opportunity.hops:
        bound = limits.pegs.get(hop.token_in)
        if bound is None:
            continue
        quote = view.feeds.get(hop.token_in)
        if quote is None or not _usable(quote, view, limits):
            return refused("pegs", RefusalReason.FEED_MISSING, token=hop.token_in)
        off_bps = abs(quote.price_e18 - DOLLAR_E18) * BPS // DOLLAR_E18
        if off_bps > bound:
            return refused(
                "pegs", RefusalReason.DEPEGGED, token=hop.token_in, off_bps=off_bps, max_off_bps=bound
            )
    return passed("pegs", pegs=len(limits.pegs))


def _deviation(hop: Hop, view: RiskView) -> tuple[int, int]:
    """|value out - value in| and value in, in the same unit: dollars times a common power of ten."""
    value_out = hop.amount_out * view.feeds[hop.token_out].price_e18 * 10 ** view.decimals[hop.token_in]
    value_in = hop.amount_in * view.feeds[hop.token_in].price_e18 * 10 ** view.decimals[hop.token_out]
    return abs(value_out - value_in), value_in


def feed_deviation(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Each hop whose two tokens have usable feeds trades within `max_feed_deviation_bps` of them.

    The hop's price is its amount out over its amount in, fee and price impact included.
    """
    compared, worst = 0, 0
    for hop in opportunity.hops:
        ends = (hop.token_in, hop.token_out)
        if not all(token in view.decimals and _usable(view.feeds.get(token), view, limits) for token in ends):
            continue
        compared += 1
        difference, value_in = _deviation(hop, view)
        if difference * BPS > limits.max_feed_deviation_bps * value_in:
            return refused(
                "feed_deviation",
                RefusalReason.FEED_DEVIATION,
                pool=hop.pool,
                deviation_bps=difference * BPS // value_in if value_in else "infinite",
                max_deviation_bps=limits.max_feed_deviation_bps,
            )
        worst = max(worst, difference * BPS // value_in if value_in else 0)
    return passed(
        "feed_deviation",
        hops_compared=compared,
        worst_deviation_bps=worst,
        max_deviation_bps=limits.max_feed_deviation_bps,
    )
