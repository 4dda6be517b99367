"""V4, Slipstream, Pancake V3, Algebra: recorded swaps, and the compiled kernel against its plain twin."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from amm_reference import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK, UINT128, Revert
from concentrated_forks_batch import Answer, State, Swap, rows_of, run, run_quotes
from concentrated_forks_reference import INT128, ForkPool
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.amm.concentrated_forks import (
    est_fork_out_nb,
    est_fork_rate_nb,
    est_spot_price_nb,
)
from engine.amm.layout import (
    BAD_LIMIT,
    INSUFFICIENT_INPUT,
    INSUFFICIENT_LIQUIDITY,
    OK,
    OVERFLOW,
    PARTIAL,
    TICK_LIST,
    TICK_WORDS,
    UNINITIALISED,
    V4,
)
from engine.amm.tick_math import sqrt_ratio_at_tick, tick_at_sqrt_ratio
from engine.amm.v4_fees import v4_fee

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RULES = {
    "uniswap-v4": V4,
    "slipstream": TICK_WORDS,
    "pancake-v3": TICK_WORDS,
    "algebra-v1": TICK_WORDS,
    "algebra-integral": TICK_LIST,
}
# Swaps the pool itself would have done: the payer could not pay. Checked case by case below.
UNPAID = {"uniswap-v4": 1, "slipstream": 2, "pancake-v3": 2, "algebra-v1": 6, "algebra-integral": 0}
V4_REASONS = {"0xbe8b8507": INSUFFICIENT_INPUT, "0x7c9c6e8f": BAD_LIMIT, "0x93dafdf1": OVERFLOW}


def load(path: Path) -> Any:
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set ROUNDTRIP_DATA")
    return json.loads(path.read_text())


def state_of(raw: dict[str, Any]) -> State:
    return State(
        int(raw["sqrt_price"]),
        int(raw["tick"]),
        int(raw["liquidity"]),
        int(raw["tick_spacing"]),
        tuple((int(tick), int(net)) for tick, net in raw["ticks"]),
        tuple(int(reserve) for reserve in raw.get("reserves", (0, 0))),
    )


def recorded_swap(case: dict[str, Any], rules: int) -> Swap:
    raw = case["state"]
    zero_for_one = case["token_in"] == "0"
    if rules == V4:
        fee = v4_fee(int(raw["protocol_fee"]), int(raw.get("hook_fee", raw["lp_fee"])), zero_for_one)
    else:
        # Algebra V1 answers with the fee it recomputed, unless the swap reverted.
        fee = int(case.get("fee_charged", raw["fee"]))
    limit = int(case["sqrt_price_limit"]) if case["sqrt_price_limit"] else None
    exact_in = case["kind"] == "exact_in"
    return Swap(state_of(raw), rules, zero_for_one, exact_in, int(case["amount_specified"]), fee, limit)


def cases_of(family: str) -> list[dict[str, Any]]:
    """The file's cases, each with the decimals of the token sold."""
    pools = load(DATA / "golden" / f"{family}.json")["pools"]
    for pool in pools:
        for case in pool["cases"]:
            case["decimals_in"] = int(pool["params"]["decimals"][int(case["token_in"])])
    return [case for pool in pools for case in pool["cases"]]


def recorded(family: str) -> list[tuple[dict[str, Any], Swap, Answer]]:
    cases = cases_of(family)
    swaps = [recorded_swap(case, RULES[family]) for case in cases]
    return list(zip(cases, swaps, run(swaps), strict=True))


@pytest.mark.parametrize("family", list(RULES))
def test_recorded_swaps_to_the_wei(family: str):
    done = 0
    for case, swap, answer in recorded(family):
        if case["reverted"]:
            continue
        after = case["state_after"]
        expected = (case["amount_in"], case["amount_out"], *(after[k] for k in ("sqrt_price", "liquidity")))
        got = (answer.amount_in, answer.amount_out, answer.sqrt_price, answer.liquidity)
        assert got == tuple(map(int, expected))
        assert answer.tick == int(after["tick"])
        used = answer.amount_in if swap.exact_in else answer.amount_out
        assert answer.status == (OK if used == swap.amount else PARTIAL)
        if RULES[family] == V4:
            assert swap.fee == int(case["fee_charged"])
        done += 1
    assert done >= 300


