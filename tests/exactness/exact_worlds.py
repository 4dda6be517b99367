"""Factories of concentrated-liquidity pools as published, and pools of every fee and spacing made by them."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from exact_build import Build, compiled, npm_code, published, published_code
from exact_chain import OWNER, Chain, Reverted, run_batch, selector
from exact_ranges import Ticks

from engine.amm.layout import MAX_SQRT_RATIO, MIN_SQRT_RATIO, TICK_LIST, TICK_WORDS
from engine.app.toolchain import forge_artifact

STARTED = 1_700_000_000


@dataclass
class Pool:
    """One pool on the chain, and what the kernel is told about it."""

    address: str
    fees: tuple[int, int]  # pips, selling token0 and selling token1
    ticks: Ticks
    rules: int = TICK_WORDS


class World(ABC):
    """Tokens, pools and the driver that swaps; one per family, put back after every round."""

    chain: Chain
    tokens: list[str]
    driver: str
    kind = 0
    state_getter = "slot0()"

    @abstractmethod
    def create(self, rng: random.Random, price: int) -> Pool:
        """A new pool at the Q64.96 square-root price."""

    def prepare(self, rng: random.Random, pool: Pool) -> None:
        """Anything else that may vary from pool to pool."""
        return

    def settle(self, rng: random.Random, pool: Pool) -> None:
        """Before a burst: time may pass, fees may change."""
        return

    def mint(self, pool: Pool, lower: int, upper: int, liquidity: int) -> None:
        signature = "mint(address,int24,int24,uint128)"
        self.chain.call(self.driver, signature, pool.address, lower, upper, liquidity)

    def burn(self, pool: Pool, lower: int, upper: int, liquidity: int) -> None:
        signature = "burn(address,int24,int24,uint128)"
        self.chain.call(self.driver, signature, pool.address, lower, upper, liquidity)

    def swap(self, pool: Pool, case: list[int]) -> None:
        words = [word % 2**256 for word in case]
        self.chain.call(self.driver, "swap(address,uint256[3])", pool.address, words)

    def run(self, pool: Pool, cases: list[list[int]]) -> np.ndarray:
        signature = "run(address,uint256[3][])"
        return run_batch(self.chain, self.driver, signature, cases, int(pool.address, 16))

    def state(self, pool: Pool) -> tuple[int, int, int]:
        """Sqrt price, tick, liquidity."""
        price, tick = self.chain.call(pool.address, self.state_getter, returns=("uint160", "int24"))
        return price, tick, self.chain.call(pool.address, "liquidity()", returns=("uint128",))


class FactoryWorld(World):
    """A family whose pools a factory makes, each a contract of its own."""

    def __init__(self) -> None:
        self.chain = Chain(STARTED)
        self.tokens = self.chain.tokens(18, 18)
        arguments = (*self.tokens, selector(self.state_getter), self.kind)
        self.driver = self.chain.driver(
            "ConcentratedDriver", ["address", "address", "bytes4", "uint256"], arguments
        )
        for token in self.tokens:
            self.chain.call(token, "set(address,uint256)", self.driver, 2**255)
        self.build()

    @abstractmethod
    def build(self) -> None:
        """Deploy the factory, and what it needs."""


class UniswapWorld(FactoryWorld):
    def build(self) -> None:
        path = "artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"
        self.factory = self.chain.deploy(npm_code("@uniswap/v3-core", path))

    def create(self, rng: random.Random, price: int) -> Pool:
        tiers = {500: 10, 3000: 60, 10000: 200}
        fee = rng.choice([*tiers, 100, 0, 1, 999_999, rng.randrange(1_000_000)])
        if fee in tiers:
            spacing = tiers[fee]
        else:
            spacing = rng.choice([1, 1, 1, 10, 60, 200, int(2 ** rng.uniform(0, 13.9))])
            self.chain.call(self.factory, "enableFeeAmount(uint24,int24)", fee, spacing)
        return self._pool(fee, spacing, price)

    def _pool(self, fee: int, spacing: int, price: int) -> Pool:
        signature = "createPool(address,address,uint24)"
        address = self.chain.call(self.factory, signature, *self.tokens, fee, returns=("address",))
        self.chain.call(address, "initialize(uint160)", price)
        return Pool(address, (fee, fee), Ticks(spacing))

    def prepare(self, rng: random.Random, pool: Pool) -> None:
        if rng.random() < 0.5:
            self.chain.call(pool.address, "setFeeProtocol(uint8,uint8)", *rng.choices([0, 4, 7, 10], k=2))


class PancakeWorld(UniswapWorld):
    def build(self) -> None:
        pool = npm_code("@pancakeswap/v3-core", "artifacts/contracts/PancakeV3Pool.sol/PancakeV3Pool.json")
        deployer = self.chain.deploy(forge_artifact("PancakePoolDeployer").bytecode, ["bytes"], [pool])
        path = "artifacts/contracts/PancakeV3Factory.sol/PancakeV3Factory.json"
        self.factory = self.chain.deploy(npm_code("@pancakeswap/v3-core", path), ["address"], [deployer])
        self.chain.call(deployer, "setFactoryAddress(address)", self.factory)

    def create(self, rng: random.Random, price: int) -> Pool:
        tiers = {100: 1, 500: 10, 2500: 50, 10000: 200}
        fee = rng.choice([*tiers, 0, 999_999, rng.randrange(1_000_000)])
        if fee not in tiers:
            tiers[fee] = rng.choice([1, 10, 50, 200, int(2 ** rng.uniform(0, 13.9))])
            self.chain.call(self.factory, "enableFeeAmount(uint24,int24)", fee, tiers[fee])
        return self._pool(fee, tiers[fee], price)

    def prepare(self, rng: random.Random, pool: Pool) -> None:
        if rng.random() < 0.5:
            shares = rng.choices([0, 1000, 3200, 4000], k=2)
            self.chain.call(self.factory, "setFeeProtocol(address,uint32,uint32)", pool.address, *shares)


class SlipstreamWorld(FactoryWorld):
    def build(self) -> None:
        core = published("sphere-mezo-solidity-files@1.2.0") / "domains" / "aerodrome-slipstream"
        entries = ("contracts/core/CLFactory.sol", "contracts/core/CLPool.sol")
        made = compiled(Build("solc@0.7.6", entries, (("", core),), 200, evm_version="istanbul"))
        silent = self.chain.deploy(
            bytes.fromhex("6460206000f36000526005601bf3")
        )  # answers zero to everything
        pool = self.chain.deploy(bytes.fromhex(made["CLPool"]["code"]))
        code = bytes.fromhex(made["CLFactory"]["code"])
        self.factory = self.chain.deploy(code, ["address"] * 3, [silent, silent, pool])
        self.module = self.chain.driver("FeeModule")
        self.chain.call(self.factory, "setSwapFeeModule(address)", self.module)

    def create(self, rng: random.Random, price: int) -> Pool:
        spacing = rng.choice([1, 50, 100, 200, 2000, int(2 ** rng.uniform(0, 13.9))])
        if spacing not in (1, 50, 100, 200, 2000):
            self.chain.call(self.factory, "enableTickSpacing(int24,uint24)", spacing, 1)
        arguments = (*self.tokens, spacing, price)
        address = self.chain.call(
            self.factory, "createPool(address,address,int24,uint160)", *arguments, returns=("address",)
        )
        return Pool(address, (0, 0), Ticks(spacing))

    def settle(self, rng: random.Random, pool: Pool) -> None:
        fee = rng.choice([0, 1, 100, 500, 3000, 100_000, rng.randrange(100_001)])
        self.chain.call(self.module, "set(uint24)", fee)
        pool.fees = fee, fee


class AlgebraWorld(FactoryWorld):
    """Core 3.0.0, "V2": the first swap of a timestamp is charged a fee recomputed from the volatility."""

    kind = 1
    state_getter = "globalState()"
    package = "@cryptoalgebra/core@3.0.0"

    def build(self) -> None:
        # Factory and deployer name each other, so the factory is told where the deployer is going to be.
        self.factory, deployer = _deploy_pair(self.chain, self._code("AlgebraFactory"), self._deploy)
        assert (
            self.chain.call(self.factory, "poolDeployer()", returns=("address",)).lower() == deployer.lower()
        )

    def _code(self, name: str) -> bytes:
        return published_code(self.package, f"artifacts/contracts/{name}.sol/{name}.json")

    def _deploy(self, factory: str) -> str:
        vault = self.chain.call(factory, "communityVault()", returns=("address",))
        return self.chain.deploy(self._code("AlgebraPoolDeployer"), ["address", "address"], [factory, vault])

    def create(self, rng: random.Random, price: int) -> Pool:
        most = rng.choice([0, 1, 100, 3000, 65_535, rng.randrange(65_536)])
        shares = [rng.randrange(most // 3 + 1) for _ in range(2)]
        configuration = (*shares, 360, 60_000, 59, 8_500, most - sum(shares))
        signature = "setDefaultFeeConfiguration((uint16,uint16,uint32,uint32,uint16,uint16,uint16))"
        self.chain.call(self.factory, signature, configuration)
        return self._pool(rng, price, "createPool(address,address)")

    def settle(self, rng: random.Random, pool: Pool) -> None:
        self.chain.set_time(self.chain.time + rng.choice([0, 1, 12, 3600, 90_000]))
        fee = self._fee_after_swap(pool)
        pool.fees = fee, fee

    def _fee_after_swap(self, pool: Pool) -> int:
        """The stored fee after a swap at this time; it does not depend on the swap."""
        types = "uint160", "int24", "int24", "uint16"
        _, _, _, stored = self.chain.call(pool.address, "globalState()", returns=types)
        checkpoint = self.chain.evm.snapshot()
        try:
            for probe in ([1, MIN_SQRT_RATIO + 1, 1], [1, MAX_SQRT_RATIO - 1, 0]):
                try:
                    self.swap(pool, probe)
                except Reverted:
                    continue
                return self.chain.call(pool.address, "globalState()", returns=types)[3]
            return stored
        finally:
            self.chain.evm.revert(checkpoint)

    def _pool(self, rng: random.Random, price: int, signature: str, *more) -> Pool:
        address = self.chain.call(self.factory, signature, *self.tokens, *more, returns=("address",))
        self.chain.call(address, "initialize(uint160)", price)
        spacing = rng.choice([1, 10, 60, 200, 500])
        self._set_spacing(address, spacing)
        return Pool(address, (0, 0), Ticks(spacing), TICK_LIST)

    def _set_spacing(self, pool: str, spacing: int) -> None:
        if self.chain.call(pool, "tickSpacing()", returns=("int24",)) != spacing:
            limit_orders = self.chain.call(pool, "tickSpacingLimitOrders()", returns=("int24",))
            self.chain.call(pool, "setTickSpacing(int24,int24)", spacing, limit_orders)


class IntegralWorld(AlgebraWorld):
    """The last fee is what is charged as long as there is no plugin."""

    kind = 2
    package = "@cryptoalgebra/integral-core@1.2.10"

    def _deploy(self, factory: str) -> str:
        return self.chain.deploy(self._code("AlgebraPoolDeployer"), ["address"], [factory])

    def create(self, rng: random.Random, price: int) -> Pool:
        return self._pool(rng, price, "createPool(address,address,bytes)", b"")

    def settle(self, rng: random.Random, pool: Pool) -> None:
        fee = rng.choice([0, 1, 100, 500, 3000, 50_000, rng.randrange(50_001)])
        if self.chain.call(pool.address, "fee()", returns=("uint16",)) != fee:
            self.chain.call(pool.address, "setFee(uint16)", fee)
        pool.fees = fee, fee

    def _set_spacing(self, pool: str, spacing: int) -> None:
        if self.chain.call(pool, "tickSpacing()", returns=("int24",)) != spacing:
            self.chain.call(pool, "setTickSpacing(int24)", spacing)


def _deploy_pair(chain: Chain, first: bytes, second: Callable[[str], str]) -> tuple[str, str]:
    """Deploy `first` with the address that `second(first)` is going to have."""
    checkpoint = chain.evm.snapshot()
    probe = second(chain.deploy(first, ["address"], [OWNER]))
    chain.evm.revert(checkpoint)
    factory = chain.deploy(first, ["address"], [probe])
    return factory, second(factory)
