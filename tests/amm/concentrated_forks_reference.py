"""Plain-integer twin of the concentrated-liquidity forks, from the protocols' own order of operations."""

from __future__ import annotations

from dataclasses import dataclass, field

from amm_reference import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    PIPS,
    UINT128,
    amount0_delta,
    amount1_delta,
    compute_swap_step,
    mul_div,
    mul_div_rounding_up,
    next_price_from_input,
    next_price_from_output,
    require,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)

INT128 = (1 << 127) - 1


def composed_fee(protocol_fee: int, lp_fee: int, zero_for_one: bool) -> int:
    """V4: the LP fee is taken from what the protocol fee leaves, rounded up."""
    side = protocol_fee % 4096 if zero_for_one else protocol_fee // 4096
    require(lp_fee <= PIPS)
    left = PIPS - side
    return side + -(-left * lp_fee // PIPS)


def v4_step(
    price: int, target: int, liquidity: int, remaining: int, fee: int, exact_in: bool
) -> tuple[int, int, int, int]:
    """V4's SwapMath: (next price, amount in, amount out, fee); a fee of 100 % is possible for exact-in."""
    down = price >= target
    input_delta, output_delta = (amount0_delta, amount1_delta) if down else (amount1_delta, amount0_delta)
    if exact_in:
        less_fee = mul_div(remaining, PIPS - fee, PIPS)
        amount_in = input_delta(target, price, liquidity, True)
        if less_fee >= amount_in:
            after = target
            paid = amount_in if fee == PIPS else mul_div_rounding_up(amount_in, fee, PIPS - fee)
        else:
            amount_in = less_fee
            after = next_price_from_input(price, liquidity, less_fee, down)
            paid = remaining - amount_in
        return after, amount_in, output_delta(after, price, liquidity, False), paid
    amount_out = output_delta(target, price, liquidity, False)
    after = target
    if remaining < amount_out:
        amount_out = remaining
        after = next_price_from_output(price, liquidity, remaining, down)
    amount_in = input_delta(after, price, liquidity, True)
    return after, amount_in, amount_out, mul_div_rounding_up(amount_in, fee, PIPS - fee)


@dataclass
class ForkPool:
    """`words`: stops at 256-tick rows as in V3; without, a list of ticks ended by the least and greatest."""

    sqrt_price: int
    tick: int
    liquidity: int
    tick_spacing: int
    words: bool = True
    ticks: dict[int, int] = field(default_factory=dict)

    def next_stop(self, down: bool) -> int:
        if down:
            nearest = max((tick for tick in self.ticks if tick <= self.tick), default=MIN_TICK)
        else:
            nearest = min((tick for tick in self.ticks if tick > self.tick), default=MAX_TICK)
        if not self.words:
            return nearest
        position = self.tick // self.tick_spacing
        if down:
            return max(nearest, position // 256 * 256 * self.tick_spacing, MIN_TICK)
        return min(nearest, ((position + 1) // 256 * 256 + 255) * self.tick_spacing, MAX_TICK)

    def swap(
        self, down: bool, amount: int, exact_in: bool, limit: int, fee: int, step=compute_swap_step
    ) -> tuple[int, int]:
        """(amount in, amount out); changes the pool. Raises Revert."""
        require(0 < amount < 1 << 255)
        require(MIN_SQRT_RATIO < limit < MAX_SQRT_RATIO)
        require(limit < self.sqrt_price if down else limit > self.sqrt_price)
        moved_in = moved_out = 0
        left = amount
        while left and self.sqrt_price != limit:
            stop = self.next_stop(down)
            edge = sqrt_ratio_at_tick(stop)
            target = max(edge, limit) if down else min(edge, limit)
            before = self.sqrt_price
            after, step_in, step_out, paid = step(before, target, self.liquidity, left, fee, exact_in)
            moved_in += step_in + paid
            moved_out += step_out
            left = amount - (moved_in if exact_in else moved_out)
            if after == edge:
                net = self.ticks.get(stop, 0)
                self.liquidity += -net if down else net
                require(0 <= self.liquidity <= UINT128)
                self.tick = stop - 1 if down else stop
            elif after != before:
                self.tick = tick_at_sqrt_ratio(after)
            self.sqrt_price = after
        return moved_in, moved_out

    def v4_swap(self, down: bool, amount: int, exact_in: bool, limit: int, fee: int) -> tuple[int, int]:
        require(fee <= PIPS if exact_in else fee < PIPS)
        moved_in, moved_out = self.swap(down, amount, exact_in, limit, fee, v4_step)
        require(moved_in <= INT128 + 1 and moved_out <= INT128)
        return moved_in, moved_out
