"""Pool state as arrays: the one memory layout the kernels read and the market writes.

A row is one pair of tokens of one pool: a pool of n tokens has n (n - 1) / 2 consecutive rows, which share
its state. Integers wider than 64 bits are rows of little-endian `uint64` limbs: two for reserves,
liquidity and liquidityNet (two's complement), four for sqrt prices and amounts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

KIND_EMPTY = 0
KIND_V2 = 1
KIND_V3 = 2  # and every fork, by `rules`
# The state of these is a slice of words; they are called through `PoolArrays.calls` (engine.amm.families).
KIND_SOLIDLY = 3
KIND_CURVE_STABLE = 4
KIND_TWOCRYPTO = 5
KIND_TRICRYPTO = 6
KIND_BALANCER_V2_WEIGHTED = 7
KIND_BALANCER_V2_STABLE = 8
KIND_BALANCER_V3_WEIGHTED = 9
KIND_BALANCER_V3_STABLE = 10
KIND_ERC4626 = 11
KIND_WSTETH = 12
KIND_WETH = 13
KIND_COUNT = 14

# `rules` of a KIND_V3 row: what a fork changes in V3's loop (engine.amm.concentrated_forks).
TICK_WORDS = 0  # nothing but where the fee comes from: V3, Slipstream, Algebra V1
TICK_LIST = 1  # no stops at the edges of 256-tick words: Algebra V2 and Integral
V4 = 2
# `rules` of a KIND_V2 row.
FLOORED_FEE = 1  # the swap floors the fee in 1e-5 before its check (engine.amm.directional_fee)

# Addresses of compiled families in this process, [kind, CALL_*]; zero until `families.table.make_ready`.
CALL_QUOTE, CALL_ESTIMATE = 0, 1
CALLS: NDArray[np.uint64] = np.zeros((KIND_COUNT, 2), np.uint64)

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
EVENT_SOLIDLY_SYNC = 6
EVENT_FEES = 7
EVENT_PROTOCOL_FEE = 8
EVENT_SWAP_FEE = 9

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
    group: NDArray[np.int32]  # [P] first row of the pool; a cycle uses a group once
    coin0: NDArray[np.uint8]  # [P] token0's place among the contract's coins
    coin1: NDArray[np.uint8]  # [P] token1's
    fee_pips: NDArray[np.uint32]  # [P, 2] 1e-6 of the input, for selling token0 and token1; V2 and V3 kinds
    rules: NDArray[np.uint8]  # [P] variant within the kind
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
    words: NDArray[np.uint64]  # [W] exact state of all other kinds, one slice per pool
    word_start: NDArray[np.int64]  # [P] first word of the pool's slice
    word_count: NDArray[np.int32]  # [P] its length
    clock: NDArray[np.uint64]  # [1] timestamp of the block to trade in, seconds
    calls: NDArray[np.uint64]  # [KIND_COUNT, 2] CALLS


class StateEvents(NamedTuple):
    """One block's pool events in log order, n rows.

    `a`: Sync reserve0 | Swap and Initialize sqrt price | Mint and Burn liquidity amount | fees: pips for
    selling token0 | V4's protocol fee (both directions, 24 bits) | the fee a V4 swap was charged, pips.
    `b`: Sync reserve1 | Swap liquidity | fees: pips for selling token1.
    `tick_lower`: Mint and Burn lower tick | Swap and Initialize tick | swap fee: 1 when token0 was sold.
    """

    kind: NDArray[np.uint8]  # [n] EVENT_*
    pool: NDArray[np.int32]  # [n] pool row
    a: NDArray[np.uint64]  # [n, 4]
    b: NDArray[np.uint64]  # [n, 4]
    tick_lower: NDArray[np.int32]  # [n]
    tick_upper: NDArray[np.int32]  # [n]


def allocate(pool_capacity: int, tick_capacity: int, word_capacity: int = 0) -> PoolArrays:
    """Empty arrays for that many pools, ticks and words; a fresh row is KIND_EMPTY, the whole range known."""
    pools, ticks = pool_capacity, tick_capacity
    return PoolArrays(
        kind=np.zeros(pools, np.uint8),
        token0=np.zeros(pools, np.int32),
        token1=np.zeros(pools, np.int32),
        group=np.arange(pools, dtype=np.int32),
        coin0=np.zeros(pools, np.uint8),
        coin1=np.ones(pools, np.uint8),
        fee_pips=np.zeros((pools, 2), np.uint32),
        rules=np.zeros(pools, np.uint8),
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
        words=np.zeros(word_capacity, np.uint64),
        word_start=np.zeros(pools, np.int64),
        word_count=np.zeros(pools, np.int32),
        clock=np.zeros(1, np.uint64),
        calls=CALLS,
    )


def grow(pools: PoolArrays, pool_capacity: int, tick_capacity: int) -> PoolArrays:
    """A copy with at least the given capacities; existing rows keep their index and contents."""
    ticks = max(tick_capacity, len(pools.arena_tick))
    larger = allocate(max(pool_capacity, len(pools.kind)), ticks, len(pools.words))
    for name in PoolArrays._fields[:-1]:
        old: NDArray = getattr(pools, name)
        new: NDArray = getattr(larger, name)
        new[: len(old)] = old
    return larger


def copy_pools(pools: PoolArrays) -> PoolArrays:
    """A deep copy, sharing nothing but the table of compiled families."""
    copies: list[Any] = [array.copy() for array in pools[:-1]]
    return PoolArrays(*copies, pools.calls)


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
