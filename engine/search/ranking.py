"""The order in which sized cycles are worth verifying, and the exact order of those that are verified.

No integer execution earns more than the real-valued optimum, so a cycle whose optimum is worth less than the
last of the best ones verified cannot come among them: its amounts need not be computed. Nothing is lost by
that; the answer is the one that verifying every cycle gives.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import KIND_V2, KIND_V3, limbs_to_ints
from engine.domain.market import PoolRecord, Protocol
from engine.market.market import Market
from engine.search.costs import GasCosts

_PROTOCOL_OF_KIND = {KIND_V2: Protocol.UNISWAP_V2, KIND_V3: Protocol.UNISWAP_V3}
# Relative error allowed to every float64 in a bound: sums and products of a few roundings stay far below it.
_SLACK = 1e-9
_FIRST_BATCH = 32

# Amounts u64[k, 5, 4] and profitable u8[k] of the picked cycles i64[k].
Verify = Callable[[NDArray[np.int64]], tuple[NDArray[np.uint64], NDArray[np.uint8]]]
# Whether there is a price, and the net profit: native wei when there is, else base units.
Key = tuple[bool, int]


@dataclass(frozen=True, slots=True)
class RankedCycle:
    """A verified cycle: directed edges, the amounts before, between and after its hops, its gas in units and
    in base units of its token."""

    key: Key
    edges: tuple[int, ...]
    amounts: list[int]
    gas_units: int
    gas_cost: int


class Ranking:
    """Ranks the cycles of one search: i32[n, 4] of directed edges with their `size_cycles_nb` sizes."""

    def __init__(
        self, market: Market, cycles: NDArray[np.int32], sizes: NDArray[np.float64], costs: GasCosts
    ) -> None:
        self._pools: Sequence[PoolRecord] = market.pools
        self._cycles = cycles
        self._costs = costs
        self._rates: dict[str, Fraction | None] = {}
        self._gas: dict[tuple, tuple[int, int]] = {}
        self._est_bounds(market, sizes)

    def _est_bounds(self, market: Market, sizes: NDArray[np.float64]) -> None:
        """est: an upper bound of each cycle's key, and of its gross profit in base units."""
        arrays, cycles = market.arrays, self._cycles
        used = cycles >= 0
        rows = np.where(used, cycles >> 1, 0)
        self._gross = sizes[:, 2] * (1 + _SLACK) + 1.0
        gas_of_kind = np.zeros(256)
        for kind, protocol in _PROTOCOL_OF_KIND.items():
            gas_of_kind[kind] = self._costs.hop_gas[protocol]
        gas = self._costs.base_gas + np.where(used, gas_of_kind[arrays.kind[rows]], 0.0).sum(1)
        first = cycles[:, 0] >> 1
        token = np.where(cycles[:, 0] & 1, arrays.token1[first], arrays.token0[first])
        cost_per_gas, worth = np.zeros(len(market.tokens)), np.zeros(len(market.tokens))
        for row in np.unique(token).tolist():
            address = market.tokens[row].address
            rate = self._rate(address)
            known = self._costs.base_units_per_eth_wei.get(address)
            cost_per_gas[row] = 0.0 if known is None else self._costs.gas_price_wei * float(known)
            worth[row] = 0.0 if rate is None else 1.0 / float(rate)
        net = self._gross - gas * cost_per_gas[token] * (1 - _SLACK)
        self._priced = worth[token] > 0.0
        value = np.where(self._priced, net * worth[token], net)
        self._bound = value + np.abs(value) * _SLACK + 1.0

    def _rate(self, token: str) -> Fraction | None:
        """Base units per native wei; None where there is no usable price."""
        if token not in self._rates:
            rate = self._costs.base_units_per_eth_wei.get(token)
            self._rates[token] = None if rate is None or rate <= 0 else Fraction(rate)
        return self._rates[token]

    def best(self, verify: Verify, min_profit: int, limit: int | None) -> list[RankedCycle]:
        """The best cycles that earn at least `min_profit` base units before gas, at most `limit`, best first;
        each ring of pools once, by the start from which it is worth most."""
        order = np.flatnonzero(self._gross >= min_profit)
        order = order[np.lexsort((-self._bound[order], ~self._priced[order]))]
        rings: dict[tuple[int, ...], RankedCycle] = {}
        done, batch = 0, len(order) if limit is None else _FIRST_BATCH + limit
        while done < len(order):
            if limit is not None and len(rings) >= limit:
                last = heapq.nlargest(limit, (ranked.key for ranked in rings.values()))[-1:]
                if not last or not self._reaches(int(order[done]), last[0]):
                    break
            picks = order[done : done + batch]
            self._take(picks, *verify(picks), min_profit, rings)
            done, batch = done + batch, 2 * batch
        ranked = sorted(rings.values(), key=lambda one: (one.key, one.edges), reverse=True)
        return ranked[:limit]

    def _reaches(self, n: int, key: Key) -> bool:
        """Whether cycle `n` may rank at or above `key`."""
        return (bool(self._priced[n]), float(self._bound[n])) >= key

    def _take(
        self,
        picks: NDArray[np.int64],
        amounts: NDArray[np.uint64],
        profitable: NDArray[np.uint8],
        min_profit: int,
        rings: dict[tuple[int, ...], RankedCycle],
    ) -> None:
        won = np.flatnonzero(profitable)
        flat = limbs_to_ints(amounts[won].reshape(-1, 4))
        for n, padded in enumerate(self._cycles[picks[won]].tolist()):
            edges = tuple(edge for edge in padded if edge >= 0)
            values = flat[5 * n : 5 * n + len(edges) + 1]
            gross = values[-1] - values[0]
            if gross < min_profit:
                continue
            base = self._pools[edges[0] >> 1].tokens[edges[0] & 1]
            gas = self._gas_of(base, tuple([self._pools[edge >> 1].protocol for edge in edges]))
            rate, net = self._rate(base), gross - gas[1]
            key = (False, net) if rate is None else (True, net * rate.denominator // rate.numerator)
            ring = canonical(edges)
            known = rings.get(ring)
            if known is None or key > known.key:
                rings[ring] = RankedCycle(key, edges, values, *gas)

    def _gas_of(self, base: str, protocols: tuple[Protocol, ...]) -> tuple[int, int]:
        gas = self._gas.get((base, protocols))
        if gas is None:
            units = self._costs.gas_units(protocols)
            gas = self._gas[base, protocols] = (units, self._costs.gas_cost(base, units))
        return gas


def canonical(edges: tuple[int, ...]) -> tuple[int, ...]:
    """The rotation that begins with the smallest edge: the same for every start of one directed cycle."""
    k = edges.index(min(edges))
    return edges[k:] + edges[:k]
