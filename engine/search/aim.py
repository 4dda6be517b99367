"""What a walk aims at when only the best cycles are wanted: the largest worths met so far.

Worth is est profit before costs that a cycle cannot exceed (`engine.search.ceilings`), less what its hops
cost, in base units. A walk notes the largest ones and passes over what is not above the least of them. An
infinite one is never passed over, and not noted: it would say nothing of the others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

LEAST, LEAST_COST, _COUNT = range(3)


class Aim(NamedTuple):
    """One base token's; the kernels take it as a plain tuple. Nothing is passed over without `tops`."""

    bends: NDArray[np.float32]  # [2P, 2] of `engine.search.ceilings`
    protocol: NDArray[np.uint8]  # [P] codes
    costs: NDArray[np.float64]  # base units a hop costs, by code
    tops: NDArray[np.float64]  # a heap of the largest worths, the least first
    state: NDArray[np.float64]  # the worth to be above, what every hop costs, how many are noted

    @property
    def passed_over(self) -> float:
        """The worth that nothing passed over exceeds: minus infinity when nothing was."""
        return float(self.state[LEAST])


def new_aim(
    bends: NDArray[np.float32],
    protocol: NDArray[np.uint8],
    costs: NDArray[np.float64],
    count: int,
    least: float,
) -> Aim:
    """To find the cycles of the `count` largest worths above `least`, and some more; all when it is 0."""
    state = np.array([least, float(costs.min()), 0.0])
    return Aim(bends, protocol, costs, np.full(count, -np.inf), state)


NO_AIM = new_aim(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), np.zeros(1), 0, -np.inf)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def note_nb(tops, state, worth):
    """Note the worth of a cycle that is above the least."""
    if worth == np.inf:
        return
    count, room = np.int64(state[_COUNT]), len(tops)
    if count < room:
        at = count
        while at > 0 and tops[(at - 1) >> 1] > worth:
            tops[at] = tops[(at - 1) >> 1]
            at = (at - 1) >> 1
        state[_COUNT] = count + 1
    else:
        at = 0
        while 2 * at + 1 < room:
            child = 2 * at + 1
            if child + 1 < room and tops[child + 1] < tops[child]:
                child += 1
            if tops[child] >= worth:
                break
            tops[at] = tops[child]
            at = child
    tops[at] = worth
    if state[_COUNT] == room:
        state[LEAST] = tops[0]
