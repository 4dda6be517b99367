"""Cycles by what they are worth: est net profit for all, exact amounts and order for the best of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.layout import limbs_to_ints
from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Hop, Opportunity
from engine.market.market import Market
from engine.search.codes import FOUND
from engine.search.costs import GasCosts

_PROTOCOLS = list(Protocol)
PROTOCOL_CODE = {protocol: code for code, protocol in enumerate(_PROTOCOLS)}


@njit(nogil=True, cache=True, error_model="numpy")
def _est_gains_nb(cycles, codes, amounts, gains):
    """est profit before costs of the cycles found, base units; minus infinity for the others."""
    for n in range(len(cycles)):
        gains[n] = -np.inf
        if codes[n] != FOUND:
            continue
        last = 0
        while last < 3 and cycles[n, last + 1] >= 0:
            last += 1
        sold, bought = amounts[n, 0, 0], amounts[n, last, 1]
        borrow = np.uint64(1) if bought[0] < sold[0] else np.uint64(0)
        high = bought[1] - sold[1] - borrow
        gains[n] = np.float64(bought[0] - sold[0]) + np.float64(high) * 18446744073709551616.0


@njit(nogil=True, cache=True, error_model="numpy")
def _est_values_nb(cycles, starts, protocol, hop_wei, base_wei, worth, gains, values):
    """est net profit in native wei, or gross in base units where the start has no price. `starts` i32[n] are
    token rows, `protocol` u8[P] codes, `hop_wei` f64 by code, `worth` f64[T] wei per base unit or 0."""
    for n in range(len(cycles)):
        each = worth[starts[n]]
        if each == 0.0:
            values[n] = gains[n]
            continue
        cost = base_wei
        for d in range(4):
            if cycles[n, d] >= 0:
                cost += hop_wei[protocol[cycles[n, d] >> 1]]
        values[n] = gains[n] * each - cost


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
        self._worth = np.zeros(max(len(market.tokens), 1))
        for token, rate in costs.base_units_per_eth_wei.items():
            if token in market.token_row and rate > 0:
                self._worth[market.token_row[token]] = 1.0 / float(rate)

    def est_gains(
        self, cycles: NDArray[np.int32], codes: NDArray[np.uint8], amounts: NDArray[np.uint64]
    ) -> NDArray[np.float64]:
        """est profit before costs, base units; minus infinity where none was found."""
        gains = np.empty(len(cycles))
        _est_gains_nb(cycles, codes, amounts, gains)
        return gains

    def est_values(
        self, cycles: NDArray[np.int32], gains: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """(whether it is in native wei, est net profit) of each cycle, given its est gain."""
        costs, arrays = self._costs, self._market.arrays
        first = cycles[:, 0] >> 1
        starts = np.where(cycles[:, 0] & 1, arrays.token1[first], arrays.token0[first])
        gas = np.array([costs.gas_of(protocol) for protocol in _PROTOCOLS], np.float64)
        hop_wei = gas * costs.gas_price_wei + costs.data_hop_wei
        values = np.empty(len(cycles))
        base_wei = float(costs.cost_wei(costs.base_gas, 0))
        _est_values_nb(cycles, starts, self._protocol, hop_wei, base_wei, self._worth, gains, values)
        return self._worth[starts] > 0.0, values

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
        hops = []
        for k, edge in enumerate(ranked.edges):
            record = self._market.pools[edge >> 1]
            token_in, token_out = self._market.token_in(edge), self._market.token_in(edge ^ 1)
            hops.append(
                Hop(
                    pool=record.key,
                    protocol=record.protocol,
                    venue=record.venue,
                    token_in=token_in,
                    token_out=token_out,
                    amount_in=ranked.amounts[2 * k],
                    amount_out=ranked.amounts[2 * k + 1],
                    fee_pips=record.fee_pips,
                    details=record.details,
                    coin_in=record.tokens.index(token_in),
                    coin_out=record.tokens.index(token_out),
                )
            )
        return Opportunity(block, hops[0].token_in, tuple(hops), ranked.gas_units, ranked.cost)


def is_found(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Places of the cycles with a known execution."""
    return np.flatnonzero(codes == FOUND)
