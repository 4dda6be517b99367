"""The best cycles of a search, without verifying those that cannot be among them.

No execution earns more than a cycle's real-valued optimum, so one whose optimum is worth less than the last
of the best verified cannot come among them. Nothing is lost by that: the answer is the one that verifying
every cycle gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.search.ranking import Ranked, Ranking, is_found
from engine.search.screen import Candidates
from engine.search.solve import Rest, Solved

# Relative error allowed to est values when they are compared.
_SLACK = 1e-9
_FIRST_BATCH = 4

Key = tuple[bool, float]
_LOWEST: Key = (False, -np.inf)


class Selection:
    """Chooses among the candidates of one search."""

    def __init__(
        self, ranking: Ranking, candidates: Candidates, solved: Solved, rest: Rest, min_profit: int
    ) -> None:
        self._ranking = ranking
        self._candidates = candidates
        self._solved = solved
        self._rest = rest
        self._min_profit = min_profit

    def all(self) -> list[Ranked]:
        """Every profitable cycle, best first."""
        self._rest.verify_all()
        return self._exact(is_found(self._solved.codes), None)

    def first(self, limit: int) -> list[Ranked]:
        """The `limit` best."""
        picks, last = self._leaders(limit)
        rest = self._rest
        if len(rest.picks):
            ceilings = rest.est_ceilings()
            priced, values = self._ranking.est_values(self._solved.cycles[rest.picks], ceilings)
            hopeless = ~(ceilings >= self._min_profit)
            values[hopeless] = 0.0
            values += np.abs(values) * _SLACK
            values[hopeless] = -np.inf
            order = np.lexsort((-values, ~priced))
            done, batch = 0, _FIRST_BATCH
            while done < len(order) and solvable(priced, values, order[done], last):
                batch_end = min(done + batch, len(order))
                rest.verify(order[done:batch_end])
                done, batch = batch_end, 2 * batch
                picks, last = self._leaders(limit)
        return self._exact(picks, limit)

    def _leaders(self, limit: int) -> tuple[NDArray[np.int64], Key]:
        """(found cycles among which the best `limit` rings are, the est key of the last of those)."""
        solved, ring = self._solved, self._candidates.ring
        found = is_found(solved.codes)
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


def solvable(priced: NDArray[np.bool_], values: NDArray[np.float64], n: int, last: Key) -> bool:
    """Whether the ceiling of cycle `n` may rank at or above `last`."""
    return bool(values[n] > -np.inf) and (bool(priced[n]), float(values[n]) + 1.0) >= last
