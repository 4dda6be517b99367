"""Integers to words and back: 256-bit values are four limbs, 128-bit ones two, little-endian."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import ints_to_limbs, limbs_to_ints

Words = NDArray[np.uint64]


def words_of(*parts: Iterable[int] | Words) -> Words:
    """One flat u64 array of arrays and of sequences of integers below 2**64. OverflowError if one is not."""
    pieces = [
        part.reshape(-1) if isinstance(part, np.ndarray) else np.array(list(part), np.uint64)
        for part in parts
    ]
    return np.concatenate(pieces)


def wide(values: Sequence[int], limbs: int = 4) -> Words:
    """The limbs of each value, flat. Raises OverflowError for one that does not fit."""
    return ints_to_limbs(values, limbs).reshape(-1)


def read_wide(words: Words, start: int, count: int, limbs: int = 4) -> tuple[int, ...]:
    """`count` integers of `limbs` words each, from `start`."""
    return tuple(limbs_to_ints(words[start : start + count * limbs].reshape(count, limbs)))
