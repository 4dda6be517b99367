"""Concentrated liquidity beside Uniswap V3: what each fork changes in the loop of `engine.amm.concentrated`.

- Slipstream: V3, but the fee comes from the factory's fee module at swap time (`CLPool.fee()`), without an
  event; it is an argument here.
- Algebra V1 (`AlgebraPool._calculateSwapAndLock`): V3, stopping at 256-tick rows. The first swap of a new
  timestamp is charged a fee recomputed from the volatility oracle, not the stored one: again an argument.
- Algebra V2 and Integral (`SwapCalculation`): ticks are a linked list, so there are no stops between them.
  V2 recomputes its fee as V1 does; Integral's is the stored one, or what its plugin answers for the swap.
  Reserves are kept in uint128.
- Uniswap V4 (`Pool.swap`, `SwapMath`): V3 with a composed fee, which may be all of an exact input, and with
  deltas that must fit int128. `engine.amm.v4_fees` maps its signs and judges hooks.

Rows are those of `PoolArrays`, of any kind; read are sqrt_price, liquidity, tick, tick_spacing, the slice of
the tick arena, the known range, and with a tick list the reserves. Amounts are U256 in base units, fees 1e-6
of the input, gross. Rounding is V3's: input up, output down, in the pool's favour at every stop.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.concentrated import (
    NO_TICK_WORDS,
    cross_liquidity_nb,
    first_tick_index_nb,
    highest_limit_nb,
    lowest_limit_nb,
    pool_price_nb,
    swap_at_nb,
)
from engine.amm.layout import (
    INSUFFICIENT_LIQUIDITY,
    MAX_TICK,
    MIN_TICK,
    OK,
    OVERFLOW,
    PARTIAL,
    TICK_LIST,
    V4,
)
from engine.amm.v4_fees import PIPS
from engine.amm.wide import constant, limb0, limb1, limb2, limb3, make_u128, make_u256, to_float, to_u256

_PIPS = np.uint64(PIPS)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_Q96 = 2.0**96
_LOG_SQRT_BASE = math.log(1.0001) / 2
_uint128_max = constant(256, (1 << 128) - 1)
_amount_bound = constant(256, 1 << 255)
_int128_max = constant(256, (1 << 127) - 1)
_int128_min = constant(256, 1 << 127)  # the magnitude of the least int128


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _reserve_overflows(pools, row, zero_for_one, amount_in):
    """Whether a pool that counts its reserves in uint128 cannot book the input."""
    side = 0 if zero_for_one else 1
    reserve = make_u128(pools.reserves[row, side, 0], pools.reserves[row, side, 1])
    return to_u256(reserve) > _uint128_max() or amount_in > _uint128_max() - to_u256(reserve)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def fork_swap_nb(pools, row, rules, fee_pips, zero_for_one, amount, exact_in, limit):
    """A swap by the rules of a fork at the given fee, from the state of `row`: the six values of `swap_nb`.

    `rules` is TICK_WORDS, TICK_LIST or V4. `fee_pips` is unsigned, 1e-6 of the input, what the contract
    will charge; for V4 that is `v4_fee_nb`. `limit` U256 is the sqrt price limit. OVERFLOW where the fork
    reverts for its own reasons: a fee of 1e6 or more (V4: above 1e6, or an output asked for while all input
    would be fee), a V4 delta outside int128, or with TICK_LIST a reserve above uint128 (the row's reserves
    are read; leave them zero where they aren't followed).
    """
    fee = np.uint64(fee_pips)
    asked = amount
    all_is_fee = rules == V4 and fee == _PIPS and exact_in
    refused = fee >= _PIPS and not all_is_fee
    if fee >= _PIPS:
        # The price then moves only where nothing is in the way, and the first range with liquidity keeps all
        # that is left, just as it keeps a single unit at the greatest fee below 100 %.
        fee = _PIPS - _ONE
        if asked > to_u256(_ONE) and asked < _amount_bound():
            asked = to_u256(_ONE)
    spacing = np.int64(pools.tick_spacing[row])
    if rules == TICK_LIST:
        spacing = NO_TICK_WORDS
    status, amount_in, amount_out, price, liquidity, tick = swap_at_nb(
        pools, row, True, spacing, fee, zero_for_one, asked, exact_in, limit
    )
    if status == OK and all_is_fee:
        amount_in = amount
    if status == OK or status == PARTIAL:
        if rules == V4:
            refused = refused or amount_in > _int128_min() or amount_out > _int128_max()
        elif rules == TICK_LIST:
            refused = refused or _reserve_overflows(pools, row, zero_for_one, amount_in)
        if refused:
            status = np.int64(OVERFLOW)
    return status, amount_in, amount_out, price, liquidity, tick


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def fork_quote_nb(pools, row, rules, fee_pips, zero_for_one, amount, exact_in):
    """(status, amount out U256) for an exact input, (status, amount in) for an exact output, without a price
    limit; arguments as in `fork_swap_nb`. A pool that runs dry is INSUFFICIENT_LIQUIDITY, with what it would
    still move."""
    limit = lowest_limit_nb() if zero_for_one else highest_limit_nb()
    status, amount_in, amount_out, _, _, _ = fork_swap_nb(
        pools, row, rules, fee_pips, zero_for_one, amount, exact_in, limit
    )
    if status == PARTIAL:
        status = np.int64(INSUFFICIENT_LIQUIDITY)
    return status, amount_out if exact_in else amount_in


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _load(rows, i):
    return make_u256(rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _store(value, out):
    out[0], out[1], out[2], out[3] = limb0(value), limb1(value), limb2(value), limb3(value)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def fork_swaps_nb(
    pools, rows, rules, fees, zero_for_one, exact_in, amounts, limits, statuses, results, states
):
    """Many `fork_swap_nb`, each from the stored state.

    rows i32[n], rules u8[n], fees u32[n], zero_for_one and exact_in bool[n], amounts and limits u64[n, 4];
    writes statuses i64[n], results u64[n, 2, 4] (amount in, amount out), states u64[n, 3, 4] (sqrt price,
    liquidity, tick as two's complement in its first limb).
    """
    for i in range(len(rows)):
        status, amount_in, amount_out, price, liquidity, tick = fork_swap_nb(
            pools,
            rows[i],
            rules[i],
            fees[i],
            zero_for_one[i],
            _load(amounts, i),
            exact_in[i],
            _load(limits, i),
        )
        statuses[i] = status
        _store(amount_in, results[i, 0])
        _store(amount_out, results[i, 1])
        _store(price, states[i, 0])
        _store(to_u256(liquidity), states[i, 1])
        states[i, 2, 0] = np.uint64(tick)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def fork_quotes_nb(pools, rows, rules, fees, zero_for_one, exact_in, amounts, statuses, results):
    """Many `fork_quote_nb`: arrays as in `fork_swaps_nb`, results u64[n, 4]."""
    for i in range(len(rows)):
        status, moved = fork_quote_nb(
            pools, rows[i], rules[i], fees[i], zero_for_one[i], _load(amounts, i), exact_in[i]
        )
        statuses[i] = status
        _store(moved, results[i])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_spot_price_nb(pools, row):
    """Token1 per token0 before the fee, base units, float64; 0 before the pool has a price."""
    price = to_float(pool_price_nb(pools, row)) / _Q96
    return price * price


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_fork_rate_nb(pools, row, zero_for_one, fee_pips):
    """Marginal output per input after the given fee, float64; 0 without a price or active liquidity."""
    price = est_spot_price_nb(pools, row)
    if price <= 0.0 or (pools.liquidity[row, 0] | pools.liquidity[row, 1]) == _ZERO:
        return 0.0
    kept = 1.0 - min(np.float64(fee_pips) * 1e-6, 1.0)
    return kept * (price if zero_for_one else 1.0 / price)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_fork_out_nb(pools, row, zero_for_one, amount_in, fee_pips):
    """Float twin of an exact-in quote: (output, input used), float64 base units, word stops ignored.

    The input used is less than `amount_in` where the known ticks end first.
    """
    kept = 1.0 - np.float64(fee_pips) * 1e-6
    price = to_float(pool_price_nb(pools, row)) / _Q96
    if price <= 0.0 or kept <= 0.0 or not amount_in > 0.0:
        return 0.0, 0.0
    active = make_u128(pools.liquidity[row, 0], pools.liquidity[row, 1])
    start = pools.tick_start[row]
    end = start + np.int64(pools.tick_count[row])
    index = first_tick_index_nb(pools.arena_tick, start, end - start, np.int64(pools.tick[row]), zero_for_one)
    edge = max(pools.known_low[row], MIN_TICK) if zero_for_one else min(pools.known_high[row], MAX_TICK)
    left, out, taken = amount_in * kept, 0.0, 0.0
    while True:
        inside = start <= index < end
        stop = math.exp(np.float64(pools.arena_tick[index] if inside else edge) * _LOG_SQRT_BASE)
        liquidity = to_float(active)
        # In terms of the price of the token sold, both directions are the same curve.
        here, there = (1.0 / price, 1.0 / stop) if zero_for_one else (price, stop)
        room = max(liquidity * (there - here), 0.0)
        # The output is what was sold over the product of both prices: their difference would cancel.
        if left < room:
            return out + left / (here * min(here + left / liquidity, there)), amount_in
        out += room / (here * max(here, there))
        left -= room
        taken += room
        if not inside:
            return out, taken / kept
        fits, active = cross_liquidity_nb(
            active, make_u128(pools.arena_net[index, 0], pools.arena_net[index, 1]), zero_for_one
        )
        if not fits:
            return out, taken / kept
        price = stop
        index += np.int64(-1) if zero_for_one else np.int64(1)
