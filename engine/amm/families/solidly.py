"""Solidly pools and Camelot's stable pairs as words.

0 curve  1, 2 fee for selling token0, token1  3 fee denominator
4 reserve0  8 reserve1  12 unit0  16 unit1, four limbs each; a unit is 10 ** decimals
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import carray

from engine.amm.families.call import as_buffer, estimate_family, offset, quote_family
from engine.amm.families.words import Words, read_wide, wide, words_of
from engine.amm.layout import UNINITIALISED
from engine.amm.solidly import amount_out_nb, est_amount_out_nb, est_rate_nb, least_amount_in_nb
from engine.amm.wide import to_float
from engine.amm.wide_digits import read_256, set_limbs

COUNT = 20
RESERVES = 4  # where a Sync writes
# Below this part of the reserve the difference of two balances is mostly rounding.
_SMALL = 1e-7


class Solidly(NamedTuple):
    """State of a pool; `curve` is one of `engine.amm.solidly_curve`, fees in 1 / `denominator`."""

    curve: int
    fees: tuple[int, int]
    denominator: int
    reserves: tuple[int, int]
    units: tuple[int, int]


def pack(pool: Solidly) -> Words:
    """Words of a pool. Raises OverflowError for a value that does not fit."""
    return words_of((pool.curve, *pool.fees, pool.denominator), wide((*pool.reserves, *pool.units)))


def unpack(words: Words) -> Solidly:
    """The pool `pack` was given."""
    curve, fee0, fee1, denominator = (int(word) for word in words[:4])
    reserve0, reserve1, unit0, unit1 = read_wide(words, RESERVES, 4)
    return Solidly(curve, (fee0, fee1), denominator, (reserve0, reserve1), (unit0, unit1))


@quote_family
def quote(words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    if count != COUNT:
        return np.int64(UNINITIALISED)
    header = carray(words, (4,))
    reserve_in = read_256(as_buffer(offset(words, 4 + 4 * coin_in)))
    reserve_out = read_256(as_buffer(offset(words, 4 + 4 * coin_out)))
    unit_in = read_256(as_buffer(offset(words, 12 + 4 * coin_in)))
    unit_out = read_256(as_buffer(offset(words, 12 + 4 * coin_out)))
    fee, denominator, curve = header[1 + coin_in], header[3], np.int64(header[0])
    given = read_256(amount)
    if exact_in:
        status, value = amount_out_nb(
            given, reserve_in, reserve_out, unit_in, unit_out, fee, denominator, curve, coin_in == 0
        )
    else:
        status, value = least_amount_in_nb(
            given, reserve_in, reserve_out, unit_in, unit_out, fee, denominator, curve
        )
    set_limbs(result, value)
    return np.int64(status)


@estimate_family
def estimate(words, count, coin_in, coin_out, timestamp, amount):
    if count != COUNT:
        return 0.0
    header = carray(words, (4,))
    reserve_in = to_float(read_256(as_buffer(offset(words, 4 + 4 * coin_in))))
    reserve_out = to_float(read_256(as_buffer(offset(words, 4 + 4 * coin_out))))
    unit_in = to_float(read_256(as_buffer(offset(words, 12 + 4 * coin_in))))
    unit_out = to_float(read_256(as_buffer(offset(words, 12 + 4 * coin_out))))
    fee, curve = np.float64(header[1 + coin_in]) / np.float64(header[3]), np.int64(header[0])
    if amount > _SMALL * reserve_in:
        return est_amount_out_nb(amount, reserve_in, reserve_out, unit_in, unit_out, fee, curve)
    rate = est_rate_nb(reserve_in, reserve_out, unit_in, unit_out, fee, curve)
    return rate * amount if amount > 0.0 else rate
