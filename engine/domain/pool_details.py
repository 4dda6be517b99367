"""What never changes about a pool beyond its tokens and fee: one frozen dataclass per family.

Whoever quotes, reads or encodes a hop of the family needs these. Families without such facts (Uniswap V2 and
V3 and their forks by fee, Slipstream, wstETH, WETH) have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class UniswapV4Details:
    """A pool of a Uniswap V4 PoolManager. `key_fee` is PoolKey.fee: pips, or 0x800000 for a dynamic fee.

    Currency zero is the native coin, as token address zero. `hooks` is the zero address for none.
    """

    pool_id: str
    manager: str
    key_fee: int
    tick_spacing: int
    hooks: str = ZERO_ADDRESS


class AlgebraVersion(StrEnum):
    """V1 stops at 256-tick rows as Uniswap V3 does; V2 and Integral follow a list of ticks."""

    V1 = "v1"
    V2 = "v2"
    INTEGRAL = "integral"


@dataclass(frozen=True, slots=True)
class AlgebraDetails:
    """An Algebra pool."""

    version: AlgebraVersion = AlgebraVersion.INTEGRAL


class SolidlyVersion(StrEnum):
    """Whose stable curve: they differ in single units."""

    VELODROME_V1 = "velodrome-v1"
    VELODROME_V2 = "velodrome-v2"
    AERODROME = "aerodrome"


@dataclass(frozen=True, slots=True)
class SolidlyDetails:
    """A Solidly pool. `decimals` of token0 and token1 as the pool has them; fees in 1 / `fee_denominator`."""

    stable: bool
    decimals: tuple[int, int]
    version: SolidlyVersion = SolidlyVersion.VELODROME_V2
    fee_denominator: int = 10_000


@dataclass(frozen=True, slots=True)
class CamelotDetails:
    """A Camelot V2 pair; its stable curve is Velodrome V1's. Fees in 1e-5."""

    stable: bool
    decimals: tuple[int, int]


class StableSwapVariant(StrEnum):
    """Generations of Curve StableSwap, which differ in the wei and in the units of A."""

    THREE_POOL = "3pool"
    SUSD = "susd"
    TEMPLATE = "template"
    FACTORY = "factory"
    NG = "ng"


@dataclass(frozen=True, slots=True)
class CurveStableDetails:
    """A Curve StableSwap pool. `base_pool` is set for a metapool, whose last coin is that pool's token."""

    variant: StableSwapVariant
    base_pool: str | None = None


class CryptoSwapVariant(StrEnum):
    """Curve CryptoSwap contracts."""

    TWOCRYPTO_20 = "twocrypto-2.0"
    TWOCRYPTO_21 = "twocrypto-2.1"
    TRICRYPTO = "tricrypto"


@dataclass(frozen=True, slots=True)
class CurveCryptoDetails:
    """A Curve CryptoSwap pool. `precisions` are 10 ** (18 - decimals) of each coin."""

    variant: CryptoSwapVariant
    precisions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BalancerV2WeightedDetails:
    """A Balancer V2 weighted pool. `weights` have 18 decimals; `version` 1 for pools of 2021, else 2.

    `scaling_factors` are 1e18 * 10 ** (18 - decimals). Tokens in the vault's order.
    """

    pool_id: str
    vault: str
    weights: tuple[int, ...]
    scaling_factors: tuple[int, ...]
    version: int = 2


@dataclass(frozen=True, slots=True)
class BalancerV2StableDetails:
    """A Balancer V2 stable pool. `version` 1 for pools of 2021, else 2. The record's tokens are the vault's
    without the pool's own token, which stands at `bpt_index` there in a composable pool (else None)."""

    pool_id: str
    vault: str
    version: int = 2
    bpt_index: int | None = None


@dataclass(frozen=True, slots=True)
class BalancerV3WeightedDetails:
    """A Balancer V3 weighted pool. `decimal_factors` are 10 ** (18 - decimals). `minimum_trade` and
    `minimum_balances` have 18 decimals; the latter is empty for pools without."""

    vault: str
    weights: tuple[int, ...]
    decimal_factors: tuple[int, ...]
    minimum_trade: int = 1_000_000
    minimum_balances: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BalancerV3StableDetails:
    """A Balancer V3 stable pool, as the weighted one. `imbalance_limit` is 0 for pools without."""

    vault: str
    decimal_factors: tuple[int, ...]
    minimum_trade: int = 1_000_000
    imbalance_limit: int = 0


@dataclass(frozen=True, slots=True)
class Erc4626Details:
    """A vault; tokens are (asset, share). OpenZeppelin: 10 ** offset virtual shares and one virtual asset;
    solmate: none of either."""

    virtual_shares: int = 1
    virtual_assets: int = 1


PoolDetails = (
    UniswapV4Details
    | AlgebraDetails
    | SolidlyDetails
    | CamelotDetails
    | CurveStableDetails
    | CurveCryptoDetails
    | BalancerV2WeightedDetails
    | BalancerV2StableDetails
    | BalancerV3WeightedDetails
    | BalancerV3StableDetails
    | Erc4626Details
)
