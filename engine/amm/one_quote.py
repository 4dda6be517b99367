"""One quote from Python at a time, in about a microsecond.

Handing two dozen arrays to compiled code costs several times what a quote does. So the arrays' descriptors
are written once into a block of memory, and a C function that reads them there is called through ctypes.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, njit, typeof, types

from engine.amm.layout import PoolArrays, allocate
from engine.amm.quote import quote_in_nb, quote_out_nb
from engine.amm.wide import instruction
from engine.amm.wide_digits import read_256, set_limbs

_OWNER = 0  # place of the owner in numba's description of an array
_POOLS = typeof(allocate(1, 1))
_QUOTE = types.int64(types.voidptr, types.int64, types.int64, types.int64, types.voidptr, types.voidptr)
_WORDS = 1024  # of a block: some eight for each array
_BYTES = 32


@instruction
def _describe(typingctx, pools, block):
    """Write the arrays' descriptors, without owners, to a u64[_WORDS] array."""

    def codegen(context, builder, sig, args):
        described = args[0]
        if context.get_abi_sizeof(described.type) > 8 * _WORDS:
            raise MemoryError("the arrays' descriptors do not fit their block")
        for place, array in enumerate(described.type.elements):
            nobody = ir.Constant(array.elements[_OWNER], None)
            described = builder.insert_value(described, nobody, [place, _OWNER])
        data = context.make_array(sig.args[1])(context, builder, args[1]).data
        builder.store(described, builder.bitcast(data, described.type.as_pointer()))
        return context.get_dummy_value()

    return types.void(pools, block), codegen


@instruction
def _described(typingctx, pointer):
    """The arrays whose descriptors stand at a pointer; who wrote them keeps them alive."""

    def codegen(context, builder, sig, args):
        return builder.load(builder.bitcast(args[0], context.get_value_type(_POOLS).as_pointer()))

    return _POOLS(types.voidptr), codegen


@njit(nogil=True, cache=True, error_model="numpy")
def _describe_nb(pools, block):
    _describe(pools, block)


def _quote(pointer: Any, row: Any, zero_for_one: Any, exact_in: Any, amount: Any, result: Any) -> Any:
    pools, given = _described(pointer), read_256(amount)
    if exact_in:
        status, value = quote_in_nb(pools, row, zero_for_one != 0, given)
    else:
        status, value = quote_out_nb(pools, row, zero_for_one != 0, given)
    set_limbs(result, value)
    return np.int64(status)


@cache
def _function() -> Any:
    """The compiled quote as a ctypes function, which keeps the machine code alive."""
    compiled = cfunc(_QUOTE, cache=True, error_model="numpy")(_quote)
    function = compiled.ctypes
    function.compiled = compiled
    return function


class Quoter:
    """Quotes of one set of arrays, as they are at each call. Not for two threads at once.

    Valid as long as `pools` are the arrays in use: a market's are replaced when they grow.
    """

    def __init__(self, pools: PoolArrays):
        self.pools = pools
        self._block = np.zeros(_WORDS, np.uint64)
        _describe_nb(pools, self._block)
        self._amount = ctypes.create_string_buffer(_BYTES)
        self._result = ctypes.create_string_buffer(_BYTES)
        self._pointers = (
            self._block.ctypes.data,
            ctypes.addressof(self._amount),
            ctypes.addressof(self._result),
        )
        self._call = _function()

    def quote(self, row: int, zero_for_one: bool, exact_in: bool, amount: int) -> tuple[int, int]:
        """(status, the other amount), as `quote_in_nb` or `quote_out_nb` has it. Raises OverflowError for an
        amount outside 256 bits, IndexError for a row that is not there."""
        if not 0 <= row < len(self.pools.kind):
            raise IndexError(f"there is no row {row}")
        self._amount.raw = amount.to_bytes(_BYTES, "little")
        block, given, result = self._pointers
        status = self._call(block, row, zero_for_one, exact_in, given, result)
        return status, int.from_bytes(self._result.raw, "little")
