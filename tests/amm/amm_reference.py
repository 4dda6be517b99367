"""Plain-integer twins of the kernels, written from the contracts' own order of operations.

`Revert` is raised where the contract reverts. Nothing here is shared with the compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Q96 = 1 << 96
UINT112 = (1 << 112) - 1
UINT128 = (1 << 128) - 1
UINT160 = (1 << 160) - 1
UINT256 = (1 << 256) - 1
MIN_TICK, MAX_TICK = -887272, 887272
MIN_SQRT_RATIO = 4295128739
MAX_SQRT_RATIO = 1461446703485210103287273052203988822378723970342
PIPS = 1_000_000


class Revert(Exception):
    """The contract reverts."""


def require(condition: bool) -> None:
    if not condition:
        raise Revert


def mul_div(a: int, b: int, denominator: int) -> int:
    require(denominator > 0)
    result = a * b // denominator
    require(result <= UINT256)
    return result


def mul_div_rounding_up(a: int, b: int, denominator: int) -> int:
    result = mul_div(a, b, denominator)
    if a * b % denominator:
        require(result < UINT256)
        result += 1
    return result


def div_rounding_up(x: int, y: int) -> int:
    return x // y + (x % y > 0)


def get_amount_out(amount_in: int, reserve_in: int, reserve_out: int, fee_pips: int = 3000) -> int:
    require(amount_in > 0)
    require(reserve_in > 0 and reserve_out > 0)
    kept = amount_in * (PIPS - fee_pips)
    return kept * reserve_out // (reserve_in * PIPS + kept)


def get_amount_in(amount_out: int, reserve_in: int, reserve_out: int, fee_pips: int = 3000) -> int:
    require(amount_out > 0)
    require(reserve_in > 0 and reserve_out > amount_out)
    return reserve_in * amount_out * PIPS // ((reserve_out - amount_out) * (PIPS - fee_pips)) + 1


_TICK_FACTORS = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)


def sqrt_ratio_at_tick(tick: int) -> int:
    size = abs(tick)
    require(size <= MAX_TICK)
    ratio = 1 << 128
    for bit, factor in enumerate(_TICK_FACTORS):
        if size >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = UINT256 // ratio
    return (ratio >> 32) + (ratio % (1 << 32) > 0)


def tick_at_sqrt_ratio(price: int) -> int:
    require(MIN_SQRT_RATIO <= price < MAX_SQRT_RATIO)
    ratio = price << 32
    msb = ratio.bit_length() - 1
    r = ratio >> (msb - 127) if msb >= 128 else ratio << (127 - msb)
    log_2 = (msb - 128) << 64
    for shift in range(63, 49, -1):
        r = r * r >> 127
        bit = r >> 128
        log_2 |= bit << shift
        r >>= bit
    log = log_2 * 255738958999603826347141
    low = (log - 3402992956809132418596140100660247210) >> 128
    high = (log + 291339464771989622907027621153398088495) >> 128
    if low == high:
        return low
    return high if sqrt_ratio_at_tick(high) <= price else low


def amount0_delta(a: int, b: int, liquidity: int, round_up: bool) -> int:
    a, b = min(a, b), max(a, b)
    require(a > 0)
    scaled = liquidity << 96
    if round_up:
        return div_rounding_up(mul_div_rounding_up(scaled, b - a, b), a)
    return mul_div(scaled, b - a, b) // a


def amount1_delta(a: int, b: int, liquidity: int, round_up: bool) -> int:
    a, b = min(a, b), max(a, b)
    return (mul_div_rounding_up if round_up else mul_div)(liquidity, b - a, Q96)


def next_price_from_amount0(price: int, liquidity: int, amount: int, add: bool) -> int:
    if amount == 0:
        return price
    scaled = liquidity << 96
    product = amount * price
    if add:
        if product <= UINT256 and scaled + product <= UINT256:
            return mul_div_rounding_up(scaled, price, scaled + product)
        denominator = scaled // price + amount
        require(denominator <= UINT256)
        return div_rounding_up(scaled, denominator)
    require(product <= UINT256 and scaled > product)
    result = mul_div_rounding_up(scaled, price, scaled - product)
    require(result <= UINT160)
    return result


def next_price_from_amount1(price: int, liquidity: int, amount: int, add: bool) -> int:
    if add:
        quotient = (amount << 96) // liquidity if amount <= UINT160 else mul_div(amount, Q96, liquidity)
        require(price + quotient <= UINT160)
        return price + quotient
    if amount <= UINT160:
        quotient = div_rounding_up(amount << 96, liquidity)
    else:
        quotient = mul_div_rounding_up(amount, Q96, liquidity)
    require(price > quotient)
    return price - quotient


def next_price_from_input(price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    require(price > 0 and liquidity > 0)
    function = next_price_from_amount0 if zero_for_one else next_price_from_amount1
    return function(price, liquidity, amount, True)


def next_price_from_output(price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    require(price > 0 and liquidity > 0)
    function = next_price_from_amount1 if zero_for_one else next_price_from_amount0
    return function(price, liquidity, amount, False)


def compute_swap_step(
    price: int, target: int, liquidity: int, remaining: int, fee_pips: int, exact_in: bool
) -> tuple[int, int, int, int]:
    """(next price, amount in, amount out, fee); `remaining` is the magnitude."""
    zero_for_one = price >= target
    amount_in = amount_out = 0
    if exact_in:
        less_fee = mul_div(remaining, PIPS - fee_pips, PIPS)
        if zero_for_one:
            amount_in = amount0_delta(target, price, liquidity, True)
        else:
            amount_in = amount1_delta(price, target, liquidity, True)
        if less_fee >= amount_in:
            after = target
        else:
            after = next_price_from_input(price, liquidity, less_fee, zero_for_one)
    else:
        if zero_for_one:
            amount_out = amount1_delta(target, price, liquidity, False)
        else:
            amount_out = amount0_delta(price, target, liquidity, False)
        if remaining >= amount_out:
            after = target
        else:
            after = next_price_from_output(price, liquidity, remaining, zero_for_one)
    reached = after == target
    if not (reached and exact_in):
        delta = amount0_delta if zero_for_one else amount1_delta
        amount_in = delta(after, price, liquidity, True)
    if not (reached and not exact_in):
        delta = amount1_delta if zero_for_one else amount0_delta
        amount_out = delta(after, price, liquidity, False)
    if not exact_in:
        amount_out = min(amount_out, remaining)
    if exact_in and not reached:
        fee = remaining - amount_in
    else:
        fee = mul_div_rounding_up(amount_in, fee_pips, PIPS - fee_pips)
    return after, amount_in, amount_out, fee


@dataclass
class V3Pool:
    """A concentrated pool: `ticks` maps an initialised tick to its liquidityNet."""

    sqrt_price: int
    tick: int
    liquidity: int
    fee_pips: int
    tick_spacing: int
    ticks: dict[int, int] = field(default_factory=dict)

    def next_tick_within_word(self, tick: int, down: bool) -> tuple[int, bool]:
        """TickBitmap.nextInitializedTickWithinOneWord, bit by bit."""
        compressed = tick // self.tick_spacing
        if down:
            edge = compressed // 256 * 256
            candidates = range(compressed, edge - 1, -1)
        else:
            compressed += 1
            edge = compressed // 256 * 256 + 255
            candidates = range(compressed, edge + 1)
        for candidate in candidates:
            if candidate * self.tick_spacing in self.ticks:
                return candidate * self.tick_spacing, True
        return edge * self.tick_spacing, False

    def swap(self, zero_for_one: bool, amount: int, exact_in: bool, limit: int) -> tuple[int, int]:
        """UniswapV3Pool.swap: changes the pool, returns (amount in, amount out)."""
        require(amount > 0)
        if zero_for_one:
            require(MIN_SQRT_RATIO < limit < self.sqrt_price)
        else:
            require(self.sqrt_price < limit < MAX_SQRT_RATIO)
        remaining, total_in, total_out = amount, 0, 0
        while remaining and self.sqrt_price != limit:
            stop, initialised = self.next_tick_within_word(self.tick, zero_for_one)
            stop = max(MIN_TICK, min(MAX_TICK, stop))
            stop_price = sqrt_ratio_at_tick(stop)
            target = max(stop_price, limit) if zero_for_one else min(stop_price, limit)
            after, step_in, step_out, fee = compute_swap_step(
                self.sqrt_price, target, self.liquidity, remaining, self.fee_pips, exact_in
            )
            total_in += step_in + fee
            total_out += step_out
            remaining -= step_in + fee if exact_in else step_out
            if after == stop_price:
                if initialised:
                    net = self.ticks[stop]
                    self.liquidity += -net if zero_for_one else net
                    require(0 <= self.liquidity <= UINT128)
                self.tick = stop - 1 if zero_for_one else stop
            elif after != self.sqrt_price:
                self.tick = tick_at_sqrt_ratio(after)
            self.sqrt_price = after
        return total_in, total_out
