"""Float twins against exact quotes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from amm_evm import v3_row
from amm_reference import sqrt_ratio_at_tick

from engine.amm.estimates import est_rate_nb, est_segment_nb, est_segments_nb
from engine.amm.layout import KIND_V2, PoolArrays, allocate, int_to_limbs
from engine.amm.quote import quote_exact_in

TICKS = [(-2400, 10**24), (-600, 4 * 10**24), (-60, 10**25), (0, 0), (60, -(10**25)), (1200, -5 * 10**24)]


def v2_row() -> PoolArrays:
    pools = allocate(1, 1)
    pools.kind[0], pools.fee_pips[0] = KIND_V2, 2500
    pools.reserves[0] = int_to_limbs(3 * 10**24, 2), int_to_limbs(10**21, 2)
    return pools


def v3_pool() -> PoolArrays:
    return v3_row(sqrt_ratio_at_tick(7), 15 * 10**24, 7, 3000, 60, TICKS)


def est_out(segments: np.ndarray, amount_in: float, kept: float) -> float:
    """Walk the segments as sizing does."""
    total = 0.0
    for virtual_in, virtual_out, most, out in segments:
        if amount_in > most:
            amount_in -= most
            total += out
            continue
        net = amount_in * kept
        return total + virtual_out * net / (virtual_in + net)
    return math.nan


@pytest.mark.parametrize("make", [v2_row, v3_pool])
@pytest.mark.parametrize("zero_for_one", [True, False])
def test_segments_predict_exact_quotes(make, zero_for_one: bool):
    pools = make()
    segments = np.zeros((16, 4))
    count = est_segments_nb(pools, 0, zero_for_one, segments)
    kept = 1 - float(pools.fee_pips[0, 0]) * 1e-6
    checked = 0
    for exponent in range(12, 24):
        expected = est_out(segments[:count], float(10**exponent), kept)
        if math.isnan(expected):
            continue
        exact = quote_exact_in(pools, 0, zero_for_one, 10**exponent)
        assert exact == pytest.approx(expected, rel=1e-9, abs=2)
        checked += 1
    assert checked >= 10


@pytest.mark.parametrize("make", [v2_row, v3_pool])
@pytest.mark.parametrize("zero_for_one", [True, False])
def test_the_rate_is_that_of_a_small_trade(make, zero_for_one: bool):
    pools = make()
    rate = est_rate_nb(pools, 0, zero_for_one)
    assert quote_exact_in(pools, 0, zero_for_one, 10**15) == pytest.approx(rate * 10**15, rel=1e-5)
    virtual_in, virtual_out, _ = est_segment_nb(pools, 0, zero_for_one)
    kept = 1 - float(pools.fee_pips[0, 0]) * 1e-6
    assert kept * virtual_out / virtual_in == pytest.approx(rate, rel=1e-12)


def test_segments_stop_at_the_buffer_and_at_the_known_range():
    pools = v3_pool()
    two = np.zeros((2, 4))
    assert est_segments_nb(pools, 0, True, two) == 2
    pools.known_low[0] = -300
    segments = np.zeros((16, 4))
    assert est_segments_nb(pools, 0, True, segments) == 3


def test_ranges_without_liquidity_are_left_out():
    ticks = [(0, 10**20), (60, -(10**20)), (600, 10**21), (660, -(10**21))]
    pools = v3_row(sqrt_ratio_at_tick(7), 10**20, 7, 3000, 60, ticks)
    segments = np.zeros((16, 4))
    assert est_segments_nb(pools, 0, False, segments) == 2
    assert segments[1, 0] == pytest.approx(1e21 * 1.0001**300, rel=1e-9)


def test_pools_that_cannot_trade_have_no_rate():
    empty = allocate(3, 1)
    empty.kind[1] = KIND_V2
    empty.kind[2] = 2
    for row in range(3):
        assert est_rate_nb(empty, row, True) == 0.0
        assert est_segment_nb(empty, row, True) == (0.0, 0.0, 0.0)
