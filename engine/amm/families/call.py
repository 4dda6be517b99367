"""Calling a family by address, and what such a function is compiled as.

A quote takes (words, their count, coin sold, coin bought, whether the amount is what is sold, timestamp of
the block, amount, result) and returns a status of the layout; amount and result are four limbs in memory.
NO_EXACT_OUT says that the protocol has no exact-out swap. In place of whether the amount is what is sold,
INVARIANT asks for the state's invariant, which `pack` keeps where finding it is most of a quote. An estimate
takes (words, count, coin sold, coin bought, timestamp, amount) and returns the output, or for an amount of
zero the marginal rate, in base units.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, types
from numpy.typing import NDArray

from engine.amm.layout import OK
from engine.amm.wide import instruction

NO_EXACT_OUT = -1
INVARIANT = 2

_WORDS = types.CPointer(types.uint64)

QUOTE = types.int64(
    _WORDS, types.int64, types.int64, types.int64, types.int64, types.uint64, types.voidptr, types.voidptr
)
ESTIMATE = types.float64(_WORDS, types.int64, types.int64, types.int64, types.uint64, types.float64)


class Family:
    """A C function that is compiled, or loaded from the cache, when its address is first asked for."""

    def __init__(self, signature: Any, function: Callable):
        self._signature = signature
        self._function = function

    @cached_property
    def address(self) -> int:
        """Where the machine code is in this process, for as long as this object lives."""
        self._compiled = cfunc(self._signature, nopython=True, cache=True, error_model="numpy")(
            self._function
        )
        return self._compiled.address

    def invariant(self, words: NDArray[np.uint64], timestamp: int) -> NDArray[np.uint64]:
        """The four limbs of the state's invariant at a time, of a quote; zeros where it has none."""
        result, nothing = np.zeros(4, np.uint64), np.zeros(4, np.uint64)
        pointer = words.ctypes.data_as(ctypes.POINTER(ctypes.c_uint64))
        assert self.address
        buffers = nothing.ctypes.data, result.ctypes.data
        status = self._compiled.ctypes(pointer, len(words), 0, 1, INVARIANT, timestamp, *buffers)
        return result if status == OK else nothing


def quote_family(function: Callable) -> Family:
    """Make the function a quote."""
    return Family(QUOTE, function)


def estimate_family(function: Callable) -> Family:
    """Make the function an estimate."""
    return Family(ESTIMATE, function)


@instruction
def words_at(typingctx, array, start):
    """Pointer to element `start` of a one-dimensional u64 array."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.gep(data, [args[1]])

    return _WORDS(array, types.int64), codegen


@instruction
def offset(typingctx, words, count):
    """The pointer `count` words on."""

    def codegen(context, builder, sig, args):
        return builder.gep(args[0], [args[1]])

    return _WORDS(_WORDS, types.int64), codegen


@instruction
def as_bytes(typingctx, words):
    """The pointer as one to bytes: the first byte of a word is its lowest on every machine numba serves."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.IntType(8).as_pointer())

    return types.CPointer(types.uint8)(_WORDS), codegen


@instruction
def as_buffer(typingctx, words):
    """The pointer as an untyped one, for `read_256`."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(_WORDS), codegen


def _emit_call(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    result = context.get_value_type(signature.return_type)
    kinds = [context.get_value_type(kind) for kind in signature.args]
    function = builder.inttoptr(args[0], ir.FunctionType(result, kinds).as_pointer())
    return builder.call(function, list(args[1:]))


@instruction
def call_quote(typingctx, address, words, count, coin_in, coin_out, exact_in, timestamp, amount, result):
    """The QUOTE function at `address`, which must not be zero."""

    def codegen(context, builder, sig, args):
        return _emit_call(context, builder, QUOTE, args)

    return QUOTE.return_type(types.uint64, *QUOTE.args), codegen


@instruction
def call_estimate(typingctx, address, words, count, coin_in, coin_out, timestamp, amount):
    """The ESTIMATE function at `address`, which must not be zero."""

    def codegen(context, builder, sig, args):
        return _emit_call(context, builder, ESTIMATE, args)

    return ESTIMATE.return_type(types.uint64, *ESTIMATE.args), codegen
