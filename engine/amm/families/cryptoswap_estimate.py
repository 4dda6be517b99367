"""What the families of two and three CryptoSwap coins share: the float twin, called by address."""

from __future__ import annotations

import numpy as np
from numba import carray

from engine.amm.cryptoswap_estimates import est_amount_out_nb, est_rate_nb
from engine.amm.cryptoswap_math import BALANCES, STATE_ROWS, field_nb
from engine.amm.families.call import Family, estimate_family
from engine.amm.wide import to_float

# Below this part of the balance the difference of two balances is mostly rounding.
_SMALL = 1e-7


def estimate_of(coins: int) -> Family:
    """The estimate of pools of so many coins; words as in `cryptoswap_words`."""
    count_of_coins = np.int64(coins)

    @estimate_family
    def estimate(words, count, coin_in, coin_out, timestamp, amount):
        if count != 4 * STATE_ROWS:
            return 0.0
        state = carray(words, (STATE_ROWS, 4))
        if amount > _SMALL * to_float(field_nb(state, BALANCES + coin_in)):
            return est_amount_out_nb(state, count_of_coins, coin_in, coin_out, amount)
        rate = est_rate_nb(state, count_of_coins, coin_in, coin_out)
        return rate * amount if amount > 0.0 else rate

    return estimate
