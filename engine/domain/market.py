"""Tokens, venues, pools and blocks: the identities the engine speaks about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.domain.pool_details import ZERO_ADDRESS, PoolDetails, UniswapV4Details

__all__ = ["ZERO_ADDRESS", "ZERO_HASH", "BlockRef", "PoolRecord", "Protocol", "RawBlock", "Token", "Venue"]

ZERO_HASH = "0x" + "00" * 32


class Protocol(StrEnum):
    """A pool family: one pricing formula, one set of events."""

    UNISWAP_V2 = "uniswap-v2"
    UNISWAP_V3 = "uniswap-v3"
    UNISWAP_V4 = "uniswap-v4"
    SLIPSTREAM = "slipstream"
    ALGEBRA = "algebra"
    SOLIDLY = "solidly"
    CAMELOT_V2 = "camelot-v2"
    CURVE_STABLESWAP = "curve-stableswap"
    CURVE_CRYPTOSWAP = "curve-cryptoswap"
    BALANCER_V2_WEIGHTED = "balancer-v2-weighted"
    BALANCER_V2_STABLE = "balancer-v2-stable"
    BALANCER_V3_WEIGHTED = "balancer-v3-weighted"
    BALANCER_V3_STABLE = "balancer-v3-stable"
    ERC4626 = "erc4626"
    WSTETH = "wsteth"
    WETH = "weth"


# Families whose pools pay before they are paid: a cycle over one of them needs no loan.
PAYING_FIRST = frozenset(
    {
        Protocol.UNISWAP_V2, Protocol.SOLIDLY, Protocol.CAMELOT_V2, Protocol.UNISWAP_V3, Protocol.SLIPSTREAM,
        Protocol.ALGEBRA, Protocol.UNISWAP_V4, Protocol.BALANCER_V3_WEIGHTED, Protocol.BALANCER_V3_STABLE,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 token. `address` is lower-case 0x-hex; `decimals` in [0, 36]; `symbol` is printable text."""

    address: str
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Venue:
    """A protocol deployed by one factory.

    `deployer` is the CREATE2 deployer of pools (the factory itself, but PancakeSwap V3's pool deployer).
    `init_code_hash` proves a pool's provenance by CREATE2; `pool_code_hash` is keccak256 of the runtime code
    where it is the same for every pool (V2), else None. `fee_pips` is the fixed fee of a V2 venue, else None.
    """

    name: str
    protocol: Protocol
    factory: str
    deployer: str
    init_code_hash: str
    pool_code_hash: str | None = None
    fee_pips: int | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """What never changes about a pool. Addresses are lower-case; `tokens` in the contract's coin order.

    Two-token pools of the Uniswap kind have them ascending. Vaults: (asset, share); wstETH: (stETH, wstETH);
    WETH: (the native coin as address zero, WETH). `address` is the contract that is called: for Uniswap V4
    the PoolManager, whose pools differ by `key`. `fee_pips` in 1e-6 of the input, the fee where it is fixed
    and 0 where only the state knows it; `tick_spacing` is 0 without ticks; `venue` is a `Venue.name` or ""
    if unknown.
    """

    address: str
    protocol: Protocol
    venue: str
    tokens: tuple[str, ...]
    fee_pips: int
    tick_spacing: int = 0
    details: PoolDetails | None = None

    @property
    def key(self) -> str:
        """What names the pool among all pools: its V4 pool id, else its address."""
        return self.details.pool_id if isinstance(self.details, UniswapV4Details) else self.address


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block header's facts. `timestamp` in seconds; `base_fee_wei` is 0 before EIP-1559."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    base_fee_wei: int = 0
    gas_used: int = 0
    gas_limit: int = 30_000_000

    def next_base_fee_wei(self) -> int:
        """Base fee of the child block, in wei (EIP-1559, exact integer rule)."""
        target = self.gas_limit // 2
        if self.base_fee_wei == 0 or target == 0 or self.gas_used == target:
            return self.base_fee_wei
        if self.gas_used > target:
            delta = self.base_fee_wei * (self.gas_used - target) // target // 8
            return self.base_fee_wei + max(delta, 1)
        return self.base_fee_wei - self.base_fee_wei * (target - self.gas_used) // target // 8


@dataclass(frozen=True, slots=True)
class RawBlock:
    """A block and the logs of it that we follow, as JSON-RPC log objects in log-index order: a list of them,
    or a sequence that parses them when it is asked."""

    block: BlockRef
    logs: Sequence[dict]
