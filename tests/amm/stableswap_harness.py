"""StableSwap pools as the tests write them, and Python calls of what the engine calls from compiled code."""

from __future__ import annotations

import numpy as np
from numba import njit
from stableswap_reference import FACTORY, NG, SUSD, TEMPLATE, THREE_POOL, StablePool

from engine.amm.layout import int_to_limbs, ints_to_limbs, limbs_to_int
from engine.amm.stable_invariant import (
    STABLE_FACTORY,
    STABLE_NG,
    STABLE_SUSD,
    STABLE_TEMPLATE,
    STABLE_THREE_POOL,
    set_nb,
    solve_d_nb,
    solve_y_nb,
)
from engine.amm.stable_liquidity import deposit_view_nb, withdraw_one_nb
from engine.amm.stableswap import StablePools, exchange, new_stable_pools, set_stable_pool
from engine.amm.wide import limb0, limb1, limb2, limb3, make_u256
from engine.amm.wide_digits import stack_limbs

KIND_OF = {
    THREE_POOL: STABLE_THREE_POOL,
    SUSD: STABLE_SUSD,
    TEMPLATE: STABLE_TEMPLATE,
    FACTORY: STABLE_FACTORY,
    NG: STABLE_NG,
}


def store(pools: StablePools, row: int, pool: StablePool) -> None:
    kind = KIND_OF[pool.generation]
    set_stable_pool(
        pools, row, kind, pool.balances, pool.rates, pool.ramp, pool.fee, pool.admin_fee, pool.multiplier
    )


def quote(
    pool: StablePool, i: int, j: int, dx: int, timestamp: int, view: bool = False
) -> tuple[int, int, int]:
    pools = new_stable_pools(1)
    store(pools, 0, pool)
    return exchange(pools, 0, i, j, dx, timestamp, view=view)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=False)
def _solve(rows, known, x, missing, amp, kind, d, result):
    """get_D when `missing` is negative, get_y or get_y_D otherwise."""
    xp = stack_limbs(32)
    for k in range(len(rows)):
        set_nb(xp, k, make_u256(rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3]))
    if missing < 0:
        ok, value = solve_d_nb(xp, len(rows), amp, kind)
    else:
        wide_x = make_u256(x[0], x[1], x[2], x[3])
        wide_d = make_u256(d[0], d[1], d[2], d[3])
        ok, value = solve_y_nb(xp, len(rows), known, wide_x, missing, amp, kind, wide_d)
    result[0], result[1], result[2], result[3] = limb0(value), limb1(value), limb2(value), limb3(value)
    return ok


def solve_d(xp: list[int], amp: int, kind: int) -> tuple[bool, int]:
    return solve_y(xp, -1, 0, -1, amp, kind, 0)


def solve_y(xp: list[int], known: int, x: int, missing: int, amp: int, kind: int, d: int) -> tuple[bool, int]:
    result = np.zeros(4, np.uint64)
    limbs = int_to_limbs(x), int_to_limbs(d)
    ok = _solve(ints_to_limbs(xp), known, limbs[0], missing, np.uint64(amp), np.uint8(kind), limbs[1], result)
    return bool(ok), limbs_to_int(result)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=False)
def _liquidity(pools, row, coin, amount, supply, timestamp, deposit, result):
    wide_amount = make_u256(amount[0], amount[1], amount[2], amount[3])
    wide_supply = make_u256(supply[0], supply[1], supply[2], supply[3])
    if deposit:
        status, value = deposit_view_nb(pools, row, coin, wide_amount, wide_supply, np.uint64(timestamp))
    else:
        status, value = withdraw_one_nb(pools, row, coin, wide_amount, wide_supply, np.uint64(timestamp))
    result[0], result[1], result[2], result[3] = limb0(value), limb1(value), limb2(value), limb3(value)
    return status


def deposit_view(
    pools: StablePools, row: int, coin: int, amount: int, supply: int, timestamp: int
) -> tuple[int, int]:
    result = np.zeros(4, np.uint64)
    limbs = int_to_limbs(amount), int_to_limbs(supply)
    return int(_liquidity(pools, row, coin, *limbs, timestamp, True, result)), limbs_to_int(result)


def withdraw_one(
    pools: StablePools, row: int, coin: int, burnt: int, supply: int, timestamp: int
) -> tuple[int, int]:
    result = np.zeros(4, np.uint64)
    limbs = int_to_limbs(burnt), int_to_limbs(supply)
    return int(_liquidity(pools, row, coin, *limbs, timestamp, False, result)), limbs_to_int(result)
