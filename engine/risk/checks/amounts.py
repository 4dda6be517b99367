"""Is the trade worth it, within its cap, and can its gas be paid?"""

from __future__ import annotations

from engine.domain.opportunity import CheckResult, Opportunity, RefusalReason
from engine.risk.checks.result import decide, passed, refused
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView

BPS = 10_000


def gas_price(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """What the next block will charge per gas is at most `max_gas_price_wei`."""
    price = view.next_base_fee_wei + view.priority_fee_wei
    return decide(
        "gas_price",
        RefusalReason.GAS_PRICE,
        price <= limits.max_gas_price_wei,
        gas_price_wei=price,
        max_gas_price_wei=limits.max_gas_price_wei,
    )


def trade_cap(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """The amount in is at most the base token's cap."""
    cap = limits.trade_caps.get(opportunity.base_token)
    return decide(
        "trade_cap",
        RefusalReason.TRADE_CAP,
        cap is None or opportunity.amount_in <= cap,
        amount_in=opportunity.amount_in,
        cap="none" if cap is None else cap,
    )


def depth(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Each hop sells at most `max_depth_bps` of what its pool holds at its price, where that is known."""
    if limits.max_depth_bps is None:
        return passed("depth", max_depth_bps="none")
    known = 0
    for hop in opportunity.hops:
        held = view.depth(hop)
        if held is None:
            continue
        known += 1
        if hop.amount_in * BPS > limits.max_depth_bps * held:
            return refused(
                "depth",
                RefusalReason.TOO_DEEP,
                pool=hop.pool,
                amount_in=hop.amount_in,
                held=held,
                max_depth_bps=limits.max_depth_bps,
            )
    return passed("depth", hops_known=known, max_depth_bps=limits.max_depth_bps)


def model_error(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Profit after gas is at least `min_profit_to_error_bps` of what predictions were off lately."""
    error = view.activity.error.get(opportunity.base_token, 0)
    return decide(
        "model_error",
        RefusalReason.MODEL_ERROR,
        opportunity.net_profit * BPS >= error * limits.min_profit_to_error_bps,
        net_profit=opportunity.net_profit,
        largest_error=error,
        min_profit_to_error_bps=limits.min_profit_to_error_bps,
    )


def net_profit(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Profit after gas and a loan's fee reaches the absolute minimum, which recent failures raise, and the
    minimum relative to the gas cost."""
    least = limits.min_net_profit.get(opportunity.base_token, limits.min_net_profit_default)
    raised_bps = BPS + limits.tighten_bps_per_failure * view.activity.failures
    minimum = -(-least * raised_bps // BPS)
    scaled_relative = opportunity.gas_cost * limits.min_profit_to_gas_bps
    return decide(
        "net_profit",
        RefusalReason.NET_PROFIT_TOO_LOW,
        opportunity.net_profit >= minimum and opportunity.net_profit * BPS >= scaled_relative,
        gross_profit=opportunity.gross_profit,
        gas_cost=opportunity.gas_cost,
        loan_fee=opportunity.loan_fee,
        net_profit=opportunity.net_profit,
        min_net_profit=minimum,
        min_profit_to_gas_bps=limits.min_profit_to_gas_bps,
    )


def gas_balance(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """The operator can pay the estimated gas at the highest fee a plan may offer, and the transaction's bytes
    where they cost extra, and keep its reserve."""
    max_fee = 2 * view.next_base_fee_wei + view.priority_fee_wei
    data = view.data_base_wei + len(opportunity.hops) * view.data_hop_wei
    needed = opportunity.gas_estimate * max_fee + data + limits.gas_reserve_wei
    return decide(
        "gas_balance",
        RefusalReason.GAS_BALANCE,
        view.operator_balance_wei >= needed,
        operator_balance_wei=view.operator_balance_wei,
        needed_wei=needed,
    )
