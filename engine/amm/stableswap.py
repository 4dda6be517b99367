"""Curve StableSwap pools: what `exchange` pays, to the wei, and what it leaves in the pool.

Covered: 3pool and its contemporaries, the sUSD type, pools and metapools of the 2020-2022 templates, the
factory's plain pools (D as in NG, everything else as in the templates), and StableSwap-NG with its off-peg
fee, rates and `exchange_received`. There is no exact-out swap in Curve.

    xp_k = balance_k * rate_k / 1e18          x = xp_i + dx * rate_i / 1e18
    dy   = xp_j - y - 1 (sUSD: xp_j - y)      fee = dy * f / 1e10
    paid = (dy - fee) * 1e18 / rate_j         admin = fee * admin_fee / 1e10 * 1e18 / rate_j

All divisions are floors. `get_dy` of 3pool and sUSD converts before it takes the fee, and NG's truncates A
while it ramps, so neither is always what is paid: `view_nb` reproduces them, `exchange_nb` the payment.
A metapool's rate of its base pool's token is the base pool's virtual price, as the metapool has it cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.layout import (
    INSUFFICIENT_INPUT,
    OK,
    OVERFLOW,
    UNINITIALISED,
    int_to_limbs,
    ints_to_limbs,
    limbs_to_int,
)
from engine.amm.stable_invariant import (
    MAX_COINS,
    STABLE_FACTORY,
    STABLE_NG,
    STABLE_SUSD,
    STABLE_TEMPLATE,
    STABLE_THREE_POOL,
    get_nb,
    minus_nb,
    over_nb,
    over_word_nb,
    plus_nb,
    power_of_coins_nb,
    precision_nb,
    set_nb,
    solve_d_nb,
    solve_y_nb,
    times_nb,
    times_over_nb,
)
from engine.amm.wide import constant, limb0, limb1, limb2, limb3, make_u256, to_u256
from engine.amm.wide_digits import stack_limbs

FEE_DENOMINATOR = 10**10
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_FOUR = np.uint64(4)
_WAD = np.uint64(10**18)
_FEE_UNIT = np.uint64(FEE_DENOMINATOR)
_SMALL = np.uint64(1 << 32)
_two_128 = constant(256, 1 << 128)
_two_100 = constant(256, 1 << 100)
_two_40 = constant(256, 1 << 40)
_TEN_BITS, _FOUR_BITS = np.uint64(10), np.uint64(4)


class StablePools(NamedTuple):
    """State of P StableSwap pools; a row is a pool, coins are numbered as in the pool."""

    kind: NDArray[np.uint8]  # [P] STABLE_*; 0 empty
    coins: NDArray[np.uint8]  # [P] 2..8
    balances: NDArray[np.uint64]  # [P, 8, 4] base units, admin fees already taken off (NG: get_balances)
    rates: NDArray[np.uint64]  # [P, 8, 4] 10^(36 - decimals), times the rate of a rate-bearing coin
    ramp: NDArray[np.uint64]  # [P, 4] initial A, future A, initial time, future time; A as stored on chain
    fee: NDArray[np.uint64]  # [P] 1e-10
    admin_fee: NDArray[np.uint64]  # [P] 1e-10 of the fee
    offpeg_multiplier: NDArray[np.uint64]  # [P, 4] NG, 1e-10; up to 1e10 means a static fee


def new_stable_pools(capacity: int) -> StablePools:
    """`capacity` empty rows."""
    return StablePools(
        kind=np.zeros(capacity, np.uint8),
        coins=np.zeros(capacity, np.uint8),
        balances=np.zeros((capacity, MAX_COINS, 4), np.uint64),
        rates=np.zeros((capacity, MAX_COINS, 4), np.uint64),
        ramp=np.zeros((capacity, 4), np.uint64),
        fee=np.zeros(capacity, np.uint64),
        admin_fee=np.zeros(capacity, np.uint64),
        offpeg_multiplier=np.zeros((capacity, 4), np.uint64),
    )


def set_stable_pool(
    pools: StablePools,
    row: int,
    kind: int,
    balances: Sequence[int],
    rates: Sequence[int],
    amp: int | tuple[int, int, int, int],
    fee: int,
    admin_fee: int,
    offpeg_multiplier: int = 0,
) -> None:
    """Write a pool. `amp` is A as the contract stores it (times 100 from the template on), or its ramp
    (initial A, future A, initial time, future time). Raises ValueError or OverflowError on bad values."""
    if kind not in (STABLE_THREE_POOL, STABLE_SUSD, STABLE_TEMPLATE, STABLE_FACTORY, STABLE_NG):
        raise ValueError(f"unknown StableSwap kind {kind}")
    if not 2 <= len(balances) == len(rates) <= MAX_COINS:
        raise ValueError(f"{len(balances)} balances and {len(rates)} rates: a pool has 2 to {MAX_COINS}")
    ramp = (amp, amp, 0, 0) if isinstance(amp, int) else amp
    limbs = ints_to_limbs(balances), ints_to_limbs(rates), int_to_limbs(offpeg_multiplier)
    pools.kind[row] = 0
    pools.ramp[row] = ramp
    pools.fee[row], pools.admin_fee[row] = fee, admin_fee
    pools.balances[row], pools.rates[row] = 0, 0
    pools.balances[row, : len(balances)], pools.rates[row, : len(rates)] = limbs[0], limbs[1]
    pools.offpeg_multiplier[row] = limbs[2]
    pools.coins[row], pools.kind[row] = len(balances), kind


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _read(rows, k):
    return make_u256(rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def amp_at_nb(pools, row, timestamp):
    """_A(), or A_precise, at a uint64 timestamp: uint64; 0 where it would revert or is beyond 32 bits."""
    ramp = pools.ramp[row]
    before, after, start, end = ramp[0], ramp[1], ramp[2], ramp[3]
    if before >= _SMALL or after >= _SMALL:
        return _ZERO
    if timestamp >= end:
        return after
    if timestamp < start or end - start >= _SMALL:
        return _ZERO
    if after > before:
        return before + (after - before) * (timestamp - start) // (end - start)
    return before - (before - after) * (timestamp - start) // (end - start)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def fill_xp_nb(pools, row, xp):
    """Write balance * rate / 1e18 of every coin to the stack vector `xp`; false on overflow."""
    ok = True
    for k in range(np.int64(pools.coins[row])):
        ok, product = times_nb(ok, _read(pools.balances[row], k), _read(pools.rates[row], k))
        set_nb(xp, k, over_word_nb(product, _WAD))
    return ok


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _offpeg_fee(ok, fee, multiplier, xpi, xpj):
    """_dynamic_fee: m f / ((m - 1) 4 x_i x_j / (x_i + x_j)^2 + 1), in units of 1e-10."""
    unit = to_u256(_FEE_UNIT)
    if multiplier <= unit:
        return ok, fee
    ok, total = plus_nb(ok, xpi, xpj)
    ok, square = times_nb(ok, total, total)
    ok, weight = times_nb(ok, multiplier - unit, to_u256(_FOUR))
    ok, weight = times_nb(ok, weight, xpi)
    ok, weight = times_over_nb(ok, weight, xpj, square)
    ok, scaled = times_nb(ok, multiplier, fee)
    return over_nb(ok, scaled, weight + unit)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _oracle_is_at_ease(xp, coins, d):
    """Whether nothing in the oracles can overflow or divide by zero: D in [2**40, 2**100), four coins at
    most, each between D / 2**10 and 2**4 D. Then D_r = D / n^n * prod(D / xp) stays below 2**140, products
    with D or xp below 2**244, prices below 2**155, and times 1e18 below 2**215; A n xp / 100 is positive."""
    if coins > 4 or d >= _two_100() or d < _two_40():
        return False
    least, most = d >> _TEN_BITS, d << _FOUR_BITS
    for k in range(coins):
        balance = get_nb(xp, k)
        if balance < least or balance > most:
            return False
    return True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _oracle_accepts(xp, coins, amp, d):
    """Whether NG's price oracles can be brought up to date: they run inside the swap, on xp after it."""
    if d >= _two_128():
        return False
    if _oracle_is_at_ease(xp, coins, d):
        return True
    ok, ratio = True, over_word_nb(d, power_of_coins_nb(coins))
    for k in range(coins):
        ok, ratio = times_over_nb(ok, ratio, d, get_nb(xp, k))
        if not ok:
            return False
    first = get_nb(xp, 0)
    ok, weighted = times_nb(ok, to_u256(amp * np.uint64(coins)), first)
    weighted = over_word_nb(weighted, precision_nb(STABLE_NG))
    for k in range(1, coins):
        ok, price = times_over_nb(ok, ratio, first, get_nb(xp, k))
        ok, price = plus_nb(ok, weighted, price)
        ok, price = times_nb(ok, price, to_u256(_WAD))
        ok, base = plus_nb(ok, weighted, ratio)
        ok, price = over_nb(ok, price, base)
    return ok


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _grown(pools, row, xp, coin_in, amount_in):
    """(ok, x): what the coin sold comes to in 1e18 units. Fills `xp`."""
    ok = fill_xp_nb(pools, row, xp)
    ok, added = times_nb(ok, amount_in, _read(pools.rates[row], coin_in))
    return plus_nb(ok, get_nb(xp, coin_in), over_word_nb(added, _WAD))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _fee_rate(pools, row, xp, coin_in, coin_out, x, y):
    """(ok, the fee of this trade in units of 1e-10, U256)."""
    fee = to_u256(pools.fee[row])
    if pools.kind[row] != STABLE_NG:
        return True, fee
    ok, sum_in = plus_nb(True, get_nb(xp, coin_in), x)
    ok, sum_out = plus_nb(ok, get_nb(xp, coin_out), y)
    multiplier = _read(pools.offpeg_multiplier, row)
    return _offpeg_fee(ok, fee, multiplier, sum_in >> _ONE, sum_out >> _ONE)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _balance_after(pools, row, coin_out, y, fee, paid):
    """(ok, balance of the coin bought after the swap): what is not paid, less the admin's part of the fee.

    The sUSD type computes it afresh from y and the fee instead of subtracting.
    """
    rate = _read(pools.rates[row], coin_out)
    ok, admin = times_nb(True, fee, to_u256(pools.admin_fee[row]))
    admin = over_word_nb(admin, _FEE_UNIT)
    if pools.kind[row] == STABLE_SUSD:
        ok, kept = minus_nb(ok, fee, admin)
        ok, kept = plus_nb(ok, y, kept)
        return times_over_nb(ok, kept, to_u256(_WAD), rate)
    ok, admin = times_over_nb(ok, admin, to_u256(_WAD), rate)
    ok, after = minus_nb(ok, _read(pools.balances[row], coin_out), paid)
    return minus_nb(ok, after, admin)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def exchange_at_nb(pools, row, coin_in, coin_out, amount_in, amp, d, view):
    """`exchange_nb`, or `view_nb` with `view`, with amp uint64 and D U256 known for the pool's state."""
    zero = to_u256(_ZERO)
    kind, coins = pools.kind[row], np.int64(pools.coins[row])
    if kind == STABLE_NG and amount_in == zero and not view:
        return np.int64(INSUFFICIENT_INPUT), zero, zero
    xp = stack_limbs(32)
    ok, x = _grown(pools, row, xp, coin_in, amount_in)
    if not ok:
        return np.int64(OVERFLOW), zero, zero
    ok, y = solve_y_nb(xp, coins, coin_in, x, coin_out, amp, kind, d)
    held = get_nb(xp, coin_out)
    kept = y if kind == STABLE_SUSD else y + to_u256(_ONE)
    if not ok or held < kept:
        return np.int64(INSUFFICIENT_INPUT if ok else OVERFLOW), zero, zero
    ok, fee_rate = _fee_rate(pools, row, xp, coin_in, coin_out, x, y)
    rate, gross, after = _read(pools.rates[row], coin_out), held - kept, zero
    converts_first = view and kind < STABLE_TEMPLATE
    if converts_first:
        ok, gross = times_over_nb(ok, gross, to_u256(_WAD), rate)
    ok, fee = times_nb(ok, gross, fee_rate)
    fee = over_word_nb(fee, _FEE_UNIT)
    ok, paid = minus_nb(ok, gross, fee)
    if not converts_first:
        ok, paid = times_over_nb(ok, paid, to_u256(_WAD), rate)
    if ok and not view:
        ok, after = _balance_after(pools, row, coin_out, y, fee, paid)
        if ok and kind == STABLE_NG:
            set_nb(xp, coin_in, x)
            set_nb(xp, coin_out, y)
            ok = _oracle_accepts(xp, coins, amp, d)
    if not ok:
        return np.int64(OVERFLOW), zero, zero
    return np.int64(OK), paid, after


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def invariant_nb(pools, row, amp):
    """get_D on the pool's state: (ok, D U256 in 1e18 units). `amp` uint64 from `amp_at_nb`."""
    xp = stack_limbs(32)
    if amp == _ZERO or pools.kind[row] == 0 or not fill_xp_nb(pools, row, xp):
        return False, to_u256(_ZERO)
    return solve_d_nb(xp, np.int64(pools.coins[row]), amp, pools.kind[row])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _is_trade(pools, row, coin_in, coin_out):
    coins = np.int64(pools.coins[row])
    return pools.kind[row] != 0 and coin_in != coin_out and 0 <= coin_in < coins and 0 <= coin_out < coins


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _quote(pools, row, coin_in, coin_out, amount_in, timestamp, view):
    zero = to_u256(_ZERO)
    if not _is_trade(pools, row, coin_in, coin_out):
        return np.int64(UNINITIALISED), zero, zero
    amp = amp_at_nb(pools, row, timestamp)
    if view and pools.kind[row] == STABLE_NG:
        amp -= amp % precision_nb(STABLE_NG)
    ok, d = invariant_nb(pools, row, amp)
    if not ok:
        return np.int64(OVERFLOW), zero, zero
    return exchange_at_nb(pools, row, coin_in, coin_out, amount_in, amp, d, view)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def exchange_nb(pools, row, coin_in, coin_out, amount_in, timestamp):
    """What `exchange` or `exchange_received` pays: (status int64, amount out U256, balance after U256).

    `amount_in` U256 is what the pool receives; `timestamp` uint64 is that of the executing block. "Balance
    after" is the pool's of the coin bought, admin fee taken off. INSUFFICIENT_INPUT where so little buys
    nothing, OVERFLOW where the contract's checked arithmetic or an iteration that does not settle reverts.
    The older pools accept an amount of zero.
    """
    return _quote(pools, row, coin_in, coin_out, amount_in, timestamp, False)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def view_nb(pools, row, coin_in, coin_out, amount_in, timestamp):
    """What `get_dy` answers, right or wrong about the payment: (status int64, amount U256)."""
    status, amount_out, _ = _quote(pools, row, coin_in, coin_out, amount_in, timestamp, True)
    return status, amount_out


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def exchanges_nb(pools, rows, coins_in, coins_out, amounts, timestamps, view, statuses, results):
    """Many quotes from the stored states: rows, coins_in, coins_out i64[n], amounts u64[n, 4], timestamps
    u64[n], `view` true for get_dy. Writes statuses i64[n] and results u64[n, 2, 4]: amount and balance after.
    """
    for q in range(len(rows)):
        amount = _read(amounts, q)
        status, paid, after = _quote(pools, rows[q], coins_in[q], coins_out[q], amount, timestamps[q], view)
        statuses[q] = status
        results[q, 0, 0], results[q, 0, 1], results[q, 0, 2], results[q, 0, 3] = _limbs(paid)
        results[q, 1, 0], results[q, 1, 1], results[q, 1, 2], results[q, 1, 3] = _limbs(after)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _limbs(value):
    return limb0(value), limb1(value), limb2(value), limb3(value)


def exchange(
    pools: StablePools,
    row: int,
    coin_in: int,
    coin_out: int,
    amount_in: int,
    timestamp: int,
    *,
    view: bool = False,
) -> tuple[int, int, int]:
    """(status, amount out, balance of that coin after), or what get_dy says with `view`.

    Raises OverflowError for an amount outside 256 bits or a timestamp outside 64."""
    statuses, results = np.zeros(1, np.int64), np.zeros((1, 2, 4), np.uint64)
    exchanges_nb(
        pools,
        np.array([row]),
        np.array([coin_in]),
        np.array([coin_out]),
        int_to_limbs(amount_in).reshape(1, 4),
        int_to_limbs(timestamp, 1),
        view,
        statuses,
        results,
    )
    return int(statuses[0]), limbs_to_int(results[0, 0]), limbs_to_int(results[0, 1])
