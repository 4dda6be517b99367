"""Small random markets for the joint optimum, and a plain way to carry out what it plans."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from engine.amm.layout import KIND_V2, OK, PoolArrays, int_to_limbs, limbs_to_int
from engine.amm.quote import simulate_swap
from engine.amm.tick_math import tick_at_sqrt_ratio
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market

BLOCK = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 1)
E18 = 10**18


def token(n: int) -> str:
    return f"0x{n + 1:040x}"


def pool(n: int) -> str:
    return f"0x{2**80 + n:040x}"


class MarketMaker:
    """Adds pools one by one; prices are near the token's own value, one base unit for one."""

    def __init__(self, tokens: int, seed: int = 0) -> None:
        self.rng = random.Random(seed)
        self.market = Market()
        for n in range(tokens):
            self.market.add_token(Token(token(n), f"T{n}", 18))
        self.market.start(BLOCK)

    def v2(self, a: int, b: int, reserve_a: int, reserve_b: int, fee: int = 3_000) -> int:
        """A V2 pool of tokens `a` < `b`; returns its row."""
        record = PoolRecord(pool(len(self.market.pools)), Protocol.UNISWAP_V2, "", (token(a), token(b)), fee)
        row = self.market.add_pool(record)
        self.market.set_v2(row, reserve_a, reserve_b)
        return row

    def v3(
        self,
        a: int,
        b: int,
        price: float,
        ranges: Sequence[tuple[int, int, int]],
        spacing: int = 60,
        fee: int = 3_000,
        known: tuple[int, int] = (-887_272, 887_272),
    ) -> int:
        """A V3 pool with liquidity (lower tick, upper tick, amount); returns its row."""
        record = PoolRecord(
            pool(len(self.market.pools)), Protocol.UNISWAP_V3, "", (token(a), token(b)), fee, spacing
        )
        sqrt_price = int(math.sqrt(price) * 2**96)
        tick = tick_at_sqrt_ratio(sqrt_price)
        nets: dict[int, int] = {}
        gross: dict[int, int] = {}
        for lower, upper, amount in ranges:
            for bound, net in ((lower, amount), (upper, -amount)):
                nets[bound] = nets.get(bound, 0) + net
                gross[bound] = gross.get(bound, 0) + amount
        liquidity = sum(amount for lower, upper, amount in ranges if lower <= tick < upper)
        ticks = [(bound, nets[bound], gross[bound]) for bound in sorted(nets)]
        row = self.market.add_pool(record)
        self.market.set_v3(row, sqrt_price, liquidity, tick, ticks, *known)
        return row

    def random_pool(self, spread: float) -> int:
        """A V2 or V3 pool of two random tokens whose price is off by about `spread`."""
        rng, count = self.rng, len(self.market.tokens)
        a, b = sorted(rng.sample(range(count), 2))
        price = math.exp(rng.gauss(0, spread))
        depth = int(E18 * 10 ** rng.uniform(0, 3))
        if rng.random() < 0.5:
            return self.v2(a, b, depth, int(depth * price), rng.choice((500, 3_000)))
        spacing, fee = rng.choice(((10, 500), (60, 3_000)))
        centre = tick_at_sqrt_ratio(int(math.sqrt(price) * 2**96)) // spacing
        ranges = []
        for width in (1, 4, 30, 300):
            lower = (centre - rng.randint(0, width)) * spacing
            upper = lower + (1 + rng.randint(0, 2 * width)) * spacing
            ranges.append((lower, upper, depth * rng.randint(1, 5)))
        return self.v3(a, b, price, ranges, spacing, fee)


def random_market(seed: int, tokens: int, pools: int, spread: float) -> Market:
    maker = MarketMaker(tokens, seed)
    for _ in range(pools):
        maker.random_pool(spread)
    return maker.market


def swap_plainly(pools: PoolArrays, edge: int, amount_in: int, amount_out: int, exact_in: bool) -> None:
    """Move a pool through a swap of these amounts by plain integers, if its contract would do it.

    Raises AssertionError when it would not: for a V2 pair its check of K, for a V3 pool the very amounts.
    """
    row, zero_for_one = edge >> 1, edge & 1 == 0
    if pools.kind[row] == KIND_V2:
        side = edge & 1
        held, left = (limbs_to_int(pools.reserves[row, each]) for each in (side, 1 - side))
        kept = amount_in * (1_000_000 - int(pools.fee_pips[row, side]))
        assert 0 < amount_out < left
        assert (held * 1_000_000 + kept) * (left - amount_out) >= held * left * 1_000_000
        pools.reserves[row, side] = int_to_limbs(held + amount_in, 2)
        pools.reserves[row, 1 - side] = int_to_limbs(left - amount_out, 2)
        return
    given = amount_in if exact_in else amount_out
    moved = simulate_swap(pools, row, zero_for_one, given, exact_in=exact_in)
    assert (moved.status, moved.amount_in, moved.amount_out) == (OK, amount_in, amount_out)
    pools.sqrt_price[row] = int_to_limbs(moved.sqrt_price_x96)
    pools.liquidity[row] = int_to_limbs(moved.liquidity, 2)
    pools.tick[row] = moved.tick
