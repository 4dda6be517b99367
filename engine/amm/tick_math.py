"""Sqrt prices of ticks and back, exactly as Uniswap V3's TickMath.sol."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine.amm.layout import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK, int_to_limbs, limbs_to_int
from engine.amm.wide import (
    constant,
    limb0,
    limb1,
    limb2,
    limb3,
    make_u128,
    make_u256,
    mul_128_128,
    stay_whole,
    to_float,
    to_u128,
    to_u256,
    trailing_zeros,
)
from engine.amm.wide_division import divide_256_nb

_ZERO = np.uint64(0)
_ONE = np.uint64(1)

# sqrt(1.0001) ** -(2 ** k) in Q128, the multipliers of TickMath.getSqrtRatioAtTick, for k = 0 ... 19.
_FACTORS = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)
_FACTOR_LIMBS = np.array([int_to_limbs(factor, 2) for factor in _FACTORS], np.uint64)
_all_ones = constant(256, (1 << 256) - 1)
_two_to_128 = constant(256, 1 << 128)
_round_up_32 = constant(256, (1 << 32) - 1)
_LOG_SQRT_BASE = math.log(1.0001) / 2
_LOG_Q96 = 96 * math.log(2)
# The float logarithm is off by less than 1e-8 ticks; nearer than this to a whole tick, ask exactly.
_TICK_DOUBT = 1e-6


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=False)
def sqrt_ratio_at_tick_nb(tick):
    """sqrt(1.0001**tick) in Q96 as U256, for an int64 tick in [MIN_TICK, MAX_TICK] (not checked)."""
    stay_whole()
    bits = np.uint64(tick if tick >= 0 else -tick)
    ratio = _two_to_128()
    if bits != _ZERO:
        k = np.int64(trailing_zeros(bits))
        product = make_u128(_FACTOR_LIMBS[k, 0], _FACTOR_LIMBS[k, 1])
        bits &= bits - _ONE
        while bits != _ZERO:
            k = np.int64(trailing_zeros(bits))
            factor = make_u128(_FACTOR_LIMBS[k, 0], _FACTOR_LIMBS[k, 1])
            product = to_u128(mul_128_128(product, factor) >> np.uint64(128))
            bits &= bits - _ONE
        ratio = to_u256(product)
    if tick > 0:
        ratio, _ = divide_256_nb(_all_ones(), ratio)
    shifted = ratio >> np.uint64(32)
    if (ratio & _round_up_32()) != to_u256(_ZERO):
        shifted = shifted + to_u256(_ONE)
    return shifted


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def tick_at_sqrt_ratio_nb(sqrt_price):
    """The greatest int64 tick whose sqrt ratio is at most `sqrt_price` (U256 in [MIN, MAX), not checked).

    The contract's logarithm is proved to find this tick; here a float logarithm proposes it and, when it
    lies too near a whole number to be sure, exact sqrt ratios decide.
    """
    position = (math.log(to_float(sqrt_price)) - _LOG_Q96) / _LOG_SQRT_BASE
    nearest = math.floor(position + 0.5)
    tick = np.int64(math.floor(position))
    if abs(position - nearest) < _TICK_DOUBT:
        tick = min(max(np.int64(nearest), np.int64(MIN_TICK)), np.int64(MAX_TICK))
        if sqrt_ratio_at_tick_nb(tick) > sqrt_price:
            tick -= np.int64(1)
    return tick


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _sqrt_ratio_into_nb(tick, out):
    value = sqrt_ratio_at_tick_nb(tick)
    out[0], out[1], out[2], out[3] = limb0(value), limb1(value), limb2(value), limb3(value)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _tick_of_limbs_nb(limbs):
    return tick_at_sqrt_ratio_nb(make_u256(limbs[0], limbs[1], limbs[2], limbs[3]))


def sqrt_ratio_at_tick(tick: int) -> int:
    """sqrtPriceX96 at `tick`. Raises ValueError outside [MIN_TICK, MAX_TICK], where the contract reverts."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise ValueError(f"tick {tick} is outside [{MIN_TICK}, {MAX_TICK}]")
    out = np.zeros(4, np.uint64)
    _sqrt_ratio_into_nb(tick, out)
    return limbs_to_int(out)


def tick_at_sqrt_ratio(sqrt_price_x96: int) -> int:
    """The greatest tick at or below the price. Raises ValueError outside [MIN_SQRT_RATIO, MAX_SQRT_RATIO)."""
    if not MIN_SQRT_RATIO <= sqrt_price_x96 < MAX_SQRT_RATIO:
        raise ValueError(f"sqrt price {sqrt_price_x96} is outside [{MIN_SQRT_RATIO}, {MAX_SQRT_RATIO})")
    return int(_tick_of_limbs_nb(int_to_limbs(sqrt_price_x96)))
