"""Many swaps of concentrated-liquidity forks in one compiled call, for the tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engine.amm.concentrated_forks import fork_quotes_nb, fork_swaps_nb
from engine.amm.layout import (
    MAX_SQRT_RATIO,
    MIN_SQRT_RATIO,
    PoolArrays,
    allocate,
    int_to_limbs,
    ints_to_limbs,
    limbs_to_ints,
    signed_to_limbs,
)


@dataclass(frozen=True)
class State:
    """A pool's pricing state; `ticks` are (tick, liquidityNet), ascending."""

    sqrt_price: int
    tick: int
    liquidity: int
    spacing: int
    ticks: tuple[tuple[int, int], ...]
    reserves: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Swap:
    """`fee` is what the contract charges; for V4 composed of its two parts."""

    state: State
    rules: int
    zero_for_one: bool
    exact_in: bool
    amount: int
    fee: int
    limit: int | None = None

    @property
    def price_limit(self) -> int:
        extreme = MIN_SQRT_RATIO + 1 if self.zero_for_one else MAX_SQRT_RATIO - 1
        return extreme if self.limit is None else self.limit


@dataclass(frozen=True)
class Answer:
    status: int
    amount_in: int
    amount_out: int
    sqrt_price: int
    liquidity: int
    tick: int


def rows_of(states: Iterable[State]) -> PoolArrays:
    states = list(states)
    pools = allocate(max(len(states), 1), max(sum(len(state.ticks) for state in states), 1))
    start = 0
    for row, state in enumerate(states):
        pools.sqrt_price[row] = int_to_limbs(state.sqrt_price)
        pools.liquidity[row] = int_to_limbs(state.liquidity, 2)
        pools.reserves[row] = ints_to_limbs(state.reserves, 2)
        pools.tick[row], pools.tick_spacing[row] = state.tick, state.spacing
        pools.tick_start[row], pools.tick_count[row] = start, len(state.ticks)
        for tick, net in state.ticks:
            pools.arena_tick[start] = tick
            pools.arena_net[start] = signed_to_limbs(net)
            start += 1
    return pools


def arguments_of(swaps: list[Swap]) -> tuple[np.ndarray, ...]:
    """The columns both batch kernels take: rows, rules, fees, zero_for_one, exact_in, amounts."""
    return (
        np.arange(len(swaps), dtype=np.int32),
        np.array([swap.rules for swap in swaps], np.uint8),
        np.array([swap.fee for swap in swaps], np.uint32),
        np.array([swap.zero_for_one for swap in swaps], bool),
        np.array([swap.exact_in for swap in swaps], bool),
        ints_to_limbs(swap.amount for swap in swaps),
    )


def run(swaps: list[Swap]) -> list[Answer]:
    """`fork_swaps_nb` on one row per swap."""
    count = len(swaps)
    statuses = np.zeros(count, np.int64)
    results = np.zeros((count, 2, 4), np.uint64)
    states = np.zeros((count, 3, 4), np.uint64)
    fork_swaps_nb(
        rows_of(swap.state for swap in swaps),
        *arguments_of(swaps),
        ints_to_limbs(swap.price_limit for swap in swaps),
        statuses,
        results,
        states,
    )
    amounts_in, amounts_out = limbs_to_ints(results[:, 0]), limbs_to_ints(results[:, 1])
    prices, liquidity = limbs_to_ints(states[:, 0]), limbs_to_ints(states[:, 1])
    ticks = states[:, 2, 0].astype(np.int64)
    return [
        Answer(int(statuses[i]), amounts_in[i], amounts_out[i], prices[i], liquidity[i], int(ticks[i]))
        for i in range(count)
    ]


def run_quotes(swaps: list[Swap]) -> list[tuple[int, int]]:
    """(status, amount) of `fork_quotes_nb`."""
    statuses, results = np.zeros(len(swaps), np.int64), np.zeros((len(swaps), 4), np.uint64)
    fork_quotes_nb(rows_of(swap.state for swap in swaps), *arguments_of(swaps), statuses, results)
    return list(zip(statuses.tolist(), limbs_to_ints(results), strict=True))
