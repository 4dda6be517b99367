"""Numbers as nodes write them."""

from __future__ import annotations

from typing import Any

from engine.domain.errors import MalformedAnswer

# A 256-bit quantity has at most 64 hex digits; longer ones are refused before they cost memory.
_MAX_QUANTITY_CHARS = 2 + 64


def quantity(value: Any, what: str = "quantity") -> int:
    """A JSON-RPC quantity ("0x…", at most 256 bits). Raises MalformedAnswer."""
    if isinstance(value, str) and value.startswith("0x") and 2 < len(value) <= _MAX_QUANTITY_CHARS:
        try:
            return int(value, 16)
        except ValueError:
            pass
    raise MalformedAnswer(f"the node answered with a malformed {what}")
