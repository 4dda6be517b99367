"""The router's commands as values: each knows its bytes, and `read_command` reads them back.

A command is `[kind << 2 | bits : 1]` and its arguments, packed and big-endian; amounts take 14 bytes. The
first command of a cycle may pay before it is paid and carries its amounts; nested ones buy what they are
asked for. Layouts are documented in contracts/src/interfaces/IArbitrageRouter.sol and contracts/src/router/.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from engine.domain.errors import ExecutionError
from engine.domain.pool_details import ZERO_ADDRESS

AMOUNT_BYTES = 14
ADDRESS_BYTES = 20


class Kind(IntEnum):
    """The upper six bits of a command's first byte."""

    END = 0
    V2 = 1
    V3 = 2
    V4 = 3
    BALANCER_V3 = 4
    CURVE = 5
    VAULT = 6
    WRAPPER = 7
    NATIVE = 8
    BALANCER_V2 = 9
    BALANCER_LOAN = 10
    MORPHO_LOAN = 11
    AAVE_LOAN = 12
    HOLD = 13


class Place(IntEnum):
    """How a hop that must be paid first is placed: input here and output kept; output to the payee; output
    here and the payee paid exactly."""

    FORWARD = 0
    DIRECT = 1
    RELAY = 2


SECOND_FORM, INPUT_PUSHED, INPUT_APPROVED, INPUT_IS_BASE, OUTPUT_IS_BASE = 1, 2, 4, 8, 16
_V4_BASE, _V4_NATIVE, _V4_HOOKS, _V4_MORE, _V4_BY_ROUTER = 1, 2, 4, 8, 16
_EXACT_OUT = 2


def amount_bytes(value: int, what: str) -> bytes:
    """Raises ExecutionError when the amount does not fit its field."""
    if not 0 <= value < 1 << (8 * AMOUNT_BYTES):
        raise ExecutionError(f"{what} {value} does not fit {8 * AMOUNT_BYTES} bits")
    return value.to_bytes(AMOUNT_BYTES, "big")


def address_bytes(address: str) -> bytes:
    """Raises ExecutionError for anything but 20 bytes of hex."""
    value = bytes.fromhex(address[2:])
    if len(value) != ADDRESS_BYTES:
        raise ExecutionError(f"{address} is not a 20-byte address")
    return value


@dataclass(frozen=True, slots=True)
class V2Swap:
    """V2-type pair, Solidly pool, Camelot pair. `amount_out` is given to a first command only. Base units."""

    pool: str
    zero_for_one: bool
    amount_in: int
    amount_out: int | None = None

    def encode(self) -> bytes:
        first = b"" if self.amount_out is None else amount_bytes(self.amount_out, "amount out")
        head = bytes([Kind.V2 << 2 | self.zero_for_one]) + address_bytes(self.pool)
        return head + first + amount_bytes(self.amount_in, "amount in")


@dataclass(frozen=True, slots=True)
class V3Swap:
    """V3-type pool. `amount` is given for a first command: the input, or the output if `exact_out`."""

    pool: str
    zero_for_one: bool
    amount: int | None = None
    exact_out: bool = False

    def encode(self) -> bytes:
        bits = self.zero_for_one | _EXACT_OUT * self.exact_out
        first = b"" if self.amount is None else amount_bytes(self.amount, "amount in")
        return bytes([Kind.V3 << 2 | bits]) + address_bytes(self.pool) + first


@dataclass(frozen=True, slots=True)
class V4Hop:
    """One hop of a V4 run. `token_in` is None for the pinned base token."""

    token_in: str | None
    key_fee: int
    tick_spacing: int
    hooks: str = ZERO_ADDRESS


@dataclass(frozen=True, slots=True)
class V4Run:
    """Consecutive V4 hops, the last first. `token_out` is None for the pinned base token.

    `unlocked`: an outer command has unlocked the manager; `by_router`: an inner one will use it, so that the
    router pays. `amount` as in `V3Swap`.
    """

    token_out: str | None
    hops: tuple[V4Hop, ...]
    unlocked: bool = False
    by_router: bool = False
    amount: int | None = None
    exact_out: bool = False

    def encode(self) -> bytes:
        bits = (_EXACT_OUT * self.exact_out) if self.amount is not None else int(self.unlocked)
        parts = [bytes([Kind.V4 << 2 | bits])]
        if self.amount is not None:
            parts.append(amount_bytes(self.amount, "amount in"))
        parts.append(_v4_token(self.token_out, _V4_BY_ROUTER * self.by_router))
        for hop in self.hops:
            hooked = hop.hooks != ZERO_ADDRESS
            more = hop is not self.hops[-1]
            parts.append(_v4_token(hop.token_in, _V4_HOOKS * hooked | _V4_MORE * more))
            if not (0 <= hop.key_fee < 1 << 24 and 0 < hop.tick_spacing < 1 << 15):
                raise ExecutionError(f"no V4 pool has fee {hop.key_fee} and tick spacing {hop.tick_spacing}")
            parts.append(hop.key_fee.to_bytes(3, "big") + hop.tick_spacing.to_bytes(2, "big"))
            if hooked:
                parts.append(address_bytes(hop.hooks))
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class BalancerV3Swap:
    """One swap of Balancer V3's vault. `amount` as in `V3Swap`."""

    pool: str
    token_in: str
    token_out: str
    amount: int | None = None
    exact_out: bool = False

    def encode(self) -> bytes:
        bits = _EXACT_OUT * self.exact_out
        first = b"" if self.amount is None else amount_bytes(self.amount, "amount in")
        addresses = b"".join(map(address_bytes, (self.pool, self.token_in, self.token_out)))
        return bytes([Kind.BALANCER_V3 << 2 | bits]) + first + addresses


