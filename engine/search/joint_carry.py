"""Carrying out a plan's cycles and conversions one after the other, exactly, on a copy of the state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import PoolArrays, ints_to_limbs, limbs_to_ints
from engine.search.joint_cycles import MAX_CYCLE_HOPS
from engine.search.joint_execute import apply_cycle_nb, execute_nb, private_state, sell_along_nb
from engine.search.joint_peel import Wanted

# A conversion may sell this much more than the floats wanted, where cycles earned more.
_STRETCH = 1.5


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
class PlannedConversion:
    """What cycles before it earned in one base token, sold for another along a path of directed edges.

    `amounts` as a cycle's. `value` is what the other token is worth more, `cost` the gas, in units of base
    token value.
    """

    edges: tuple[int, ...]
    amounts: tuple[int, ...]
    value: float
    cost: float


Planned = PlannedCycle | PlannedConversion

# What executing a cycle over these directed edges costs, in units of base token value.
Cost = Callable[[Sequence[int]], float]


def no_cost(_: Sequence[int]) -> float:
    """Gas is free."""
    return 0.0


def value_of(plan: Iterable[Planned]) -> float:
    """What cycles and conversions earn together before gas."""
    return sum(one.value for one in plan)


def net_value(plan: Iterable[Planned]) -> float:
    """What cycles and conversions earn together after their own costs."""
    return sum(one.value - one.cost for one in plan)


def sold_first(pools: PoolArrays, path: Sequence[int]) -> int:
    """The token row that a cycle or path starts from."""
    return int((pools.token1 if path[0] & 1 else pools.token0)[path[0] >> 1])


def touched_rows(plan: Iterable[Planned]) -> NDArray[np.int32]:
    """The pool rows that they pass, ascending."""
    return np.array(sorted({edge >> 1 for one in plan for edge in one.edges}), np.int32)


class Rehearsed:
    """Pools of our own to carry out a plan on; `pools` themselves are never changed.

    `values`: what a base unit of each base token (by row) is worth. `earned` is what cycles left of each base
    token and conversions did not sell, base units.
    """

    def __init__(self, pools: PoolArrays, values: Mapping[int, float], cost: Cost = no_cost):
        self.state = private_state(pools)
        self.values = values
        self.cost = cost
        self.earned: dict[int, int] = {}

    def cycles(self, wanted: Wanted) -> list[PlannedCycle]:
        """Carry out cycles of V2- and V3-shaped pools, selling no more than wanted, and less where that earns
        more; those that don't earn their cost are left out."""
        paths, state = wanted.paths, self.state
        costs = [self.cost(path) for path in paths]
        starts = [sold_first(state, path) for path in paths]
        floors = np.array([each / self.values[t] for each, t in zip(costs, starts, strict=True)])
        amounts = np.zeros((len(paths), MAX_CYCLE_HOPS + 1, 4), np.uint64)
        done = np.zeros(len(paths), np.uint8)
        execute_nb(state, wanted.edges, wanted.amounts, floors, amounts, done)
        flat = limbs_to_ints(amounts.reshape(-1, 4))
        planned = []
        for n in np.flatnonzero(done).tolist():
            first = n * (MAX_CYCLE_HOPS + 1)
            own = tuple(flat[first : first + len(paths[n]) + 1])
            planned.append(self._earn(paths[n], own, costs[n]))
        return planned

    def again(self, cycles: Iterable[PlannedCycle]) -> list[PlannedCycle]:
        """Carry out cycles of any pools with what they sold elsewhere; those that by now earn less than their
        cost, or nothing, are left out."""
        planned = []
        for cycle in cycles:
            # From the last hop backwards: a pool that is emptied would refuse a unit more.
            amounts = self._sell(cycle.edges, len(cycle.edges) - 1, cycle.amounts[-2], cycle.cost)
            if amounts is not None:
                planned.append(self._earn(cycle.edges, amounts, cycle.cost))
        return planned

    def conversions(self, wanted: Wanted) -> list[PlannedConversion]:
        """Sell what cycles have earned along these paths, in proportion; those that don't gain their cost are
        left out."""
        planned = []
        paths = wanted.paths
        starts = [sold_first(self.state, path) for path in paths]
        for n, (path, start) in enumerate(zip(paths, starts, strict=True)):
            rest = sum(wanted.amounts[k] for k in range(n, len(paths)) if starts[k] == start)
            there = self.earned.get(start, 0)
            selling = min(int(min(there / rest, _STRETCH) * wanted.amounts[n]), there)
            cost = self.cost(path)
            amounts = self._sell(path, 0, selling, cost)
            if amounts is None:
                continue
            planned.append(PlannedConversion(path, amounts, self._gain(path, amounts), cost))
            end = sold_first(self.state, (path[-1] ^ 1,))
            self.earned[start] -= amounts[0]
            self.earned[end] = self.earned.get(end, 0) + amounts[-1]
        return planned

    def _earn(self, path: tuple[int, ...], amounts: tuple[int, ...], cost: float) -> PlannedCycle:
        start = sold_first(self.state, path)
        self.earned[start] = self.earned.get(start, 0) + amounts[-1] - amounts[0]
        return PlannedCycle(path, amounts, self._gain(path, amounts), cost)

    def _gain(self, path: tuple[int, ...], amounts: tuple[int, ...]) -> float:
        """What comes out of the path is worth more than what goes in."""
        start, end = sold_first(self.state, path), sold_first(self.state, (path[-1] ^ 1,))
        if start == end:
            return (amounts[-1] - amounts[0]) * self.values[start]
        return amounts[-1] * self.values[end] - amounts[0] * self.values[start]

    def _sell(self, path: tuple[int, ...], position: int, amount: int, cost: float) -> tuple[int, ...] | None:
        """Sell `amount` at a hop of the path, if that gains something and its cost; what each hop moved."""
        if amount <= 0:
            return None
        hops = len(path)
        amounts = np.zeros((hops + 1, 4), np.uint64)
        edges = np.array(path, np.int32)
        if not sell_along_nb(self.state, edges, position, ints_to_limbs([amount]), amounts):
            return None
        own = tuple(limbs_to_ints(amounts))
        if not self._gain(path, own) > 0.0 or self._gain(path, own) < cost:
            return None
        apply_cycle_nb(self.state, edges, hops, amounts, np.zeros(hops, np.uint8))
        return own
