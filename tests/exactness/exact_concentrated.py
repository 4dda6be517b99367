"""Pools of the Uniswap V3 kind, as published: Uniswap V3, Pancake V3, Slipstream, Algebra V2 and Integral.

A round is one pool: random fee, spacing, price and ranges; bursts of swaps with a limit, each compared in
amounts and in the price, liquidity and tick after it and then undone; between the bursts a swap that stays, a
mint or a burn. Where a swap has no limit the plain quote is compared too.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from exact_build import Build, compiled, npm_code, published, published_code
from exact_campaign import Family, Mismatch, Round
from exact_chain import OWNER, UINT128, Chain, Reverted, as_bits, run_batch, selector
from exact_ranges import Ticks, random_ranges, random_start, random_swap

from engine.amm.concentrated_forks import fork_swaps_nb
from engine.amm.layout import (
    INSUFFICIENT_LIQUIDITY,
    KIND_V3,
    MAX_SQRT_RATIO,
    MIN_SQRT_RATIO,
    OK,
    PARTIAL,
    TICK_LIST,
    TICK_WORDS,
    PoolArrays,
    allocate,
    int_to_limbs,
    ints_to_limbs,
    limbs_to_int,
    signed_to_limbs,
)
from engine.amm.quote import quotes_nb, swaps_nb
from engine.app.toolchain import forge_artifact

BURSTS, SWAPS_PER_BURST = 5, 200
STARTED = 1_700_000_000


@dataclass
class Pool:
    """One pool on the chain, and what the kernel is told about it."""

    address: str
    fees: tuple[int, int]  # pips, selling token0 and selling token1
    ticks: Ticks
    rules: int = TICK_WORDS


class World:
    """Tokens, a factory and the driver that swaps; one per family, put back after every round."""

    kind = 0
    state_getter = "slot0()"

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

    def build(self) -> None:
        raise NotImplementedError

    def create(self, rng: random.Random, price: int) -> Pool:
        raise NotImplementedError

    def prepare(self, rng: random.Random, pool: Pool) -> None:
        """Anything else that may vary from pool to pool."""

    def settle(self, rng: random.Random, pool: Pool) -> None:
        """Before a burst: time may pass, fees may change."""

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


class UniswapWorld(World):
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


class SlipstreamWorld(World):
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


class AlgebraWorld(World):
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


def _read(world: World, pool: Pool) -> PoolArrays:
    """One row with the pool's state; the tick table is our own account of the mints and burns."""
    price, tick, liquidity = world.state(pool)
    rows = pool.ticks.rows()
    assert liquidity == pool.ticks.active(tick), "our tick table is not the pool's"
    pools = allocate(1, max(len(rows), 1))
    pools.kind[0], pools.rules[0], pools.fee_pips[0] = KIND_V3, pool.rules, pool.fees
    pools.sqrt_price[0], pools.liquidity[0] = int_to_limbs(price), int_to_limbs(liquidity, 2)
    pools.tick[0], pools.tick_spacing[0], pools.tick_count[0] = tick, pool.ticks.spacing, len(rows)
    if pool.rules == TICK_LIST:
        reserves = world.chain.call(pool.address, "getReserves()", returns=("uint128", "uint128"))
        pools.reserves[0] = ints_to_limbs(reserves, 2)
    for index, (at, net) in enumerate(rows):
        pools.arena_tick[index] = at
        pools.arena_net[index] = signed_to_limbs(net)
    return pools


