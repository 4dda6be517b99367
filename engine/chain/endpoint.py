"""A node's address as typed by a person: its kind, and what of it may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlsplit

from engine.domain.errors import ConfigError


class Transport(StrEnum):
    """How JSON-RPC travels to the node."""

    HTTP = "http"
    WS = "ws"
    IPC = "ipc"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`target` is a URL, or a socket path for IPC. `shown` is safe to print: user names, passwords, paths
    and query strings, where providers put their keys, are left out. `secrets` are those parts."""

    transport: Transport
    target: str
    shown: str
    secrets: tuple[str, ...]

    def redact(self, text: str) -> str:
        """`text` with the address and every secret part of it replaced."""
        text = text.replace(self.target, self.shown)
        for secret in self.secrets:
            text = text.replace(secret, "…")
        return text


def parse_endpoint(address: str) -> Endpoint:
    """Read an http(s) or ws(s) URL, `ipc://` URL, or the path of an IPC socket.

    Raises ConfigError when it is none of them.
    """
    address = address.strip()
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ConfigError(
            "the node address is malformed: use http(s)://host:port, ws(s)://host:port or the path of an "
            "IPC socket"
        ) from None
    scheme = parts.scheme.lower()
    if scheme in ("http", "https", "ws", "wss"):
        if not parts.hostname:
            raise ConfigError(f"the node address {scheme}:// names no host: use {scheme}://host:port")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        shown = f"{scheme}://{host}" + (f":{port}" if port else "")
        pieces = [parts.password, *parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
        # Short path pieces such as "v3" are no secrets, and replacing them would maul messages.
        secrets = tuple(piece for piece in pieces if piece and len(piece) >= 6)
        if parts.path not in ("", "/") or parts.query:
            shown += "/…"
        return Endpoint(Transport.HTTP if scheme[0] == "h" else Transport.WS, address, shown, secrets)
    if scheme == "ipc" or (scheme == "" and "/" in address) or address.endswith(".ipc"):
        path = address.removeprefix("ipc://")
        return Endpoint(Transport.IPC, path, path, ())
    raise ConfigError(
        f"{address!r} is not a node address: use http(s)://host:port, ws(s)://host:port or the path of an "
        "IPC socket"
    )
