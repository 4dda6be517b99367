"""Exact best executions of candidate cycles: chains of V2 pools at once, the others sized first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import PoolArrays
from engine.search.codes import UNSETTLED, UNTRIED
from engine.search.general_sizing import size_cycles_nb
from engine.search.v2_chain import solve_chains_nb
from engine.search.verify import verify_cycles_nb
from engine.search.workers import run_in_chunks

# What one cycle takes, roughly, in microseconds.
_CHAIN_US, _SIZE_US, _VERIFY_US = 0.6, 3.0, 30.0
# Relative error allowed to an est profit: sums and products of a few roundings stay far below it.
_SLACK = 1e-9


@dataclass(slots=True)
class Solved:
    """`cycles` i32[n, 4] with what became of them, `codes` u8[n]; `amounts` u64[n, 4, 2, 2] holds for each
    hop of a cycle that was FOUND its input and output, two limbs each. `complete` is False when the deadline
    came first."""

    cycles: NDArray[np.int32]
    codes: NDArray[np.uint8]
    amounts: NDArray[np.uint64]
    complete: bool = True


def solve_quick(
    pools: PoolArrays, cycles: NDArray[np.int32], caps: NDArray[np.uint64], deadline: float | None = None
) -> Solved:
    """Solve the cycles of V2 pools alone; the others are left UNSETTLED. `caps` u64[T, 2] bound what a cycle
    may sell, by the token row of its start."""
    count = len(cycles)
    codes = np.full(count, UNTRIED, np.uint8)
    amounts = np.empty((count, 4, 2, 2), np.uint64)
    complete = run_in_chunks(
        lambda begin, end: solve_chains_nb(pools, cycles, caps, begin, end, amounts, codes),
        count,
        _CHAIN_US,
        deadline,
    )
    return Solved(cycles, codes, amounts, complete)


class Rest:
    """The cycles `solve_quick` left, sized: verified all, or best first as far as asked."""

    def __init__(
        self, pools: PoolArrays, solved: Solved, caps: NDArray[np.uint64], deadline: float | None = None
    ) -> None:
        self._pools = pools
        self._caps = caps
        self._solved = solved
        self._deadline = deadline
        self.picks = np.flatnonzero(solved.codes == UNSETTLED)
        self.sizes = np.zeros((len(self.picks), 3))
        sized = run_in_chunks(
            lambda begin, end: size_cycles_nb(pools, solved.cycles, self.picks, begin, end, self.sizes),
            len(self.picks),
            _SIZE_US,
            deadline,
        )
        solved.complete = solved.complete and sized

    def est_ceilings(self) -> NDArray[np.float64]:
        """est profit, base units, that no execution of `picks` exceeds."""
        size, gain = self.sizes[:, 0], self.sizes[:, 2]
        return np.where(size > 0.0, gain * (1.0 + _SLACK) + size * 1e-14 + 1.0, -np.inf)

    def verify(self, order: NDArray[np.int64]) -> None:
        """Verify `picks[order]`."""
        solved = self._solved
        verified = run_in_chunks(
            lambda begin, end: verify_cycles_nb(
                self._pools,
                solved.cycles,
                self.picks,
                self.sizes,
                self._caps,
                order,
                begin,
                end,
                solved.amounts,
                solved.codes,
            ),
            len(order),
            _VERIFY_US,
            self._deadline,
        )
        solved.complete = solved.complete and verified

    def verify_all(self) -> None:
        """Verify every one, the most promising first, for the deadline's sake."""
        self.verify(np.argsort(-self.sizes[:, 2], kind="stable"))
