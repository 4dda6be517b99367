"""Checks of single values of a snapshot. Hand-written: a schema validator takes seconds where these take
milliseconds."""

from __future__ import annotations

import re
from typing import Any, TypeVar

ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_AMOUNT = re.compile(r"[0-9]{1,78}")
_SIGNED = re.compile(r"-?[0-9]{1,78}")

E = TypeVar("E")


class Malformed(Exception):
    """What is wrong, without where; the caller adds file and pool."""


def list_of(holder: dict, key: str) -> list[Any]:
    """A list."""
    value = holder.get(key)
    if not isinstance(value, list):
        raise Malformed(f"{key} is not a list")
    return value


def whole(holder: dict, key: str, low: int, high: int, default: int | None = None) -> int:
    """A whole number from `low` to `high`."""
    value = holder.get(key, default)
    if type(value) is not int or not low <= value <= high:
        raise Malformed(f"{key} is not a whole number from {low} to {high}")
    return value


def amount(value: Any, key: str, bits: int = 256) -> int:
    """A decimal string within uint`bits`."""
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        number = int(value)
        if not number >> bits:
            return number
    raise Malformed(f"{key} is not a decimal string within uint{bits}")


def amount_in(holder: dict, key: str, bits: int = 256, default: str | None = None) -> int:
    """The amount under a key."""
    return amount(holder.get(key, default), key, bits)


def parameter(holder: dict, key: str, bits: int = 64, default: str | None = None) -> int:
    """A pool's parameter: a decimal string or, as people write them, a whole number."""
    value = holder.get(key, default)
    if type(value) is int and value >= 0 and not value >> bits:
        return value
    return amount(value, key, bits)


def amounts(holder: dict, key: str, count: int, bits: int = 256, default: Any = None) -> tuple[int, ...]:
    """As many amounts as there are tokens."""
    values = holder.get(key, default)
    if not isinstance(values, list) or len(values) != count:
        raise Malformed(f"{key} is not a list of {count} amounts")
    return tuple(amount(value, f"{key}[{k}]", bits) for k, value in enumerate(values))


def signed(value: Any, key: str) -> int:
    """A decimal string with an optional sign."""
    if not isinstance(value, str) or not _SIGNED.fullmatch(value):
        raise Malformed(f"{key} is not a decimal string")
    return int(value)


def address(value: Any, key: str) -> str:
    """An address, in lower case."""
    if not isinstance(value, str) or not ADDRESS.fullmatch(value):
        raise Malformed(f"{key} is not 20 bytes of 0x-hex")
    return value.lower()


def word(value: Any, key: str) -> str:
    """Thirty-two bytes, in lower case."""
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise Malformed(f"{key} is not 32 bytes of 0x-hex")
    return value.lower()


def flag(holder: dict, key: str, default: bool | None = None) -> bool:
    """true or false."""
    value = holder.get(key, default)
    if not isinstance(value, bool):
        raise Malformed(f"{key} is not true or false")
    return value


def choice(holder: dict, key: str, kind: type[E], default: E) -> E:
    """A member of a string enumeration."""
    value = holder.get(key, default)
    try:
        return kind(value)  # type: ignore[call-arg]
    except ValueError:
        raise Malformed(f"{key} is none of {', '.join(str(member) for member in kind)}") from None  # type: ignore[attr-defined]
