"""Choosing which pools a joint plan is worth touching, when every swap costs gas.

Gas makes the optimum one of choosing, without a convex bound that is tight. So pools whose gain at the dual
prices is below their gas are taken out step by step, and cycles are left out one at a time for as long as the
others, sized anew over their own pools, net more without.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import PoolArrays
from engine.search.joint_carry import Cost, Planned, net_value, touched_rows
from engine.search.joint_plan import JointPlanner
from engine.search.joint_solver import JointBound, JointSolver

# Taken out first is what gains next to nothing, since what is left gains more without it.
_SHARES = (0.2, 0.5, 1.0, 1.0)
_MAX_TRIALS = 60
_WORTH_IT = 1e-6


def thinned(
    planner: JointPlanner, pools: PoolArrays, prices: NDArray[np.float64], strictness: float, cost: Cost
) -> list[Planned]:
    """A plan over the pools that gain at least `strictness` times their gas when only such pools trade; from
    the dual `prices` f64[tokens] of all pools on."""
    solver = planner.solver
    before = solver.prices.copy()
    solver.prices[:] = prices
    rows: NDArray[np.int32] | None = None
    for share in _SHARES:
        bound = solver.solve(rows)
        trading = solver.flows.row[: bound.trading].copy()
        costs = np.array([cost((2 * int(row),)) for row in trading])
        rows = np.sort(trading[_gains(solver, bound) >= share * strictness * costs])
        if not len(rows):
            break
    planned = planner.plan_over(pools, rows, cost) if rows is not None and len(rows) else []
    solver.prices[:] = before
    return planned


def without_the_least(
    planner: JointPlanner,
    pools: PoolArrays,
    planned: Sequence[Planned],
    cost: Cost,
    deadline: float | None = None,
) -> list[Planned]:
    """Leave out the cycles that net least, one by one, for as long as the rest nets more without; until
    `deadline` (`time.monotonic()` seconds)."""
    best = list(planned)
    before = planner.solver.prices.copy()
    trials, found = 0, True
    while found:
        found = False
        for one in sorted(best, key=lambda each: each.value - each.cost):
            rows = touched_rows(other for other in best if other is not one)
            late = deadline is not None and time.monotonic() >= deadline
            if not len(rows) or trials == _MAX_TRIALS or late:
                break
            trials += 1
            rest = planner.plan_over(pools, rows, cost)
            if net_value(rest) > net_value(best) * (1.0 + _WORTH_IT):
                best, found = rest, True
                break
    planner.solver.prices[:] = before
    return best


def _gains(solver: JointSolver, bound: JointBound) -> NDArray[np.float64]:
    """What each trade of the last `solve` gains at its prices."""
    flows, count = solver.flows, bound.trading
    bought, sold = flows.bought[:count], flows.sold[:count]
    gains: NDArray[np.float64] = bound.prices[bought] * flows.got[:count]
    return gains - bound.prices[sold] * flows.paid[:count]