@pytest.mark.parametrize("family", list(RULES))
def test_recorded_reverts_are_refused(family: str):
    unpaid = refused = 0
    for case, swap, answer in recorded(family):
        # The payers' wallets: every recorded swap was paid from less, every panicking one needed more, and
        # it is the token's own subtraction that panics (the 0.7.6 pools know no Panic).
        wallet = 10 ** (22 + case["decimals_in"])
        if not case["reverted"]:
            assert answer.amount_in < wallet
        elif case["revert_reason"].startswith("Panic"):
            assert answer.status == PARTIAL
            assert not swap.exact_in
            assert answer.amount_in > wallet
            unpaid += 1
        else:
            assert answer.status not in (OK, PARTIAL)
            if RULES[family] == V4:
                assert answer.status == V4_REASONS[case["revert_reason"][5:15]]
            refused += 1
    assert unpaid == UNPAID[family]
    assert refused >= 5


def test_recorded_integral_inputs_beyond_uint128_are_what_its_unexplained_reverts_have_in_common():
    """The pool books its reserves in uint128 and says nothing when it cannot."""
    reverted = {True: 0, False: 0}
    for case, swap, answer in recorded("algebra-integral"):
        reserve = swap.state.reserves[0 if swap.zero_for_one else 1]
        if case["reverted"] and case["revert_reason"] == "execution reverted":
            assert reserve + answer.amount_in > UINT128
            assert answer.status == OVERFLOW
            reverted[True] += 1
        elif not case["reverted"]:
            assert reserve + answer.amount_in <= UINT128
            reverted[False] += 1
    assert reverted[True] == 6
    assert reverted[False] > 300


def test_recorded_views_quote_the_same():
    swaps, views = [], []
    for family, rules in RULES.items():
        for case in cases_of(family):
            if case["view_quote"] is not None and not case["reverted"]:
                swap = recorded_swap(case, rules)
                extreme = MIN_SQRT_RATIO + 1 if swap.zero_for_one else MAX_SQRT_RATIO - 1
                if swap.limit in (None, extreme):
                    swaps.append(swap)
                    views.append(int(case["view_quote"]))
    for (status, amount), view in zip(run_quotes(swaps), views, strict=True):
        assert status in (OK, INSUFFICIENT_LIQUIDITY)
        assert amount == view
    assert len(views) > 500


LOW, HIGH = MIN_SQRT_RATIO + 1, MAX_SQRT_RATIO - 1
FEES = {
    TICK_WORDS: (0, 1, 100, 420, 3000, 65_535, 999_999),
    TICK_LIST: (0, 1, 500, 3000, 65_535, 999_999),
    V4: (0, 1, 63, 3000, 500_000, 999_999, 1_000_000),
}


