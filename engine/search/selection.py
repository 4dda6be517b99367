"""The best cycles of a search, without sizing or verifying those that cannot be among them.

No execution earns more than a cycle's ceiling, so one whose ceiling is worth less than the last of the best
verified cannot come among them: first by the cheap bound of `engine.search.ceilings`, then by its real-valued
optimum. Cycles are sized in the order of the one and verified in the order of the other. Nothing is lost by
that: the answer is the one that verifying every cycle gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.search.codes import UNSETTLED
from engine.search.order import LOWEST
from engine.search.ranking import Ranked, Ranking, is_found
from engine.search.screen import Candidates
from engine.search.solve import Solved, Solver, est_ceilings

_FIRST_BATCH, _LARGEST_BATCH = 32, 2048


class Selection:
    """Chooses among the candidates of one search."""

    def __init__(
        self, ranking: Ranking, candidates: Candidates, solver: Solver, solved: Solved, min_profit: int
    ) -> None:
        self._ranking = ranking
        self._candidates = candidates
        self._solver = solver
        self._solved = solved
        self._min_profit = min_profit
        nothing = np.zeros(0, np.int64)
        # Sized cycles that are still to be verified, and found ones, with their keys.
        self._sized = self._sized_keys = nothing
        self._found = self._found_keys = nothing

    def all(self) -> list[Ranked]:
        """Every profitable cycle, best first."""
        self._solver.solve_all(self._solved)
        return self._exact(is_found(self._solved.codes), None)

    def first(self, limit: int, ceilings: NDArray[np.float64]) -> list[Ranked]:
        """The `limit` best, given the cheap `ceilings` f64[n] of all candidates, which are written to."""
        limit = max(limit, 1)
        batch = max(_FIRST_BATCH, limit)
        while self._solved.complete:
            aim = self._last(limit, np.append(self._found, self._sized), self._known_keys())
            picks = self._ranking.most_promising(self._solved.cycles, ceilings, self._min_profit, aim, batch)
            if len(picks):
                ceilings[picks] = -np.inf
                self._size(picks)
                batch = min(4 * batch, _LARGEST_BATCH)
                continue
            last = self._last(limit, self._found, self._found_keys)
            if not self._verify(limit, last):
                break
        return self._exact(self._leaders(limit), limit)

    def _size(self, picks: NDArray[np.int64]) -> None:
        """Solve those of V2 pools alone, size the others."""
        self._solver.solve_quick(self._solved, picks)
        self._note_found(picks)
        picks = picks[self._solved.codes[picks] == UNSETTLED]
        if not len(picks):
            return
        keys = self._keys(picks, est_ceilings(self._solver.est_size(self._solved, picks)), room=True)
        hopeful = keys > LOWEST
        self._sized = np.append(self._sized, picks[hopeful])
        self._sized_keys = np.append(self._sized_keys, keys[hopeful])

    def _verify(self, limit: int, last: int) -> bool:
        """Verify the best of the sized cycles; False when none can come among the first any more."""
        order = np.argsort(self._sized_keys, kind="stable")[::-1]
        order = order[self._sized_keys[order] >= last]
        now, later = order[: limit + 2], order[limit + 2 :]
        if not len(now):
            return False
        picks = self._sized[now]
        self._sized, self._sized_keys = self._sized[later], self._sized_keys[later]
        self._solver.verify(self._solved, picks)
        self._note_found(picks)
        return True

    def _note_found(self, picks: NDArray[np.int64]) -> None:
        keys = self._keys(picks, self._ranking.est_gains(self._solved, picks), room=False)
        found = keys > LOWEST
        if found.any():
            self._found = np.append(self._found, picks[found])
            self._found_keys = np.append(self._found_keys, keys[found])

    def _keys(self, picks: NDArray[np.int64], gains: NDArray[np.float64], room: bool) -> NDArray[np.int64]:
        return self._ranking.est_keys(self._solved.cycles, picks, gains, self._min_profit, room)

    def _known_keys(self) -> NDArray[np.int64]:
        return np.append(self._found_keys, self._sized_keys)

    def _last(self, limit: int, picks: NDArray[np.int64], keys: NDArray[np.int64]) -> int:
        """The key of the last of the best `limit` rings among these; LOWEST while there are fewer."""
        if len(keys) < limit:
            return LOWEST
        if self._candidates.rings == len(self._solved.cycles):
            return int(np.partition(keys, len(keys) - limit)[len(keys) - limit])
        seen: set[int] = set()
        for k in np.argsort(keys, kind="stable")[::-1].tolist():
            seen.add(int(self._candidates.ring[picks[k]]))
            if len(seen) == limit:
                return int(keys[k])
        return LOWEST

    def _leaders(self, limit: int) -> NDArray[np.int64]:
        """Found cycles among which the best `limit` rings are."""
        last = self._last(limit, self._found, self._found_keys)
        gains = self._ranking.est_gains(self._solved, self._found)
        return self._found[self._keys(self._found, gains, room=True) >= last]

    def _exact(self, picks: NDArray[np.int64], limit: int | None) -> list[Ranked]:
        solved = self._solved
        return self._ranking.best(
            solved.cycles, self._candidates.ring, solved.amounts, picks.tolist(), self._min_profit, limit
        )
