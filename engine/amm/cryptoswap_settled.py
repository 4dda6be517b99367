"""Whether a CryptoSwap pool surely accepts a trade, told by floating point where it is not close.

After a trade `tweak_price` finds D by Newton's method and asks three things: that the method converges, that
no balance is far from D, and that the virtual price is a number and, where it may not fall, has grown. None
of it changes what is paid, so where the answer does not hang on the last digits it need not be computed in
integers: `surely_settles_nb` follows the contract's iteration, from the contract's start, in floats.

With K0, g = |gamma + 1 - K0|, m1 = (g / gamma)**2 / A and s = sum(x) / D as fractions, one step is

    r = (s - 1 - m1 (1 - K0) / K0) / (s + (s - 1) 2 n K0 / g + n m1 / K0),   D -> D (1 + r)

K0 is asked to be at least 1e-3 and gamma is at least 1e-8, so the contract's truncations move r by less than
1e-14, too little to keep its method from ending: K0's, two units of 1e-18, pass through (1 - K0) / K0 and g,
and the denominator is above n m1 / K0. Rounding here moves it by less than 1e-14. The second derivative of a
step is below 100 / gamma, thus D is known to 1e-11 once 100 r**2 / gamma is below that, and whatever follows
differs by less. Asked is ten times that distance from every threshold, and that no product comes near 256
bits. Where it is not so, the kernels compute.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.cryptoswap_math import (
    MAY_LOSE,
    PARAMETERS,
    PRICE_SCALE,
    SUPPLY,
    VERSION_21,
    VIRTUAL,
    field_nb,
)
from engine.amm.wide import to_float

_WAD = 1e18
_STEPS = 12
_NEAR = 1e-13  # of gamma: what the square of the last step may be
_APART = 1e-10  # relative distance from a threshold
_PRODUCT = 2.0**250
_LEAST_K0 = 1e-3  # fraction
_WHOLE = 2.0**50  # integers above it may be truncated


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def est_invariant_nb(a, gamma, coins, x0, x1, x2, start):
    """D, float64, by the contracts' steps from `start`; 0 where they might not converge or might revert.

    `a` and `gamma` as fractions of their units (1e4 and 1e18), balances scaled; `x2` is 1 for two coins.
    """
    total = x0 + x1
    volume = 4.0 * x0 * x1
    if coins == 3.0:
        total += x2
        volume = 27.0 * x0 * x1 * x2
    d, before = start, 0.2
    for _ in range(_STEPS):
        inverse = 1.0 / d
        k0 = volume * inverse * inverse
        if coins == 3.0:
            k0 *= inverse
        g = abs(gamma + 1.0 - k0)
        steep = g / gamma
        m1 = steep * steep / a
        s = total * inverse
        per_k0 = 1.0 / k0
        slope = s + (s - 1.0) * (2.0 * coins) * k0 / g + coins * m1 * per_k0
        fall = m1 * (1.0 - k0) * per_k0
        r = (s - 1.0 - fall) / slope
        size = abs(r)
        safe = k0 > _LEAST_K0 and slope > 0.5 and fall > -0.5 and slope * d * d < _PRODUCT
        if not (safe and g > 0.25 * gamma and size < 0.5 * before):
            return 0.0
        d += d * r
        if r * r < _NEAR * gamma:
            return d
        before = size
    return 0.0


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _surely_grows(state, coins, d):
    """Whether the virtual price that belongs to D is a number, and above the stored one if it must be."""
    mode, old = state[PARAMETERS, 2], to_float(field_nb(state, VIRTUAL))
    if old == 0.0:
        return True
    least = 0.0 if mode & np.uint64(MAY_LOSE) else old
    scale, supply = to_float(field_nb(state, PRICE_SCALE)), to_float(field_nb(state, SUPPLY))
    if coins == 3.0:
        ideal = d * _WAD / (3.0 * scale)
        third = d * _WAD / (3.0 * to_float(field_nb(state, PRICE_SCALE + 1)))
        product = d / 3.0 * ideal
        xcp = math.pow(product * third, 1.0 / 3.0)
        whole = product > _WHOLE * _WAD and product * third > _WHOLE * _WAD * _WAD
        fits = product < _PRODUCT and product / _WAD * third < _PRODUCT
        whole = whole and third > _WHOLE
        least = max(least, _WAD / 2.0)
    elif mode & np.uint64(VERSION_21):
        ideal = math.sqrt(_WAD * scale)
        xcp = d * _WAD / 2.0 / ideal
        whole, fits = True, _WAD * scale < _PRODUCT
    else:
        ideal = d * _WAD / (2.0 * scale)
        xcp = math.sqrt(d / 2.0 * ideal)
        whole, fits = True, d * ideal < _PRODUCT
    price = _WAD * xcp / supply
    whole = whole and ideal > _WHOLE and xcp > _WHOLE and price > _WHOLE
    return whole and fits and _WAD * xcp < _PRODUCT and price > least * (1.0 + _APART)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def surely_settles_nb(state, coins, x0, x1, x2, k0):
    """Whether `tweak_price` accepts these scaled balances (U256s; `x2` is one for two coins) after a trade
    whose `get_y` answered `k0` U256. False says nothing."""
    est0, est1, est2, known = to_float(x0), to_float(x1), to_float(x2), to_float(k0) / _WAD
    a, gamma = np.float64(state[PARAMETERS, 0]) / 1e4, np.float64(state[PARAMETERS, 1]) / _WAD
    least, most = 1e-2, 1e2
    if coins == 3.0:
        start = math.pow(27.0 * est0 * est1 * est2 / known, 1.0 / 3.0)
        low, high = min(est0, est1, est2), max(est0, est1, est2)
    else:
        start = min(math.sqrt(4.0 * est0 * est1 / known), est0 + est1)
        low, high = min(est0, est1), max(est0, est1)
        least, most = 5e-3, 5e1
        if 4.0 * est0 * est1 / known * _WAD > _PRODUCT or low < 1.001e-4 * high:
            return False
    if not (known > _LEAST_K0 and 2e9 < high < 0.999e33):
        return False
    d = est_invariant_nb(a, gamma, coins, est0, est1, est2, start)
    if not (low > least * (1.0 + _APART) * d and high < most * (1.0 - _APART) * d):
        return False
    return d > 0.0 and _surely_grows(state, coins, d)
