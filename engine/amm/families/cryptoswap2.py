"""Curve CryptoSwap with two coins, called by address; words as in `cryptoswap_words`."""

from __future__ import annotations

import numpy as np
from numba import carray

from engine.amm.cryptoswap2 import amount_out_nb
from engine.amm.cryptoswap_estimates import est_amount_out_nb, est_rate_nb
from engine.amm.cryptoswap_math import BALANCES, STATE_ROWS, field_nb
from engine.amm.families.call import NO_EXACT_OUT, estimate_family, quote_family
from engine.amm.layout import UNINITIALISED
from engine.amm.wide import to_float
from engine.amm.wide_digits import read_256, set_limbs

# Below this part of the balance the difference of two balances is mostly rounding.
_SMALL = 1e-7


@quote_family
def quote(words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    if count != 4 * STATE_ROWS or coin_in + coin_out != 1 or coin_in * coin_out != 0:
        return np.int64(UNINITIALISED)
    if not exact_in:
        return np.int64(NO_EXACT_OUT)
    state = carray(words, (STATE_ROWS, 4))
    given = read_256(amount)
    status, paid = amount_out_nb(state, coin_in, given, True)
    set_limbs(result, paid)
    return np.int64(status)


@estimate_family
def estimate(words, count, coin_in, coin_out, timestamp, amount):
    if count != 4 * STATE_ROWS:
        return 0.0
    state = carray(words, (STATE_ROWS, 4))
    if amount > _SMALL * to_float(field_nb(state, BALANCES + coin_in)):
        return est_amount_out_nb(state, np.int64(2), coin_in, coin_out, amount)
    rate = est_rate_nb(state, np.int64(2), coin_in, coin_out)
    return rate * amount if amount > 0.0 else rate
