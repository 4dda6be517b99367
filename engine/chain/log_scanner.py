"""A block's logs in the node's JSON bytes: where each one's fields are, without a Python object per log.

What is scanned is exactly what nodes write, and every log is proved to be of the block, not taken back, and
in the order of the block. Anything else is left to whoever parses objects, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import overload

import numpy as np
import orjson
from numba import njit
from numpy.typing import NDArray

from engine.chain.creations import CREATION_TOPICS
from engine.chain.hex_text import Text, are_digits_nb, is_text_nb, limb_nb, prefixed_nb, text_of
from engine.chain.logs import STATE_TOPICS

# Columns of `places`: a log's first byte and the byte after it; where the characters of its address begin
# (-1 unless it has 42), those of its topics, those of its data, and how many those are (data -1 if missing);
# how many topics, and which of TOPICS the first is (-1: none of them).
START, END, ADDRESS, TOPIC, DATA, DATA_SIZE, TOPIC_COUNT, WHICH = 0, 1, 2, 3, 7, 8, 9, 10
COLUMNS = 11
# Every first topic that means something to us; the commonest first.
TOPICS = tuple(dict.fromkeys((*STATE_TOPICS, *CREATION_TOPICS)))

_READ, _NOT_PLAIN, _TOO_MANY, _OF_ANOTHER_BLOCK, _OUT_OF_ORDER = range(5)
_REASONS = {
    _NOT_PLAIN: "its text is not what nodes write",
    _TOO_MANY: "its logs are shorter than logs are",
    _OF_ANOTHER_BLOCK: "a log does not plainly say that it is of this block",
    _OUT_OF_ORDER: "its logs are not in the order of the block",
}
_SHORTEST_LOG = 200  # bytes: there is room for as many logs as that allows
_QUOTE, _BACKSLASH, _COMMA, _COLON = 34, 92, 44, 58
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = 123, 125, 91, 93
_SPACE = 32
_TOPIC_CHARS = 66
_ADDRESS_CHARS = 42
_HASH_CHARS = 66
_MAX_TOPICS = 4
_OTHER, _KEY_ADDRESS, _KEY_TOPICS, _KEY_DATA, _KEY_HASH, _KEY_INDEX, _KEY_REMOVED = range(7)


def _letters(word: str) -> NDArray[np.uint8]:
    return np.frombuffer(word.encode(), np.uint8)


_ADDRESS, _TOPICS, _DATA, _INDEX = (_letters(word) for word in ("address", "topics", "data", "logIndex"))
_HASH, _REMOVED = _letters("blockHash"), _letters("removed")
_FALSE, _TRUE, _NULL = _letters("false"), _letters("true"), _letters("null")
_TOPIC_TEXT = np.array([_letters(topic) for topic in TOPICS])
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_ONES = np.uint64(0x0101010101010101)
_TOP_BITS, _FIRST_TOP_BIT = np.uint64(0x8080808080808080), np.uint64(0x80)
_QUOTES, _BACKSLASHES, _SPACES, _LETTERS = (
    np.uint64(int(_ONES) * char) for char in (_QUOTE, _BACKSLASH, _SPACE, ord("a"))
)
_THREE, _FOUR, _SEVEN = np.uint64(3), np.uint64(4), np.uint64(7)


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


@njit(nogil=True, cache=True, error_model="numpy")
def _key_nb(body, at, end):
    length = end - at
    if length == 7:
        if is_text_nb(body, at, _ADDRESS):
            return _KEY_ADDRESS
        return _KEY_REMOVED if is_text_nb(body, at, _REMOVED) else _OTHER
    if length == 6 and is_text_nb(body, at, _TOPICS):
        return _KEY_TOPICS
    if length == 4 and is_text_nb(body, at, _DATA):
        return _KEY_DATA
    if length == 9 and is_text_nb(body, at, _HASH):
        return _KEY_HASH
    if length == 8 and is_text_nb(body, at, _INDEX):
        return _KEY_INDEX
    return _OTHER


@njit(nogil=True, cache=True, error_model="numpy")
def _plain_value_end_nb(text, at):
    """Index after the string, true, false or null at `at`; -1 for anything else."""
    body = text.body
    if body[at] == _QUOTE:
        end = _string_end_nb(text, at + 1)
        return end + 1 if end >= 0 else -1
    for word in (_FALSE, _TRUE, _NULL):
        if is_text_nb(body, at, word):
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


@njit(nogil=True, cache=True, error_model="numpy")
def _index_nb(text, at, size):
    """The quantity of `size` characters at `at`, at most 64 bits; -1 where it is none."""
    digits = size - 2
    if digits < 1 or digits > 15 or not prefixed_nb(text.body, at):
        return -1
    if not are_digits_nb(text.body, at + 2, digits):
        return -1
    # The characters after it fall off the end.
    return np.int64(limb_nb(text, at + 2) >> (np.uint64(16 - digits) * _FOUR))


@njit(nogil=True, cache=True, error_model="numpy")
def _fields_nb(text, at, block_hash, where):
    """Read one log object at `at` into `where` i64[11]: (index after it or -1 where its form is not plain,
    its place in the block or -1, whether it plainly says that it is of the block)."""
    body = text.body
    where[ADDRESS] = where[DATA] = where[DATA_SIZE] = index = -1
    where[TOPIC_COUNT] = 0
    of_block, kept = False, True
    if body[at] != _OPEN:
        return -1, -1, False
    at += 1
    while at < len(body):
        if body[at] != _QUOTE:
            return -1, -1, False
        end = _string_end_nb(text, at + 1)
        if end < 0 or end + 2 >= len(body) or body[end + 1] != _COLON:
            return -1, -1, False
        key, at = _key_nb(body, at + 1, end), end + 2
        if key == _KEY_TOPICS:
            after, where[TOPIC_COUNT] = _topics_nb(text, at, where[TOPIC : TOPIC + _MAX_TOPICS])
        else:
            after = _plain_value_end_nb(text, at)
            size = after - at - 2
            if key == _KEY_REMOVED:
                kept = body[at] != _QUOTE and not is_text_nb(body, at, _TRUE)
            elif key != _OTHER and body[at] != _QUOTE:
                return -1, -1, False
            elif key == _KEY_ADDRESS:
                where[ADDRESS] = at + 1 if size == _ADDRESS_CHARS else -1
            elif key == _KEY_DATA:
                where[DATA], where[DATA_SIZE] = at + 1, size
            elif key == _KEY_HASH:
                of_block = size == _HASH_CHARS and is_text_nb(body, at + 1, block_hash)
            elif key == _KEY_INDEX:
                index = _index_nb(text, at + 1, size)
        if after < 0 or after >= len(body):
            return -1, -1, False
        if body[after] == _CLOSE:
            return after + 1, index, of_block and kept
        if body[after] != _COMMA:
            return -1, -1, False
        at = after + 1
    return -1, -1, False


@njit(nogil=True, cache=True, error_model="numpy")
def _which_nb(body, at, topics):
    for t in range(len(topics)):
        # Few topics agree in the first digits.
        if body[at + 2] == topics[t, 2] and body[at + 3] == topics[t, 3] and is_text_nb(body, at, topics[t]):
            return t
    return -1


@njit(nogil=True, cache=True, error_model="numpy")
def scan_nb(text, size, topics, block_hash, places):
    """Scan a JSON list of logs, the first `size` bytes of `text`, into `places` i64[N, 11].

    `topics` u8[T, 66] are the first topics to tell apart, `block_hash` u8[66] the text of the block's hash;
    an empty one leaves unproved which block the logs are of, and their order. Returns (logs, _READ or what is
    in the way).
    """
    body, number, at, last = text.body, 0, 1, np.int64(-1)
    if size < 2 or body[0] != _OPEN_LIST:
        return number, _NOT_PLAIN
    if body[at] == _CLOSE_LIST:
        return number, _READ if size == 2 else _NOT_PLAIN
    while at < size:
        if number == len(places):
            return number, _TOO_MANY
        where = places[number]
        after, index, of_block = _fields_nb(text, at, block_hash, where)
        if after < 0 or after >= size:
            return number, _NOT_PLAIN
        if len(block_hash):
            if not of_block:
                return number, _OF_ANOTHER_BLOCK
            if index <= last:
                return number, _OUT_OF_ORDER
            last = index
        where[START], where[END] = at, after
        where[WHICH] = _which_nb(body, where[TOPIC], topics) if where[TOPIC_COUNT] else -1
        number += 1
        if body[after] == _CLOSE_LIST:
            return number, _READ if after + 1 == size else _NOT_PLAIN
        if body[after] != _COMMA:
            return number, _NOT_PLAIN
        at = after + 1
    return number, _NOT_PLAIN


class ScannedLogs(Sequence[dict]):
    """One block's logs, scanned: `places` says where in `text` the fields of each are. As a sequence they are
    the objects themselves, parsed when first asked for."""

    def __init__(self, text: Text, size: int, places: NDArray[np.int64]):
        self.text = text
        self.places = places
        self._size = size
        self._parsed: list[dict] | None = None

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, at: int) -> dict: ...

    @overload
    def __getitem__(self, at: slice) -> list[dict]: ...

    def __getitem__(self, at: int | slice) -> dict | list[dict]:
        return self._objects()[at]

    def __iter__(self) -> Iterator[dict]:
        return iter(self._objects())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._objects() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def log(self, place: int) -> dict:
        """The object of one log, parsed alone."""
        start, end = self.places[place, START], self.places[place, END]
        return orjson.loads(memoryview(self.text.body)[start:end])

    def about(self, topics: Collection[str]) -> list[dict]:
        """The logs whose first topic is one of `topics`, all of which are in TOPICS."""
        wanted = [number for number, topic in enumerate(TOPICS) if topic in topics]
        return [self.log(place) for place in np.flatnonzero(np.isin(self.places[:, WHICH], wanted))]

    def _objects(self) -> list[dict]:
        if self._parsed is None:
            self._parsed = orjson.loads(memoryview(self.text.body)[: self._size])
        return self._parsed


def scan_logs(body: bytes | memoryview, block_hash: str | None) -> ScannedLogs | str:
    """The logs of a JSON list, or why it has to be parsed.

    With a `block_hash` (lower-case) every log names that block, none was removed, and their places in it
    ascend; without one nothing is asked of them.
    """
    size = len(body)
    text = text_of(body)
    places = np.empty((size // _SHORTEST_LOG + 16, COLUMNS), np.int64)
    wanted = _letters(block_hash or "")
    count, status = scan_nb(text, size, _TOPIC_TEXT, wanted, places)
    return ScannedLogs(text, size, places[:count]) if status == _READ else _REASONS[status]


def about(logs: Sequence[dict], topics: Collection[str]) -> Sequence[dict]:
    """Those of the logs that may have one of `topics` as their first, sparing the others their objects."""
    return logs.about(topics) if isinstance(logs, ScannedLogs) else logs
