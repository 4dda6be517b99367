"""A bound on what any plan nets after gas: each pool that trades pays its gas once at least.

Without gas the joint optimum is the least, over token prices, of the sum of all pools' best gains. With it a
pool adds its gain less its gas, or nothing, so that the sum of max(gain - gas, 0) at any prices is a bound,
the least over prices the best of that kind (the Lagrangian dual of the choice of pools). What it leaves open,
branch and bound decides: a pool is taken in, and pays whatever it gains, or left out. Where the other choice
alone lowers the bound below what is asked for, a pool is fixed without trying.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.search.joint_dual import trades_nb
from engine.search.joint_solver import JointSolver

Vector = NDArray[np.float64]
# The kink at gain = gas is rounded off over these parts of a mean gas, one after another.
_ROUNDINGS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
_AGAIN = (0.1, 0.02, 0.004, 0.001)
_LONGEST_STEP = 0.02
_MEMORY = 20


@dataclass(frozen=True, slots=True)
class _Node:
    """A choice for some pools: `taken` and `left` bool[P]; `z` f64[tokens] the best log prices found."""

    bound: float
    z: Vector
    taken: NDArray[np.bool_]
    left: NDArray[np.bool_]


class NetBound:
    """Bounds for the pools of one solver, whose trades cost `gas` f64[P] each, in base token value."""

    def __init__(self, solver: JointSolver, gas: Vector) -> None:
        self._solver = solver
        self._gas = gas
        self._floor = np.full(len(solver.prices), -np.inf)
        for token, value in solver.values.items():
            self._floor[token] = math.log(value)

    def root(self, prices: Vector) -> float:
        """The bound without branching, from dual `prices` f64[tokens] on."""
        none = np.zeros(len(self._gas), np.bool_)
        return self._least(np.log(prices), none, none, _ROUNDINGS)[0]

    def below(self, prices: Vector, wanted: float, most_nodes: int) -> bool | None:
        """Whether no plan nets `wanted`: True is a proof. None where `most_nodes` did not decide it, False
        where some choice of every pool is bounded by no less."""
        none = np.zeros(len(self._gas), np.bool_)
        bound, z = self._least(np.log(prices), none, none, _ROUNDINGS)
        count = 0
        waiting = [(-bound, count, _Node(bound, z, none, none))]
        for _ in range(most_nodes):
            if not waiting or -waiting[0][0] < wanted:
                return True
            node = heapq.heappop(waiting)[2]
            split = self._split(node, wanted)
            if split is None:
                return False
            for taken, left in split:
                bound, z = self._least(node.z, taken, left, _AGAIN)
                bound = min(bound, node.bound)
                count += 1
                heapq.heappush(waiting, (-bound, count, _Node(bound, z, taken, left)))
        return None

    def _split(self, node: _Node, wanted: float) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] | None:
        """Both choices for the pool that is most in doubt; None where every pool is decided."""
        row, _, _, _, _, gain = self._trades(np.exp(node.z), np.flatnonzero(~node.left).astype(np.int32))
        more = -self._gas.copy()
        more[row] += gain
        room = node.bound - wanted
        left = node.left | (~node.taken & (more < -room))
        taken = node.taken | (~left & (more > room))
        doubtful = np.flatnonzero(~left & ~taken)
        if not len(doubtful):
            return None
        chosen = doubtful[np.argmin(np.abs(more[doubtful]))]
        with_it, without = taken.copy(), left.copy()
        with_it[chosen] = without[chosen] = True
        return [(taken, without), (with_it, left)]

    def _trades(
        self, prices: Vector, rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], Vector, Vector, Vector]:
        """(row, sold, bought, paid, got, gain) of each pool that trades at these prices."""
        flows = self._solver.flows
        _, n = trades_nb(self._solver.curves, rows, prices, flows, np.inf)
        sold, bought = flows.sold[:n].copy(), flows.bought[:n].copy()
        paid, got = flows.paid[:n].copy(), flows.got[:n].copy()
        return flows.row[:n].copy(), sold, bought, paid, got, prices[bought] * got - prices[sold] * paid

    def _evaluate(
        self, z: Vector, rows: NDArray[np.int32], taken: NDArray[np.bool_], rounding: float
    ) -> tuple[float, Vector, float]:
        """(rounded bound, its gradient, the bound itself) at log prices `z`."""
        prices = np.exp(z)
        row, sold, bought, paid, got, gain = self._trades(prices, rows)
        due = float(self._gas[taken].sum())
        inside = taken[row]
        over = gain - self._gas[row]
        bound = float(np.where(inside, gain, np.maximum(over, 0.0)).sum()) - due
        ratio = np.clip(over / rounding, -700.0, 700.0)
        soft = np.maximum(over, 0.0) + rounding * np.log1p(np.exp(-np.abs(ratio)))
        weight = np.where(inside, 1.0, 1.0 / (1.0 + np.exp(-ratio)))
        gradient = np.zeros(len(z))
        np.add.at(gradient, bought, weight * got * prices[bought])
        np.add.at(gradient, sold, -weight * paid * prices[sold])
        return float(np.where(inside, gain, soft).sum()) - due, gradient, bound

    def _least(
        self, z: Vector, taken: NDArray[np.bool_], left: NDArray[np.bool_], roundings: tuple[float, ...]
    ) -> tuple[float, Vector]:
        """(bound, log prices), the least that is found, by a projected quasi-Newton method."""
        rows = np.flatnonzero(~left).astype(np.int32)
        z = np.maximum(z, self._floor)
        best = (np.inf, z)
        for part in roundings:
            rounding = part * float(self._gas.mean())
            value, gradient, bound = self._evaluate(z, rows, taken, rounding)
            best = min(best, (bound, z), key=lambda each: each[0])
            moves: list[tuple[Vector, Vector]] = []
            for step in range(60):
                held = (z <= self._floor) & (gradient > 0.0)
                slope = np.where(held, 0.0, gradient)
                direction = _direction(slope, held, moves)
                found = self._along(z, direction, slope, value, (rows, taken, rounding))
                if found is None:
                    if not moves:
                        break
                    moves.clear()
                    continue
                to, (after, next_gradient, bound) = found
                change = np.where((to <= self._floor) & (next_gradient > 0.0), 0.0, next_gradient) - slope
                if (to - z) @ change > 0.0:
                    moves = [*moves[1 - _MEMORY :], (to - z, change)]
                nearly = value - after < 1e-7 * abs(value) and step > 5
                z, value, gradient = to, after, next_gradient
                best = min(best, (bound, z), key=lambda each: each[0])
                if nearly:
                    break
        return best

    def _along(
        self,
        z: Vector,
        direction: Vector,
        slope: Vector,
        value: float,
        problem: tuple[NDArray[np.int32], NDArray[np.bool_], float],
    ) -> tuple[Vector, tuple[float, Vector, float]] | None:
        fall = float(direction @ slope)
        length = 1.0
        for _ in range(25):
            to = np.maximum(z + length * direction, self._floor)
            answer = self._evaluate(to, *problem)
            if fall < 0.0 and answer[0] <= value + 1e-4 * length * fall:
                return to, answer
            length /= 2.0
        return None


def _direction(slope: Vector, held: NDArray[np.bool_], moves: list[tuple[Vector, Vector]]) -> Vector:
    """Downhill, by the two-loop recursion over the last moves; no longer than `_LONGEST_STEP`."""
    way, parts = slope.copy(), []
    for moved, change in reversed(moves):
        part = moved @ way / (change @ moved)
        parts.append(part)
        way = way - part * change
    if moves:
        moved, change = moves[-1]
        way = way * (moved @ change) / (change @ change)
    else:
        way = way * 1e-3 / max(float(np.abs(way).max()), 1e-300)
    for (moved, change), part in zip(moves, reversed(parts), strict=True):
        way = way + moved * (part - (change @ way) / (change @ moved))
    way = -np.where(held, 0.0, way)
    longest = float(np.abs(way).max())
    way = way * (_LONGEST_STEP / longest) if longest > _LONGEST_STEP else way
    if way @ slope >= 0.0:
        way = -slope * (1e-3 / max(float(np.abs(slope).max()), 1e-300))
    return way
