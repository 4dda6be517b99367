"""From the joint optimum to what can be carried out: cycles and conversions, sized, exact, worth their gas.

The optimal trades are taken apart into cycles through base tokens and conversions of what these earn. They
are carried out one after another on a private copy of the exact state, each sized anew where the ones before
it left less; what is then still to be had is found by solving again from there. With gas, cycles that don't
pay for it are left out, and their pools with them, and the optimum is sought again over those that remain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import PoolArrays
from engine.search.joint_carry import (
    Cost,
    Planned,
    PlannedConversion,
    PlannedCycle,
    Rehearsed,
    net_value,
    no_cost,
    touched_rows,
    value_of,
)
from engine.search.joint_cycles import MAX_CYCLE_HOPS
from engine.search.joint_netted import NettedPlan, netted_plan
from engine.search.joint_peel import Wanted, peel
from engine.search.joint_solver import JointBound, JointSolver
from engine.search.trade import make_trades_ready

_MAX_ROUNDS = 8
_ENOUGH = 1e-5
_MAX_PRUNINGS = 5
_WORTH_PRUNING = 1e-4


@dataclass(frozen=True, slots=True)
class JointPlan:
    """Cycles to be carried out in this order and conversions after them, and the bound on what any plan could
    have earned. The cycles stand for themselves; a conversion needs what all of them earned."""

    bound: JointBound
    netted: NettedPlan
    cycles: tuple[PlannedCycle, ...]
    conversions: tuple[PlannedConversion, ...] = ()

    @property
    def planned(self) -> list[Planned]:
        """Cycles and conversions in the order of execution."""
        return [*self.cycles, *self.conversions]

    @property
    def value(self) -> float:
        """Before gas."""
        return value_of(self.planned)

    @property
    def net_value(self) -> float:
        """After gas."""
        return net_value(self.planned)

    @property
    def captured(self) -> float:
        """The part of the bound that is earned before gas; 1 where there is nothing to earn."""
        return self.value / self.bound.bound if self.bound.bound > 0.0 else 1.0


class JointPlanner:
    """Plans over the pools of one solver. `pools` are read, never changed."""

    def __init__(self, solver: JointSolver, max_hops: int = MAX_CYCLE_HOPS):
        make_trades_ready()
        self.solver = solver
        self.max_hops = min(max_hops, MAX_CYCLE_HOPS)

    def plan(self, pools: PoolArrays, cost: Cost = no_cost) -> JointPlan:
        """The best set of cycles found on the state the solver has read, which must be that of `pools`; each
        earns at least its cost."""
        bound = self.solver.solve()
        prices = self.solver.prices.copy()
        netted = netted_plan(pools, self.solver, bound.trading)
        planned = self._carry_out(pools, bound, None, cost)
        if cost is not no_cost:
            planned = self._pruned(pools, planned, cost)
        self.solver.prices[:] = prices
        return JointPlan(bound, netted, *in_order(pools, self.solver.values, planned, cost))

    def replan(self, pools: PoolArrays, planned: Sequence[Planned], cost: Cost) -> list[Planned]:
        """Other cycles over the pools of these, jointly sized; the same where others are worth no more."""
        prices = self.solver.prices.copy()
        better = self._pruned(pools, list(planned), cost)
        self.solver.prices[:] = prices
        return better

    def plan_over(self, pools: PoolArrays, rows: NDArray[np.int32], cost: Cost) -> list[Planned]:
        """What can be carried out over these pool rows alone, each cycle worth its cost."""
        return self._carry_out(pools, self.solver.solve(rows), rows, cost)

    def _pruned(self, pools: PoolArrays, best: list[Planned], cost: Cost) -> list[Planned]:
        """Plan again over only the pools of the best plan so far, as long as that is worth more."""
        for _ in range(_MAX_PRUNINGS):
            allowed = touched_rows(best)
            if not len(allowed):
                break
            planned = self.plan_over(pools, allowed, cost)
            if net_value(planned) <= net_value(best) * (1.0 + _WORTH_PRUNING):
                break
            best = planned
        return best

    def _carry_out(
        self, pools: PoolArrays, bound: JointBound, rows: NDArray[np.int32] | None, cost: Cost
    ) -> list[Planned]:
        """Rounds of taking apart and carrying out until nearly all of the bound is had. `solver.flows` are
        those of `bound`. Leaves the solver with the state of `pools`."""
        rehearsed = Rehearsed(pools, self.solver.values, cost)
        planned: list[Planned] = []
        left = bound
        for _ in range(_MAX_ROUNDS):
            cycles, conversions = peel(self.solver, left, self.max_hops)
            found: list[Planned] = [*rehearsed.cycles(cycles), *rehearsed.conversions(conversions)]
            if not found:
                break
            planned += found
            self.solver.read(rehearsed.state, touched_rows(found))
            left = self.solver.solve(rows)
            if left.bound <= _ENOUGH * bound.bound:
                break
        self.solver.read(pools, touched_rows(planned))
        return planned


def in_order(
    pools: PoolArrays, values: Mapping[int, float], planned: Sequence[Planned], cost: Cost
) -> tuple[tuple[PlannedCycle, ...], tuple[PlannedConversion, ...]]:
    """(cycles, conversions) of a plan, exact when all cycles come first."""
    cycles = tuple(one for one in planned if isinstance(one, PlannedCycle))
    conversions = tuple(one for one in planned if isinstance(one, PlannedConversion))
    if list(planned[: len(cycles)]) == list(cycles):
        return cycles, conversions
    rehearsed = Rehearsed(pools, values, cost)
    cycles = tuple(rehearsed.again(cycles))
    edges = np.full((len(conversions), MAX_CYCLE_HOPS), -1, np.int32)
    for n, one in enumerate(conversions):
        edges[n, : len(one.edges)] = one.edges
    amounts = np.array([float(one.amounts[0]) for one in conversions])
    return cycles, tuple(rehearsed.conversions(Wanted(edges, amounts)))
