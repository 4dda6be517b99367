"""How much of each token a position of a given worth needs: V2 reserves and V3 liquidity over tick ranges.

Floats throughout: they decide only how the world is furnished, never what the engine computes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

_LOG_TICK = math.log(1.0001)
_MAX_TICK = 887_272
Q96 = 1 << 96


@dataclass(frozen=True, slots=True)
class Band:
    """A share of a pool's worth, over `count` positions reaching about `width` (a fraction) each way."""

    share: float
    width: float
    count: int


# Narrow, medium and wide positions overlap; the last band of each covers every price.
VOLATILE_BANDS = (
    Band(0.25, 0.04, 3),
    Band(0.40, 0.15, 3),
    Band(0.25, 0.50, 2),
    Band(0.10, math.inf, 1),
)
PEGGED_BANDS = (
    Band(0.30, 0.001, 2),
    Band(0.30, 0.005, 3),
    Band(0.25, 0.03, 2),
    Band(0.10, 0.25, 1),
    Band(0.05, math.inf, 1),
)


@dataclass(frozen=True, slots=True)
class Range:
    """A V3 position: `liquidity` between two ticks."""

    tick_lower: int
    tick_upper: int
    liquidity: int


def est_tick(price: float) -> int:
    """The tick of a price in base units of token1 per base unit of token0."""
    return math.floor(math.log(price) / _LOG_TICK)


def sqrt_price_x96(price: float) -> int:
    """The square root of a price as a 64.96 fixed-point integer."""
    return int(math.sqrt(price) * Q96)


def est_price(sqrt_x96: int) -> float:
    """The price of a 64.96 square root."""
    return (sqrt_x96 / Q96) ** 2


def full_range(spacing: int) -> tuple[int, int]:
    """The widest ticks a spacing allows."""
    edge = _MAX_TICK // spacing * spacing
    return -edge, edge


def est_liquidity(worth: float, price: float, unit0: float, unit1: float, lower: int, upper: int) -> int:
    """The liquidity that `worth` US dollars buy between two ticks at `price`.

    `unit0` and `unit1` are US dollars per base unit. Amounts per unit of liquidity are those of the Uniswap
    V3 whitepaper (6.29, 6.30).
    """
    low, high = math.exp(lower * _LOG_TICK / 2), math.exp(upper * _LOG_TICK / 2)
    root = min(max(math.sqrt(price), low), high)
    amount0 = 1.0 / root - 1.0 / high
    amount1 = root - low
    return int(worth / (amount0 * unit0 + amount1 * unit1))


def positions(
    rng: Random, bands: tuple[Band, ...], worth: float, price: float, units: tuple[float, float], spacing: int
) -> list[Range]:
    """Overlapping positions around `price` that are worth `worth` US dollars in all.

    Centres and widths vary with `rng`; each contains the price, so each earns fees from the start.
    """
    ranges = []
    tick = est_tick(price)
    for band in bands:
        for _ in range(band.count):
            lower, upper = _ticks(rng, band.width, tick, spacing)
            part = worth * band.share / band.count
            ranges.append(Range(lower, upper, est_liquidity(part, price, *units, lower, upper)))
    return ranges


def _ticks(rng: Random, width: float, tick: int, spacing: int) -> tuple[int, int]:
    if math.isinf(width):
        return full_range(spacing)
    reach = math.log1p(width) / _LOG_TICK
    below = reach * rng.uniform(0.6, 1.5)
    above = reach * rng.uniform(0.6, 1.5)
    lower = math.floor((tick - below) / spacing) * spacing
    upper = math.ceil((tick + above) / spacing) * spacing
    least, most = full_range(spacing)
    return max(lower, least), min(max(upper, lower + spacing), most)


def est_v2_input(reserve_in: int, move: float, fee_pips: int) -> int:
    """The input that moves a V2 pool's price by the fraction `move`."""
    return int(reserve_in * (math.sqrt(1.0 + move) - 1.0) / (1.0 - fee_pips / 1e6))


def est_v3_input(sqrt_x96: int, liquidity: int, zero_for_one: bool, move: float, fee_pips: int) -> int:
    """The input that moves a V3 pool's price by the fraction `move` if no tick is crossed."""
    root = sqrt_x96 / Q96
    if zero_for_one:
        amount = liquidity * (math.sqrt(1.0 + move) - 1.0) / root
    else:
        amount = liquidity * root * (math.sqrt(1.0 + move) - 1.0)
    return int(amount / (1.0 - fee_pips / 1e6))
