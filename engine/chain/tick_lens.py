"""A V3 pool's tick bitmap in a few calls: a program that reads hundreds of its words inside one `eth_call`.

The program is sent as contract-creation code and never deployed: what creation code returns is the answer of
such a call. It uses no instruction younger than Constantinople, so it also runs at old blocks.
"""

from __future__ import annotations

from typing import Any

from engine.chain.calls import at_block
from engine.chain.wire import octets, selector
from engine.domain.errors import NodeError

# Called with (pool, first word, last word + 1) behind the code. Returns a zero byte (code must not begin with
# 0xef, EIP-3541), then for every word with a bit set its position as int16 and its 32 bytes.
_HEAD = bytes.fromhex(
    "6060606e600039"  # mem[0x00:0x60] = the three arguments
    "63"  # push the four bytes that follow
)
_TAIL = bytes.fromhex(
    "60e01b606052"  # mem[0x60:0x64] = the selector
    "60c1"  # stack: end of the output, which begins at 0xc0
    "5b602051"  # next: stack: end, word
    "8060405114606057"  # if word is the last + 1, go to done
    "80606452"  # argument = word
    "602060a0602460606000515afa"  # staticcall the pool, its answer to mem[0xa0:0xc0]
    "15606957"  # if it failed, go to fail
    "60203d10606957"  # if it answered less than a word, go to fail
    "60a051"  # stack: end, word, bits
    "8015605557"  # if no bit is set, go to skip
    "8160f01b8352"  # mem[end:end+2] = word
    "808360020152"  # mem[end+2:end+34] = bits
    "9160220191"  # end += 34
    "5b50600101602052"  # skip: word += 1
    "601456"  # go to next
    "5b5060c0900360c0f3"  # done: return mem[0xc0:end]
    "5b600080fd"  # fail: revert
)
_ENTRY_BYTES = 34
# Nodes hold the answer to the size limit of a contract (EIP-170), even if every word had a bit set.
WORDS_PER_CALL = (24_576 - 1) // _ENTRY_BYTES


TICK_BITMAP = selector("tickBitmap(int16)")


def lens_call(pool: str, words: range, block_hash: str, reader: bytes = TICK_BITMAP) -> tuple[str, list[Any]]:
    """An `eth_call` entry that reads a bitmap's `words` (at most WORDS_PER_CALL) at one block; `reader` is
    the selector of the pool's function that takes an int16 and returns a word."""
    arguments = (int(pool, 16), words.start % (1 << 256), words.stop % (1 << 256))
    data = _HEAD + reader + _TAIL + b"".join(value.to_bytes(32, "big") for value in arguments)
    return "eth_call", [{"data": "0x" + data.hex()}, at_block(block_hash)]


def decode_lens(answer: Any, words: range) -> list[tuple[int, int]]:
    """(word position, bits) of every word with a bit set, ascending.

    Raises NodeError when the answer is not one this program can give for `words`.
    """
    raw = octets(answer, "tick bitmap")
    if len(raw) % _ENTRY_BYTES != 1 or raw[0] != 0:
        raise NodeError("the node answered with a malformed tick bitmap")
    entries = [
        (
            int.from_bytes(raw[at : at + 2], "big", signed=True),
            int.from_bytes(raw[at + 2 : at + _ENTRY_BYTES], "big"),
        )
        for at in range(1, len(raw), _ENTRY_BYTES)
    ]
    positions = [position for position, _ in entries]
    if positions != sorted(set(positions)) or any(at not in words for at in positions):
        raise NodeError("the node answered with a malformed tick bitmap")
    return entries
