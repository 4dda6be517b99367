"""The least input that buys an amount, for families whose contracts only sell: Curve, wstETH.

The float twin gives a first guess, doubling steps enclose the edge and halving finds it, all with the exact
quote: the answer `a` satisfies out(a) >= wanted > out(a - 1).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.families.call import call_estimate, call_quote
from engine.amm.layout import INSUFFICIENT_INPUT, INSUFFICIENT_LIQUIDITY, OK
from engine.amm.wide import to_float, to_u256
from engine.amm.wide_digits import read_256, set_limbs, stack_limbs

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_ROUNDS = 24
_STEP_BITS = 44  # of the guess: about what the float twin cannot see
_TOO_LITTLE, _ENOUGH, _REFUSED = 0, 1, 2


@njit(nogil=True, cache=True, error_model="numpy")
def _probe(quote, words, count, coin_in, coin_out, timestamp, amount, wanted):
    """Whether selling `amount` pays `wanted`: one of the three above, and the status."""
    sold, bought = stack_limbs(4), stack_limbs(4)
    set_limbs(sold, amount)
    one = np.int64(1)
    status = call_quote(quote, words, count, coin_in, coin_out, one, timestamp, sold, bought)
    if status == INSUFFICIENT_INPUT:
        return _TOO_LITTLE, status
    if status != OK:
        return _REFUSED, status
    return (_ENOUGH if read_256(bought) >= wanted else _TOO_LITTLE), status


@njit(nogil=True, cache=True, error_model="numpy")
def _guess(estimate, words, count, coin_in, coin_out, timestamp, wanted):
    """The input for `wanted`, both float64: secants over a curve that bends down; 0 where it has no price."""
    rate = call_estimate(estimate, words, count, coin_in, coin_out, timestamp, 0.0)
    if not rate > 0.0 or not math.isfinite(rate):
        return 0.0
    below, paid_below = 0.0, 0.0
    amount = wanted / rate
    for _ in range(_ROUNDS):
        paid = call_estimate(estimate, words, count, coin_in, coin_out, timestamp, amount)
        if not paid > paid_below or abs(paid - wanted) <= 1e-15 * wanted:
            break
        slope = (paid - paid_below) / (amount - below)
        further = amount + (wanted - paid) / slope
        if paid < wanted:
            below, paid_below = amount, paid
        if not further > below or not math.isfinite(further):
            break
        amount = further
    return amount


@njit(nogil=True, cache=True, error_model="numpy")
def _from_float(value):
    """The U256 of a positive float64, at most 2**255."""
    mantissa, exponent = math.frexp(min(value, 2.0**255))
    whole = to_u256(np.uint64(mantissa * 2.0**53))
    shift = exponent - 53
    return whole << np.uint64(shift) if shift >= 0 else whole >> np.uint64(min(-shift, 255))


@njit(nogil=True, cache=True, error_model="numpy")
def least_input_nb(quote, estimate, words, count, coin_in, coin_out, timestamp, wanted):
    """(status int64, the least input U256 whose exact quote is at least `wanted` U256).

    `quote` and `estimate` are addresses of the family's functions. The status of a refusal is that of the
    greatest trade tried.
    """
    zero, one = to_u256(_ZERO), to_u256(_ONE)
    if wanted == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    guess = _guess(estimate, words, count, coin_in, coin_out, timestamp, to_float(wanted))
    # Without a price in floats the search starts at one: Curve's oldest pools trade on with an empty coin.
    high = one
    if guess > 0.0:
        high = _from_float(guess) + one
    step = (high >> np.uint64(_STEP_BITS)) + one
    low = zero
    verdict, status = _probe(quote, words, count, coin_in, coin_out, timestamp, high, wanted)
    while verdict == _TOO_LITTLE:
        low = high
        high = high + step
        step = step << _ONE
        if high < low or step == zero:
            return np.int64(INSUFFICIENT_LIQUIDITY), zero
        verdict, status = _probe(quote, words, count, coin_in, coin_out, timestamp, high, wanted)
    found, answer = verdict == _ENOUGH, high
    while low == zero and high > step and high > one:
        trial = high - step
        step = step << _ONE
        verdict, trial_status = _probe(quote, words, count, coin_in, coin_out, timestamp, trial, wanted)
        if verdict == _TOO_LITTLE:
            low = trial
            break
        if verdict == _ENOUGH:
            found, answer = True, trial
        elif not found:
            status = trial_status
        high = trial
    while high - low > one:
        middle = low + ((high - low) >> _ONE)
        verdict, _ = _probe(quote, words, count, coin_in, coin_out, timestamp, middle, wanted)
        if verdict == _TOO_LITTLE:
            low = middle
        else:
            high = middle
            if verdict == _ENOUGH:
                found, answer = True, middle
    if not found:
        return (status if status != OK else np.int64(INSUFFICIENT_LIQUIDITY)), zero
    return np.int64(OK), answer
