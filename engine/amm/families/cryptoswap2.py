"""Curve CryptoSwap with two coins, called by address; words as in `cryptoswap_words`."""

from __future__ import annotations

import numpy as np
from numba import carray

from engine.amm.cryptoswap2 import amount_out_nb
from engine.amm.cryptoswap_math import STATE_ROWS
from engine.amm.families.call import NO_EXACT_OUT, quote_family
from engine.amm.families.cryptoswap_estimate import estimate_of
from engine.amm.layout import UNINITIALISED
from engine.amm.wide_digits import read_256, set_limbs


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


estimate = estimate_of(2)
