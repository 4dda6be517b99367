"""The V3 kernel against pools of published bytecode: amounts, state after, partial fills, reverts."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from amm_evm import Reverted, SwapEvent, V3Chain

from engine.amm.layout import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    OK,
    PARTIAL,
    STATUS_NAMES,
    PoolArrays,
    int_to_limbs,
    ints_to_limbs,
    limbs_to_int,
)
from engine.amm.quote import quotes_nb, swaps_nb
from engine.amm.tick_math import sqrt_ratio_at_tick, tick_at_sqrt_ratio

SPACINGS = {100: 1, 500: 10, 3000: 60, 10000: 200}
POOLS_PER_FEE = 10
SWAPS_PER_POOL = 250


@dataclass
class Case:
    """One swap asked of both."""

    zero_for_one: bool
    exact_in: bool
    amount: int
    limit: int


def random_ranges(rng: random.Random, tick: int, spacing: int) -> list[tuple[int, int, int]]:
    """(lower, upper, liquidity): wide and narrow, near and far, some adjoining with equal liquidity so that
    the tick between them is initialised with a net of zero, and some gaps with no liquidity at all."""
    lowest, highest = -(-MIN_TICK // spacing) * spacing, MAX_TICK // spacing * spacing
    here = tick // spacing * spacing
    ranges = []
    for _ in range(rng.randrange(3, 16)):
        reach = spacing * int(2 ** rng.uniform(0, 12))
        lower = here + rng.randrange(-reach, reach + 1) // spacing * spacing
        upper = lower + spacing * int(2 ** rng.uniform(0, 10))
        liquidity = int(10 ** rng.uniform(3, 25))
        ranges.append((lower, upper, liquidity))
        if rng.random() < 0.3:
            ranges.append((upper, upper + spacing * rng.randrange(1, 300), liquidity))
    if rng.random() < 0.7:
        ranges.append((lowest, highest, int(10 ** rng.uniform(3, 22))))
    ranges.append((here - spacing, here + 2 * spacing, 10**18))
    inside = [(max(low, lowest), min(high, highest), amount) for low, high, amount in ranges]
    return [entry for entry in inside if entry[0] < entry[1]]


def random_limit(rng: random.Random, price: int, tick: int, spacing: int, zero_for_one: bool) -> int:
    extreme = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
    kind = rng.random()
    sign = -1 if zero_for_one else 1
    if kind < 0.25:
        return extreme
    if kind < 0.30:  # illegal ones, and the nearest legal ones
        return rng.choice([price, price - sign, price + sign, extreme + sign, MIN_SQRT_RATIO, MAX_SQRT_RATIO])
    away = tick + sign * int(spacing * 2 ** rng.uniform(0, 11))
    grid = 256 * spacing if kind < 0.4 else spacing if kind < 0.7 else 1  # word edges, ticks, anywhere
    away = away // grid * grid + (0 if zero_for_one else grid)
    limit = sqrt_ratio_at_tick(min(max(away, MIN_TICK), MAX_TICK)) + rng.choice([-1, 0, 0, 0, 1])
    return min(max(limit, MIN_SQRT_RATIO + 1), MAX_SQRT_RATIO - 1)


def random_case(rng: random.Random, price: int, tick: int, spacing: int, liquidity: int) -> Case:
    zero_for_one, exact_in = rng.random() < 0.5, rng.random() < 0.5
    scale = max(liquidity, 1000)
    # About the amount that moves the price by a factor 2**-20 ... 2**3 at the present liquidity.
    sells_0 = zero_for_one == exact_in
    unit = (scale << 96) // price if sells_0 else scale * price >> 96
    amount = int(max(unit, 1) * 2 ** rng.uniform(-24, 4)) + rng.randrange(3)
    if rng.random() < 0.1:
        amount = rng.choice([1, 2, 3, 0, int(2 ** rng.uniform(0, 120))])
    limit = random_limit(rng, price, tick, spacing, zero_for_one)
    return Case(zero_for_one, exact_in, amount, limit)


def kernel_swaps(pools: PoolArrays, cases: list[Case]):
    count = len(cases)
    statuses = np.zeros(count, np.int64)
    results = np.zeros((count, 2, 4), np.uint64)
    states = np.zeros((count, 3, 4), np.uint64)
    swaps_nb(
        pools,
        np.zeros(count, np.int32),
        np.array([case.zero_for_one for case in cases]),
        np.array([case.exact_in for case in cases]),
        ints_to_limbs([case.amount for case in cases]),
        ints_to_limbs([case.limit for case in cases]),
        statuses,
        results,
        states,
    )
    return statuses, results, states


def contract_swap(chain: V3Chain, pool: str, case: Case) -> SwapEvent | None:
    specified = case.amount if case.exact_in else -case.amount
    try:
        return chain.swap(pool, case.zero_for_one, specified, case.limit)
    except Reverted:
        return None


def compare(case: Case, event: SwapEvent | None, status: int, result, state) -> None:
    if event is None:
        assert status not in (OK, PARTIAL), case
        return
    sold, bought = (event.amount0, event.amount1) if case.zero_for_one else (event.amount1, event.amount0)
    amount_in, amount_out = limbs_to_int(result[0]), limbs_to_int(result[1])
    filled = (amount_in if case.exact_in else amount_out) == case.amount
    assert status == (OK if filled else PARTIAL), case
    assert (amount_in, amount_out) == (sold, -bought), case
    after = limbs_to_int(state[0]), limbs_to_int(state[1]), int(state[2, 0].astype(np.int64))
    assert after == (event.sqrt_price, event.liquidity, event.tick), case


def quote_without_limit(pools: PoolArrays, cases: list[Case], statuses, results) -> int:
    """`quotes_nb` says the same as the swap when the limit is the extreme one; returns how many were."""
    extreme = [MIN_SQRT_RATIO + 1 if case.zero_for_one else MAX_SQRT_RATIO - 1 for case in cases]
    chosen = [i for i, case in enumerate(cases) if case.limit == extreme[i] and statuses[i] == OK]
    quoted = np.zeros(len(chosen), np.int64)
    amounts = np.zeros((len(chosen), 4), np.uint64)
    quotes_nb(
        pools,
        np.zeros(len(chosen), np.int32),
        np.array([cases[i].zero_for_one for i in chosen], bool),
        np.array([cases[i].exact_in for i in chosen], bool),
        ints_to_limbs([cases[i].amount for i in chosen]),
        quoted,
        amounts,
    )
    for k, i in enumerate(chosen):
        assert quoted[k] == OK
        assert np.array_equal(amounts[k], results[i, 1 if cases[i].exact_in else 0])
    return len(chosen)


def store_state(pools: PoolArrays, event: SwapEvent) -> None:
    pools.sqrt_price[0] = int_to_limbs(event.sqrt_price)
    pools.liquidity[0] = int_to_limbs(event.liquidity, 2)
    pools.tick[0] = event.tick


def campaign(
    chain: V3Chain, fee_pips: int, spacing: int, seed: int, swaps: int = SWAPS_PER_POOL
) -> Counter[str]:
    """One pool with random ranges; bursts of compared swaps, each burst from a state a real swap left."""
    rng = random.Random(seed)
    checkpoint = chain.evm.snapshot()
    tick = int(rng.choice([rng.uniform(-2000, 2000), rng.uniform(-300_000, 300_000)]))
    if rng.random() < 0.1:
        tick = rng.choice([MIN_TICK + 300, MAX_TICK - 300])
    price = sqrt_ratio_at_tick(tick) + rng.choice([0, 0, 1, 7])
    pool = chain.create_pool(fee_pips, price)
    ranges = random_ranges(rng, tick, spacing)
    for lower, upper, liquidity in ranges:
        chain.mint(pool, lower, upper, liquidity)
    ticks = [tick for lower, upper, _ in ranges for tick in (lower, upper)]
    pools = chain.read_pool(pool, fee_pips, ticks)
    counts: Counter[str] = Counter()
    for _ in range(swaps // 50):
        price = limbs_to_int(pools.sqrt_price[0])
        liquidity = limbs_to_int(pools.liquidity[0])
        cases = [random_case(rng, price, int(pools.tick[0]), spacing, liquidity) for _ in range(50)]
        statuses, results, states = kernel_swaps(pools, cases)
        for i, case in enumerate(cases):
            inner = chain.evm.snapshot()
            event = contract_swap(chain, pool, case)
            chain.evm.revert(inner)
            compare(case, event, statuses[i], results[i], states[i])
            count_case(counts, case, event, int(statuses[i]), int(pools.tick[0]), spacing)
        counts["quotes"] += quote_without_limit(pools, cases, statuses, results)
        move = random_case(rng, price, int(pools.tick[0]), spacing, liquidity)
        event = contract_swap(chain, pool, move)
        if event is not None:
            store_state(pools, event)
    chain.evm.revert(checkpoint)
    return counts


def count_case(
    counts: Counter[str], case: Case, event: SwapEvent | None, status: int, tick: int, spacing: int
) -> None:
    counts["cases"] += 1
    if event is None:
        counts[f"reverts: {STATUS_NAMES[status]}"] += 1
        counts["reverts"] += 1
        return
    counts["exact in" if case.exact_in else "exact out"] += 1
    counts["down" if case.zero_for_one else "up"] += 1
    counts["at limit"] += event.sqrt_price == case.limit
    counts["word crossed"] += event.tick // spacing // 256 != tick // spacing // 256


def check_coverage(counts: Counter[str], cases: int) -> None:
    assert counts["cases"] >= cases
    for kind in ("exact in", "exact out", "down", "up"):
        assert counts[kind] >= cases // 4, counts
    for kind in ("at limit", "word crossed", "quotes"):
        assert counts[kind] >= cases // 20, counts
    assert counts["reverts"] >= cases // 200, counts


def test_uniswap_v3_pools_agree_to_the_wei():
    chain = V3Chain()
    counts: Counter[str] = Counter()
    for fee_pips, spacing in SPACINGS.items():
        for seed in range(POOLS_PER_FEE):
            counts += campaign(chain, fee_pips, spacing, 1000 * fee_pips + seed)
    print(dict(counts))
    check_coverage(counts, 10_000)


def test_pancake_v3_pools_agree_to_the_wei():
    chain = V3Chain(pancake=True)
    counts: Counter[str] = Counter()
    for seed in range(4):
        counts += campaign(chain, 2500, 50, seed)
    print(dict(counts))
    check_coverage(counts, 1000)


@pytest.mark.parametrize("tick", [MIN_TICK, MIN_TICK + 1, -1, 0, 1, MAX_TICK - 1])
def test_pools_accept_our_tick_of_their_price(tick: int):
    """`initialize` stores TickMath's tick of the price: ours must be the same, at and beside tick prices."""
    chain = V3Chain()
    for nudge in (-1, 0, 1):
        price = sqrt_ratio_at_tick(tick) + nudge
        if not MIN_SQRT_RATIO <= price < MAX_SQRT_RATIO:
            continue
        checkpoint = chain.evm.snapshot()
        pool = chain.create_pool(3000, price)
        assert chain.call(pool, "slot0()", returns=("uint160", "int24")) == (price, tick_at_sqrt_ratio(price))
        chain.evm.revert(checkpoint)
