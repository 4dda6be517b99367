"""Single quotes from Python: the same answers as in batches, on arrays that change underneath."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest

from engine.amm.layout import KIND_V2, OK, PoolArrays, allocate, int_to_limbs, limbs_to_int
from engine.amm.one_quote import Quoter
from engine.amm.quote import QuoteRefused, quote_exact_in, quotes_nb


def v2_pools(rng: random.Random, count: int) -> PoolArrays:
    pools = allocate(count, 1)
    for row in range(count):
        pools.kind[row], pools.fee_pips[row] = KIND_V2, rng.choice([0, 2500, 3000])
        for side in range(2):
            pools.reserves[row, side] = int_to_limbs(rng.randrange(1, 1 << rng.randint(1, 112)), 2)
    return pools


def in_batches(pools: PoolArrays, row: int, down: bool, exact_in: bool, amount: int) -> tuple[int, int]:
    statuses, results = np.zeros(1, np.int64), np.zeros((1, 4), np.uint64)
    amounts = int_to_limbs(amount).reshape(1, 4)
    flags = np.array([down]), np.array([exact_in])
    quotes_nb(pools, np.array([row], np.int32), *flags, amounts, statuses, results)
    return int(statuses[0]), limbs_to_int(results[0])


def test_single_quotes_are_those_of_a_batch_while_the_state_changes() -> None:
    rng = random.Random(4)
    pools = v2_pools(rng, 20)
    quoter, done = Quoter(pools), 0
    for _ in range(600):
        row, down, exact_in = rng.randrange(20), rng.random() < 0.5, rng.random() < 0.5
        pools.reserves[row, 0] = int_to_limbs(rng.randrange(1 << rng.randint(1, 112)), 2)
        amount = rng.randrange(1 << rng.randint(1, 256))
        answer = quoter.quote(row, down, exact_in, amount)
        assert answer == in_batches(pools, row, down, exact_in, amount)
        done += answer[0] == OK
    assert done > 100


def test_what_is_not_there_is_refused() -> None:
    quoter = Quoter(v2_pools(random.Random(5), 3))
    for row in (-1, 3):
        with pytest.raises(IndexError):
            quoter.quote(row, True, True, 1)
    for amount in (-1, 1 << 256):
        with pytest.raises(OverflowError):
            quoter.quote(0, True, True, amount)


def test_each_thread_quotes_the_arrays_it_was_given() -> None:
    rng = random.Random(6)
    sets = [v2_pools(rng, 2) for _ in range(3)]
    expected = [in_batches(pools, 1, True, True, 10**9) for pools in sets]
    failures: list[object] = []

    def work(number: int) -> None:
        for turn in range(200):
            at = (number + turn) % 3
            try:
                answer = OK, quote_exact_in(sets[at], 1, True, 10**9)
            except QuoteRefused as refused:
                answer = refused.status, expected[at][1]
            if answer != expected[at]:
                failures.append((number, turn, answer))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
