"""Curve StableSwap: swaps of the real bytecode, mainnet quotes and vectors, recomputed to the unit.

Skipped where the data folder is absent.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from stableswap_harness import KIND_OF, quote, solve_d, solve_y, store
from stableswap_reference import NG, SUSD, TEMPLATE, THREE_POOL, Generation, StablePool

from engine.amm.layout import OK
from engine.amm.stable_invariant import STABLE_FACTORY
from engine.amm.stable_liquidity import underlying_view
from engine.amm.stableswap import exchange, new_stable_pools

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def load(path: Path) -> Any:
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set ROUNDTRIP_DATA")
    return json.loads(path.read_text())


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
    below, pools = state["base_pool"], new_stable_pools(2)
    # The redemption price is RAI's rate; the virtual price is the one the metapool has cached.
    store(pools, 0, mainnet_pool(state, TEMPLATE, [state["redemption_price"], state["base_virtual_price"]]))
    rates = [10 ** (36 - token["decimals"]) for token in below["tokens"]]
    store(pools, 1, mainnet_pool(below, THREE_POOL, rates))
    supply, timestamp = below["lp_token_total_supply"], state["block_timestamp"]
    for key, entry in entries.items():
        _, function, direction, amount = key.split("|")
        symbols = ["RAI", "3Crv"] if function == "get_dy" else ["RAI", "DAI", "USDC", "USDT"]
        i, j = (symbols.index(name) for name in direction.split("->"))
        if function == "get_dy":
            status, amount_out, _ = exchange(pools, 0, i, j, int(amount), timestamp, view=True)
        else:
            status, amount_out = underlying_view(pools, 0, 1, i, j, int(amount), supply, timestamp)
        assert (status, amount_out) == (OK, entry["value"]), key
    assert len(entries) >= 42


# The numbering of the recorded vectors: how D is found, and how y is found for a given D.
D_VARIANT = {1: TEMPLATE, 2: THREE_POOL, 3: THREE_POOL}
Y_VARIANT = {1: TEMPLATE, 2: THREE_POOL}
Y_OF_D_VARIANT = {1: THREE_POOL, 2: TEMPLATE}


def two_coin_form_of_d(xp: list[int], amp: int) -> int:
    """D as two-coin factory pools compute it (only x_0 and x_1 enter D_P), whatever the number of coins."""
    n, d = len(xp), sum(xp)
    for _ in range(255):
        power = d * d // xp[0] * d // xp[1] // n**n
        before = d
        d = (amp * n * sum(xp) // 100 + power * n) * d // ((amp * n - 100) * d // 100 + (n + 1) * power)
        if abs(d - before) <= 1:
            break
    return d


def test_recorded_vectors_of_the_invariant():
    path, judged = DATA / "vectors/oracle_curve_snapshot.txt", Counter()
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set ROUNDTRIP_DATA")
    for line in path.read_text().splitlines():
        question, answer = line.split(" = ")
        function, *rest = question.split()
        xp = [int(x) for x in question[question.index("[") + 1 : question.index("]")].split(",")]
        words = [int(word) for word in rest[1:] if "[" not in word]
        if function == "get_d":
            amp, _, _, variant = words
            if variant == 6:
                # Three coins in a formula that knows two: no deployed pool does this.
                assert two_coin_form_of_d(xp, amp) == int(answer)
                assert solve_d(xp[:2], amp, STABLE_FACTORY) == (True, two_coin_form_of_d(xp[:2], amp))
                function = "get_d of two coins asked of three"
            else:
                assert solve_d(xp, amp, KIND_OF[D_VARIANT[variant]]) == (True, int(answer)), line
        elif function == "get_y":
            i, j, x, amp, _, _, d_variant, y_variant = words
            _, d = solve_d(xp, amp, KIND_OF[D_VARIANT[d_variant]])
            # y's variant decides for itself, except that a D without A_PRECISION means a y without one.
            kind = KIND_OF[THREE_POOL if d_variant == 2 else Y_VARIANT[y_variant]]
            assert solve_y(xp, i, x, j, amp, kind, d) == (True, int(answer)), line
        elif function == "get_y_d":
            amp, i, d, _, _, variant = words
            assert solve_y(xp, -1, 0, i, amp, KIND_OF[Y_OF_D_VARIANT[variant]], d) == (True, int(answer)), (
                line
            )
        else:
            # newton_y and reduction belong to the crypto invariant.
            assert function in ("newton_y", "reduction")
        judged[function] += 1
    assert judged["get_d"] >= 4
    assert judged["get_y"] >= 4
    assert judged["get_y_d"] >= 28
