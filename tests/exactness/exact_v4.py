"""Uniswap V4: the published PoolManager, pools without hooks, protocol and LP fees composed."""

from __future__ import annotations

import random

import numpy as np
from exact_build import npm_code
from exact_chain import OWNER, Chain, run_batch
from exact_concentrated import family
from exact_ranges import Ticks
from exact_worlds import STARTED, Pool, World

from engine.amm.layout import V4
from engine.amm.v4_fees import PIPS, v4_fee

NO_HOOKS = "0x" + 40 * "0"
_KEY = "(address,address,uint24,int24,address)"
_MOST_PROTOCOL_FEE = 1000


class ManagerWorld(World):
    def __init__(self) -> None:
        self.chain = Chain(STARTED)
        self.tokens = self.chain.tokens(18, 18)
        code = npm_code("@uniswap/v4-core", "out/PoolManager.sol/PoolManager.json")
        self.manager = self.chain.deploy(code, ["address"], [OWNER])
        self.driver = self.chain.driver("ManagerDriver", ["address"], [self.manager])
        for token in self.tokens:
            self.chain.call(token, "set(address,uint256)", self.driver, 2**255)
        self.chain.call(self.manager, "setProtocolFeeController(address)", OWNER)

    def create(self, rng: random.Random, price: int) -> Pool:
        fee = rng.choice([0, 1, 100, 500, 3000, 10_000, PIPS, PIPS - 1, rng.randrange(PIPS + 1)])
        spacing = rng.choice([1, 1, 10, 60, 200, int(2 ** rng.uniform(0, 14.9))])
        self.key = (*self.tokens, fee, spacing, NO_HOOKS)
        self.chain.call(self.driver, f"use({_KEY})", self.key)
        self.chain.call(self.manager, f"initialize({_KEY},uint160)", self.key, price)
        return Pool(self.manager, (fee, fee), Ticks(spacing), V4)

    def settle(self, rng: random.Random, pool: Pool) -> None:
        down, up = (rng.choice([0, 1, 1000, rng.randrange(_MOST_PROTOCOL_FEE + 1)]) for _ in range(2))
        protocol_fee = down | up << 12
        self.chain.call(self.manager, f"setProtocolFee({_KEY},uint24)", self.key, protocol_fee)
        lp_fee = self.key[2]
        pool.fees = v4_fee(protocol_fee, lp_fee, True), v4_fee(protocol_fee, lp_fee, False)

    def mint(self, pool: Pool, lower: int, upper: int, liquidity: int) -> None:
        self.chain.call(self.driver, "modify(int24,int24,int256)", lower, upper, liquidity)

    def burn(self, pool: Pool, lower: int, upper: int, liquidity: int) -> None:
        self.chain.call(self.driver, "modify(int24,int24,int256)", lower, upper, -liquidity)

    def swap(self, pool: Pool, case: list[int]) -> None:
        self.chain.call(self.driver, "swap(uint256[3])", [word % 2**256 for word in case])

    def run(self, pool: Pool, cases: list[list[int]]) -> np.ndarray:
        return run_batch(self.chain, self.driver, "run(uint256[3][])", cases)

    def state(self, pool: Pool) -> tuple[int, int, int]:
        return self.chain.call(self.driver, "state()", returns=("uint256", "int256", "uint256"))


FAMILIES = [family("uniswap-v4", "Uniswap V4", "@uniswap/v4-core 1.0.2", ManagerWorld)]