@dataclass(frozen=True, slots=True)
class Pull:
    """A Curve pool (`coins` sold and bought), an ERC-4626 vault, wstETH.

    `second_form`: Curve's uint256 indices, redeem, unwrap. `approved` is the token to approve, unless that is
    the pinned base token (`approves_base`); `relayed` the token in which the payee is paid (place RELAY).
    `pushed`: the input is sent to the venue.
    """

    kind: Kind
    place: Place
    venue: str
    amount_in: int
    second_form: bool = False
    coins: tuple[int, int] = (0, 0)
    pushed: bool = False
    approved: str | None = None
    relayed: str | None = None
    approves_base: bool = False

    def encode(self) -> bytes:
        form = SECOND_FORM * self.second_form | INPUT_PUSHED * self.pushed
        form |= INPUT_APPROVED * (self.approved is not None)
        form |= (INPUT_APPROVED | INPUT_IS_BASE) * self.approves_base
        if not all(0 <= coin < 16 for coin in self.coins):
            raise ExecutionError(f"{self.venue}: coins {self.coins} do not fit four bits")
        return b"".join(
            (
                bytes([self.kind << 2 | self.place]),
                address_bytes(self.venue),
                amount_bytes(self.amount_in, "amount in"),
                bytes([form, self.coins[0] << 4 | self.coins[1]]),
                b"" if self.approved is None else address_bytes(self.approved),
                b"" if self.relayed is None else address_bytes(self.relayed),
            )
        )


@dataclass(frozen=True, slots=True)
class NativeWrap:
    """The pinned wrapped native token: deposit, or withdraw where `unwrap`."""

    place: Place
    amount_in: int
    unwrap: bool

    def encode(self) -> bytes:
        head = bytes([Kind.NATIVE << 2 | self.place])
        return head + amount_bytes(self.amount_in, "amount in") + bytes([SECOND_FORM * self.unwrap])


@dataclass(frozen=True, slots=True)
class BalancerV2Swap:
    """A swap of Balancer V2's vault, of all of `amount_in`, or for exactly `amount_out` where it is given.

    Tokens are None for the pinned base token."""

    place: Place
    pool_id: str
    token_in: str | None
    token_out: str | None
    amount_in: int
    amount_out: int | None = None

    def encode(self) -> bytes:
        form = SECOND_FORM * (self.amount_out is not None) | INPUT_IS_BASE * (self.token_in is None)
        form |= OUTPUT_IS_BASE * (self.token_out is None)
        pool_id = bytes.fromhex(self.pool_id[2:])
        if len(pool_id) != 32:
            raise ExecutionError(f"{self.pool_id} is not a 32-byte pool id")
        return b"".join(
            (
                bytes([Kind.BALANCER_V2 << 2 | self.place, form]),
                pool_id,
                amount_bytes(self.amount_in, "amount in"),
                b"" if self.amount_out is None else amount_bytes(self.amount_out, "amount out"),
                b"" if self.token_in is None else address_bytes(self.token_in),
                b"" if self.token_out is None else address_bytes(self.token_out),
            )
        )


