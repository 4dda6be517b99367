"""From changed pools to ranked, exactly verified opportunities."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import int_to_limbs
from engine.domain.errors import MarketError
from engine.domain.market import BlockRef
from engine.market.market import Market
from engine.search.aim import Aim
from engine.search.costs import GasCosts
from engine.search.pairs import PairIndex, base_rows
from engine.search.ranking import PROTOCOL_CODE, Ranked, Ranking
from engine.search.screen import NO_BUDGET, Candidates, Screen
from engine.search.selection import Selection
from engine.search.solve import Solved, Solver
from engine.search.strategy import Found
from engine.search.trade import make_trades_ready
from engine.search.walk import MAX_HOPS
from engine.search.windows import Windows

MAX_CANDIDATES = 1 << 20
_UINT128 = (1 << 128) - 1
# Pairs a walk looks at in a second, at least.
_PAIRS_PER_SECOND = 5e7
# Cycles that one search solves without asking for memory.
_ROOM = 1 << 13
# How many promising cycles are looked at when the first few are wanted, at least: all in all and for each.
_PROMISING, _PROMISING_EACH, _MORE_PROMISING = 256, 4, 4096


class Finder:
    """Finds every profitable simple cycle of 2..max_hops hops that starts and ends in a base token.

    A float64 screen over the pair index, exact execution of what passes, ranking by net profit. Read-only on
    the market. State changes are seen through the rows given, quarantines and new pools at once.
    """

    def __init__(
        self,
        market: Market,
        base_tokens: Sequence[str],
        max_hops: int = 3,
        min_profit: int = 1,
        max_candidates: int = MAX_CANDIDATES,
        max_input: Mapping[str, int] | None = None,
    ) -> None:
        """`base_tokens` are lower-case addresses of tokens in the market; `min_profit` in base units of the
        cycle's base token, before gas; `max_candidates` bounds the memory of one search; `max_input` is the
        most a cycle may sell, base units by base token, for capital and risk limits. Raises MarketError for
        an unknown base token or a hop bound outside 2..4."""
        if not 2 <= max_hops <= MAX_HOPS:
            raise MarketError(f"max_hops is {max_hops}, not within 2..{MAX_HOPS}")
        for token in base_tokens:
            if token not in market.token_row:
                raise MarketError(f"base token {token} is not in the market")
        self.market = market
        self.base_tokens = tuple(dict.fromkeys(base_tokens))
        self.max_hops = max_hops
        self.min_profit = max(1, min_profit)
        bases = self._bases = base_rows(market.token_row, self.base_tokens)
        self._index = PairIndex(market.arrays, len(market.pools), len(market.tokens), bases)
        self._screen = Screen(self._index, bases, max_hops, max_candidates)
        make_trades_ready()
        self._protocol = np.zeros(0, np.uint8)
        self._max_input = dict(max_input or {})
        self._windows = Windows()
        # Written to, which is when the system gives it.
        self._amounts = np.full((_ROOM, 4, 2, 2), 1, np.uint64)
        self._caps = np.zeros((0, 2), np.uint64)
        self._note_pools()
        # Nothing to solve yet, but from here on the kernels are loaded.
        self._load_kernels()

    @property
    def candidates_count(self) -> int:
        """Directed cycles of the market within the bounds, once for each base token on them."""
        self.take_new_pools()
        return self._index.count_cycles(self.max_hops)

    def take_new_pools(self) -> None:
        """Insert pools added since into the index; searches do it by themselves."""
        market, known = self.market, self._index.pool_count
        if len(market.pools) > known:
            self._index.add_rows(market.arrays, known, len(market.pools), len(market.tokens))
            self._note_pools()

    def candidates(
        self, changed_rows: NDArray[np.int32] | None = None, deadline: float | None = None
    ) -> Candidates:
        """Cycles through any of `changed_rows` (all when None) that may pay at the market's present state; a
        view that the next call overwrites."""
        self._take(changed_rows)
        return self._screened(changed_rows, deadline)

    def _take(self, changed_rows: NDArray[np.int32] | None) -> None:
        """See the present state of these pools, and new ones."""
        self.take_new_pools()
        if changed_rows is None:
            self._index.update_all(self.market.arrays)
        else:
            self._index.update(self.market.arrays, changed_rows)

    def _screened(
        self, changed_rows: NDArray[np.int32] | None, deadline: float | None, aims: Sequence[Aim] = ()
    ) -> Candidates:
        budget = NO_BUDGET
        if deadline is not None:
            budget = max(int((deadline - time.monotonic()) * _PAIRS_PER_SECOND), 0)
        return self._screen.candidates(changed_rows, self.market.arrays.group, budget, aims)

    def solve(self, changed_rows: NDArray[np.int32] | None = None, deadline: float | None = None) -> Solved:
        """The best exact execution of every candidate, as arrays; views that the next search overwrites."""
        candidates = self.candidates(changed_rows, deadline)
        solver = Solver(self.market.arrays, self._caps, self._windows, deadline)
        solved = self._unsolved(candidates.cycles)
        solver.solve_all(solved)
        solved.complete = solved.complete and candidates.complete
        return solved

    def est_ceilings(self, candidates: Candidates) -> NDArray[np.float64]:
        """est profit before costs, base units, that no execution of each candidate exceeds."""
        return self._index.est_ceilings(self.market.arrays, candidates.cycles)

    def find(
        self,
        changed_rows: NDArray[np.int32] | None,
        block: BlockRef,
        costs: GasCosts | None = None,
        limit: int | None = None,
        deadline: float | None = None,
    ) -> Found:
        """Opportunities through any of `changed_rows` (all when None), best net profit in native wei first.

        Every changed row must be reported once, else its rates go stale; `changed_rows` is i32[n] as
        `Market.apply` and `rewind` return it. A cycle through several base tokens appears once, from the base
        where it is worth most. At most `limit` are returned; after `deadline` (`time.monotonic()` seconds)
        only what was found until then.
        """
        self._take(changed_rows)
        ranking = Ranking(self.market, self._protocol, costs or GasCosts())
        if limit is None:
            return self._found(block, ranking, *self._choose(ranking, changed_rows, None, deadline, ()))
        return self._found(block, ranking, *self._first(ranking, changed_rows, limit, deadline))

    def _first(
        self, ranking: Ranking, changed_rows: NDArray[np.int32] | None, limit: int, deadline: float | None
    ) -> tuple[list[Ranked], Candidates, bool]:
        """The `limit` best: first among a few promising cycles, then among more where those passed over might
        still be better, at last among all."""
        bends = self._index.bends(self.market.arrays)
        known: list[Ranked] = []
        for count in (max(_PROMISING, _PROMISING_EACH * limit), _MORE_PROMISING, 0):
            last = known[limit - 1] if 0 < limit <= len(known) else None
            aims = ranking.aims(bends, self._bases, count, last) if count else []
            ranked, candidates, complete = self._choose(ranking, changed_rows, limit, deadline, aims)
            if not complete and known:
                # Exact and ranked, and the best of the promising.
                return known, candidates, False
            known = ranked
            last = known[limit - 1] if 0 < limit <= len(known) else None
            if not complete or ranking.none_missed(aims, self._bases, last):
                break
        return known, candidates, complete

    def _choose(
        self,
        ranking: Ranking,
        changed_rows: NDArray[np.int32] | None,
        limit: int | None,
        deadline: float | None,
        aims: Sequence[Aim],
    ) -> tuple[list[Ranked], Candidates, bool]:
        """The best of the candidates, among the promising alone where there are `aims`; whether all was done
        by the deadline."""
        candidates = self._screened(changed_rows, deadline, aims)
        solver = Solver(self.market.arrays, self._caps, self._windows, deadline)
        solved = self._unsolved(candidates.cycles)
        if not len(solved.cycles):
            return [], candidates, candidates.complete
        selection = Selection(ranking, candidates, solver, solved, self.min_profit)
        if limit is None:
            ranked = selection.all()
        else:
            ranked = selection.first(limit, self.est_ceilings(candidates))
        return ranked, candidates, candidates.complete and solved.complete

    @staticmethod
    def _found(
        block: BlockRef, ranking: Ranking, ranked: list[Ranked], candidates: Candidates, complete: bool
    ) -> Found:
        return Found(
            (ranking.opportunity(block, one) for one in ranked),
            partial=not complete,
            screened=candidates.rings,
        )

    def _unsolved(self, cycles: NDArray[np.int32]) -> Solved:
        """In the memory of the last search, which spares asking the system for it."""
        if len(self._amounts) < len(cycles):
            self._amounts = np.empty((len(cycles) + len(cycles) // 4, 4, 2, 2), np.uint64)
        return Solved.unsolved(cycles, self._amounts)

    def _load_kernels(self) -> None:
        solver = Solver(self.market.arrays, self._caps, self._windows)
        nothing = Solved.unsolved(np.zeros((0, 4), np.int32))
        none = np.zeros(0, np.int64)
        solver.solve_quick(nothing, none)
        solver.est_size(nothing, none)
        solver.verify(nothing, none)
        ranking = Ranking(self.market, self._protocol, GasCosts())
        self.candidates(np.zeros(0, np.int32))
        candidates = Candidates(nothing.cycles, np.zeros(0, np.int32), 0, True)
        Selection(ranking, candidates, solver, nothing, self.min_profit).first(
            1, self.est_ceilings(candidates)
        )

    def _note_pools(self) -> None:
        first = len(self._protocol)
        codes = [PROTOCOL_CODE[record.protocol] for record in self.market.pools[first:]]
        self._protocol = np.append(self._protocol, np.array(codes, np.uint8))
        self._caps = np.full((max(len(self.market.tokens), 1), 2), ~np.uint64(0))
        for token, most in self._max_input.items():
            if token in self.market.token_row:
                self._caps[self.market.token_row[token]] = int_to_limbs(min(max(most, 0), _UINT128), 2)
