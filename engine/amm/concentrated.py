"""Swaps in Uniswap V3 pools and forks with the same loop: SwapMath.computeSwapStep, UniswapV3Pool.swap.

The contract looks for the next initialised tick only within one 256-tick word of its bitmap and stops at the
word's edge when there is none, rounding once more there; so does this loop, unless told that the pool keeps a
list of ticks. A stop's price is computed from its tick. Fee growth, the oracle and protocol fees don't change
what a swap pays and are not modelled.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.layout import (
    BAD_LIMIT,
    INSUFFICIENT_INPUT,
    KIND_V3,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    OK,
    OUT_OF_KNOWN,
    OVERFLOW,
    PARTIAL,
    UNINITIALISED,
)
from engine.amm.quotient import EST_MIDDLE, est_inverse_nb, est_wide, quotient_192_nb
from engine.amm.sqrt_price import (
    amount0_delta_nb,
    amount1_delta_nb,
    next_price_from_input_nb,
    next_price_from_output_nb,
)
from engine.amm.tick_math import sqrt_ratio_at_tick_nb, tick_at_sqrt_ratio_nb
from engine.amm.wide import (
    constant,
    limb1,
    limb2,
    limb3,
    make_u128,
    make_u256,
    mul_128_64,
    mul_256_64,
    stay_whole,
    to_u128,
    to_u256,
)
from engine.amm.wide_division import divide_by_limb_nb

_PIPS = np.uint64(1_000_000)
# Typed, so that numba does not compile each callee once per literal.
_UP, _DOWN = np.bool_(True), np.bool_(False)
_BITS_20 = np.uint64(20)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_ONE_I = np.int64(1)
_SIGN_BIT = np.uint64(1 << 63)
_WORD_BITS = np.int64(8)
_WORD_MASK = np.int64(255)
NO_TICK_WORDS = np.int64(0)  # a spacing: the pool follows a linked list of ticks and stops nowhere else
_min_price = constant(256, MIN_SQRT_RATIO)
_max_price = constant(256, MAX_SQRT_RATIO)
_amount_bound = constant(256, 1 << 255)
lowest_limit_nb = constant(256, MIN_SQRT_RATIO + 1)
highest_limit_nb = constant(256, MAX_SQRT_RATIO - 1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _share(amount, numerator, denominator):
    """(floor(amount * numerator / denominator) U256, whether there is a remainder); fractions of 1e6."""
    if (limb2(amount) | limb3(amount) | (limb1(amount) >> _BITS_20)) == _ZERO:
        narrow = to_u128(amount)
        est_inverse = est_inverse_nb(np.float64(denominator))
        est_quotient = est_wide(narrow) * np.float64(numerator) * est_inverse
        if est_quotient < EST_MIDDLE:
            product, divisor = mul_128_64(narrow, numerator), to_u128(denominator)
            quotient, left = quotient_192_nb(product, divisor, est_quotient, est_inverse)
            return to_u256(quotient), left != to_u128(_ZERO)
    wide, has_remainder = divide_by_limb_nb(mul_256_64(amount, numerator), denominator)
    return to_u256(wide), has_remainder


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def less_fee_nb(amount, fee_pips):
    """What an input leaves after the fee, U256: floor(amount * (1e6 - fee) / 1e6)."""
    stay_whole()
    kept, _ = _share(amount, _PIPS - fee_pips, _PIPS)
    return kept


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def with_fee_nb(amount, fee_pips):
    """An input and the fee on it, U256: amount + ceil(amount * fee / (1e6 - fee))."""
    stay_whole()
    fee, has_remainder = _share(amount, fee_pips, _PIPS - fee_pips)
    total = amount + fee
    return total + to_u256(_ONE) if has_remainder else total


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def input_between_nb(price, target, liquidity, zero_for_one):
    if zero_for_one:
        return amount0_delta_nb(target, price, liquidity, _UP)
    return amount1_delta_nb(price, target, liquidity, _UP)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def output_between_nb(price, target, liquidity, zero_for_one):
    if zero_for_one:
        return amount1_delta_nb(target, price, liquidity, _DOWN)
    return amount0_delta_nb(price, target, liquidity, _DOWN)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _step_in_nb(price, target, liquidity, remaining, fee_pips, zero_for_one):
    """One exact-in step: (status, price after, gross input, output); gross is amountIn + feeAmount."""
    amount_in = input_between_nb(price, target, liquidity, zero_for_one)
    gross = with_fee_nb(amount_in, fee_pips)
    # remaining >= gross exactly when remaining less its fee covers amount_in.
    if remaining >= gross:
        return OK, target, gross, output_between_nb(price, target, liquidity, zero_for_one)
    less_fee = less_fee_nb(remaining, fee_pips)
    status, after = next_price_from_input_nb(price, liquidity, less_fee, zero_for_one)
    if status != OK:
        return status, price, to_u256(_ZERO), to_u256(_ZERO)
    # Rounding keeps the price short of the target, and then all that the move did not take is fee.
    return OK, after, remaining, output_between_nb(price, after, liquidity, zero_for_one)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _step_out_nb(price, target, liquidity, remaining, fee_pips, zero_for_one):
    """One exact-out step: (status, price after, gross input, output)."""
    amount_out = output_between_nb(price, target, liquidity, zero_for_one)
    after = target
    if remaining < amount_out:
        status, after = next_price_from_output_nb(price, liquidity, remaining, zero_for_one)
        if status != OK:
            return status, price, to_u256(_ZERO), to_u256(_ZERO)
        amount_out = remaining
    amount_in = input_between_nb(price, after, liquidity, zero_for_one)
    return OK, after, with_fee_nb(amount_in, fee_pips), amount_out


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def swap_step_nb(price, target, liquidity, remaining, fee_pips, exact_in):
    """SwapMath.computeSwapStep: (status, price after, amount in, amount out, fee).

    Prices U256, liquidity U128, `remaining` U256 (the magnitude), `fee_pips` uint64 below 1e6. Status is
    OVERFLOW or INSUFFICIENT_LIQUIDITY where the contract reverts.
    """
    zero_for_one = price >= target
    if exact_in:
        status, after, gross, amount_out = _step_in_nb(
            price, target, liquidity, remaining, fee_pips, zero_for_one
        )
    else:
        status, after, gross, amount_out = _step_out_nb(
            price, target, liquidity, remaining, fee_pips, zero_for_one
        )
    amount_in = input_between_nb(price, after, liquidity, zero_for_one)
    return status, after, amount_in, amount_out, gross - amount_in


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def cross_liquidity_nb(liquidity, net, zero_for_one):
    """(ok, liquidity after crossing a tick): `net` is the int128 liquidityNet as U128; going down it is
    taken away. Not ok where LiquidityMath.addDelta reverts."""
    negative = (limb1(net) & _SIGN_BIT) != _ZERO
    magnitude = net
    if negative:
        magnitude = to_u128(_ZERO) - net
    if negative != zero_for_one:
        if magnitude > liquidity:
            return False, liquidity
        return True, liquidity - magnitude
    total = liquidity + magnitude
    return total >= liquidity, total


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def first_tick_index_nb(ticks, start, count, tick, zero_for_one):
    """Index in `ticks` (i32, ascending in [start, start + count)) of the next initialised tick: at or below
    `tick` going down, above it going up. One before the slice, or one past it, when there is none."""
    low = start
    high = start + count
    while low < high:
        middle = (low + high) >> _ONE_I
        if np.int64(ticks[middle]) <= tick:
            low = middle + _ONE_I
        else:
            high = middle
    if zero_for_one:
        return low - _ONE_I
    return low


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def word_edge_nb(tick, spacing, zero_for_one):
    """Where the search from `tick` ends when it meets no initialised tick: its bitmap word's edge, or the end
    of the range for a list of ticks."""
    if spacing == NO_TICK_WORDS:
        return np.int64(MIN_TICK if zero_for_one else MAX_TICK)
    compressed = tick // spacing
    if zero_for_one:
        edge = (compressed >> _WORD_BITS) << _WORD_BITS
    else:
        edge = (compressed + _ONE_I) | _WORD_MASK
    return min(max(edge * spacing, np.int64(MIN_TICK)), np.int64(MAX_TICK))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def pool_price_nb(pools, row):
    """sqrtPriceX96 of a row, as U256."""
    limbs = pools.sqrt_price
    return make_u256(limbs[row, 0], limbs[row, 1], limbs[row, 2], limbs[row, 3])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _limit_is_legal(price, limit, zero_for_one):
    if zero_for_one:
        return limit < price and limit > _min_price()
    return limit > price and limit < _max_price()


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _leaves_known(stop, price, known_low, known_high, zero_for_one):
    """Whether a step towards `stop` that ended at `price` passed a tick we might not know of."""
    if zero_for_one:
        return stop < known_low and price < sqrt_ratio_at_tick_nb(known_low)
    return stop > known_high and price > sqrt_ratio_at_tick_nb(known_high)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _swap_loop(pool, ticks, nets, start, count, known_low, known_high, zero_for_one, amount, exact_in, limit):
    """The loop of UniswapV3Pool.swap over plain values: `pool` is (price, liquidity, tick, spacing, fee)."""
    stay_whole()
    price, liquidity, tick, spacing, fee_pips = pool
    zero = to_u256(_ZERO)
    index = first_tick_index_nb(ticks, start, count, tick, zero_for_one)
    direction = -_ONE_I if zero_for_one else _ONE_I
    remaining = amount
    total_in = zero
    total_out = zero
    while remaining != zero and price != limit:
        stop = word_edge_nb(tick, spacing, zero_for_one)
        initialised = False
        if index >= start and index < start + count:
            candidate = np.int64(ticks[index])
            initialised = candidate >= stop if zero_for_one else candidate <= stop
            if initialised:
                stop = candidate
        stop_price = sqrt_ratio_at_tick_nb(stop)
        target = stop_price
        if (stop_price < limit) if zero_for_one else (stop_price > limit):
            target = limit
        if exact_in:
            status, after, step_in, step_out = _step_in_nb(
                price, target, liquidity, remaining, fee_pips, zero_for_one
            )
        else:
            status, after, step_in, step_out = _step_out_nb(
                price, target, liquidity, remaining, fee_pips, zero_for_one
            )
        if status == OK and _leaves_known(stop, after, known_low, known_high, zero_for_one):
            status = np.int64(OUT_OF_KNOWN)
        if status != OK:
            return np.int64(status), zero, zero, price, liquidity, tick
        total_in = total_in + step_in
        total_out = total_out + step_out
        remaining = amount - (total_in if exact_in else total_out)
        if after == stop_price:
            if initialised:
                fits, liquidity = cross_liquidity_nb(
                    liquidity, make_u128(nets[index, 0], nets[index, 1]), zero_for_one
                )
                if not fits:
                    return np.int64(OVERFLOW), zero, zero, price, liquidity, tick
                index += direction
            tick = stop - _ONE_I if zero_for_one else stop
        elif after != price:
            tick = tick_at_sqrt_ratio_nb(after)
        price = after
    return np.int64(OK if remaining == zero else PARTIAL), total_in, total_out, price, liquidity, tick


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def swap_nb(pools, row, zero_for_one, amount, exact_in, limit):
    """UniswapV3Pool.swap on the state of `row`, which is left as it is.

    `amount` U256 is the exact input, or the wanted output when not `exact_in`; `limit` U256 is
    sqrtPriceLimitX96. Returns (status, amount in, amount out, sqrt price after, liquidity after, tick after).
    PARTIAL comes with the amounts really moved, as the contract moves them; any other status but OK is a
    revert (or an unknown tick) and its amounts mean nothing.
    """
    spacing = np.int64(pools.tick_spacing[row])
    fee_pips = np.uint64(pools.fee_pips[row, 0 if zero_for_one else 1])
    is_v3 = pools.kind[row] == KIND_V3
    return swap_at_nb(pools, row, is_v3, spacing, fee_pips, zero_for_one, amount, exact_in, limit)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def swap_at_nb(pools, row, exists, spacing, fee_pips, zero_for_one, amount, exact_in, limit):
    """As `swap_nb`, on a row of any kind, for pools whose fee is not the row's or that keep a list of ticks.

    `exists` bool: without it the answer is UNINITIALISED. `spacing` int64, NO_TICK_WORDS for a list of ticks;
    `fee_pips` uint64 below 1e6 (not checked), 1e-6 of the input.
    """
    zero = to_u256(_ZERO)
    price = pool_price_nb(pools, row)
    liquidity = make_u128(pools.liquidity[row, 0], pools.liquidity[row, 1])
    tick = np.int64(pools.tick[row])
    known_low = np.int64(pools.known_low[row])
    known_high = np.int64(pools.known_high[row])
    status = np.int64(OK)
    if not exists or price == zero:
        status = np.int64(UNINITIALISED)
    elif amount == zero:
        status = np.int64(INSUFFICIENT_INPUT)
    elif amount >= _amount_bound():
        status = np.int64(OVERFLOW)
    elif not _limit_is_legal(price, limit, zero_for_one):
        status = np.int64(BAD_LIMIT)
    elif tick < known_low or tick > known_high:
        status = np.int64(OUT_OF_KNOWN)
    if status != OK:
        return status, zero, zero, price, liquidity, tick
    return _swap_loop(
        (price, liquidity, tick, spacing, fee_pips),
        pools.arena_tick,
        pools.arena_net,
        pools.tick_start[row],
        np.int64(pools.tick_count[row]),
        known_low,
        known_high,
        zero_for_one,
        amount,
        exact_in,
        limit,
    )
