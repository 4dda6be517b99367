"""V4's composed fee, its signs, and what is allowed to which hook."""

from __future__ import annotations

import pytest
from concentrated_forks_reference import composed_fee
from hypothesis import given
from hypothesis import strategies as st

from engine.amm.v4_fees import (
    AFTER_ADD_LIQUIDITY_RETURNS_DELTA,
    AFTER_REMOVE_LIQUIDITY_RETURNS_DELTA,
    AFTER_SWAP,
    AFTER_SWAP_RETURNS_DELTA,
    BEFORE_SWAP,
    BEFORE_SWAP_RETURNS_DELTA,
    DYNAMIC_FEE_FLAG,
    OVERRIDE_FEE_FLAG,
    PIPS,
    HookPolicy,
    from_amount_specified,
    hook_override_fee,
    hook_policy,
    to_amount_specified,
    v4_fee,
)

NO_HOOK = "0x" + "0" * 40


def hook(bits: int) -> str:
    return f"0x{(0xABCDEF << 136) | bits:040x}"


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, PIPS), st.booleans())
def test_the_lp_fee_is_taken_from_what_the_protocol_leaves(side0: int, side1: int, lp: int, down: bool):
    assert v4_fee(side1 << 12 | side0, lp, down) == composed_fee(side1 << 12 | side0, lp, down)


def test_the_sides_of_the_protocol_fee_are_apart():
    assert (v4_fee(2 << 12 | 1, 0, True), v4_fee(2 << 12 | 1, 0, False)) == (1, 2)
    assert v4_fee(8194, 10, True) == v4_fee(8194, 10, False) == 12
    assert v4_fee(1000 << 12, PIPS, False) == PIPS


@pytest.mark.parametrize(("protocol", "lp"), [(-1, 0), (1 << 24, 0), (0, -1), (0, PIPS + 1)])
def test_fees_no_pool_has_are_refused(protocol: int, lp: int):
    with pytest.raises(ValueError):
        v4_fee(protocol, lp, True)


def test_negative_amounts_are_exact_inputs():
    assert from_amount_specified(-5) == (True, 5)
    assert from_amount_specified(7) == (False, 7)
    assert from_amount_specified(-(2**255)) == (True, 2**255)
    for exact_in in (True, False):
        assert from_amount_specified(to_amount_specified(exact_in, 9)) == (exact_in, 9)


def test_a_hooks_override_of_the_fee():
    assert hook_override_fee(3000) is None
    assert hook_override_fee(OVERRIDE_FEE_FLAG | 3000) == 3000
    assert hook_override_fee(OVERRIDE_FEE_FLAG) == 0
    with pytest.raises(ValueError, match="above"):
        hook_override_fee(OVERRIDE_FEE_FLAG | PIPS + 1)


@pytest.mark.parametrize(
    "bit",
    [
        AFTER_REMOVE_LIQUIDITY_RETURNS_DELTA,
        AFTER_ADD_LIQUIDITY_RETURNS_DELTA,
        AFTER_SWAP_RETURNS_DELTA,
        BEFORE_SWAP_RETURNS_DELTA,
    ],
)
def test_hooks_that_return_deltas_are_refused_whatever_else_they_do(bit: int):
    for others in (0, BEFORE_SWAP, AFTER_SWAP, 0b11111111110000):
        for fee in (3000, DYNAMIC_FEE_FLAG):
            assert hook_policy(hook(bit | others), fee) is HookPolicy.REFUSED


@pytest.mark.parametrize(
    ("address", "fee", "policy"),
    [
        (NO_HOOK, 3000, HookPolicy.EXACT),
        (NO_HOOK, PIPS, HookPolicy.EXACT),
        (NO_HOOK, DYNAMIC_FEE_FLAG, HookPolicy.REFUSED),
        (NO_HOOK, PIPS + 1, HookPolicy.REFUSED),
        (NO_HOOK, DYNAMIC_FEE_FLAG | 1, HookPolicy.REFUSED),
        (NO_HOOK, -1, HookPolicy.REFUSED),
        (hook(1 << 13 | 1 << 11), 500, HookPolicy.EXACT),
        (hook(1 << 5), 500, HookPolicy.EXACT),
        (hook(1 << 12), DYNAMIC_FEE_FLAG, HookPolicy.FEE_READ_EACH_BLOCK),
        (hook(BEFORE_SWAP), DYNAMIC_FEE_FLAG, HookPolicy.FEE_SET_IN_SWAP),
        (hook(BEFORE_SWAP | AFTER_SWAP), DYNAMIC_FEE_FLAG, HookPolicy.FEE_SET_IN_SWAP),
        (hook(BEFORE_SWAP), 500, HookPolicy.SIMULATE),
        (hook(AFTER_SWAP), 500, HookPolicy.SIMULATE),
    ],
)
def test_what_a_hooks_address_allows(address: str, fee: int, policy: HookPolicy):
    assert hook_policy(address, fee) is policy
