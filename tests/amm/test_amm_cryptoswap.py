"""CryptoSwap kernels: recorded swaps of real pools, integer twins on random and hostile states, estimates."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import cryptoswap_reference as twin
import numpy as np
import pytest
from cryptoswap_reference import TRI, TWO, TWO_V21, Pool
from cryptoswap_trades import Trade, barely_paying_trade, random_trade, twin_out
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from engine.amm import cryptoswap2, cryptoswap3
from engine.amm.cryptoswap_arithmetic import (
    cube_root_nb,
    quotient_nb,
    square_root_nb,
)
from engine.amm.cryptoswap_estimates import est_amount_out_nb, est_rate_nb
from engine.amm.cryptoswap_math import (
    MAY_LOSE,
    RAMPING,
    VERSION_21,
    field_nb,
)
from engine.amm.layout import INSUFFICIENT_INPUT, OK, STATUS_NAMES, ints_to_limbs, limbs_to_int, limbs_to_ints
from engine.amm.quote import store_u256_nb
from engine.amm.wide import make_u256
from engine.amm.wide_digits import get_limb, set_limb, stack_limbs

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
VERSIONS = {"v2.0.0": TWO, "v2.1": TWO_V21, "tri": TRI, "triweth": TRI}
FAMILIES = {"curve-twocrypto-ng": 400, "curve-tricrypto-ng": 400}


@njit(nogil=True, cache=True, error_model="numpy")
def _quotes(states, coins, coins_in, coins_out, amounts, settled, statuses, results):
    for i in range(len(coins)):
        amount = make_u256(amounts[i, 0], amounts[i, 1], amounts[i, 2], amounts[i, 3])
        if coins[i] == 2:
            status, out = cryptoswap2.amount_out_nb(states[i], coins_in[i], amount, settled)
        else:
            status, out = cryptoswap3.amount_out_nb(states[i], coins_in[i], coins_out[i], amount, settled)
        statuses[i] = status
        store_u256_nb(out, results[i])


@njit(nogil=True, cache=True, error_model="numpy")
def _invariants(state, coins, k0_prev, result):
    """newton_D of a state's balances; writes (D, accepted and no fault)."""
    fault = stack_limbs(1)
    set_limb(fault, 0, np.uint64(0))
    a, gamma, k0 = state[0, 0], state[0, 1], make_u256(k0_prev[0], k0_prev[1], k0_prev[2], k0_prev[3])
    if coins == 2:
        x0, x1 = cryptoswap2._scaled(state, field_nb(state, 8), 0, fault), field_nb(state, 9)
        d, accepted = cryptoswap2.newton_d_nb(
            a, gamma, x0, cryptoswap2._scaled(state, x1, 1, fault), k0, fault
        )
    else:
        x0, x1 = cryptoswap3._scaled(state, field_nb(state, 8), 0, fault), field_nb(state, 9)
        x2 = cryptoswap3._scaled(state, field_nb(state, 10), 2, fault)
        x = x0, cryptoswap3._scaled(state, x1, 1, fault), x2
        d, accepted = cryptoswap3.newton_d_nb(a, gamma, x, k0, fault)
    store_u256_nb(d, result)
    return accepted and get_limb(fault, 0) == 0


@njit(nogil=True, cache=True, error_model="numpy")
def _roots(values, squares, cubes):
    for i in range(len(values)):
        value = make_u256(values[i, 0], values[i, 1], values[i, 2], values[i, 3])
        store_u256_nb(square_root_nb(value), squares[i])
        store_u256_nb(cube_root_nb(value), cubes[i])


def state_of(pool: Pool) -> np.ndarray:
    mode = pool.ramping * RAMPING | pool.may_lose * MAY_LOSE | (pool.version == TWO_V21) * VERSION_21
    rows = [
        pool.a | pool.gamma << 64 | mode << 128,
        pool.mid_fee | pool.out_fee << 64 | pool.fee_gamma << 128,
        pool.d,
        pool.total_supply,
        pool.virtual_price,
        sum(precision << 64 * k for k, precision in enumerate(pool.precisions)),
        *[*pool.price_scale, 0][:2],
        *[*pool.balances, 0][:3],
    ]
    return ints_to_limbs(rows)


def quote_all(trades: list[Trade], settled: bool = True) -> tuple[list[int | None], list[int]]:
    """Amounts out, None where refused, and statuses."""
    count = len(trades)
    statuses, results = np.zeros(count, np.int64), np.zeros((count, 4), np.uint64)
    _quotes(
        np.array([state_of(pool) for pool, _, _, _ in trades]),
        np.array([len(pool.balances) for pool, _, _, _ in trades]),
        np.array([i for _, i, _, _ in trades]),
        np.array([j for _, _, j, _ in trades]),
        ints_to_limbs([amount for _, _, _, amount in trades]),
        settled,
        statuses,
        results,
    )
    amounts = limbs_to_ints(results)
    codes = statuses.tolist()
    return [out if code == OK else None for out, code in zip(amounts, codes, strict=True)], codes


