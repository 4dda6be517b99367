"""What a node said about pools and tokens at one block, before it enters the market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.market import BlockRef, PoolRecord, Token


@dataclass(frozen=True, slots=True)
class V2PoolState:
    """Reserves of a V2-type pool in base units of token0 and token1 (uint112)."""

    pool: PoolRecord
    reserve0: int
    reserve1: int


@dataclass(frozen=True, slots=True)
class V3PoolState:
    """State of a pool of concentrated liquidity: V3, its forks, Slipstream, Algebra. `sqrt_price_x96` is 0
    where it was never initialised.

    `ticks`: (tick, liquidity_net, liquidity_gross) of every initialised tick of the whole range, ascending;
    only of the range `known` (lowest, highest tick), where that is given. `fees`: pips charged for selling
    token0 and token1, where the record's fee is not the one in force (Slipstream, Algebra).
    """

    pool: PoolRecord
    sqrt_price_x96: int
    liquidity: int
    tick: int
    ticks: tuple[tuple[int, int, int], ...]
    known: tuple[int, int] | None = None
    fees: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class V4PoolState:
    """State of a Uniswap V4 pool, as `V3PoolState`. `lp_fee` in pips; `protocol_fee` as slot0 has it: twelve
    bits for selling currency0, twelve above for selling currency1."""

    pool: PoolRecord
    sqrt_price_x96: int
    liquidity: int
    tick: int
    ticks: tuple[tuple[int, int, int], ...]
    lp_fee: int
    protocol_fee: int = 0
    known: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SolidlyPoolState:
    """Reserves of a Solidly pool (uint256, base units) and its fee in 1 / `details.fee_denominator`."""

    pool: PoolRecord
    reserve0: int
    reserve1: int
    fee: int


@dataclass(frozen=True, slots=True)
class CamelotPoolState:
    """Reserves of a Camelot pair (uint112, base units) and the fees, 1e-5, for selling token0 and token1."""

    pool: PoolRecord
    reserve0: int
    reserve1: int
    fee0: int
    fee1: int


@dataclass(frozen=True, slots=True)
class CurveStablePoolState:
    """State of a Curve StableSwap pool, coins in the pool's order.

    `balances` in base units, admin fees taken off; `rates` 10 ** (36 - decimals), times the rate of a coin
    that has one (a metapool's base token: the virtual price it uses). `ramp`: initial A, future A, initial
    time, future time, A as the contract stores it (times 100 from the template generation on); (A, A, 0, 0)
    at rest. `fee` 1e-10 of the output, `admin_fee` 1e-10 of the fee, `offpeg_fee_multiplier` 1e-10 or 0.
    """

    pool: PoolRecord
    balances: tuple[int, ...]
    rates: tuple[int, ...]
    ramp: tuple[int, int, int, int]
    fee: int
    admin_fee: int
    offpeg_fee_multiplier: int = 0


@dataclass(frozen=True, slots=True)
class CurveCryptoPoolState:
    """State of a Curve CryptoSwap pool. `a` (times n ** n and 10 ** 4) and `gamma` (1e18) as of the block to
    trade in; `price_scale` of every coin after the first, 1e18 of coin 0; `mid_fee` and `out_fee` 1e-10.

    `total_supply` of the pool's token and `virtual_price` (1e18) as stored decide whether a trade is dust the
    pool refuses; both 0 where unknown. `ramping`: future_A_gamma_time is after that block's time; `may_lose`:
    it is that time, or ramping, so that the pool does not ask for a growing virtual price.
    """

    pool: PoolRecord
    balances: tuple[int, ...]
    a: int
    gamma: int
    d: int
    price_scale: tuple[int, ...]
    mid_fee: int
    out_fee: int
    fee_gamma: int
    total_supply: int = 0
    virtual_price: int = 0
    ramping: bool = False
    may_lose: bool = False


@dataclass(frozen=True, slots=True)
class BalancerV2WeightedPoolState:
    """Raw vault balances (uint112, base units) and the swap fee, 1e18."""

    pool: PoolRecord
    balances: tuple[int, ...]
    swap_fee: int


@dataclass(frozen=True, slots=True)
class BalancerV2StablePoolState:
    """A Balancer V2 stable pool, coins as in the record (without the pool's own token).

    `scaling_factors` 1e18 * 10 ** (18 - decimals), times the token's rate. `amp_ramp`: start value, end value
    (both times 1000), start time, end time; (A, A, 0, 0) at rest.
    """

    pool: PoolRecord
    balances: tuple[int, ...]
    scaling_factors: tuple[int, ...]
    amp_ramp: tuple[int, int, int, int]
    swap_fee: int


@dataclass(frozen=True, slots=True)
class BalancerV3WeightedPoolState:
    """Live balances (scaled to 18 decimals with rates, as of the block), the tokens' rates and the static
    swap fee, all 1e18."""

    pool: PoolRecord
    live_balances: tuple[int, ...]
    rates: tuple[int, ...]
    swap_fee: int


@dataclass(frozen=True, slots=True)
class BalancerV3StablePoolState:
    """As the weighted one; `amp_ramp` as for Balancer V2."""

    pool: PoolRecord
    live_balances: tuple[int, ...]
    rates: tuple[int, ...]
    amp_ramp: tuple[int, int, int, int]
    swap_fee: int


@dataclass(frozen=True, slots=True)
class Erc4626PoolState:
    """totalAssets and totalSupply of a vault, base units."""

    pool: PoolRecord
    total_assets: int
    total_supply: int


@dataclass(frozen=True, slots=True)
class WstEthPoolState:
    """stETH's total shares and total pooled ether, and the supply of wstETH."""

    pool: PoolRecord
    total_shares: int
    total_pooled_ether: int
    wrapped_supply: int


@dataclass(frozen=True, slots=True)
class WethPoolState:
    """WETH wraps the native coin one to one: it has no state. `supply` is what can be unwrapped at most."""

    pool: PoolRecord
    supply: int


@dataclass(frozen=True, slots=True)
class TickWindow:
    """What a node with partial state holds of a V3 pool: the initialised `ticks` whose state is there,
    ascending, and the bounds `low` and `high` between which there are no others."""

    ticks: tuple[int, ...]
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class PartialState:
    """What may be read from a node that holds only part of the chain's state, and what cannot be.

    `tokens`: metadata given instead of read, by address. `windows`: by V3 pool, the ticks that are there; the
    consistency of all ticks with the liquidity in range cannot be checked for these.
    """

    tokens: Mapping[str, Token] = field(default_factory=dict)
    windows: Mapping[str, TickWindow] = field(default_factory=dict)


PoolState = (
    V2PoolState
    | V3PoolState
    | V4PoolState
    | SolidlyPoolState
    | CamelotPoolState
    | CurveStablePoolState
    | CurveCryptoPoolState
    | BalancerV2WeightedPoolState
    | BalancerV2StablePoolState
    | BalancerV3WeightedPoolState
    | BalancerV3StablePoolState
    | Erc4626PoolState
    | WstEthPoolState
    | WethPoolState
)


@dataclass(frozen=True, slots=True)
class V3Fees:
    """The fees in force of a pool of concentrated liquidity, as in `V3PoolState`: all that its logs may not
    tell."""

    pool: PoolRecord
    fees: tuple[int, int]


@dataclass(frozen=True, slots=True)
class V4Fees:
    """The fees in force of a Uniswap V4 pool, as in `V4PoolState`."""

    pool: PoolRecord
    lp_fee: int
    protocol_fee: int


# What may be read of a pool together with a block.
BlockReading = PoolState | V3Fees | V4Fees


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Everything read at `block`. `refused` maps the address of a token or pool that was left out to the
    reason; a pool with a refused token is refused too."""

    block: BlockRef
    tokens: tuple[Token, ...]
    pools: tuple[PoolState, ...]
    refused: dict[str, str] = field(default_factory=dict)
