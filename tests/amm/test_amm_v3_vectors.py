"""The V3 authors' own test vectors, recomputed: TickMath, SqrtPriceMath, SwapMath, and 240 pool swaps."""

from __future__ import annotations

import math
import os
import re
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path

import amm_harness as harness
import numpy as np
import pytest
from amm_evm import v3_row
from amm_reference import amount0_delta, amount1_delta

from engine.amm.layout import (
    BAD_LIMIT,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    OK,
    int_to_limbs,
    ints_to_limbs,
    limbs_to_int,
    limbs_to_ints,
)
from engine.amm.quote import QuoteRefused, simulate_swap
from engine.amm.tick_math import sqrt_ratio_at_tick, tick_at_sqrt_ratio

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
VECTORS = DATA / "vectors" / "v3-core"
E18 = 10**18


def snapshots(name: str) -> dict[str, str]:
    path = VECTORS / f"{name}.spec.ts.snap"
    if not path.is_file():
        pytest.skip(f"no vectors at {path}: set ROUNDTRIP_DATA")
    entries = re.findall(r"^exports\[`(.+?) 1`\] = `(.*?)`;$", path.read_text(), re.S | re.M)
    return {title: value.strip().strip('"') for title, value in entries}


def price_of(reserve1: int, reserve0: int) -> int:
    """sqrt(reserve1 / reserve0) in Q96 as the authors' tests encode it: forty decimal places at each step."""
    with localcontext() as context:
        context.prec, context.rounding = 120, ROUND_HALF_UP
        places = Decimal(1).scaleb(-40)
        ratio = (Decimal(reserve1) / Decimal(reserve0)).quantize(places)
        return math.floor(ratio.sqrt().quantize(places) * 2**96)


ONE = price_of(1, 1)


def test_tick_math():
    seen = 0
    for title, value in snapshots("TickMath").items():
        if match := re.search(r"tick (-?\d+) result$", title):
            assert sqrt_ratio_at_tick(int(match[1])) == int(value)
            seen += 1
        elif match := re.search(r"ratio (\d+) result$", title):
            assert tick_at_sqrt_ratio(int(match[1])) == int(value)
            seen += 1
    assert seen == 41


def next_price(price: int, liquidity: int, amount: int, zero_for_one: bool, from_input: bool) -> int | None:
    statuses, results = np.zeros(1, np.int64), np.zeros((1, 4), np.uint64)
    harness.next_prices(
        int_to_limbs(price).reshape(1, 4),
        int_to_limbs(liquidity, 2).reshape(1, 2),
        int_to_limbs(amount).reshape(1, 4),
        np.array([zero_for_one]),
        np.array([from_input]),
        statuses,
        results,
    )
    return limbs_to_int(results[0]) if statuses[0] == OK else None


ECHIDNA = 20282409603651670423947251286016


