"""The best cycles of a search, without sizing or verifying those that cannot be among them.

No execution earns more than a cycle's ceiling, so one whose ceiling is worth less than the last of the best
verified cannot come among them: first by the cheap bound of `engine.search.ceilings`, then by its real-valued
optimum. Nothing is lost by that: the answer is the one that verifying every cycle gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.search.codes import UNSETTLED
from engine.search.ranking import Ranked, Ranking, is_found
from engine.search.screen import Candidates
from engine.search.solve import Solved, Solver, est_ceilings

# Relative error allowed to est values when they are compared.
_SLACK = 1e-9
_FIRST_BATCH = 32

Key = tuple[bool, float]
_LOWEST: Key = (False, -np.inf)


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

    def all(self) -> list[Ranked]:
        """Every profitable cycle, best first."""
        self._solver.solve_all(self._solved)
        return self._exact(is_found(self._solved.codes), None)

    def first(self, limit: int, ceilings: NDArray[np.float64]) -> list[Ranked]:
        """The `limit` best, given the cheap `ceilings` f64[n] of all candidates."""
        leaders, last = np.zeros(0, np.int64), _LOWEST
        picks = np.flatnonzero(ceilings >= self._min_profit)
        priced, values = self._above(self._solved.cycles[picks], ceilings[picks])
        batch = max(_FIRST_BATCH, limit)
        while len(picks):
            hopeful = _reach(priced, values, last)
            picks, priced, values = picks[hopeful], priced[hopeful], values[hopeful]
            if len(picks) > batch:
                order = np.argpartition(-_comparable(priced, values), batch)
            else:
                order = np.arange(len(picks))
            now, later = order[:batch], order[batch:]
            leaders, last = self._settle(picks[now], limit)
            picks, priced, values = picks[later], priced[later], values[later]
            batch = min(2 * batch, 2048)
        return self._exact(leaders, limit)

    def _settle(self, picks: NDArray[np.int64], limit: int) -> tuple[NDArray[np.int64], Key]:
        """Solve these, or size them and verify those that may come among the best, best first."""
        self._solver.solve_quick(self._solved, picks)
        picks = picks[self._solved.codes[picks] == UNSETTLED]
        leaders, last = self._leaders(limit)
        if not len(picks):
            return leaders, last
        ceilings = est_ceilings(self._solver.est_size(self._solved, picks))
        priced, values = self._above(self._solved.cycles[picks], ceilings)
        order = np.lexsort((-values, ~priced))
        done, batch = 0, max(4, limit // 2)
        while done < len(order):
            now = order[done : done + batch]
            now = now[_reach(priced[now], values[now], last)]
            if not len(now):
                break
            self._solver.verify(self._solved, picks[now])
            leaders, last = self._leaders(limit)
            done, batch = done + batch, 2 * batch
        return leaders, last

    def _above(
        self, cycles: NDArray[np.int32], ceilings: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Keys no lower than those of executions below the ceilings."""
        priced, values = self._ranking.est_values(cycles, ceilings)
        hopeless = ~(ceilings >= self._min_profit)
        finite = np.isfinite(values)
        values[finite] += np.abs(values[finite]) * _SLACK + 1.0
        values[hopeless] = -np.inf
        return priced, values

    def _leaders(self, limit: int) -> tuple[NDArray[np.int64], Key]:
        """(found cycles among which the best `limit` rings are, the est key of the last of those)."""
        solved, ring = self._solved, self._candidates.ring
        found = is_found(solved.codes)
        if not len(found):
            return found, _LOWEST
        cycles, codes, amounts = solved.cycles[found], solved.codes[found], solved.amounts[found]
        gains = self._ranking.est_gains(cycles, codes, amounts)
        priced, values = self._ranking.est_values(cycles, gains)
        order = np.lexsort((-values, ~priced))
        order = order[gains[order] >= self._min_profit * (1.0 - _SLACK)]
        seen: set[int] = set()
        for place, n in enumerate(order.tolist()):
            seen.add(int(ring[found[n]]))
            if len(seen) == limit:
                last = (bool(priced[n]), float(values[n]))
                floor = last[1] - abs(last[1]) * _SLACK - 1.0
                end = place + 1
                while end < len(order) and priced[order[end]] == last[0] and values[order[end]] >= floor:
                    end += 1
                return found[order[:end]], last
        return found[order], _LOWEST

    def _exact(self, picks: NDArray[np.int64], limit: int | None) -> list[Ranked]:
        solved = self._solved
        return self._ranking.best(
            solved.cycles, self._candidates.ring, solved.amounts, picks.tolist(), self._min_profit, limit
        )


def _reach(priced: NDArray[np.bool_], values: NDArray[np.float64], last: Key) -> NDArray[np.bool_]:
    """Which keys are not below `last`."""
    able = values > -np.inf
    if last[0]:
        return able & priced & (values >= last[1])
    return able & (priced | (values >= last[1]))


def _comparable(priced: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys as one number each, those with a price above all others."""
    return np.where(priced, np.maximum(values, 0.0) * 1e60 + 1e200, np.minimum(values, 1e199))
