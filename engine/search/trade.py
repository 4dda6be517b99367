"""One exact trade on any row, called by address.

The machine code of every family is large, and numba optimises a callee's code anew in each caller. So the
whole quote is one C function, compiled or loaded once; kernels that trade hold the pools by a pointer and
call it through `PoolArrays.calls[KIND_EMPTY, CALL_QUOTE]`, a place no family uses. Concentrated pools that
have a window in the `TickTables` held beside them are quoted from it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, njit, typeof, types
from numba.core import cgutils

from engine.amm.constant_product import amount_out_nb, least_amount_in_nb
from engine.amm.directional_fee import directional_amount_in_nb
from engine.amm.family_quote import family_quote_nb
from engine.amm.layout import (
    CALL_QUOTE,
    CALLS,
    FLOORED_FEE,
    KIND_EMPTY,
    KIND_V2,
    KIND_V3,
    OK,
    allocate,
)
from engine.amm.quote import reserves_nb
from engine.amm.tick_table import table_quote_in_nb, table_quote_out_nb
from engine.amm.tick_window import new_tick_tables
from engine.amm.wide import instruction, limb2, limb3, to_u256
from engine.amm.wide_digits import read_256, set_limbs, stack_limbs

_ZERO = np.uint64(0)
_PIPS_PER_UNIT = np.uint64(10)  # of a fee in 1e-5
_OWNER = 0  # place of the owner in numba's arrays
_HELD = types.Tuple((typeof(allocate(1, 1)), typeof(new_tick_tables(1, 1))))
_TRADE = types.int64(types.voidptr, types.int64, types.int64, types.voidptr, types.voidptr)


@instruction
def hold(typingctx, pools, tables):
    """A pointer to the arrays of the pools and of their tick tables (None: without), good until the calling
    kernel returns."""

    def codegen(context, builder, sig, args):
        kind = context.get_value_type(_HELD)
        held = builder.insert_value(ir.Constant(kind, None), args[0], 0)
        if tables is not types.none:
            held = builder.insert_value(held, args[1], 1)
        place = cgutils.alloca_once(builder, kind)
        builder.store(held, place)
        return builder.bitcast(place, ir.IntType(8).as_pointer())

    return types.voidptr(pools, tables), codegen


@instruction
def _held(typingctx, pointer):
    """The arrays again, without owners: who holds them counts their references."""

    def codegen(context, builder, sig, args):
        kind = context.get_value_type(_HELD)
        held = builder.load(builder.bitcast(args[0], kind.as_pointer()))
        for part, arrays in enumerate(kind.elements):
            for place, array in enumerate(arrays.elements):
                nobody = ir.Constant(array.elements[_OWNER], None)
                held = builder.insert_value(held, nobody, [part, place, _OWNER])
        return held

    return _HELD(types.voidptr), codegen


def _trade(pointer: Any, edge: Any, selling: Any, amount: Any, result: Any) -> Any:
    held = _held(pointer)
    pools, tables = held[0], held[1]
    given, zero = read_256(amount), to_u256(_ZERO)
    row, zero_for_one, kind = edge >> 1, (edge & 1) == 0, pools.kind[edge >> 1]
    if given == zero:
        return 0
    # As `quote_in_nb` and `quote_out_nb` have it; they would bring every family's code a second time.
    if kind == KIND_V2:
        reserve_in, reserve_out = reserves_nb(pools, row, zero_for_one)
        fee_pips = pools.fee_pips[row, edge & 1]
        if selling:
            status, other = amount_out_nb(given, reserve_in, reserve_out, fee_pips)
        elif pools.rules[row] == FLOORED_FEE:
            fee = np.uint64(fee_pips) // _PIPS_PER_UNIT
            status, other = directional_amount_in_nb(given, reserve_in, reserve_out, fee)
        else:
            status, other = least_amount_in_nb(given, reserve_in, reserve_out, fee_pips)
    elif kind == KIND_V3:
        if selling:
            status, other = table_quote_in_nb(tables, pools, row, zero_for_one, given)
        else:
            status, other = table_quote_out_nb(tables, pools, row, zero_for_one, given)
    else:
        status, other = family_quote_nb(pools, row, zero_for_one, given, np.bool_(selling != 0))
    if status != OK or other == zero or limb2(other) != _ZERO or limb3(other) != _ZERO:
        return 0
    set_limbs(result, other)
    return 1


@cache
def _compiled() -> Any:
    return cfunc(_TRADE, cache=True, error_model="numpy")(_trade)


def make_trades_ready() -> None:
    """Compile the quote, or load it from the cache, once per process."""
    if not CALLS[KIND_EMPTY, CALL_QUOTE]:
        CALLS[KIND_EMPTY, CALL_QUOTE] = _compiled().address


@instruction
def _call_trade(typingctx, address, pointer, edge, selling, amount, result):
    def codegen(context, builder, sig, args):
        kinds = [context.get_value_type(kind) for kind in _TRADE.args]
        result_kind = context.get_value_type(_TRADE.return_type)
        function = builder.inttoptr(args[0], ir.FunctionType(result_kind, kinds).as_pointer())
        return builder.call(function, list(args[1:]))

    return _TRADE.return_type(types.uint64, *_TRADE.args), codegen


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _trade_nb(address, pools, edge, selling, amount):
    given, result = stack_limbs(4), stack_limbs(4)
    set_limbs(given, amount)
    set_limbs(result, to_u256(_ZERO))
    if address == _ZERO:
        return False, to_u256(_ZERO)
    done = _call_trade(address, pools, np.int64(edge), np.int64(selling), given, result)
    return done != 0, read_256(result)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def sell_nb(address, pools, edge, amount):
    """(done, output U256): sell exactly `amount` (U256) along a directed edge; `pools` as `hold` gives them,
    `address` of the quote. Not done when the pool refuses, nothing changes hands, or the result is above
    uint128."""
    return _trade_nb(address, pools, edge, 1, amount)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def buy_nb(address, pools, edge, amount):
    """(done, input U256): the least input that buys `amount`, or at least that where the protocol only
    sells."""
    return _trade_nb(address, pools, edge, 0, amount)