def recorded(family: str) -> list[tuple[Trade, dict[str, Any]]]:
    path = DATA / "golden" / f"{family}.json"
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set ROUNDTRIP_DATA")
    cases = []
    for entry in json.loads(path.read_text())["pools"]:
        for case in entry["cases"]:
            trade = recorded_pool(entry["params"], case), int(case["token_in"]), int(case["token_out"])
            cases.append(((*trade, int(case["amount_specified"])), case))
    return cases


def recorded_pool(params: dict[str, Any], case: dict[str, Any], key: str = "state") -> Pool:
    state, version = case[key], VERSIONS[params["version"]]
    now, ramp_end = int(case["block_timestamp"]), int(state["future_A_gamma_time"])
    prices = state["price_scale"]
    return Pool(
        version,
        int(state["A"]),
        int(state["gamma"]),
        int(state["D"]),
        [int(balance) for balance in state["balances"]],
        [int(precision) for precision in params["precisions"]],
        [int(prices)] if isinstance(prices, str) else [int(price) for price in prices],
        int(state["mid_fee"]),
        int(state["out_fee"]),
        int(state["fee_gamma"]),
        int(state["totalSupply"]),
        int(state["virtual_price"]),
        ramping=ramp_end > now,
        may_lose=ramp_end > now if version == TWO_V21 else ramp_end >= now,
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_swaps_and_refusals(family: str):
    cases = recorded(family)
    trades = [trade for trade, _ in cases]
    paid, codes = quote_all(trades)
    for k, (trade, case) in enumerate(cases):
        expected = None if case["reverted"] else int(case["amount_out"])
        assert paid[k] == expected == twin_out(trade), (trade, STATUS_NAMES[codes[k]])
    assert len(cases) >= FAMILIES[family]
    assert sum(case["reverted"] for _, case in cases) >= 60


@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_view_quotes(family: str):
    cases = [(trade, case) for trade, case in recorded(family) if case["view_quote"] is not None]
    quoted, _ = quote_all([trade for trade, _ in cases], settled=False)
    assert quoted == [int(case["view_quote"]) for _, case in cases]
    assert len(cases) >= 380


@pytest.mark.parametrize("family", FAMILIES)
def test_a_swap_refused_for_its_loss_alone_is_dust(family: str):
    cases = recorded(family)
    _, codes = quote_all([trade for trade, _ in cases])
    refused = [trade for (trade, _), code in zip(cases, codes, strict=True) if code == INSUFFICIENT_INPUT]
    assert len(refused) >= 40
    for pool, i, _, amount in refused:
        assert amount * 10**14 < pool.balances[i]


@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_invariants_after_the_trade(family: str):
    """D as stored after a swap that neither moved the price scale nor claimed admin fees."""
    compared = 0
    for (pool, i, j, amount), case in recorded(family):
        after = case["state_after"]
        if case["reverted"] or after["price_scale"] != case["state"]["price_scale"]:
            continue
        if after["totalSupply"] != case["state"]["totalSupply"]:
            continue
        sold = [balance + amount * (k == i) for k, balance in enumerate(pool.balances)]
        bought = [balance - int(case["amount_out"]) * (k == j) for k, balance in enumerate(sold)]
        if bought != [int(balance) for balance in after["balances"]]:
            continue
        d = pool.d
        if pool.ramping:
            d = twin.newton_d(pool.a, pool.gamma, pool.scaled(pool.balances), 0, pool.version)
        _, k0 = pool.get_y(pool.scaled(sold), d, j)
        pool.balances, result = bought, np.zeros(4, np.uint64)
        assert _invariants(state_of(pool), len(bought), ints_to_limbs([k0])[0], result)
        assert limbs_to_int(result) == int(after["D"])
        compared += 1
    assert compared >= 100


@pytest.mark.parametrize("family", FAMILIES)
def test_estimates_follow_the_exact_kernels(family: str):
    compared = 0
    for (pool, i, j, amount), case in recorded(family):
        if case["reverted"] or amount * 10**6 < pool.balances[i] or int(case["amount_out"]) < 10**5:
            continue
        state, coins = state_of(pool), len(pool.balances)
        estimate = est_amount_out_nb(state, coins, i, j, float(amount))
        assert estimate == pytest.approx(int(case["amount_out"]), rel=2e-3 if pool.ramping else 1e-4)
        compared += 1
    assert compared >= 100


@pytest.mark.parametrize("family", FAMILIES)
def test_the_spot_rate_is_that_of_a_small_trade(family: str):
    compared = 0
    for (pool, i, j, _), _ in recorded(family):
        amount = pool.balances[i] // 10**5
        out = twin_out((pool, i, j, amount), settled=False)
        if i == j or out is None or out < 10**5 or pool.ramping:
            continue
        rate = est_rate_nb(state_of(pool), len(pool.balances), i, j)
        assert rate * amount == pytest.approx(out, rel=2e-3)
        compared += 1
    assert compared >= 150


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**64))
def test_kernels_equal_the_integer_twins(seed: int):
    rng = random.Random(seed)
    trades = [random_trade(rng) for _ in range(40)]
    for settled in (True, False):
        assert quote_all(trades, settled)[0] == [twin_out(trade, settled) for trade in trades]


