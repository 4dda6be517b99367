"""One exact quote on a pool row, whatever its family: compiled dispatch, and calls for Python."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from numba import njit

from engine.amm.concentrated import swap_nb
from engine.amm.concentrated_forks import fork_quote_nb
from engine.amm.constant_product import amount_in_nb, amount_out_nb
from engine.amm.directional_fee import directional_amount_in_nb
from engine.amm.family_quote import family_quote_nb
from engine.amm.layout import (
    FLOORED_FEE,
    INSUFFICIENT_INPUT,
    KIND_V2,
    KIND_V3,
    MAX_SQRT_RATIO,
    MIN_SQRT_RATIO,
    OK,
    OVERFLOW,
    PARTIAL,
    STATUS_NAMES,
    PoolArrays,
    int_to_limbs,
    limbs_to_int,
)
from engine.amm.wide import limb0, limb1, limb2, limb3, make_u128, make_u256, to_u256

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_last = threading.local()  # the arrays this thread quoted last, and how
# Typed, so that numba does not compile each callee once per literal.
_SELL, _BUY = np.bool_(True), np.bool_(False)
_PIPS_PER_UNIT = np.uint64(10)  # of a fee in 1e-5


class QuoteRefused(Exception):
    """The contract would not do this swap, or we don't know. Attributes: `status`, `row`."""

    def __init__(self, status: int, row: int):
        super().__init__(f"pool row {row} refuses the quote: {STATUS_NAMES[status]}")
        self.status = status
        self.row = row


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def reserves_nb(pools, row, zero_for_one):
    """(reserve in, reserve out) of a V2 row, U128."""
    side_in = 0 if zero_for_one else 1
    side_out = 1 - side_in
    reserves = pools.reserves
    return (
        make_u128(reserves[row, side_in, 0], reserves[row, side_in, 1]),
        make_u128(reserves[row, side_out, 0], reserves[row, side_out, 1]),
    )


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def quote_in_nb(pools, row, zero_for_one, amount_in):
    """Exact-in: (status int64, amount out U256) for `amount_in` U256 of token0 if `zero_for_one`, of token1
    otherwise. A V3 pool that runs dry is INSUFFICIENT_LIQUIDITY with what it would still pay."""
    kind, fee_pips = pools.kind[row], pools.fee_pips[row, 0 if zero_for_one else 1]
    if kind == KIND_V2:
        reserve_in, reserve_out = reserves_nb(pools, row, zero_for_one)
        status, amount_out = amount_out_nb(amount_in, reserve_in, reserve_out, fee_pips)
        if status == OK and pools.rules[row] == FLOORED_FEE and amount_out == to_u256(_ZERO):
            status = INSUFFICIENT_INPUT
        return np.int64(status), amount_out
    if kind == KIND_V3:
        return fork_quote_nb(pools, row, pools.rules[row], fee_pips, zero_for_one, amount_in, _SELL)
    return family_quote_nb(pools, row, zero_for_one, amount_in, _SELL)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def quote_out_nb(pools, row, zero_for_one, amount_out):
    """Exact-out: (status int64, amount in U256) that buys exactly `amount_out` U256; the least that buys at
    least so much, where the protocol has no exact-out swap."""
    kind, fee_pips = pools.kind[row], pools.fee_pips[row, 0 if zero_for_one else 1]
    if kind == KIND_V2:
        reserve_in, reserve_out = reserves_nb(pools, row, zero_for_one)
        if pools.rules[row] == FLOORED_FEE:
            fee = np.uint64(fee_pips) // _PIPS_PER_UNIT
            status, amount_in = directional_amount_in_nb(amount_out, reserve_in, reserve_out, fee)
        else:
            status, amount_in = amount_in_nb(amount_out, reserve_in, reserve_out, fee_pips)
        return np.int64(status), amount_in
    if kind == KIND_V3:
        return fork_quote_nb(pools, row, pools.rules[row], fee_pips, zero_for_one, amount_out, _BUY)
    return family_quote_nb(pools, row, zero_for_one, amount_out, _BUY)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def store_u256_nb(value, out):
    """Write a U256 to a u64[4] row."""
    out[0], out[1], out[2], out[3] = limb0(value), limb1(value), limb2(value), limb3(value)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _pair_quotes_nb(pools, rows, zero_for_one, exact_in, amounts, statuses, results, first):
    """The exact-in quotes of V2 pairs from place `first` on, up to the first place that is another matter,
    which is returned: a loop small enough for its state to stay in registers."""
    i, count, reserves = first, np.uint64(len(rows)), pools.reserves
    while i < count:
        row = np.uint64(rows[i])
        if pools.kind[row] != KIND_V2 or not exact_in[i] or pools.rules[row] == FLOORED_FEE:
            return i
        side_in = _ZERO if zero_for_one[i] else _ONE
        side_out = _ONE - side_in
        status, amount_out = amount_out_nb(
            make_u256(amounts[i, 0], amounts[i, 1], amounts[i, 2], amounts[i, 3]),
            make_u128(reserves[row, side_in, 0], reserves[row, side_in, 1]),
            make_u128(reserves[row, side_out, 0], reserves[row, side_out, 1]),
            pools.fee_pips[row, side_in],
        )
        statuses[i] = status
        store_u256_nb(amount_out, results[i])
        i += _ONE
    return i


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def quotes_nb(pools, rows, zero_for_one, exact_in, amounts, statuses, results):
    """Many quotes in one call, i-th on pool `rows[i]`.

    rows i32[n], zero_for_one and exact_in bool[n], amounts u64[n, 4]; writes statuses i64[n], results
    u64[n, 4] (amount out when exact-in, amount in otherwise).
    """
    i, count = _ZERO, np.uint64(len(rows))
    while i < count:
        i = _pair_quotes_nb(pools, rows, zero_for_one, exact_in, amounts, statuses, results, i)
        if i < count:
            amount = make_u256(amounts[i, 0], amounts[i, 1], amounts[i, 2], amounts[i, 3])
            if exact_in[i]:
                status, result = quote_in_nb(pools, rows[i], zero_for_one[i], amount)
            else:
                status, result = quote_out_nb(pools, rows[i], zero_for_one[i], amount)
            statuses[i] = status
            store_u256_nb(result, results[i])
            i += _ONE


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def swaps_nb(pools, rows, zero_for_one, exact_in, amounts, limits, statuses, results, states):
    """Many V3 swaps with a price limit, each from the stored state.

    Arguments as `quotes_nb`, limits u64[n, 4]; writes statuses i64[n], results u64[n, 2, 4] (amount in,
    amount out), states u64[n, 3, 4] (sqrt price, liquidity, tick as two's complement in its first limb).
    """
    for i in range(len(rows)):
        amount = make_u256(amounts[i, 0], amounts[i, 1], amounts[i, 2], amounts[i, 3])
        limit = make_u256(limits[i, 0], limits[i, 1], limits[i, 2], limits[i, 3])
        status, amount_in, amount_out, price, liquidity, tick = swap_nb(
            pools, rows[i], zero_for_one[i], amount, exact_in[i], limit
        )
        statuses[i] = status
        store_u256_nb(amount_in, results[i, 0])
        store_u256_nb(amount_out, results[i, 1])
        store_u256_nb(price, states[i, 0])
        store_u256_nb(to_u256(liquidity), states[i, 1])
        states[i, 2, 0] = np.uint64(tick)


