"""Token prices at which all pools together have nothing left to give: the dual of joint arbitrage.

Maximise the value of the base tokens kept, over trades of all pools at once, none of any token short. Its
dual (G. Angeris, T. Chitra, A. Evans, S. Boyd, "Optimal routing for constant function market makers", 2022)
is to minimise g(p) = sum over pools of the best gain at prices p, where a base token's price is at least its
value. Every p within these bounds gives an upper bound on what any set of trades can earn.

In z = log p the gradient of a token is the value of its surplus, and each trading pool adds its weight w to
the curvature as an edge of a graph Laplacian. So the minimum is found by Newton steps on that Laplacian, only
over tokens of pools that trade; steps are halved until g falls.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.search.joint_curves import best_trade_nb
from engine.search.joint_laplacian import System, allocate_system, solve_nb
from engine.search.joint_near import look_around_nb, may_trade_nb

_LONGEST_STEP = 2.0
# Keeps a group of tokens that nothing ties to the rest from leaping.
_DAMPING = 0.25
_ARMIJO = 1e-4
_TRIALS = 30
# A pool's trade is known to about this part of its weight.
_ROUNDING = 1e-15


class Flows(NamedTuple):
    """Pools' best trades at given prices: pool `row` sells `paid` of token `sold` for `got` of `bought`."""

    row: NDArray[np.int32]  # [P]
    sold: NDArray[np.int32]  # [P]
    bought: NDArray[np.int32]  # [P]
    paid: NDArray[np.float64]  # [P]
    got: NDArray[np.float64]  # [P]
    weight: NDArray[np.float64]  # [P]
    surplus: NDArray[np.float64]  # [tokens] what is left of each token


class Scratch(NamedTuple):
    """Working vectors of the solver. Free tokens of trading pools are numbered `token`[0..n), `place` says
    where a token is in that list, -1 for others."""

    token: NDArray[np.int32]  # [tokens]
    place: NDArray[np.int32]  # [tokens]
    trial: NDArray[np.float64]  # [tokens] prices
    system: System  # its right-hand side is the negative gradient, its answer the step in log price


def allocate_flows(pool_count: int, token_count: int) -> Flows:
    """Room for every pool's trade."""
    tokens = [np.zeros(pool_count, np.int32) for _ in range(3)]
    return Flows(*tokens, *(np.zeros(pool_count) for _ in range(3)), np.zeros(token_count))


def allocate_scratch(pool_count: int, token_count: int) -> Scratch:
    """Working vectors for that many pools and tokens."""
    places = [np.full(token_count, -1, np.int32) for _ in range(2)]
    return Scratch(*places, np.zeros(token_count), allocate_system(pool_count, token_count))


@njit(nogil=True, cache=True, error_model="numpy")
def trades_nb(curves, rows, prices, flows, most):
    """The best trades of pools `rows` i32[n] at token prices f64[tokens] into `flows`.

    Returns (g, pools that trade). Gains only add up: as soon as g exceeds `most` it is given up as infinite.
    """
    token0, token1, square, kept, usable = (
        curves.token0,
        curves.token1,
        curves.square,
        curves.kept,
        curves.usable,
    )
    flows.surplus[:] = 0.0
    total, count = 0.0, 0
    for row in rows:
        price0, price1 = prices[token0[row]], prices[token1[row]]
        there = square[row] * price1
        if usable[row] == 0 or (there * kept[row, 0] <= price0 and there >= price0 * kept[row, 1]):
            continue
        d, paid, got, weight, gain = best_trade_nb(curves, row, price0, price1)
        if d < 0:
            continue
        total += gain
        if total > most:
            return np.inf, 0
        sold, bought = (token0[row], token1[row]) if d == 0 else (token1[row], token0[row])
        flows.row[count], flows.sold[count], flows.bought[count] = row, sold, bought
        flows.paid[count], flows.got[count], flows.weight[count] = paid, got, weight
        flows.surplus[sold] -= paid
        flows.surplus[bought] += got
        count += 1
    return total, count


@njit(nogil=True, cache=True, error_model="numpy")
def _held_at_floor_nb(prices, floor, surplus, t):
    return floor[t] > 0.0 and prices[t] <= floor[t] * (1.0 + 1e-15) and surplus[t] >= 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def _anchor_nb(prices, floor, surplus):
    """The base token that stays put when all of them are short: scaling all prices up alike never helps."""
    anchor, best = -1, -np.inf
    for t in range(len(prices)):
        if floor[t] > 0.0 and prices[t] <= floor[t] * (1.0 + 1e-15):
            if surplus[t] >= 0.0:
                return -1
            if prices[t] * surplus[t] > best:
                anchor, best = t, prices[t] * surplus[t]
    return anchor


