"""Pool state as arrays: the one memory layout the kernels read and the market writes.

A pool is a row. Integers wider than 64 bits are rows of little-endian `uint64` limbs: two for reserves,
liquidity and liquidityNet (two's complement), four for sqrt prices and amounts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

KIND_EMPTY = 0
KIND_V2 = 1
KIND_V3 = 2

# What a quote answers besides its amounts.
OK = 0
INSUFFICIENT_LIQUIDITY = 1  # the pool cannot pay it, or runs dry first
INSUFFICIENT_INPUT = 2  # the amount is zero
OVERFLOW = 3  # the contract's checked arithmetic or uint112/uint128/uint160 cast reverts
OUT_OF_KNOWN = 4  # the price would leave the range whose ticks are known
PARTIAL = 5  # the price limit was reached before the amount was used
UNINITIALISED = 6  # no such pool, or a V3 pool without a price
BAD_LIMIT = 7  # the price limit is on the wrong side of the price or outside the legal range

STATUS_NAMES = {
    OK: "ok",
    INSUFFICIENT_LIQUIDITY: "insufficient liquidity",
    INSUFFICIENT_INPUT: "zero amount",
    OVERFLOW: "overflow",
    OUT_OF_KNOWN: "outside the known tick range",
    PARTIAL: "price limit reached",
    UNINITIALISED: "pool not initialised",
    BAD_LIMIT: "price limit on the wrong side of the price",
}

EVENT_V2_SYNC = 1
EVENT_V3_SWAP = 2
EVENT_V3_MINT = 3
EVENT_V3_BURN = 4
EVENT_V3_INITIALIZE = 5

MIN_TICK = -887272
MAX_TICK = 887272
MIN_SQRT_RATIO = 4295128739
MAX_SQRT_RATIO = 1461446703485210103287273052203988822378723970342

LIMB_BITS = 64
_LIMB_MASK = (1 << LIMB_BITS) - 1


class PoolArrays(NamedTuple):
    """Struct of arrays over P pool rows and T ticks (capacities: rows past the count have kind 0).

    V3 ticks of row r are `arena_tick[tick_start[r] : tick_start[r] + tick_count[r]]`, ascending: every tick
    with liquidityGross > 0 (its bitmap bit set), including those whose liquidityNet is zero, because the
    contract stops and rounds there too.
    """

    kind: NDArray[np.uint8]  # [P] KIND_*
    token0: NDArray[np.int32]  # [P] token row
    token1: NDArray[np.int32]  # [P] token row
    fee_pips: NDArray[np.uint32]  # [P] 1e-6 of the input, below 1e6
    reserves: NDArray[np.uint64]  # [P, 2, 2] V2 reserve0 and reserve1, uint112
    sqrt_price: NDArray[np.uint64]  # [P, 4] V3 sqrtPriceX96, uint160; zero before Initialize
    liquidity: NDArray[np.uint64]  # [P, 2] V3 active liquidity, uint128
    tick: NDArray[np.int32]  # [P] slot0.tick (may be one below the tick of the price after a down-crossing)
    tick_spacing: NDArray[np.int32]  # [P] positive for V3
    tick_start: NDArray[np.int64]  # [P] first index in the tick arena
    tick_count: NDArray[np.int32]  # [P] number of initialised ticks
    known_low: NDArray[np.int32]  # [P] the tick map is known from here ...
    known_high: NDArray[np.int32]  # [P] ... to here, both included; MIN_TICK and MAX_TICK when complete
    arena_tick: NDArray[np.int32]  # [T]
    arena_net: NDArray[np.uint64]  # [T, 2] liquidityNet, int128 two's complement
    arena_gross: NDArray[np.uint64]  # [T, 2] liquidityGross, uint128; not read by quotes, kept for burns


class StateEvents(NamedTuple):
    """One block's pool events in log order, n rows.

    `a`: Sync reserve0 | Swap and Initialize sqrt price | Mint and Burn liquidity amount.
    `b`: Sync reserve1 | Swap liquidity. `tick_lower`: Mint and Burn lower tick | Swap and Initialize tick.
    """

    kind: NDArray[np.uint8]  # [n] EVENT_*
    pool: NDArray[np.int32]  # [n] pool row
    a: NDArray[np.uint64]  # [n, 4]
    b: NDArray[np.uint64]  # [n, 4]
    tick_lower: NDArray[np.int32]  # [n]
    tick_upper: NDArray[np.int32]  # [n]


def allocate(pool_capacity: int, tick_capacity: int) -> PoolArrays:
    """Empty arrays for that many pools and ticks. A fresh row is KIND_EMPTY with the whole range known."""
    pools, ticks = pool_capacity, tick_capacity
    return PoolArrays(
        kind=np.zeros(pools, np.uint8),
        token0=np.zeros(pools, np.int32),
        token1=np.zeros(pools, np.int32),
        fee_pips=np.zeros(pools, np.uint32),
        reserves=np.zeros((pools, 2, 2), np.uint64),
        sqrt_price=np.zeros((pools, 4), np.uint64),
        liquidity=np.zeros((pools, 2), np.uint64),
        tick=np.zeros(pools, np.int32),
        tick_spacing=np.ones(pools, np.int32),
        tick_start=np.zeros(pools, np.int64),
        tick_count=np.zeros(pools, np.int32),
        known_low=np.full(pools, MIN_TICK, np.int32),
        known_high=np.full(pools, MAX_TICK, np.int32),
        arena_tick=np.zeros(ticks, np.int32),
        arena_net=np.zeros((ticks, 2), np.uint64),
        arena_gross=np.zeros((ticks, 2), np.uint64),
    )


def grow(pools: PoolArrays, pool_capacity: int, tick_capacity: int) -> PoolArrays:
    """A copy with at least the given capacities; existing rows keep their index and contents."""
    larger = allocate(max(pool_capacity, len(pools.kind)), max(tick_capacity, len(pools.arena_tick)))
    for name in PoolArrays._fields:
        old: NDArray = getattr(pools, name)
        new: NDArray = getattr(larger, name)
        new[: len(old)] = old
    return larger


def copy_pools(pools: PoolArrays) -> PoolArrays:
    """A deep copy, sharing no memory."""
    copies: list[Any] = [array.copy() for array in pools]
    return PoolArrays(*copies)


def allocate_events(count: int) -> StateEvents:
    """Zeroed arrays for `count` events."""
    return StateEvents(
        kind=np.zeros(count, np.uint8),
        pool=np.zeros(count, np.int32),
        a=np.zeros((count, 4), np.uint64),
        b=np.zeros((count, 4), np.uint64),
        tick_lower=np.zeros(count, np.int32),
        tick_upper=np.zeros(count, np.int32),
    )


def int_to_limbs(value: int, limbs: int = 4) -> NDArray[np.uint64]:
    """`value` as u64[limbs], little-endian. Raises OverflowError when negative or too wide."""
    if value < 0 or value >> (LIMB_BITS * limbs):
        raise OverflowError(f"{value} does not fit {LIMB_BITS * limbs} unsigned bits")
    return np.array([(value >> (LIMB_BITS * k)) & _LIMB_MASK for k in range(limbs)], np.uint64)


def limbs_to_int(limbs: NDArray[np.uint64]) -> int:
    """The unsigned integer of a u64[k] row."""
    result = 0
    for k, limb in enumerate(limbs.tolist()):
        result |= limb << (LIMB_BITS * k)
    return result


def signed_to_limbs(value: int, limbs: int = 2) -> NDArray[np.uint64]:
    """`value` in two's complement as u64[limbs]. Raises OverflowError when it does not fit."""
    half = 1 << (LIMB_BITS * limbs - 1)
    if not -half <= value < half:
        raise OverflowError(f"{value} does not fit {LIMB_BITS * limbs} signed bits")
    return int_to_limbs(value % (2 * half), limbs)


