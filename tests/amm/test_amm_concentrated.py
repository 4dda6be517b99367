"""The V3 kernels against their plain-integer twins, and their refusals."""

from __future__ import annotations

import random

import amm_harness as harness
import amm_reference as reference
import numpy as np
import pytest
from amm_evm import v3_row

from engine.amm.layout import (
    BAD_LIMIT,
    INSUFFICIENT_INPUT,
    INSUFFICIENT_LIQUIDITY,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    OK,
    OUT_OF_KNOWN,
    OVERFLOW,
    PARTIAL,
    UNINITIALISED,
    PoolArrays,
    allocate,
    ints_to_limbs,
    limbs_to_ints,
)
from engine.amm.quote import QuoteRefused, quote_exact_in, quote_exact_out, simulate_swap
from engine.amm.tick_math import sqrt_ratio_at_tick, tick_at_sqrt_ratio

CASES = 20_000


def random_price(rng: random.Random) -> int:
    price = reference.sqrt_ratio_at_tick(rng.randrange(MIN_TICK, MAX_TICK)) + rng.choice((0, 0, 1, 2))
    if rng.random() < 0.3:
        price = int(2 ** rng.uniform(32.1, 159.9))
    return min(max(price, MIN_SQRT_RATIO), MAX_SQRT_RATIO - 1)


def near(rng: random.Random, price: int) -> int:
    """A price near another: by a few units, by a little, or by a lot."""
    other = rng.choice(
        (
            price + rng.randrange(-3, 4),
            int(price * (1 + rng.uniform(-1e-3, 1e-3))),
            int(price * 2 ** rng.uniform(-3, 3)),
        )
    )
    return min(max(other, MIN_SQRT_RATIO), MAX_SQRT_RATIO - 1)


def random_liquidity(rng: random.Random) -> int:
    return min(int(2 ** rng.uniform(0, 128)), reference.UINT128)


def test_sqrt_ratios_of_ticks():
    ticks = [MIN_TICK, MIN_TICK + 1, -1, 0, 1, MAX_TICK - 1, MAX_TICK, *range(MIN_TICK, MAX_TICK, 37)]
    ticks += [sign * (1 << bit) for bit in range(20) for sign in (-1, 1)]
    results = np.zeros((len(ticks), 4), np.uint64)
    harness.sqrt_ratios(np.array(ticks, np.int64), results)
    assert limbs_to_ints(results) == [reference.sqrt_ratio_at_tick(tick) for tick in ticks]


def test_every_tick_is_found_from_its_price_and_missed_from_one_unit_less():
    assert harness.tick_round_trips(MIN_TICK, MAX_TICK) == 0


def test_ticks_of_prices_equal_the_contracts_logarithm():
    rng = random.Random(1)
    prices = [random_price(rng) for _ in range(CASES)]
    prices += [MIN_SQRT_RATIO, MIN_SQRT_RATIO + 1, MAX_SQRT_RATIO - 1, 1 << 96, (1 << 96) - 1, (1 << 96) + 1]
    results = np.zeros(len(prices), np.int64)
    harness.ticks_at(ints_to_limbs(prices), results)
    assert results.tolist() == [reference.tick_at_sqrt_ratio(price) for price in prices]


def test_ticks_and_prices_outside_the_range_are_refused():
    for tick in (MIN_TICK - 1, MAX_TICK + 1):
        with pytest.raises(ValueError, match="outside"):
            sqrt_ratio_at_tick(tick)
    for price in (MIN_SQRT_RATIO - 1, MAX_SQRT_RATIO):
        with pytest.raises(ValueError, match="outside"):
            tick_at_sqrt_ratio(price)


def test_amounts_between_prices():
    rng = random.Random(2)
    prices = [random_price(rng) for _ in range(CASES)]
    others = [near(rng, price) for price in prices]
    liquidity = [random_liquidity(rng) for _ in prices]
    results = np.zeros((CASES, 4, 4), np.uint64)
    harness.deltas(ints_to_limbs(prices), ints_to_limbs(others), ints_to_limbs(liquidity, 2), results)
    for i, (a, b, amount) in enumerate(zip(prices, others, liquidity, strict=True)):
        expected = [reference.amount0_delta(a, b, amount, up) for up in (False, True)]
        expected += [reference.amount1_delta(a, b, amount, up) for up in (False, True)]
        assert limbs_to_ints(results[i]) == expected


