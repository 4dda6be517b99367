"""The certified optimum over all pools: an upper bound, token prices, and trades that nearly reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.layout import PoolArrays
from engine.search.joint_curves import Curves, allocate_curves, read_curves_nb
from engine.search.joint_dual import Flows, allocate_flows, allocate_scratch, least_value_nb, minimise_nb
from engine.search.joint_near import allocate_near
from engine.search.joint_primal import balance_nb

# Prices beyond these come from pools that hold next to nothing of one token.
_LEAST_PRICE, _GREATEST_PRICE = 1e-150, 1e150
# When to stop: the imbalance that is left, and what three steps still gain, relative to the bound.
# Steps that set many pools trading are soonest right when shortened boldly, but may end in a corner.
_NEARLY, _WELL = (1e-5, 1e-8, 0.25), (1e-9, 1e-13, 0.5)
_WELL_CERTIFIED = 1e-7
_MAX_STEPS = 200


@dataclass(frozen=True, slots=True)
class JointBound:
    """What all pools together can give, in units of the base tokens' value.

    No set of trades can earn more than `bound`. Trades that leave no token short and earn `reached` exist, so
    the optimum lies between the two. `prices` f64[tokens] are the dual prices, nought for tokens that no pool
    connects to a base token. `trading` pools trade in it; `steps` of Newton's method were taken. Less than
    one base unit of any base token counts as nothing, since no trades in integers earn it.
    """

    bound: float
    reached: float
    prices: NDArray[np.float64]
    trading: int
    steps: int

    @property
    def gap(self) -> float:
        """How far the two are apart, relative to the bound; 0 where nothing can be earned."""
        return (self.bound - self.reached) / self.bound if self.bound > 1e-6 else 0.0


class JointSolver:
    """Keeps curves and prices from block to block, so that a block costs only what it changed.

    Read-only on the pools. Pools that are neither V2- nor V3-shaped have no curve here and are left out.
    """

    def __init__(self, pools: PoolArrays, pool_count: int, token_count: int, values: Mapping[int, float]):
        """`values`: what a base unit of each base token (by row) is worth, all positive, in any one unit."""
        self.values = dict(values)
        self.floor = np.zeros(token_count)
        for token, value in values.items():
            self.floor[token] = value
        self.prices = np.zeros(token_count)
        self._rows = np.arange(pool_count, dtype=np.int32)
        self._curves = allocate_curves(pool_count, len(pools.arena_tick))
        self._flows = allocate_flows(pool_count, token_count)
        self._scratch = allocate_scratch(pool_count, token_count)
        self._order = np.zeros((token_count, 2), np.int32)
        count = slice(pool_count)
        self._near = allocate_near(pools.token0[count], pools.token1[count], token_count)
        self._settled = 0
        self._deepest_first = self._rows
        self._arena = pools.arena_tick
        self.read(pools, None)

    @property
    def without_curve(self) -> int:
        """Pools left out, because they are of another family, quarantined or empty."""
        return int(len(self._rows) - np.count_nonzero(self._curves.usable))

    @property
    def left_out(self) -> NDArray[np.int32]:
        """The rows that `without_curve` counts, ascending."""
        return self._rows[self._curves.usable[: len(self._rows)] == 0]

    @property
    def curves(self) -> Curves:
        """The pools as last read."""
        return self._curves

    @property
    def flows(self) -> Flows:
        """The trades of the last `solve`; valid until the next one."""
        return self._flows

    @property
    def settling(self) -> NDArray[np.int32]:
        """The flow that settles a token, and the token, i32[n, 2]; settled in this order, none is short."""
        return self._order[: self._settled]

    def sells_token1(self, flows: NDArray[np.int32]) -> NDArray[np.int32]:
        """1 for those of the last trades, by index, that sell their pool's token1, 0 for the others."""
        rows = self._flows.row[flows]
        return (self._flows.sold[flows] == self._curves.token1[rows]).astype(np.int32)

    def read(self, pools: PoolArrays, rows: NDArray[np.int32] | None) -> None:
        """Take the state of these pool rows (all when None). A moved tick arena is read as a whole."""
        if pools.arena_tick is not self._arena:
            fresh = allocate_curves(len(self._rows), len(pools.arena_tick))
            self._curves, self._arena, rows = fresh, pools.arena_tick, None
        read_curves_nb(pools, self._rows if rows is None else rows, self._curves)
        if rows is None:
            # Prices that are too far off show soonest in deep pools.
            self._deepest_first = self._rows[np.argsort(-self._curves.liquidity)]

    def revalue(self, values: Mapping[int, float]) -> None:
        """Other values for the same base tokens."""
        self.values = dict(values)
        for token, value in values.items():
            self.floor[token] = value
            self.prices[token] = max(self.prices[token], value)

    def solve(self, rows: NDArray[np.int32] | None = None, most: int = _MAX_STEPS) -> JointBound:
        """The optimum over pool rows i32[n] (all when None), from the last prices on; at most `most` steps.

        The bound holds however early the steps end. Afterwards `flows` holds the trades that reach `reached`.
        """
        rows = self._deepest_first if rows is None else rows
        found = self._descend(rows, most, _NEARLY)
        if found.gap > _WELL_CERTIFIED:
            found = self._descend(rows, most, _WELL)
        if found.gap > _WELL_CERTIFIED:
            # Start anew: the last prices led into a corner.
            before = self.prices.copy()
            self.prices[:] = 0.0
            again = self._descend(rows, most, _WELL)
            if again.gap > found.gap:
                self.prices[:] = before
                again = self._descend(rows, most, _WELL)
            found = again
        return found

    def _descend(self, rows: NDArray[np.int32], most: int, until: tuple[float, float, float]) -> JointBound:
        price_tokens_nb(self._curves, self._rows, self.floor, self.prices)
        rows = rows[_priced_nb(self._curves, rows, self.prices)]
        prices = np.where(self.prices > 0.0, self.prices, 1.0)
        bound, trading, steps, _ = minimise_nb(
            self._curves, rows, self.floor, prices, self._flows, self._scratch, self._near, most, *until
        )
        if bound < least_value_nb(self.floor):
            # Not one base unit of any base token.
            bound, trading = 0.0, 0
        reached, short, self._settled = balance_nb(
            self._curves, self._flows, trading, self.floor, prices, self._order
        )
        self.prices[:] = np.where(self.prices > 0.0, prices, 0.0)
        # What is short could be had for about its value.
        return JointBound(bound, min(max(reached - short, 0.0), bound), self.prices.copy(), trading, steps)


