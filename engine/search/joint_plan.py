"""From the joint optimum to cycles that can be carried out: sized, exact, and worth their gas.

The optimal trades are taken apart into cycles through base tokens. These are carried out one after another on
a private copy of the exact state, each sized anew where the ones before it left less; what is then still to be
had is found by solving again from there. With gas, cycles that don't pay for it are left out, and their pools
with them, and the optimum is sought again over the pools that remain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import PoolArrays, limbs_to_ints
from engine.search.joint_cycles import MAX_CYCLE_HOPS, peel_nb
from engine.search.joint_execute import execute_nb, private_state
from engine.search.joint_netted import NettedPlan, netted_plan
from engine.search.joint_solver import JointBound, JointSolver

_MAX_ROUNDS = 8
_MAX_CYCLES = 2_000
_ENOUGH = 1e-5
_LEAST_SHARE = 1e-9


@dataclass(frozen=True, slots=True)
class PlannedCycle:
    """One cycle of a plan: directed edges, and what each hop takes in, the cycle's output last; exact on the
    state the cycles before it left. `value` is its profit and `cost` its gas, in units of base token value."""

    edges: tuple[int, ...]
    amounts: tuple[int, ...]
    value: float
    cost: float

    @property
    def profit(self) -> int:
        """Base units of the token it starts from."""
        return self.amounts[-1] - self.amounts[0]


@dataclass(frozen=True, slots=True)
class JointPlan:
    """Cycles to be carried out in this order, and the bound on what any plan could have earned."""

    bound: JointBound
    netted: NettedPlan
    cycles: tuple[PlannedCycle, ...]

    @property
    def value(self) -> float:
        """Before gas."""
        return sum(cycle.value for cycle in self.cycles)

    @property
    def net_value(self) -> float:
        """After gas."""
        return sum(cycle.value - cycle.cost for cycle in self.cycles)

    @property
    def captured(self) -> float:
        """The part of the bound that is earned before gas; 1 where there is nothing to earn."""
        return self.value / self.bound.bound if self.bound.bound > 0.0 else 1.0


# What executing a cycle over these directed edges costs, in units of base token value.
Cost = Callable[[Sequence[int]], float]


def no_cost(_: Sequence[int]) -> float:
    """Gas is free."""
    return 0.0


class JointPlanner:
    """Plans over the pools of one solver. `pools` are read, never changed."""

    def __init__(self, solver: JointSolver, max_hops: int = MAX_CYCLE_HOPS):
        self.solver = solver
        self.max_hops = min(max_hops, MAX_CYCLE_HOPS)
        self._bases = np.array(sorted(solver.values), np.int32)

    def plan(self, pools: PoolArrays, cost: Cost = no_cost) -> JointPlan:
        """The best set of cycles found on the state the solver has read, which must be that of `pools`."""
        bound = self.solver.solve()
        netted = netted_plan(pools, self.solver, bound.trading)
        state, cycles = self._carry_out(pools, bound, None, cost)
        best = JointPlan(bound, netted, tuple(cycles))
        if cost is not no_cost:
            best = self._pruned(pools, best, cost)
        self.solver.read(pools, touched_rows(cycles))
        return best

    def _carry_out(
        self, pools: PoolArrays, bound: JointBound, rows: NDArray[np.int32] | None, cost: Cost
    ) -> tuple[PoolArrays, list[PlannedCycle]]:
        """Rounds of taking apart and carrying out until nearly all of the bound is had. `solver.flows` are
        those of `bound`; afterwards the solver holds the pools as the cycles left them."""
        state = private_state(pools)
        cycles: list[PlannedCycle] = []
        left = bound
        for _ in range(_MAX_ROUNDS):
            found = self._round(state, left, max(bound.bound * _ENOUGH, 0.0), cost)
            if not found:
                break
            cycles += found
            self.solver.read(state, touched_rows(found))
            left = self.solver.solve(rows)
            if left.bound <= _ENOUGH * bound.bound:
                break
        return state, cycles

    def _round(self, state: PoolArrays, bound: JointBound, least: float, cost: Cost) -> list[PlannedCycle]:
        flows = self.solver.flows
        found = np.empty((_MAX_CYCLES, MAX_CYCLE_HOPS), np.int32)
        wanted = np.empty(_MAX_CYCLES)
        prices = np.where(bound.prices > 0.0, bound.prices, 1.0)
        traded = float((prices[flows.sold[: bound.trading]] * flows.paid[: bound.trading]).sum())
        worth = traded * _LEAST_SHARE
        count = peel_nb(
            flows, bound.trading, prices, self._bases, self.max_hops, worth, found, wanted
        )
        edges = self._edges(found[:count])
        amounts = np.zeros((count, MAX_CYCLE_HOPS + 1, 4), np.uint64)
        done = np.zeros(count, np.uint8)
        execute_nb(state, edges, wanted[:count], amounts, done)
        return self._planned(state, edges, amounts, done, cost)

    def _edges(self, found: NDArray[np.int32]) -> NDArray[np.int32]:
        """Flows' indices as directed edges."""
        flows = self.solver.flows
        edges = 2 * flows.row[found] + self.solver.sells_token1(found)
        return np.where(found >= 0, edges, -1).astype(np.int32)

    def _planned(self, state, edges, amounts, done, cost) -> list[PlannedCycle]:
        values = self.solver.values
        flat = limbs_to_ints(amounts.reshape(-1, 4))
        planned = []
        for n in np.flatnonzero(done):
            path = tuple(edge for edge in edges[n].tolist() if edge >= 0)
            start = n * (MAX_CYCLE_HOPS + 1)
            own = tuple(flat[start : start + len(path) + 1])
            base = int((state.token1 if path[0] & 1 else state.token0)[path[0] >> 1])
            planned.append(PlannedCycle(path, own, (own[-1] - own[0]) * values[base], cost(path)))
        return planned


def touched_rows(cycles: Sequence[PlannedCycle]) -> NDArray[np.int32]:
    """The pool rows that the cycles pass, ascending."""
    return np.array(sorted({edge >> 1 for cycle in cycles for edge in cycle.edges}), np.int32)
