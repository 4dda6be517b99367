"""What fee events, and the reserves of pools kept as words, do to one pool: compiled, in place.

Sources: v4-core ProtocolFeeLibrary; Camelot's and Algebra's fee events; Solidly's Sync. Answers are the
refusal codes of `engine.market.transition`, 0 for none; `state` is its `StateTables`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.amm.layout import EVENT_FEES, EVENT_SWAP_FEE, KIND_SOLIDLY, KIND_V3, V4
from engine.amm.v4_fees import v4_fee_nb

WRONG_FAMILY = 1
WRONG_FEE = 8

_RESERVE_WORDS = 4  # where both reserves are among a Solidly pool's words
_FEE_WORDS = 1
_DENOMINATOR_WORD = 3
_PIPS = np.uint64(1_000_000)
_SIDE_BITS = np.uint64(12)
_SIDE_MASK = np.uint64(0xFFF)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@njit(nogil=True, cache=True, error_model="numpy")
def apply_word_sync_nb(state, row, reserve0, reserve1):
    """Both reserves, any width, into the words of a Solidly pool."""
    if state.family[row] != KIND_SOLIDLY or state.word_count[row] == 0:
        return WRONG_FAMILY
    start = state.word_start[row] + _RESERVE_WORDS
    for limb in range(4):
        state.words[start + limb] = reserve0[limb]
        state.words[start + 4 + limb] = reserve1[limb]
    return 0


@njit(nogil=True, cache=True, error_model="numpy")
def _apply_fees_nb(state, row, fee0, fee1):
    """The fees of both directions, pips, of a pool that may change them."""
    if not state.dynamic_fee[row] or state.rules[row] == V4:
        return WRONG_FAMILY
    if fee0 >= _PIPS or fee1 >= _PIPS:
        return WRONG_FEE
    if state.family[row] == KIND_SOLIDLY:
        if state.word_count[row] == 0:
            return WRONG_FAMILY
        start = state.word_start[row]
        denominator = state.words[start + _DENOMINATOR_WORD]
        state.words[start + _FEE_WORDS] = fee0 * denominator // _PIPS
        state.words[start + _FEE_WORDS + 1] = fee1 * denominator // _PIPS
        return 0
    state.fee_pips[row, 0] = fee0
    state.fee_pips[row, 1] = fee1
    return 0


@njit(nogil=True, cache=True, error_model="numpy")
def _compose_v4_nb(state, row):
    state.fee_pips[row, 0] = v4_fee_nb(state.protocol_fee[row], state.lp_fee[row], True)
    state.fee_pips[row, 1] = v4_fee_nb(state.protocol_fee[row], state.lp_fee[row], False)


@njit(nogil=True, cache=True, error_model="numpy")
def _apply_swap_fee_nb(state, row, fee, zero_for_one):
    """The fee a V4 swap was charged: what we hold, or with a dynamic fee what tells the LP fee.

    Where the protocol's part leaves two LP fees possible, the lower is taken: one pip at most.
    """
    side = np.int64(0 if zero_for_one else 1)
    if fee > _PIPS:
        return WRONG_FEE
    if np.uint64(state.fee_pips[row, side]) == fee:
        return 0
    if not state.dynamic_fee[row]:
        return WRONG_FEE
    protocol = (np.uint64(state.protocol_fee[row]) >> (_SIDE_BITS * np.uint64(side))) & _SIDE_MASK
    if fee < protocol:
        return WRONG_FEE
    lp_fee = (fee - protocol) * _PIPS // (_PIPS - protocol)
    lp_fee = lp_fee - _ONE if lp_fee > _ZERO else lp_fee
    while lp_fee <= _PIPS and protocol + lp_fee - protocol * lp_fee // _PIPS < fee:
        lp_fee += _ONE
    if lp_fee > _PIPS or protocol + lp_fee - protocol * lp_fee // _PIPS != fee:
        return WRONG_FEE
    state.lp_fee[row] = lp_fee
    _compose_v4_nb(state, row)
    return 0


@njit(nogil=True, cache=True, error_model="numpy")
def apply_fee_event_nb(state, events, n):
    kind, row = events.kind[n], events.pool[n]
    value = events.a[n, 0]
    if kind == EVENT_FEES:
        return _apply_fees_nb(state, row, value, events.b[n, 0])
    if state.family[row] != KIND_V3 or state.rules[row] != V4:
        return WRONG_FAMILY
    if kind == EVENT_SWAP_FEE:
        return _apply_swap_fee_nb(state, row, value, events.tick_lower[n] != 0)
    if value >> np.uint64(24) != _ZERO:
        return WRONG_FEE
    state.protocol_fee[row] = value
    _compose_v4_nb(state, row)
    return 0
