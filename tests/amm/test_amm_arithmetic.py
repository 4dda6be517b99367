"""Wide integers, division and FullMath against Python's integers, on ordinary and adversarial limbs."""

from __future__ import annotations

import random

import amm_harness as harness
import amm_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.amm.layout import ints_to_limbs, limbs_to_ints

CASES = 50_000
EDGE_LIMBS = (0, 1, 2, 2**32, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1)


def awkward(rng: random.Random, bits: int) -> int:
    """Integers that make long division stumble: runs of ones, limbs at the edges, powers of two around."""
    width = rng.randrange(1, bits + 1)
    shape = rng.randrange(4)
    if shape == 0:
        value = rng.getrandbits(width)
    elif shape == 1:
        value = (1 << width) - 1 - rng.getrandbits(2)
    elif shape == 2:
        value = (1 << (width - 1)) + rng.randrange(3)
    else:
        value = 0
        for k in range(0, width, 64):
            value |= rng.choice((*EDGE_LIMBS, rng.getrandbits(64))) << k
    return max(value, 0) & ((1 << bits) - 1)


def awkward_divisor(rng: random.Random, numerator: int, bits: int) -> int:
    """Often a divisor whose top limbs equal the numerator's, where a quotient digit is overestimated."""
    if rng.random() < 0.3 and numerator:
        divisor = numerator >> rng.randrange(max(numerator.bit_length(), 1))
        return max(min(divisor + rng.randrange(-1, 2), (1 << bits) - 1), 1)
    return max(awkward(rng, bits), 1)


def test_512_by_320_division():
    rng = random.Random(1)
    a = [awkward(rng, 256) for _ in range(CASES)]
    b = [awkward(rng, 256) for _ in range(CASES)]
    d = [awkward_divisor(rng, x * y, 320) for x, y in zip(a, b, strict=True)]
    quotients, inexact = np.zeros((CASES, 8), np.uint64), np.zeros(CASES, bool)
    harness.divide_512(ints_to_limbs(a), ints_to_limbs(b), ints_to_limbs(d, 5), quotients, inexact)
    expected = [divmod(x * y, z) for x, y, z in zip(a, b, d, strict=True)]
    assert limbs_to_ints(quotients) == [quotient for quotient, _ in expected]
    assert inexact.tolist() == [rest != 0 for _, rest in expected]


def test_256_by_256_division():
    rng = random.Random(2)
    a = [awkward(rng, 256) for _ in range(CASES)]
    d = [awkward_divisor(rng, x, 256) for x in a]
    quotients, inexact = np.zeros((CASES, 4), np.uint64), np.zeros(CASES, bool)
    harness.divide_256(ints_to_limbs(a), ints_to_limbs(d), quotients, inexact)
    expected = [divmod(x, z) for x, z in zip(a, d, strict=True)]
    assert limbs_to_ints(quotients) == [quotient for quotient, _ in expected]
    assert inexact.tolist() == [rest != 0 for _, rest in expected]


def test_320_by_64_division():
    rng = random.Random(3)
    a = [awkward(rng, 320) for _ in range(CASES)]
    d = [max(awkward(rng, 64), 1) for _ in range(CASES)]
    quotients, inexact = np.zeros((CASES, 5), np.uint64), np.zeros(CASES, bool)
    harness.divide_by_limb(ints_to_limbs(a, 5), np.array(d, np.uint64), quotients, inexact)
    expected = [divmod(x, z) for x, z in zip(a, d, strict=True)]
    assert limbs_to_ints(quotients) == [quotient for quotient, _ in expected]
    assert inexact.tolist() == [rest != 0 for _, rest in expected]


