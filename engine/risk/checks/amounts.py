"""Is the trade worth it, within its cap, and can its gas be paid?"""

from __future__ import annotations

from engine.domain.opportunity import CheckResult, Opportunity, RefusalReason
from engine.risk.checks.result import decide
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


def net_profit(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """Profit after gas reaches both the absolute minimum and the minimum relative to the gas cost."""
    minimum = limits.min_net_profit.get(opportunity.base_token, limits.min_net_profit_default)
    scaled_relative = opportunity.gas_cost * limits.min_profit_to_gas_bps
    return decide(
        "net_profit",
        RefusalReason.NET_PROFIT_TOO_LOW,
        opportunity.net_profit >= minimum and opportunity.net_profit * BPS >= scaled_relative,
        gross_profit=opportunity.gross_profit,
        gas_cost=opportunity.gas_cost,
        net_profit=opportunity.net_profit,
        min_net_profit=minimum,
        min_profit_to_gas_bps=limits.min_profit_to_gas_bps,
    )


def gas_balance(opportunity: Opportunity, view: RiskView, limits: RiskLimits) -> CheckResult:
    """The operator can pay the estimated gas at the highest fee a plan may offer and keep its reserve."""
    max_fee = 2 * view.next_base_fee_wei + view.priority_fee_wei
    needed = opportunity.gas_estimate * max_fee + limits.gas_reserve_wei
    return decide(
        "gas_balance",
        RefusalReason.GAS_BALANCE,
        view.operator_balance_wei >= needed,
        operator_balance_wei=view.operator_balance_wei,
        needed_wei=needed,
    )
