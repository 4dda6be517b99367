"""Digits of wide divisions: reciprocals, one quotient digit, scratch memory.

Each 64-bit quotient digit comes from a precomputed reciprocal of the divisor's two top limbs (Moller and
Granlund, "Improved division by invariant integers", 2011: algorithms 3 to 6). Only multiplications are used:
no hardware divide, no inline assembly, the same code on every processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

from engine.amm.wide import (
    BY_WIDTH,
    DOUBLE_LIMB,
    LIMB,
    LIMB_SHIFT,
    instruction,
    join_limbs,
    limb0,
    limb1,
    mul_64_64,
    split_limbs,
    to_u128,
)

_ONE = np.uint64(1)
_ZERO = np.uint64(0)


# Scratch memory on the stack: the digits of numerator and quotient, indexed at run time.


def _stack_limbs(typingctx, count):
    """A stack buffer of `count` (a literal) limbs."""
    if not isinstance(count, types.IntegerLiteral):
        return None

    def codegen(context, builder, sig, args):
        buffer = cgutils.alloca_once(builder, ir.ArrayType(LIMB, count.literal_value))
        return builder.bitcast(buffer, ir.IntType(8).as_pointer())

    return types.voidptr(types.IntegerLiteral(count.literal_value)), codegen


stack_limbs: Any = intrinsic(prefer_literal=True)(_stack_limbs)


def _address(builder: ir.IRBuilder, buffer: ir.Value, index: ir.Value) -> ir.Value:
    return builder.gep(builder.bitcast(buffer, LIMB.as_pointer()), [index])


@instruction
def get_limb(typingctx, buffer, index):
    def codegen(context, builder, sig, args):
        return builder.load(_address(builder, *args))

    return types.uint64(types.voidptr, types.int64), codegen


@instruction
def set_limb(typingctx, buffer, index, value):
    def codegen(context, builder, sig, args):
        builder.store(args[2], _address(builder, args[0], args[1]))
        return context.get_dummy_value()

    return types.void(types.voidptr, types.int64, types.uint64), codegen


@instruction
def set_limbs(typingctx, buffer, value):
    """Write a wide value's limbs to the start of the buffer, little-endian whatever the machine."""

    def codegen(context, builder, sig, args):
        for k, limb in enumerate(split_limbs(builder, args[1], value.bits // 64)):
            builder.store(limb, _address(builder, args[0], ir.Constant(LIMB, k)))
        return context.get_dummy_value()

    return types.void(types.voidptr, value), codegen


def _limbs_reader(bits: int) -> Any:
    @instruction
    def read(typingctx, buffer):
        def codegen(context, builder, sig, args):
            limbs = [
                builder.load(_address(builder, args[0], ir.Constant(LIMB, k))) for k in range(bits // 64)
            ]
            return join_limbs(builder, limbs, bits)

        return BY_WIDTH[bits](types.voidptr), codegen

    return read


read_256 = _limbs_reader(256)
read_320 = _limbs_reader(320)
read_512 = _limbs_reader(512)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def reciprocal_1_nb(divisor):
    """floor((2**128 - 1) / divisor) - 2**64 for a uint64 divisor with its top bit set (algorithm 3)."""
    low_bit = divisor & _ONE
    top_9 = divisor >> np.uint64(55)
    top_40 = (divisor >> np.uint64(24)) + _ONE
    half = (divisor >> _ONE) + low_bit
    v0 = np.uint64(np.uint32(0x7FD00) // np.uint32(top_9))
    v1 = (v0 << np.uint64(11)) - ((v0 * v0 * top_40) >> np.uint64(40)) - _ONE
    v2 = (v1 << np.uint64(13)) + ((v1 * ((_ONE << np.uint64(60)) - v1 * top_40)) >> np.uint64(47))
    error = ((v2 >> _ONE) & (_ZERO - low_bit)) - v2 * half
    v3 = (limb1(mul_64_64(v2, error)) >> _ONE) + (v2 << np.uint64(31))
    return v3 - (limb1(mul_64_64(v3, divisor) + to_u128(divisor)) + divisor)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def reciprocal_2_nb(high, low):
    """The 3-by-2 reciprocal of high * 2**64 + low, top bit of `high` set (algorithm 6)."""
    v = reciprocal_1_nb(high)
    p = high * v + low
    if p < low:
        v -= _ONE
        if p >= high:
            v -= _ONE
            p -= high
        p -= high
    t = mul_64_64(v, low)
    t_high = limb1(t)
    p = p + t_high
    if p < t_high:
        v -= _ONE
        if p > high or (p == high and limb0(t) >= low):
            v -= _ONE
    return v


def _low(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    return b.trunc(value, LIMB)


def _high(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    return b.trunc(b.lshr(value, LIMB_SHIFT), LIMB)


def _times(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return b.mul(b.zext(x, DOUBLE_LIMB), b.zext(y, DOUBLE_LIMB))


def _pair(b: ir.IRBuilder, high: ir.Value, low: ir.Value) -> ir.Value:
    return b.or_(b.shl(b.zext(high, DOUBLE_LIMB), LIMB_SHIFT), b.zext(low, DOUBLE_LIMB))


def _emit_digit_1(b, remainder, limb, divisor, v):
    """(remainder : limb) / divisor with remainder < divisor: digit, remainder (algorithm 4)."""
    estimate = b.add(_times(b, v, remainder), _pair(b, remainder, limb))
    digit = b.add(_high(b, estimate), ir.Constant(LIMB, 1))
    rest = b.sub(limb, b.mul(digit, divisor))
    too_big = b.icmp_unsigned(">", rest, _low(b, estimate))
    digit = b.select(too_big, b.sub(digit, ir.Constant(LIMB, 1)), digit)
    rest = b.select(too_big, b.add(rest, divisor), rest)
    too_small = b.icmp_unsigned(">=", rest, divisor)
    digit = b.select(too_small, b.add(digit, ir.Constant(LIMB, 1)), digit)
    return digit, b.select(too_small, b.sub(rest, divisor), rest)


def _emit_digit_2(b, high, middle, low, d1, d0, v):
    """(high : middle : low) / (d1 : d0) with a quotient below 2**64: digit, i128 remainder (algorithm 5)."""
    estimate = b.add(_times(b, v, high), _pair(b, high, middle))
    digit = _high(b, estimate)
    divisor = _pair(b, d1, d0)
    rest_high = b.sub(middle, b.mul(digit, d1))
    rest = b.sub(b.sub(_pair(b, rest_high, low), _times(b, d0, digit)), divisor)
    digit = b.add(digit, ir.Constant(LIMB, 1))
    too_big = b.icmp_unsigned(">=", _high(b, rest), _low(b, estimate))
    digit = b.select(too_big, b.sub(digit, ir.Constant(LIMB, 1)), digit)
    rest = b.select(too_big, b.add(rest, divisor), rest)
    too_small = b.icmp_unsigned(">=", rest, divisor)
    digit = b.select(too_small, b.add(digit, ir.Constant(LIMB, 1)), digit)
    return digit, b.select(too_small, b.sub(rest, divisor), rest)


def _emit_digit_n(b, count, remainder, limb, divisor, v):
    """One digit by a divisor of `count` >= 3 limbs: estimated from the top limbs, at most one too big."""
    bits = 64 * (count + 1)
    tops_equal = b.icmp_unsigned(
        "==", _pair(b, remainder[-1], remainder[-2]), _pair(b, divisor[-1], divisor[-2])
    )
    digit, _ = _emit_digit_2(b, remainder[-1], remainder[-2], remainder[-3], divisor[-1], divisor[-2], v)
    digit = b.select(tops_equal, ir.Constant(LIMB, -1), digit)
    carry = None
    product = []
    for divisor_limb in divisor:
        value = _times(b, digit, divisor_limb)
        if carry is not None:
            value = b.add(value, carry)
        product.append(_low(b, value))
        carry = b.lshr(value, LIMB_SHIFT)
    product.append(_low(b, carry))
    dividend = join_limbs(b, [limb, *remainder], bits)
    subtrahend = join_limbs(b, product, bits)
    rest = b.sub(dividend, subtrahend)
    before = b.block
    with b.if_then(b.icmp_unsigned("<", dividend, subtrahend), likely=False):
        repaired = b.add(rest, join_limbs(b, list(divisor), bits))
        smaller = b.sub(digit, ir.Constant(LIMB, 1))
        inside = b.block
    chosen_rest, chosen_digit = b.phi(rest.type), b.phi(LIMB)
    for value, other, block in ((rest, digit, before), (repaired, smaller, inside)):
        chosen_rest.add_incoming(value, block)
        chosen_digit.add_incoming(other, block)
    return chosen_digit, split_limbs(b, chosen_rest, count)


def _digit_intrinsic(count: int) -> Any:
    @instruction
    def next_digit(typingctx, remainder, limb, divisor, v):
        row = types.UniTuple(types.uint64, count)

        def codegen(context, builder, sig, args):
            rest = cgutils.unpack_tuple(builder, args[0], count)
            den = cgutils.unpack_tuple(builder, args[2], count)
            if count == 1:
                digit, new = _emit_digit_1(builder, rest[0], args[1], den[0], args[3])
                limbs = [new]
            elif count == 2:
                digit, new = _emit_digit_2(builder, rest[1], rest[0], args[1], den[1], den[0], args[3])
                limbs = split_limbs(builder, new, 2)
            else:
                digit, limbs = _emit_digit_n(builder, count, rest, args[1], den, args[3])
            return context.make_tuple(builder, sig.return_type, [digit, cgutils.pack_array(builder, limbs)])

        return types.Tuple((types.uint64, row))(row, types.uint64, row, types.uint64), codegen

    return next_digit


digit_1, digit_2, digit_3, digit_4, digit_5 = (_digit_intrinsic(count) for count in range(1, 6))