def _quote_one(pools: PoolArrays, row: int, zero_for_one: bool, exact_in: bool, amount: int) -> int:
    if amount <= 0:
        raise QuoteRefused(INSUFFICIENT_INPUT, row)
    if amount >> 256:
        raise QuoteRefused(OVERFLOW, row)
    quoter = getattr(_last, "quoter", None)
    if quoter is None or quoter.pools is not pools:
        from engine.amm.one_quote import Quoter  # which is made of this module's kernels

        quoter = _last.quoter = Quoter(pools)
    status, other = quoter.quote(row, zero_for_one, exact_in, amount)
    if status != OK:
        raise QuoteRefused(status, row)
    return other


def quote_exact_in(pools: PoolArrays, row: int, zero_for_one: bool, amount_in: int) -> int:
    """Amount out, base units, for selling exactly `amount_in`. Raises QuoteRefused."""
    return _quote_one(pools, row, zero_for_one, True, amount_in)


def quote_exact_out(pools: PoolArrays, row: int, zero_for_one: bool, amount_out: int) -> int:
    """Amount in, base units, for buying exactly `amount_out`. Raises QuoteRefused."""
    return _quote_one(pools, row, zero_for_one, False, amount_out)


class SwapResult(NamedTuple):
    """A V3 swap: amounts moved in base units, and the pool's state after it. `status` is OK or PARTIAL."""

    status: int
    amount_in: int
    amount_out: int
    sqrt_price_x96: int
    liquidity: int
    tick: int


def simulate_swap(
    pools: PoolArrays,
    row: int,
    zero_for_one: bool,
    amount: int,
    *,
    exact_in: bool = True,
    sqrt_price_limit_x96: int | None = None,
) -> SwapResult:
    """A V3 swap on a row, which is not changed; no limit means the contract's extreme one.

    Raises QuoteRefused where the contract reverts or the tick map is not known far enough.
    """
    if amount <= 0:
        raise QuoteRefused(INSUFFICIENT_INPUT, row)
    if amount >> 256:
        raise QuoteRefused(OVERFLOW, row)
    limit = sqrt_price_limit_x96
    if limit is None:
        limit = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
    statuses = np.zeros(1, np.int64)
    results = np.zeros((1, 2, 4), np.uint64)
    states = np.zeros((1, 3, 4), np.uint64)
    swaps_nb(
        pools,
        np.array([row], np.int32),
        np.array([zero_for_one]),
        np.array([exact_in]),
        int_to_limbs(amount).reshape(1, 4),
        int_to_limbs(limit).reshape(1, 4),
        statuses,
        results,
        states,
    )
    status = int(statuses[0])
    if status not in (OK, PARTIAL):
        raise QuoteRefused(status, row)
    return SwapResult(
        status,
        limbs_to_int(results[0, 0]),
        limbs_to_int(results[0, 1]),
        limbs_to_int(states[0, 0]),
        limbs_to_int(states[0, 1]),
        int(states[0, 2, 0].astype(np.int64)),
    )
