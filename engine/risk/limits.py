"""Thresholds of the risk checks."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _lower_address(value: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", value):
        raise ValueError(f"{value!r} is not a 20-byte 0x-address")
    return value.lower()


TokenAddress = Annotated[str, AfterValidator(_lower_address)]
Amount = Annotated[int, Field(ge=0)]


class RiskLimits(BaseModel):
    """What the checks compare with. Amounts by token are in that token's base units.

    - `token_policy`: "listed" trades only `allowed_tokens` and the base tokens; "any" is for simulation.
    - `token_verdicts`: "required" trades only tokens that were tried and behaved; "off" is for simulation.
    - `max_age_blocks`: how many blocks the head may be past the opportunity's block.
    - `trade_caps`: largest amount in by base token; a token that is not named has no cap.
    - `min_net_profit`: smallest profit after gas by base token, `min_net_profit_default` for the others.
    - `min_profit_to_gas_bps`: smallest net profit as a part of the gas cost, 1e-4.
    - `require_base_feed`: refuse cycles whose base token has no usable, fresh feed.
    - `max_feed_age_s`: seconds from a feed's update to the head's timestamp.
    - `max_feed_deviation_bps`: how far a hop's price may be from the feeds', 1e-4.
    - `pegs`: how far the feed price of a token meant to be worth one dollar may be from it, 1e-4, by token.
    - `max_reorg_depth`, `reorg_quiet_blocks`: after a deeper reorg nothing is sent for so many blocks.
    - `max_depth_bps`: largest amount in of a hop as a part of what the pool holds at its price, 1e-4; None is
      no limit.
    - `min_profit_to_error_bps`: smallest net profit as a part of the largest recent difference between
      expected and realised profit, 1e-4.
    - `max_volume_per_hour` by base token, `max_venue_trades_per_hour`, `max_loss_wei_per_hour` (gas of what
      reverted or only cancelled): limits over the last hour; None is no limit.
    - `max_failure_rate_bps`: part of the last trades that may not have landed, 1e-4, once
      `failure_rate_after` of them ended.
    - `tighten_bps_per_failure`: by how much each of those failures raises the minimum net profit, 1e-4.
    - `allowed_hooks`: Uniswap V4 hook contracts that may be in a cycle; others are refused, no hook is fine.
    - `max_gas_price_wei`: ceiling of next base fee plus priority fee.
    - `gas_reserve_wei`: what must remain with the operator after paying for the worst case.
    - `second_node_amount` of a transaction's amounts in, `second_node_profit` of its expected profit, by base
      token: from there on a second endpoint must simulate the very transaction with the same result, within
      `second_node_wait_s`; a token that is not named needs none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    token_policy: Literal["listed", "any"] = "listed"
    allowed_tokens: tuple[TokenAddress, ...] = ()
    token_verdicts: Literal["required", "off"] = "required"
    max_age_blocks: int = Field(default=0, ge=0)
    trade_caps: dict[TokenAddress, Amount] = Field(default_factory=dict)
    min_net_profit: dict[TokenAddress, Amount] = Field(default_factory=dict)
    min_net_profit_default: Amount = 1
    min_profit_to_gas_bps: int = Field(default=0, ge=0)
    require_base_feed: bool = True
    max_feed_age_s: int = Field(default=90_000, gt=0)
    max_feed_deviation_bps: int = Field(default=1_000, ge=0)
    pegs: dict[TokenAddress, Amount] = Field(default_factory=dict)
    max_reorg_depth: int = Field(default=3, ge=0)
    reorg_quiet_blocks: int = Field(default=0, ge=0)
    max_depth_bps: int | None = Field(default=None, gt=0)
    min_profit_to_error_bps: int = Field(default=10_000, ge=0)
    max_volume_per_hour: dict[TokenAddress, Amount] = Field(default_factory=dict)
    max_venue_trades_per_hour: int | None = Field(default=None, gt=0)
    max_loss_wei_per_hour: Amount | None = None
    max_failure_rate_bps: int = Field(default=10_000, ge=0, le=10_000)
    failure_rate_after: int = Field(default=10, gt=0)
    tighten_bps_per_failure: int = Field(default=0, ge=0)
    allowed_hooks: tuple[TokenAddress, ...] = ()
    max_gas_price_wei: int = Field(default=500_000_000_000, gt=0)
    gas_reserve_wei: Amount = 0
    second_node_amount: dict[TokenAddress, Amount] = Field(default_factory=dict)
    second_node_profit: dict[TokenAddress, Amount] = Field(default_factory=dict)
    second_node_wait_s: float = Field(default=1.0, gt=0)
