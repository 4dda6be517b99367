"""Runs inside a degenbot environment: a pool's state and amounts on standard input, quotes and their time on
standard output."""

from __future__ import annotations

import json
import statistics
import sys
import time
from fractions import Fraction
from importlib.metadata import version
from threading import Lock

from degenbot import Erc20Token, UniswapV2Pool, UniswapV3Pool
from degenbot.uniswap.v2_types import UniswapV2PoolState
from degenbot.uniswap.v3_types import UniswapV3BitmapAtWord, UniswapV3LiquidityAtTick, UniswapV3PoolState

ROUNDS = 7


class OfflineToken(Erc20Token):
    """A token that asks no node."""

    def __init__(self, number: int) -> None:
        self.address = f"0x{number:040x}"
        self.symbol = self.name = f"T{number}"
        self.decimals = 18


class OfflineV2(UniswapV2Pool):
    """A V2 pool that asks no node."""

    def __init__(self, tokens: tuple, state: dict) -> None:
        self.address = f"0x{99:040x}"
        self.token0, self.token1 = tokens
        self.fee_token0 = self.fee_token1 = Fraction(state["fee_pips"], 1_000_000)
        self._state = UniswapV2PoolState(address=self.address, block=0, **reserves(state))


def reserves(state: dict) -> dict[str, int]:
    return {"reserves_token0": state["reserves"][0], "reserves_token1": state["reserves"][1]}


class OfflineV3(UniswapV3Pool):
    """A V3 pool that asks no node; its list of ticks is complete."""

    def __init__(self, tokens: tuple, state: dict) -> None:
        self.address = f"0x{99:040x}"
        self.token0, self.token1 = tokens
        self.fee, self.tick_spacing, self.sparse_liquidity_map = state["fee_pips"], state["spacing"], False
        words: dict[int, int] = {}
        for tick, _ in state["ticks"]:
            word, bit = divmod(tick // self.tick_spacing, 256)
            words[word] = words.get(word, 0) | 1 << bit
        self._swap_step_cache: dict = {}
        self._swap_step_cache_lock = self._state_lock = Lock()
        self._state = UniswapV3PoolState(
            address=self.address,
            block=0,
            liquidity=state["liquidity"],
            sqrt_price_x96=state["sqrt_price"],
            tick=state["tick"],
            tick_bitmap={word: UniswapV3BitmapAtWord(bitmap=bits) for word, bits in words.items()},
            tick_data={
                tick: UniswapV3LiquidityAtTick(liquidity_net=net, liquidity_gross=abs(net))
                for tick, net in state["ticks"]
            },
        )


def main() -> None:
    question = json.load(sys.stdin)
    tokens = OfflineToken(1), OfflineToken(2)
    state = question["state"]
    pool = (OfflineV3 if "ticks" in state else OfflineV2)(tokens, state)
    asked = [(tokens[0 if down else 1], amount) for down, amount in question["questions"]]
    taken = []
    for _ in range(ROUNDS):
        if "ticks" in state:
            pool._swap_step_cache.clear()
        started = time.thread_time_ns()
        answers = [pool.calculate_tokens_out_from_tokens_in(token, amount) for token, amount in asked]
        taken.append((time.thread_time_ns() - started) / len(asked))
    result = {"version": version("degenbot"), "ns": statistics.median(taken), "answers": answers}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
