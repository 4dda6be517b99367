"""Solidly kernels: recorded swaps of three versions, recorded quotes, authors' vectors, the integer twin."""

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
from numba import njit
from solidly_reference import SolidlyPool, W

from engine.amm.layout import (
    INSUFFICIENT_INPUT,
    INSUFFICIENT_LIQUIDITY,
    OK,
    OVERFLOW,
    int_to_limbs,
    ints_to_limbs,
    limbs_to_int,
    limbs_to_ints,
)
from engine.amm.solidly import est_amount_out_nb, est_rate_nb, quotes_nb
from engine.amm.solidly_curve import (
    STABLE_AERODROME,
    STABLE_V1,
    STABLE_V2,
    VOLATILE,
    invariant_nb,
    solve_v1_nb,
)
from engine.amm.wide import limb0, limb1, limb2, limb3, make_u256

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
CURVES = {
    "volatile": VOLATILE,
    "velo1": STABLE_V1,
    "velo2": STABLE_V2,
    "aerodrome": STABLE_AERODROME,
}
Question = tuple[SolidlyPool, int, int]


def load(path: str) -> Any:
    if not (DATA / path).is_file():
        pytest.skip(f"no recorded data at {DATA / path}: set ROUNDTRIP_DATA")
    return json.loads((DATA / path).read_text())


def ask(questions: list[Question], exact_in: bool) -> list[tuple[int, int]]:
    """(status, amount) for each (pool, token in, amount in or out)."""
    n = len(questions)
    pools = [pool for pool, _, _ in questions]
    statuses, results = np.zeros(n, np.int64), np.zeros((n, 4), np.uint64)
    quotes_nb(
        ints_to_limbs([r for pool in pools for r in pool.reserves]).reshape(n, 2, 4),
        ints_to_limbs([u for pool in pools for u in pool.units]).reshape(n, 2, 4),
        np.array([pool.fee for pool in pools], np.uint64),
        np.array([pool.fee_denominator for pool in pools], np.uint64),
        np.array([CURVES[pool.version] for pool in pools], np.uint8),
        np.array([token_in == 0 for _, token_in, _ in questions]),
        np.full(n, exact_in),
        ints_to_limbs([amount for _, _, amount in questions]),
        statuses,
        results,
    )
    return list(zip(statuses.tolist(), limbs_to_ints(results), strict=True))


def twin(question: Question) -> int | None:
    pool, token_in, amount = question
    try:
        return pool.swap(token_in, amount)
    except Revert:
        return None


def recorded_pool(params: dict[str, Any], state: dict[str, Any]) -> SolidlyPool:
    reserve0, reserve1 = (int(value) for value in state["reserves"])
    unit0, unit1 = (10 ** int(value) for value in params["decimals"])
    version = params["variant"] if params["stable"] else "volatile"
    return SolidlyPool(version, (reserve0, reserve1), (unit0, unit1), int(state["fee"]))


def held_by(case: dict[str, Any]) -> list[str]:
    return case["state"]["token_balances"]


def test_recorded_swaps():
    recorded = load("golden/solidly.json")
    cases = [(pool["params"], case) for pool in recorded["pools"] for case in pool["cases"]]
    questions = [
        (recorded_pool(params, case["state"]), int(case["token_in"]), int(case["amount_specified"]))
        for params, case in cases
    ]
    refused = 0
    for question, (_, case), (status, amount) in zip(questions, cases, ask(questions, True), strict=True):
        pool, token_in, amount_in = question
        if case["reverted"]:
            refused += 1
            assert status != OK, case
            continue
        assert (status, amount) == (OK, int(case["amount_out"])), case
        # What was sent before without sync counts as input of the swap, and pays the fee too.
        inputs = [int(held) - reserve for held, reserve in zip(held_by(case), pool.reserves, strict=True)]
        inputs[token_in] += amount_in
        after = [reserve + pool.net(part) for reserve, part in zip(pool.reserves, inputs, strict=True)]
        after[1 - token_in] -= amount
        assert after == [int(value) for value in case["state_after"]["reserves"]]
    assert len(cases) >= 375
    assert refused >= 30


