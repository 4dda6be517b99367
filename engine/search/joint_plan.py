"""From the joint optimum to cycles that can be carried out: sized, exact, and worth their gas.

The optimal trades are taken apart into cycles through base tokens. These are carried out one after another
on a private copy of the exact state, each sized anew where the ones before it left less; what is then still
to be had is found by solving again from there. With gas, cycles that don't pay for it are left out, and their
pools with them, and the optimum is sought again over the pools that remain.
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
from engine.search.trade import make_trades_ready

_MAX_ROUNDS = 8
_MAX_CYCLES = 2_000
_ENOUGH = 1e-5
_LEAST_SHARE = 1e-9
_MAX_PRUNINGS = 5
_WORTH_PRUNING = 1e-4


@dataclass(frozen=True, slots=True)
class PlannedCycle:
    """One cycle of a plan: directed edges, and what each hop takes in, the cycle's output last; exact on the
    state the cycles before it left. `value` is its profit, `cost` its gas, in units of base token value."""

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
        return net_value(self.cycles)

    @property
    def captured(self) -> float:
        """The part of the bound that is earned before gas; 1 where there is nothing to earn."""
        return self.value / self.bound.bound if self.bound.bound > 0.0 else 1.0


def net_value(cycles: Sequence[PlannedCycle]) -> float:
    """What cycles earn together after their own costs."""
    return sum(cycle.value - cycle.cost for cycle in cycles)


# What executing a cycle over these directed edges costs, in units of base token value.
Cost = Callable[[Sequence[int]], float]


def no_cost(_: Sequence[int]) -> float:
    """Gas is free."""
    return 0.0


class JointPlanner:
    """Plans over the pools of one solver. `pools` are read, never changed."""

    def __init__(self, solver: JointSolver, max_hops: int = MAX_CYCLE_HOPS):
        make_trades_ready()
        self.solver = solver
        self.max_hops = min(max_hops, MAX_CYCLE_HOPS)
        self._bases = np.array(sorted(solver.values), np.int32)

    def plan(self, pools: PoolArrays, cost: Cost = no_cost) -> JointPlan:
        """The best set of cycles found on the state the solver has read, which must be that of `pools`; each
        earns at least its cost."""
        bound = self.solver.solve()
        prices = self.solver.prices.copy()
        netted = netted_plan(pools, self.solver, bound.trading)
        cycles = self._carry_out(pools, bound, None, cost)
        if cost is not no_cost:
            cycles = self._pruned(pools, cycles, cost)
        self.solver.prices[:] = prices
        return JointPlan(bound, netted, tuple(cycles))

    def replan(self, pools: PoolArrays, cycles: Sequence[PlannedCycle], cost: Cost) -> list[PlannedCycle]:
        """Other cycles over the pools of these, jointly sized; the same where others are worth no more."""
        prices = self.solver.prices.copy()
        better = self._pruned(pools, list(cycles), cost)
        self.solver.prices[:] = prices
        return better

    def _pruned(self, pools: PoolArrays, best: list[PlannedCycle], cost: Cost) -> list[PlannedCycle]:
        """Plan again over only the pools of the best cycles so far, as long as that is worth more."""
        for _ in range(_MAX_PRUNINGS):
            allowed = touched_rows(best)
            if not len(allowed):
                break
            cycles = self._carry_out(pools, self.solver.solve(allowed), allowed, cost)
            if net_value(cycles) <= net_value(best) * (1.0 + _WORTH_PRUNING):
                break
            best = cycles
        return best

    def _carry_out(
        self, pools: PoolArrays, bound: JointBound, rows: NDArray[np.int32] | None, cost: Cost
    ) -> list[PlannedCycle]:
        """Rounds of taking apart and carrying out until nearly all of the bound is had. `solver.flows` are
        those of `bound`. Leaves the solver with the state of `pools`."""
        state = private_state(pools)
        cycles: list[PlannedCycle] = []
        left = bound
        for _ in range(_MAX_ROUNDS):
            found = self._round(state, left, cost)
            if not found:
                break
            cycles += found
            self.solver.read(state, touched_rows(found))
            left = self.solver.solve(rows)
            if left.bound <= _ENOUGH * bound.bound:
                break
        self.solver.read(pools, touched_rows(cycles))
        return cycles

    def _round(self, state: PoolArrays, bound: JointBound, cost: Cost) -> list[PlannedCycle]:
        flows, trading = self.solver.flows, bound.trading
        found = np.empty((_MAX_CYCLES, MAX_CYCLE_HOPS), np.int32)
        wanted = np.empty(_MAX_CYCLES)
        prices = np.where(bound.prices > 0.0, bound.prices, 1.0)
        least = float((prices[flows.sold[:trading]] * flows.paid[:trading]).sum()) * _LEAST_SHARE
        # Gains are worth most in the base tokens at their value; others serve cycles that meet none of them.
        at_value = self._bases[prices[self._bases] <= self.solver.floor[self._bases] * (1.0 + 1e-9)]
        count = 0
        for bases in (at_value, self._bases):
            room = (found[count:], wanted[count:])
            count += peel_nb(flows, trading, prices, bases, self.max_hops, least, *room)
        edges = 2 * flows.row[found[:count]] + self.solver.sells_token1(found[:count])
        edges = np.where(found[:count] >= 0, edges, -1).astype(np.int32)
        paths = [tuple(edge for edge in padded if edge >= 0) for padded in edges.tolist()]
        costs = [cost(path) for path in paths]
        starts = [base_row(state, path) for path in paths]
        floors = np.array([each / self.solver.values[t] for each, t in zip(costs, starts, strict=True)])
        amounts = np.zeros((count, MAX_CYCLE_HOPS + 1, 4), np.uint64)
        done = np.zeros(count, np.uint8)
        execute_nb(state, edges, wanted[:count], floors, amounts, done)
        flat = limbs_to_ints(amounts.reshape(-1, 4))
        planned = []
        for n in np.flatnonzero(done).tolist():
            first = n * (MAX_CYCLE_HOPS + 1)
            own = tuple(flat[first : first + len(paths[n]) + 1])
            value = (own[-1] - own[0]) * self.solver.values[starts[n]]
            planned.append(PlannedCycle(paths[n], own, value, costs[n]))
        return planned


def base_row(pools: PoolArrays, path: Sequence[int]) -> int:
    """The token row that a cycle starts from."""
    return int((pools.token1 if path[0] & 1 else pools.token0)[path[0] >> 1])


def touched_rows(cycles: Sequence[PlannedCycle]) -> NDArray[np.int32]:
    """The pool rows that the cycles pass, ascending."""
    return np.array(sorted({edge >> 1 for cycle in cycles for edge in cycle.edges}), np.int32)
