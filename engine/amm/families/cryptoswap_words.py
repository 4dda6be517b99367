"""Curve CryptoSwap pools as words: the state of `engine.amm.cryptoswap_math`, row after row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.amm.cryptoswap_math import (
    BALANCES,
    FEES,
    INVARIANT,
    MAY_LOSE,
    PARAMETERS,
    PRECISIONS,
    PRICE_SCALE,
    RAMPING,
    STATE_ROWS,
    SUPPLY,
    VERSION_21,
    VIRTUAL,
)
from engine.amm.families.words import Words
from engine.amm.layout import int_to_limbs, limbs_to_int

COUNT = 4 * STATE_ROWS


class CryptoSwap(NamedTuple):
    """State of a pool of two or three coins; units as in `engine.amm.cryptoswap_math`."""

    a: int
    gamma: int
    fees: tuple[int, int, int]
    d: int
    supply: int
    virtual_price: int
    precisions: tuple[int, ...]
    price_scale: tuple[int, ...]
    balances: tuple[int, ...]
    is_ramping: bool
    may_lose: bool
    is_version_21: bool


def pack(pool: CryptoSwap) -> Words:
    """Words of a pool. Raises OverflowError for a value that does not fit, ValueError for other counts."""
    coins = len(pool.balances)
    if coins not in (2, 3) or len(pool.precisions) != coins or len(pool.price_scale) != coins - 1:
        raise ValueError("not a CryptoSwap pool of two or three coins")
    state = np.zeros((STATE_ROWS, 4), np.uint64)
    mode = RAMPING * pool.is_ramping | MAY_LOSE * pool.may_lose | VERSION_21 * pool.is_version_21
    state[PARAMETERS, :3] = (pool.a, pool.gamma, mode)
    state[FEES, :3] = pool.fees
    state[PRECISIONS, :coins] = pool.precisions
    rows = {INVARIANT: pool.d, SUPPLY: pool.supply, VIRTUAL: pool.virtual_price}
    rows |= {PRICE_SCALE + k: scale for k, scale in enumerate(pool.price_scale)}
    rows |= {BALANCES + k: balance for k, balance in enumerate(pool.balances)}
    for row, value in rows.items():
        state[row] = int_to_limbs(value)
    return state.reshape(-1)


def unpack(words: Words, coins: int) -> CryptoSwap:
    """The pool of so many coins that `pack` was given."""
    state = words.reshape(STATE_ROWS, 4)
    mode = int(state[PARAMETERS, 2])
    mid_fee, out_fee, fee_gamma = (int(word) for word in state[FEES, :3])
    return CryptoSwap(
        a=int(state[PARAMETERS, 0]),
        gamma=int(state[PARAMETERS, 1]),
        fees=(mid_fee, out_fee, fee_gamma),
        d=limbs_to_int(state[INVARIANT]),
        supply=limbs_to_int(state[SUPPLY]),
        virtual_price=limbs_to_int(state[VIRTUAL]),
        precisions=tuple(int(word) for word in state[PRECISIONS, :coins]),
        price_scale=tuple(limbs_to_int(state[PRICE_SCALE + k]) for k in range(coins - 1)),
        balances=tuple(limbs_to_int(state[BALANCES + k]) for k in range(coins)),
        is_ramping=bool(mode & RAMPING),
        may_lose=bool(mode & MAY_LOSE),
        is_version_21=bool(mode & VERSION_21),
    )