def test_recorded_outputs_are_bought_for_no_more():
    recorded = load("golden/solidly.json")
    cases = [
        (recorded_pool(pool["params"], case["state"]), int(case["token_in"]), case)
        for pool in recorded["pools"]
        for case in pool["cases"]
        if not case["reverted"] and "donated" not in case
    ]
    answers = ask([(pool, token_in, int(case["amount_out"])) for pool, token_in, case in cases], False)
    for (pool, token_in, case), (status, amount_in) in zip(cases, answers, strict=True):
        assert status == OK
        assert amount_in <= int(case["amount_in"])
        assert pool.accepts(token_in, amount_in, int(case["amount_out"]))
        assert not pool.accepts(token_in, amount_in - 1, int(case["amount_out"]))


@pytest.mark.parametrize(
    ("kind", "state_name"),
    [("volatile", "tbtc_weth_volatile"), ("stable", "dola_usdbc_stable")],
)
def test_recorded_quotes_of_aerodrome_on_base(kind: str, state_name: str):
    state = load(f"onchain_parity/state/8453/aerodrome_v2_{state_name}_block_46875151.json")
    recorded = load(
        "onchain_parity/golden/tests/aerodrome/test_aerodrome_v2_onchain_parity"
        f"/test_aerodrome_v2_{kind}_get_amount_out.json"
    )
    pool = SolidlyPool(
        "aerodrome" if kind == "stable" else "volatile",
        (state["reserves_token0"], state["reserves_token1"]),
        (10 ** state["token0"]["decimals"], 10 ** state["token1"]["decimals"]),
        state["fee_raw"],
    )
    questions, expected = [], []
    for key, entry in recorded["entries"].items():
        _, function, direction, amount = key.split("|")
        assert function == "getAmountOut"
        token_in = 0 if direction.startswith(state["token0"]["symbol"] + "->") else 1
        questions.append((pool, token_in, int(amount)))
        expected.append((OK, entry["value"]))
    assert ask(questions, True) == expected
    assert len(expected) >= 20


@njit(cache=True, nogil=True, error_model="numpy")
def curve_value(what, a, b, c, unit0, unit1, result):
    """what 0: K of a and b; 1: V1's balance for x = a, K = b, from y = c. Writes u64[4], returns fits."""
    x, y = make_u256(a[0], a[1], a[2], a[3]), make_u256(b[0], b[1], b[2], b[3])
    if what == 0:
        units = (
            make_u256(unit0[0], unit0[1], unit0[2], unit0[3]),
            make_u256(unit1[0], unit1[1], unit1[2], unit1[3]),
        )
        value, fits = invariant_nb(x, y, units[0], units[1], np.int64(STABLE_V2))
    else:
        value, fits = solve_v1_nb(x, y, make_u256(c[0], c[1], c[2], c[3]))
    result[0], result[1], result[2], result[3] = limb0(value), limb1(value), limb2(value), limb3(value)
    return fits


def on_curve(what: int, a: int, b: int, c: int = 0, units: tuple[int, int] = (W, W)) -> int:
    result = np.zeros(4, np.uint64)
    assert curve_value(what, *(int_to_limbs(v) for v in (a, b, c, *units)), result)
    return limbs_to_int(result)


def vector_arguments(vectors: dict[str, Any], name: str) -> list[tuple[list[int], int]]:
    return [([int(arg) for arg in entry["args"]], int(entry["result"])) for entry in vectors[name]]


def test_vectors_of_the_curve():
    vectors = load("vectors/oracle_solidly_snapshot.txt")
    for name in ("calc_k", "k_camelot"):
        # Their last arguments are the units themselves, not the exponents.
        for (x, y, unit0, unit1), result in vector_arguments(vectors, name):
            assert on_curve(0, x, y, units=(unit0, unit1)) == result
    for (x, target, y, *_), result in vector_arguments(vectors, "get_y_camelot"):
        assert on_curve(1, x, target, y) == result
    pool = SolidlyPool("velo1", (0, 0), (W, W), 0)
    for (x, y), result in vector_arguments(vectors, "calc_d"):
        assert pool.slope(x, y) == result
    for (x, y), result in vector_arguments(vectors, "calc_f"):
        assert pool.stable_k(x, y) == result
    for (x, y), result in vector_arguments(vectors, "f_camelot"):
        assert pool.newton_k(x, y) == result
    aerodrome = SolidlyPool("aerodrome", (0, 0), (W, W), 0)
    for (x, target, y, unit0, unit1), result in vector_arguments(vectors, "get_y_solidly"):
        aerodrome.units = (unit0, unit1)
        assert aerodrome.solve(x, target, y) == result


