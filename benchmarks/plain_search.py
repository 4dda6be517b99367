"""The search over plain integers, as fast as Python does it: what the compiled one is compared to."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from engine.amm.constant_product import PIPS

# (2 * pool, plus 1 when it sells token1; reserve in, reserve out, kept part of the input in pips)
Edge = tuple[int, int, int, int]
_REACH = 3


class PlainGraph:
    """Pools as adjacency lists: `pools` are (token0, token1, reserve0, reserve1, fee_pips)."""

    def __init__(self, pools: Sequence[tuple[int, int, int, int, int]]) -> None:
        self.leaving: dict[int, list[tuple[int, Edge]]] = {}
        self.between: dict[tuple[int, int], list[Edge]] = {}
        for n, (token0, token1, reserve0, reserve1, fee_pips) in enumerate(pools):
            for side, sold, bought, held, paid in (
                (0, token0, token1, reserve0, reserve1),
                (1, token1, token0, reserve1, reserve0),
            ):
                edge = (2 * n + side, held, paid, PIPS - fee_pips)
                self.leaving.setdefault(sold, []).append((bought, edge))
                self.between.setdefault((sold, bought), []).append(edge)

    def cycles(self, base: int) -> list[tuple[Edge, ...]]:
        """Every directed simple cycle of two or three hops from `base`."""
        found: list[tuple[Edge, ...]] = []
        nothing: list[Edge] = []
        for first_token, first in self.leaving[base]:
            for back in self.between.get((first_token, base), nothing):
                if back[0] >> 1 != first[0] >> 1:
                    found.append((first, back))
            for second_token, second in self.leaving[first_token]:
                if second_token != base:
                    for back in self.between.get((second_token, base), nothing):
                        found.append((first, second, back))
        return found


def solve(cycle: tuple[Edge, ...]) -> int:
    """Profit of the closed-form optimum polished over three units each way; 0 where there is none."""
    a, b, c = 1, 1, 0
    for _, held, paid, kept in cycle:
        gain = kept * a
        a, b, c = gain * paid, held * PIPS * b, held * PIPS * c + gain
    if a <= b:
        return 0
    optimum = (isqrt(a * b) - b) // c
    best = 0
    for amount in range(max(1, optimum - _REACH), optimum + _REACH + 1):
        out = amount
        for _, held, paid, kept in cycle:
            sold = out * kept
            out = sold * paid // (held * PIPS + sold)
        if out - amount > best:
            best = out - amount
    return best
