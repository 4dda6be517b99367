"""Uniswap V4: the fee a swap is charged, and what a hook contract's address lets it do to one.

Sources: v4-core ProtocolFeeLibrary (calculateSwapFee), LPFeeLibrary (the dynamic fee and override flags),
Hooks (permissions are the lowest 14 bits of the hook's address). All fees are in pips, 1e-6 of the input.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numba import njit

PIPS = 1_000_000
_PIPS = np.uint64(PIPS)
_ZERO = np.uint64(0)
_SIDE_MASK = np.uint64(0xFFF)
_SIDE_BITS = np.uint64(12)

DYNAMIC_FEE_FLAG = 0x800000  # the whole of PoolKey.fee when the hook sets the fee
OVERRIDE_FEE_FLAG = 0x400000  # on what beforeSwap returns: use the rest for this swap

AFTER_REMOVE_LIQUIDITY_RETURNS_DELTA = 1 << 0
AFTER_ADD_LIQUIDITY_RETURNS_DELTA = 1 << 1
AFTER_SWAP_RETURNS_DELTA = 1 << 2
BEFORE_SWAP_RETURNS_DELTA = 1 << 3
AFTER_SWAP = 1 << 6
BEFORE_SWAP = 1 << 7
RETURN_DELTAS = 0b1111
HOOK_BITS = (1 << 14) - 1


class HookPolicy(Enum):
    """How far a quote from the pool's own state holds for a pool with this hook."""

    EXACT = "the pool's state alone decides the amounts"
    FEE_READ_EACH_BLOCK = "the hook may change the stored LP fee, and no event says so"
    FEE_SET_IN_SWAP = "beforeSwap may override the LP fee of each swap: give the fee it returns"
    SIMULATE = "the hook runs around the swap and may act on the pool or revert: simulate before sending"
    REFUSED = "the hook may take or give amounts itself, or the pool key is not a legal one"


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def v4_fee_nb(protocol_fee, lp_fee, zero_for_one):
    """The fee a swap is charged, uint64 pips: protocol + lp - floor(protocol * lp / 1e6).

    `protocol_fee` is slot0's: twelve bits for selling currency0, then twelve for selling currency1; `lp_fee`
    is slot0's or the hook's override without its flag, at most 1e6. Both unsigned.
    """
    both = np.uint64(protocol_fee)
    side = (both if zero_for_one else both >> _SIDE_BITS) & _SIDE_MASK
    lp_pips = np.uint64(lp_fee)
    return side + lp_pips - side * lp_pips // _PIPS


def v4_fee(protocol_fee: int, lp_fee: int, zero_for_one: bool) -> int:
    """`v4_fee_nb` for Python. Raises ValueError for a fee the pool manager does not accept."""
    if not 0 <= lp_fee <= PIPS:
        raise ValueError(f"LP fee {lp_fee} is outside [0, {PIPS}]")
    if not 0 <= protocol_fee < 1 << 24:
        raise ValueError(f"protocol fee {protocol_fee} does not fit 24 bits")
    return int(v4_fee_nb(protocol_fee, lp_fee, zero_for_one))


def from_amount_specified(amount_specified: int) -> tuple[bool, int]:
    """(exact_in, magnitude) of V4's signed amountSpecified: negative is exact-in, the opposite of V3."""
    return amount_specified < 0, abs(amount_specified)


def to_amount_specified(exact_in: bool, amount: int) -> int:
    """V4's amountSpecified for a positive amount in base units."""
    return -amount if exact_in else amount


def hook_override_fee(returned: int) -> int | None:
    """The LP fee, pips, in the value beforeSwap returned; None when it does not override the stored one.

    Raises ValueError for a fee above 100 %, with which the pool manager reverts.
    """
    if not returned & OVERRIDE_FEE_FLAG:
        return None
    fee = returned & ~OVERRIDE_FEE_FLAG
    if fee > PIPS:
        raise ValueError(f"the hook's LP fee {fee} is above {PIPS}")
    return fee


def hook_policy(hooks: str, key_fee: int) -> HookPolicy:
    """What may be quoted for a pool with this hook address (0x-hex, zero for none) and PoolKey.fee.

    Any of the four return-delta permissions is refused. A swap hook on a pool of static fee cannot change
    amounts by itself, but runs with the pool manager unlocked: hence SIMULATE.
    """
    address = int(hooks, 16)
    dynamic = key_fee == DYNAMIC_FEE_FLAG
    if not dynamic and not 0 <= key_fee <= PIPS:
        return HookPolicy.REFUSED
    if address == 0:
        return HookPolicy.REFUSED if dynamic else HookPolicy.EXACT
    if address & RETURN_DELTAS:
        return HookPolicy.REFUSED
    if dynamic and address & BEFORE_SWAP:
        return HookPolicy.FEE_SET_IN_SWAP
    if address & (BEFORE_SWAP | AFTER_SWAP):
        return HookPolicy.SIMULATE
    return HookPolicy.FEE_READ_EACH_BLOCK if dynamic else HookPolicy.EXACT
