"""Exact integer hops of constant-product chains, a few nanoseconds each, compiled.

The formulas are those of `engine.amm.constant_product`. What makes them quick here: the chain's constants are
laid out once per cycle, amounts stay below 2**98 and reserves below 2**107, so that every divisor is narrow
and nearly every quotient one of `engine.amm.quotient.quotient_192_nb`. Chains outside those bounds take the
general path.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.constant_product import PIPS
from engine.amm.layout import KIND_V2
from engine.amm.quotient import EST_MIDDLE, est_inverse_nb, est_wide, quotient_192_nb
from engine.amm.wide import (
    limb0,
    limb1,
    make_u128,
    mul_128_64,
    mul_128_128,
    to_float,
    to_u128,
    to_u192,
    to_u256,
)

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_PIPS = np.uint64(PIPS)
_LIMB = 2.0**64
_AMOUNT_LIMIT = 2.0**98
_PER_DIGIT = 2.0**-48
_DIGIT_BITS = np.uint64(48)
_RESERVE_HIGH = np.uint64(1 << 43)  # the upper limb of a reserve below 2**107

# Columns of a chain's hop, u64: reserve in times a million (two limbs), reserve out (two limbs), pips kept of
# the input; f64: the first two of them, and the pips.
WHOLE_COLUMNS = 5
FLOAT_COLUMNS = 3


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def load_hop_nb(kind, rules, reserves, fee_pips, edge, whole, real, hop):
    """Lay out a directed edge as `hop` of the chain; False where it is no plain V2 pool within the bounds."""
    row, d = edge >> 1, edge & 1
    if kind[row] != KIND_V2 or rules[row] != 0:
        return False
    in0, in1 = reserves[row, d, 0], reserves[row, d, 1]
    out0, out1 = reserves[row, 1 - d, 0], reserves[row, 1 - d, 1]
    if (in0 | in1) == _ZERO or (out0 | out1) == _ZERO or in1 >= _RESERVE_HIGH or out1 >= _RESERVE_HIGH:
        return False
    scaled = to_u128(mul_128_64(make_u128(in0, in1), _PIPS))
    whole[hop, 0] = limb0(scaled)
    whole[hop, 1] = limb1(scaled)
    whole[hop, 2] = out0
    whole[hop, 3] = out1
    kept = _PIPS - np.uint64(fee_pips[row, d])
    whole[hop, 4] = kept
    real[hop, 0] = to_float(scaled)
    real[hop, 1] = np.float64(out0) + np.float64(out1) * _LIMB
    real[hop, 2] = np.float64(kept)
    return True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def _large_quotient_nb(numerator, divisor, est, est_inverse):
    """As `quotient_192_nb` of a whole U256 numerator, for quotients from EST_MIDDLE to 2**98: two digits, and
    a dozen units at most that floats cannot tell."""
    high = np.uint64(est * _PER_DIGIT)
    rest = to_u192(numerator - (to_u256(mul_128_64(divisor, high)) << _DIGIT_BITS))
    low = np.uint64(est_wide(rest) * est_inverse)
    rest = rest - mul_128_64(divisor, low)
    wide = to_u192(divisor)
    while rest >= wide:
        rest = rest - wide
        low += _ONE
    return (to_u128(high) << _DIGIT_BITS) + to_u128(low), to_u128(rest)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _quotient_nb(numerator, divisor, est, est_inverse):
    """(floor of the quotient, remainder), both U128; `est` is below the amounts' limit."""
    if est < EST_MIDDLE:
        return quotient_192_nb(to_u192(numerator), divisor, est, est_inverse)
    return _large_quotient_nb(numerator, divisor, est, est_inverse)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def sell_nb(whole, real, hop, amount):
    """What `amount` (U128 below 2**98) buys, U128; 0 where that is nothing or leaves the bounds."""
    kept = to_u128(mul_128_64(amount, whole[hop, 4]))
    est_kept = est_wide(kept)
    divisor = make_u128(whole[hop, 0], whole[hop, 1]) + kept
    est_inverse = est_inverse_nb(real[hop, 0] + est_kept)
    est = est_kept * real[hop, 1] * est_inverse
    if not est < _AMOUNT_LIMIT:
        return to_u128(_ZERO)
    numerator = mul_128_128(kept, make_u128(whole[hop, 2], whole[hop, 3]))
    return _quotient_nb(numerator, divisor, est, est_inverse)[0]


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def buy_nb(whole, real, hop, amount):
    """The least input for which the pool pays `amount` (U128 below 2**98), U128; 0 where it cannot, or where
    the result leaves the bounds."""
    reserve_out = make_u128(whole[hop, 2], whole[hop, 3])
    if amount == to_u128(_ZERO) or amount >= reserve_out:
        return to_u128(_ZERO)
    divisor = to_u128(mul_128_64(reserve_out - amount, whole[hop, 4]))
    est_inverse = est_inverse_nb(est_wide(divisor))
    est = real[hop, 0] * est_wide(amount) * est_inverse
    if not est < _AMOUNT_LIMIT:
        return to_u128(_ZERO)
    numerator = mul_128_128(make_u128(whole[hop, 0], whole[hop, 1]), amount)
    quotient, rest = _quotient_nb(numerator, divisor, est, est_inverse)
    return quotient + to_u128(_ONE) if rest != to_u128(_ZERO) else quotient
