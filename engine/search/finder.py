"""From changed pools to ranked, exactly verified opportunities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import MarketError
from engine.domain.market import BlockRef
from engine.domain.opportunity import Hop, Opportunity
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.cycles import Screen, update_rates
from engine.search.graph import MAX_HOPS, build_graph
from engine.search.parallel import available_cores, run_in_chunks
from engine.search.ranking import RankedCycle, Ranking
from engine.search.verify import SIZE_COLUMNS, size_cycles_nb, verify_cycles_nb

MAX_STORED_CYCLES = 8_000_000


class Finder:
    """Finds every profitable simple cycle of 2..max_hops hops that starts and ends in a base token.

    Stages: a float64 screen over the cycle index, a closed-form size for each survivor, exact integer
    verification and polish in the order of what the sizes promise; only the last makes an `Opportunity`.
    Read-only on the market. Pools added after construction are seen after `refresh_index`; state changes and
    quarantines are seen at once.
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
        self._cores = available_cores()
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
        where it is worth most. At most `limit` are returned, and they are the first of those that would be
        without it: only cycles that cannot come among them are left unverified.
        """
        pools = self.market.arrays
        rows = self._all_rows if changed_rows is None else changed_rows[changed_rows < len(self._all_rows)]
        update_rates(self._rates, pools, rows)
        cycles = self._screen.candidates(self._rates, None if changed_rows is None else rows)
        if not len(cycles):
            return []
        sizes = np.zeros((len(cycles), SIZE_COLUMNS))
        run_in_chunks(partial(self._size, cycles, sizes), len(cycles), self._cores)
        won = np.flatnonzero(sizes[:, 0] > 0.0)
        cycles, sizes = cycles[won], sizes[won]
        ranking = Ranking(self.market, cycles, sizes, costs or GasCosts())
        best = ranking.best(partial(self._verify, cycles, sizes), self.min_profit, limit)
        return [self._opportunity(block, ranked) for ranked in best]

    def _size(self, cycles: NDArray[np.int32], sizes: NDArray[np.float64], begin: int, end: int) -> None:
        size_cycles_nb(self.market.arrays, cycles, begin, end, sizes)

    def _verify(
        self, cycles: NDArray[np.int32], sizes: NDArray[np.float64], picks: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        pools = self.market.arrays
        amounts = np.zeros((len(picks), 5, 4), np.uint64)
        profitable = np.zeros(len(picks), np.uint8)

        def verify(begin: int, end: int) -> None:
            verify_cycles_nb(pools, cycles, sizes, picks, begin, end, amounts, profitable)

        run_in_chunks(verify, len(picks), self._cores)
        return amounts, profitable

    def _opportunity(self, block: BlockRef, ranked: RankedCycle) -> Opportunity:
        hops = []
        for k, edge in enumerate(ranked.edges):
            record = self.market.pools[edge >> 1]
            hops.append(
                Hop(
                    pool=record.address,
                    protocol=record.protocol,
                    venue=record.venue,
                    token_in=record.tokens[edge & 1],
                    token_out=record.tokens[1 - (edge & 1)],
                    amount_in=ranked.amounts[k],
                    amount_out=ranked.amounts[k + 1],
                    fee_pips=record.fee_pips,
                )
            )
        return Opportunity(block, hops[0].token_in, tuple(hops), ranked.gas_units, ranked.gas_cost)
