"""What the checks look at besides the opportunity: one frozen picture per block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from engine.domain.feeds import FeedQuote
from engine.domain.market import BlockRef
from engine.domain.opportunity import Hop, TradingState
from engine.domain.token_safety import TokenVerdict
from engine.risk.activity import Activity


def unknown_depth(hop: Hop) -> int | None:
    """Nothing is known about any pool's depth."""
    return None


@dataclass(frozen=True, slots=True)
class RiskView:
    """The engine's knowledge at `head`. Addresses are lower-case.

    - `head_witnessed`: whether as many endpoints as are asked for know the block that is traded on.
    - `venues`: every known venue's name, and whether it is enabled on-chain.
    - `proven_pools`: pools whose address and code are those of a known venue's pools.
    - `quarantined`: pools that may not be trusted, with the reason.
    - `allowed_tokens`: tokens that may be traded under the "listed" policy, base tokens included.
    - `token_verdicts`: what was found out about tokens, those that were judged.
    - `decimals`, `feeds`: by token.
    - `in_flight_pools`: pools of submissions without an outcome.
    - `activity`: what the engine did within the last hour.
    - `depth`: what a hop's pool holds of the token sold at its present price, base units; None if unknown.
    - `operator_balance_wei`, `next_base_fee_wei`, `priority_fee_wei`: to pay for gas; `data_base_wei` and
      `data_hop_wei`: what a transaction's bytes cost besides, without swaps and for each.
    """

    head: BlockRef
    trading_state: TradingState
    venues: Mapping[str, bool]
    proven_pools: Set[str]
    quarantined: Mapping[str, str] = field(default_factory=dict)
    allowed_tokens: Set[str] = frozenset()
    token_verdicts: Mapping[str, TokenVerdict] = field(default_factory=dict)
    decimals: Mapping[str, int] = field(default_factory=dict)
    feeds: Mapping[str, FeedQuote] = field(default_factory=dict)
    in_flight_pools: Set[str] = frozenset()
    operator_balance_wei: int = 0
    next_base_fee_wei: int = 0
    priority_fee_wei: int = 0
    data_base_wei: int = 0
    data_hop_wei: int = 0
    head_witnessed: bool = True
    activity: Activity = field(default_factory=Activity)
    depth: Callable[[Hop], int | None] = unknown_depth
