"""Cycles by what they are worth: est net profit for all, exact amounts and order for the best of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import limbs_to_ints
from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Opportunity
from engine.market.market import Market
from engine.search.aim import Aim, new_aim
from engine.search.codes import FOUND
from engine.search.costs import GasCosts
from engine.search.hops import hop_of
from engine.search.order import SLACK, Prices, est_gains_nb, est_keys_nb, most_promising_nb
from engine.search.solve import Solved

_PROTOCOLS = list(Protocol)
PROTOCOL_CODE = {protocol: code for code, protocol in enumerate(_PROTOCOLS)}


@dataclass(frozen=True, slots=True)
class Ranked:
    """An exact cycle: (whether its value is in native wei, the value) and what it is made of."""

    key: tuple[bool, int]
    edges: tuple[int, ...]
    amounts: list[int]
    gas_units: int
    cost: int


class Ranking:
    """Ranks the cycles of one search by `costs`: base tokens with a price first, then the most valuable."""

    def __init__(self, market: Market, protocol: NDArray[np.uint8], costs: GasCosts) -> None:
        """`protocol` u8[P] are `PROTOCOL_CODE`s by pool row."""
        self._market = market
        self._protocol = protocol
        self._costs = costs
        self._gas: dict[tuple, tuple[int, int]] = {}
        worth = np.zeros(max(len(market.tokens), 1))
        for token, rate in costs.base_units_per_eth_wei.items():
            if token in market.token_row and rate > 0:
                worth[market.token_row[token]] = 1.0 / float(rate)
        gas = np.array([costs.gas_of(protocol) for protocol in _PROTOCOLS], np.float64)
        hop_wei = gas * costs.gas_price_wei + costs.data_hop_wei
        base_wei = float(costs.cost_wei(costs.base_gas, 0))
        least_wei = base_wei + 2.0 * float(hop_wei.min())
        tokens = market.arrays.token0, market.arrays.token1
        self._prices = Prices(*tokens, protocol, hop_wei, worth, base_wei, least_wei, float(worth.max()))

    def aims(
        self,
        bends: NDArray[np.float32],
        bases: NDArray[np.int32],
        count: int,
        last: Ranked | None = None,
    ) -> list[Aim]:
        """For each base token row to find the `count` most promising cycles from it, of those that may rank
        before `last`."""
        prices, aims = self._prices, []
        for worth in prices.worth[bases].tolist():
            costs = prices.hop_wei / worth if worth > 0.0 else np.zeros(len(prices.hop_wei))
            least = -np.inf if last is None else self._least(worth, last)
            aims.append(new_aim(bends, self._protocol, costs, count, least))
        return aims

    def _least(self, worth: float, last: Ranked) -> float:
        """The worth in a base token that a cycle as good as `last` has at least: its price is `worth`."""
        priced, value = last.key
        if priced != (worth > 0.0):
            return np.inf if priced else -np.inf
        least = value + (self._prices.base_wei if priced else 0.0)
        least -= (abs(value) + self._prices.base_wei) * 16.0 * SLACK + 8.0
        return least / worth if priced else least

    def none_missed(self, aims: Sequence[Aim], bases: NDArray[np.int32], last: Ranked | None) -> bool:
        """Whether nothing that a walk with `aims` passed over can rank before `last`, or at all when None: so
        without aims."""
        for aim, worth in zip(aims, self._prices.worth[bases].tolist(), strict=False):
            most = aim.passed_over
            if most == -np.inf:
                continue
            if last is None:
                return False
            base_wei = self._prices.base_wei if worth > 0.0 else 0.0
            value = most * worth if worth > 0.0 else most
            value += (abs(value) + base_wei) * 4.0 * SLACK + 2.0 - base_wei
            if not last.key > (worth > 0.0, value):
                return False
        return True

    def est_gains(self, solved: Solved, picks: NDArray[np.int64]) -> NDArray[np.float64]:
        """est profit before costs of the picks, base units; minus infinity where none was found."""
        gains = np.empty(len(picks))
        est_gains_nb(solved.cycles, solved.codes, solved.amounts, picks, gains)
        return gains

    def est_keys(
        self,
        cycles: NDArray[np.int32],
        picks: NDArray[np.int64],
        gains: NDArray[np.float64],
        min_profit: int,
        room: bool,
    ) -> NDArray[np.int64]:
        """Where each pick ranks given its est gain, as an integer; with `room`, no lower than any gain that
        differs by float errors. `engine.search.order.LOWEST` for a gain below `min_profit` base units."""
        keys = np.empty(len(picks), np.int64)
        est_keys_nb(cycles, picks, gains, self._prices, float(min_profit), room, keys)
        return keys

    def most_promising(
        self,
        cycles: NDArray[np.int32],
        ceilings: NDArray[np.float64],
        min_profit: int,
        floor: int,
        count: int,
    ) -> NDArray[np.int64]:
        """At most `count` cycles, ascending, whose est `ceilings` have the largest keys, none below `floor`
        or `min_profit`."""
        places, keys = np.empty(count, np.int64), np.empty(count, np.int64)
        found = most_promising_nb(
            cycles, ceilings, self._prices, float(min_profit), np.int64(floor), places, keys
        )
        return np.sort(places[:found])

    def best(
        self,
        cycles: NDArray[np.int32],
        ring: NDArray[np.int32],
        amounts: NDArray[np.uint64],
        picks: Iterable[int],
        min_profit: int,
        limit: int | None,
    ) -> list[Ranked]:
        """The `picks`, exact and in order: at least `min_profit` base units before costs, each ring once by
        the start from which it is worth most, at most `limit`."""
        chosen = list(picks)
        flat = limbs_to_ints(amounts[chosen].reshape(-1, 2))
        rings: dict[int, Ranked] = {}
        for k, n in enumerate(chosen):
            edges = tuple(edge for edge in cycles[n].tolist() if edge >= 0)
            ranked = self._exact(edges, flat[8 * k : 8 * k + 2 * len(edges)], min_profit)
            known = rings.get(int(ring[n]))
            if ranked is not None and (known is None or ranked.key > known.key):
                rings[int(ring[n])] = ranked
        return sorted(rings.values(), key=lambda one: (one.key, one.edges), reverse=True)[:limit]

    def _exact(self, edges: tuple[int, ...], amounts: list[int], min_profit: int) -> Ranked | None:
        gross = amounts[-1] - amounts[0]
        if gross < min_profit:
            return None
        base = self._market.token_in(edges[0])
        kinds = tuple(self._protocol[edge >> 1] for edge in edges)
        gas = self._gas.get((base, kinds))
        if gas is None:
            units = self._costs.gas_units(_PROTOCOLS[kind] for kind in kinds)
            gas = self._gas[base, kinds] = (units, self._costs.cost(base, units, len(edges)))
        value = self._costs.value_wei(base, gross - gas[1])
        key = (value is not None, gross - gas[1] if value is None else value)
        return Ranked(key, edges, amounts, *gas)

    def opportunity(self, block: BlockRef, ranked: Ranked) -> Opportunity:
        """As the rest of the engine knows it."""
        edges, amounts = ranked.edges, ranked.amounts
        hops = tuple(
            hop_of(self._market, edge, amounts[2 * k], amounts[2 * k + 1]) for k, edge in enumerate(edges)
        )
        return Opportunity(block, hops[0].token_in, hops, ranked.gas_units, ranked.cost)


def is_found(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Places of the cycles with a known execution."""
    return np.flatnonzero(codes == FOUND)
