"""Curve CryptoSwap with two coins: twocrypto-NG v2.0.0 and v2.1, exact-in.

Sources: `get_y`, `newton_D` of the pools' math contract, `_exchange`, `_fee` and the first half of
`tweak_price` of the pool; the invariant is in the cryptoswap-v2 paper. Amounts round down, one unit of the
scaled balance is kept before it is converted back, and the fee is taken from the output by the balances after
the trade. There is no exact-out: the contracts' `get_dx` is only an estimate.

The state's layout is in `engine.amm.cryptoswap_math`. All of it changes with a trade (D, the balances, the
virtual price, often the price scale): quotes after a swap need the state read again.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.cryptoswap_arithmetic import (
    WAD,
    add_nb,
    div_10000_nb,
    div_nb,
    div_small_nb,
    div_wad_nb,
    divider,
    magnitude_nb,
    minus_nb,
    mul_div_small_nb,
    mul_nb,
    negative_nb,
    positive_nb,
    signed_add_nb,
    signed_cube_root_nb,
    signed_div_nb,
    signed_div_small_nb,
    signed_div_wad_nb,
    signed_mul_nb,
    signed_quarter_nb,
    signed_sub_nb,
    small_nb,
    square_root_nb,
    sub_nb,
    wad_nb,
    wrap_mul_nb,
)
from engine.amm.cryptoswap_math import (
    BALANCES,
    FEES,
    INVARIANT,
    MAY_LOSE,
    PARAMETERS,
    PRECISIONS,
    PRICE_SCALE,
    RAMPING,
    SUPPLY,
    VERSION_21,
    VIRTUAL,
    field_nb,
    k0_terms_nb,
    solve_y_nb,
    step_d_nb,
    within_nb,
)
from engine.amm.cryptoswap_settled import surely_settles_nb
from engine.amm.layout import INSUFFICIENT_INPUT, INSUFFICIENT_LIQUIDITY, OK, OVERFLOW, UNINITIALISED
from engine.amm.wide import constant, to_u256
from engine.amm.wide_digits import get_limb, set_limb, stack_limbs

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_WAD = np.uint64(WAD)
_TEN_9 = np.uint64(10**9)
_TEN_10 = np.uint64(10**10)
_TEN_14 = np.uint64(10**14)
_TEN_16 = np.uint64(10**16)
div_ratio_nb = divider(400_000_000)
_LEAST_A, _MOST_A = np.uint64(4_000), np.uint64(40_000_000)
_LEAST_GAMMA, _SMALL_GAMMA, _MOST_GAMMA = np.uint64(10**10), np.uint64(2 * 10**16), np.uint64(199 * 10**15)
_qa = constant(256, 10**32)
_three_qa = constant(256, 3 * 10**32)
_qa_squared_27 = constant(256, 27 * 10**64)
_ten_36 = constant(256, 10**36)
_half_ten_36 = constant(256, 10**36 // 2)
_ten_30, _ten_28, _ten_26, _ten_24 = (constant(256, 10**power) for power in (30, 28, 26, 24))
_ten_20 = constant(256, 10**20)
_spread_bound = constant(256, 10**20 * 2 * 10**16)
_half_ten_20 = constant(256, 10**20 // 2)
_most_d = constant(256, 10**33)
_least_d = constant(256, 10**17)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _parameters_in_range(a, gamma):
    return _LEAST_A <= a <= _MOST_A and _LEAST_GAMMA <= gamma <= _MOST_GAMMA


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _first_d(large, small, k0_prev, fault):
    """Where newton_D starts: the geometric mean, or the last K0 where one is known."""
    product = mul_nb(large, small, fault)
    if k0_prev == to_u256(_ZERO):
        return square_root_nb(product) << _ONE
    known = div_nb(mul_nb(product, small_nb(4), fault), k0_prev, fault)
    start = square_root_nb(wrap_mul_nb(known, wad_nb()))
    return start if start < large + small else large + small


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def newton_d_nb(a, gamma, x0, x1, k0_prev, fault):
    """newton_D: (D U256, whether the contract accepts); a, gamma uint64, balances scaled, U256."""
    zero = to_u256(_ZERO)
    large, small = (x0, x1) if x0 >= x1 else (x1, x0)
    if not _parameters_in_range(a, gamma) or large < small_nb(_TEN_9) or large > _most_d():
        return zero, False
    if div_nb(mul_nb(small, wad_nb(), fault), large, fault) < small_nb(_TEN_14):
        return zero, False
    total = large + small
    d = _first_d(large, small, k0_prev, fault)
    for _ in range(255):
        before = d
        if d == zero:
            return zero, False
        k0 = div_nb(mul_nb(wad_nb() << np.uint64(2), large, fault), d, fault)
        k0 = div_nb(mul_nb(k0, small, fault), d, fault)
        g, mul1 = k0_terms_nb(k0, d, a, gamma, fault)
        mul2 = div_nb(mul_nb(wad_nb() << np.uint64(2), k0, fault), g, fault)
        d = step_d_nb(d, k0, total, mul1, mul2, _ONE << _ONE, fault)
        gap = d - before if d > before else before - d
        gap = mul_nb(gap, small_nb(_TEN_14), fault)
        if gap < d or gap < small_nb(_TEN_16):
            low, high = small_nb(_TEN_16 >> _ONE), _half_ten_20()
            accepted = within_nb(large, d, low, high, fault) and within_nb(small, d, low, high, fault)
            return d, accepted
    return zero, False


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _divider(delta0, delta1):
    """The power of ten that shortens the cubic's coefficients; a = 1e32 bounds the contract's ladder."""
    size0, size1 = magnitude_nb(delta0), magnitude_nb(delta1)
    size = size0 if size0 < size1 else size1
    if size > _ten_30():
        return np.uint64(10**12)
    if size > _ten_28():
        return _TEN_10
    if size > _ten_26():
        return np.uint64(10**8)
    if size > _ten_24():
        return np.uint64(10**6)
    if size > _ten_20():
        return np.uint64(100)
    return _ONE


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _coefficients(a, gamma, other, d, fault):
    """b, c and -d of the cubic a * K0**3 + b * K0**2 + ..., with a = 1e32."""
    gamma2 = mul_nb(small_nb(gamma), small_nb(gamma), fault)
    ag2 = signed_mul_nb(small_nb(a), gamma2, fault)
    scaled_gamma = mul_nb(small_nb(gamma), small_nb(_TEN_14), fault)
    b = div_nb(div_ratio_nb(signed_mul_nb(d, ag2, fault)), other, fault)
    b = b - _three_qa() - (scaled_gamma << _ONE)
    ratio = div_ratio_nb(ag2 << np.uint64(2))
    c = div_nb(signed_mul_nb(ratio, other, fault), d, fault)
    c = _three_qa() + (scaled_gamma << np.uint64(2)) + div_10000_nb(gamma2) + c - ratio
    one_gamma = wad_nb() + small_nb(gamma)
    return b, c, div_10000_nb(mul_nb(one_gamma, one_gamma, fault))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _deltas(qa3, square27, b, c, minus_d, fault):
    """delta0 = 3ac/b - b and delta1 = 3 delta0 + b - 27 a**2 / b * d / b, truncated step by step."""
    delta0 = signed_sub_nb(signed_div_nb(signed_mul_nb(qa3, c, fault), b, fault), b, fault)
    last = signed_mul_nb(signed_div_nb(square27, b, fault), minus_d, fault)
    last = signed_div_nb(last, b, fault)
    triple = signed_mul_nb(small_nb(3), delta0, fault)
    return delta0, signed_add_nb(signed_add_nb(triple, b, fault), last, fault)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _cubic_k0(qa, b, delta0, delta1, root, fault):
    """K0 from the cubic's discriminant root, 1e18, signed."""
    b_cbrt = signed_cube_root_nb(b)
    half = delta1 + root if positive_nb(delta1) else root - delta1
    second = signed_cube_root_nb(half >> _ONE)
    if not positive_nb(delta1):
        second = minus_nb(second)
    c1 = div_wad_nb(signed_mul_nb(b_cbrt, b_cbrt, fault))
    c1 = signed_div_wad_nb(wrap_mul_nb(c1, second))
    scaled_b = wrap_mul_nb(wad_nb(), b)
    ratio = signed_mul_nb(signed_div_nb(scaled_b, c1, fault), delta0, fault)
    numerator = signed_sub_nb(wrap_mul_nb(wad_nb(), c1), scaled_b, fault)
    numerator = signed_sub_nb(numerator, ratio, fault)
    return signed_div_nb(numerator, qa + qa + qa, fault)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _newton_y(a, gamma, other, d, fault):
    """The fallback without a positive discriminant: (y, converged)."""
    square = mul_nb(d, d, fault)
    y = div_nb(square, other << np.uint64(2), fault)
    k0_rest = div_nb(mul_nb(wad_nb() << _ONE, other, fault), d, fault)
    tolerance = div_small_nb(other if other > d else d, _TEN_14)
    if tolerance < small_nb(100):
        tolerance = small_nb(100)
    return solve_y_nb(a, gamma, d, y, k0_rest, other, tolerance, _ONE << _ONE, fault)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def get_y_nb(a, gamma, other, d, fault):
    """get_y: (y, K0 or zero, whether the contract accepts); the balance that belongs to `other` and D."""
    zero = to_u256(_ZERO)
    if not _parameters_in_range(a, gamma) or d < _least_d() or d > _most_d():
        return zero, zero, False
    bound = _ten_20()
    if gamma > _SMALL_GAMMA:
        bound = div_small_nb(_spread_bound(), gamma)
    least = small_nb(_TEN_16) if gamma <= _SMALL_GAMMA else div_nb(_ten_36(), bound, fault)
    if other == zero or not within_nb(other << _ONE, d, least, bound, fault):
        return zero, zero, False
    b, c, minus_d = _coefficients(a, gamma, other, d, fault)
    delta0, delta1 = _deltas(_three_qa(), _qa_squared_27(), b, c, minus_d, fault)
    divider = _divider(delta0, delta1)
    qa = div_small_nb(_qa(), divider)
    b, c = signed_div_small_nb(b, divider), signed_div_small_nb(c, divider)
    minus_d = div_small_nb(minus_d, divider)
    square27 = wrap_mul_nb(wrap_mul_nb(qa, qa), small_nb(27))
    delta0, delta1 = _deltas(qa + qa + qa, square27, b, c, minus_d, fault)
    square0 = signed_mul_nb(small_nb(4), signed_mul_nb(delta0, delta0, fault), fault)
    cube = wrap_mul_nb(signed_div_nb(square0, b, fault), delta0)
    argument = signed_add_nb(signed_mul_nb(delta1, delta1, fault), cube, fault)
    if not positive_nb(argument):
        y, converged = _newton_y(a, gamma, other, d, fault)
        return y, zero, converged
    k0 = _cubic_k0(qa, b, delta0, delta1, square_root_nb(argument), fault)
    part = wrap_mul_nb(div_nb(mul_nb(d, d, fault), other, fault), k0)
    y = signed_div_wad_nb(signed_quarter_nb(part))
    if negative_nb(y) or negative_nb(k0):
        return zero, zero, False
    least = small_nb(_TEN_16 >> _ONE) if gamma <= _SMALL_GAMMA else div_nb(_half_ten_36(), bound, fault)
    return y, k0, within_nb(y, d, least, bound >> _ONE, fault)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def fee_nb(state, x0, x1, fault):
    """The fee, 1e-10, for scaled balances after the trade: mid_fee in balance, to out_fee far from it."""
    total = add_nb(x0, x1, fault)
    k = div_nb(mul_nb(wad_nb() << np.uint64(2), x0, fault), total, fault)
    k = div_nb(mul_nb(k, x1, fault), total, fault)
    fee_gamma = small_nb(state[FEES, 2])
    gap = sub_nb(wad_nb(), k, fault)
    if state[PARAMETERS, 2] & np.uint64(VERSION_21):
        weighted = mul_nb(fee_gamma, k, fault)
        f = div_nb(weighted, div_wad_nb(weighted) + gap, fault)
    else:
        f = div_nb(mul_nb(fee_gamma, wad_nb(), fault), fee_gamma + gap, fault)
    inner = mul_nb(small_nb(state[FEES, 0]), f, fault)
    outer = mul_nb(small_nb(state[FEES, 1]), sub_nb(wad_nb(), f, fault), fault)
    return div_wad_nb(add_nb(inner, outer, fault))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _scaled(state, balance, coin, fault):
    """A balance in 1e18 units of coin 0."""
    precision = small_nb(state[PRECISIONS, coin])
    if coin == 0:
        return mul_nb(balance, precision, fault)
    value = mul_nb(balance, field_nb(state, PRICE_SCALE), fault)
    return div_wad_nb(mul_nb(value, precision, fault))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _invariant(state, coin_in, x_old, x_out, fault):
    """D before the trade: stored, or computed while A and gamma are ramping. (D, accepted)"""
    if state[PARAMETERS, 2] & np.uint64(RAMPING) == _ZERO:
        return field_nb(state, INVARIANT), True
    x0, x1 = (x_old, x_out) if coin_in == 0 else (x_out, x_old)
    return newton_d_nb(state[PARAMETERS, 0], state[PARAMETERS, 1], x0, x1, to_u256(_ZERO), fault)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _settle(state, coin_in, x_in, balance_out, k0, fault):
    """What `tweak_price` checks after the trade: D converges, the virtual price is a number and has grown."""
    x_out = _scaled(state, balance_out, 1 - coin_in, fault)
    x0, x1 = (x_in, x_out) if coin_in == 0 else (x_out, x_in)
    if get_limb(fault, 0) == _ZERO and surely_settles_nb(state, 2.0, x0, x1, small_nb(1), k0):
        return np.int64(OK)
    d, accepted = newton_d_nb(state[PARAMETERS, 0], state[PARAMETERS, 1], x0, x1, k0, fault)
    if not accepted:
        return np.int64(INSUFFICIENT_LIQUIDITY)
    mode, old = state[PARAMETERS, 2], field_nb(state, VIRTUAL)
    if old == to_u256(_ZERO):
        return np.int64(OK)
    scale, supply = field_nb(state, PRICE_SCALE), field_nb(state, SUPPLY)
    scaled_d = mul_nb(d, wad_nb(), fault)
    if mode & np.uint64(VERSION_21):
        xcp = div_nb(scaled_d >> _ONE, square_root_nb(mul_nb(wad_nb(), scale, fault)), fault)
        price = div_nb(mul_nb(wad_nb(), xcp, fault), supply, fault) + to_u256(_ONE)
    else:
        ideal = div_nb(scaled_d, scale << _ONE, fault)
        xcp = square_root_nb(mul_nb(d >> _ONE, ideal, fault))
        price = div_nb(mul_nb(wad_nb(), xcp, fault), supply, fault)
    may_lose = mode & np.uint64(MAY_LOSE) != _ZERO
    return np.int64(OK) if may_lose or price > old else np.int64(INSUFFICIENT_INPUT)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def amount_out_nb(state, coin_in, amount_in, settled):
    """Exact-in: (status int64, amount out U256) for `amount_in` U256 of coin `coin_in` (0 or 1).

    `state` u64[STATE_ROWS, 4]. With `settled` it is `exchange`, with what the pool checks after the trade;
    without, `get_dy`, for a third of the time, which also answers for dust that `exchange` refuses.
    INSUFFICIENT_INPUT for nothing, and for dust that would not raise the virtual price;
    INSUFFICIENT_LIQUIDITY where the contract calls balances, D or parameters unsafe or does not converge;
    OVERFLOW where its checked arithmetic reverts; UNINITIALISED without D. The move of the price scale after
    the trade is not computed, so a revert inside it is not foreseen.
    """
    zero = to_u256(_ZERO)
    if field_nb(state, INVARIANT) == zero:
        return np.int64(UNINITIALISED), zero
    if amount_in == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    fault = stack_limbs(1)
    set_limb(fault, 0, _ZERO)
    coin_out = 1 - coin_in
    old_in, old_out = field_nb(state, BALANCES + coin_in), field_nb(state, BALANCES + coin_out)
    x_in = _scaled(state, add_nb(old_in, amount_in, fault), coin_in, fault)
    x_out = _scaled(state, old_out, coin_out, fault)
    if get_limb(fault, 0):
        return np.int64(OVERFLOW), zero
    d, accepted = _invariant(state, coin_in, _scaled(state, old_in, coin_in, fault), x_out, fault)
    if not accepted:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    y, k0, accepted = get_y_nb(state[PARAMETERS, 0], state[PARAMETERS, 1], x_in, d, fault)
    if not accepted or x_out <= y:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    bought = x_out - y - to_u256(_ONE)
    if coin_out == 1:
        bought = div_nb(mul_nb(bought, wad_nb(), fault), field_nb(state, PRICE_SCALE), fault)
    bought = div_small_nb(bought, state[PRECISIONS, coin_out])
    x0, x1 = (x_in, y) if coin_in == 0 else (y, x_in)
    fee = mul_div_small_nb(fee_nb(state, x0, x1, fault), bought, _TEN_10, fault)
    bought = sub_nb(bought, fee, fault)
    left = sub_nb(old_out, bought, fault)
    if get_limb(fault, 0):
        return np.int64(OVERFLOW), zero
    status = _settle(state, coin_in, x_in, left, k0, fault) if settled else np.int64(OK)
    if get_limb(fault, 0):
        status = np.int64(OVERFLOW)
    return status, bought if status == OK else zero
