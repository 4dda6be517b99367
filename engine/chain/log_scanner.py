"""A block's logs from the node's JSON bytes straight to arrays, without a Python object per log.

Scanned here are the events of V2-type and V3-type pools, which are nearly all of a busy block. A log of any
other kind that matters, and any whose text is not exactly what nodes write, is handed to `engine.chain.logs`,
which also words what is wrong with it; the answer is the same as if it had read everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from numba import njit
from numpy.typing import NDArray

from engine.amm.layout import (
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    StateEvents,
    allocate_events,
)
from engine.chain import logs as slow
from engine.chain.events import PANCAKE_V3_SWAP, SYNC, V3_BURN, V3_INITIALIZE, V3_MINT, V3_SWAP
from engine.domain.errors import NodeError
from engine.domain.market import PoolRecord

# What the scanner makes of each event: (kind, topics, words of data, word of a, of b, of the tick or -1).
# Where the ticks are topics, the tick's place is -1.
_SHAPES = {
    SYNC: (EVENT_V2_SYNC, 1, 2, 0, 1, -1),
    V3_SWAP: (EVENT_V3_SWAP, 3, 5, 2, 3, 4),
    PANCAKE_V3_SWAP: (EVENT_V3_SWAP, 3, 7, 2, 3, 4),
    V3_MINT: (EVENT_V3_MINT, 4, 4, 1, -1, -1),
    V3_BURN: (EVENT_V3_BURN, 4, 3, 0, -1, -1),
    V3_INITIALIZE: (EVENT_V3_INITIALIZE, 1, 2, 0, -1, 1),
}
_QUOTE, _BACKSLASH, _COMMA, _COLON = 34, 92, 44, 58
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = 123, 125, 91, 93
_SPACE = 32
_TOPIC_CHARS = 66
_ADDRESS_CHARS = 42
_MAX_TOPICS = 4
_SHORTEST_LOG = 200  # bytes: there is room for as many logs as that allows, and more go the slow way
_ADDRESS, _TOPICS, _DATA, _OTHER = range(4)

_KEY_ADDRESS = np.frombuffer(b"address", np.uint8)
_KEY_TOPICS = np.frombuffer(b"topics", np.uint8)
_KEY_DATA = np.frombuffer(b"data", np.uint8)
_FALSE, _TRUE, _NULL = (np.frombuffer(word, np.uint8) for word in (b"false", b"true", b"null"))
_LEAST_PRICE = np.uint64(MIN_SQRT_RATIO)
_END_PRICE = tuple(np.uint64(MAX_SQRT_RATIO >> shift & (2**64 - 1)) for shift in (0, 64, 128))
_ZERO, _ONE, _NINE = np.uint64(0), np.uint64(1), np.uint64(9)
_ONES = np.uint64(0x0101010101010101)
_TOP_BITS, _FIRST_TOP_BIT = np.uint64(0x8080808080808080), np.uint64(0x80)
_QUOTES, _BACKSLASHES, _SPACES, _LETTERS = (
    np.uint64(int(_ONES) * char) for char in (_QUOTE, _BACKSLASH, _SPACE, ord("a"))
)
_THREE, _SEVEN = np.uint64(3), np.uint64(7)
_LOW_32 = np.uint64(2**32 - 1)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_EVERY_BIT = np.uint64(2**64 - 1)


class Text(NamedTuple):
    """JSON padded with zero bytes to whole words: u8[8 W] and, of the same memory, u64[W]."""

    body: NDArray[np.uint8]
    words: NDArray[np.uint64]


class Topics(NamedTuple):
    """First topics that matter: their text u8[T, 66] and shape i64[T, 6]; kind 0 is left to the slow path."""

    text: NDArray[np.uint8]
    shape: NDArray[np.int64]


class Rows(NamedTuple):
    """Open addressing over pool addresses: three words of an address u64[S, 3], its row i32[S] or -1."""

    key: NDArray[np.uint64]
    row: NDArray[np.int32]


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _special_nb(eight):
    """Bit 7 of the lowest byte that is a quote, a backslash, a control character or no ASCII; higher ones may
    be wrong.

    Source: the zero-byte test (x - 0x01..) & ~x & 0x80.., on each difference.
    """
    quotes, slashes = eight ^ _QUOTES, eight ^ _BACKSLASHES
    found = (quotes - _ONES) & ~quotes | (slashes - _ONES) & ~slashes | (eight - _SPACES) & ~eight | eight
    return found & _TOP_BITS


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _string_end_nb(text, at):
    """Index of the quote that ends the string whose characters begin at `at`; -1 where it is escaped or
    open."""
    place = np.uint64(at) >> _THREE
    before = _ONE << ((np.uint64(at) & _SEVEN) << _THREE)
    # The bytes before the string count as letters.
    special = _special_nb(text.words[place] & ~(before - _ONE) | _LETTERS & (before - _ONE))
    while special == _ZERO:
        place += _ONE
        if place == np.uint64(len(text.words)):
            return -1
        special = _special_nb(text.words[place])
    end = np.int64(place << _THREE)
    while special & _FIRST_TOP_BIT == _ZERO:
        special >>= np.uint64(8)
        end += 1
    return end if text.body[end] == _QUOTE else -1


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _is_text_nb(body, at, text):
    if at + len(text) > len(body):
        return False
    differs, part = np.uint8(0), body[at : at + len(text)]
    for k in range(len(text)):
        differs |= part[k] ^ text[k]
    return differs == 0


@njit(nogil=True, cache=True, error_model="numpy")
def _key_nb(body, at, end):
    length = end - at
    if length == 7 and _is_text_nb(body, at, _KEY_ADDRESS):
        return _ADDRESS
    if length == 6 and _is_text_nb(body, at, _KEY_TOPICS):
        return _TOPICS
    if length == 4 and _is_text_nb(body, at, _KEY_DATA):
        return _DATA
    return _OTHER


@njit(nogil=True, cache=True, error_model="numpy")
def _plain_value_end_nb(text, at):
    """Index after the string, true, false or null at `at`; -1 for anything else."""
    body = text.body
    if body[at] == _QUOTE:
        end = _string_end_nb(text, at + 1)
        return end + 1 if end >= 0 else -1
    for word in (_FALSE, _TRUE, _NULL):
        if _is_text_nb(body, at, word):
            return at + len(word)
    return -1


@njit(nogil=True, cache=True, error_model="numpy")
def _topics_nb(text, at, found):
    """Read a list of 66-character strings at `at` into `found` i64[4]: (index after it or -1, how many)."""
    body = text.body
    if body[at] != _OPEN_LIST:
        return -1, 0
    place, count = at + 1, 0
    if body[place] == _CLOSE_LIST:
        return place + 1, 0
    while place < len(body):
        if body[place] != _QUOTE or count == _MAX_TOPICS:
            return -1, 0
        end = _string_end_nb(text, place + 1)
        if end - place - 1 != _TOPIC_CHARS or end + 1 >= len(body):
            return -1, 0
        found[count] = place + 1
        count += 1
        place = end + 1
        if body[place] == _CLOSE_LIST:
            return place + 1, count
        if body[place] != _COMMA:
            return -1, 0
        place += 1
    return -1, 0


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _eight_nb(text, at):
    """Eight characters that are hexadecimal digits as a number below 2^32."""
    # Unsigned, for numba then knows that no index counts from the end; in two shifts, as none may be by 64.
    first = np.uint64(at)
    place, shift = first >> _THREE, (first & _SEVEN) << _THREE
    eight = text.words[place] >> shift | text.words[place + _ONE] << _ONE << (np.uint64(63) - shift)
    # "0".."9" end in their value, "A".."F" and "a".."f" in theirs less nine and have bit 6.
    digits = (eight & (_ONES * np.uint64(15))) + (eight >> np.uint64(6) & _ONES) * _NINE
    # The first character is in the lowest byte: fold pairs, then turn the bytes round.
    pairs = (digits << np.uint64(4) | digits >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    fours = (pairs << np.uint64(8) | pairs >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    return (fours << np.uint64(16) | fours >> np.uint64(32)) & _LOW_32


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _limb_nb(text, at):
    """Sixteen characters that are hexadecimal digits as u64."""
    return _eight_nb(text, at) << np.uint64(32) | _eight_nb(text, at + 8)


@njit(nogil=True, cache=True, error_model="numpy")
def _word_nb(text, at, limbs):
    """A word of 64 hexadecimal digits into u64[4], least first."""
    for k in range(4):
        limbs[3 - k] = _limb_nb(text, at + 16 * k)


@njit(nogil=True, cache=True, error_model="numpy")
def _are_digits_nb(body, at, count):
    others, digits = np.uint8(0), body[at : at + count]
    for k in range(count):
        char = digits[k]
        decimal = np.uint8(np.uint8(char - np.uint8(48)) < np.uint8(10))
        letter = np.uint8(np.uint8((char | np.uint8(32)) - np.uint8(97)) < np.uint8(6))
        others |= np.uint8(1) ^ (decimal | letter)
    return others == 0


@njit(nogil=True, cache=True, error_model="numpy")
def _tick_of_nb(limbs):
    """(tick, whether a sign-extended int24 within the protocol's bounds)."""
    high = limbs[1] & limbs[2] & limbs[3]
    any_high = limbs[1] | limbs[2] | limbs[3]
    if any_high == _ZERO:
        return np.int64(min(limbs[0], np.uint64(MAX_TICK + 1))), limbs[0] <= np.uint64(MAX_TICK)
    if high != _EVERY_BIT:
        return np.int64(0), False
    below = _ZERO - limbs[0]
    tick = -np.int64(min(below, np.uint64(MAX_TICK + 1)))
    return tick, below != _ZERO and below <= np.uint64(-MIN_TICK)


@njit(nogil=True, cache=True, error_model="numpy")
def _is_price_nb(limbs):
    if limbs[3] != _ZERO:
        return False
    if limbs[2] == _ZERO and limbs[1] == _ZERO:
        return limbs[0] >= _LEAST_PRICE
    if limbs[2] != _END_PRICE[2]:
        return limbs[2] < _END_PRICE[2]
    if limbs[1] != _END_PRICE[1]:
        return limbs[1] < _END_PRICE[1]
    return limbs[0] < _END_PRICE[0]


@njit(nogil=True, cache=True, error_model="numpy")
def _fits_nb(limbs, bits):
    if limbs[2] | limbs[3]:
        return False
    return bits == 128 or limbs[1] >> np.uint64(bits - 64) == _ZERO


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _slot_nb(key, first, second, third):
    """Where an address is, or the empty slot where it would be."""
    mask = np.uint64(len(key) - 1)
    slot = ((first ^ third) * _MIX) >> np.uint64(32) & mask
    while key[slot, 2] != _ZERO and not (
        key[slot, 0] == first and key[slot, 1] == second and key[slot, 2] == third
    ):
        slot = (slot + _ONE) & mask
    return slot


@njit(nogil=True, cache=True, error_model="numpy")
def _row_nb(text, at, rows):
    """(pool row of the address whose forty digits begin at `at` or -1, whether they are digits)."""
    if not _are_digits_nb(text.body, at, 40):
        return np.int32(-1), False
    first, second = _limb_nb(text, at), _limb_nb(text, at + 16)
    third = _eight_nb(text, at + 32)
    # One bit more than an address has, so that no stored key is zero.
    slot = _slot_nb(rows.key, first, second, third | (_ONE << np.uint64(32)))
    return rows.row[slot], True


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _prefixed_nb(body, at):
    return body[at] == 48 and body[at + 1] == 120


@njit(nogil=True, cache=True, error_model="numpy")
def _decode_nb(text, shape, topic, topics, data, words, events, n, limbs):
    """Write event `n`; False where a field is not what the event's type allows."""
    body, kind = text.body, shape[0]
    if topics != shape[1] or words != shape[2]:
        return False
    if not _are_digits_nb(body, data + 2, 64 * words):
        return False
    for column, place in ((events.a, shape[3]), (events.b, shape[4])):
        for limb in range(4):
            column[n, limb] = _ZERO
        if place >= 0:
            _word_nb(text, data + 2 + 64 * place, column[n])
    if kind == EVENT_V2_SYNC:
        fits = _fits_nb(events.a[n], 112) and _fits_nb(events.b[n], 112)
    elif kind == EVENT_V3_SWAP:
        fits = _is_price_nb(events.a[n]) and _fits_nb(events.b[n], 128)
    elif kind == EVENT_V3_INITIALIZE:
        fits = _is_price_nb(events.a[n])
    else:
        fits = _fits_nb(events.a[n], 128)
    if not fits:
        return False
    lower, upper, ok = np.int64(0), np.int64(0), True
    if shape[5] >= 0:
        _word_nb(text, data + 2 + 64 * shape[5], limbs)
        lower, ok = _tick_of_nb(limbs)
    elif shape[1] == 4:
        for place in range(2):
            at = topic[2 + place]
            if not (_prefixed_nb(body, at) and _are_digits_nb(body, at + 2, 64)):
                return False
            _word_nb(text, at + 2, limbs)
            tick, within = _tick_of_nb(limbs)
            ok = ok and within
            lower, upper = (tick, upper) if place == 0 else (lower, tick)
        ok = ok and lower < upper
    events.kind[n] = kind
    events.tick_lower[n] = lower
    events.tick_upper[n] = upper
    return ok


@njit(nogil=True, cache=True, error_model="numpy")
def _fields_nb(text, at, topic, place):
    """Read one log object at `at`: (index after it or -1 where its form is not plain, number of topics).

    `topic` i64[4] receives where the topics' texts begin; `place` i64[3] where the address begins, where the
    data begins and how long it is, -1 for what is missing.
    """
    body = text.body
    place[0] = place[1] = place[2] = -1
    topics = 0
    if body[at] != _OPEN:
        return -1, 0
    at += 1
    while at < len(body):
        if body[at] != _QUOTE:
            return -1, 0
        end = _string_end_nb(text, at + 1)
        if end < 0 or end + 2 >= len(body) or body[end + 1] != _COLON:
            return -1, 0
        key, at = _key_nb(body, at + 1, end), end + 2
        if key == _TOPICS:
            after, topics = _topics_nb(text, at, topic)
        else:
            after = _plain_value_end_nb(text, at)
            if key != _OTHER and body[at] != _QUOTE:
                return -1, 0
            if key == _ADDRESS:
                place[0] = at + 1 if after - at - 2 == _ADDRESS_CHARS else -1
            elif key == _DATA:
                place[1], place[2] = at + 1, after - at - 2
        if after < 0 or after >= len(body):
            return -1, 0
        if body[after] == _CLOSE:
            return after + 1, topics
        if body[after] != _COMMA:
            return -1, 0
        at = after + 1
    return -1, 0


@njit(nogil=True, cache=True, error_model="numpy")
def scan_nb(text, size, topics, rows, events, order, spans):
    """Scan a JSON list of logs, the first `size` bytes of `text`.

    Writes the events, `order` i64[n] each event's place among the logs, and `spans` i64[m, 3] (place, first
    byte, byte after) of the logs left to the slow path. Returns (events, spans, logs of pools not followed,
    whether the list was read to its end).
    """
    topic, place, limbs = np.zeros(4, np.int64), np.zeros(3, np.int64), np.zeros(4, np.uint64)
    body = text.body
    written, left, unknown, number, at = 0, 0, 0, 0, 1
    if size < 2 or body[0] != _OPEN_LIST:
        return written, left, unknown, False
    if body[at] == _CLOSE_LIST:
        return written, left, unknown, size == 2
    while at < size:
        after, count = _fields_nb(text, at, topic, place)
        if after < 0 or after >= size or written == len(order) or left == len(spans):
            return written, left, unknown, False
        which = -1
        if count > 0:
            for t in range(len(topics.text)):
                if _is_text_nb(body, topic[0], topics.text[t]):
                    which = t
                    break
        if which >= 0:
            shape = topics.shape[which]
            row, plain = np.int32(-1), place[0] >= 0 and _prefixed_nb(body, place[0])
            if plain:
                row, plain = _row_nb(text, place[0] + 2, rows)
            if shape[0] == 0:
                plain = False
            elif plain and row < 0:
                unknown += 1
            elif plain:
                digits = place[2] - 2
                plain = place[1] >= 0 and digits >= 0 and digits % 64 == 0 and _prefixed_nb(body, place[1])
                if plain:
                    plain = _decode_nb(
                        text, shape, topic, count, place[1], digits // 64, events, written, limbs
                    )
                if plain:
                    events.pool[written], order[written] = row, number
                    written += 1
            if not plain:
                spans[left, 0], spans[left, 1], spans[left, 2] = number, at, after
                left += 1
        number += 1
        if body[after] == _CLOSE_LIST:
            return written, left, unknown, after + 1 == size
        if body[after] != _COMMA:
            return written, left, unknown, False
        at = after + 1
    return written, left, unknown, False


@njit(nogil=True, cache=True, error_model="numpy")
def _insert_nb(rows, first, second, third, row):
    slot = _slot_nb(rows.key, first, second, third)
    rows.key[slot, 0], rows.key[slot, 1], rows.key[slot, 2] = first, second, third
    rows.row[slot] = row


class LogScanner:
    """Reads blocks of logs for one set of pools, as `engine.chain.logs.decode` takes it; it may grow."""

    def __init__(
        self,
        pool_row: Mapping[str, int],
        pools: Sequence[PoolRecord] = (),
        hubs: Mapping[str, Mapping[str, int]] | None = None,
    ):
        self._pool_row = pool_row
        self._pools = pools
        self._hubs = {} if hubs is None else hubs
        self._known = 0
        self._rows = _empty_rows(16)
        self._topics = _topics()
        self._events = allocate_events(64)
        self._order = np.zeros(64, np.int64)
        self._spans = np.zeros((64, 3), np.int64)
        self._text = _empty_text(1 << 16)

    def decode(self, body: bytes | memoryview) -> slow.Decoded:
        """What `engine.chain.logs.decode` makes of a JSON list of logs. Raises NodeError when it is none."""
        if len(self._pool_row) != self._known:
            self._learn()
        size = len(body)
        self._make_room(size)
        self._text.body[:size] = np.frombuffer(body, np.uint8)
        self._text.body[size : (size | 7) + 1] = 0
        written, left, unknown, whole = scan_nb(
            self._text, size, self._topics, self._rows, self._events, self._order, self._spans
        )
        if not whole:
            return self._slowly(_parsed(body))
        events = StateEvents(*(column[:written].copy() for column in self._events))
        if not left:
            return slow.Decoded(events, unknown, [])
        return self._merged(memoryview(body), events, self._order[:written], self._spans[:left], unknown)

    def _merged(
        self,
        body: memoryview,
        events: StateEvents,
        order: NDArray[np.int64],
        spans: NDArray[np.int64],
        unknown: int,
    ) -> slow.Decoded:
        others = [orjson.loads(body[start:end]) for _, start, end in spans.tolist()]
        rest = self._slowly(others)
        hostile = [row for row, _ in rest.hostile]
        kept = ~np.isin(events.pool, hostile)
        events, order = StateEvents(*(column[kept] for column in events)), order[kept]
        if not len(rest.events.kind):
            return slow.Decoded(events, unknown + rest.unknown, rest.hostile, rest.touched)
        # Which of the handed-over logs became events, and how many: decode one by one, in the same order.
        places = [
            place
            for (place, _, _), log in zip(spans.tolist(), others, strict=True)
            for row in self._slowly([log]).events.pool.tolist()
            if row not in hostile
        ]
        sorted_ = np.argsort(np.concatenate((order, np.array(places, np.int64))), kind="stable")
        pairs = zip(events, rest.events, strict=True)
        merged = StateEvents(*(np.concatenate(pair)[sorted_] for pair in pairs))
        return slow.Decoded(merged, unknown + rest.unknown, rest.hostile, rest.touched)

    def _slowly(self, logs: list[Any]) -> slow.Decoded:
        return slow.decode(logs, self._pool_row, self._pools, self._hubs)

    def _learn(self) -> None:
        size = 16
        while size < 4 * len(self._pool_row):
            size *= 2
        self._rows = _empty_rows(size)
        for key, row in self._pool_row.items():
            digits = key.removeprefix("0x")
            if len(digits) == 40:
                value = int(digits, 16)
                first, second = value >> 96, value >> 32 & (2**64 - 1)
                third = value & (2**32 - 1) | 1 << 32
                _insert_nb(self._rows, np.uint64(first), np.uint64(second), np.uint64(third), np.int32(row))
        self._known = len(self._pool_row)

    def _make_room(self, size: int) -> None:
        if size >= len(self._text.body):
            self._text = _empty_text(2 * size + 64)
        count = size // _SHORTEST_LOG + 16
        if count > len(self._order):
            self._events = allocate_events(count)
            self._order = np.zeros(count, np.int64)
            self._spans = np.zeros((count, 3), np.int64)


def _empty_text(size: int) -> Text:
    words = np.zeros(size // 8, np.uint64)
    return Text(words.view(np.uint8), words)


def _empty_rows(size: int) -> Rows:
    return Rows(np.zeros((size, 3), np.uint64), np.full(size, -1, np.int32))


def _topics() -> Topics:
    wanted = {topic: _SHAPES.get(topic, (0,) * 6) for topic in slow.STATE_TOPICS}
    text = [np.frombuffer(topic.encode(), np.uint8) for topic in wanted]
    return Topics(np.array(text), np.array(list(wanted.values()), np.int64))


def _parsed(body: bytes | memoryview) -> list[dict[str, Any]]:
    try:
        logs = orjson.loads(body)
    except orjson.JSONDecodeError:
        logs = None
    if not isinstance(logs, list) or not all(isinstance(log, dict) for log in logs):
        raise NodeError("the node answered with logs that are not a list of objects")
    return logs
