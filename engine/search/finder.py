"""From changed pools to ranked, exactly verified opportunities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import limbs_to_ints
from engine.domain.errors import MarketError
from engine.domain.market import BlockRef
from engine.domain.opportunity import Hop, Opportunity
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.cycles import Screen, update_rates
from engine.search.graph import MAX_HOPS, build_graph
from engine.search.verify import solve_cycles_nb

MAX_STORED_CYCLES = 8_000_000


class Finder:
    """Finds every profitable simple cycle of 2..max_hops hops that starts and ends in a base token.

    Stages: a float64 screen over the cycle index, a closed-form size for each survivor, exact integer
    verification and polish; only the last makes an `Opportunity`. Read-only on the market. Pools added after
    construction are seen after `refresh_index`; state changes and quarantines are seen at once.
    """

    def __init__(
        self,
        market: Market,
        base_tokens: Sequence[str],
        max_hops: int = 3,
        min_profit: int = 1,
        max_stored: int = MAX_STORED_CYCLES,
    ) -> None:
        """`base_tokens` are lower-case addresses of tokens in the market; `min_profit` in base units of the
        cycle's base token, before gas. Raises MarketError for an unknown base token or a hop bound outside
        2..4."""
        if not 2 <= max_hops <= MAX_HOPS:
            raise MarketError(f"max_hops is {max_hops}, not within 2..{MAX_HOPS}")
        for token in base_tokens:
            if token not in market.token_row:
                raise MarketError(f"base token {token} is not in the market")
        self.market = market
        self.base_tokens = tuple(dict.fromkeys(base_tokens))
        self.max_hops = max_hops
        self.min_profit = max(1, min_profit)
        self.max_stored = max_stored
        self.refresh_index()

    @property
    def candidates_count(self) -> int:
        """Directed cycles in the index, one per base token a cycle passes through."""
        return self._screen.candidates_count

    def refresh_index(self) -> None:
        """Take pools added since into the index. Quarantined pools are in it too, at a rate of zero."""
        market = self.market
        pools, count = market.arrays, len(market.pools)
        bases = np.array([market.token_row[token] for token in self.base_tokens], np.int32)
        graph = build_graph(pools.token0[:count], pools.token1[:count], len(market.tokens), bases)
        self._screen = Screen(graph, bases, self.max_hops, count, self.max_stored)
        self._rates = np.zeros(2 * max(count, 1))
        self._all_rows = np.arange(count, dtype=np.int32)
        update_rates(self._rates, pools, self._all_rows)

    def find(
        self,
        changed_rows: NDArray[np.int32] | None,
        block: BlockRef,
        costs: GasCosts | None = None,
        limit: int | None = None,
    ) -> list[Opportunity]:
        """Opportunities through any of `changed_rows` (all when None), best net profit in native wei first.

        Every changed row must be reported once, else its rates go stale; `changed_rows` is i32[n] as
        `Market.apply` and `rewind` return it. A cycle through several base tokens appears once, from the base
        where it is worth most. At most `limit` are returned.
        """
        costs = costs or GasCosts()
        pools = self.market.arrays
        rows = self._all_rows if changed_rows is None else changed_rows[changed_rows < len(self._all_rows)]
        update_rates(self._rates, pools, rows)
        cycles = self._screen.candidates(self._rates, None if changed_rows is None else rows)
        amounts = np.zeros((len(cycles), 5, 4), np.uint64)
        profitable = np.zeros(len(cycles), np.uint8)
        solve_cycles_nb(pools, cycles, 0, len(cycles), amounts, profitable)
        won = np.flatnonzero(profitable)
        return self._rank(cycles[won], amounts[won], block, costs, limit)

    def _rank(
        self,
        cycles: NDArray[np.int32],
        amounts: NDArray[np.uint64],
        block: BlockRef,
        costs: GasCosts,
        limit: int | None,
    ) -> list[Opportunity]:
        flat = limbs_to_ints(amounts.reshape(-1, 4))
        best: dict[tuple[int, ...], tuple] = {}
        gas_of: dict[tuple, tuple[int, int]] = {}
        for n, padded in enumerate(cycles.tolist()):
            edges = tuple(edge for edge in padded if edge >= 0)
            values = flat[5 * n : 5 * n + len(edges) + 1]
            gross = values[-1] - values[0]
            if gross < self.min_profit:
                continue
            base = self._token_in(edges[0])
            protocols = tuple(self.market.pools[edge >> 1].protocol for edge in edges)
            gas = gas_of.get((base, protocols))
            if gas is None:
                units = costs.gas_units(protocols)
                gas = gas_of[base, protocols] = (units, costs.gas_cost(base, units))
            value = costs.value_wei(base, gross - gas[1])
            key = (value is not None, gross - gas[1] if value is None else value)
            ring = _canonical(edges)
            known = best.get(ring)
            if known is None or key > known[0]:
                best[ring] = (key, edges, values, gas)
        ranked = sorted(best.values(), key=lambda entry: (entry[0], entry[1]), reverse=True)
        return [self._opportunity(block, *entry[1:]) for entry in ranked[:limit]]

    def _token_in(self, edge: int) -> str:
        return self.market.token_in(edge)

    def _opportunity(
        self, block: BlockRef, edges: tuple[int, ...], values: list[int], gas: tuple[int, int]
    ) -> Opportunity:
        hops = []
        for k, edge in enumerate(edges):
            record = self.market.pools[edge >> 1]
            hops.append(
                Hop(
                    pool=record.key,
                    protocol=record.protocol,
                    venue=record.venue,
                    token_in=self.market.token_in(edge),
                    token_out=self.market.token_in(edge ^ 1),
                    amount_in=values[k],
                    amount_out=values[k + 1],
                    fee_pips=record.fee_pips,
                    details=record.details,
                    coin_in=record.tokens.index(self.market.token_in(edge)),
                    coin_out=record.tokens.index(self.market.token_in(edge ^ 1)),
                )
            )
        return Opportunity(block, hops[0].token_in, tuple(hops), *gas)


def _canonical(edges: tuple[int, ...]) -> tuple[int, ...]:
    """The rotation that begins with the smallest edge: the same for every start of one directed cycle."""
    k = edges.index(min(edges))
    return edges[k:] + edges[:k]