@pytest.mark.parametrize("round_up", [False, True])
def test_mul_div_reverts_and_rounds_as_the_contract(round_up: bool):
    rng = random.Random(4 + round_up)
    a = [awkward(rng, 256) for _ in range(CASES)]
    b = [awkward(rng, 256) for _ in range(CASES)]
    d = [awkward(rng, 256) if rng.random() < 0.9 else 0 for _ in range(CASES)]
    # Quotients of exactly 2**256 - 1 and a remainder: rounding up is what overflows.
    a[:3], b[:3], d[:3] = [reference.UINT256] * 3, [3, 2**255, 1], [3, 2**255, 1]
    a[3], b[3], d[3] = 535006138814359, 432862656469423142931042426214547535783388063929571229938474969, 2
    results, fits = np.zeros((CASES, 4), np.uint64), np.zeros(CASES, bool)
    harness.mul_div(ints_to_limbs(a), ints_to_limbs(b), ints_to_limbs(d), round_up, results, fits)
    function = reference.mul_div_rounding_up if round_up else reference.mul_div
    reverts = 0
    for x, y, z, got, fit in zip(a, b, d, limbs_to_ints(results), fits.tolist(), strict=True):
        try:
            assert (got, fit) == (function(x, y, z), True)
        except reference.Revert:
            assert not fit
            reverts += 1
    assert CASES // 20 < reverts < CASES


@given(st.lists(st.tuples(*[st.integers(0, 2**256 - 1)] * 2, st.integers(0, 255)), min_size=1))
@settings(deadline=None)
def test_operators_are_those_of_256_bits(rows: list[tuple[int, int, int]]):
    a, b, shifts = (list(column) for column in zip(*rows, strict=True))
    results, flags = np.zeros((len(a), 7, 4), np.uint64), np.zeros((len(a), 6), bool)
    shift_array = np.array(shifts, np.int64)
    harness.operators(ints_to_limbs(a), ints_to_limbs(b), shift_array, results, flags)
    for i, (x, y, s) in enumerate(rows):
        expected = [x + y, x - y, x & y, x | y, x ^ y, x << s, x >> s]
        assert limbs_to_ints(results[i]) == [value % 2**256 for value in expected]
        assert flags[i].tolist() == [x < y, x <= y, x > y, x >= y, x == y, x != y]


def pair_accepts(paid: int, amount_out: int, held_in: int, held_out: int, fee_pips: int) -> bool:
    """UniswapV2Pair.swap's K check."""
    kept = held_in * 10**6 + paid * (10**6 - fee_pips)
    return kept * (held_out - amount_out) >= held_in * held_out * 10**6


def test_constant_product_equals_the_twin_for_any_fee():
    rng = random.Random(6)
    reserves = [(awkward(rng, 112), awkward(rng, 112)) for _ in range(CASES)]
    amounts = [awkward(rng, 112) for _ in range(CASES)]
    fees = [rng.choice((0, 1, 100, 2500, 3000, 3333, 10_000, 999_999)) for _ in range(CASES)]
    statuses, results = np.zeros((CASES, 3), np.int64), np.zeros((CASES, 3, 4), np.uint64)
    sides = [ints_to_limbs([pair[k] for pair in reserves], 2) for k in (0, 1)]
    harness.constant_product(ints_to_limbs(amounts), *sides, np.array(fees, np.uint32), statuses, results)
    agreed = 0
    for i, ((held_in, held_out), amount, fee) in enumerate(zip(reserves, amounts, fees, strict=True)):
        out, asked, least = limbs_to_ints(results[i])
        if statuses[i, 0] == 0:
            agreed += 1
            assert out == reference.get_amount_out(amount, held_in, held_out, fee)
            if fee == 3000:
                assert out == amount * 997 * held_out // (held_in * 1000 + amount * 997)
            assert held_in + amount <= reference.UINT112
        if statuses[i, 1] == 0:
            agreed += 1
            assert asked == reference.get_amount_in(amount, held_in, held_out, fee)
            if fee == 3000:
                assert asked == held_in * amount * 1000 // ((held_out - amount) * 997) + 1
        if statuses[i, 2] == 0:
            pool = held_in, held_out, fee
            assert pair_accepts(least, amount, *pool)
            assert least == 0 or not pair_accepts(least - 1, amount, *pool)
    assert agreed > CASES // 2