def limbs_to_signed(limbs: NDArray[np.uint64]) -> int:
    """The two's complement integer of a u64[k] row."""
    value = limbs_to_int(limbs)
    bits = LIMB_BITS * len(limbs)
    return value - (1 << bits) if value >> (bits - 1) else value


def ints_to_limbs(values: Iterable[int], limbs: int = 4) -> NDArray[np.uint64]:
    """u64[n, limbs] of non-negative integers. Raises OverflowError as `int_to_limbs` does."""
    width = 8 * limbs
    data = b"".join(value.to_bytes(width, "little") for value in values)
    return np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(-1, limbs)


def signeds_to_limbs(values: Iterable[int], limbs: int = 2) -> NDArray[np.uint64]:
    """u64[n, limbs] of signed integers in two's complement. Raises OverflowError when one does not fit."""
    width = 8 * limbs
    data = b"".join(value.to_bytes(width, "little", signed=True) for value in values)
    return np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(-1, limbs)


def limbs_to_ints(rows: NDArray[np.uint64]) -> list[int]:
    """The unsigned integers of a u64[n, k] array."""
    width = 8 * rows.shape[1]
    data = np.ascontiguousarray(rows, dtype="<u8").tobytes()
    return [int.from_bytes(data[i : i + width], "little") for i in range(0, len(data), width)]
