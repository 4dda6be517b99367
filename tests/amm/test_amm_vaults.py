"""Wrappers without a fee: recorded ERC-4626 and wstETH calls, and the integer twins."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amm_reference import UINT256, Revert
from hypothesis import given, settings
from hypothesis import strategies as st
from vaults_reference import StakedEther, Vault

from engine.amm.layout import (
    INSUFFICIENT_INPUT,
    INSUFFICIENT_LIQUIDITY,
    OK,
    OVERFLOW,
    UNINITIALISED,
    ints_to_limbs,
    limbs_to_ints,
)
from engine.amm.vaults import est_vault_rate_nb, est_wrap_rate_nb, vault_quotes_nb, wrap_quotes_nb

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
# (entering the vault, exact-in) of each call.
CALLS = {
    "deposit": (True, True),
    "mint": (True, False),
    "redeem": (False, True),
    "withdraw": (False, False),
}
VaultState = tuple[int, int, int, int]


def load(name: str) -> Any:
    path = DATA / "golden" / name
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set ROUNDTRIP_DATA")
    return json.loads(path.read_text())


def ask_vaults(questions: list[tuple[VaultState, str, int]]) -> list[tuple[int, int]]:
    n = len(questions)
    statuses, results = np.zeros(n, np.int64), np.zeros((n, 4), np.uint64)
    vault_quotes_nb(
        ints_to_limbs([value for state, _, _ in questions for value in state]).reshape(n, 4, 4),
        np.array([CALLS[call][0] for _, call, _ in questions]),
        np.array([CALLS[call][1] for _, call, _ in questions]),
        ints_to_limbs([amount for _, _, amount in questions]),
        statuses,
        results,
    )
    return list(zip(statuses.tolist(), limbs_to_ints(results), strict=True))


def ask_wraps(questions: list[tuple[StakedEther, bool, int]]) -> list[tuple[int, int, int, int]]:
    """(status, amount out, status, what a wrap takes) for each (state, wrapping, amount)."""
    n = len(questions)
    states = [
        (steth.total_shares, steth.pooled_ether, steth.wrapped_supply, steth.held_shares)
        for steth, _, _ in questions
    ]
    statuses, results = np.zeros((n, 2), np.int64), np.zeros((n, 2, 4), np.uint64)
    wrap_quotes_nb(
        ints_to_limbs([value for state in states for value in state]).reshape(n, 4, 4),
        np.array([wrapping for _, wrapping, _ in questions]),
        ints_to_limbs([amount for _, _, amount in questions]),
        statuses,
        results,
    )
    amounts = limbs_to_ints(results.reshape(2 * n, 4))
    rows = statuses.tolist()
    return [(rows[i][0], amounts[2 * i], rows[i][1], amounts[2 * i + 1]) for i in range(n)]


def vault_twin(state: VaultState, call: str, amount: int) -> int | None:
    try:
        return getattr(Vault(*state), call)(amount)
    except Revert:
        return None


def test_recorded_vault_calls():
    recorded = load("erc4626.json")
    questions, cases = [], []
    for pool in recorded["pools"]:
        virtual = (10 ** int(pool["params"]["decimals_offset"]), 1)
        if pool["params"]["kind"] == "solmate":
            virtual = (0, 0)
        for case in pool["cases"]:
            state = (int(case["state"]["total_supply"]), int(case["state"]["total_assets"]), *virtual)
            questions.append((state, case["method"], int(case["amount_specified"])))
            cases.append(case)
    refused = 0
    for (state, call, amount), case, (status, answer) in zip(
        questions, cases, ask_vaults(questions), strict=True
    ):
        assert (answer if status == OK else None) == vault_twin(state, call, amount)
        if case["reverted"]:
            refused += 1
            assert status == INSUFFICIENT_INPUT
            continue
        moved = case["amount_out"] if case["kind"] == "exact_in" else case["amount_in"]
        assert (status, answer) == (OK, int(moved)), case
        vault = Vault(*state)
        getattr(vault, call)(amount)
        after = case["state_after"]
        assert (vault.supply, vault.assets) == (int(after["total_supply"]), int(after["total_assets"]))
    assert len(cases) >= 340
    assert refused >= 5


def test_recorded_wraps():
    """To the wei of the wallet's balance, not only of the view: the shares the wallet holds decide it."""
    [pool] = load("wsteth.json")["pools"]
    questions = []
    for case in pool["cases"]:
        state = case["state"]
        names = ("total_shares", "total_pooled_ether", "wsteth_supply", "caller_shares")
        steth = StakedEther(*(int(state[name]) for name in names))
        questions.append((steth, case["token_in"] == "0", int(case["amount_specified"])))
    refused = short_of_view = 0
    for (_, wrapping, _), case, (status, out, taken_status, taken) in zip(
        questions, pool["cases"], ask_wraps(questions), strict=True
    ):
        if case["reverted"]:
            refused += 1
            assert OK not in (status, taken_status), case
            continue
        assert (status, out, taken_status, taken) == (
            OK,
            int(case["amount_out"]),
            OK,
            int(case["amount_in"]),
        ), case
        short_of_view += not wrapping and out < int(case["view_quote"])
    assert len(questions) >= 320
    assert refused >= 12
    assert short_of_view >= 90