@njit(nogil=True, cache=True, error_model="numpy")
def _priced_nb(curves, rows, prices):
    known = np.zeros(len(rows), np.bool_)
    for n in range(len(rows)):
        row = rows[n]
        known[n] = (
            curves.usable[row] != 0 and prices[curves.token0[row]] > 0.0 and prices[curves.token1[row]] > 0.0
        )
    return known


@njit(nogil=True, cache=True, error_model="numpy")
def price_tokens_nb(curves, rows, floor, prices):
    """Give tokens without a price that of their deepest pool with a priced one, outwards from the bases."""
    depth = np.zeros(len(prices))
    offer = np.zeros(len(prices))
    for t in range(len(prices)):
        if floor[t] > 0.0 and not prices[t] >= floor[t]:
            prices[t] = floor[t]
    found = True
    while found:
        found = False
        for row in rows:
            if not curves.usable[row]:
                continue
            token0, token1 = curves.token0[row], curves.token1[row]
            price0, price1 = prices[token0], prices[token1]
            if (price0 > 0.0) == (price1 > 0.0):
                continue
            t = token1 if price0 > 0.0 else token0
            price = price0 / curves.square[row] if price0 > 0.0 else price1 * curves.square[row]
            there = curves.liquidity[row] * curves.price[row] * (price if price0 > 0.0 else price1)
            if _LEAST_PRICE < price < _GREATEST_PRICE and (there > depth[t] or offer[t] == 0.0):
                depth[t], offer[t] = there, price
                found = True
        if found:
            for t in range(len(prices)):
                if offer[t] > 0.0 and not prices[t] > 0.0:
                    prices[t] = offer[t]
