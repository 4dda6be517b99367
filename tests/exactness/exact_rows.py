"""Quotes as the engine asks for them: rows of `PoolArrays`, and `quotes_nb` over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.amm.families.table import make_ready
from engine.amm.layout import PoolArrays, allocate, ints_to_limbs
from engine.amm.quote import quotes_nb


def word_rows(
    kind: int, states: Sequence[NDArray[np.uint64]], coins: Sequence[Sequence[int]], time: int = 0
) -> PoolArrays:
    """A row for each pool's words and its (coin sold, coin bought), which are the row's token0 and token1.
    `time` is the block's."""
    make_ready(kind)
    count, sizes = len(coins), [len(words) for words in states]
    pools = allocate(count, 1, sum(sizes))
    pools.words[:] = np.concatenate(states)
    starts = np.cumsum([0, *sizes[:-1]])
    pools.kind[:], pools.clock[0] = kind, time
    pools.word_start[:], pools.word_count[:] = starts, sizes
    pools.coin0[:], pools.coin1[:] = np.array(coins, np.uint8).T
    return pools


def quoted(
    pools: PoolArrays, zero_for_one: NDArray[np.bool_], exact_in: NDArray[np.bool_], amounts: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """(statuses i64[n], results u64[n, 4]), the i-th amount on row i."""
    count = len(amounts)
    statuses, results = np.zeros(count, np.int64), np.zeros((count, 4), np.uint64)
    rows = np.arange(count, dtype=np.int32)
    quotes_nb(pools, rows, zero_for_one, exact_in, ints_to_limbs(amounts), statuses, results)
    return statuses, results