@pytest.mark.parametrize(
    ("price", "liquidity", "amount", "zero_for_one", "from_input", "expected"),
    [
        (2**160 - 1, 1024, 1024, False, True, None),
        (1, 1, 2**255, True, True, 1),
        (ONE, E18 // 10, 0, True, True, ONE),
        (2**160 - 1, 2**128 - 1, 2**256 - 1 - (((2**128 - 1) << 96) // (2**160 - 1)), True, True, 1),
        (ONE, E18, E18 // 10, False, True, 87150978765690771352898345369),
        (ONE, E18, E18 // 10, True, True, 72025602285694852357767227579),
        (ONE, 10 * E18, 2**100, True, True, 624999999995069620),
        (ONE, 1, (2**256 - 1) // 2, True, True, 1),
        (ECHIDNA, 1024, 4, False, False, None),
        (ECHIDNA, 1024, 5, False, False, None),
        (ECHIDNA, 1024, 262145, True, False, None),
        (ECHIDNA, 1024, 262144, True, False, None),
        (ECHIDNA, 1024, 262143, True, False, 77371252455336267181195264),
        (ONE, E18 // 10, 0, True, False, ONE),
        (ONE, E18, E18 // 10, False, False, 88031291682515930659493278152),
        (ONE, E18, E18 // 10, True, False, 71305346262837903834189555302),
        (ONE, 1, 2**256 - 1, True, False, None),
        (ONE, 1, 2**256 - 1, False, False, None),
        (
            1025574284609383690408304870162715216695788925244,
            50015962439936049619261659728067971248,
            406,
            True,
            True,
            1025574284609383582644711336373707553698163132913,
        ),
    ],
)
def test_next_prices(price, liquidity, amount, zero_for_one, from_input, expected):
    assert next_price(price, liquidity, amount, zero_for_one, from_input) == expected


def deltas(a: int, b: int, liquidity: int) -> list[int]:
    """Token0 down, up, token1 down, up."""
    results = np.zeros((1, 4, 4), np.uint64)
    harness.deltas(ints_to_limbs([a]), ints_to_limbs([b]), ints_to_limbs([liquidity], 2), results)
    return limbs_to_ints(results[0])


def test_amounts_between_prices():
    assert deltas(ONE, price_of(2, 1), 0) == deltas(ONE, ONE, E18) == [0, 0, 0, 0]
    whole = deltas(ONE, price_of(121, 100), E18)
    assert whole == [90909090909090909, 90909090909090910, 99999999999999999, 100000000000000000]
    down, up, _, _ = deltas(price_of(2**90, 1), price_of(2**96, 1), E18)
    assert up == down + 1
    price, after = (
        1025574284609383690408304870162715216695788925244,
        1025574284609383582644711336373707553698163132913,
    )
    assert deltas(after, price, 50015962439936049619261659728067971248)[1] == 406


@pytest.mark.parametrize(
    ("price", "target", "liquidity", "amount", "exact_in", "fee", "expected"),
    [
        (
            ONE,
            price_of(101, 100),
            2 * E18,
            E18,
            True,
            600,
            (9975124224178055, 9925619580021728, 5988667735148),
        ),
        (
            ONE,
            price_of(101, 100),
            2 * E18,
            E18,
            False,
            600,
            (9975124224178055, 9925619580021728, 5988667735148),
        ),
        (
            ONE,
            price_of(10, 1),
            2 * E18,
            E18,
            True,
            600,
            (999400000000000000, 666399946655997866, 600000000000000),
        ),
        (ONE, price_of(100, 1), 2 * E18, E18, False, 600, (2 * E18, E18, 1200720432259356)),
        (
            417332158212080721273783715441582,
            1452870262520218020823638996,
            159344665391607089467575320103,
            1,
            False,
            1,
            (1, 1, 1),
        ),
        (
            2,
            1,
            1,
            3915081100057732413702495386755767,
            True,
            1,
            (39614081257132168796771975168, 0, 39614120871253040049813),
        ),
        (2413, 79887613182836312, 1985041575032132834610021537970, 10, True, 1872, (0, 0, 10)),
        (ECHIDNA, ECHIDNA * 11 // 10, 1024, 4, False, 3000, (26215, 0, 79)),
        (ECHIDNA, ECHIDNA * 9 // 10, 1024, 263000, False, 3000, (1, 26214, 1)),
    ],
)
def test_swap_steps(price, target, liquidity, amount, exact_in, fee, expected):
    statuses, results = np.zeros(1, np.int64), np.zeros((1, 4, 4), np.uint64)
    harness.swap_steps(
        ints_to_limbs([price]),
        ints_to_limbs([target]),
        ints_to_limbs([liquidity], 2),
        ints_to_limbs([amount]),
        np.array([fee], np.uint64),
        np.array([exact_in]),
        statuses,
        results,
    )
    after, *moved = limbs_to_ints(results[0])
    assert statuses[0] == OK
    assert tuple(moved) == expected
    capped = moved[0] + moved[2] < amount if exact_in else moved[1] < amount
    assert (after == target) == capped


SPACINGS = {500: 10, 3000: 60, 10_000: 200}


def whole_range(fee: int) -> tuple[int, int]:
    spacing = SPACINGS[fee]
    return -(-MIN_TICK // spacing) * spacing, MAX_TICK // spacing * spacing


LOWEST, HIGHEST = whole_range(3000)
MOST = (2**128 - 1) // ((HIGHEST - LOWEST) // 60 + 1)
# Title in the snapshot file: fee, starting price, positions (lower, upper, liquidity).
POOLS = {
    "low fee, 1:1 price, 2e18 max range liquidity": (500, ONE, [(*whole_range(500), 2 * E18)]),
    "medium fee, 1:1 price, 2e18 max range liquidity": (3000, ONE, [(LOWEST, HIGHEST, 2 * E18)]),
    "high fee, 1:1 price, 2e18 max range liquidity": (10_000, ONE, [(*whole_range(10_000), 2 * E18)]),
    "medium fee, 10:1 price, 2e18 max range liquidity": (3000, price_of(10, 1), [(LOWEST, HIGHEST, 2 * E18)]),
    "medium fee, 1:10 price, 2e18 max range liquidity": (3000, price_of(1, 10), [(LOWEST, HIGHEST, 2 * E18)]),
    "medium fee, 1:1 price, 0 liquidity, all liquidity around current price": (
        3000,
        ONE,
        [(LOWEST, -60, 2 * E18), (60, HIGHEST, 2 * E18)],
    ),
    "medium fee, 1:1 price, additional liquidity around current price": (
        3000,
        ONE,
        [(LOWEST, HIGHEST, 2 * E18), (LOWEST, -60, 2 * E18), (60, HIGHEST, 2 * E18)],
    ),
    "low fee, large liquidity around current price (stable swap)": (500, ONE, [(-10, 10, 2 * E18)]),
    "medium fee, token0 liquidity only": (3000, ONE, [(0, 2000 * 60, 2 * E18)]),
    "medium fee, token1 liquidity only": (3000, ONE, [(-2000 * 60, 0, 2 * E18)]),
    "close to max price": (3000, price_of(2**127, 1), [(LOWEST, HIGHEST, 2 * E18)]),
    "close to min price": (3000, price_of(1, 2**127), [(LOWEST, HIGHEST, 2 * E18)]),
    "max full range liquidity at 1:1 price with default fee": (3000, ONE, [(LOWEST, HIGHEST, MOST)]),
    "initialized at the max ratio": (3000, MAX_SQRT_RATIO - 1, [(LOWEST, HIGHEST, 2 * E18)]),
    "initialized at the min ratio": (3000, MIN_SQRT_RATIO, [(LOWEST, HIGHEST, 2 * E18)]),
}
LIMITS = {"0.50000": (1, 2), "2.0000": (2, 1), "2.5000": (5, 2), "0.40000": (2, 5)}
TITLE = re.compile(
    r"swap (?P<exact_in>exactly )?(?:(?P<given>[\d.]+) )?token(?P<sold>[01]) for "
    r"(?:exactly (?P<wanted>[\d.]+) )?token[01](?: to price (?P<limit>[\d.]+))?"
)


def balances(price: int, positions: list[tuple[int, int, int]]) -> tuple[int, int]:
    """What minting those positions brings into the pool."""
    held0 = held1 = 0
    for lower, upper, liquidity in positions:
        low, high = sqrt_ratio_at_tick(lower), sqrt_ratio_at_tick(upper)
        here = min(max(price, low), high)
        held0 += amount0_delta(here, high, liquidity, True)
        held1 += amount1_delta(low, here, liquidity, True)
    return held0, held1


def swap_title(title: str) -> tuple[bool, bool, int, int | None]:
    """(zero_for_one, exact_in, amount, limit) of a case's title."""
    parts = TITLE.fullmatch(title)
    assert parts, title
    limit = price_of(*LIMITS[parts["limit"]]) if parts["limit"] else None
    figure = parts["given"] or parts["wanted"]
    amount = int(Decimal(figure) * E18) if figure else 2**255 - 1
    return parts["sold"] == "0", parts["wanted"] is None, amount, limit


def test_pool_swaps():
    cases = snapshots("UniswapV3Pool.swaps")
    for title, recorded in cases.items():
        name = max((pool for pool in POOLS if f"tests {pool} swap" in title), key=len)
        fee, price, positions = POOLS[name]
        nets: dict[int, int] = {}
        for lower, upper, size in positions:
            nets[lower] = nets.get(lower, 0) + size
            nets[upper] = nets.get(upper, 0) - size
        tick = tick_at_sqrt_ratio(price)
        active = sum(net for at, net in nets.items() if at <= tick)
        pools = v3_row(price, active, tick, fee, SPACINGS[fee], sorted(nets.items()))
        fields = dict(re.findall(r'"(\w+)": "?(.*?)"?,\n', recorded))
        zero_for_one, exact_in, amount, limit = swap_title(title.split(f"tests {name} ")[1])
        assert int(fields["tickBefore"]) == tick
        held = [int(fields.get(f"amount{k}Before", fields.get(f"poolBalance{k}"))) for k in (0, 1)]
        assert tuple(held) == balances(price, positions)
        arguments = pools, 0, zero_for_one, amount
        if "swapError" in fields:
            with pytest.raises(QuoteRefused) as refusal:
                simulate_swap(*arguments, exact_in=exact_in, sqrt_price_limit_x96=limit)
            assert fields["swapError"].endswith("revert SPL")
            assert refusal.value.status == BAD_LIMIT
            continue
        swap = simulate_swap(*arguments, exact_in=exact_in, sqrt_price_limit_x96=limit)
        moved = (swap.amount_in, -swap.amount_out)
        expected = int(fields["amount0Delta"]), int(fields["amount1Delta"])
        assert (moved if zero_for_one else moved[::-1]) == expected, title
        assert swap.tick == int(fields["tickAfter"])
        after = (swap.sqrt_price_x96 / 2**96) ** 2
        assert after == pytest.approx(float(fields["poolPriceAfter"]), rel=6e-5)
    assert len(cases) == 240
