"""Wrappers as hops without a fee: ERC-4626 vaults, and stETH to wstETH and back.

ERC-4626, asset to share and back, with supply S, total assets A, virtual shares s and virtual assets a:

    shares = assets (S + s) / (A + a)        assets = shares (A + a) / (S + s)

deposit and redeem (exact-in) round down, mint and withdraw (exact-out) up. Two implementations are meant:

    OpenZeppelin 4.9 and later  s = 10**_decimalsOffset(), a = 1; products of 512 bits
    solmate                     s = a = 0; S = 0 converts one to one; a product beyond 256 bits reverts, and
                                so does a deposit or a redemption that gives nothing

State of a vault: S, A (uint256, base units), s, a. A moves without events where the vault earns, lends or is
given assets. Vaults with fees or limits answer something else than this and must not be described so.

wstETH: with H total shares and P total pooled ether, wrapping x stETH mints floor(x H / P), unwrapping w
sends floor(w P / H) stETH, and a stETH transfer of e moves floor(e H / P) shares. A balance is
floor(shares P / H), so what a wallet gains or loses depends on the shares it holds and can be a wei or two
less than the nominal amount; the amounts here are the wallet's. State: H, P, the wstETH supply (uint256).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.checked import checked_product_nb, checked_sum_nb
from engine.amm.full_math import mul_div_nb, mul_div_rounding_up_nb
from engine.amm.layout import INSUFFICIENT_INPUT, INSUFFICIENT_LIQUIDITY, OK, OVERFLOW, UNINITIALISED
from engine.amm.wide import limb0, limb1, limb2, limb3, make_u256, to_u256

_ZERO = np.uint64(0)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _convert(amount, from_total, to_total, from_virtual, to_virtual, supply, virtual_assets, round_up):
    """amount (to_total + to_virtual) / (from_total + from_virtual): (U256, fits)."""
    zero = to_u256(_ZERO)
    if virtual_assets == zero:
        if supply == zero:
            return amount, True
        _, fits = checked_product_nb(amount, to_total)
        if not fits:
            return zero, False
    numerator, fits_1 = checked_sum_nb(to_total, to_virtual)
    denominator, fits_2 = checked_sum_nb(from_total, from_virtual)
    if not (fits_1 and fits_2):
        return zero, False
    if round_up:
        return mul_div_rounding_up_nb(amount, numerator, denominator)
    return mul_div_nb(amount, numerator, denominator)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _moved_status(assets, shares, entering, supply, total_assets):
    """Can these amounts enter or leave the vault?"""
    if entering:
        _, fits_assets = checked_sum_nb(total_assets, assets)
        _, fits_shares = checked_sum_nb(supply, shares)
        return np.int64(OK if fits_assets and fits_shares else OVERFLOW)
    return np.int64(OK if assets <= total_assets and shares <= supply else INSUFFICIENT_LIQUIDITY)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def vault_amount_out_nb(amount_in, entering, supply, total_assets, virtual_shares, virtual_assets):
    """Exact-in: deposit of assets if `entering`, redemption of shares otherwise: (status int64, U256).

    All amounts U256. INSUFFICIENT_INPUT where solmate refuses to give nothing;
    INSUFFICIENT_LIQUIDITY for more than the vault has; OVERFLOW where its arithmetic reverts. Zero is
    moved where the contracts move it.
    """
    zero = to_u256(_ZERO)
    if entering:
        amount_out, fits = _convert(
            amount_in, total_assets, supply, virtual_assets, virtual_shares, supply, virtual_assets, False
        )
        status = _moved_status(amount_in, amount_out, True, supply, total_assets)
    else:
        amount_out, fits = _convert(
            amount_in, supply, total_assets, virtual_shares, virtual_assets, supply, virtual_assets, False
        )
        status = _moved_status(amount_out, amount_in, False, supply, total_assets)
    if not fits:
        return np.int64(OVERFLOW), zero
    if status == OK and amount_out == zero and virtual_assets == zero:
        status = np.int64(INSUFFICIENT_INPUT)
    return status, amount_out if status == OK else zero


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def vault_amount_in_nb(amount_out, entering, supply, total_assets, virtual_shares, virtual_assets):
    """Exact-out: assets to mint `amount_out` shares if `entering`, shares to withdraw that many assets
    otherwise; arguments and statuses as in `vault_amount_out_nb`."""
    zero = to_u256(_ZERO)
    if entering:
        amount_in, fits = _convert(
            amount_out, supply, total_assets, virtual_shares, virtual_assets, supply, virtual_assets, True
        )
        status = _moved_status(amount_in, amount_out, True, supply, total_assets)
    else:
        amount_in, fits = _convert(
            amount_out, total_assets, supply, virtual_assets, virtual_shares, supply, virtual_assets, True
        )
        status = _moved_status(amount_out, amount_in, False, supply, total_assets)
    if not fits:
        return np.int64(OVERFLOW), zero
    return status, amount_in if status == OK else zero


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _floor(amount, numerator, denominator):
    """floor(amount * numerator / denominator) by SafeMath: (U256, fits)."""
    _, fits = checked_product_nb(amount, numerator)
    value, is_defined = mul_div_nb(amount, numerator, denominator)
    return value, fits and is_defined


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def wrap_nb(amount_in, total_shares, pooled_ether):
    """stETH to wstETH, exact-in: (status int64, wstETH minted U256). More stETH than there is cannot come."""
    zero = to_u256(_ZERO)
    if amount_in == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    if total_shares == zero or pooled_ether == zero:
        return np.int64(UNINITIALISED), zero
    if amount_in > pooled_ether:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    minted, fits = _floor(amount_in, total_shares, pooled_ether)
    return np.int64(OK if fits else OVERFLOW), minted


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def unwrap_nb(amount_in, total_shares, pooled_ether, wrapped_supply, held_shares):
    """wstETH to stETH, exact-in: (status int64, what the receiver's balance grows by, U256).

    `held_shares` U256 are the shares the receiver has before; with none, the growth is the least possible.
    """
    zero = to_u256(_ZERO)
    if amount_in == zero:
        return np.int64(INSUFFICIENT_INPUT), zero
    if total_shares == zero or pooled_ether == zero:
        return np.int64(UNINITIALISED), zero
    if amount_in > wrapped_supply or held_shares > total_shares:
        return np.int64(INSUFFICIENT_LIQUIDITY), zero
    nominal, fits_1 = _floor(amount_in, pooled_ether, total_shares)
    moved, fits_2 = _floor(nominal, total_shares, pooled_ether)
    before, fits_3 = _floor(held_shares, pooled_ether, total_shares)
    holding, fits_4 = checked_sum_nb(held_shares, moved)
    after, fits_5 = _floor(holding, pooled_ether, total_shares)
    if not (fits_1 and fits_2 and fits_3 and fits_4 and fits_5):
        return np.int64(OVERFLOW), zero
    return np.int64(OK), after - before


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def wrap_spent_nb(amount_in, total_shares, pooled_ether, held_shares):
    """What the sender's stETH balance falls by when it wraps `amount_in`, holding `held_shares`: (status
    int64, U256). INSUFFICIENT_LIQUIDITY when it does not hold enough."""
    status, moved = wrap_nb(amount_in, total_shares, pooled_ether)
    if status != OK:
        return status, moved
    if moved > held_shares:
        return np.int64(INSUFFICIENT_LIQUIDITY), to_u256(_ZERO)
    before, fits_1 = _floor(held_shares, pooled_ether, total_shares)
    after, fits_2 = _floor(held_shares - moved, pooled_ether, total_shares)
    return np.int64(OK if fits_1 and fits_2 else OVERFLOW), before - after


@njit(nogil=True, cache=True, error_model="numpy")
def est_vault_rate_nb(entering, supply, total_assets, virtual_shares, virtual_assets):
    """Output per input of an ERC-4626 vault, float64, base units; the state as float64. The rate does
    not depend on the amount; 0 where one side is empty."""
    if virtual_assets == 0.0 and supply == 0.0:
        return 1.0
    shares, assets = supply + virtual_shares, total_assets + virtual_assets
    if shares <= 0.0 or assets <= 0.0:
        return 0.0
    return shares / assets if entering else assets / shares


@njit(nogil=True, cache=True, error_model="numpy")
def est_wrap_rate_nb(wrapping, total_shares, pooled_ether):
    """Output per input of wrapping stETH, or of unwrapping wstETH, float64; 0 without shares."""
    if total_shares <= 0.0 or pooled_ether <= 0.0:
        return 0.0
    return total_shares / pooled_ether if wrapping else pooled_ether / total_shares


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _row(rows, i):
    return make_u256(rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, inline="always")
def _store(value, row):
    row[0], row[1], row[2], row[3] = limb0(value), limb1(value), limb2(value), limb3(value)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def vault_quotes_nb(states, entering, exact_in, amounts, statuses, results):
    """Many ERC-4626 quotes in one call.

    states u64[n, 4, 4] (supply, total assets, virtual shares, virtual assets), entering and exact_in bool[n],
    amounts u64[n, 4]; writes statuses i64[n], results u64[n, 4].
    """
    for i in range(len(amounts)):
        supply, assets = _row(states[i], 0), _row(states[i], 1)
        virtual_shares, virtual_assets = _row(states[i], 2), _row(states[i], 3)
        if exact_in[i]:
            status, value = vault_amount_out_nb(
                _row(amounts, i), entering[i], supply, assets, virtual_shares, virtual_assets
            )
        else:
            status, value = vault_amount_in_nb(
                _row(amounts, i), entering[i], supply, assets, virtual_shares, virtual_assets
            )
        statuses[i] = status
        _store(value, results[i])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def wrap_quotes_nb(states, wrapping, amounts, statuses, results):
    """Many stETH and wstETH quotes in one call.

    states u64[n, 4, 4] (total shares, pooled ether, wstETH supply, shares the wallet holds), wrapping
    bool[n], amounts u64[n, 4]; writes statuses i64[n, 2] and results u64[n, 2, 4]: what comes out, and what
    a wrap takes from the wallet (of an unwrap, the amount itself).
    """
    for i in range(len(amounts)):
        amount = _row(amounts, i)
        shares, ether, supply, held = (
            _row(states[i], 0),
            _row(states[i], 1),
            _row(states[i], 2),
            _row(states[i], 3),
        )
        if wrapping[i]:
            status, value = wrap_nb(amount, shares, ether)
            taken_status, taken = wrap_spent_nb(amount, shares, ether, held)
        else:
            status, value = unwrap_nb(amount, shares, ether, supply, held)
            taken_status, taken = status, amount
        statuses[i, 0], statuses[i, 1] = status, taken_status
        _store(value, results[i, 0])
        _store(taken, results[i, 1])
