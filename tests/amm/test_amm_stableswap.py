"""Curve StableSwap: recorded swaps of the real bytecode, and the kernels against their plain-integer twin."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stableswap_reference import NG, SUSD, TEMPLATE, THREE_POOL, Generation, Revert, StablePool

from engine.amm.layout import INSUFFICIENT_INPUT, OK, OVERFLOW, UNINITIALISED, ints_to_limbs, limbs_to_ints
from engine.amm.stable_invariant import STABLE_NG, STABLE_SUSD, STABLE_TEMPLATE, STABLE_THREE_POOL
from engine.amm.stableswap import (
    StablePools,
    exchange,
    exchanges_nb,
    new_stable_pools,
    set_stable_pool,
)

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
KIND_OF = {
    THREE_POOL: STABLE_THREE_POOL,
    SUSD: STABLE_SUSD,
    TEMPLATE: STABLE_TEMPLATE,
    NG: STABLE_NG,
}


def load(path: Path) -> Any:
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set ROUNDTRIP_DATA")
    return json.loads(path.read_text())


def store(pools: StablePools, row: int, pool: StablePool) -> None:
    kind = KIND_OF[pool.generation]
    set_stable_pool(
        pools, row, kind, pool.balances, pool.rates, pool.ramp, pool.fee, pool.admin_fee, pool.multiplier
    )


def quote(
    pool: StablePool, i: int, j: int, dx: int, timestamp: int, view: bool = False
) -> tuple[int, int, int]:
    pools = new_stable_pools(1)
    store(pools, 0, pool)
    return exchange(pools, 0, i, j, dx, timestamp, view=view)


def recorded_pool(params: dict[str, Any], state: dict[str, Any], generation: Generation) -> StablePool:
    amp = params["A"]
    ramp = (
        int(state.get("initial_A", amp)),
        int(state.get("future_A", amp)),
        int(state.get("initial_A_time", 0)),
        int(state.get("future_A_time", 0)),
    )
    return StablePool(
        generation,
        tuple(map(int, state["balances"])),
        tuple(map(int, state["rates"] if generation is NG else params["rates"])),
        ramp,
        int(state["fee"]),
        int(params["admin_fee"]),
        int(state.get("offpeg_fee_multiplier", 0)),
    )


def recompute(case: dict[str, Any], pool: StablePool) -> str:
    """Check one recorded case; what is returned names how it was judged."""
    i, j, timestamp = int(case["token_in"]), int(case["token_out"]), int(case["block_timestamp"])
    asked = int(case["amount_specified"])
    view_status, viewed, _ = quote(pool, i, j, asked, timestamp, view=True)
    assert (str(viewed) if view_status == OK else None) == case["view_quote"], case
    if not case["reverted"]:
        received = int(case.get("pool_received", asked))
        status, paid, after = quote(pool, i, j, received, timestamp)
        assert (status, paid) == (OK, int(case["amount_out"])), case
        held = [int(value) for value in case["state_after"]["balances"]]
        expected = list(pool.balances)
        expected[i] += received
        expected[j] = after
        return "paid" if held == expected else "paid, other balances after"
    status, paid, _ = quote(pool, i, j, asked, timestamp)
    reason = case["revert_reason"]
    if "fewer coins than expected" in reason:
        assert paid < int(case["min_dy"]), case
        return "below min_dy"
    if "transfer amount exceeds balance" in reason:
        # The payer did not have the coins: get_dy agrees that the pool would have paid.
        assert (status, str(paid)) == (OK, case["view_quote"]), case
        return "payer without coins"
    assert status != OK, case
    return "refused"


def test_recorded_swaps_of_3pool_and_susd():
    judged: Counter[str] = Counter()
    for recorded in load(DATA / "golden/curve-3pool-susd.json")["pools"]:
        generation = THREE_POOL if recorded["params"]["type"] == "3pool" else SUSD
        for case in recorded["cases"]:
            judged[recompute(case, recorded_pool(recorded["params"], case["state"], generation))] += 1
    assert judged["paid"] >= 350
    assert judged["refused"] >= 3
    assert set(judged) == {"paid", "refused", "below min_dy"}


def test_recorded_swaps_of_ng():
    judged: Counter[str] = Counter()
    for recorded in load(DATA / "golden/curve-stableswap-ng.json")["pools"]:
        for case in recorded["cases"]:
            how = recompute(case, recorded_pool(recorded["params"], case["state"], NG))
            if how == "paid, other balances after":
                # A transfer of a share-based coin moves a wei or two less than asked, so the pool keeps more.
                assert recorded["params"]["asset_types"][int(case["token_out"])] == "2"
                out = int(case["token_out"])
                moved = int(case["state"]["token_balances"][out]) - int(
                    case["state_after"]["token_balances"][out]
                )
                assert 0 < int(case["amount_out"]) - moved <= 2
            judged[how] += 1
    assert judged["paid"] >= 380
    assert judged["refused"] >= 8
    assert judged["payer without coins"] <= 2
    assert judged["paid, other balances after"] <= 2


def test_mainnet_quotes_of_3pool():
    state = load(DATA / "onchain_parity/state/1/curve_tripool_block_24407242.json")
    folder = DATA / "onchain_parity/golden/tests/curve/test_curve_onchain_parity"
    entries = load(folder / "test_curve_tripool_get_dy.json")["entries"]
    symbols = [token["symbol"] for token in state["tokens"]]
    pool = mainnet_pool(state, THREE_POOL, [10 ** (36 - token["decimals"]) for token in state["tokens"]])
    for key, entry in entries.items():
        _, function, direction, amount = key.split("|")
        i, j = (symbols.index(name) for name in direction.split("->"))
        assert function == "get_dy"
        status, amount_out, _ = quote(pool, i, j, int(amount), state["block_timestamp"], view=True)
        assert (status, amount_out) == (OK, entry["value"]), key
    assert len(entries) >= 18


def mainnet_pool(state: dict[str, Any], generation: Generation, rates: list[int]) -> StablePool:
    ramp = state["initial_a"], state["future_a"], state["initial_a_time"], state["future_a_time"]
    return StablePool(
        generation, tuple(state["balances"]), tuple(rates), ramp, state["fee"], state["admin_fee"]
    )


def test_mainnet_quotes_of_a_metapool():
    state = load(DATA / "onchain_parity/state/1/curve_metapool_rai_3crv_block_25144000.json")
    folder = DATA / "onchain_parity/golden/tests/curve/test_curve_onchain_parity"
    entries = load(folder / "test_curve_metapool_get_dy.json")["entries"]
    # The redemption price has 27 digits and the rate 18; the virtual price is the one the metapool cached.
    pool = mainnet_pool(state, TEMPLATE, [state["redemption_price"], state["base_virtual_price"]])
    symbols, checked = ["RAI", "3Crv"], 0
    for key, entry in entries.items():
        _, function, direction, amount = key.split("|")
        if function != "get_dy":
            continue
        i, j = (symbols.index(name) for name in direction.split("->"))
        status, amount_out, _ = quote(pool, i, j, int(amount), state["block_timestamp"], view=True)
        assert (status, amount_out) == (OK, entry["value"]), key
        checked += 1
    assert checked >= 6


AMP = {THREE_POOL: (1, 10**4), SUSD: (1, 10**4), TEMPLATE: (100, 10**6), NG: (100, 10**6)}


def draw_pool(rng: random.Random) -> StablePool:
    """Wide states: 2 to 8 coins of 0 to 24 decimals, balances of dust to 1e33, all ramps and fees."""
    generation = rng.choice(list(KIND_OF))
    n = rng.choice((2, 2, 3, 4, 8))
    level, spread = rng.uniform(0, 33), rng.choice((0.0, 0.3, 2.0, 12.0))
    rates, balances = [], []
    for _ in range(n):
        decimals = rng.choice((0, 2, 6, 6, 8, 18, 18, 18, 24))
        rate = 10 ** (36 - decimals)
        rates.append(rate if rng.random() < 0.7 else int(rate * rng.uniform(0.5, 2)))
        exponent = level + rng.uniform(-spread, spread) + rng.choice((0, 18 - decimals)) * -1
        balances.append(int(10 ** min(max(exponent, 0), 33)) if rng.random() < 0.97 else rng.choice((0, 1)))
    low, high = AMP[generation]
    first, last = (int(low * (high / low) ** rng.random()) for _ in range(2))
    start = rng.randrange(10**9, 2 * 10**9)
    ramp = (first, last, start, start + rng.randrange(1, 10**7)) if rng.random() < 0.5 else (last, last, 0, 0)
    fee = rng.choice((0, 1, 10**5, 4 * 10**6, 5 * 10**9))
    multiplier = rng.choice((0, 10**10, 10**10 + 1, 2 * 10**10, 5 * 10**10, 5 * 10**19 // max(fee, 1)))
    admin_fee = rng.choice((0, 1, 5 * 10**9, 10**10))
    return StablePool(generation, tuple(balances), tuple(rates), ramp, fee, admin_fee, multiplier)


def draw_trade(rng: random.Random, pool: StablePool) -> tuple[int, int, int, int]:
    i, j = rng.sample(range(len(pool.balances)), 2)
    share = 10 ** rng.uniform(-12, 3)
    dx = rng.choice(
        (int(pool.balances[i] * share), rng.randrange(10), rng.getrandbits(rng.randrange(1, 257)))
    )
    start, end = pool.ramp[2:]
    return i, j, dx, rng.choice((start, end, rng.randrange(start, end + 1), end + 10**6))


def twin(pool: StablePool, i: int, j: int, dx: int, timestamp: int, view: bool) -> tuple[int, int] | None:
    try:
        return (pool.get_dy(i, j, dx, timestamp), 0) if view else pool.exchange(i, j, dx, timestamp)
    except Revert:
        return None


@pytest.mark.parametrize("view", [False, True])
def test_kernels_equal_the_twin_on_wide_states(view: bool):
    rng, count = random.Random(f"stableswap {view}"), 6000
    pools, drawn = new_stable_pools(count), []
    for row in range(count):
        pool = draw_pool(rng)
        store(pools, row, pool)
        drawn.append((pool, *draw_trade(rng, pool)))
    statuses, results = np.zeros(count, np.int64), np.zeros((count, 2, 4), np.uint64)
    column = [np.array([case[k] for case in drawn], np.int64) for k in (1, 2)]
    timestamps = np.array([case[4] for case in drawn], np.uint64)
    amounts = ints_to_limbs(case[3] for case in drawn)
    exchanges_nb(pools, np.arange(count), *column, amounts, timestamps, view, statuses, results)
    seen = zip(statuses.tolist(), limbs_to_ints(results[:, 0]), limbs_to_ints(results[:, 1]), strict=True)
    judged: Counter[tuple[Generation, bool]] = Counter()
    for case, (status, paid, after) in zip(drawn, seen, strict=True):
        expected = twin(*case, view)
        assert ((paid, after) if status == OK else None) == expected, case
        judged[case[0].generation, expected is not None] += 1
    assert min(judged.values()) >= 50
    assert len(judged) == 8


@settings(max_examples=300, deadline=None)
@given(
    st.randoms(use_true_random=False), st.integers(0, 2**256 - 1), st.integers(0, 2**64 - 1), st.booleans()
)
def test_kernels_equal_the_twin_on_any_amount(rng: random.Random, dx: int, timestamp: int, view: bool):
    pool = draw_pool(rng)
    timestamp = max(timestamp, pool.ramp[2])
    i, j = rng.sample(range(len(pool.balances)), 2)
    status, paid, after = quote(pool, i, j, dx, timestamp, view)
    assert ((paid, after) if status == OK else None) == twin(pool, i, j, dx, timestamp, view)


def test_rows_and_coins_that_are_not_there_are_refused():
    pools = new_stable_pools(2)
    store(pools, 0, StablePool(NG, (10**24, 10**12), (10**18, 10**30), (20000, 20000, 0, 0), 4 * 10**6))
    assert exchange(pools, 0, 0, 1, 10**18, 0)[0] == OK
    for row, i, j in ((0, 0, 0), (0, 0, 2), (0, -1, 1), (0, 8, 1), (1, 0, 1)):
        assert exchange(pools, row, i, j, 10**18, 0)[0] == UNINITIALISED
    assert exchange(pools, 0, 0, 1, 0, 0)[0] == INSUFFICIENT_INPUT
    assert exchange(pools, 0, 0, 1, 2**256 - 1, 0)[0] == OVERFLOW
    with pytest.raises(ValueError):
        set_stable_pool(pools, 1, STABLE_NG, [1], [1], 100, 0, 0)
    with pytest.raises(ValueError):
        set_stable_pool(pools, 1, 9, [1, 1], [1, 1], 100, 0, 0)
    with pytest.raises(OverflowError):
        set_stable_pool(pools, 1, STABLE_NG, [1, -1], [1, 1], 100, 0, 0)


def test_states_no_contract_reaches_end_as_the_twin_says():
    huge, most = 2**256 - 1, 2**64 - 1
    for generation in KIND_OF:
        for balances in ((huge, huge), (0, huge), (0, 0), (1, huge >> 130), (huge >> 140, 1)):
            for rates, fee, multiplier in (((huge, 1), most, huge), ((0, 0), 0, 0), ((1, huge), 1, 2)):
                for amp in (1, 2**32 - 1):
                    pool = StablePool(generation, balances, rates, (amp, amp, 0, 0), fee, most, multiplier)
                    for amount in (0, 1, huge):
                        status, paid, after = quote(pool, 0, 1, amount, 0)
                        expected = twin(pool, 0, 1, amount, 0, False)
                        assert ((paid, after) if status == OK else None) == expected, (pool, amount)


def test_amplifications_no_contract_allows_are_refused():
    for ramp in ((0, 0, 0, 0), (2**32, 1, 0, 9), (1, 2**64 - 1, 0, 0), (1, 9, 5, 9), (1, 9, 0, 2**40)):
        pool = StablePool(TEMPLATE, (10**24, 10**24), (10**18, 10**18), ramp, 0)
        assert quote(pool, 0, 1, 10**18, 4)[0] == OVERFLOW
