"""Contracts whose code cannot be installed here, as far as reading goes: code that answers certain calls.

The answers come from states recorded from the real contracts; what is not answered reverts, as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth_abi import encode
from eth_utils import keccak


def calldata(signature: str, *arguments: Any) -> bytes:
    inner = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + (encode(inner.split(","), arguments) if inner else b"")


def answering(answers: Mapping[bytes, bytes]) -> str:
    """Runtime code that returns `answers[calldata]`, and reverts on any other call."""
    code = bytearray.fromhex("36 5f 5f 37 36 5f 20".replace(" ", ""))  # the hash of the calldata
    entry = 1 + 33 + 1 + 3 + 1
    body_at = len(code) + entry * len(answers) + 3
    bodies = b""
    data_at = body_at + 15 * len(answers)
    for call, answer in answers.items():
        target = (body_at + len(bodies)).to_bytes(2, "big")
        code += b"\x80\x7f" + keccak(call) + b"\x14\x61" + target + b"\x57"
        size, at = len(answer).to_bytes(2, "big"), data_at.to_bytes(2, "big")
        bodies += b"\x5b\x61" + size + b"\x61" + at + b"\x5f\x39\x61" + size + b"\x5f\xf3\x00"
        data_at += len(answer)
    code += bytes.fromhex("5f5ffd") + bodies
    for answer in answers.values():
        code += answer
    return "0x" + code.hex()


def words(*values: Any) -> bytes:
    """Static ABI words: numbers, booleans, addresses."""
    return b"".join(
        (int(value, 16) if isinstance(value, str) else int(value)).to_bytes(32, "big") for value in values
    )