@st.composite
def pool_states(draw: st.DrawFn) -> State:
    """Prices over the whole range, liquidity from one unit to the greatest, gaps, ticks of net zero, dust."""
    spacing = draw(st.sampled_from((1, 10, 60, 200)))
    rng = random.Random(draw(st.integers(0, 2**32)))
    middle = draw(st.sampled_from((0, MIN_TICK + 600, MAX_TICK - 600)) | st.integers(-880_000, 880_000))
    nets: Counter[int] = Counter()
    lowest, highest = -(-MIN_TICK // spacing), MAX_TICK // spacing
    for _ in range(draw(st.integers(0, 7))):
        lower = middle // spacing + rng.randrange(-(2 ** rng.randrange(1, 12)), 40)
        lower = min(max(lower, lowest), highest - 1)
        upper = min(lower + 1 + rng.randrange(2 ** rng.randrange(1, 12)), highest)
        size = int(10 ** rng.uniform(0, 33))
        nets[lower * spacing] += size
        nets[upper * spacing] -= size
    price = sqrt_ratio_at_tick(middle) + draw(st.sampled_from((0, 0, 1, 10**6)))
    price = min(max(price, LOW + 1), HIGH - 1)
    tick = tick_at_sqrt_ratio(price)
    if price == sqrt_ratio_at_tick(tick) and tick > MIN_TICK and draw(st.booleans()):
        tick -= 1  # as a crossing downwards leaves it
    active = sum(net for at, net in nets.items() if at <= tick)
    return State(price, tick, active, spacing, tuple(sorted(nets.items())))


@st.composite
def swaps_of_any_rules(draw: st.DrawFn) -> Swap:
    state = draw(pool_states())
    rules = draw(st.sampled_from((TICK_WORDS, TICK_LIST, V4)))
    zero_for_one = draw(st.booleans())
    exponent = draw(st.integers(0, 127) | st.integers(0, 256))
    amount = draw(st.integers(2**exponent // 2, 2**exponent)) if exponent < 256 else 2**256 - 1
    limit = None
    if draw(st.booleans()):
        near = sqrt_ratio_at_tick(min(max(state.tick + draw(st.integers(-3000, 3000)), MIN_TICK), MAX_TICK))
        limit = draw(st.sampled_from((near, state.sqrt_price, 0, 1, LOW, HIGH, 2**160, 2**256 - 1)))
    fee = draw(st.sampled_from(FEES[rules]))
    return Swap(state, rules, zero_for_one, draw(st.booleans()), amount, fee, limit)


def twin_answer(swap: Swap) -> tuple[int, int, ForkPool] | None:
    """(amount in, amount out, pool after), or nothing where the contract reverts."""
    state = swap.state
    pool = ForkPool(
        state.sqrt_price,
        state.tick,
        state.liquidity,
        state.spacing,
        swap.rules != TICK_LIST,
        dict(state.ticks),
    )
    arguments = swap.zero_for_one, swap.amount, swap.exact_in, swap.price_limit, swap.fee
    try:
        moved_in, moved_out = pool.v4_swap(*arguments) if swap.rules == V4 else pool.swap(*arguments)
    except Revert:
        return None
    if swap.rules == TICK_LIST and state.reserves[0 if swap.zero_for_one else 1] + moved_in > UINT128:
        return None
    return moved_in, moved_out, pool


def check(swap: Swap, answer: Answer, quote: tuple[int, int]) -> bool:
    """Compare with the twin; whether the contract does the swap."""
    expected = twin_answer(swap)
    if expected is None:
        assert answer.status not in (OK, PARTIAL)
        return False
    moved_in, moved_out, pool = expected
    assert (answer.amount_in, answer.amount_out) == (moved_in, moved_out)
    assert (answer.sqrt_price, answer.liquidity, answer.tick) == (pool.sqrt_price, pool.liquidity, pool.tick)
    whole = (moved_in if swap.exact_in else moved_out) == swap.amount
    assert answer.status == (OK if whole else PARTIAL)
    if swap.limit is None:
        asked = moved_out if swap.exact_in else moved_in
        assert quote == (OK if whole else INSUFFICIENT_LIQUIDITY, asked)
    return True


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.lists(swaps_of_any_rules(), min_size=1, max_size=4))
def test_any_state_and_amount_equal_the_twin(swaps: list[Swap]):
    for swap, answer, quote in zip(swaps, run(swaps), run_quotes(swaps), strict=True):
        check(swap, answer, quote)


def seeded_swaps(count: int) -> list[Swap]:
    """Well-filled pools around their price, so that most swaps trade and cross ticks and word edges."""
    rng = random.Random(11)
    swaps = []
    for _ in range(count):
        spacing, rules = rng.choice((1, 10, 60, 200)), rng.choice((TICK_WORDS, TICK_LIST, V4))
        middle = rng.randrange(-400_000, 400_000)
        nets: Counter[int] = Counter()
        for _ in range(rng.randrange(1, 8)):
            lower = middle // spacing + rng.randrange(-600, 40)
            upper = lower + 1 + rng.randrange(900)
            size = int(10 ** rng.uniform(8, 26))
            nets[lower * spacing] += size
            nets[upper * spacing] -= size
        price = sqrt_ratio_at_tick(middle) + rng.randrange(1000)
        tick = tick_at_sqrt_ratio(price)
        active = sum(net for at, net in nets.items() if at <= tick)
        state = State(price, tick, active, spacing, tuple(sorted(nets.items())))
        amount = int(10 ** rng.uniform(0, 26))
        fee = rng.choice(FEES[rules])
        swaps.append(Swap(state, rules, rng.random() < 0.5, rng.random() < 0.5, amount, fee))
    return swaps


def test_many_swaps_across_ticks_equal_the_twin():
    swaps = seeded_swaps(4000)
    done = Counter(
        (swap.rules, answer.status)
        for swap, answer, quote in zip(swaps, run(swaps), run_quotes(swaps), strict=True)
        if check(swap, answer, quote)
    )
    assert all(done[rules, OK] > 300 for rules in FEES)


def test_a_tick_list_rounds_less_often_than_tick_words():
    """Far from any tick, V3's stops at word edges cost units that Integral's pools don't take."""
    price = sqrt_ratio_at_tick(7)
    state = State(price, 7, 10**12, 1, ((-50_000, 10**12), (50_000, -(10**12))))
    words, a_list = run(
        [Swap(state, rules, True, True, 3 * 10**12, 3000) for rules in (TICK_WORDS, TICK_LIST)]
    )
    assert words.status == a_list.status == OK
    assert 0 < a_list.amount_out - words.amount_out < 100


STATE = State(sqrt_ratio_at_tick(7) + 5, 7, 10**20, 60, ((-600, 10**20), (600, -(10**20))))


def test_refusals():
    for rules in FEES:
        asked = {
            0: INSUFFICIENT_INPUT,
            2**255: OVERFLOW,
            2**256 - 1: OVERFLOW,
        }
        for exact_in in (True, False):
            swaps = [Swap(STATE, rules, True, exact_in, amount, 3000) for amount in asked]
            assert [answer.status for answer in run(swaps)] == list(asked.values())
        nowhere = State(0, 0, 0, 60, ())
        limits = [Swap(STATE, rules, True, True, 10, 3000, limit) for limit in (STATE.sqrt_price, HIGH, 0)]
        assert {answer.status for answer in run(limits)} == {BAD_LIMIT}
        assert run([Swap(nowhere, rules, True, True, 10, 3000)])[0].status == UNINITIALISED
    too_dear = [Swap(STATE, rules, True, True, 10, 1_000_000) for rules in (TICK_WORDS, TICK_LIST)]
    too_dear += [Swap(STATE, V4, True, True, 10, 1_000_001), Swap(STATE, V4, True, False, 10, 1_000_000)]
    too_dear += [Swap(STATE, rules, True, True, 10, 2**32 - 1) for rules in FEES]
    assert {answer.status for answer in run(too_dear)} == {OVERFLOW}


def test_a_whole_fee_keeps_the_input_and_the_price():
    everything, dry = run(
        [
            Swap(STATE, V4, True, True, 10**18, 1_000_000),
            Swap(State(1 << 96, 0, 0, 60, ()), V4, True, True, 9, 10**6),
        ]
    )
    assert (everything.status, everything.amount_in, everything.amount_out) == (OK, 10**18, 0)
    assert everything.sqrt_price == STATE.sqrt_price
    assert (dry.status, dry.amount_in, dry.amount_out, dry.sqrt_price) == (PARTIAL, 0, 0, LOW)


def test_v4_deltas_must_fit_int128():
    huge = State(1 << 96, 0, UINT128, 60, ())
    swaps = [Swap(huge, V4, True, True, amount, 0) for amount in (INT128 + 1, INT128 + 2)]
    words = [Swap(huge, TICK_WORDS, True, True, INT128 + 2, 0)]
    assert [answer.status for answer in run(swaps + words)] == [OK, OVERFLOW, OK]


def test_a_tick_lists_reserve_must_fit_uint128():
    def swap(reserve: int) -> Swap:
        held = State(STATE.sqrt_price, STATE.tick, STATE.liquidity, 60, STATE.ticks, (reserve, 0))
        return Swap(held, TICK_LIST, True, True, 1000, 3000)

    assert [a.status for a in run([swap(UINT128 - 1000), swap(UINT128 - 999), swap(UINT128)])] == [
        OK,
        OVERFLOW,
        OVERFLOW,
    ]


def test_float_twins_follow_the_exact_kernel():
    swaps = [swap for swap in seeded_swaps(400) if swap.exact_in and swap.fee < 900_000]
    pools = rows_of(swap.state for swap in swaps)
    compared = 0
    for row, (swap, answer) in enumerate(zip(swaps, run(swaps), strict=True)):
        out, used = est_fork_out_nb(pools, row, swap.zero_for_one, float(swap.amount), swap.fee)
        rate = est_fork_rate_nb(pools, row, swap.zero_for_one, swap.fee)
        spot = (swap.state.sqrt_price / 2**96) ** 2
        # Each stop rounds a unit of input and one of output away.
        assert used == pytest.approx(answer.amount_in, rel=1e-6, abs=20)
        units = 20 * max(rate, spot, 1 / spot, 1)
        assert out == pytest.approx(answer.amount_out, rel=1e-6, abs=units)
        compared += answer.amount_out > 10**7 * units
        assert est_spot_price_nb(pools, row) == pytest.approx(spot)
        expected = (spot if swap.zero_for_one else 1 / spot) * (1 - swap.fee / 1e6)
        assert rate == pytest.approx(expected if swap.state.liquidity else 0)
    assert compared > 20
