"""JSON-RPC values, parsed without trust: all but the exact form raises MalformedAnswer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_utils import keccak

from engine.domain.errors import MalformedAnswer
from engine.domain.market import ZERO_HASH, BlockRef
from engine.domain.quantity import quantity as quantity


def octets(value: Any, what: str = "data", length: int | None = None) -> bytes:
    """JSON-RPC byte data ("0x…"), of exactly `length` bytes where given. Raises MalformedAnswer."""
    if isinstance(value, str) and value.startswith("0x"):
        try:
            raw = bytes.fromhex(value[2:])
        except ValueError:
            raw = None
        if raw is not None and (length is None or len(raw) == length):
            return raw
    raise MalformedAnswer(f"the node answered with malformed {what}")


def hash32(value: Any, what: str = "hash") -> str:
    """A 32-byte hash as lower-case 0x-hex. Raises MalformedAnswer."""
    return "0x" + octets(value, what, 32).hex()


def address(value: Any, what: str = "address") -> str:
    """A 20-byte address as lower-case 0x-hex. Raises MalformedAnswer."""
    return "0x" + octets(value, what, 20).hex()


def topic(signature: str) -> str:
    """The log topic of an event signature such as "Sync(uint112,uint112)"."""
    return "0x" + keccak(text=signature).hex()


def selector(signature: str) -> bytes:
    """The four-byte selector of a function signature."""
    return keccak(text=signature)[:4]


@dataclass(frozen=True, slots=True)
class Header:
    """A block header as far as following the chain needs it; `bloom` is its 256-byte log bloom."""

    ref: BlockRef
    bloom: bytes


def header(raw: Any) -> Header:
    """Parse a block or a newHeads notification. Raises MalformedAnswer."""
    if not isinstance(raw, dict):
        raise MalformedAnswer("the node answered with a malformed block")
    number = quantity(raw.get("number"), "block number")
    base_fee = raw.get("baseFeePerGas")
    ref = BlockRef(
        number=number,
        hash=hash32(raw.get("hash"), "block hash"),
        parent_hash=hash32(raw.get("parentHash", ZERO_HASH if number == 0 else None), "parent hash"),
        timestamp=quantity(raw.get("timestamp"), "block timestamp"),
        base_fee_wei=0 if base_fee is None else quantity(base_fee, "base fee"),
        gas_used=quantity(raw.get("gasUsed"), "gas used"),
        gas_limit=quantity(raw.get("gasLimit"), "gas limit"),
    )
    return Header(ref, octets(raw.get("logsBloom"), "logs bloom", 256))


def bloom_may_contain(bloom: bytes, item: bytes) -> bool:
    """Whether a 2048-bit log bloom may contain `item` (yellow paper, M3:2048); False is certain."""
    digest = keccak(item)
    for at in (0, 2, 4):
        bit = int.from_bytes(digest[at : at + 2], "big") & 2047
        if not bloom[255 - (bit >> 3)] >> (bit & 7) & 1:
            return False
    return True