def judged_as_the_twin_does(trades: list[Trade]) -> dict[tuple[int, bool], int]:
    """How many trades of each version were accepted and refused."""
    paid, _ = quote_all(trades)
    counts: dict[tuple[int, bool], int] = {}
    for trade, out in zip(trades, paid, strict=True):
        assert out == twin_out(trade), trade
        kind = trade[0].version, out is not None
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def test_trades_that_barely_pay_are_judged_as_by_the_twin():
    rng = random.Random(11)
    counts = judged_as_the_twin_does([barely_paying_trade(rng) for _ in range(1200)])
    assert all(counts[version, answer] >= 60 for version in (TWO, TWO_V21, TRI) for answer in (True, False))


def test_random_states_reach_both_answers():
    rng = random.Random(7)
    trades = [random_trade(rng) for _ in range(600)]
    paid, _ = quote_all(trades, settled=False)
    for version in (TWO, TWO_V21, TRI):
        mine = [out for out, trade in zip(paid, trades, strict=True) if trade[0].version == version]
        answered = sum(out is not None for out in mine)
        assert 30 <= answered <= len(mine) - 30


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_hostile_states_never_hang_or_crash(data: st.DataObject):
    coins = data.draw(st.integers(2, 3))
    words = st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63]), min_size=44, max_size=44)
    states = np.array([data.draw(words)], np.uint64).reshape(1, 11, 4)
    statuses, results = np.zeros(1, np.int64), np.zeros((1, 4), np.uint64)
    amount = ints_to_limbs([data.draw(st.integers(0, 2**256 - 1))])
    i = data.draw(st.integers(0, coins - 1))
    j = (i + data.draw(st.integers(1, coins - 1))) % coins
    where = np.array([coins]), np.array([i]), np.array([j])
    _quotes(states, *where, amount, True, statuses, results)
    assert int(statuses[0]) in STATUS_NAMES


@njit(nogil=True, cache=True, error_model="numpy")
def _quotients(numerators, divisors, results):
    for i in range(len(numerators)):
        n, d = numerators[i], divisors[i]
        quotient = quotient_nb(make_u256(n[0], n[1], n[2], n[3]), make_u256(d[0], d[1], d[2], d[3]))
        store_u256_nb(quotient, results[i])


def test_quotients_are_exact_for_divisors_of_any_width():
    rng = random.Random(9)
    pairs = []
    for _ in range(30_000):
        divisor = rng.choice((rng.getrandbits(rng.randrange(1, 257)), 2 ** rng.randrange(256)))
        divisor = max(divisor + rng.randrange(-1, 2), 1) % 2**256 or 1
        quotient = rng.getrandbits(rng.randrange(1, 258 - divisor.bit_length()))
        pairs.append((min(quotient * divisor + rng.choice((0, divisor - 1)), 2**256 - 1), divisor))
    results = np.zeros((len(pairs), 4), np.uint64)
    numerators, divisors = ([pair[k] for pair in pairs] for k in (0, 1))
    _quotients(ints_to_limbs(numerators), ints_to_limbs(divisors), results)
    assert limbs_to_ints(results) == [n // d for n, d in pairs]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 256).flatmap(lambda bits: st.integers(0, max(2**bits - 1, 0))), min_size=40))
def test_roots(values: list[int]):
    edges = [c**3 * k for c in (10**12, 10**20, 7**9) for k in (1, 8, 27)]
    values = values + [value + d for value in edges for d in (-1, 0, 1)] + [0, 1, 2**256 - 1]
    squares, cubes = np.zeros((len(values), 4), np.uint64), np.zeros((len(values), 4), np.uint64)
    _roots(ints_to_limbs(values), squares, cubes)
    assert limbs_to_ints(squares) == [twin.isqrt(value) for value in values]
    assert limbs_to_ints(cubes) == [twin.cbrt(value) for value in values]
