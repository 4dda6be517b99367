"""Numbers drawn wide."""

from __future__ import annotations

import random


def spread(rng: random.Random, most: int) -> int:
    """1 .. most, even in the number of bits, with the ends and powers of ten more often."""
    kind = rng.random()
    if kind < 0.04:
        return min(rng.choice([1, 2, 3, most, most - 1, most // 2 + 1]), most) or 1
    if kind < 0.10:
        return min(most, 10 ** rng.randrange(0, 34) * rng.choice([1, 1, 5]))
    bits = rng.uniform(0, most.bit_length())
    return min(most, int(2**bits) + rng.getrandbits(max(int(bits), 1)) // 2) or 1
