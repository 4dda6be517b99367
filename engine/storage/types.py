"""Column types for integers wider than a database's, as text whose order is the numbers' order."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

DIGITS = 78
_WRAP = 10**DIGITS
_MAX = 2**256


class Uint256(TypeDecorator[int]):
    """An unsigned 256-bit integer as 78 decimal digits. Raises OverflowError outside 0..2**256-1."""

    impl = String(DIGITS)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not 0 <= value < _MAX:
            raise OverflowError(f"{value} is not an unsigned 256-bit integer")
        return f"{value:0{DIGITS}d}"

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


class Int257(TypeDecorator[int]):
    """A signed integer of magnitude below 2**256, as "p" and 78 digits, or for negative ones "n" and the
    digits of 10**78 plus the number, so that text compares as the numbers do. Raises OverflowError."""

    impl = String(DIGITS + 1)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not -_MAX < value < _MAX:
            raise OverflowError(f"{value} is wider than 256 bits and a sign")
        return f"p{value:0{DIGITS}d}" if value >= 0 else f"n{_WRAP + value:0{DIGITS}d}"

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        if value is None:
            return None
        return int(value[1:]) - (_WRAP if value[0] == "n" else 0)
