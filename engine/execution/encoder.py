"""From opportunities to the router's calldata, and back to commands.

Header `[version << 4 | flags : 1][pin:4][minProfit:14]`, extras where the flags announce them, and the
commands of one or several cycles. The last hop that can pay before it is paid comes first; the hops behind it
follow, since they need its output; then those before it, from the last to the first, each delivering what the
one after it owes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.domain.errors import ExecutionError
from engine.domain.execution import Pinned
from engine.domain.opportunity import Conversion, Hop, Opportunity
from engine.execution.commands import (
    Command,
    Hold,
    Kind,
    Reader,
    address_bytes,
    amount_bytes,
    read_command,
)
from engine.execution.cycle_commands import cycle_commands
from engine.execution.lenders import Lender

VERSION = 2
HEADER_BYTES = 19
MAX_PIN = 2**32 - 1
MAX_GUARDS = 15
_EXPLICIT_BASE, _EXACT_BLOCK, _EXTRAS, _SEVERAL = 1, 2, 4, 8
_PARENT_PIN, _BUILDER_BID = 1, 2
UNKNOWN = Pinned()


@dataclass(frozen=True, slots=True)
class Validity:
    """When a stream may run: until `deadline` (unix seconds), or only in `block` where that is given; only on
    the parent whose hash begins as `parent_hash` does, where that is given."""

    deadline: int
    block: int | None = None
    parent_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Opportunities of any base tokens in their order, what of their profits is sold on after them, and the
    base token whose growth the router looks at."""

    opportunities: Sequence[Opportunity]
    base_token: str
    conversions: Sequence[Conversion] = ()

    def parts(self, ends_in_base: bool) -> list[Opportunity | Conversion]:
        """All in the order of execution; `ends_in_base` asks that the last one sells the base token first.

        Raises ExecutionError where there is none, or none may come last without changing others' amounts.
        The pinned token's stream may end with anything.
        """
        if not self.opportunities:
            raise ExecutionError("one or more cycles are needed")
        parts: list[Opportunity | Conversion] = [*self.opportunities, *self.conversions]
        if not ends_in_base:
            return parts
        after: set[str] = set()
        for place in range(len(parts) - 1, -1, -1):
            part = parts[place]
            sells_base = isinstance(part, Opportunity) and part.base_token == self.base_token
            if sells_base and after.isdisjoint(part.pools):
                return [*parts[:place], *parts[place + 1 :], part]
            after.update(part.pools)
        raise ExecutionError(f"no cycle through {self.base_token} can come last")


@dataclass(frozen=True, slots=True)
class Stream:
    """A decoded stream. `min_profit` and `bid` in base units; `base_token` None: the pinned one. `cycles` are
    commands in the stream's order; `guarded` the tokens of which the router may not end with less."""

    validity: Validity
    min_profit: int
    base_token: str | None
    cycles: tuple[tuple[Command, ...], ...]
    guarded: tuple[str, ...] = ()
    bid: int = 0

    @property
    def deadline(self) -> int:
        return self.validity.deadline

    @property
    def commands(self) -> tuple[Command, ...]:
        """Those of the only cycle."""
        (commands,) = self.cycles
        return commands


def encode_stream(
    opportunity: Opportunity,
    deadline: int,
    min_profit: int,
    pinned: Pinned = UNKNOWN,
    lender: Lender | None = None,
) -> bytes:
    """The calldata that executes `opportunity` until `deadline` (unix seconds).

    Raises ExecutionError when it is not a connected cycle of 2 or more hops that the router can execute, when
    it needs a lender and has none, or a number does not fit its field.
    """
    return encode_cycles([opportunity], Validity(deadline), min_profit, pinned, lender)


def encode_cycles(
    opportunities: Sequence[Opportunity],
    validity: Validity,
    min_profit: int,
    pinned: Pinned = UNKNOWN,
    lender: Lender | None = None,
    bid: int = 0,
) -> bytes:
    """Several opportunities of one base token in one transaction, executed in their order, all or none.

    `bid` goes to the block's fee recipient, in base units of the pinned wrapped native token, before the
    profit is looked at. Raises as `encode_stream`.
    """
    base = opportunities[0].base_token if opportunities else ""
    if not opportunities or any(each.base_token != base for each in opportunities):
        raise ExecutionError("one or more cycles of one base token are needed")
    return encode_plan(Settled(opportunities, base), validity, min_profit, pinned, lender, bid)


