"""Float-guided quotients: exact for every divisor, however the estimates were rounded within their bound."""

from __future__ import annotations

import random

import numpy as np
import pytest
from amm_harness import put, u128, u256
from numba import njit

from engine.amm.layout import ints_to_limbs, limbs_to_ints
from engine.amm.quotient import (
    est_inverse_nb,
    est_wide,
    quotient_192_nb,
    quotient_256_nb,
    quotient_320_nb,
)
from engine.amm.wide import to_u192, to_u256, to_u320

CASES = 60_000
_U = 2.0**-53


@njit(nogil=True, cache=True, error_model="numpy")
def _divide(width, numerators, tops, divisors, scales, skews, quotients, rests):
    """`scales` is the numerator as float64, `skews` f64[n, 2] what rounding did to both estimates."""
    for i in range(len(numerators)):
        low, wide = u256(numerators, i), u256(divisors, i)
        est_divisor = est_wide(wide)
        est_inverse = est_inverse_nb(est_divisor) * skews[i, 1]
        est_quotient = scales[i] * skews[i, 0] * est_inverse
        if width == 192:
            quotient, rest = quotient_192_nb(to_u192(low), u128(divisors, i), est_quotient, est_inverse)
            put(to_u256(rest), rests, i)
        elif width == 256:
            quotient, rest = quotient_256_nb(low, u128(divisors, i), est_quotient, est_inverse)
            put(to_u256(rest), rests, i)
        else:
            numerator = to_u320(low) | (to_u320(tops[i]) << np.uint64(256))
            quotient, left = quotient_320_nb(numerator, wide, est_quotient, est_inverse)
            put(left, rests, i)
        put(to_u256(quotient), quotients, i)


@njit(nogil=True, cache=True, error_model="numpy")
def _estimates(values, results):
    for i in range(len(values)):
        results[i] = est_wide(u256(values, i))


def shaped(rng: random.Random, bits: int) -> int:
    """Below 2**bits: any length, and often long runs of ones or zeros."""
    length = rng.randrange(1, bits + 1)
    value = rng.getrandbits(length)
    shape = rng.random()
    if shape < 0.2:
        value = (1 << length) - 1 - rng.getrandbits(rng.randrange(1, 8))
    elif shape < 0.4:
        value = (1 << (length - 1)) + rng.getrandbits(rng.randrange(1, 8))
    return max(value % (1 << bits), 1)


@pytest.mark.parametrize(
    ("width", "divisor_bits", "quotient_bits"), [(192, 127, 93), (256, 127, 126), (320, 226, 126)]
)
def test_quotients_are_exact(width: int, divisor_bits: int, quotient_bits: int):
    rng = random.Random(width)
    cases = []
    while len(cases) < CASES:
        divisor, quotient = shaped(rng, divisor_bits), shaped(rng, quotient_bits) - 1
        rest = rng.choice([0, divisor - 1, rng.randrange(divisor), min(1, divisor - 1)])
        numerator = quotient * divisor + rest
        # An estimate may not reach the bound: it is made too small by 2**-48.
        if numerator < divisor << quotient_bits:
            cases.append((numerator, divisor, quotient, rest))
    numerators = [case[0] for case in cases]
    low = ints_to_limbs(numerator % 2**256 for numerator in numerators)
    tops = np.array([numerator >> 256 & (2**64 - 1) for numerator in numerators], np.uint64)
    divisors = ints_to_limbs(case[1] for case in cases)
    scales = np.array([float(numerator) for numerator in numerators])
    # float() rounds once, est_wide at most four times: the rest of seven roundings is free to be hostile.
    shapes = np.array([[rng.choice((-6, 0, 6)), rng.choice((-2, 0, 2))] for _ in cases])
    quotients, rests = np.zeros((CASES, 4), np.uint64), np.zeros((CASES, 4), np.uint64)
    _divide(width, low, tops, divisors, scales, 1.0 + shapes * _U, quotients, rests)
    assert limbs_to_ints(quotients) == [case[2] for case in cases]
    assert limbs_to_ints(rests) == [case[3] for case in cases]


def test_estimates_are_as_near_as_the_proof_needs():
    rng = random.Random(5)
    values = [shaped(rng, 256) for _ in range(CASES)]
    results = np.zeros(CASES)
    _estimates(ints_to_limbs(values), results)
    for value, estimate in zip(values, results.tolist(), strict=True):
        assert abs(int(estimate) - value) * 2**51 <= value
