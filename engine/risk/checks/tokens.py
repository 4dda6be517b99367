"""Were the cycle's tokens tried, and did they behave?"""

from __future__ import annotations

from engine.domain.market import ZERO_ADDRESS
from engine.domain.opportunity import CheckResult, Opportunity, RefusalReason
from engine.risk.checks.result import decide, passed, refused
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView


def listed(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Every token of the cycle may be traded."""
    unlisted = (
        []
        if limits.token_policy == "any"
        else [hop.token_in for hop in opportunity.hops if hop.token_in not in view.allowed_tokens]
    )
    return decide(
        "tokens",
        RefusalReason.TOKEN_NOT_ALLOWED,
        not unlisted,
        policy=limits.token_policy,
        tokens=len(opportunity.hops),
        unlisted=tuple(unlisted),
    )


def verdicts(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Every token of the cycle was judged, the verdict still holds, and it is a good one.

    The native coin has no code and needs no verdict.
    """
    if limits.token_verdicts == "off":
        return passed("token_verdicts", required=False)
    oldest = view.head.timestamp
    for hop in opportunity.hops:
        if hop.token_in == ZERO_ADDRESS:
            continue
        verdict = view.token_verdicts.get(hop.token_in)
        if verdict is None or not verdict.holds_at(view.head.timestamp):
            return refused(
                "token_verdicts",
                RefusalReason.TOKEN_UNJUDGED,
                token=hop.token_in,
                expired_at="never judged" if verdict is None else verdict.expires_at,
            )
        if verdict.fault is not None:
            return refused(
                "token_verdicts",
                RefusalReason.TOKEN_UNSAFE,
                token=hop.token_in,
                fault=verdict.fault.value,
                detail=verdict.detail,
                context=verdict.context,
                judged_block=verdict.judged_block,
                code_hash=verdict.code.code_hash,
            )
        oldest = min(oldest, verdict.judged_at)
    return passed("token_verdicts", tokens=len(opportunity.hops), oldest_s=view.head.timestamp - oldest)