def encode_plan(
    plan: Settled,
    validity: Validity,
    min_profit: int,
    pinned: Pinned = UNKNOWN,
    lender: Lender | None = None,
    bid: int = 0,
) -> bytes:
    """Cycles of several base tokens and conversions of what they earn in one transaction, all or none.

    The router asks for `min_profit` of the plan's base token, and lets no other token that passes through it
    grow less. Raises as `encode_stream`.
    """
    base = plan.base_token
    if bid and base != pinned.wrapped_native:
        raise ExecutionError("a bid can be paid in the pinned wrapped native token only")
    explicit = base != pinned.wrapped_native
    guarded: dict[str, None] = {}
    segments = []
    for part in plan.parts(explicit):
        token = _start(part)
        commands, touched = cycle_commands(part, pinned, lender)
        guarded.update(dict.fromkeys(each for each in (token, *touched) if each != base))
        segments.append(_segment(commands, token if explicit or token != pinned.wrapped_native else None))
    several = len(segments) > 1
    extras = _extras(validity, bid, tuple(guarded))
    flags = explicit * _EXPLICIT_BASE | (validity.block is not None) * _EXACT_BLOCK
    flags |= bool(extras) * _EXTRAS | several * _SEVERAL
    if several:
        segments = [len(segment).to_bytes(2, "big") + segment for segment in segments]
    header = bytes([VERSION << 4 | flags]) + _pin(validity) + amount_bytes(min_profit, "minimum profit")
    return b"".join((header, extras, *segments))


def _start(part: Opportunity | Conversion) -> str:
    """The token a part sells first. Raises ExecutionError when its hops are not connected as they must be."""
    if isinstance(part, Opportunity):
        _require_cycle(part)
        return part.base_token
    if not part.hops:
        raise ExecutionError("a conversion needs a hop")
    for hop, following in pairwise(part.hops):
        if hop.token_out != following.token_in:
            raise ExecutionError(f"the hop after {hop.pool} does not sell what it bought")
        _require_covered(hop, following)
    return part.token_in


def decode_stream(data: bytes) -> Stream:
    """The inverse of `encode_cycles`. Raises ExecutionError for anything the router would refuse."""
    if len(data) < HEADER_BYTES or data[0] >> 4 != VERSION:
        raise ExecutionError(f"not a version {VERSION} command stream")
    flags = data[0]
    pin = int.from_bytes(data[1:5], "big")
    reader = Reader(data, HEADER_BYTES, len(data))
    parent: str | None = None
    bid, guarded = 0, tuple[str, ...]()
    if flags & _EXTRAS:
        extras = reader.number(1)
        parent = "0x" + reader.take(8).hex() if extras & _PARENT_PIN else None
        bid = reader.amount() if extras & _BUILDER_BID else 0
        guarded = tuple(reader.address() for _ in range(extras >> 4))
    base = "0x" + data[-20:].hex() if flags & _EXPLICIT_BASE else None
    cycles: list[tuple[Command, ...]] = []
    while reader.position < len(data) or not cycles:
        end = len(data)
        if flags & _SEVERAL:
            size = reader.number(2)
            end = reader.position + size
        if end > len(data):
            raise ExecutionError("a cycle reaches past the end of the stream")
        cycles.append(_read_cycle(Reader(data, reader.position, end), base))
        reader.position = end
    exact = bool(flags & _EXACT_BLOCK)
    validity = Validity(0 if exact else pin, pin if exact else None, parent)
    return Stream(validity, int.from_bytes(data[5:19], "big"), base, tuple(cycles), guarded, bid)


def _read_cycle(reader: Reader, base: str | None) -> tuple[Command, ...]:
    commands = [read_command(reader, True)]
    tail = 0 if base is None else 20
    while reader.position + tail < reader.end:
        if reader.data[reader.position] == Kind.END and reader.position + 21 == reader.end:
            break
        commands.append(read_command(reader, False))
        if isinstance(commands[-1], Hold):
            break
    return tuple(commands)


def _segment(commands: Sequence[Command], base: str | None) -> bytes:
    encoded = b"".join(command.encode() for command in commands)
    if base is None:
        return encoded
    # After a hold nothing is read; the header still finds the base token at the end.
    end = b"" if isinstance(commands[-1], Hold) else bytes([Kind.END << 2])
    return encoded + end + address_bytes(base)


def _pin(validity: Validity) -> bytes:
    name, value = "deadline", validity.deadline
    if validity.block is not None:
        name, value = "block", validity.block
    if not 0 <= value <= MAX_PIN:
        raise ExecutionError(f"{name} {value} is outside 0..{MAX_PIN}")
    return value.to_bytes(4, "big")


def _extras(validity: Validity, bid: int, guarded: tuple[str, ...]) -> bytes:
    if validity.parent_hash is None and not bid and not guarded:
        return b""
    if len(guarded) > MAX_GUARDS:
        raise ExecutionError(f"more than {MAX_GUARDS} tokens pass through the router")
    flags = len(guarded) << 4
    parts = []
    if validity.parent_hash is not None:
        flags |= _PARENT_PIN
        parts.append(bytes.fromhex(validity.parent_hash[2:18]))
    if bid:
        flags |= _BUILDER_BID
        parts.append(amount_bytes(bid, "bid"))
    parts.extend(address_bytes(token) for token in guarded)
    return bytes([flags]) + b"".join(parts)


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
        _require_covered(hop, following)


def _require_covered(hop: Hop, following: Hop) -> None:
    if hop.amount_out < following.amount_in:
        raise ExecutionError(f"{hop.pool} gives less than the next hop owes")
