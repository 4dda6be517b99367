"""Limb conversions and array growth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.amm import layout


@given(st.integers(0, 2**256 - 1))
def test_unsigned_limbs_round_trip(value):
    assert layout.limbs_to_int(layout.int_to_limbs(value)) == value
    assert layout.limbs_to_ints(layout.ints_to_limbs([value, 0, value])) == [value, 0, value]


@given(st.integers(-(2**127), 2**127 - 1))
def test_signed_limbs_round_trip(value):
    assert layout.limbs_to_signed(layout.signed_to_limbs(value)) == value
    assert layout.limbs_to_signed(layout.signeds_to_limbs([value])[0]) == value


@pytest.mark.parametrize("value", [-1, 1 << 128])
def test_too_wide_is_refused(value):
    with pytest.raises(OverflowError):
        layout.int_to_limbs(value, 2)
    with pytest.raises(OverflowError):
        layout.ints_to_limbs([value], 2)
    with pytest.raises(OverflowError):
        layout.signed_to_limbs(value if value > 0 else -(1 << 127) - 1)


def test_growth_keeps_rows_and_clears_new_ones():
    pools = layout.allocate(2, 3)
    for array in pools[:-1]:
        array[...] = 7
    larger = layout.grow(pools, 5, 2)
    assert len(larger.kind) == 5
    assert len(larger.arena_tick) == 3
    assert larger.calls is pools.calls
    for old, new in zip(pools[:-1], larger[:-1], strict=True):
        assert np.array_equal(new[: len(old)], old)
    assert larger.kind[2:].tolist() == [0, 0, 0]
    assert larger.known_low[2:].tolist() == [layout.MIN_TICK] * 3
    larger.kind[0] = 1
    assert pools.kind[0] == 7
