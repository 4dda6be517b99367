"""Pools of the Uniswap V3 kind, as published: Uniswap V3, Pancake V3, Slipstream, Algebra V2 and Integral.

A round is one pool: random fee, spacing, price and ranges; bursts of swaps with a limit, each compared in
amounts and in the price, liquidity and tick after it and then undone; between the bursts a swap that stays, a
mint or a burn. Where a swap has no limit the plain quote is compared too, and to that the quote from prefix
tables, which are refreshed from burst to burst as a market would.
"""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
from exact_campaign import Family, Mismatch, Round
from exact_chain import UINT128, Reverted, as_bits
from exact_ranges import random_ranges, random_start, random_swap
from exact_worlds import (
    STARTED,
    AlgebraWorld,
    IntegralWorld,
    PancakeWorld,
    Pool,
    SlipstreamWorld,
    UniswapWorld,
    World,
)

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
from engine.amm.tick_table import table_quotes_nb
from engine.amm.tick_window import TickTables, new_tick_tables, refresh_tables_nb

BURSTS, SWAPS_PER_BURST = 5, 200


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

    def check_tables(self, tables: TickTables) -> int:
        """Prefix tables answer what the loop answers, whatever the limit was; returns how many have one."""
        count, sides = len(self.cases), (self.zero_for_one, self.exact_in, self.amounts)
        looped, tabled = ((np.zeros(count, np.int64), np.zeros((count, 4), np.uint64)) for _ in range(2))
        quotes_nb(self.pools, self.rows, *sides, *looped)
        table_quotes_nb(tables, self.pools, self.rows, *sides, *tabled)
        wrong = (looped[0] != tabled[0]) | ((looped[0] == OK) & (looped[1] != tabled[1]).any(axis=1))
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            raise Mismatch("table", self.cases[i], looped[0][i], looped[1][i], tabled[0][i], tabled[1][i])
        return int((looped[0] == OK).sum())


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
    tables, row = new_tick_tables(1, 1), np.zeros(1, np.int32)
    tables.place[0] = 0
    for _ in range(BURSTS):
        world.settle(rng, pool)
        pools = _read(world, pool)
        state = limbs_to_int(pools.sqrt_price[0]), int(pools.tick[0])
        liquidity = limbs_to_int(pools.liquidity[0])
        cases = [random_swap(rng, *state, pool.ticks.spacing, liquidity) for _ in range(SWAPS_PER_BURST)]
        batch = Batch(pools, pool, cases)
        counts += compare(batch, world.run(pool, cases))
        refresh_tables_nb(tables, pools, row)
        counts["tables"] += batch.check_tables(tables)
        _act(world, pool, rng, ranges, random_swap(rng, *state, pool.ticks.spacing, liquidity))
    world.chain.evm.revert(checkpoint)
    return counts


def rounds_of(world_of: type[World]) -> Round:
    world = world_of()
    return lambda seed: one_pool(world, seed)


KINDS = (
    "exact in",
    "exact out",
    "reverts",
    "at limit",
    "liquidity changed",
    "word crossed",
    "quotes",
    "tables",
)


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