def test_vectors_of_quotes():
    vectors = load("vectors/oracle_solidly_snapshot.txt")
    questions, expected = [], []
    for arguments, result in vector_arguments(vectors, "calc_exact_in_volatile"):
        amount, token_in, reserve0, reserve1, fee, whole = arguments
        questions.append(
            (SolidlyPool("volatile", (reserve0, reserve1), (W, W), fee, whole), token_in, amount)
        )
        expected.append(result)
    for name, version in (("solidly", "aerodrome"), ("camelot", "velo1")):
        for arguments, result in vector_arguments(vectors, f"calc_exact_in_stable_{name}"):
            amount, token_in, reserve0, reserve1, decimals0, decimals1, fee, whole = arguments
            units = (10**decimals0, 10**decimals1)
            pool = SolidlyPool(version, (reserve0, reserve1), units, fee, whole)
            questions.append((pool, token_in, amount))
            expected.append(result)
    for question, result, (status, amount) in zip(questions, expected, ask(questions, True), strict=True):
        pool, token_in, amount_in = question
        assert pool.get_amount_out(token_in, amount_in) == result
        if status == OK:
            assert amount == result
        else:
            # These are quotes; what the swap then refuses is nothing out, or an output short of K.
            assert result == 0 or not pool.accepts(token_in, amount_in, result), (question, status)
    assert len(expected) >= 100


def random_amount(rng: random.Random, greatest: int) -> int:
    """Log-uniform from dust to the greatest, sometimes a round power of ten."""
    value = rng.randrange(1 << rng.randint(1, max(greatest.bit_length(), 1)))
    return min(10 ** rng.randint(0, 33), greatest) if rng.random() < 0.1 else min(value, greatest)


def random_pool(rng: random.Random) -> SolidlyPool:
    version = rng.choice(list(CURVES))
    decimals = rng.choice((6, 8, 18, 18, 24)), rng.choice((6, 6, 8, 18, 24))
    if rng.random() < 0.6:
        whole = 10 ** rng.uniform(0, 12)
        ratio = 10 ** rng.uniform(-2, 2) if rng.random() < 0.7 else 1.0
        reserves = int(whole * 10 ** decimals[0]) + 1, int(whole * ratio * 10 ** decimals[1]) + 1
    else:
        reserves = random_amount(rng, 10**33), random_amount(rng, 10**33)
    fee = rng.choice((0, 1, 2, 5, 30, 100, 300, 9_999, 10_000, 10_001)) if rng.random() < 0.2 else 5
    return SolidlyPool(version, reserves, (10 ** decimals[0], 10 ** decimals[1]), fee)


def test_twin_agrees_on_wide_states():
    rng = random.Random(20)
    questions = []
    for _ in range(6_000):
        pool, token_in = random_pool(rng), rng.randint(0, 1)
        greatest = pool.reserves[token_in] * 4 + 1 if rng.random() < 0.9 else UINT256
        questions.append((pool, token_in, random_amount(rng, greatest)))
    paid = 0
    for question, (status, amount) in zip(questions, ask(questions, True), strict=True):
        expected = twin(question)
        assert (amount if status == OK else None) == expected, (question, status)
        paid += status == OK
    assert paid > 2_500


