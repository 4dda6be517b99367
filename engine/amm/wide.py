"""Unsigned integers of 128 to 512 bits inside compiled code.

A value of type `U256` is one LLVM `i256` in registers or on the stack: no heap, no Python object, no
interpreter lock. `+ - & | ^ << >>` and comparisons work as in Solidity's unchecked arithmetic (modulo 2**W);
both operands have the same width, and shift amounts are int64 or uint64 below W. Widths are changed with
`to_u128` ... `to_u512` (zero-extending or truncating), products come from `mul_A_B`, exact and A + B wide,
and quotients from `engine.amm.wide_division`: LLVM's own wide division is a bit loop, and its 128-bit one a
library call that numba does not link.

Importing this module tells numba's typing about these types and does nothing else. Nothing here depends on
the processor.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LIMB = ir.IntType(64)
DOUBLE_LIMB = ir.IntType(128)
LIMB_SHIFT = ir.Constant(DOUBLE_LIMB, 64)


def instruction(function: Callable) -> Any:
    """numba's `intrinsic`, typed as what it makes: a compiled function without the typing context."""
    return intrinsic(function)


class WideUnsigned(types.Type):
    """The numba type of an unsigned integer of `bits` bits."""

    def __init__(self, bits: int):
        self.bits = bits
        super().__init__(name=f"WideUnsigned({bits})")


@register_model(WideUnsigned)
class _WideUnsignedModel(models.PrimitiveModel):
    def __init__(self, manager: Any, wide_type: WideUnsigned):
        super().__init__(manager, wide_type, ir.IntType(wide_type.bits))


WIDTHS = (128, 192, 256, 320, 384, 512)
BY_WIDTH = {bits: WideUnsigned(bits) for bits in WIDTHS}
U128, U192, U256, U320, U384, U512 = (BY_WIDTH[bits] for bits in WIDTHS)


def _register_binary(symbol: Callable, emit: Callable, result: types.Type | None = None) -> None:
    cases = [signature(result or wide, wide, wide) for wide in BY_WIDTH.values()]
    infer_global(symbol)(type(f"Wide_{symbol.__name__}", (ConcreteTemplate,), {"cases": cases}))
    for wide in BY_WIDTH.values():

        @lower_builtin(symbol, wide, wide)
        def lower(context, builder, sig, args, emit=emit):
            return emit(builder, *args)


def _register_shift(symbol: Callable, instruction: str) -> None:
    amounts = (types.int64, types.uint64)
    cases = [signature(wide, wide, amount) for wide in BY_WIDTH.values() for amount in amounts]
    infer_global(symbol)(type(f"Wide_{symbol.__name__}", (ConcreteTemplate,), {"cases": cases}))
    for wide in BY_WIDTH.values():
        for amount in amounts:

            @lower_builtin(symbol, wide, amount)
            def lower(context, builder, sig, args, instruction=instruction):
                return getattr(builder, instruction)(args[0], builder.zext(args[1], args[0].type))


def _register_operators() -> None:
    arithmetic = {
        operator.add: "add",
        operator.sub: "sub",
        operator.and_: "and_",
        operator.or_: "or_",
        operator.xor: "xor",
    }
    for symbol, instruction in arithmetic.items():
        _register_binary(symbol, lambda b, x, y, name=instruction: getattr(b, name)(x, y))
    comparisons = {
        operator.lt: "<",
        operator.le: "<=",
        operator.gt: ">",
        operator.ge: ">=",
        operator.eq: "==",
        operator.ne: "!=",
    }
    for symbol, sign in comparisons.items():
        _register_binary(symbol, lambda b, x, y, sign=sign: b.icmp_unsigned(sign, x, y), types.boolean)
    _register_shift(operator.lshift, "shl")
    _register_shift(operator.rshift, "lshr")


_register_operators()


def resize(builder: ir.IRBuilder, value: ir.Value, bits: int) -> ir.Value:
    """IR: `value` zero-extended or truncated to `bits`."""
    if value.type.width < bits:
        return builder.zext(value, ir.IntType(bits))
    if value.type.width > bits:
        return builder.trunc(value, ir.IntType(bits))
    return value


def split_limbs(builder: ir.IRBuilder, value: ir.Value, count: int) -> list[ir.Value]:
    """IR: the lowest `count` limbs of `value`, little-endian."""
    wide = value.type
    return [
        builder.trunc(builder.lshr(value, ir.Constant(wide, 64 * k)) if k else value, LIMB)
        if wide.width > 64
        else value
        for k in range(count)
    ]


def join_limbs(builder: ir.IRBuilder, limbs: list[ir.Value], bits: int) -> ir.Value:
    """IR: limbs, little-endian, as one integer of `bits`."""
    wide = ir.IntType(bits)
    result = builder.zext(limbs[0], wide)
    for k, limb in enumerate(limbs[1:], start=1):
        part = builder.shl(builder.zext(limb, wide), ir.Constant(wide, 64 * k))
        result = builder.or_(result, part)
    return result


def _converter(bits: int) -> Any:
    @instruction
    def convert(typingctx, value):
        if not isinstance(value, (WideUnsigned, types.Integer)):
            return None
        source = value if isinstance(value, WideUnsigned) else types.uint64

        def codegen(context, builder, sig, args):
            return resize(builder, args[0], bits)

        return BY_WIDTH[bits](source), codegen

    return convert


