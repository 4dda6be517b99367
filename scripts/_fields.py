"""Fields of an entry in a listing: KeyError for an absent one, ValueError with the rest of a sentence."""

from __future__ import annotations

from typing import Any

from eth_utils import is_hex_address, to_checksum_address

from engine.domain.market import ZERO_HASH


def address(entry: dict[str, Any], field: str) -> str:
    """An entry's address in checksum form; raises ValueError for what is not one."""
    if not is_hex_address(entry[field]):
        raise ValueError(f"has {field} {entry[field]!r}, which is not an address")
    return to_checksum_address(entry[field])


def hash_or_zero(entry: dict[str, Any], field: str) -> str:
    """A 32-byte hash, 0x-hex; zero where the entry has none."""
    if not entry.get(field):
        return ZERO_HASH
    text = str(entry[field]).lower().removeprefix("0x")
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise ValueError(f"has {field} {entry[field]!r}, which is not a 32-byte hash")
    return "0x" + text


def integer(entry: dict[str, Any], field: str) -> int:
    """A whole number, which may be written as a decimal string."""
    try:
        value = int(str(entry[field]))
    except ValueError:
        value = -1
    if value < 0 or isinstance(entry[field], bool):
        raise ValueError(f"has {field} {entry[field]!r}, which is not a whole number")
    return value


def boolean(entry: dict[str, Any], field: str) -> bool:
    """True or false; true where the entry does not say."""
    value = entry.get(field, True)
    if not isinstance(value, bool):
        raise ValueError(f"has {field} {value!r}, which is not true or false")
    return value