class Batch:
    """Swaps from one state, as both sides see them."""

    def __init__(self, pools: PoolArrays, pool: Pool, cases: list[list[int]]) -> None:
        self.pools, self.pool, self.cases = pools, pool, cases
        count = len(cases)
        self.exact_in = np.array([case[0] >= 0 for case in cases])
        self.zero_for_one = np.array([case[2] == 1 for case in cases])
        self.amounts = ints_to_limbs(abs(case[0]) for case in cases)
        self.limits = ints_to_limbs(case[1] for case in cases)
        self.rows = np.zeros(count, np.int32)

    def kernel(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """statuses, results u64[n, 2, 4], states u64[n, 3, 4]."""
        count = len(self.cases)
        made = (
            np.zeros(count, np.int64),
            np.zeros((count, 2, 4), np.uint64),
            np.zeros((count, 3, 4), np.uint64),
        )
        sides = self.zero_for_one, self.exact_in, self.amounts, self.limits
        if self.pool.rules == TICK_WORDS:
            swaps_nb(self.pools, self.rows, *sides, *made)
        else:
            fees = np.where(self.zero_for_one, *self.pool.fees).astype(np.uint32)
            rules = np.full(count, self.pool.rules, np.uint8)
            fork_swaps_nb(self.pools, self.rows, rules, fees, *sides, *made)
        return made

    def check_quotes(self, statuses: np.ndarray, results: np.ndarray) -> int:
        """Without a limit the quote is the swap's; running dry is INSUFFICIENT_LIQUIDITY."""
        ends = {True: MIN_SQRT_RATIO + 1, False: MAX_SQRT_RATIO - 1}
        free = np.array([case[1] == ends[case[2] == 1] for case in self.cases])
        count = int(free.sum())
        quoted, amounts = np.zeros(count, np.int64), np.zeros((count, 4), np.uint64)
        sides = self.zero_for_one[free], self.exact_in[free], self.amounts[free]
        quotes_nb(self.pools, self.rows[free], *sides, quoted, amounts)
        swapped = np.where(self.exact_in[free][:, None], results[free, 1], results[free, 0])
        expected = np.where(statuses[free] == PARTIAL, INSUFFICIENT_LIQUIDITY, statuses[free])
        wrong = (quoted != expected) | ((expected == OK) & (amounts != swapped).any(axis=1))
        if wrong.any():
            raise Mismatch("quote", np.array(self.cases, object)[free][wrong][0].tolist(), quoted[wrong][0])
        return count


def magnitudes(words: np.ndarray) -> np.ndarray:
    """|x| of two's complement u64[n, 4] rows."""
    negative = (words[:, 3] >> np.uint64(63)) != 0
    flipped = ~words
    carry = np.ones(len(words), bool)
    for limb in range(4):
        flipped[:, limb] += carry.astype(np.uint64)
        carry &= flipped[:, limb] == 0
    return np.where(negative[:, None], flipped, words)


def compare(batch: Batch, answer: np.ndarray) -> Counter[str]:
    """Kernel and contract, case by case. `answer` u64[n, 6, 4] is the driver's."""
    statuses, results, states = batch.kernel()
    done = as_bits(answer[:, 0]) == 1
    ok, partial = statuses == OK, statuses == PARTIAL
    sells_0 = batch.zero_for_one[:, None]
    amount0, amount1 = magnitudes(answer[:, 1]), magnitudes(answer[:, 2])
    sold, bought = np.where(sells_0, amount0, amount1), np.where(sells_0, amount1, amount0)
    filled = (np.where(batch.exact_in[:, None], sold, bought) == batch.amounts).all(axis=1)
    same = (results[:, 0] == sold).all(axis=1) & (results[:, 1] == bought).all(axis=1)
    same &= (states[:, 0] == answer[:, 3]).all(axis=1) & (states[:, 1] == answer[:, 4]).all(axis=1)
    same &= states[:, 2, 0] == answer[:, 5, 0]
    right = np.where(done, same & (ok == filled) & (partial == ~filled), ~ok & ~partial)
    if not right.all():
        i = int(np.flatnonzero(~right)[0])
        raise Mismatch(batch.cases[i], batch.pool, int(statuses[i]), results[i], states[i], answer[i])
    crossed = (states[:, 1, :2] != batch.pools.liquidity[0]).any(axis=1)
    counts = Counter(
        {
            "swaps": len(done),
            "exact in": int((done & batch.exact_in).sum()),
            "exact out": int((done & ~batch.exact_in).sum()),
            "reverts": int((~done).sum()),
            "at limit": int((done & partial).sum()),
            "liquidity changed": int((done & crossed).sum()),
        }
    )
    counts["quotes"] = batch.check_quotes(statuses, results)
    count_words(counts, batch, states, done)
    return counts


def count_words(counts: Counter[str], batch: Batch, states: np.ndarray, done: np.ndarray) -> None:
    reach = 256 * batch.pool.ticks.spacing
    after = states[:, 2, 0].astype(np.int64) // reach
    counts["word crossed"] = int((done & (after != int(batch.pools.tick[0]) // reach)).sum())


def _act(
    world: World, pool: Pool, rng: random.Random, ranges: list[tuple[int, int, int]], move: list[int]
) -> None:
    """Something that stays: a swap, or liquidity that comes or goes."""
    kind = rng.random()
    try:
        if kind < 0.6 or not ranges:
            world.swap(pool, move)
        elif kind < 0.8:
            lower, upper, liquidity = rng.choice(ranges)
            added = max(liquidity // rng.randrange(1, 9), 1)
            _mint(world, pool, lower, upper, added)
            ranges.append((lower, upper, added))
        else:
            at = rng.randrange(len(ranges))
            lower, upper, liquidity = ranges[at]
            world.burn(pool, lower, upper, liquidity)
            pool.ticks.add(lower, upper, -liquidity)
            del ranges[at]
    except Reverted:
        return


def _mint(world: World, pool: Pool, lower: int, upper: int, liquidity: int) -> None:
    world.mint(pool, lower, upper, liquidity)
    pool.ticks.add(lower, upper, liquidity)


def _provide(world: World, pool: Pool, rng: random.Random, tick: int) -> list[tuple[int, int, int]]:
    """Mint random ranges; those the pool refuses (too much for a tick, or for our balance) are left out."""
    minted = []
    for lower, upper, liquidity in random_ranges(rng, tick, pool.ticks.spacing):
        try:
            _mint(world, pool, lower, upper, min(liquidity, UINT128))
        except Reverted:
            continue
        minted.append((lower, upper, min(liquidity, UINT128)))
    return minted


def one_pool(world: World, seed: int) -> Counter[str]:
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    world.chain.set_time(STARTED)
    checkpoint = world.chain.evm.snapshot()
    tick, price = random_start(rng)
    pool = world.create(rng, price)
    world.prepare(rng, pool)
    ranges = _provide(world, pool, rng, tick)
    for _ in range(BURSTS):
        world.settle(rng, pool)
        pools = _read(world, pool)
        state = limbs_to_int(pools.sqrt_price[0]), int(pools.tick[0])
        liquidity = limbs_to_int(pools.liquidity[0])
        cases = [random_swap(rng, *state, pool.ticks.spacing, liquidity) for _ in range(SWAPS_PER_BURST)]
        counts += compare(Batch(pools, pool, cases), world.run(pool, cases))
        _act(world, pool, rng, ranges, random_swap(rng, *state, pool.ticks.spacing, liquidity))
    world.chain.evm.revert(checkpoint)
    return counts


def rounds_of(world_of: type[World]) -> Round:
    world = world_of()
    return lambda seed: one_pool(world, seed)


KINDS = ("exact in", "exact out", "reverts", "at limit", "liquidity changed", "word crossed", "quotes")


def family(name: str, title: str, bytecode: str, world_of: type[World], target: int = 100_000) -> Family:
    return Family(name, title, bytecode, "quote", target, lambda: rounds_of(world_of), 8_000, KINDS)


FAMILIES = [
    family("uniswap-v3", "Uniswap V3", "@uniswap/v3-core 1.0.1", UniswapWorld, 1_000_000),
    family("pancake-v3", "PancakeSwap V3", "@pancakeswap/v3-core 1.0.2", PancakeWorld),
    family(
        "slipstream", "Slipstream", "sphere-mezo-solidity-files 1.2.0, solc 0.7.6", SlipstreamWorld
    ),
    family("algebra-v2", "Algebra V2", "@cryptoalgebra/core 3.0.0", AlgebraWorld),
    family(
        "algebra-integral", "Algebra Integral", "@cryptoalgebra/integral-core 1.2.10", IntegralWorld
    ),
]  # fmt: skip
