"""The optimal trades as what the router can carry out: cycles through base tokens, and conversions.

Where the optimum prices a base token above its value, trades elsewhere want it. What cycles earn in it is
sold on along the optimum's own trades, to a base token that is worth just its value; such a path needs no
input but that profit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.search.joint_cycles import MAX_CYCLE_HOPS, peel_nb, peel_paths_nb
from engine.search.joint_solver import JointBound, JointSolver

_MAX_CYCLES = 2_000
_MAX_PATHS = 200
_LEAST_SHARE = 1e-9


@dataclass(frozen=True, slots=True)
class Wanted:
    """Cycles or paths: directed `edges` i32[n, MAX_CYCLE_HOPS], -1 after the last, and the `amounts` f64[n]
    that each should sell first."""

    edges: NDArray[np.int32]
    amounts: NDArray[np.float64]

    @property
    def paths(self) -> list[tuple[int, ...]]:
        """The edges of each."""
        return [tuple(edge for edge in padded if edge >= 0) for padded in self.edges.tolist()]


def peel(solver: JointSolver, bound: JointBound, max_hops: int) -> tuple[Wanted, Wanted]:
    """(cycles, conversions) that the trades of the last `solve`, of `bound`, consist of. They are used up."""
    flows, trading = solver.flows, bound.trading
    found = np.empty((_MAX_CYCLES, MAX_CYCLE_HOPS), np.int32)
    amounts = np.empty(_MAX_CYCLES)
    prices = np.where(bound.prices > 0.0, bound.prices, 1.0)
    least = float((prices[flows.sold[:trading]] * flows.paid[:trading]).sum()) * _LEAST_SHARE
    bases = np.array(sorted(solver.values), np.int32)
    # Gains are worth most in the base tokens at their value; others serve cycles that meet none of them.
    is_at_value = prices[bases] <= solver.floor[bases] * (1.0 + 1e-9)
    at_value, dear = bases[is_at_value], bases[~is_at_value]
    count = 0
    for starts in (at_value, bases):
        room = (found[count:], amounts[count:])
        count += peel_nb(flows, trading, prices, starts, max_hops, least, *room)
    cycles = _wanted(solver, found[:count], amounts[:count])
    paths, supplies = np.empty((_MAX_PATHS, MAX_CYCLE_HOPS), np.int32), np.empty(_MAX_PATHS)
    count = 0
    for token in dear:
        # What is left of the trades sells more of a token than it buys by what cycles earn in it.
        sold, bought = flows.sold[:trading] == token, flows.bought[:trading] == token
        supply = float(flows.paid[:trading][sold].sum() - flows.got[:trading][bought].sum())
        room = (paths[count:], supplies[count:])
        count += peel_paths_nb(flows, trading, prices, token, at_value, supply, max_hops, least, *room)
    return cycles, _wanted(solver, paths[:count], supplies[:count])


def _wanted(solver: JointSolver, found: NDArray[np.int32], amounts: NDArray[np.float64]) -> Wanted:
    edges = 2 * solver.flows.row[found] + solver.sells_token1(found)
    return Wanted(np.where(found >= 0, edges, -1).astype(np.int32), amounts)
