"""ERC-4626 vaults, wstETH and WETH as words: 256-bit values, four limbs each.

ERC-4626: total supply, total assets, virtual shares, virtual assets; coins are (asset, share)
wstETH:   total shares, pooled ether, wstETH supply; coins are (stETH, wstETH)
WETH:     what can be unwrapped; coins are (the native coin, WETH)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.amm.families.call import NO_EXACT_OUT, as_buffer, estimate_family, offset, quote_family
from engine.amm.families.words import Words, read_wide, wide
from engine.amm.layout import INSUFFICIENT_INPUT, INSUFFICIENT_LIQUIDITY, OK, UNINITIALISED
from engine.amm.vaults import (
    est_vault_rate_nb,
    est_wrap_rate_nb,
    unwrap_nb,
    vault_amount_in_nb,
    vault_amount_out_nb,
    wrap_nb,
)
from engine.amm.wide import to_float, to_u256
from engine.amm.wide_digits import read_256, set_limbs

_ZERO = np.uint64(0)


class Vault(NamedTuple):
    """State of an ERC-4626 vault; fields as in `engine.amm.vaults`."""

    supply: int
    assets: int
    virtual_shares: int
    virtual_assets: int


class Wrapper(NamedTuple):
    """State of wstETH."""

    total_shares: int
    pooled_ether: int
    wrapped_supply: int


class Weth(NamedTuple):
    """State of WETH."""

    supply: int


def pack(pool: Vault | Wrapper | Weth) -> Words:
    """Words of a wrapper. Raises OverflowError for a value that does not fit."""
    return wide(pool)


def unpack_vault(words: Words) -> Vault:
    """The vault `pack` was given."""
    return Vault(*read_wide(words, 0, 4))


def unpack_wrapper(words: Words) -> Wrapper:
    """The wstETH state `pack` was given."""
    return Wrapper(*read_wide(words, 0, 3))


def unpack_weth(words: Words) -> Weth:
    """The WETH state `pack` was given."""
    return Weth(*read_wide(words, 0, 1))


@quote_family
def quote_vault(words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    if count != 16:
        return np.int64(UNINITIALISED)
    given, entering = read_256(amount), coin_in == 0
    if given == to_u256(_ZERO):
        return np.int64(INSUFFICIENT_INPUT)
    supply, assets = read_256(as_buffer(words)), read_256(as_buffer(offset(words, 4)))
    virtual_shares = read_256(as_buffer(offset(words, 8)))
    virtual_assets = read_256(as_buffer(offset(words, 12)))
    if exact_in:
        status, value = vault_amount_out_nb(given, entering, supply, assets, virtual_shares, virtual_assets)
    else:
        status, value = vault_amount_in_nb(given, entering, supply, assets, virtual_shares, virtual_assets)
    set_limbs(result, value)
    return np.int64(status)


@estimate_family
def estimate_vault(words, count, coin_in, coin_out, timestamp, amount):
    if count != 16:
        return 0.0
    supply = to_float(read_256(as_buffer(words)))
    assets = to_float(read_256(as_buffer(offset(words, 4))))
    virtual_shares = to_float(read_256(as_buffer(offset(words, 8))))
    virtual_assets = to_float(read_256(as_buffer(offset(words, 12))))
    rate = est_vault_rate_nb(coin_in == 0, supply, assets, virtual_shares, virtual_assets)
    return rate * amount if amount > 0.0 else rate


@quote_family
def quote_wrapper(words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    if count != 12:
        return np.int64(UNINITIALISED)
    if not exact_in:
        return np.int64(NO_EXACT_OUT)
    shares, ether = read_256(as_buffer(words)), read_256(as_buffer(offset(words, 4)))
    given = read_256(amount)
    if coin_in == 0:
        status, value = wrap_nb(given, shares, ether)
    else:
        supply = read_256(as_buffer(offset(words, 8)))
        status, value = unwrap_nb(given, shares, ether, supply, to_u256(_ZERO))
    set_limbs(result, value)
    return np.int64(status)


@estimate_family
def estimate_wrapper(words, count, coin_in, coin_out, timestamp, amount):
    if count != 12:
        return 0.0
    shares = to_float(read_256(as_buffer(words)))
    ether = to_float(read_256(as_buffer(offset(words, 4))))
    rate = est_wrap_rate_nb(coin_in == 0, shares, ether)
    return rate * amount if amount > 0.0 else rate


@quote_family
def quote_weth(words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    if count != 4:
        return np.int64(UNINITIALISED)
    given = read_256(amount)
    if given == to_u256(_ZERO):
        return np.int64(INSUFFICIENT_INPUT)
    if coin_in == 1 and given > read_256(as_buffer(words)):
        return np.int64(INSUFFICIENT_LIQUIDITY)
    set_limbs(result, given)
    return np.int64(OK)


@estimate_family
def estimate_weth(words, count, coin_in, coin_out, timestamp, amount):
    return amount if amount > 0.0 else 1.0
