"""Curve StableSwap kernels against their plain-integer twin, on states far wider than any pool's."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stableswap_harness import KIND_OF, deposit_view, quote, store, withdraw_one
from stableswap_reference import FACTORY, NG, SUSD, TEMPLATE, THREE_POOL, Generation, Revert, StablePool

from engine.amm.layout import INSUFFICIENT_INPUT, OK, OVERFLOW, UNINITIALISED, ints_to_limbs, limbs_to_ints
from engine.amm.stable_estimates import est_exchange_nb, est_stable_rate_nb
from engine.amm.stable_invariant import STABLE_NG
from engine.amm.stableswap import exchange, exchanges_nb, new_stable_pools, set_stable_pool

AMP = {
    THREE_POOL: (1, 10**4),
    SUSD: (1, 10**4),
    TEMPLATE: (100, 10**6),
    FACTORY: (100, 10**6),
    NG: (100, 10**6),
}


def draw_pool(rng: random.Random) -> StablePool:
    """Wide states: 2 to 8 coins of 0 to 24 decimals, balances of dust to 1e33, all ramps and fees."""
    generation = rng.choice(list(KIND_OF))
    n = rng.choice((2, 2, 3, 4, 8))
    level, spread = rng.uniform(0, 33), rng.choice((0.0, 0.3, 2.0, 12.0))
    rates, balances = [], []
    for _ in range(n):
        decimals = rng.choice((0, 2, 6, 6, 8, 18, 18, 18, 24))
        rate = 10 ** (36 - decimals)
        rates.append(rate if rng.random() < 0.7 else int(rate * rng.uniform(0.5, 2)))
        exponent = level + rng.uniform(-spread, spread) + rng.choice((0, 18 - decimals)) * -1
        balances.append(int(10 ** min(max(exponent, 0), 33)) if rng.random() < 0.97 else rng.choice((0, 1)))
    low, high = AMP[generation]
    first, last = (int(low * (high / low) ** rng.random()) for _ in range(2))
    start = rng.randrange(10**9, 2 * 10**9)
    ramp = (first, last, start, start + rng.randrange(1, 10**7)) if rng.random() < 0.5 else (last, last, 0, 0)
    fee = rng.choice((0, 1, 10**5, 4 * 10**6, 5 * 10**9))
    multiplier = rng.choice((0, 10**10, 10**10 + 1, 2 * 10**10, 5 * 10**10, 5 * 10**19 // max(fee, 1)))
    admin_fee = rng.choice((0, 1, 5 * 10**9, 10**10))
    return StablePool(generation, tuple(balances), tuple(rates), ramp, fee, admin_fee, multiplier)


def draw_trade(rng: random.Random, pool: StablePool) -> tuple[int, int, int, int]:
    i, j = rng.sample(range(len(pool.balances)), 2)
    share = 10 ** rng.uniform(-12, 3)
    dx = rng.choice(
        (int(pool.balances[i] * share), rng.randrange(10), rng.getrandbits(rng.randrange(1, 257)))
    )
    start, end = pool.ramp[2:]
    return i, j, dx, rng.choice((start, end, rng.randrange(start, end + 1), end + 10**6))


def twin(pool: StablePool, i: int, j: int, dx: int, timestamp: int, view: bool) -> tuple[int, int] | None:
    try:
        return (pool.get_dy(i, j, dx, timestamp), 0) if view else pool.exchange(i, j, dx, timestamp)
    except Revert:
        return None


@pytest.mark.parametrize("view", [False, True])
def test_kernels_equal_the_twin_on_wide_states(view: bool):
    rng, count = random.Random(f"stableswap {view}"), 6000
    pools, drawn = new_stable_pools(count), []
    for row in range(count):
        pool = draw_pool(rng)
        store(pools, row, pool)
        drawn.append((pool, *draw_trade(rng, pool)))
    statuses, results = np.zeros(count, np.int64), np.zeros((count, 2, 4), np.uint64)
    column = [np.array([case[k] for case in drawn], np.int64) for k in (1, 2)]
    timestamps = np.array([case[4] for case in drawn], np.uint64)
    amounts = ints_to_limbs(case[3] for case in drawn)
    exchanges_nb(pools, np.arange(count), *column, amounts, timestamps, view, statuses, results)
    seen = zip(statuses.tolist(), limbs_to_ints(results[:, 0]), limbs_to_ints(results[:, 1]), strict=True)
    judged: Counter[tuple[Generation, bool]] = Counter()
    for case, (status, paid, after) in zip(drawn, seen, strict=True):
        expected = twin(*case, view)
        assert ((paid, after) if status == OK else None) == expected, case
        judged[case[0].generation, expected is not None] += 1
    assert min(judged.values()) >= 50
    assert len(judged) == 2 * len(KIND_OF)


@settings(max_examples=300, deadline=None)
@given(
    st.randoms(use_true_random=False), st.integers(0, 2**256 - 1), st.integers(0, 2**64 - 1), st.booleans()
)
def test_kernels_equal_the_twin_on_any_amount(rng: random.Random, dx: int, timestamp: int, view: bool):
    pool = draw_pool(rng)
    timestamp = max(timestamp, pool.ramp[2])
    i, j = rng.sample(range(len(pool.balances)), 2)
    status, paid, after = quote(pool, i, j, dx, timestamp, view)
    assert ((paid, after) if status == OK else None) == twin(pool, i, j, dx, timestamp, view)


def test_rows_and_coins_that_are_not_there_are_refused():
    pools = new_stable_pools(2)
    store(pools, 0, StablePool(NG, (10**24, 10**12), (10**18, 10**30), (20000, 20000, 0, 0), 4 * 10**6))
    assert exchange(pools, 0, 0, 1, 10**18, 0)[0] == OK
    for row, i, j in ((0, 0, 0), (0, 0, 2), (0, -1, 1), (0, 8, 1), (1, 0, 1)):
        assert exchange(pools, row, i, j, 10**18, 0)[0] == UNINITIALISED
    assert exchange(pools, 0, 0, 1, 0, 0)[0] == INSUFFICIENT_INPUT
    assert exchange(pools, 0, 0, 1, 2**256 - 1, 0)[0] == OVERFLOW
    with pytest.raises(ValueError):
        set_stable_pool(pools, 1, STABLE_NG, [1], [1], 100, 0, 0)
    with pytest.raises(ValueError):
        set_stable_pool(pools, 1, 9, [1, 1], [1, 1], 100, 0, 0)
    with pytest.raises(OverflowError):
        set_stable_pool(pools, 1, STABLE_NG, [1, -1], [1, 1], 100, 0, 0)


def test_states_no_contract_reaches_end_as_the_twin_says():
    huge, most = 2**256 - 1, 2**64 - 1
    for generation in KIND_OF:
        for balances in ((huge, huge), (0, huge), (0, 0), (1, huge >> 130), (huge >> 140, 1)):
            for rates, fee, multiplier in (((huge, 1), most, huge), ((0, 0), 0, 0), ((1, huge), 1, 2)):
                for amp in (1, 2**32 - 1):
                    pool = StablePool(generation, balances, rates, (amp, amp, 0, 0), fee, most, multiplier)
                    for amount in (0, 1, huge):
                        status, paid, after = quote(pool, 0, 1, amount, 0)
                        expected = twin(pool, 0, 1, amount, 0, False)
                        assert ((paid, after) if status == OK else None) == expected, (pool, amount)


def test_amplifications_no_contract_allows_are_refused():
    for ramp in ((0, 0, 0, 0), (2**32, 1, 0, 9), (1, 2**64 - 1, 0, 0), (1, 9, 5, 9), (1, 9, 0, 2**40)):
        pool = StablePool(TEMPLATE, (10**24, 10**24), (10**18, 10**18), ramp, 0)
        assert quote(pool, 0, 1, 10**18, 4)[0] == OVERFLOW


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_liquidity_kernels_equal_the_twin(rng: random.Random):
    pool = draw_pool(rng)
    coin, _, amount, timestamp = draw_trade(rng, pool)
    pools = new_stable_pools(1)
    store(pools, 0, pool)
    supply = int(sum(pool.xp()) * rng.uniform(0.5, 1.2)) + rng.randrange(2)
    burnt = rng.choice((int(supply * 10 ** rng.uniform(-9, 0.1)), amount))
    for kernel, method, given_amount in (
        (deposit_view, pool.deposit_view, amount),
        (withdraw_one, pool.withdraw_one, burnt),
    ):
        status, answer = kernel(pools, 0, coin, given_amount, supply, timestamp)
        if pool.generation is NG:
            assert status == UNINITIALISED
            continue
        try:
            expected = method(coin, given_amount, supply, timestamp)
        except Revert:
            expected = None
        assert (answer if status == OK else None) == expected


def test_estimates_follow_the_exact_quotes():
    rng, compared = random.Random("estimates"), 0
    for _ in range(4000):
        pool = draw_pool(rng)
        i, j, _, timestamp = draw_trade(rng, pool)
        dx = int(pool.balances[i] * 10 ** rng.uniform(-8, 0.3))
        status, paid, _ = quote(pool, i, j, dx, timestamp)
        if status != OK or paid < 10**7 or min(pool.xp()) < 10**12:
            continue
        pools = new_stable_pools(1)
        store(pools, 0, pool)
        assert est_exchange_nb(pools, 0, i, j, float(dx), timestamp) == pytest.approx(paid, rel=3e-6)
        compared += 1
    assert compared >= 400


def test_the_marginal_rate_is_that_of_a_small_trade():
    for generation, multiplier in ((THREE_POOL, 0), (SUSD, 0), (TEMPLATE, 0), (NG, 5 * 10**10)):
        rates, balances = (10**18, 10**30, 10**18), (3 * 10**25, 8 * 10**12, 10**25)
        amp = 30 * generation.precision
        pool = StablePool(generation, balances, rates, (amp, amp, 0, 0), 4 * 10**6, 0, multiplier)
        pools = new_stable_pools(1)
        store(pools, 0, pool)
        for i, j in ((0, 1), (1, 2), (2, 0)):
            dx = balances[i] // 10**5
            status, paid, _ = exchange(pools, 0, i, j, dx, 0)
            assert status == OK
            assert est_stable_rate_nb(pools, 0, i, j, 0) == pytest.approx(paid / dx, rel=2e-5)
    assert est_stable_rate_nb(new_stable_pools(1), 0, 0, 1, 0) == 0.0
    assert est_exchange_nb(new_stable_pools(1), 0, 0, 1, 1.0, 0) == 0.0
