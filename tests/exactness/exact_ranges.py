"""Random concentrated-liquidity states and swaps: prices up to both ends, dust and 1e33 of liquidity, limits
on and beside ticks and the edges of 256-tick words."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from engine.amm.layout import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK
from engine.amm.tick_math import sqrt_ratio_at_tick


@dataclass
class Ticks:
    """The pool's tick table as minting and burning make it."""

    spacing: int
    gross: dict[int, int] = field(default_factory=dict)
    net: dict[int, int] = field(default_factory=dict)

    def add(self, lower: int, upper: int, liquidity: int) -> None:
        """`liquidity` is negative when it is burnt."""
        for tick, sign in ((lower, 1), (upper, -1)):
            self.gross[tick] = self.gross.get(tick, 0) + liquidity
            self.net[tick] = self.net.get(tick, 0) + sign * liquidity
            if not self.gross[tick]:
                del self.gross[tick], self.net[tick]

    def rows(self) -> list[tuple[int, int]]:
        """(tick, liquidityNet), ascending."""
        return sorted(self.net.items())

    def active(self, tick: int) -> int:
        return sum(net for at, net in self.net.items() if at <= tick)


def random_start(rng: random.Random) -> tuple[int, int]:
    """(tick, sqrt price)."""
    kind = rng.random()
    if kind < 0.45:
        tick = int(rng.uniform(-3000, 3000))
    elif kind < 0.85:
        tick = int(rng.uniform(-700_000, 700_000))
    else:
        reach = int(2 ** rng.uniform(0, 14))
        tick = rng.choice([MIN_TICK + reach, MAX_TICK - 1 - reach, MIN_TICK, MAX_TICK - 1])
    low = sqrt_ratio_at_tick(tick)
    room = sqrt_ratio_at_tick(tick + 1) - low
    return tick, low + rng.choice([0, 0, 1 % room, 7 % room, rng.randrange(room), room - 1])


def random_ranges(rng: random.Random, tick: int, spacing: int) -> list[tuple[int, int, int]]:
    """(lower, upper, liquidity): wide and narrow, near and far, some adjoining with equal liquidity so that
    the tick between them is initialised with a net of zero, and some gaps with no liquidity at all."""
    lowest, highest = -(MAX_TICK // spacing) * spacing, MAX_TICK // spacing * spacing
    here = tick // spacing * spacing
    scale = rng.uniform(0, 30)  # the pool's order of magnitude
    amount = lambda: max(int(10 ** (scale + rng.gauss(0, 2.5))), 1)  # noqa: E731
    ranges = []
    for _ in range(rng.randrange(0, 14)):
        reach = spacing * int(2 ** rng.uniform(0, 12))
        lower = here + rng.randrange(-reach, reach + 1) // spacing * spacing
        upper = lower + spacing * int(2 ** rng.uniform(0, 10))
        ranges.append((lower, upper, amount()))
        if rng.random() < 0.3:
            ranges.append((upper, upper + spacing * rng.randrange(1, 300), ranges[-1][2]))
    if rng.random() < 0.6:
        ranges.append((lowest, highest, amount()))
    if not ranges or rng.random() < 0.7:
        ranges.append((here - spacing, here + 2 * spacing, amount()))
    inside = [(max(low, lowest), min(high, highest), liquidity) for low, high, liquidity in ranges]
    return [entry for entry in inside if entry[0] < entry[1]]


def random_limit(rng: random.Random, price: int, tick: int, spacing: int, zero_for_one: bool) -> int:
    extreme = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
    kind, sign = rng.random(), -1 if zero_for_one else 1
    # The contract stops at every word on its way: thousands of stops to the end with a narrow spacing.
    words = abs((MIN_TICK if zero_for_one else MAX_TICK) - tick) // (256 * spacing)
    if kind < (0.3 if words < 80 else 0.01):
        return extreme
    if kind > 0.95:  # illegal ones, and the nearest legal ones
        return rng.choice(
            [price, price - sign, price + sign, extreme + sign, MIN_SQRT_RATIO, MAX_SQRT_RATIO, 0]
        )
    away = tick + sign * int(spacing * 2 ** rng.uniform(0, 11))
    grid = rng.choice([256 * spacing, spacing, spacing, 1])  # edges of words, ticks, anywhere
    away = away // grid * grid + (0 if zero_for_one else grid)
    limit = sqrt_ratio_at_tick(min(max(away, MIN_TICK), MAX_TICK)) + rng.choice([-1, 0, 0, 0, 1])
    return min(max(limit, MIN_SQRT_RATIO + 1), MAX_SQRT_RATIO - 1)


def random_swap(rng: random.Random, price: int, tick: int, spacing: int, liquidity: int) -> list[int]:
    """[amount specified, negative for exact-out; limit; 1 to sell token0]."""
    zero_for_one, exact_in = rng.random() < 0.5, rng.random() < 0.5
    scale = max(liquidity, 1000)
    # About the amount that moves the price by a factor 2**-24 ... 2**4 at the present liquidity.
    sells_0 = zero_for_one == exact_in
    unit = (scale << 96) // price if sells_0 else scale * price >> 96
    amount = int(max(unit, 1) * 2 ** rng.uniform(-24, 4)) + rng.randrange(3)
    if rng.random() < 0.1:
        amount = rng.choice([1, 2, 3, 0, int(2 ** rng.uniform(0, 255)), 2**255 - 1])
    amount = min(amount, 2**255 - 1)
    limit = random_limit(rng, price, tick, spacing, zero_for_one)
    return [amount if exact_in else -amount, limit, int(zero_for_one)]
