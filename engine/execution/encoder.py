"""The router's calldata: a packed, big-endian stream of commands, last hop first.

Header `[version:1][deadline:5][minProfit:16][baseToken:20]`, then one command per hop
`[kind << 1 | zeroForOne : 1][pool:20]` with its arguments: V2 first `[amountOut:16][amountIn:16]`, V2 nested
`[amountIn:16]`, V3 first `[amountIn:16]`, V3 nested none (it buys what it is asked for).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from engine.domain.errors import ExecutionError
from engine.domain.market import Protocol
from engine.domain.opportunity import Hop, Opportunity

VERSION = 1
HEADER_BYTES = 42
COMMAND_BYTES = 21
AMOUNT_BYTES = 16
# Beyond it the stream could begin like the selector of one of the router's functions.
MAX_DEADLINE = 2**38 - 1

_KINDS = {Protocol.UNISWAP_V2: 1, Protocol.UNISWAP_V3: 2}
_PROTOCOLS = {kind: protocol for protocol, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Command:
    """One hop as the router reads it; an amount that the stream does not carry is None. Base units."""

    protocol: Protocol
    pool: str
    zero_for_one: bool
    amount_in: int | None = None
    amount_out: int | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A decoded stream. `deadline` in unix seconds, `min_profit` in base units; last hop first."""

    deadline: int
    min_profit: int
    base_token: str
    commands: tuple[Command, ...]


def encode_stream(opportunity: Opportunity, deadline: int, min_profit: int) -> bytes:
    """The calldata that executes `opportunity`.

    Raises ExecutionError when it is not a connected cycle of 2 or more hops over the router's pool kinds, or
    a number does not fit its field.
    """
    _require_cycle(opportunity)
    if not 0 <= deadline <= MAX_DEADLINE:
        raise ExecutionError(f"deadline {deadline} is outside 0..{MAX_DEADLINE}")
    last, *earlier = reversed(opportunity.hops)
    parts = [
        VERSION.to_bytes(1, "big"),
        deadline.to_bytes(5, "big"),
        _amount(min_profit, "minimum profit"),
        _address(opportunity.base_token),
        _command(last),
    ]
    if last.protocol is Protocol.UNISWAP_V2:
        parts.append(_amount(last.amount_out, "amount out"))
    parts.append(_amount(last.amount_in, "amount in"))
    for hop in earlier:
        parts.append(_command(hop))
        if hop.protocol is Protocol.UNISWAP_V2:
            parts.append(_amount(hop.amount_in, "amount in"))
    return b"".join(parts)


def decode_stream(data: bytes) -> Stream:
    """The inverse of `encode_stream`. Raises ExecutionError for anything the router would refuse."""
    if len(data) < HEADER_BYTES + COMMAND_BYTES or data[0] != VERSION:
        raise ExecutionError("not a version 1 command stream")
    commands = []
    position = HEADER_BYTES
    while position < len(data):
        command, position = _read_command(data, position)
        commands.append(command)
    return Stream(
        deadline=int.from_bytes(data[1:6], "big"),
        min_profit=int.from_bytes(data[6:22], "big"),
        base_token="0x" + data[22:42].hex(),
        commands=tuple(commands),
    )


def _require_cycle(opportunity: Opportunity) -> None:
    hops = opportunity.hops
    if len(hops) < 2:
        raise ExecutionError("a cycle needs two hops or more")
    if hops[0].token_in != opportunity.base_token:
        raise ExecutionError("the cycle does not start with its base token")
    for hop, following in zip(hops, (*hops[1:], hops[0]), strict=True):
        if hop.token_out != following.token_in:
            raise ExecutionError(f"the hop after {hop.pool} does not sell what it bought")
    for hop, following in pairwise(hops):
        if hop.amount_out != following.amount_in:
            raise ExecutionError(f"{hop.pool} is asked for another amount than the next hop owes")


def _address(address: str) -> bytes:
    value = bytes.fromhex(address[2:])
    if len(value) != 20:
        raise ExecutionError(f"{address} is not a 20-byte address")
    return value


def _amount(value: int, what: str) -> bytes:
    if not 0 <= value < 1 << (8 * AMOUNT_BYTES):
        raise ExecutionError(f"{what} {value} does not fit {8 * AMOUNT_BYTES} bits")
    return value.to_bytes(AMOUNT_BYTES, "big")


def _command(hop: Hop) -> bytes:
    return bytes([_KINDS[hop.protocol] << 1 | hop.zero_for_one]) + _address(hop.pool)


def _read_command(data: bytes, position: int) -> tuple[Command, int]:
    first = position == HEADER_BYTES
    protocol = _PROTOCOLS.get(data[position] >> 1)
    if protocol is None:
        raise ExecutionError(f"byte {position} is not a command the router knows")
    v2 = protocol is Protocol.UNISWAP_V2
    count = int(v2) + int(first)
    end = position + COMMAND_BYTES + count * AMOUNT_BYTES
    if end > len(data):
        raise ExecutionError(f"the command at byte {position} reaches past the end of the stream")
    start = position + COMMAND_BYTES
    amounts = [
        int.from_bytes(data[start + k * AMOUNT_BYTES : start + (k + 1) * AMOUNT_BYTES], "big")
        for k in range(count)
    ]
    command = Command(
        protocol=protocol,
        pool="0x" + data[position + 1 : start].hex(),
        zero_for_one=bool(data[position] & 1),
        amount_in=amounts[-1] if amounts else None,
        amount_out=amounts[0] if v2 and first else None,
    )
    return command, end
