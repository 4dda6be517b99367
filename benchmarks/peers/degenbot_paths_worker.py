"""Runs inside degenbot 0.6's environment: a graph and its paths on standard input, times and profits of its
compiled solver on standard output."""

from __future__ import annotations

import json
import sys
import time

from degenbot._ffi import ArbitrageEngine, Bot

_FACTORY = "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f"
_ONE = 1_000_000


def address(number: int) -> str:
    return f"0x{number + 2**64:040x}"


def solved(bot: Bot, ids: list[int], paths: list[list[int]], rounds: int) -> dict:
    """Register `paths` of directed edges with an engine of their own and solve them `rounds` times."""
    engine = ArbitrageEngine(bot)
    engine.set_profit_thresholds(0, None)
    for path in paths:
        engine.register_path([(ids[edge >> 1], edge & 1 == 0) for edge in path])
    taken = []
    for block in range(rounds):
        started = time.perf_counter_ns()
        engine.solve_all_paths(block + 1)
        taken.append(time.perf_counter_ns() - started)
    results, _ = engine.latest_results()
    profits = [int(result[2]) for result in results]
    return {
        "ns": taken,
        "total_profit": sum(profits),
        "profitable": sum(profit > 0 for profit in profits),
    }


def main() -> None:
    question = json.load(sys.stdin)
    bot = Bot(1)
    ids = []
    for n, (token0, token1, reserve0, reserve1, fee_pips) in enumerate(question["pools"]):
        kept = _ONE - fee_pips
        tokens = address(2**40 + token0), address(2**40 + token1)
        fees = kept, _ONE, kept, _ONE
        ids.append(
            bot.register_v2_pool_test_only(
                address(n),
                *tokens,
                reserve0,
                reserve1,
                *fees,
                _FACTORY,
                1,
                "uniswap-v2",
                False,
                None,
            )
        )
    print(json.dumps([solved(bot, ids, paths, question["rounds"]) for paths in question["path_sets"]]))


if __name__ == "__main__":
    main()
