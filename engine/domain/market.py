"""Tokens, venues, pools and blocks: the identities the engine speaks about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ZERO_ADDRESS = "0x" + "00" * 20
ZERO_HASH = "0x" + "00" * 32


class Protocol(StrEnum):
    """A pool family: one pricing formula, one set of events."""

    UNISWAP_V2 = "uniswap-v2"
    UNISWAP_V3 = "uniswap-v3"


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
    """What never changes about a pool. Addresses are lower-case; `tokens` is (token0, token1).

    `fee_pips` in 1e-6 of the input; `tick_spacing` is 0 for V2; `venue` is a `Venue.name` or "" if unknown.
    """

    address: str
    protocol: Protocol
    venue: str
    tokens: tuple[str, str]
    fee_pips: int
    tick_spacing: int = 0


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
    """A block and the logs of it that we follow, as JSON-RPC log objects in log-index order."""

    block: BlockRef
    logs: list[dict]