@njit(nogil=True, cache=True, error_model="numpy")
def _set_up_nb(flows, count, prices, floor, work):
    """Number the free tokens of trading pools and fill gradient and diagonal.

    Returns (how many, the greatest imbalance by value, what of it rounding explains).
    """
    system = work.system
    anchor = _anchor_nb(prices, floor, flows.surplus)
    free, scale = 0, 0.0
    for k in range(count):
        weight = flows.weight[k]
        scale += weight
        for side in range(2):
            t = flows.sold[k] if side == 0 else flows.bought[k]
            place = work.place[t]
            if place == -1:
                place = -2
                if t != anchor and not _held_at_floor_nb(prices, floor, flows.surplus, t):
                    place = free
                    work.token[free] = t
                    system.right[free] = -prices[t] * flows.surplus[t]
                    system.diagonal[free] = abs(system.right[free]) * _DAMPING
                    free += 1
                work.place[t] = place
            if place >= 0:
                system.diagonal[place] += weight
            system.edge[k, side] = place
    for k in range(count):
        work.place[flows.sold[k]] = -1
        work.place[flows.bought[k]] = -1
    worst = 0.0
    for n in range(free):
        worst = max(worst, abs(system.right[n]))
        if not system.diagonal[n] > 0.0:
            system.diagonal[n] = 1.0
    return free, worst, _ROUNDING * scale


@njit(nogil=True, cache=True, error_model="numpy")
def _try_nb(prices, floor, work, free, scale):
    """The prices after `scale` times the step into `work.trial`, scaled so that a base is at its floor."""
    trial = work.trial
    trial[:] = prices
    for n in range(free):
        t = work.token[n]
        trial[t] = max(prices[t] * math.exp(scale * work.system.answer[n]), floor[t])
    least = np.inf
    for t in range(len(prices)):
        if floor[t] > 0.0:
            least = min(least, trial[t] / floor[t])
    if 1.0 < least < np.inf:
        for t in range(len(prices)):
            trial[t] = max(trial[t] / least, floor[t])


@njit(nogil=True, cache=True, error_model="numpy")
def _advance_nb(curves, rows, prices, floor, flows, work, near, close, free, value, usual, shortened):
    """Go along the step, and less far each time until g falls enough.

    Returns (g there, pools that trade, the scale, fell); `work.trial` are the prices there.
    """
    step, right = work.system.answer, work.system.right
    longest, slope = 0.0, 0.0
    for n in range(free):
        longest = max(longest, abs(step[n]))
        slope -= step[n] * right[n]
    scale = min(usual, _LONGEST_STEP / longest) if longest > 0.0 else usual
    for _ in range(_TRIALS):
        _try_nb(prices, floor, work, free, scale)
        aim = value + _ARMIJO * scale * slope
        looked_at = may_trade_nb(curves, rows, near, close, work.trial)
        fresh, count = trades_nb(curves, looked_at, work.trial, flows, aim)
        if fresh <= aim:
            return fresh, count, scale, True
        scale *= shortened
    return value, 0, scale, False


@njit(nogil=True, cache=True, error_model="numpy")
def minimise_nb(curves, rows, floor, prices, flows, work, near, most, tolerance, enough, shortened):
    """Lower g from `prices` f64[tokens] (positive, at or above `floor`) until no free token's imbalance
    exceeds `tolerance` times g or what rounding explains, g is less than one base unit of any base token, or
    three steps in a row lower g by no more than `enough` of it. A step after which g is higher is shortened
    by `shortened`. Changes `prices`; `flows` are the trades at them.

    Returns (g, pools that trade, steps taken, whether balanced).
    """
    close = look_around_nb(curves, rows, prices, near)
    value, count = trades_nb(curves, near.row[:close], prices, flows, np.inf)
    nothing = least_value_nb(floor)
    idle, usual = 0, 1.0
    for steps in range(most):
        free, worst, rounding = _set_up_nb(flows, count, prices, floor, work)
        if worst <= max(tolerance * value, rounding) or value < nothing:
            return value, count, steps, True
        solve_nb(work.system, flows.weight, count, free)
        fresh, count, scale, fell = _advance_nb(
            curves, rows, prices, floor, flows, work, near, close, free, value, usual, shortened
        )
        if not fell:
            looked_at = may_trade_nb(curves, rows, near, close, prices)
            value, count = trades_nb(curves, looked_at, prices, flows, np.inf)
            return value, count, steps, False
        # Steps shortened by pools that begin to trade are often followed by more of them.
        usual = min(1.0, 16.0 * scale)
        prices[:] = work.trial
        idle = idle + 1 if value - fresh <= enough * value else 0
        value = fresh
        if idle == 3:
            return value, count, steps + 1, False
    return value, count, most, False


@njit(nogil=True, cache=True, error_model="numpy")
def least_value_nb(floor):
    """One base unit of the base token whose units are worth least: what is less cannot be earned."""
    least = np.inf
    for t in range(len(floor)):
        if floor[t] > 0.0:
            least = min(least, floor[t])
    return least