to_u128, to_u192, to_u256, to_u320, to_u384, to_u512 = (_converter(bits) for bits in WIDTHS)


def constant(bits: int, value: int) -> Any:
    """A compiled function of no arguments that is the constant `value` (0 <= value < 2**bits)."""
    if not 0 <= value < 1 << bits:
        raise OverflowError(f"{value} does not fit {bits} unsigned bits")

    @instruction
    def wide_constant(typingctx):
        def codegen(context, builder, sig, args):
            return ir.Constant(ir.IntType(bits), value)

        return BY_WIDTH[bits](), codegen

    return wide_constant


def _maker(bits: int) -> Any:
    def codegen(context, builder, sig, args):
        return join_limbs(builder, list(args), bits)

    if bits == 128:

        @instruction
        def make(typingctx, limb0, limb1):
            return U128(types.uint64, types.uint64), codegen

    else:

        @instruction
        def make(typingctx, limb0, limb1, limb2, limb3):
            return U256(types.uint64, types.uint64, types.uint64, types.uint64), codegen

    return make


make_u128 = _maker(128)
make_u256 = _maker(256)


def _limb_getter(index: int) -> Any:
    @instruction
    def limb(typingctx, value):
        if not isinstance(value, WideUnsigned):
            return None

        def codegen(context, builder, sig, args):
            if 64 * index >= args[0].type.width:
                return ir.Constant(LIMB, 0)
            shifted = builder.lshr(args[0], ir.Constant(args[0].type, 64 * index))
            return builder.trunc(shifted, LIMB)

        return types.uint64(value), codegen

    return limb


limb0, limb1, limb2, limb3, limb4, limb5, limb6, limb7 = (_limb_getter(k) for k in range(8))


@instruction
def stay_whole(typingctx):
    """Keep the function that calls this out of its callers: a division inlined at each use makes several
    times the machine code, and the wait for it. Such a function says forceinline=False, because numba hands a
    caller's forceinline down to callees that do not."""

    def codegen(context, builder, sig, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


@instruction
def leading_zeros(typingctx, value):
    """Leading zero bits of a uint64, as uint64; 64 for zero."""

    def codegen(context, builder, sig, args):
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


@instruction
def trailing_zeros(typingctx, value):
    """Trailing zero bits of a uint64, as uint64; 64 for zero."""

    def codegen(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


@instruction
def to_float(typingctx, value):
    """The nearest float64 of a wide integer, for estimates."""
    if not isinstance(value, WideUnsigned):
        return None

    def codegen(context, builder, sig, args):
        total = ir.Constant(ir.DoubleType(), 0.0)
        for k, limb in enumerate(split_limbs(builder, args[0], value.bits // 64)):
            scaled = builder.fmul(
                builder.uitofp(limb, ir.DoubleType()), ir.Constant(ir.DoubleType(), 2.0 ** (64 * k))
            )
            total = builder.fadd(total, scaled)
        return total

    return types.float64(value), codegen


def emit_product(b: ir.IRBuilder, x: list[ir.Value], y: list[ir.Value]) -> list[ir.Value]:
    """IR: the limbs of x times y, schoolbook, so that LLVM never meets a general wide product."""
    x = [b.zext(limb, DOUBLE_LIMB) for limb in x]
    y = [b.zext(limb, DOUBLE_LIMB) for limb in y]
    columns: list[ir.Value | None] = [None] * (len(x) + len(y))
    for i, x_limb in enumerate(x):
        carry = None
        for j, y_limb in enumerate(y):
            value = b.mul(x_limb, y_limb)
            for addend in (columns[i + j], carry):
                if addend is not None:
                    value = b.add(value, addend)
            columns[i + j] = b.zext(b.trunc(value, LIMB), DOUBLE_LIMB)
            carry = b.lshr(value, LIMB_SHIFT)
        columns[i + len(y)] = carry
    return [b.trunc(column, LIMB) for column in columns]


def multiplier(left_bits: int, right_bits: int, result_bits: int) -> Any:
    """A compiled product of two widths; a result narrower than both together is modulo its width,
    a wider one is extended by zeros."""
    left = BY_WIDTH.get(left_bits, types.uint64)
    right = BY_WIDTH.get(right_bits, types.uint64)

    @instruction
    def multiply(typingctx, x, y):
        def codegen(context, builder, sig, args):
            limbs = emit_product(
                builder,
                split_limbs(builder, args[0], left_bits // 64),
                split_limbs(builder, args[1], right_bits // 64),
            )
            return join_limbs(builder, limbs[: result_bits // 64], result_bits)

        return BY_WIDTH[result_bits](left, right), codegen

    return multiply


mul_64_64 = multiplier(64, 64, 128)
mul_128_64 = multiplier(128, 64, 192)
mul_128_128 = multiplier(128, 128, 256)
mul_192_64 = multiplier(192, 64, 256)
mul_192_128_low = multiplier(192, 128, 256)  # modulo 2**256
mul_128_192 = multiplier(128, 192, 320)
mul_256_64 = multiplier(256, 64, 320)
mul_192_192 = multiplier(192, 192, 384)
mul_256_192 = multiplier(256, 192, 512)
mul_256_256 = multiplier(256, 256, 512)
