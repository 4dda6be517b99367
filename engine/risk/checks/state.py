"""May we trade now, and is the opportunity about the present chain and free of our own transactions?"""

from __future__ import annotations

from engine.domain.opportunity import CheckResult, Opportunity, RefusalReason, TradingState
from engine.risk.checks.result import decide
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView


def trading_state(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """New trades leave only while the engine is ACTIVE."""
    return decide(
        "trading_state",
        RefusalReason.TRADING_HALTED,
        view.trading_state is TradingState.ACTIVE,
        state=view.trading_state.value,
    )


def age(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """The opportunity's block is at most `max_age_blocks` behind the head, and not on another branch."""
    blocks = view.head.number - opportunity.block.number
    same_branch = blocks != 0 or view.head.hash == opportunity.block.hash
    return decide(
        "age",
        RefusalReason.TOO_OLD,
        0 <= blocks <= limits.max_age_blocks and same_branch,
        age_blocks=blocks,
        max_age_blocks=limits.max_age_blocks,
        block_hash=opportunity.block.hash,
        head_hash=view.head.hash,
    )


def witnessed(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """A block that only one endpoint claims may be an orphan, a stale view or a lie."""
    return decide("witnessed", RefusalReason.HEAD_UNWITNESSED, view.head_witnessed)


def reorg(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """No reorg deeper than `max_reorg_depth` within the last `reorg_quiet_blocks` blocks."""
    activity = view.activity
    deep = activity.reorg_depth > limits.max_reorg_depth
    return decide(
        "reorg",
        RefusalReason.REORG_RECENT,
        not (deep and activity.blocks_since_reorg < limits.reorg_quiet_blocks),
        depth=activity.reorg_depth,
        max_depth=limits.max_reorg_depth,
        blocks_since=activity.blocks_since_reorg,
        quiet_blocks=limits.reorg_quiet_blocks,
    )


def in_flight(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """No pool of the cycle is touched by a submission whose outcome is unknown: it would move the price."""
    busy = [pool for pool in opportunity.pools if pool in view.in_flight_pools]
    return decide(
        "in_flight",
        RefusalReason.IN_FLIGHT_CONFLICT,
        not busy,
        pools_in_flight=len(view.in_flight_pools),
        conflicts=tuple(busy),
    )