def random_amount(rng: random.Random, bits: int) -> int:
    return rng.randrange(1 << rng.randint(1, bits))


def test_vault_twin_agrees_on_wide_states():
    rng = random.Random(40)
    questions = []
    for _ in range(6_000):
        bits = 256 if rng.random() < 0.2 else 112
        supply, assets = random_amount(rng, bits), random_amount(rng, bits)
        if rng.random() < 0.1:
            supply = 0
        virtual = rng.choice(((0, 0), (1, 1), (10**6, 1), (10**12, 1)))
        questions.append(((supply, assets, *virtual), rng.choice(list(CALLS)), 1 + random_amount(rng, bits)))
    answered = 0
    for question, (status, answer) in zip(questions, ask_vaults(questions), strict=True):
        assert (answer if status == OK else None) == vault_twin(*question), question
        answered += status == OK
    assert answered > 3_000


def test_wrap_twin_agrees_on_wide_states():
    rng = random.Random(41)
    questions = []
    for _ in range(4_000):
        shares, ether = 1 + random_amount(rng, 112), 1 + random_amount(rng, 112)
        held = rng.randrange(shares + 1)
        steth = StakedEther(shares, ether, rng.randrange(shares - held + 1), held)
        questions.append((steth, rng.random() < 0.5, 1 + random_amount(rng, 112)))
    answered = 0
    for (steth, wrapping, amount), (status, out, taken_status, taken) in zip(
        questions, ask_wraps(questions), strict=True
    ):
        try:
            expected = steth.wrap(amount) if wrapping else (amount, steth.unwrap(amount))
        except Revert:
            expected = None
        if wrapping and amount > steth.pooled_ether:
            # More stETH than exists: refused, even if it were worth no share at all.
            assert status == INSUFFICIENT_LIQUIDITY
            continue
        assert ((taken, out) if taken_status == OK else None) == expected, (steth, wrapping, amount)
        assert status == OK or expected is None
        answered += expected is not None
    assert answered > 1_000


@settings(max_examples=200, deadline=None)
@given(
    state=st.tuples(*[st.integers(0, UINT256)] * 2),
    virtual=st.just((0, 0)) | st.tuples(st.integers(1, UINT256), st.integers(1, UINT256)),
    call=st.sampled_from(sorted(CALLS)),
    amount=st.integers(0, UINT256),
)
def test_any_state_and_amount_ends(state, virtual, call, amount):
    state = (*state, *virtual)
    [(status, answer)] = ask_vaults([(state, call, amount)])
    assert (answer if status == OK else None) == vault_twin(state, call, amount)
    for wrapping in (True, False):
        [answer_of_wrap] = ask_wraps([(StakedEther(*state), wrapping, amount)])
        if amount == 0:
            assert answer_of_wrap[0] == INSUFFICIENT_INPUT


def test_statuses():
    state = (10**18, 2 * 10**18, 1, 1)
    assert ask_vaults(
        [
            ((5, 10**18, 0, 0), "deposit", 1),
            (state, "redeem", 2 * 10**18),
            (state, "withdraw", 3 * 10**18),
            (state, "deposit", UINT256),
            ((1, 0, 0, 0), "deposit", 5),
            ((0, 0, 0, 0), "deposit", 5),
        ]
    ) == [
        (INSUFFICIENT_INPUT, 0),
        (INSUFFICIENT_LIQUIDITY, 0),
        (INSUFFICIENT_LIQUIDITY, 0),
        (OVERFLOW, 0),
        (OVERFLOW, 0),
        (OK, 5),
    ]
    assert ask_wraps([(StakedEther(0, 0, 0, 0), True, 5)])[0][0] == UNINITIALISED


def test_estimated_rates():
    state = (916076301902266499072, 5948508294630534021120, 10**6, 1)
    for call in ("deposit", "redeem"):
        exact = vault_twin(state, call, 10**18)
        estimate = est_vault_rate_nb(CALLS[call][0], *(float(value) for value in state)) * 1e18
        assert estimate == pytest.approx(exact, rel=1e-12)
    assert est_vault_rate_nb(True, 0.0, 5.0, 0.0, 0.0) == 1.0
    assert est_vault_rate_nb(True, 5.0, 0.0, 0.0, 0.0) == 0.0
    steth = StakedEther(10**24, 11 * 10**23 + 47270573975054056, 10**23, 10**23)
    held = float(steth.total_shares), float(steth.pooled_ether)
    assert est_wrap_rate_nb(True, *held) * 1e18 == pytest.approx(steth.wrap(10**18)[1], rel=1e-12)
    assert est_wrap_rate_nb(False, *held) * 1e18 == pytest.approx(steth.unwrap(10**18), rel=1e-12)
    assert est_wrap_rate_nb(True, 0.0, 0.0) == 0.0