def test_prices_after_amounts_including_the_reverts():
    rng = random.Random(3)
    prices = [random_price(rng) for _ in range(CASES)]
    liquidity = [random_liquidity(rng) for _ in prices]
    amounts = [
        rng.choice((0, 1, int(2 ** rng.uniform(0, 255)), int(2 ** rng.uniform(0, 130)))) for _ in prices
    ]
    down = [rng.random() < 0.5 for _ in prices]
    from_input = [rng.random() < 0.5 for _ in prices]
    statuses, results = np.zeros(CASES, np.int64), np.zeros((CASES, 4), np.uint64)
    harness.next_prices(
        ints_to_limbs(prices),
        ints_to_limbs(liquidity, 2),
        ints_to_limbs(amounts),
        np.array(down),
        np.array(from_input),
        statuses,
        results,
    )
    got = limbs_to_ints(results)
    reverts = 0
    for i in range(CASES):
        function = reference.next_price_from_input if from_input[i] else reference.next_price_from_output
        try:
            expected = function(prices[i], liquidity[i], amounts[i], down[i])
        except reference.Revert:
            assert statuses[i] in (OVERFLOW, INSUFFICIENT_LIQUIDITY)
            reverts += 1
        else:
            assert statuses[i] == OK
            assert got[i] == expected
    assert CASES // 20 < reverts < CASES * 0.8


def test_one_step():
    rng = random.Random(4)
    prices = [random_price(rng) for _ in range(CASES)]
    targets = [near(rng, price) for price in prices]
    liquidity = [random_liquidity(rng) if rng.random() < 0.95 else 0 for _ in prices]
    exact_in = [rng.random() < 0.5 for _ in prices]
    fees = [rng.choice((0, 1, 100, 500, 2500, 3000, 10_000, 999_999)) for _ in prices]
    amounts = []
    for price, target, held, is_in in zip(prices, targets, liquidity, exact_in, strict=True):
        sells_0 = (price >= target) == is_in
        size = (reference.amount0_delta if sells_0 else reference.amount1_delta)(price, target, held, is_in)
        amounts.append(max(int(size * rng.choice((0.3, 0.99, 1, 1.01, 3))) + rng.randrange(-2, 3), 1))
    statuses, results = np.zeros(CASES, np.int64), np.zeros((CASES, 4, 4), np.uint64)
    harness.swap_steps(
        ints_to_limbs(prices),
        ints_to_limbs(targets),
        ints_to_limbs(liquidity, 2),
        ints_to_limbs(amounts),
        np.array(fees, np.uint64),
        np.array(exact_in),
        statuses,
        results,
    )
    reached = 0
    for i, target in enumerate(targets):
        expected = reference.compute_swap_step(
            prices[i], target, liquidity[i], amounts[i], fees[i], exact_in[i]
        )
        assert statuses[i] == OK
        assert tuple(limbs_to_ints(results[i])) == expected
        reached += expected[0] == target
    assert CASES // 4 < reached < CASES * 0.9


def twin_of(pools: PoolArrays, fee_pips: int, ticks: list[tuple[int, int]]) -> reference.V3Pool:
    return reference.V3Pool(
        limbs_to_ints(pools.sqrt_price)[0],
        int(pools.tick[0]),
        limbs_to_ints(pools.liquidity)[0],
        fee_pips,
        int(pools.tick_spacing[0]),
        dict(ticks),
    )


TICKS = [(-2400, 10**18), (-600, 4 * 10**18), (-60, 10**20), (0, 0), (60, -(10**20)), (1200, -5 * 10**18)]
PRICE = reference.sqrt_ratio_at_tick(7)
LIQUIDITY = 10**20 + 5 * 10**18
LOW, HIGH = MIN_SQRT_RATIO + 1, MAX_SQRT_RATIO - 1


