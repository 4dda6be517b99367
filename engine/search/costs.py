"""What a cycle costs to execute, and what its profit is worth in the chain's native coin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from engine.domain.market import Protocol

# Gas of a hop nothing is known about: dearer than any family measured so far.
UNKNOWN_HOP_GAS = 200_000


def default_hop_gas() -> dict[Protocol, int]:
    """Gas of a hop by protocol before receipts have taught better."""
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

    `gas_price_wei` is what we expect to pay per gas in the next block. `base_gas` is the transaction without
    its swaps, `hop_gas` each swap by protocol, gas units; a protocol that is missing there costs
    `UNKNOWN_HOP_GAS`. On rollups `data_base_wei` and `data_hop_wei` are what the transaction's bytes cost
    besides, without swaps and for each. `base_units_per_eth_wei` maps a base token to how many of its base
    units one wei of the native coin is worth (1 for the wrapped native token); a token that is missing there
    has no known price: its cycles are charged nothing and rank behind all priced ones.
    """

    gas_price_wei: int = 0
    base_units_per_eth_wei: Mapping[str, Fraction | float] = field(default_factory=dict)
    base_gas: int = 60_000
    hop_gas: Mapping[Protocol, int] = field(default_factory=default_hop_gas)
    data_base_wei: int = 0
    data_hop_wei: int = 0

    def gas_of(self, protocol: Protocol) -> int:
        """Gas of one hop."""
        return self.hop_gas.get(protocol, UNKNOWN_HOP_GAS)

    def swap_gas(self, protocols: Iterable[Protocol]) -> int:
        """Gas of swaps in pools of these protocols, without the transaction around them."""
        return sum(self.gas_of(protocol) for protocol in protocols)

    def gas_units(self, protocols: Iterable[Protocol]) -> int:
        """Gas of a cycle over pools of these protocols."""
        return self.base_gas + self.swap_gas(protocols)

    def cost_wei(self, gas_units: int, hops: int) -> int:
        """What a cycle of that gas and number of hops costs in all, wei of the native coin."""
        return gas_units * self.gas_price_wei + self.data_base_wei + hops * self.data_hop_wei

    def cost(self, token: str, gas_units: int, hops: int) -> int:
        """That in base units of `token`, rounded up; 0 when the token has no known price."""
        return self._in_base_units(token, self.cost_wei(gas_units, hops))

    def cost_added(self, token: str, swap_gas: int, hops: int) -> int:
        """What a cycle whose swaps take that gas adds to a transaction that is sent anyway, base units."""
        return self._in_base_units(token, swap_gas * self.gas_price_wei + hops * self.data_hop_wei)

    def _in_base_units(self, token: str, amount_wei: int) -> int:
        rate = self.base_units_per_eth_wei.get(token)
        if rate is None or rate <= 0:
            return 0
        exact = Fraction(rate)
        return -(-amount_wei * exact.numerator // exact.denominator)

    def value_wei(self, token: str, amount: int) -> int | None:
        """`amount` base units of `token` in wei of the native coin, rounded down; None without a price."""
        rate = self.base_units_per_eth_wei.get(token)
        if rate is None or rate <= 0:
            return None
        exact = Fraction(rate)
        return amount * exact.denominator // exact.numerator
