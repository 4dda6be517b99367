"""Hexadecimal text in memory: compiled reading of digits, eight characters at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

_ONE, _THREE, _SEVEN, _NINE = (np.uint64(n) for n in (1, 3, 7, 9))
_ONES = np.uint64(0x0101010101010101)
_LOW_32 = np.uint64(2**32 - 1)


class Text(NamedTuple):
    """Characters padded with zero bytes to whole words: u8[8 W] and, of the same memory, u64[W]."""

    body: NDArray[np.uint8]
    words: NDArray[np.uint64]


def text_of(characters: bytes | bytearray | memoryview) -> Text:
    """A copy of the characters with at least eight zero bytes after them."""
    size = len(characters)
    words = np.empty((size >> 3) + 2, np.uint64)
    words[-2:] = 0
    body = words.view(np.uint8)
    body[:size] = np.frombuffer(characters, np.uint8)
    return Text(body, words)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def is_text_nb(body, at, text):
    if at + len(text) > len(body):
        return False
    differs, part = np.uint8(0), body[at : at + len(text)]
    for k in range(len(text)):
        differs |= part[k] ^ text[k]
    return differs == 0


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def eight_nb(text, at):
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
def limb_nb(text, at):
    """Sixteen characters that are hexadecimal digits as u64."""
    return eight_nb(text, at) << np.uint64(32) | eight_nb(text, at + 8)


@njit(nogil=True, cache=True, error_model="numpy")
def word_nb(text, at, limbs):
    """A word of 64 hexadecimal digits into u64[4], least first."""
    for k in range(4):
        limbs[3 - k] = limb_nb(text, at + 16 * k)


@njit(nogil=True, cache=True, error_model="numpy")
def are_digits_nb(body, at, count):
    others, digits = np.uint8(0), body[at : at + count]
    for k in range(count):
        char = digits[k]
        decimal = np.uint8(np.uint8(char - np.uint8(48)) < np.uint8(10))
        letter = np.uint8(np.uint8((char | np.uint8(32)) - np.uint8(97)) < np.uint8(6))
        others |= np.uint8(1) ^ (decimal | letter)
    return others == 0


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def prefixed_nb(body, at):
    return body[at] == 48 and body[at + 1] == 120