def test_least_input_is_the_edge_of_what_the_pool_accepts():
    rng = random.Random(21)
    questions = []
    for _ in range(4_000):
        pool, token_in = random_pool(rng), rng.randint(0, 1)
        questions.append((pool, token_in, random_amount(rng, pool.reserves[1 - token_in] + 1)))
    bought = 0
    for (pool, token_in, amount_out), (status, amount_in) in zip(
        questions, ask(questions, False), strict=True
    ):
        if status != OK:
            # An empty pool and a fee that leaves nothing are refused whatever K says.
            if min(pool.reserves) > 0 and pool.fee < pool.fee_denominator:
                assert refused_at_any_input(pool, token_in, amount_out), (pool, token_in, amount_out)
            continue
        bought += 1
        assert pool.accepts(token_in, amount_in, amount_out)
        assert not pool.accepts(token_in, amount_in - 1, amount_out)
    assert bought > 2_000


def refused_at_any_input(pool: SolidlyPool, token_in: int, amount_out: int) -> bool:
    """No power of two, and no amount that K's edge could lie beside, is accepted."""
    for power in range(255):
        for amount in (1 << power, 3 << power):
            try:
                if pool.accepts(token_in, amount, amount_out):
                    return False
            except Revert:
                break
    return True


@settings(max_examples=300, deadline=None)
@given(
    version=st.sampled_from(sorted(CURVES)),
    reserves=st.tuples(st.integers(0, UINT256), st.integers(0, UINT256)),
    units=st.tuples(st.integers(0, 10**36), st.integers(0, 10**36)),
    fee=st.integers(0, 2**64 - 1),
    token_in=st.integers(0, 1),
    amount=st.integers(0, UINT256),
)
def test_any_state_and_amount_ends(version, reserves, units, fee, token_in, amount):
    pool = SolidlyPool(version, reserves, units, fee)
    question = (pool, token_in, amount)
    if fee <= pool.fee_denominator:
        [(status, answer)] = ask([question], True)
        assert (answer if status == OK else None) == twin(question)
    [(status, answer)] = ask([question], False)
    if status == OK:
        assert pool.accepts(token_in, answer, amount)


def test_statuses():
    pool = SolidlyPool("velo2", (10**24, 10**24), (W, W), 5)
    empty = SolidlyPool("velo2", (0, 0), (W, W), 5)
    assert ask([(pool, 0, 0), (empty, 0, 1), (pool, 0, UINT256)], True) == [
        (INSUFFICIENT_INPUT, 0),
        (INSUFFICIENT_LIQUIDITY, 0),
        (OVERFLOW, 0),
    ]
    assert ask([(pool, 0, 0), (pool, 0, 10**24)], False) == [
        (INSUFFICIENT_INPUT, 0),
        (INSUFFICIENT_LIQUIDITY, 0),
    ]


def test_estimates_are_near_the_kernel():
    rng = random.Random(22)
    checked = 0
    for _ in range(800):
        pool, token_in = random_pool(rng), rng.randint(0, 1)
        reserve_in, reserve_out = pool.reserves[token_in], pool.reserves[1 - token_in]
        unit_in, unit_out = pool.units[token_in], pool.units[1 - token_in]
        amount = random_amount(rng, reserve_in)
        exact = twin((pool, token_in, amount))
        curve = np.int64(CURVES[pool.version])
        state = (
            float(reserve_in),
            float(reserve_out),
            float(unit_in),
            float(unit_out),
            pool.fee * 1e-4,
            curve,
        )
        if exact is None or exact < 10**9 or min(reserve_in, reserve_out) < 10**12 or amount < 10**9:
            continue
        scaled = min(reserve_in * W // unit_in, reserve_out * W // unit_out)
        if scaled < 10**15 or amount * W // unit_in < 10**9 or reserve_out * W // unit_out > 10**30:
            continue
        estimate = est_amount_out_nb(float(amount), *state)
        assert abs(estimate - exact) <= 1e-6 * exact + 1e-12 * reserve_out, (pool, token_in, amount)
        if amount * 10**6 < reserve_in and exact > 10**12:
            assert est_rate_nb(*state) * amount == pytest.approx(exact, rel=1e-3)
        checked += 1
    assert checked > 60
    assert est_rate_nb(0.0, 1.0, 1.0, 1.0, 0.0, np.int64(STABLE_V2)) == 0.0
