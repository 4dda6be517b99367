"""Every hop of the recorded mainnet paths across V2, V3, V4 and Pancake V3, recomputed from pools' states.

The files carry what the chain paid in some hops, and in the others another program's prediction.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from concentrated_forks_batch import State, Swap, run
from test_amm_v2_bytecode import kernel_quotes, v2_rows

from engine.amm.layout import OK, TICK_WORDS, V4
from engine.amm.v4_fees import v4_fee

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
STETH = "0xae7ab96520DE3A18E5e111B5EaAb095312D7fE84"

# (file, hop): (input, what the kernel must answer). Paid by the chain:
PAID = {
    ("path10956_v3v3v2_block25677777", 0): (1372336865300, 2544),
    ("path110302_v3v4v2_block25711761", 2): (58233015, 30263206361603722),
    ("path13822_v3v3v3_block25696004", 1): (4839212171793604540, 4838935),
    ("path73385_v4_block25706469", 1): (85060245, 85097881),
}
# Predicted, and right:
PREDICTED = {
    ("path10956_v3v3v2_block25677777", 1): (2545, 2541),
    ("path10956_v3v3v2_block25677777", 2): (2541, 1372801010696),
    ("path110302_v3v4v2_block25711761", 0): (30261840128124434, 58199277),
    ("path110302_v3v4v2_block25711761", 1): (58199277, 58233015),
    ("path11354_v3v2v3_block25678283", 0): (14822228230440, 27415),
    ("path11354_v3v2v3_block25678283", 1): (27415, 15166900278115),
    ("path11354_v3v2v3_block25678283", 2): (15166900278115, 15000409935601),
    ("path13822_v3v3v3_block25696004", 0): (2544421820026072, 4839212171793604540),
    ("path73385_v4_block25706469", 0): (44421383036608956, 85060245),
    ("path73385_v4_block25706469", 2): (85097884, 44421879564949974),
}
# Of another state than the file's: from the file's, a swap without any fee still pays less.
OF_ANOTHER_STATE = {
    ("fee1_v3v4v3_block25600000", 1): (9586, 9583, 9585),
    ("path13822_v3v3v3_block25696004", 2): (4838936, 2543467655812821, 2544451982555526),
}
NOTHING_RECORDED = {("fee1_v3v4v3_block25600000", 0), ("fee1_v3v4v3_block25600000", 2)}


def load(name: str) -> dict[str, Any]:
    path = DATA / "mixed_paths" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set ROUNDTRIP_DATA")
    return json.loads(path.read_text())


def recorded_hop(file: dict[str, Any], number: int) -> tuple[dict[str, Any], bool]:
    """(pool, whether token0 is sold)."""
    hop = file["path"][number]
    assert hop["hop"] == number
    return file["pools"][hop["pool"]], hop["zero_for_one"]


def pays(pool: dict[str, Any], zero_for_one: bool, amount: int, fee: int | None = None) -> int:
    if pool["family"] == "uniswap_v2":
        reserves = int(pool["reserve0"]), int(pool["reserve1"])
        in_order = reserves if zero_for_one else reserves[::-1]
        (status,), (amount_out,) = kernel_quotes(v2_rows([in_order]), [amount], True)
        assert status == OK
        return amount_out
    ticks = sorted((int(tick), int(entry["liquidity_net"])) for tick, entry in pool["tick_data"].items())
    price, liquidity = int(pool["sqrt_price_x96"]), int(pool["liquidity"])
    state = State(price, pool["tick"], liquidity, pool["tick_spacing"], tuple(ticks))
    is_v4 = pool["family"] == "uniswap_v4"
    if fee is None:
        fee = v4_fee(pool["protocol_fee"], pool["lp_fee"], zero_for_one) if is_v4 else pool["fee_token0"]
    answer = run([Swap(state, V4 if is_v4 else TICK_WORDS, zero_for_one, True, amount, fee)])[0]
    assert answer.status == OK
    return answer.amount_out


@pytest.mark.parametrize(("place", "amounts"), [*PAID.items(), *PREDICTED.items()], ids=str)
def test_hops_of_real_paths(place: tuple[str, int], amounts: tuple[int, int]):
    """Forgetting V4's protocol fee gives more in both V4 pools."""
    pool, zero_for_one = recorded_hop(load(place[0]), place[1])
    assert pays(pool, zero_for_one, amounts[0]) == amounts[1]


@pytest.mark.parametrize(("place", "amounts"), OF_ANOTHER_STATE.items(), ids=str)
def test_recorded_hops_of_another_state(place: tuple[str, int], amounts: tuple[int, int, int]):
    pool, zero_for_one = recorded_hop(load(place[0]), place[1])
    amount_in, amount_out, recorded = amounts
    assert pays(pool, zero_for_one, amount_in) == amount_out
    assert pays(pool, zero_for_one, amount_in, fee=0) < recorded


def test_a_hop_that_pays_steth_delivers_a_wei_less():
    """The pair sends what the formula says; a stETH transfer moves whole shares, which come to a wei less."""
    file = load("path11354_v3v2v3_block25678283")
    pool, zero_for_one = recorded_hop(file, 1)
    solve = file["recorded_solve"]
    assert not zero_for_one
    assert pool["token0"] == STETH
    assert pays(pool, zero_for_one, int(solve["v2_input"])) == int(solve["v2_actual"]) + 1


def test_no_hop_of_these_files_is_left_out():
    covered = {*PAID, *PREDICTED, *OF_ANOTHER_STATE, *NOTHING_RECORDED}
    files = {name for name, _ in covered}
    assert len(files) == 6
    assert covered == {(name, hop["hop"]) for name in files for hop in load(name)["path"]}
    for name, number in {*PAID, *PREDICTED}:
        solve = load(name)["recorded_solve"]
        chain = [int(solve["optimal_input"]), *map(int, solve["hop_outputs"])]
        amount_in, amount_out = {**PAID, **PREDICTED}[name, number]
        assert amount_in == chain[number]
        actual = {int(value) for key, value in solve.items() if "actual" in key or "onchain" in key}
        assert amount_out == chain[number + 1] if (name, number) in PREDICTED else amount_out in actual
