"""Carrying out cycles one after the other on a private copy of the pools' exact state, compiled.

The amounts are those the router moves, as in `verify`: the last hop sells exactly, every earlier one buys
what the next one owes. After a cycle the pools stand where the contracts would, to the wei.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.amm.concentrated import highest_limit_nb, lowest_limit_nb
from engine.amm.concentrated_forks import fork_swap_nb
from engine.amm.layout import FLOORED_FEE, KIND_V2, KIND_V3, OK, TICK_LIST, PoolArrays
from engine.amm.wide import limb0, limb1, limb2, limb3, make_u256, to_float
from engine.search.double_double import dd_to_u256_nb
from engine.search.joint_cycles import MAX_CYCLE_HOPS
from engine.search.sizing import HOP_COLUMNS, optimum_nb
from engine.search.verify import evaluate_nb

_ZERO = np.uint64(0)


def private_state(pools: PoolArrays) -> PoolArrays:
    """The pools with state of their own to trade on; what trades don't change is shared."""
    return pools._replace(
        reserves=pools.reserves.copy(),
        sqrt_price=pools.sqrt_price.copy(),
        liquidity=pools.liquidity.copy(),
        tick=pools.tick.copy(),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def apply_swap_nb(pools, edge, amount_in, amount_out, exact_in):
    """Move the pool of a directed edge (V2- or V3-shaped) through a swap of these U256 amounts; False, and
    nothing moved, when the pool does not oblige."""
    row, zero_for_one = edge >> 1, (edge & 1) == 0
    if pools.kind[row] == KIND_V2 and pools.rules[row] != FLOORED_FEE:
        d = edge & 1
        reserves = pools.reserves
        held = make_u256(reserves[row, d, 0], reserves[row, d, 1], _ZERO, _ZERO) + amount_in
        left = make_u256(reserves[row, 1 - d, 0], reserves[row, 1 - d, 1], _ZERO, _ZERO) - amount_out
        reserves[row, d, 0], reserves[row, d, 1] = limb0(held), limb1(held)
        reserves[row, 1 - d, 0], reserves[row, 1 - d, 1] = limb0(left), limb1(left)
        return True
    if pools.kind[row] != KIND_V3 or pools.rules[row] == TICK_LIST:
        return False
    limit = lowest_limit_nb() if zero_for_one else highest_limit_nb()
    amount = amount_in if exact_in else amount_out
    rules, fee_pips = pools.rules[row], pools.fee_pips[row, edge & 1]
    status, _, _, price, liquidity, tick = fork_swap_nb(
        pools, row, rules, fee_pips, zero_for_one, amount, exact_in, limit
    )
    if status != OK:
        return False
    pools.sqrt_price[row, 0], pools.sqrt_price[row, 1] = limb0(price), limb1(price)
    pools.sqrt_price[row, 2], pools.sqrt_price[row, 3] = limb2(price), limb3(price)
    pools.liquidity[row, 0], pools.liquidity[row, 1] = limb0(liquidity), limb1(liquidity)
    pools.tick[row] = tick
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _limbs_nb(amounts, position):
    return make_u256(amounts[position, 0], amounts[position, 1], amounts[position, 2], amounts[position, 3])


@njit(nogil=True, cache=True, error_model="numpy")
def apply_cycle_nb(pools, edges, hops, amounts, moved):
    """Move the pools of a verified cycle; `amounts` u64[hops + 1, 4] as `evaluate_nb` writes them.

    `moved` u8[hops] is 0 for pools whose state this cannot move: they must not be used again.
    """
    for hop in range(hops):
        sold, bought = _limbs_nb(amounts, hop), _limbs_nb(amounts, hop + 1)
        exact_in = np.bool_(hop == hops - 1)
        moved[hop] = apply_swap_nb(pools, edges[hop], sold, bought, exact_in)


@njit(nogil=True, cache=True, error_model="numpy")
def execute_nb(
    pools: PoolArrays,
    cycles: NDArray[np.int32],
    wanted: NDArray[np.float64],
    least: NDArray[np.float64],
    amounts: NDArray[np.uint64],
    done: NDArray[np.uint8],
) -> None:
    """Carry out cycles i32[n, MAX_CYCLE_HOPS] of directed edges (-1 after the last), moving `pools`.

    `wanted` f64[n] is what each may sell first; less is sold where the cycle's own optimum is by now smaller.
    One that gains less than `least` f64[n] base units, or nothing, is left out. `amounts`
    u64[n, MAX_CYCLE_HOPS + 1, 4] receives the inputs and, after the last, the output; `done` u8[n] is 1 for
    those carried out.
    """
    state = np.zeros((MAX_CYCLE_HOPS, HOP_COLUMNS), np.float64)
    cursor = np.zeros(MAX_CYCLE_HOPS, np.int64)
    moved = np.zeros(MAX_CYCLE_HOPS, np.uint8)
    first = np.int64(0)
    for n in range(len(cycles)):
        edges = cycles[n]
        hops = 0
        while hops < MAX_CYCLE_HOPS and edges[hops] >= 0:
            hops += 1
        done[n] = 0
        best, _ = optimum_nb(pools, edges, hops, state, cursor)
        if best[0] > wanted[n]:
            best = (wanted[n], 0.0)
        if not best[0] >= 1.0:
            continue
        if not evaluate_nb(pools, edges, hops, first, dd_to_u256_nb(best), amounts[n]):
            continue
        sold, bought = _limbs_nb(amounts[n], 0), _limbs_nb(amounts[n], hops)
        if bought > sold and to_float(bought - sold) >= least[n]:
            apply_cycle_nb(pools, edges, hops, amounts[n], moved)
            done[n] = 1


@njit(nogil=True, cache=True, error_model="numpy")
def sell_along_nb(
    pools: PoolArrays,
    edges: NDArray[np.int32],
    position: int,
    amount: NDArray[np.uint64],
    amounts: NDArray[np.uint64],
) -> bool:
    """What selling `amount` u64[1, 4] at hop `position` of a path of directed edges i32[n] moves, into
    `amounts` u64[n + 1, 4] as `evaluate_nb` writes them; False when a pool refuses. Moves nothing."""
    return evaluate_nb(pools, edges, len(edges), position, _limbs_nb(amount, 0), amounts)
