"""Which pools may trade at prices close to given ones, the only ones that most trials look at, compiled.

A pool that does not trade, and would not if the ratio of its tokens' prices moved by a factor of `_REACH`
either way, cannot begin to while neither price moves by more than the root of it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

_REACH = 1.0005
_HALF = math.sqrt(_REACH)
_NEAR, _FAR = 1, 2


class Near(NamedTuple):
    """Rows of `pool[start[t]:start[t + 1]]` trade token t. The others are rewritten for each problem: `kind`
    says what a row is (0: no part of it), `low` and `high` bound the prices for which only `row[:n]` matter.
    """

    start: NDArray[np.int64]  # [tokens + 1]
    pool: NDArray[np.int32]  # [2 P]
    kind: NDArray[np.uint8]  # [P]
    row: NDArray[np.int32]  # [P]
    chosen: NDArray[np.int32]  # [P]
    low: NDArray[np.float64]  # [tokens]
    high: NDArray[np.float64]  # [tokens]


def allocate_near(token0: NDArray[np.int32], token1: NDArray[np.int32], token_count: int) -> Near:
    """For pools of these tokens, i32[P]."""
    count = len(token0)
    tokens = np.concatenate((token0, token1))
    pool = (np.argsort(tokens, kind="stable") % max(count, 1)).astype(np.int32)
    start = np.zeros(token_count + 1, np.int64)
    start[1:] = np.cumsum(np.bincount(tokens, minlength=token_count))
    rows = [np.zeros(count, np.int32) for _ in range(2)]
    return Near(start, pool, np.zeros(count, np.uint8), *rows, *(np.zeros(token_count) for _ in range(2)))


@njit(nogil=True, cache=True, error_model="numpy")
def look_around_nb(curves, rows, prices, near):
    """Sort the problem's pool `rows` i32[n] into near and far at these prices; returns how many are near."""
    token0, token1, square, kept = curves.token0, curves.token1, curves.square, curves.kept
    near.kind[:] = 0
    count = 0
    for row in rows:
        if curves.usable[row] == 0:
            continue
        price0, there = prices[token0[row]], square[row] * prices[token1[row]]
        near.kind[row] = _FAR
        if there * kept[row, 0] * _REACH > price0 or there < price0 * kept[row, 1] * _REACH:
            near.kind[row] = _NEAR
            near.row[count] = row
            count += 1
    near.low[:] = prices / _HALF
    near.high[:] = prices * _HALF
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def may_trade_nb(curves, rows, near, count, prices):
    """The rows of the problem that may trade at these prices, of which `count` are near."""
    chosen, total = near.chosen, count
    copied = False
    for t in range(len(prices)):
        if near.low[t] <= prices[t] <= near.high[t]:
            continue
        if not copied:
            chosen[:count] = near.row[:count]
            copied = True
        for place in range(near.start[t], near.start[t + 1]):
            row = near.pool[place]
            if near.kind[row] != _FAR:
                continue
            other = curves.token0[row] + curves.token1[row] - t
            # A pool of two such tokens is taken with the first.
            if other < t and not near.low[other] <= prices[other] <= near.high[other]:
                continue
            chosen[total] = row
            total += 1
        if 2 * total > len(rows):
            return rows
    return chosen[:total] if copied else near.row[:count]
