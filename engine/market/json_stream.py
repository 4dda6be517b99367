"""A JSON object of long lists, read member by member: memory for one element, whatever the file's size.

Elements are handed on as bytes for a real parser; here only strings and brackets are followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numba import njit

_SPACES = b" \t\n\r"
_QUOTE, _BACKSLASH, _COMMA = 34, 92, 44
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = 123, 125, 91, 93


class NotJson(Exception):
    """Where and why the text is not a JSON object."""


@njit(nogil=True, cache=True, error_model="numpy")
def _value_end_nb(text, at, end):
    """Index after the JSON value that begins at `at` of u8 `text[:end]`; -1 when it goes on beyond."""
    depth = 0
    in_string = False
    while at < end:
        char = text[at]
        if in_string:
            if char == _BACKSLASH:
                at += 1
            elif char == _QUOTE:
                in_string = False
                if depth == 0:
                    return at + 1
        elif char == _QUOTE:
            in_string = True
        elif char in (_OPEN, _OPEN_LIST):
            depth += 1
        elif char in (_CLOSE, _CLOSE_LIST):
            if depth == 0:
                return at
            depth -= 1
            if depth == 0:
                return at + 1
        elif depth == 0 and (char == _COMMA or char <= 32):
            return at
        at += 1
    return -1


class JsonStream:
    """Reads one JSON object from a binary file, `chunk` bytes at a time. `max_element` bounds the bytes of
    one element."""

    def __init__(self, file: BinaryIO, max_element: int = 64 << 20, chunk: int = 1 << 20):
        self._file = file
        self._chunk = chunk
        self._max = max_element
        self._text = b""
        self._at = 0
        self._is_done = False

    def members(self) -> Iterator[tuple[str, bool, bytes]]:
        """(name, whether it is a list, text): one for each element of a list, one for any other value; an
        empty list gives one with no text. Raises NotJson, also for what stands after the object."""
        self._expect(b"{")
        if self._peek() == b"}":
            self._at += 1
        else:
            while True:
                name = self._value()
                if name[:1] != b'"':
                    raise NotJson("a member has no name")
                self._expect(b":")
                yield from self._member(name[1:-1].decode("utf-8", "replace"))
                if self._separator(b"}"):
                    break
        if self._peek():
            raise NotJson("something follows the object")

    def _member(self, name: str) -> Iterator[tuple[str, bool, bytes]]:
        if self._peek() != b"[":
            yield name, False, self._value()
            return
        self._at += 1
        if self._peek() == b"]":
            self._at += 1
            yield name, True, b""
            return
        while True:
            yield name, True, self._value()
            if self._separator(b"]"):
                return

    def _separator(self, closing: bytes) -> bool:
        """True at the closing bracket, False after a comma."""
        char = self._peek()
        if char not in (b",", closing):
            raise NotJson(f"{char.decode('latin-1') or 'the end'} stands where a comma belongs")
        self._at += 1
        return char == closing

    def _expect(self, wanted: bytes) -> None:
        if self._peek() != wanted:
            raise NotJson(f"{wanted.decode()} is missing")
        self._at += 1

    def _peek(self) -> bytes:
        """The next character that is not space; empty at the end."""
        while True:
            while self._at < len(self._text):
                char = self._text[self._at : self._at + 1]
                if char not in _SPACES:
                    return char
                self._at += 1
            if not self._more(self._chunk):
                return b""

    def _value(self) -> bytes:
        if not self._peek():
            raise NotJson("it ends early")
        size = self._chunk
        while True:
            view = np.frombuffer(self._text, np.uint8)
            end = _value_end_nb(view, self._at, len(view))
            if end >= 0:
                break
            if len(self._text) - self._at > self._max:
                raise NotJson(f"an element has more than {self._max >> 20} MiB")
            if not self._more(size):
                end = len(self._text)
                break
            size *= 2
        if end == self._at:
            raise NotJson("a value is missing")
        value = self._text[self._at : end]
        self._at = end
        return value

    def _more(self, size: int) -> bool:
        if self._is_done:
            return False
        chunk = self._file.read(size)
        self._is_done = not chunk
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return bool(chunk)
