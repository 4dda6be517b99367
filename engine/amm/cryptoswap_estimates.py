"""Float64 twins of the CryptoSwap kernels, for screening only: rates and amounts out of two or three coins.

The invariant is that of the cryptoswap-v2 paper, solved for a balance by Newton's method. A pool whose A and
gamma are ramping is taken at its stored D, and the curve is evaluated before and after the trade.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.cryptoswap_math import (
    BALANCES,
    FEES,
    INVARIANT,
    PARAMETERS,
    PRECISIONS,
    PRICE_SCALE,
    RAMPING,
    VERSION_21,
    field_nb,
)
from engine.amm.wide import to_float

_STEPS = 100


@njit(nogil=True, cache=True, error_model="numpy")
def _est_unit(state, coin):
    """The value of one base unit of a coin, in 1e-18 of coin 0."""
    unit = np.float64(state[PRECISIONS, coin])
    return unit * to_float(field_nb(state, PRICE_SCALE + coin - 1)) * 1e-18 if coin else unit


@njit(nogil=True, cache=True, error_model="numpy")
def _est_balance(state, coin):
    return to_float(field_nb(state, BALANCES + coin)) * _est_unit(state, coin)


@njit(nogil=True, cache=True, error_model="numpy")
def _est_solve(state, coins, coin_in, x_in, coin_out):
    """The balance of `coin_out` on the curve of the stored D when that of `coin_in` is `x_in`."""
    d = to_float(field_nb(state, INVARIANT))
    gamma = np.float64(state[PARAMETERS, 1]) * 1e-18
    steepness = np.float64(state[PARAMETERS, 0]) * 1e-4 * gamma * gamma
    k0_rest, sum_rest = 1.0, 0.0
    for coin in range(coins):
        if coin != coin_out:
            x = x_in if coin == coin_in else _est_balance(state, coin)
            k0_rest *= x * coins / d
            sum_rest += x
    y = d / (coins * k0_rest)
    for _ in range(_STEPS):
        before = y
        k0 = k0_rest * y * coins / d
        g = abs(gamma + 1.0 - k0)
        mul1 = d * g * g / steepness
        mul2 = 1.0 + 2.0 * k0 / g
        slope = y + (sum_rest + y) * mul2 + mul1 - d * mul2
        if slope > 0.0:
            f_prime = slope / y
            y = (slope + d - sum_rest - y + mul1 * (1.0 / k0 - 1.0)) / f_prime
        if slope <= 0.0 or y <= 0.0:
            y = before * 0.5
        if abs(y - before) <= 1e-15 * y:
            break
    return y


@njit(nogil=True, cache=True, error_model="numpy")
def est_fee_nb(state, coins, coin_in, x_in, coin_out, x_out):
    """The fee as a fraction of the output, for two scaled balances after the trade."""
    product, total = 1.0, 0.0
    for coin in range(coins):
        x = x_in if coin == coin_in else x_out if coin == coin_out else _est_balance(state, coin)
        product *= x
        total += x
    k = product * np.float64(coins) ** coins / total**coins
    fee_gamma = np.float64(state[FEES, 2]) * 1e-18
    if state[PARAMETERS, 2] & np.uint64(VERSION_21):
        f = fee_gamma * k / (fee_gamma * k + 1.0 - k)
    else:
        f = fee_gamma / (fee_gamma + 1.0 - k) if fee_gamma > 0.0 else k
    return (np.float64(state[FEES, 0]) * f + np.float64(state[FEES, 1]) * (1.0 - f)) * 1e-10


@njit(nogil=True, cache=True, error_model="numpy")
def est_rate_nb(state, coins, coin_in, coin_out):
    """Marginal base units out per base unit in, after the fee: the pool's spot price."""
    d = to_float(field_nb(state, INVARIANT))
    gamma = np.float64(state[PARAMETERS, 1]) * 1e-18
    k0, total = 1.0, 0.0
    for coin in range(coins):
        x = _est_balance(state, coin)
        k0 *= x * coins / d
        total += x
    g = gamma + 1.0 - k0
    k = np.float64(state[PARAMETERS, 0]) * 1e-4 * k0 * (gamma / g) ** 2
    pull = k0 + k * (1.0 + 2.0 * k0 / g) * (total / d - 1.0)
    x_in, x_out = _est_balance(state, coin_in), _est_balance(state, coin_out)
    rate = (k / d + pull / x_in) / (k / d + pull / x_out)
    rate *= 1.0 - est_fee_nb(state, coins, coin_in, x_in, coin_out, x_out)
    return rate * _est_unit(state, coin_in) / _est_unit(state, coin_out)


@njit(nogil=True, cache=True, error_model="numpy")
def est_amount_out_nb(state, coins, coin_in, coin_out, amount_in):
    """Twin of `amount_out_nb`: float64 amount out, base units; zero for what the curve cannot pay.

    Below 1e-9 of the balance the difference of two balances is mostly rounding: use `est_rate_nb` there.
    """
    x_old = _est_balance(state, coin_in)
    x_in = x_old + amount_in * _est_unit(state, coin_in)
    x_out = _est_balance(state, coin_out)
    if state[PARAMETERS, 2] & np.uint64(RAMPING):
        x_out = _est_solve(state, coins, coin_in, x_old, coin_out)
    y = _est_solve(state, coins, coin_in, x_in, coin_out)
    kept = 1.0 - est_fee_nb(state, coins, coin_in, x_in, coin_out, y)
    return max((x_out - y) * kept / _est_unit(state, coin_out), 0.0)
