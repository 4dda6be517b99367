"""Brute force over plain integers: every cycle, sized without floats, run on the kernels' plain twins."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from math import isqrt, prod

from amm_reference import (
    MAX_SQRT_RATIO,
    MIN_SQRT_RATIO,
    PIPS,
    UINT112,
    Revert,
    V3Pool,
    get_amount_in,
    get_amount_out,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)

from engine.amm.layout import MAX_TICK, MIN_TICK
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.domain.opportunity import Opportunity
from engine.market.market import Market

BLOCK = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 1_700_000_000)
Edge = tuple[int, int]  # pool index, 0 when token0 is sold


@dataclass
class Pool:
    """Tokens are indices into the market's token list, ascending; `v3` or `reserves` holds the state."""

    tokens: tuple[int, int]
    fee_pips: int
    reserves: tuple[int, int] | None = None
    v3: V3Pool | None = None

    def sell(self, side: int, amount: int) -> int:
        """Exact-in; Revert where the contract reverts or would pay nothing or not take all."""
        if self.v3 is None:
            assert self.reserves is not None
            out = get_amount_out(amount, self.reserves[side], self.reserves[1 - side], self.fee_pips)
            if self.reserves[side] + amount > UINT112:
                raise Revert
        else:
            used, out = self._swap(side, amount, True)
            if used != amount:
                raise Revert
        if out == 0:
            raise Revert
        return out

    def sell_or_nothing(self, side: int, amount: int) -> int:
        """What selling `amount` gives, 0 where the pool refuses."""
        try:
            return self.sell(side, amount)
        except Revert:
            return 0

    def buy(self, side: int, owed: int) -> int:
        """Exact-out; Revert where the contract reverts or cannot give all."""
        if self.v3 is None:
            assert self.reserves is not None
            amount = get_amount_in(owed, self.reserves[side], self.reserves[1 - side], self.fee_pips)
            if self.reserves[side] + amount > UINT112:
                raise Revert
            return amount
        used, out = self._swap(side, owed, False)
        if out != owed:
            raise Revert
        return used

    def _swap(self, side: int, amount: int, exact_in: bool) -> tuple[int, int]:
        assert self.v3 is not None
        limit = MIN_SQRT_RATIO + 1 if side == 0 else MAX_SQRT_RATIO - 1
        return replace(self.v3).swap(side == 0, amount, exact_in, limit)

    def rate_bound(self, side: int) -> Fraction:
        """The marginal rate after the fee, which no amount exceeds; 0 when the pool cannot trade."""
        kept = Fraction(PIPS - self.fee_pips, PIPS)
        if self.v3 is None:
            assert self.reserves is not None
            if not all(self.reserves):
                return Fraction(0)
            return kept * Fraction(self.reserves[1 - side], self.reserves[side])
        square = Fraction(self.v3.sqrt_price**2, 1 << 192)
        return kept * (square if side == 0 else 1 / square)


