"""What a cycle costs to execute, and what its profit is worth in the chain's native coin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from engine.domain.market import Protocol


def _default_hop_gas() -> dict[Protocol, int]:
    return {
        Protocol.UNISWAP_V2: 65_000,
        Protocol.UNISWAP_V3: 95_000,
        Protocol.UNISWAP_V4: 95_000,
        Protocol.SLIPSTREAM: 115_000,
        Protocol.ALGEBRA: 100_000,
        Protocol.SOLIDLY: 105_000,
        Protocol.CAMELOT_V2: 70_000,
        Protocol.CURVE_STABLESWAP: 110_000,
        Protocol.CURVE_CRYPTOSWAP: 155_000,
        Protocol.BALANCER_V2_WEIGHTED: 80_000,
        Protocol.BALANCER_V2_STABLE: 120_000,
        Protocol.BALANCER_V3_WEIGHTED: 145_000,
        Protocol.BALANCER_V3_STABLE: 160_000,
        Protocol.ERC4626: 60_000,
        Protocol.WSTETH: 75_000,
        Protocol.WETH: 30_000,
    }


@dataclass(frozen=True, slots=True)
class GasCosts:
    """Gas model and exchange rates of one block.

    `gas_price_wei` is what we expect to pay per gas. `base_gas` is the transaction without its swaps,
    `hop_gas` each swap by protocol, gas units. `base_units_per_eth_wei` maps a base token to how many of its
    base units one wei of the native coin is worth (1 for the wrapped native token); a token that is missing
    there has no known price: its cycles are charged no gas and rank behind all priced ones.
    """

    gas_price_wei: int = 0
    base_units_per_eth_wei: Mapping[str, Fraction | float] = field(default_factory=dict)
    base_gas: int = 60_000
    hop_gas: Mapping[Protocol, int] = field(default_factory=_default_hop_gas)

    def gas_units(self, protocols: Iterable[Protocol]) -> int:
        """Gas of a cycle over pools of these protocols."""
        return self.base_gas + sum(self.hop_gas[protocol] for protocol in protocols)

    def gas_cost(self, token: str, gas_units: int) -> int:
        """That gas in base units of `token`, rounded up; 0 when the token has no known price."""
        rate = self.base_units_per_eth_wei.get(token)
        if rate is None:
            return 0
        exact = Fraction(rate)
        return -(-gas_units * self.gas_price_wei * exact.numerator // exact.denominator)

    def value_wei(self, token: str, amount: int) -> int | None:
        """`amount` base units of `token` in wei of the native coin, rounded down; None without a price."""
        rate = self.base_units_per_eth_wei.get(token)
        if rate is None or rate <= 0:
            return None
        exact = Fraction(rate)
        return amount * exact.denominator // exact.numerator
