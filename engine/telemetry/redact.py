"""Keeping secrets out of logs."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

MASK = "***"
_SECRET_NAMES = re.compile(
    r"(passphrase|password|secret|private_?key|mnemonic|seed_phrase|api_?key|authorization|keystore_json)",
    re.IGNORECASE,
)
_URL = re.compile(r"\b((?:https?|wss?)://)(?:[^/@\s'\"]+@)?([^/\s'\"]+)(/[^\s'\"]*)?", re.IGNORECASE)
_LONG_PART = re.compile(r"[A-Za-z0-9_-]{20,}")


class Redactor:
    """A structlog processor that masks values of tell-tale names, credentials and keys in URLs, and every
    secret it was told, wherever they stand."""

    def __init__(self) -> None:
        self._secrets: list[str] = []

    def add(self, secret: str | bytes) -> None:
        """Never let this value through again; bytes also in hex."""
        forms = [secret] if isinstance(secret, str) else [secret.hex()]
        self._secrets += [form for form in forms if len(form) >= 4 and form not in self._secrets]
        self._secrets.sort(key=len, reverse=True)

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in event.items():
            event[name] = MASK if _is_secret_name(name) else self.clean(value)
        return event

    def clean(self, value: Any) -> Any:
        """The value without secrets, containers included."""
        if isinstance(value, str):
            return self._clean_text(value)
        if isinstance(value, bytes | bytearray):
            return self._clean_text("0x" + bytes(value).hex())
        if isinstance(value, Mapping):
            return {
                key: MASK if _is_secret_name(str(key)) else self.clean(inner) for key, inner in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(inner) for inner in value]
        if isinstance(value, BaseException):
            return self._clean_text(f"{type(value).__name__}: {value}")
        return value

    def _clean_text(self, text: str) -> str:
        for secret in self._secrets:
            text = re.sub(re.escape(secret), MASK, text, flags=re.IGNORECASE)
        return _URL.sub(lambda m: m[1] + m[2] + _LONG_PART.sub(MASK, m[3] or ""), text)


def _is_secret_name(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None
