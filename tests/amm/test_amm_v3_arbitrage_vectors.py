"""The V3 authors' arbitrage vectors, recomputed: a swap, the same swap backrun, and the same swap sandwiched.

A pool of fee 3000 with one full-range position starts at a price of one; a trader sells 10e18 of token0; the
arbitrageur then trades to the true price less the fee. In the sandwich it first sells down to the tick above
the trader's execution price and mints there all the liquidity a tick may have, which it burns and collects
after the trader's swap. The vectors have five digits; ours are exact integers, rounded to five.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, localcontext

from amm_evm import v3_row
from amm_reference import amount0_delta, amount1_delta
from test_amm_v3_vectors import price_of, snapshots

from engine.amm.layout import MAX_TICK, PoolArrays, int_to_limbs
from engine.amm.quote import SwapResult, simulate_swap
from engine.amm.tick_math import sqrt_ratio_at_tick, tick_at_sqrt_ratio

FEE, SPACING, E18, Q128 = 3000, 60, 10**18, 2**128
HIGHEST = MAX_TICK // SPACING * SPACING
# What one tick may hold: all of uint128 shared among the usable ticks.
MOST_LIQUIDITY = (2**128 - 1) // (2 * (MAX_TICK // SPACING) + 1)
INPUT = 10 * E18
EVERYTHING = 2**255 - 1
TITLE = re.compile(
    r"protocol fee = (?P<protocol>\d); passive liquidity of (?P<liquidity>[\d.]+) exact input of 10e18 token0"
    r" with starting price of 1.0 and true price of (?P<price>[\d.]+) (?P<scenario>.*)$"
)


def digits(value: Decimal) -> Decimal:
    """Five significant digits, half up."""
    with localcontext() as context:
        context.prec, context.rounding = 5, ROUND_HALF_UP
        return +value


def amount(value: int) -> Decimal:
    return digits(Decimal(value) / E18)


def square(price: int) -> Decimal:
    with localcontext() as context:
        context.prec = 80
        return digits((Decimal(price) / 2**96) ** 2)


def with_fee(price: int, pips: int) -> int:
    """The sqrt price of a price that many pips higher."""
    return math.isqrt(price * price * (10**6 + pips) // 10**6)


@dataclass
class Scenario:
    """The pool, what the arbitrageur has gained so far, and the true price."""

    passive: int
    true_price: tuple[int, int]
    protocol_fee: int
    gained: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        ends = [(-HIGHEST, self.passive), (HIGHEST, -self.passive)]
        self.pool: PoolArrays = v3_row(price_of(1, 1), self.passive, 0, FEE, SPACING, ends)

    def swap(self, zero_for_one: bool, limit: int | None = None, given: int = EVERYTHING) -> SwapResult:
        """Done, and stored."""
        done = simulate_swap(self.pool, 0, zero_for_one, given, sqrt_price_limit_x96=limit)
        self.pool.sqrt_price[0] = int_to_limbs(done.sqrt_price_x96)
        self.pool.liquidity[0] = int_to_limbs(done.liquidity, 2)
        self.pool.tick[0] = done.tick
        return done

    def gain(self, delta0: int, delta1: int) -> None:
        self.gained[0] += delta0
        self.gained[1] += delta1

    def profit(self) -> Decimal:
        """In token1, at the true price, of which the authors keep the square root."""
        price = price_of(*self.true_price)
        return amount(self.gained[0] * price * price // 2**192 + self.gained[1])

    def backrun(self) -> dict[str, Decimal]:
        done = self.swap(False, with_fee(price_of(*self.true_price), -FEE))
        self.gain(done.amount_out, -done.amount_in)
        return {
            "backrun.delta0": amount(-done.amount_out),
            "backrun.delta1": amount(done.amount_in),
            "backrun.executionPrice": square(price_of(done.amount_in, done.amount_out)),
            "finalPrice": square(done.sqrt_price_x96),
            "arbBalanceDelta0": amount(self.gained[0]),
            "arbBalanceDelta1": amount(self.gained[1]),
            "profit.final": self.profit(),
        }


def alone(scenario: Scenario) -> dict[str, Decimal]:
    done = scenario.swap(True, given=INPUT)
    return {
        "amount0Delta": amount(done.amount_in),
        "amount1Delta": amount(-done.amount_out),
        "executionPrice": square(price_of(done.amount_out, done.amount_in)),
        "priceAfter": square(done.sqrt_price_x96),
    }


def backrun(scenario: Scenario) -> dict[str, Decimal]:
    scenario.swap(True, given=INPUT)
    return scenario.backrun()


def sandwich(scenario: Scenario) -> dict[str, Decimal]:
    expected = simulate_swap(scenario.pool, 0, True, INPUT)
    execution = price_of(expected.amount_out, expected.amount_in)
    upper = -(-tick_at_sqrt_ratio(with_fee(execution, FEE)) // SPACING) * SPACING
    lower = upper - SPACING
    low, high = sqrt_ratio_at_tick(lower), sqrt_ratio_at_tick(upper)
    front = scenario.swap(True, high)
    scenario.gain(-front.amount_in, front.amount_out)
    seen = {
        "frontrun.delta0": amount(front.amount_in),
        "frontrun.delta1": amount(-front.amount_out),
        "frontrun.executionPrice": square(price_of(front.amount_out, front.amount_in)),
        "profit.afterFrontrun": scenario.profit(),
    }
    minted = amount1_delta(low, high, MOST_LIQUIDITY, True)
    passive = scenario.passive
    ends = [(-HIGHEST, passive), (lower, MOST_LIQUIDITY), (upper, -MOST_LIQUIDITY), (HIGHEST, -passive)]
    # The price is exactly the upper tick's, reached from above: the position begins just below.
    scenario.pool = v3_row(high, passive, upper, FEE, SPACING, ends)
    scenario.gain(0, -minted)
    seen |= {"mint.amount0": amount(0), "mint.amount1": amount(minted)}
    done = scenario.swap(True, given=INPUT)
    assert low < done.sqrt_price_x96 < high
    seen["sandwichedPrice"] = square(price_of(done.amount_out, done.amount_in))
    burnt0 = amount0_delta(done.sqrt_price_x96, high, MOST_LIQUIDITY, False)
    burnt1 = amount1_delta(low, done.sqrt_price_x96, MOST_LIQUIDITY, False)
    fees = fees_of(scenario, done, high, burnt0)
    scenario.gain(burnt0 + fees, burnt1)
    seen |= {
        "burn.amount0": amount(burnt0),
        "burn.amount1": amount(burnt1),
        "collect.amount0": amount(fees),
        "collect.amount1": amount(0),
        "profit.afterSandwich": scenario.profit(),
    }
    scenario.pool = v3_row(
        done.sqrt_price_x96, passive, done.tick, FEE, SPACING, [(-HIGHEST, passive), (HIGHEST, -passive)]
    )
    return seen | scenario.backrun()


def fees_of(scenario: Scenario, done: SwapResult, high: int, burnt0: int) -> int:
    """What the minted position earned: its share of the fee less the protocol's part."""
    total = done.liquidity
    fee = done.amount_in - amount0_delta(done.sqrt_price_x96, high, total, True)
    assert burnt0 <= done.amount_in
    if scenario.protocol_fee:
        fee -= fee // scenario.protocol_fee
    return fee * Q128 // total * MOST_LIQUIDITY // Q128


SCENARIOS = {
    "not sandwiched": alone,
    "backrun to true price after swap only": backrun,
    "sandwiched with swap to execution price then mint max liquidity/target/burn max liquidity": sandwich,
}


def flat(recorded: str) -> dict[str, Decimal]:
    """The snapshot's numbers by dotted name."""
    found, group = {}, ""
    for name, value in re.findall(r'"(\w+)": (Object \{|"[^"]*")|(?:\s+\},)', recorded):
        if not name:
            group = ""
        elif value.startswith("Object"):
            group = f"{name}."
        else:
            found[group + name] = Decimal(value.strip('"'))
    return found


def test_arbitrage_vectors():
    cases = snapshots("UniswapV3Pool.arbitrage")
    for title, recorded in cases.items():
        parts = TITLE.search(title)
        assert parts, title
        passive = int(Decimal(parts["liquidity"]) * E18)
        numbers = int(Decimal(parts["price"]) * 100), 100
        seen = SCENARIOS[parts["scenario"]](Scenario(passive, numbers, int(parts["protocol"])))
        assert seen == flat(recorded), title
    assert len(cases) == 48
