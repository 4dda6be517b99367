"""Compiled loops that run one kernel over rows of limbs, so that tests can feed it many cases at once."""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.concentrated import swap_step_nb
from engine.amm.constant_product import amount_in_nb, amount_out_nb, least_amount_in_nb
from engine.amm.full_math import mul_div_nb, mul_div_rounding_up_nb
from engine.amm.sqrt_price import (
    amount0_delta_nb,
    amount1_delta_nb,
    next_price_from_input_nb,
    next_price_from_output_nb,
)
from engine.amm.tick_math import sqrt_ratio_at_tick_nb, tick_at_sqrt_ratio_nb
from engine.amm.wide import (
    limb0,
    limb1,
    limb2,
    limb3,
    limb4,
    limb5,
    limb6,
    limb7,
    make_u128,
    make_u256,
    mul_256_256,
    to_u256,
    to_u320,
)
from engine.amm.wide_division import divide_256_nb, divide_512_nb, divide_by_limb_nb


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def u256(rows, i):
    return make_u256(rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3])


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def u128(rows, i):
    return make_u128(rows[i, 0], rows[i, 1])


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def put(value, rows, i):
    rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3] = limb0(value), limb1(value), limb2(value), limb3(value)


@njit(nogil=True, cache=True, error_model="numpy")
def divide_512(a, b, d, quotients, inexact):
    """a, b u64[n, 4] multiplied; d u64[n, 5]; quotients u64[n, 8]."""
    for i in range(len(a)):
        divisor = to_u320(u256(d, i)) | (to_u320(d[i, 4]) << np.uint64(256))
        q, inexact[i] = divide_512_nb(mul_256_256(u256(a, i), u256(b, i)), divisor)
        put(q, quotients, i)
        quotients[i, 4], quotients[i, 5], quotients[i, 6], quotients[i, 7] = (
            limb4(q),
            limb5(q),
            limb6(q),
            limb7(q),
        )


@njit(nogil=True, cache=True, error_model="numpy")
def divide_256(a, d, quotients, inexact):
    for i in range(len(a)):
        q, inexact[i] = divide_256_nb(u256(a, i), u256(d, i))
        put(q, quotients, i)


@njit(nogil=True, cache=True, error_model="numpy")
def divide_by_limb(a, d, quotients, inexact):
    """a u64[n, 5] by d u64[n]; quotients u64[n, 5]."""
    for i in range(len(a)):
        numerator = to_u320(u256(a, i)) | (to_u320(a[i, 4]) << np.uint64(256))
        q, inexact[i] = divide_by_limb_nb(numerator, d[i])
        put(q, quotients, i)
        quotients[i, 4] = limb4(q)


@njit(nogil=True, cache=True, error_model="numpy")
def mul_div(a, b, d, round_up, results, fits):
    for i in range(len(a)):
        if round_up:
            value, fits[i] = mul_div_rounding_up_nb(u256(a, i), u256(b, i), u256(d, i))
        else:
            value, fits[i] = mul_div_nb(u256(a, i), u256(b, i), u256(d, i))
        put(value, results, i)


@njit(nogil=True, cache=True, error_model="numpy")
def operators(a, b, shifts, results, flags):
    """+ - & | ^ << >> of 256-bit rows into results u64[n, 7, 4]; < <= > >= == != into flags bool[n, 6]."""
    for i in range(len(a)):
        x, y, s = u256(a, i), u256(b, i), shifts[i]
        put(x + y, results[i], 0)
        put(x - y, results[i], 1)
        put(x & y, results[i], 2)
        put(x | y, results[i], 3)
        put(x ^ y, results[i], 4)
        put(x << s, results[i], 5)
        put(x >> s, results[i], 6)
        flags[i, 0], flags[i, 1], flags[i, 2] = x < y, x <= y, x > y
        flags[i, 3], flags[i, 4], flags[i, 5] = x >= y, x == y, x != y


@njit(nogil=True, cache=True, error_model="numpy")
def sqrt_ratios(ticks, results):
    for i in range(len(ticks)):
        put(sqrt_ratio_at_tick_nb(ticks[i]), results, i)


@njit(nogil=True, cache=True, error_model="numpy")
def ticks_at(prices, results):
    for i in range(len(prices)):
        results[i] = tick_at_sqrt_ratio_nb(u256(prices, i))


@njit(nogil=True, cache=True, error_model="numpy")
def tick_round_trips(low, high):
    """How many ticks in [low, high) are not found again from their price, or from one unit less."""
    wrong = 0
    for tick in range(low, high):
        price = sqrt_ratio_at_tick_nb(np.int64(tick))
        if tick_at_sqrt_ratio_nb(price) != tick:
            wrong += 1
        if tick > low and tick_at_sqrt_ratio_nb(price - to_u256(np.uint64(1))) != tick - 1:
            wrong += 1
    return wrong


@njit(nogil=True, cache=True, error_model="numpy")
def deltas(prices, others, liquidity, results):
    """results u64[n, 4, 4]: token0 down, token0 up, token1 down, token1 up."""
    for i in range(len(prices)):
        a, b, amount = u256(prices, i), u256(others, i), u128(liquidity, i)
        put(amount0_delta_nb(a, b, amount, False), results[i], 0)
        put(amount0_delta_nb(a, b, amount, True), results[i], 1)
        put(amount1_delta_nb(a, b, amount, False), results[i], 2)
        put(amount1_delta_nb(a, b, amount, True), results[i], 3)


@njit(nogil=True, cache=True, error_model="numpy")
def next_prices(prices, liquidity, amounts, zero_for_one, from_input, statuses, results):
    for i in range(len(prices)):
        price, held, amount = u256(prices, i), u128(liquidity, i), u256(amounts, i)
        if from_input[i]:
            statuses[i], value = next_price_from_input_nb(price, held, amount, zero_for_one[i])
        else:
            statuses[i], value = next_price_from_output_nb(price, held, amount, zero_for_one[i])
        put(value, results, i)


@njit(nogil=True, cache=True, error_model="numpy")
def swap_steps(prices, targets, liquidity, amounts, fees, exact_in, statuses, results):
    """results u64[n, 4, 4]: price after, amount in, amount out, fee."""
    for i in range(len(prices)):
        status, after, amount_in, amount_out, fee = swap_step_nb(
            u256(prices, i), u256(targets, i), u128(liquidity, i), u256(amounts, i), fees[i], exact_in[i]
        )
        statuses[i] = status
        put(after, results[i], 0)
        put(amount_in, results[i], 1)
        put(amount_out, results[i], 2)
        put(fee, results[i], 3)


@njit(nogil=True, cache=True, error_model="numpy")
def constant_product(amounts, reserves_in, reserves_out, fees, statuses, results):
    """results u64[n, 3, 4]: amount out for the amount, library's amount in for it, least amount in."""
    for i in range(len(amounts)):
        amount, held_in, held_out = u256(amounts, i), u128(reserves_in, i), u128(reserves_out, i)
        statuses[i, 0], value = amount_out_nb(amount, held_in, held_out, fees[i])
        put(value, results[i], 0)
        statuses[i, 1], value = amount_in_nb(amount, held_in, held_out, fees[i])
        put(value, results[i], 1)
        statuses[i, 2], value = least_amount_in_nb(amount, held_in, held_out, fees[i])
        put(value, results[i], 2)