class QuickV3Pool(V3Pool):
    """The plain pool, finding the next tick of a word by bisection instead of bit by bit."""

    def next_tick_within_word(self, tick: int, down: bool) -> tuple[int, bool]:
        spacing = self.tick_spacing
        ordered = _ordered(tuple(self.ticks))
        compressed = tick // spacing
        if down:
            edge = compressed // 256 * 256 * spacing
            place = bisect_right(ordered, compressed * spacing) - 1
            found = place >= 0 and ordered[place] >= edge
        else:
            edge = ((compressed + 1) // 256 * 256 + 255) * spacing
            place = bisect_left(ordered, (compressed + 1) * spacing)
            found = place < len(ordered) and ordered[place] <= edge
        return (ordered[place], True) if found else (edge, False)


@cache
def _ordered(ticks: tuple[int, ...]) -> list[int]:
    return sorted(ticks)


def all_cycles(pools: list[Pool], base: int, max_hops: int) -> Iterator[tuple[Edge, ...]]:
    """Every simple directed cycle from `base`, by plain recursion."""
    leaving: dict[int, list[tuple[int, Edge]]] = {}
    for n, pool in enumerate(pools):
        for side in (0, 1):
            leaving.setdefault(pool.tokens[side], []).append((pool.tokens[1 - side], (n, side)))

    def extend(token: int, path: tuple[Edge, ...], seen: set[int]) -> Iterator[tuple[Edge, ...]]:
        for to, edge in leaving.get(token, ()):
            if any(edge[0] == used for used, _ in path):
                continue
            if to == base and path:
                yield (*path, edge)
            elif to not in seen and to != base and len(path) + 1 < max_hops:
                yield from extend(to, (*path, edge), seen | {to})

    yield from extend(base, (), {base})


def profit(pools: list[Pool], cycle: tuple[Edge, ...], amount: int) -> int | None:
    """What selling `amount` forward through the cycle earns; None where a pool refuses."""
    out = amount
    try:
        for n, side in cycle:
            out = pools[n].sell(side, out)
    except Revert:
        return None
    return out - amount


def closed_form(pools: list[Pool], cycle: tuple[Edge, ...]) -> int:
    """The exact optimum of the real-valued chain of constant-product hops: out = a x / (b + c x)."""
    a, b, c = 1, 1, 0
    for n, side in cycle:
        pool = pools[n]
        assert pool.reserves is not None
        reserve_in, reserve_out, kept = pool.reserves[side], pool.reserves[1 - side], PIPS - pool.fee_pips
        a, b, c = kept * reserve_out * a, reserve_in * PIPS * b, reserve_in * PIPS * c + kept * a
    return (isqrt(a * b) - b) // c if a > b else 0


def trisect(pools: list[Pool], cycle: tuple[Edge, ...]) -> int:
    """The optimum of a chain that is concave but for rounding: the best power of two, then thirds around it;
    a refusal counts as the loss of everything."""

    def value(x: int) -> int:
        gained = profit(pools, cycle, x)
        return gained if gained is not None else -x

    best = size = 1
    while size < 1 << 112 and not (value(size) < -(size >> 1) and size > best << 8):
        best = max(best, size, key=value)
        size <<= 1
    low, high = max(1, best >> 1), best << 1
    while high - low > 8:
        third = (high - low) // 3
        if value(low + third) < value(high - third):
            low += third
        else:
            high -= third
    return max(range(low, high + 1), key=value)


class Curve:
    """One hop as r x / (1 + c x) on its present segment, of which `room` input is left; 60 digits."""

    def __init__(self, pool: Pool, side: int) -> None:
        self.side, self.kept = side, Decimal(PIPS - pool.fee_pips) / PIPS
        self.v3 = pool.v3
        self.alive = True
        if pool.v3 is None:
            assert pool.reserves is not None
            self.c = self.kept / pool.reserves[side]
            self.r = self.c * pool.reserves[1 - side]
            self.room = Decimal(UINT112 - pool.reserves[side])
            return
        self.price = Decimal(pool.v3.sqrt_price) / 2**96
        self.liquidity = pool.v3.liquidity
        ticks = sorted(pool.v3.ticks)
        self.ahead = (
            [t for t in ticks if t > pool.v3.tick] if side else [t for t in ticks if t <= pool.v3.tick][::-1]
        )
        self.enter()

    def enter(self) -> None:
        """Take the segment up to the next tick, passing those without liquidity."""
        assert self.v3 is not None
        while self.alive:
            self.end = Decimal(sqrt_ratio_at_tick(self.ahead[0]) if self.ahead else 0) / 2**96
            if self.ahead and self.liquidity and self.end != self.price:
                break
            self.cross()
        else:
            return
        p, q, size = self.price, self.end, Decimal(self.liquidity)
        self.c = self.kept / (size * p) if self.side else self.kept * p / size
        self.r = self.kept / p**2 if self.side else self.kept * p**2
        self.room = size * ((q - p) if self.side else (1 / q - 1 / p)) / self.kept

    def cross(self) -> None:
        assert self.v3 is not None
        if not self.ahead:
            self.alive = False
            return
        net = self.v3.ticks[self.ahead.pop(0)]
        self.price = self.end
        self.liquidity += net if self.side else -net

    def advance(self, amount: Decimal) -> Decimal:
        """Sell `amount`, at most `room`, and return what comes out."""
        growth = 1 + self.c * amount
        out = self.r * amount / growth
        if self.v3 is not None:
            self.price = self.price * growth if self.side else self.price / growth
        self.r, self.c, self.room = self.r / growth**2, self.c / growth, self.room - amount
        return out


def piecewise(pools: list[Pool], cycle: tuple[Edge, ...]) -> int:
    """The real-valued optimum over all segments, rounded down."""
    with localcontext(prec=80):
        curves = [Curve(pools[n], side) for n, side in cycle]
        total = Decimal(0)
        while all(curve.alive for curve in curves):
            k, n, limits = Decimal(1), Decimal(0), []
            for curve in curves:
                spare = k - curve.room * n
                limits.append(curve.room / spare if spare > 0 else Decimal("Infinity"))
                k, n = k * curve.r, n + curve.c * k
            best = (k.sqrt() - 1) / n
            if best <= 0:
                break
            limit = min(limits)
            if best <= limit:
                total += best
                break
            total += limit
            amount = limit
            for curve in curves:
                amount = curve.advance(amount)
            tight = curves[limits.index(limit)]
            if tight.v3 is None:
                break
            tight.price = tight.end
            tight.cross()
            tight.enter()
        return int(total)


def router_profit(pools: list[Pool], cycle: tuple[Edge, ...], amount: int) -> int | None:
    """What the router's way of executing earns when `amount` forward decides the last hop: every earlier hop
    buys exactly what the next one owes. A V3 pool may charge more for that than it gave when sold to."""
    out = amount
    try:
        for n, side in cycle[:-1]:
            out = pools[n].sell(side, out)
        owed, out = out, pools[cycle[-1][0]].sell(cycle[-1][1], out)
        for n, side in reversed(cycle[:-1]):
            owed = pools[n].buy(side, owed)
    except Revert:
        return None
    return out - owed


def best_profit(pools: list[Pool], cycle: tuple[Edge, ...], forward: bool = False) -> int:
    """Profit of the closed-form optimum polished over three units each way; at least 0.

    Through V2 pools alone, or when `forward`, that is the plain chain of exact-in swaps; otherwise, where a
    V3 pool is crossed, the router's way.
    """
    if prod(pools[n].rate_bound(side) for n, side in cycle) <= 1:
        return 0
    constant_product = all(pools[n].v3 is None for n, _ in cycle)
    optimum = closed_form(pools, cycle) if constant_product else piecewise(pools, cycle)
    earn = profit if constant_product or forward else router_profit
    gains = (earn(pools, cycle, x) for x in range(max(1, optimum - 3), optimum + 4))
    return max([0, *(gain for gain in gains if gain is not None)])


def check_execution(pools: list[Pool], market: Market, found: Opportunity) -> tuple[Edge, ...]:
    """Execute an opportunity's stated amounts on the plain pools as the router does; its cycle as edges."""
    cycle = []
    last = len(found.hops) - 1
    for k, hop in enumerate(found.hops):
        n = market.pool_row[hop.pool]
        side = market.pools[n].tokens.index(hop.token_in)
        assert hop.token_out == market.pools[n].tokens[1 - side]
        pool = pools[n]
        if k == last:
            assert pool.sell(side, hop.amount_in) == hop.amount_out
        elif pool.v3 is None:
            # The pair pays any amount up to what its formula gives; one unit less must not be enough.
            assert pool.sell(side, hop.amount_in) >= hop.amount_out
            assert pool.buy(side, hop.amount_out) - hop.amount_in in (0, 1)
        else:
            assert pool.buy(side, hop.amount_out) == hop.amount_in
        if k:
            assert found.hops[k - 1].amount_out == hop.amount_in
            assert found.hops[k - 1].token_out == hop.token_in
        cycle.append((n, side))
    tokens = [hop.token_in for hop in found.hops]
    assert len(set(tokens)) == len(tokens)
    assert len({n for n, _ in cycle}) == len(cycle)
    assert found.hops[0].token_in == found.hops[-1].token_out == found.base_token
    assert found.gross_profit == found.hops[-1].amount_out - found.hops[0].amount_in > 0
    return tuple(cycle)


def to_market(pools: list[Pool], tokens: int) -> Market:
    """The same pools as a market: token k has address k + 1, pool n address 2**32 + n."""
    market = Market()
    for k in range(tokens):
        market.add_token(Token(token_address(k), f"T{k}", 18))
    for n, pool in enumerate(pools):
        protocol = Protocol.UNISWAP_V2 if pool.v3 is None else Protocol.UNISWAP_V3
        spacing = 0 if pool.v3 is None else pool.v3.tick_spacing
        names = (token_address(pool.tokens[0]), token_address(pool.tokens[1]))
        row = market.add_pool(PoolRecord(f"0x{2**32 + n:040x}", protocol, "", names, pool.fee_pips, spacing))
        if pool.v3 is None:
            assert pool.reserves is not None
            market.set_v2(row, *pool.reserves)
        else:
            state = pool.v3
            market.set_v3(row, state.sqrt_price, state.liquidity, state.tick, sorted(state.ticks.items()))
    market.start(BLOCK)
    return market


def from_market(market: Market) -> list[Pool]:
    """A market's pools as plain ones."""
    tables = market.tables
    limbs = [1, 1 << 64, 1 << 128, 1 << 192]

    def whole(row_limbs: list[int]) -> int:
        return sum(limb * scale for limb, scale in zip(row_limbs, limbs[: len(row_limbs)], strict=True))

    pools = []
    for row, record in enumerate(market.pools):
        tokens = (market.token_row[record.tokens[0]], market.token_row[record.tokens[1]])
        if record.protocol is Protocol.UNISWAP_V2:
            sides = [whole(side) for side in tables.reserves[row].tolist()]
            pools.append(Pool(tokens, record.fee_pips, (sides[0], sides[1])))
            continue
        assert (tables.known_low[row], tables.known_high[row]) == (MIN_TICK, MAX_TICK)
        ticks, nets, _ = tables.read_ticks(row)
        signed = [n - (1 << 128) * (n >> 127) for n in map(whole, nets.tolist())]
        state = QuickV3Pool(
            whole(tables.sqrt_price[row].tolist()),
            int(tables.tick[row]),
            whole(tables.liquidity[row].tolist()),
            record.fee_pips,
            record.tick_spacing,
            dict(zip(ticks.tolist(), signed, strict=True)),
        )
        pools.append(Pool(tokens, record.fee_pips, v3=state))
    return pools


def token_address(index: int) -> str:
    return f"0x{index + 1:040x}"


def random_v3(rng: random.Random, price: float, size: float) -> V3Pool:
    """A pool at `price` (token1 per token0, base units) with a few positions about `size` token1 deep."""
    spacing, fee = rng.choice([(1, 100), (10, 500), (60, 3000), (200, 10_000)])
    sqrt_price = int(price**0.5 * 2**96)
    tick = tick_at_sqrt_ratio(sqrt_price)
    pool = QuickV3Pool(sqrt_price, tick, 0, fee, spacing)
    for _ in range(rng.randint(1, 6)):
        width = spacing * rng.choice([1, 2, 5, 40, 300])
        lower = (tick - rng.randint(0, width)) // spacing * spacing
        # Some positions are out of range, so that a swap meets gaps and jumps in liquidity.
        lower += rng.choice([0, 0, 0, width, -2 * width])
        upper = lower + width
        lower, upper = max(lower, -887_200), min(upper, 887_200)
        if lower >= upper:
            continue
        span = (sqrt_ratio_at_tick(upper) - sqrt_ratio_at_tick(lower)) / 2**96
        amount = max(1, int(size * rng.uniform(0.05, 1.0) / span))
        for edge, net in ((lower, amount), (upper, -amount)):
            pool.ticks[edge] = pool.ticks.get(edge, 0) + net
        if lower <= tick < upper:
            pool.liquidity += amount
    return pool


def random_pools(rng: random.Random, tokens: int, count: int, v3_share: float, noise: float) -> list[Pool]:
    """Pools between random tokens of very different unit sizes, priced near a common value."""
    units = [10.0 ** rng.choice([4, 6, 8, 12, 18, 18, 24]) for _ in range(tokens)]
    pools = []
    for _ in range(count):
        first, second = sorted(rng.sample(range(tokens), 2))
        price = units[second] / units[first] * rng.lognormvariate(0, noise)
        value = 10.0 ** rng.uniform(-1, 4)
        if rng.random() < v3_share:
            v3 = random_v3(rng, price, value * units[second])
            pools.append(Pool((first, second), v3.fee_pips, v3=v3))
        else:
            reserves = (max(1, int(value * units[first])), max(1, int(value * units[first] * price)))
            fee = rng.choice([500, 2500, 3000, 10_000, 0])
            pools.append(Pool((first, second), fee, (min(reserves[0], UINT112), min(reserves[1], UINT112))))
    return pools