@pytest.mark.parametrize("zero_for_one", [True, False])
@pytest.mark.parametrize("exact_in", [True, False])
def test_whole_swaps_equal_the_twin(zero_for_one: bool, exact_in: bool):
    rng = random.Random(8)
    pools = v3_row(PRICE, LIQUIDITY, 7, 3000, 60, TICKS)
    for _ in range(300):
        amount = int(10 ** rng.uniform(0, 19.5))
        twin = twin_of(pools, 3000, TICKS)
        limit = LOW if zero_for_one else HIGH
        moved = twin.swap(zero_for_one, amount, exact_in, limit)
        got = simulate_swap(pools, 0, zero_for_one, amount, exact_in=exact_in)
        assert (got.amount_in, got.amount_out) == moved
        assert (got.sqrt_price_x96, got.liquidity, got.tick) == (twin.sqrt_price, twin.liquidity, twin.tick)
        assert got.status == (OK if moved[0 if exact_in else 1] == amount else PARTIAL)


def test_refusals():
    pools = v3_row(PRICE, LIQUIDITY, 7, 3000, 60, TICKS)
    for amount, status in (
        (0, INSUFFICIENT_INPUT),
        (-5, INSUFFICIENT_INPUT),
        (2**255, OVERFLOW),
        (2**256, OVERFLOW),
    ):
        for quote in (quote_exact_in, quote_exact_out, simulate_swap):
            with pytest.raises(QuoteRefused) as refusal:
                quote(pools, 0, True, amount)
            assert refusal.value.status == status
    for zero_for_one, limit in ((True, PRICE), (True, HIGH), (False, PRICE), (False, LOW), (True, LOW - 1)):
        with pytest.raises(QuoteRefused) as refusal:
            simulate_swap(pools, 0, zero_for_one, 10, sqrt_price_limit_x96=limit)
        assert refusal.value.status == BAD_LIMIT
    with pytest.raises(QuoteRefused, match="insufficient liquidity"):
        quote_exact_in(pools, 0, True, 10**30)
    with pytest.raises(QuoteRefused) as refusal:
        quote_exact_in(allocate(1, 1), 0, True, 10)
    assert refusal.value.status == UNINITIALISED


def test_a_tick_that_would_overflow_liquidity_reverts():
    ticks = [(-60, 10**18), (60, -(10**19))]
    pools = v3_row(PRICE, 10**18, 7, 3000, 60, ticks)
    with pytest.raises(QuoteRefused) as refusal:
        quote_exact_in(pools, 0, False, 10**19)
    assert refusal.value.status == OVERFLOW


@pytest.mark.parametrize("zero_for_one", [True, False])
def test_a_quote_ends_where_the_ticks_are_no_longer_known(zero_for_one: bool):
    """Inside the known range the answer is that of the whole map; a unit beyond it there is none."""
    whole = v3_row(PRICE, LIQUIDITY, 7, 3000, 60, TICKS)
    low, high = -600, 60
    known = v3_row(PRICE, LIQUIDITY, 7, 3000, 60, [entry for entry in TICKS if low <= entry[0] <= high])
    known.known_low[0], known.known_high[0] = low, high
    edge = reference.sqrt_ratio_at_tick(low if zero_for_one else high)
    most = simulate_swap(whole, 0, zero_for_one, 10**30, sqrt_price_limit_x96=edge).amount_in
    for amount in (1, most // 2, most - 1, most):
        expected = quote_exact_in(whole, 0, zero_for_one, amount)
        assert quote_exact_in(known, 0, zero_for_one, amount) == expected
    with pytest.raises(QuoteRefused) as refusal:
        quote_exact_in(known, 0, zero_for_one, most + most // 1000)
    assert refusal.value.status == OUT_OF_KNOWN
    known.tick[0] = high + 1 if zero_for_one else low - 1
    with pytest.raises(QuoteRefused) as refusal:
        quote_exact_in(known, 0, zero_for_one, 1)
    assert refusal.value.status == OUT_OF_KNOWN
