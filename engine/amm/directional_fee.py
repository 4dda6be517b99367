"""Constant-product pairs whose fee depends on the direction, in 1e-5 of the input: Camelot V2, volatile.

CamelotPair.getAmountOut, what its router asks for, is Uniswap V2's formula with (1e5 - fee) / 1e5:

    out = floor(in (1e5 - fee) R_out / (R_in 1e5 + in (1e5 - fee)))

that is `constant_product.amount_out_nb` with ten times the fee in pips: numerator and denominator are both
multiplied by ten. The swap itself floors the fee and checks (R_in + net)(R_out - out) >= R_in R_out with
net = in - floor(in fee / 1e5), so it often pays one unit more:

    greatest out = floor(net R_out / (R_in + net))

State of a pair: both reserves (uint112, base units), the fee of each direction (uint16, 1e-5). Reserves are
those of the last Sync event, fees those of the last FeePercentUpdated; the whole input stays in the reserves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.checked import least_gross_input_nb, net_input_nb
from engine.amm.constant_product import amount_out_nb
from engine.amm.layout import INSUFFICIENT_INPUT, INSUFFICIENT_LIQUIDITY, OK, OVERFLOW
from engine.amm.quotient import divide_nb as divide_wide_nb
from engine.amm.wide import (
    constant,
    limb0,
    limb1,
    limb2,
    limb3,
    make_u128,
    make_u256,
    mul_128_128,
    to_u128,
    to_u256,
)

FEE_DENOMINATOR = 100_000
_WHOLE = np.uint64(FEE_DENOMINATOR)
_PIPS_PER_UNIT = np.uint64(10)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_max_reserve = constant(256, (1 << 112) - 1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def directional_amount_out_nb(amount_in, reserve_in, reserve_out, fee):
    """Exact-in as the router asks: (status int64, amount out U256).

    `amount_in` U256, reserves U128 (uint112), `fee` uint64 in 1e-5, that of the token sold.
    INSUFFICIENT_INPUT for nothing in or nothing out, OVERFLOW when the new reserve exceeds uint112.
    """
    if fee > _WHOLE:
        return np.int64(OVERFLOW), to_u256(_ZERO)
    status, amount_out = amount_out_nb(amount_in, reserve_in, reserve_out, fee * _PIPS_PER_UNIT)
    if status == OK and amount_out == to_u256(_ZERO):
        status = INSUFFICIENT_INPUT
    return np.int64(status), amount_out


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def greatest_amount_out_nb(amount_in, reserve_in, reserve_out, fee):
    """Exact-in, the most the pair's swap pays; arguments and statuses as in `directional_amount_out_nb`."""
    zero = to_u256(_ZERO)
    status = _input_status(amount_in, reserve_in, reserve_out)
    if status != OK:
        return status, zero
    net, fits = net_input_nb(amount_in, fee, _WHOLE)
    if not fits:
        return np.int64(OVERFLOW), zero
    # Both factors are below 2**112.
    product = mul_128_128(to_u128(net), reserve_out)
    amount_out, _ = divide_wide_nb(product, to_u256(reserve_in) + net)
    if amount_out == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    return status, amount_out


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def directional_amount_in_nb(amount_out, reserve_in, reserve_out, fee):
    """Exact-out, the least input for which the pair's swap pays `amount_out` (its router has no such call):
    (status int64, amount in U256)."""
    zero, one = to_u256(_ZERO), to_u256(_ONE)
    if amount_out == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    if reserve_in == to_u128(_ZERO) or amount_out >= to_u256(reserve_out):
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    paid = to_u128(amount_out)
    net, has_remainder = divide_wide_nb(mul_128_128(reserve_in, paid), to_u256(reserve_out - paid))
    if has_remainder:
        net = net + one
    amount_in, fits = least_gross_input_nb(net, fee, _WHOLE)
    if not fits:
        return np.int64(OVERFLOW), zero
    status = _input_status(amount_in, reserve_in, reserve_out)
    return status, amount_in if status == OK else zero


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _input_status(amount_in, reserve_in, reserve_out):
    if amount_in == to_u256(_ZERO):
        return np.int64(INSUFFICIENT_INPUT)
    if reserve_in == to_u128(_ZERO) or reserve_out == to_u128(_ZERO):
        return np.int64(INSUFFICIENT_LIQUIDITY)
    if amount_in > _max_reserve() or to_u256(reserve_in) + amount_in > _max_reserve():
        return np.int64(OVERFLOW)
    return np.int64(OK)


@njit(nogil=True, cache=True, error_model="numpy")
def est_rate_nb(reserve_in, reserve_out, fee):
    """Marginal output per input after the fee, float64, `fee` in 1e-5; 0 for an empty pair."""
    if reserve_in <= 0.0 or reserve_out <= 0.0:
        return 0.0
    return (1.0 - fee * 1e-5) * reserve_out / reserve_in


@njit(nogil=True, cache=True, error_model="numpy")
def est_amount_out_nb(amount_in, reserve_in, reserve_out, fee):
    """Output for an input, float64; arguments as in `est_rate_nb`."""
    if reserve_in <= 0.0 or reserve_out <= 0.0 or amount_in <= 0.0:
        return 0.0
    net = amount_in * (1.0 - fee * 1e-5)
    return net * reserve_out / (reserve_in + net)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def directional_quotes_nb(reserves, fees, zero_for_one, amounts, statuses, results):
    """Many quotes in one call, i-th on pair i: the three questions asked of the same amount.

    reserves u64[n, 2, 2], fees u64[n, 2] (of token0 and token1 when sold), zero_for_one bool[n], amounts
    u64[n, 4]; writes statuses i64[n, 3] and results u64[n, 3, 4]: the router's amount out, the greatest
    amount out, the least amount in that buys the amount.
    """
    for i in range(len(amounts)):
        side = 0 if zero_for_one[i] else 1
        amount = make_u256(amounts[i, 0], amounts[i, 1], amounts[i, 2], amounts[i, 3])
        reserve_in = make_u128(reserves[i, side, 0], reserves[i, side, 1])
        reserve_out = make_u128(reserves[i, 1 - side, 0], reserves[i, 1 - side, 1])
        fee = fees[i, side]
        statuses[i, 0], value = directional_amount_out_nb(amount, reserve_in, reserve_out, fee)
        _store(value, results[i, 0])
        statuses[i, 1], value = greatest_amount_out_nb(amount, reserve_in, reserve_out, fee)
        _store(value, results[i, 1])
        statuses[i, 2], value = directional_amount_in_nb(amount, reserve_in, reserve_out, fee)
        _store(value, results[i, 2])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _store(value, row):
    row[0], row[1], row[2], row[3] = limb0(value), limb1(value), limb2(value), limb3(value)
