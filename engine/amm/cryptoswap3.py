"""Curve CryptoSwap with three coins: tricrypto-NG, exact-in.

Sources: `get_y` (a cubic solved with cube roots, Newton's method where its discriminant is not positive),
`newton_D`, `reduction_coefficient` and `geometric_mean` of the pools' math contract, `_exchange` and the
first half of `tweak_price` of the pool; the invariant is in the cryptoswap-v2 paper. Amounts round down, one
unit of the scaled balance is kept before it is converted back, and the fee is taken from the output by the
balances after the trade. There is no exact-out: the contracts' `get_dx` is only an estimate.

The state's layout is in `engine.amm.cryptoswap_math`; all of it changes with a trade.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.cryptoswap_arithmetic import (
    WAD,
    add_nb,
    cube_root_nb,
    div_3_nb,
    div_10000_nb,
    div_nb,
    div_small_nb,
    div_wad_nb,
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
_TWO = np.uint64(2)
_THREE = np.uint64(3)
_WAD = np.uint64(WAD)
_TEN_4 = np.uint64(10**4)
_TEN_10 = np.uint64(10**10)
_TEN_14 = np.uint64(10**14)
_TEN_16 = np.uint64(10**16)
_LEAST_A, _MOST_A = np.uint64(2_700), np.uint64(270_000_000)
_LEAST_GAMMA, _MOST_GAMMA = np.uint64(10**10), np.uint64(5 * 10**16)
_qa = constant(256, 10**36 // 27)
_ninth = constant(256, 10**36 // 9)
_ten_36 = constant(256, 10**36)
_ten_24 = constant(256, 10**24)
_ten_20 = constant(256, 10**20)
_least_d, _most_d = constant(256, 10**17), constant(256, 10**33)
_wide_rest, _middle_rest = constant(256, 27 * 10**12), constant(256, 27 * 10**6)
_rungs = tuple(constant(256, 10**power) for power in (48, 44, 40, 36, 32, 28))
_rung_48, _rung_44, _rung_40, _rung_36, _rung_32, _rung_28 = _rungs
_div_30, _div_26, _div_22 = (constant(256, 10**power) for power in (30, 26, 22))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def geometric_mean_nb(x0, x1, x2, fault):
    """Of three balances, 1e18."""
    product = div_wad_nb(mul_nb(x0, x1, fault))
    return cube_root_nb(div_wad_nb(mul_nb(product, x2, fault)))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _descending(x0, x1, x2):
    if x0 < x1:
        x0, x1 = x1, x0
    if x0 < x2:
        x0, x2 = x2, x0
    if x1 < x2:
        x1, x2 = x2, x1
    return x0, x1, x2


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _first_d(x0, x1, x2, k0_prev, fault):
    """Where newton_D starts: the geometric mean, or the last K0 where one is known."""
    if k0_prev == to_u256(_ZERO):
        mean = geometric_mean_nb(x0, x1, x2, fault)
        return mean + mean + mean
    total = x0 + x1 + x2
    scale, rest = wad_nb(), small_nb(27)
    if total > _ten_36():
        scale, rest = _ten_36(), _wide_rest()
    elif total > _ten_24():
        scale, rest = _ten_24(), _middle_rest()
    product = mul_nb(div_nb(mul_nb(x0, x1, fault), scale, fault), x2, fault)
    return cube_root_nb(mul_nb(div_nb(product, k0_prev, fault), rest, fault))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def newton_d_nb(a, gamma, balances, k0_prev, fault):
    """newton_D: (D U256, whether the contract accepts); a, gamma uint64, three scaled balances U256."""
    zero, three = to_u256(_ZERO), small_nb(3)
    x0, x1, x2 = _descending(balances[0], balances[1], balances[2])
    if x0 == zero or a == _ZERO or gamma == _ZERO:
        return zero, False
    total = x0 + x1 + x2
    d = _first_d(x0, x1, x2, k0_prev, fault)
    for _ in range(255):
        before = d
        if d == zero:
            return zero, False
        k0 = wad_nb()
        for x in (x0, x1, x2):
            k0 = div_nb(mul_nb(mul_nb(k0, x, fault), three, fault), d, fault)
        g, mul1 = k0_terms_nb(k0, d, a, gamma, fault)
        mul2 = div_nb(mul_nb(wad_nb(), mul_nb(k0, small_nb(6), fault), fault), g, fault)
        d = step_d_nb(d, k0, total, mul1, mul2, _THREE, fault)
        gap = d - before if d > before else before - d
        gap = mul_nb(gap, small_nb(_TEN_14), fault)
        if gap < d or gap < small_nb(_TEN_16):
            accepted = True
            for x in (x0, x1, x2):
                accepted &= within_nb(x, d, small_nb(_TEN_16 - _ONE), _ten_20(), fault)
            return d, accepted
    return zero, False


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _coefficients(a, gamma, j, k, d, fault):
    """b, c and d of the cubic a * K0**3 + b * K0**2 + c * K0 + d, with a = 1e36 / 27."""
    gamma2 = mul_nb(small_nb(gamma), small_nb(gamma), fault)
    amplification = small_nb(a)
    fall = wrap_mul_nb(div_nb(wrap_mul_nb(d, d), j, fault), gamma2)
    fall = div_small_nb(signed_mul_nb(fall, amplification, fault), np.uint64(729))
    fall = div_nb(div_10000_nb(fall), k, fault)
    double_gamma = mul_nb(wad_nb() << _ONE, small_nb(gamma), fault)
    b = signed_sub_nb(_ninth() + div_small_nb(double_gamma, np.uint64(27)), fall, fault)
    rise = signed_div_nb(signed_mul_nb(gamma2, j + k - d, fault), d, fault)
    rise = signed_div_small_nb(wrap_mul_nb(rise, amplification), np.uint64(27))
    gammas = mul_nb(small_nb(gamma), small_nb(gamma) + (wad_nb() << _TWO), fault)
    c = _ninth() + div_small_nb(gammas, np.uint64(27))
    c = signed_add_nb(c, signed_div_small_nb(rise, _TEN_4), fault)
    one_gamma = wad_nb() + small_nb(gamma)
    return b, c, div_small_nb(mul_nb(one_gamma, one_gamma, fault), np.uint64(27))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _divider(size):
    """The power of ten that shortens the cubic's coefficients."""
    if size > _rung_48():
        return _div_30()
    if size > _rung_44():
        return _div_26()
    if size > _rung_40():
        return _div_22()
    if size > _rung_36():
        return wad_nb()
    if size > _rung_32():
        return small_nb(_TEN_14)
    if size > _rung_28():
        return small_nb(_TEN_10)
    if size > _ten_24():
        return small_nb(10**6)
    if size > _ten_20():
        return small_nb(100)
    return small_nb(1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _shortened(b, c, d, fault):
    """(a, b, c, d) brought to a common size."""
    qa = _qa()
    c3 = signed_mul_nb(qa + qa + qa, c, fault)
    divider = _divider(magnitude_nb(signed_sub_nb(signed_div_nb(c3, b, fault), b, fault)))
    size = magnitude_nb(b)
    if qa > size:
        extra = div_nb(qa, size, fault)
        return (
            div_nb(wrap_mul_nb(qa, extra), divider, fault),
            signed_div_nb(signed_mul_nb(b, extra, fault), divider, fault),
            signed_div_nb(signed_mul_nb(c, extra, fault), divider, fault),
            signed_div_nb(signed_mul_nb(d, extra, fault), divider, fault),
        )
    extra = div_nb(size, qa, fault)
    return (
        div_nb(div_nb(qa, extra, fault), divider, fault),
        signed_div_nb(signed_div_nb(b, extra, fault), divider, fault),
        signed_div_nb(signed_div_nb(c, extra, fault), divider, fault),
        signed_div_nb(signed_div_nb(d, extra, fault), divider, fault),
    )


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _deltas(qa, b, c, d, fault):
    """delta0 = 3ac/b - b and delta1 = 9ac/b - 2b - 27 a**2 / b * d / b, truncated step by step."""
    ac3 = signed_mul_nb(qa + qa + qa, c, fault)
    delta0 = signed_sub_nb(signed_div_nb(ac3, b, fault), b, fault)
    square27 = signed_mul_nb(small_nb(27), signed_mul_nb(qa, qa, fault), fault)
    last = signed_mul_nb(signed_div_nb(square27, b, fault), d, fault)
    delta1 = signed_div_nb(signed_mul_nb(small_nb(3), ac3, fault), b, fault)
    delta1 = signed_sub_nb(delta1, b + b, fault)
    return delta0, signed_sub_nb(delta1, signed_div_nb(last, b, fault), fault)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _cubic_k0(b, delta0, delta1, root, fault):
    """K0 times a, from the cubic's discriminant root, signed."""
    b_cbrt = signed_cube_root_nb(b)
    if positive_nb(delta1):
        second = cube_root_nb(signed_add_nb(delta1, root, fault) >> _ONE)
    else:
        second = minus_nb(cube_root_nb(signed_sub_nb(root, delta1, fault) >> _ONE))
    c1 = div_wad_nb(signed_mul_nb(b_cbrt, b_cbrt, fault))
    c1 = signed_div_wad_nb(signed_mul_nb(c1, second, fault))
    ratio = signed_div_nb(signed_mul_nb(b, delta0, fault), c1, fault)
    return signed_div_small_nb(signed_sub_nb(signed_add_nb(b, ratio, fault), c1, fault), _THREE)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _newton_y(a, gamma, large, small, d, fault):
    """The fallback without a positive discriminant: (y, whether the contract accepts)."""
    three = small_nb(3)
    y = div_3_nb(d)
    y = div_nb(mul_nb(y, d, fault), mul_nb(small, three, fault), fault)
    y = div_nb(mul_nb(y, d, fault), mul_nb(large, three, fault), fault)
    k0_rest = div_nb(mul_nb(wad_nb(), mul_nb(large, three, fault), fault), d, fault)
    k0_rest = div_nb(mul_nb(k0_rest, mul_nb(small, three, fault), fault), d, fault)
    tolerance = div_small_nb(large if large > d else d, _TEN_14)
    if tolerance < small_nb(100):
        tolerance = small_nb(100)
    y, converged = solve_y_nb(a, gamma, d, y, k0_rest, large + small, tolerance, _THREE, fault)
    return y, converged and within_nb(y, d, small_nb(_TEN_16), _ten_20(), fault)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def get_y_nb(a, gamma, j, k, d, fault):
    """get_y: (y, K0 or zero, whether the contract accepts); `j`, `k` the other balances by index."""
    zero, least = to_u256(_ZERO), small_nb(_TEN_16)
    known = _LEAST_A <= a <= _MOST_A and _LEAST_GAMMA <= gamma <= _MOST_GAMMA
    if not known or d < _least_d() or d > _most_d():
        return zero, zero, False
    if not (within_nb(j, d, least, _ten_20(), fault) and within_nb(k, d, least, _ten_20(), fault)):
        return zero, zero, False
    b, c, last = _coefficients(a, gamma, j, k, d, fault)
    qa, b, c, last = _shortened(b, c, last, fault)
    delta0, delta1 = _deltas(qa, b, c, last, fault)
    square0 = signed_mul_nb(small_nb(4), signed_mul_nb(delta0, delta0, fault), fault)
    cube = signed_mul_nb(signed_div_nb(square0, b, fault), delta0, fault)
    argument = signed_add_nb(signed_mul_nb(delta1, delta1, fault), cube, fault)
    if not positive_nb(argument):
        large, small = (j, k) if j > k else (k, j)
        y, accepted = _newton_y(a, gamma, large, small, d, fault)
        return y, zero, accepted
    root_k0 = _cubic_k0(b, delta0, delta1, square_root_nb(argument), fault)
    volume = div_nb(div_small_nb(mul_nb(d, d, fault), np.uint64(27)), k, fault)
    volume = div_nb(mul_nb(volume, d, fault), j, fault)
    y = signed_div_nb(signed_mul_nb(volume, root_k0, fault), qa, fault)
    k0 = signed_div_nb(wrap_mul_nb(wad_nb(), root_k0), qa, fault)
    if negative_nb(y) or negative_nb(k0):
        return zero, zero, False
    return y, k0, within_nb(y, d, least - to_u256(_ONE), _ten_20(), fault)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def fee_nb(state, balances, fault):
    """The fee, 1e-10, for scaled balances after the trade: mid_fee in balance, to out_fee far from it."""
    total = add_nb(add_nb(balances[0], balances[1], fault), balances[2], fault)
    f = wad_nb()
    for x in balances:
        f = div_nb(mul_nb(mul_nb(f, small_nb(3), fault), x, fault), total, fault)
    fee_gamma = small_nb(state[FEES, 2])
    if state[FEES, 2] != _ZERO:
        f = div_nb(mul_nb(fee_gamma, wad_nb(), fault), sub_nb(fee_gamma + wad_nb(), f, fault), fault)
    inner = mul_nb(small_nb(state[FEES, 0]), f, fault)
    outer = mul_nb(small_nb(state[FEES, 1]), sub_nb(wad_nb(), f, fault), fault)
    return div_wad_nb(add_nb(inner, outer, fault))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _scaled(state, balance, coin, fault):
    """A balance in 1e18 units of coin 0."""
    precision = small_nb(state[PRECISIONS, coin])
    if coin == 0:
        return mul_nb(balance, precision, fault)
    value = mul_nb(balance, field_nb(state, PRICE_SCALE + coin - 1), fault)
    return div_wad_nb(mul_nb(value, precision, fault))


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _settle(state, balances, k0, fault):
    """What `tweak_price` checks after the trade: D converges, the virtual price is a number and has grown."""
    if surely_settles_nb(state, 3.0, balances[0], balances[1], balances[2], k0):
        return np.int64(OK)
    d, accepted = newton_d_nb(state[PARAMETERS, 0], state[PARAMETERS, 1], balances, k0, fault)
    if not accepted:
        return np.int64(INSUFFICIENT_LIQUIDITY)
    old = field_nb(state, VIRTUAL)
    if old == to_u256(_ZERO):
        return np.int64(OK)
    scaled_d, three = mul_nb(d, wad_nb(), fault), small_nb(3)
    ideal1 = div_nb(scaled_d, mul_nb(three, field_nb(state, PRICE_SCALE), fault), fault)
    ideal2 = div_nb(scaled_d, mul_nb(three, field_nb(state, PRICE_SCALE + 1), fault), fault)
    xcp = geometric_mean_nb(div_3_nb(d), ideal1, ideal2, fault)
    price = div_nb(mul_nb(wad_nb(), xcp, fault), field_nb(state, SUPPLY), fault)
    # tricrypto-NG compares twice the price, less 1e18, with its profit.
    sub_nb(price << _ONE, wad_nb(), fault)
    may_lose = state[PARAMETERS, 2] & np.uint64(MAY_LOSE) != _ZERO
    return np.int64(OK) if may_lose or price > old else np.int64(INSUFFICIENT_INPUT)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _in_order(coin_in, coin_out, x_in, x_out, x_third):
    """The three balances by index."""
    x0 = x_in if coin_in == 0 else x_out if coin_out == 0 else x_third
    x1 = x_in if coin_in == 1 else x_out if coin_out == 1 else x_third
    return x0, x1, x_in if coin_in == 2 else x_out if coin_out == 2 else x_third


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def amount_out_nb(state, coin_in, coin_out, amount_in, settled):
    """Exact-in: (status int64, amount out U256) for `amount_in` U256 of coin `coin_in`, paid in `coin_out`.

    Arguments and statuses as for two coins, `engine.amm.cryptoswap2.amount_out_nb`.
    """
    zero = to_u256(_ZERO)
    if field_nb(state, INVARIANT) == zero or coin_in == coin_out:
        return np.int64(UNINITIALISED), zero
    if amount_in == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    fault = stack_limbs(1)
    set_limb(fault, 0, _ZERO)
    a, gamma = state[PARAMETERS, 0], state[PARAMETERS, 1]
    third = 3 - coin_in - coin_out
    old_in, old_out = field_nb(state, BALANCES + coin_in), field_nb(state, BALANCES + coin_out)
    x_in = _scaled(state, add_nb(old_in, amount_in, fault), coin_in, fault)
    x_out = _scaled(state, old_out, coin_out, fault)
    x_third = _scaled(state, field_nb(state, BALANCES + third), third, fault)
    if get_limb(fault, 0):
        return np.int64(OVERFLOW), zero
    d, accepted = field_nb(state, INVARIANT), True
    if state[PARAMETERS, 2] & np.uint64(RAMPING):
        x_old = _scaled(state, old_in, coin_in, fault)
        d, accepted = newton_d_nb(a, gamma, _in_order(coin_in, coin_out, x_old, x_out, x_third), zero, fault)
    j, k = (x_in, x_third) if coin_in < third else (x_third, x_in)
    y, k0 = zero, zero
    if accepted:
        y, k0, accepted = get_y_nb(a, gamma, j, k, d, fault)
    if not accepted or x_out <= y:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    bought = x_out - y - to_u256(_ONE)
    if coin_out != 0:
        bought = mul_nb(bought, wad_nb(), fault)
        bought = div_nb(bought, field_nb(state, PRICE_SCALE + coin_out - 1), fault)
    bought = div_small_nb(bought, state[PRECISIONS, coin_out])
    fee = fee_nb(state, _in_order(coin_in, coin_out, x_in, y, x_third), fault)
    bought = sub_nb(bought, mul_div_small_nb(fee, bought, _TEN_10, fault), fault)
    left = _scaled(state, sub_nb(old_out, bought, fault), coin_out, fault)
    status = np.int64(OK)
    if settled and not get_limb(fault, 0):
        status = _settle(state, _in_order(coin_in, coin_out, x_in, left, x_third), k0, fault)
    if get_limb(fault, 0):
        status = np.int64(OVERFLOW)
    return status, bought if status == OK else zero
