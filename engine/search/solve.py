"""Exact best executions of candidate cycles: chains of V2 pools at once, the others sized first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import PoolArrays
from engine.search.codes import UNSETTLED
from engine.search.est_sizing import est_sizes_nb
from engine.search.general_sizing import size_cycles_nb
from engine.search.v2_chain import solve_chains_nb
from engine.search.verify import verify_cycles_nb
from engine.search.windows import Windows
from engine.search.workers import run_in_chunks

# What one cycle takes, roughly, in microseconds.
_CHAIN_US, _EST_SIZE_US, _SIZE_US, _VERIFY_US = 0.6, 0.6, 5.0, 20.0
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

    @classmethod
    def unsolved(cls, cycles: NDArray[np.int32], amounts: NDArray[np.uint64] | None = None) -> Solved:
        """Nothing is known of any of them; `amounts` is memory to use, where it is large enough."""
        count = len(cycles)
        if amounts is None or len(amounts) < count:
            amounts = np.empty((count, 4, 2, 2), np.uint64)
        return cls(cycles, np.full(count, UNSETTLED, np.uint8), amounts[:count])


class Solver:
    """Solves the cycles of one search against `pools`, until `deadline`. `caps` u64[T, 2] bound what a cycle
    may sell, by the token row of its start; `windows` are kept from search to search."""

    def __init__(
        self,
        pools: PoolArrays,
        caps: NDArray[np.uint64],
        windows: Windows,
        deadline: float | None = None,
    ) -> None:
        self._pools = pools
        self._caps = caps
        self._windows = windows
        self._deadline = deadline
        windows.begin()

    def solve_quick(self, solved: Solved, picks: NDArray[np.int64]) -> None:
        """Solve those of `picks` that are of V2 pools alone; the others are left UNSETTLED."""
        done = run_in_chunks(
            lambda begin, end: solve_chains_nb(
                self._pools, solved.cycles, picks, self._caps, begin, end, solved.amounts, solved.codes
            ),
            len(picks),
            _CHAIN_US,
            self._deadline,
        )
        solved.complete = solved.complete and done

    def size(self, solved: Solved, picks: NDArray[np.int64]) -> NDArray[np.float64]:
        """The real-valued optima of `picks`: f64[n, 3] of the input, a double-double in base units, and the
        est profit; zeros where nothing pays or the deadline came first."""
        sizes = np.zeros((len(picks), 3))
        sized = run_in_chunks(
            lambda begin, end: size_cycles_nb(self._pools, solved.cycles, picks, begin, end, sizes),
            len(picks),
            _SIZE_US,
            self._deadline,
        )
        solved.complete = solved.complete and sized
        return sizes

    def est_size(self, solved: Solved, picks: NDArray[np.int64]) -> NDArray[np.float64]:
        """est optima of `picks`: f64[n, 2] of the input and the profit, zeros likewise."""
        sizes = np.zeros((len(picks), 2))
        sized = run_in_chunks(
            lambda begin, end: est_sizes_nb(self._pools, solved.cycles, picks, begin, end, sizes),
            len(picks),
            _EST_SIZE_US,
            self._deadline,
        )
        solved.complete = solved.complete and sized
        return sizes

    def verify(self, solved: Solved, picks: NDArray[np.int64]) -> None:
        """Size, execute and polish `picks` in their order."""
        sizes = self.size(solved, picks)
        tables = self._windows.show(self._pools, solved.cycles, picks)
        verified = run_in_chunks(
            lambda begin, end: verify_cycles_nb(
                self._pools,
                tables,
                solved.cycles,
                picks,
                sizes,
                self._caps,
                begin,
                end,
                solved.amounts,
                solved.codes,
            ),
            len(picks),
            _VERIFY_US,
            self._deadline,
        )
        solved.complete = solved.complete and verified

    def solve_all(self, solved: Solved) -> None:
        """Solve every cycle; those not of V2 pools alone best first, for the deadline's sake."""
        self.solve_quick(solved, np.arange(len(solved.cycles)))
        picks = np.flatnonzero(solved.codes == UNSETTLED)
        if not len(picks):
            return
        promise = self.est_size(solved, picks)[:, 1]
        self.verify(solved, picks[np.argsort(-promise, kind="stable")])


def est_ceilings(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """est profit, base units, that no execution of est sized cycles exceeds; minus infinity where none."""
    size, gain = sizes[:, 0], sizes[:, 1]
    return np.where(size > 0.0, gain * (1.0 + _SLACK) + size * 1e-13 + 1.0, -np.inf)
