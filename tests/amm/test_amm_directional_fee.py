"""Pairs with a fee for each direction: recorded swaps of Camelot's pair, and the integer twin."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amm_reference import UINT112, UINT256, Revert
from directional_fee_reference import DirectionalPair
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.amm.directional_fee import directional_quotes_nb, est_amount_out_nb, est_rate_nb
from engine.amm.layout import INSUFFICIENT_INPUT, OK, OVERFLOW, ints_to_limbs, limbs_to_ints

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
Question = tuple[DirectionalPair, int, int]
Answer = tuple[int, int]


def ask(questions: list[Question]) -> list[tuple[Answer, Answer, Answer]]:
    """(status, amount) three times: the router's output, the greatest output, the least input."""
    n = len(questions)
    statuses, results = np.zeros((n, 3), np.int64), np.zeros((n, 3, 4), np.uint64)
    directional_quotes_nb(
        ints_to_limbs([r for pair, _, _ in questions for r in pair.reserves], 2).reshape(n, 2, 2),
        np.array([pair.fees for pair, _, _ in questions], np.uint64),
        np.array([token_in == 0 for _, token_in, _ in questions]),
        ints_to_limbs([amount for _, _, amount in questions]),
        statuses,
        results,
    )
    amounts = limbs_to_ints(results.reshape(3 * n, 4))
    rows = statuses.tolist()
    answers = [list(zip(rows[i], amounts[3 * i : 3 * i + 3], strict=True)) for i in range(n)]
    return [(router, greatest, least) for router, greatest, least in answers]


def twin(question: Question) -> int | None:
    pair, token_in, amount = question
    try:
        return pair.swap(token_in, amount)
    except Revert:
        return None


def recorded_cases() -> list[dict[str, Any]]:
    path = DATA / "golden/camelot-v2-volatile.json"
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set ROUNDTRIP_DATA")
    return [case for pool in json.loads(path.read_text())["pools"] for case in pool["cases"]]


def recorded_question(case: dict[str, Any]) -> Question:
    reserve0, reserve1 = (int(value) for value in case["state"]["reserves"])
    fee0, fee1 = (int(value) for value in case["state"]["fee_percent"])
    pair = DirectionalPair((reserve0, reserve1), (fee0, fee1))
    return pair, int(case["token_in"]), int(case["amount_specified"])


def test_recorded_swaps():
    """What was asked for was paid exactly when it is at most the greatest output; the view's answer always.

    Where one unit more than the view's answer was asked for and paid, the view is not the maximum: the swap's
    check floors the fee, the view does not.
    """
    cases = recorded_cases()
    answers = ask([recorded_question(case) for case in cases])
    beyond_view = 0
    for case, (router, greatest, _) in zip(cases, answers, strict=True):
        view, requested = int(case["view_quote"]), int(case["requested_out"])
        assert router == ((OK, view) if view else (INSUFFICIENT_INPUT, 0))
        best = greatest[1] if greatest[0] == OK else 0
        assert (not case["reverted"]) == (0 < requested <= best), case
        if not case["reverted"]:
            assert int(case["amount_out"]) == requested
            beyond_view += requested > view
    assert len(cases) >= 360
    assert beyond_view >= 12


def test_recorded_outputs_are_bought_for_the_least():
    cases = [case for case in recorded_cases() if not case["reverted"]]
    questions = []
    for case in cases:
        pair, token_in, _ = recorded_question(case)
        questions.append((pair, token_in, int(case["amount_out"])))
    for case, (pair, token_in, out), (_, _, least) in zip(cases, questions, ask(questions), strict=True):
        assert least[0] == OK
        assert least[1] <= int(case["amount_in"])
        assert pair.accepts(token_in, least[1], out)
        assert not pair.accepts(token_in, least[1] - 1, out)


def random_amount(rng: random.Random, greatest: int) -> int:
    return min(rng.randrange(1 << rng.randint(1, max(greatest.bit_length(), 1))), greatest)


def random_question(rng: random.Random) -> Question:
    reserves = random_amount(rng, UINT112), random_amount(rng, UINT112)
    if rng.random() < 0.5:
        reserves = random_amount(rng, 10**33), random_amount(rng, 10**27)
    fees = rng.choice((0, 1, 300, 500, 2_000, 65_535)), rng.choice((1, 300, 99_999, 100_000))
    pair, token_in = DirectionalPair(reserves, fees), rng.randint(0, 1)
    return pair, token_in, random_amount(rng, reserves[rng.randint(0, 1)] * 4 + 1)


def test_twin_agrees_on_wide_states():
    rng = random.Random(30)
    questions = [random_question(rng) for _ in range(6_000)]
    paid = bought = 0
    for question, (router, greatest, least) in zip(questions, ask(questions), strict=True):
        pair, token_in, amount = question
        assert (router[1] if router[0] == OK else None) == twin(question), question
        if greatest[0] == OK:
            paid += 1
            assert greatest[1] >= router[1]
            assert pair.accepts(token_in, amount, greatest[1])
        assert not pair.accepts(token_in, amount, greatest[1] + 1) or min(pair.reserves) == 0
        if least[0] == OK:
            bought += 1
            assert pair.accepts(token_in, least[1], amount)
            assert not pair.accepts(token_in, least[1] - 1, amount)
        elif min(pair.reserves) > 0 and pair.fees[token_in] < 100_000:
            assert not pair.accepts(token_in, UINT112 - pair.reserves[token_in], amount)
    assert min(paid, bought) > 1_500


@settings(max_examples=200, deadline=None)
@given(
    reserves=st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1)),
    fees=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    token_in=st.integers(0, 1),
    amount=st.integers(0, UINT256),
)
def test_any_state_and_amount_ends(reserves, fees, token_in, amount):
    pair = DirectionalPair(reserves, fees)
    [(router, _, least)] = ask([(pair, token_in, amount)])
    if max(reserves) <= UINT112 and fees[token_in] <= 100_000:
        assert (router[1] if router[0] == OK else None) == twin((pair, token_in, amount))
        assert least[0] != OK or pair.accepts(token_in, least[1], amount)


def test_statuses():
    pair = DirectionalPair((10**20, 10**20), (300, 300))
    [(router, greatest, least)] = ask([(pair, 0, 0)])
    assert router[0] == greatest[0] == least[0] == INSUFFICIENT_INPUT
    [(router, greatest, _)] = ask([(pair, 0, UINT112)])
    assert router[0] == greatest[0] == OVERFLOW


def test_estimates_are_near_the_kernel():
    pair = DirectionalPair((185033 * 10**18, 15959 * 10**18), (300, 2_000))
    for token_in in (0, 1):
        held = float(pair.reserves[token_in]), float(pair.reserves[1 - token_in]), float(pair.fees[token_in])
        for amount in (10**15, 10**18, 10**22):
            exact = pair.get_amount_out(token_in, amount)
            assert est_amount_out_nb(float(amount), *held) == pytest.approx(exact, rel=1e-12)
        assert est_rate_nb(*held) * 10**15 == pytest.approx(pair.get_amount_out(token_in, 10**15), rel=1e-6)
    assert est_rate_nb(0.0, 1.0, 300.0) == 0.0
