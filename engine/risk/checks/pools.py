"""Are the pools and their venues ones we trust?"""

from __future__ import annotations

from engine.domain.market import ZERO_ADDRESS
from engine.domain.opportunity import CheckResult, Opportunity, RefusalReason
from engine.domain.pool_details import UniswapV4Details
from engine.risk.checks.result import decide, passed, refused
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView


def quarantine(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """No pool of the cycle is quarantined."""
    for pool in opportunity.pools:
        if pool in view.quarantined:
            return refused(
                "quarantine", RefusalReason.POOL_QUARANTINED, pool=pool, why=view.quarantined[pool]
            )
    return passed("quarantine", pools=len(opportunity.pools), quarantined=len(view.quarantined))


def venue(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Every hop's venue is in the on-chain registry and enabled there."""
    for hop in opportunity.hops:
        enabled = view.venues.get(hop.venue)
        if enabled is None:
            return refused("venue", RefusalReason.VENUE_UNKNOWN, pool=hop.pool, venue=hop.venue)
        if not enabled:
            return refused("venue", RefusalReason.VENUE_DISABLED, pool=hop.pool, venue=hop.venue)
    return passed("venue", venues=tuple([hop.venue for hop in opportunity.hops]))


def provenance(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Every pool was proven to be its venue's: derived address and known code."""
    unproven = [pool for pool in opportunity.pools if pool not in view.proven_pools]
    return decide(
        "provenance",
        RefusalReason.POOL_PROVENANCE,
        not unproven,
        proven=len(opportunity.pools) - len(unproven),
        unproven=tuple(unproven),
    )


def hooks(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Every hook contract of the cycle is an allowed one."""
    for hop in opportunity.hops:
        details = hop.details
        if not isinstance(details, UniswapV4Details) or details.hooks in (ZERO_ADDRESS, ""):
            continue
        if details.hooks not in limits.allowed_hooks:
            return refused("hooks", RefusalReason.HOOKS, pool=hop.pool, hooks=details.hooks)
    return passed("hooks", allowed=len(limits.allowed_hooks))
