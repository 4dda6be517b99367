"""Curve StableSwap liquidity as a hop: one coin into pool tokens and back; a metapool's underlying quote.

`withdraw_one_nb` is `calc_withdraw_one_coin`, which is what `remove_liquidity_one_coin` pays.
`deposit_view_nb` is `calc_token_amount`, which leaves out the fee on an unbalanced deposit: it says more than
`add_liquidity` mints. `underlying_view_nb` is `get_dy_underlying` of the 2020-2022 metapools, which takes
half the base pool's fee for that deposit: a view, for prices, not a promise of `exchange_underlying`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.layout import INSUFFICIENT_INPUT, OK, OVERFLOW, UNINITIALISED, int_to_limbs, limbs_to_int
from engine.amm.stable_invariant import (
    STABLE_NG,
    get_nb,
    minus_nb,
    over_nb,
    over_word_nb,
    plus_nb,
    set_nb,
    solve_d_nb,
    solve_y_nb,
    times_nb,
    times_over_nb,
)
from engine.amm.stableswap import FEE_DENOMINATOR, StablePools, amp_at_nb, fill_xp_nb, view_nb
from engine.amm.wide import limb0, limb1, limb2, limb3, make_u256, to_u256
from engine.amm.wide_digits import stack_limbs

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_WAD = np.uint64(10**18)
_FEE_UNIT = np.uint64(FEE_DENOMINATOR)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _rate(pools, row, coin):
    rates = pools.rates
    return make_u256(rates[row, coin, 0], rates[row, coin, 1], rates[row, coin, 2], rates[row, coin, 3])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _has_coin(pools, row, coin):
    # NG's fee on liquidity is dynamic, another formula than the one here.
    kind = pools.kind[row]
    return kind != 0 and kind != STABLE_NG and 0 <= coin < np.int64(pools.coins[row])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def deposit_view_nb(pools, row, coin, amount, supply, timestamp):
    """`calc_token_amount` for one coin: (status, pool tokens U256); `supply` U256 is theirs before."""
    zero = to_u256(_ZERO)
    if not _has_coin(pools, row, coin):
        return np.int64(UNINITIALISED), zero
    xp = stack_limbs(32)
    amp, kind, coins = amp_at_nb(pools, row, timestamp), pools.kind[row], np.int64(pools.coins[row])
    ok = fill_xp_nb(pools, row, xp)
    if not ok or amp == _ZERO:
        return np.int64(OVERFLOW), zero
    ok, before = solve_d_nb(xp, coins, amp, kind)
    limbs = pools.balances[row, coin]
    ok, held = plus_nb(ok, make_u256(limbs[0], limbs[1], limbs[2], limbs[3]), amount)
    ok, held = times_nb(ok, held, _rate(pools, row, coin))
    if not ok:
        return np.int64(OVERFLOW), zero
    set_nb(xp, coin, over_word_nb(held, _WAD))
    ok, after = solve_d_nb(xp, coins, amp, kind)
    ok, grown = minus_nb(ok, after, before)
    ok, minted = times_over_nb(ok, grown, supply, before)
    return np.int64(OK if ok else OVERFLOW), minted


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _take_fees(xp, reduced, coins, coin, fee, new_y, before, after):
    """Charge every coin for its distance from a balanced withdrawal; false where the contract reverts."""
    ok = True
    for k in range(coins):
        held = get_nb(xp, k)
        ok, share = times_over_nb(ok, held, after, before)
        if k == coin:
            ok, distance = minus_nb(ok, share, new_y)
        else:
            ok, distance = minus_nb(ok, held, share)
        ok, charge = times_nb(ok, fee, distance)
        ok, held = minus_nb(ok, held, over_word_nb(charge, _FEE_UNIT))
        set_nb(reduced, k, held)
    return ok


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def withdraw_one_nb(pools, row, coin, burnt, supply, timestamp):
    """`calc_withdraw_one_coin`: (status, amount of `coin` U256) for `burnt` U256 pool tokens of `supply`."""
    zero = to_u256(_ZERO)
    if not _has_coin(pools, row, coin):
        return np.int64(UNINITIALISED), zero
    xp, reduced = stack_limbs(32), stack_limbs(32)
    amp, kind, coins = amp_at_nb(pools, row, timestamp), pools.kind[row], np.int64(pools.coins[row])
    ok = fill_xp_nb(pools, row, xp)
    if not ok or amp == _ZERO:
        return np.int64(OVERFLOW), zero
    ok, before = solve_d_nb(xp, coins, amp, kind)
    ok, share = times_over_nb(ok, burnt, before, supply)
    ok, after = minus_nb(ok, before, share)
    if not ok:
        return np.int64(OVERFLOW), zero
    ok, new_y = solve_y_nb(xp, coins, np.int64(-1), zero, coin, amp, kind, after)
    fee = to_u256(pools.fee[row] * np.uint64(coins) // np.uint64(4 * (coins - 1)))
    if not ok or not _take_fees(xp, reduced, coins, coin, fee, new_y, before, after):
        return np.int64(OVERFLOW), zero
    ok, last_y = solve_y_nb(reduced, coins, np.int64(-1), zero, coin, amp, kind, after)
    ok, paid = minus_nb(ok, get_nb(reduced, coin), last_y)
    if ok and paid == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    ok, paid = times_over_nb(ok, paid - to_u256(_ONE), to_u256(_WAD), _rate(pools, row, coin))
    return np.int64(OK if ok else OVERFLOW), paid


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _meta_output(pools, meta, coin_in, coin_out, added, timestamp):
    """The metapool's own part: `added` is in 1e18 units; (ok, amount of its `coin_out`)."""
    xp = stack_limbs(32)
    amp, kind = amp_at_nb(pools, meta, timestamp), pools.kind[meta]
    zero, coins = to_u256(_ZERO), np.int64(pools.coins[meta])
    if amp == _ZERO or not fill_xp_nb(pools, meta, xp):
        return False, zero
    ok, d = solve_d_nb(xp, coins, amp, kind)
    ok, x = plus_nb(ok, get_nb(xp, coin_in), added)
    if not ok:
        return False, zero
    ok, y = solve_y_nb(xp, coins, coin_in, x, coin_out, amp, kind, d)
    ok, gross = minus_nb(ok, get_nb(xp, coin_out), y)
    ok, gross = minus_nb(ok, gross, to_u256(_ONE))
    ok, fee = times_nb(ok, gross, to_u256(pools.fee[meta]))
    ok, paid = minus_nb(ok, gross, over_word_nb(fee, _FEE_UNIT))
    return times_over_nb(ok, paid, to_u256(_WAD), _rate(pools, meta, coin_out))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def underlying_view_nb(pools, meta, base, coin_in, coin_out, amount, supply, timestamp):
    """`get_dy_underlying` of metapool row `meta` on base pool row `base`: (status, amount U256).

    Coin 0 is the metapool's own, coin 1 + k the base pool's coin k; `supply` U256 is the base token's.
    """
    zero, one = to_u256(_ZERO), np.int64(1)
    last = np.int64(pools.coins[base])
    if coin_in == coin_out or not (0 <= coin_in <= last and 0 <= coin_out <= last) or pools.kind[meta] == 0:
        return np.int64(UNINITIALISED), zero
    if coin_in > 0 and coin_out > 0:
        return view_nb(pools, base, coin_in - one, coin_out - one, amount, timestamp)
    if coin_in > 0:
        status, amount = deposit_view_nb(pools, base, coin_in - one, amount, supply, timestamp)
        if status != OK:
            return status, zero
    ok, added = times_nb(True, amount, _rate(pools, meta, np.int64(coin_in > 0)))
    added = over_word_nb(added, _WAD)
    if coin_in > 0:
        ok, fee = times_nb(ok, added, to_u256(pools.fee[base]))
        ok, fee = over_nb(ok, fee, to_u256(np.uint64(2) * _FEE_UNIT))
        ok, added = minus_nb(ok, added, fee)
    if not ok:
        return np.int64(OVERFLOW), zero
    ok, paid = _meta_output(pools, meta, np.int64(coin_in > 0), np.int64(coin_out > 0), added, timestamp)
    if not ok:
        return np.int64(OVERFLOW), zero
    if coin_out == 0:
        return np.int64(OK), paid
    return withdraw_one_nb(pools, base, coin_out - one, paid, supply, timestamp)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _underlying_row(pools, meta, base, coin_in, coin_out, amount, supply, timestamp, result):
    status, paid = underlying_view_nb(
        pools,
        meta,
        base,
        coin_in,
        coin_out,
        make_u256(amount[0], amount[1], amount[2], amount[3]),
        make_u256(supply[0], supply[1], supply[2], supply[3]),
        np.uint64(timestamp),
    )
    result[0], result[1], result[2], result[3] = limb0(paid), limb1(paid), limb2(paid), limb3(paid)
    return status


def underlying_view(
    pools: StablePools,
    meta: int,
    base: int,
    coin_in: int,
    coin_out: int,
    amount: int,
    supply: int,
    timestamp: int,
) -> tuple[int, int]:
    """`underlying_view_nb` for Python: (status, amount out). Raises OverflowError beyond 256 bits."""
    result, limbs = np.zeros(4, np.uint64), (int_to_limbs(amount), int_to_limbs(supply))
    status = _underlying_row(pools, meta, base, coin_in, coin_out, *limbs, timestamp, result)
    return int(status), limbs_to_int(result)