@dataclass(frozen=True, slots=True)
class Loan:
    """A flash loan of `amount` of `token` (None: the pinned base token); Balancer's names no lender."""

    kind: Kind
    amount: int
    lender: str | None = None
    token: str | None = None

    def encode(self) -> bytes:
        return b"".join(
            (
                bytes([self.kind << 2 | (self.token is not None)]),
                b"" if self.lender is None else address_bytes(self.lender),
                amount_bytes(self.amount, "amount"),
                b"" if self.token is None else address_bytes(self.token),
            )
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing more to deliver: the input of the innermost hop is the base token the router has."""

    def encode(self) -> bytes:
        return bytes([Kind.HOLD << 2])


Command = V2Swap | V3Swap | V4Run | BalancerV3Swap | Pull | NativeWrap | BalancerV2Swap | Loan | Hold


def _v4_token(token: str | None, flags: int) -> bytes:
    if token is None:
        return bytes([flags | _V4_BASE])
    if token == ZERO_ADDRESS:
        return bytes([flags | _V4_NATIVE])
    return bytes([flags]) + address_bytes(token)


class Reader:
    """A cursor over a cycle's commands. Raises ExecutionError where the stream ends too early."""

    def __init__(self, data: bytes, position: int, end: int):
        self.data, self.position, self.end = data, position, end

    def take(self, count: int) -> bytes:
        start, self.position = self.position, self.position + count
        if self.position > self.end:
            raise ExecutionError(f"the command at byte {start} reaches past the end of the stream")
        return self.data[start : self.position]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def amount(self) -> int:
        return self.number(AMOUNT_BYTES)

    def address(self) -> str:
        return "0x" + self.take(ADDRESS_BYTES).hex()

    def v4_token(self, flags: int) -> str | None:
        if flags & _V4_BASE:
            return None
        return ZERO_ADDRESS if flags & _V4_NATIVE else self.address()


def read_command(reader: Reader, first: bool) -> Command:
    """The command at the cursor, which moves behind it. Raises ExecutionError for what the router refuses."""
    start = reader.position
    op = reader.number(1)
    kind, bits = op >> 2, op & 3
    leading = {Kind.V2, Kind.V3, Kind.V4, Kind.BALANCER_V3}
    loans = {Kind.BALANCER_LOAN, Kind.MORPHO_LOAN, Kind.AAVE_LOAN}
    allowed = leading | loans if first else set(Kind) - loans - {Kind.END}
    if kind not in allowed:
        raise ExecutionError(f"byte {start} is not a command the router knows")
    if kind in loans:
        lender = None if kind == Kind.BALANCER_LOAN else reader.address()
        amount = reader.amount()
        return Loan(Kind(kind), amount, lender, reader.address() if bits & 1 else None)
    if kind in leading:
        return _read_leading(reader, Kind(kind), bits, first)
    return _read_placed(reader, Kind(kind), bits)


def _read_leading(reader: Reader, kind: Kind, bits: int, first: bool) -> Command:
    exact_out = first and bool(bits & _EXACT_OUT)
    if kind is Kind.V2:
        pool = reader.address()
        amount_out = reader.amount() if first else None
        return V2Swap(pool, bool(bits & 1), reader.amount(), amount_out)
    if kind is Kind.V3:
        pool = reader.address()
        return V3Swap(pool, bool(bits & 1), reader.amount() if first else None, exact_out)
    amount = reader.amount() if first else None
    if kind is Kind.BALANCER_V3:
        return BalancerV3Swap(reader.address(), reader.address(), reader.address(), amount, exact_out)
    run = reader.number(1)
    bought = reader.v4_token(run)
    hops, more = [], True
    while more:
        flags = reader.number(1)
        sold = reader.v4_token(flags)
        key_fee, tick_spacing = reader.number(3), reader.number(2)
        hops.append(V4Hop(sold, key_fee, tick_spacing, _hooks(reader, flags)))
        more = bool(flags & _V4_MORE)
    unlocked = not first and bool(bits & 1)
    return V4Run(bought, tuple(hops), unlocked, bool(run & _V4_BY_ROUTER), amount, exact_out)


def _hooks(reader: Reader, flags: int) -> str:
    return reader.address() if flags & _V4_HOOKS else ZERO_ADDRESS


def _read_placed(reader: Reader, kind: Kind, bits: int) -> Command:
    if kind is Kind.HOLD:
        return Hold()
    if bits not in set(Place):
        raise ExecutionError(f"byte {reader.position - 1} places a hop in no way the router knows")
    place = Place(bits)
    if kind is Kind.NATIVE:
        return NativeWrap(place, reader.amount(), bool(reader.number(1) & SECOND_FORM))
    if kind is Kind.BALANCER_V2:
        form = reader.number(1)
        pool_id, amount_in = "0x" + reader.take(32).hex(), reader.amount()
        amount_out = reader.amount() if form & SECOND_FORM else None
        token_in = None if form & INPUT_IS_BASE else reader.address()
        token_out = None if form & OUTPUT_IS_BASE else reader.address()
        return BalancerV2Swap(place, pool_id, token_in, token_out, amount_in, amount_out)
    venue, amount_in = reader.address(), reader.amount()
    form, coins = reader.number(1), reader.number(1)
    return Pull(
        kind,
        place,
        venue,
        amount_in,
        bool(form & SECOND_FORM),
        (coins >> 4, coins & 15),
        bool(form & INPUT_PUSHED),
        reader.address() if form & INPUT_APPROVED and not form & INPUT_IS_BASE else None,
        reader.address() if place is Place.RELAY else None,
        bool(form & INPUT_IS_BASE),
    )
