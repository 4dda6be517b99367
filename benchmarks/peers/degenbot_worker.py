"""Runs inside degenbot's environment: cycles on standard input, its times and profits on standard output."""

from __future__ import annotations

import json
import sys
import time
from fractions import Fraction
from threading import Lock

from degenbot import Erc20Token, UniswapLpCycle, UniswapV2Pool
from degenbot.exceptions import DegenbotError
from degenbot.uniswap.types import UniswapV2PoolState


class OfflineToken(Erc20Token):
    """A token that asks no node."""

    def __init__(self, number: int) -> None:
        self.address = f"0x{number:040x}"
        self.symbol = self.name = f"T{number}"
        self.decimals = 18


class OfflinePool(UniswapV2Pool):
    """A pool that asks no node for its state."""

    def __init__(self, number: int, tokens: tuple, reserves: tuple[int, int], fee_pips: int) -> None:
        self.address = f"0x{2**64 + number:040x}"
        self.name = f"P{number}"
        self.token0, self.token1 = tokens
        self.fee_token0 = self.fee_token1 = Fraction(fee_pips, 1_000_000)
        self._state_lock = Lock()
        self._state = UniswapV2PoolState(self.address, *reserves)
        self._subscribers = set()


def cycle_of(hops: list[list[int]], number: int, max_input: int) -> UniswapLpCycle:
    tokens = [OfflineToken(n + 1) for n in range(len(hops))]
    pools = []
    for n, (held, paid, fee_pips) in enumerate(hops):
        sold, bought = tokens[n], tokens[(n + 1) % len(hops)]
        last = n == len(hops) - 1
        pair = (bought, sold) if last else (sold, bought)
        reserves = (paid, held) if last else (held, paid)
        pools.append(OfflinePool(8 * number + n, pair, reserves, fee_pips))
    return UniswapLpCycle(tokens[0], pools, str(number), max_input)


def main() -> None:
    question = json.load(sys.stdin)
    cycles = [cycle_of(hops, n, question["max_input"]) for n, hops in enumerate(question["cycles"])]
    taken, profits = [], []
    for cycle in cycles:
        started = time.perf_counter_ns()
        try:
            profit = cycle.calculate().profit_amount
        except DegenbotError:
            profit = 0
        taken.append(time.perf_counter_ns() - started)
        profits.append(max(profit, 0))
    print(json.dumps({"ns": taken, "profits": profits}))


if __name__ == "__main__":
    main()
