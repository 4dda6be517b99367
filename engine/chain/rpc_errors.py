"""What went wrong between us and a node, in one sentence that shows no credentials."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import aiohttp
import websockets
from web3.exceptions import ProviderConnectionError, Web3Exception

from engine.chain.endpoint import Endpoint
from engine.chain.http_connection import retry_after_s
from engine.domain.errors import MalformedAnswer, NodeError, NodeUnreachable, RateLimited

TRANSPORT_ERRORS = (aiohttp.ClientError, OSError, Web3Exception, websockets.WebSocketException)
_MAX_MESSAGE_CHARS = 300
_RETRYABLE_STATUS = frozenset({408, 429, 500, 502, 503, 504})
# What providers say in a 200 answer when it is the caller's pace that they refuse, not the question.
_TOO_FAST = ("rate limit", "rate-limit", "too many requests", "per second", "throughput", "slow down")


def transport_error(endpoint: Endpoint, method: str, error: BaseException, timeout_s: float) -> NodeError:
    """The error to raise for a failed exchange with `endpoint`; NodeUnreachable where it may pass."""
    if isinstance(error, aiohttp.ClientResponseError):
        message = f"node {endpoint.shown} answered HTTP {error.status}"
        if error.status not in _RETRYABLE_STATUS:
            return NodeError(f"{message}: check its address and key", method=method, code=error.status)
        if error.status in (429, 503):
            limited = RateLimited(message, method=method, code=error.status)
            limited.retry_after_s = retry_after_s(error)
            return limited
        return NodeUnreachable(message, method=method, code=error.status)
    reason = _reason(error, timeout_s)
    failed = NodeUnreachable(f"node {endpoint.shown} cannot be reached: {reason}", method=method)
    failed.left = not isinstance(error, aiohttp.ClientConnectorError)
    return failed


def malformed(endpoint: Endpoint, method: str) -> MalformedAnswer:
    """The error for an answer that cannot be read."""
    return MalformedAnswer(
        f"node {endpoint.shown} answered {method} with something that is not JSON-RPC", method=method
    )


def refusal(endpoint: Endpoint, method: str, error: Any) -> NodeError:
    """The node's own error object as ours: RateLimited when it complains of our pace."""
    if not isinstance(error, dict):
        error = {"message": str(error)}
    code = error.get("code")
    reason = clean(endpoint, error.get("message") or "no reason given")
    kind = RateLimited if code == 429 or any(words in reason.lower() for words in _TOO_FAST) else NodeError
    return kind(
        f"node {endpoint.shown} refused {method}: {reason}",
        method=method,
        code=code if isinstance(code, int) else None,
        data=_revert_data(error.get("data")),
    )


def clean(endpoint: Endpoint, text: Any) -> str:
    """One short printable line of `text`, without the endpoint's secrets."""
    line = " ".join(endpoint.redact(str(text)[: 4 * _MAX_MESSAGE_CHARS]).split())
    line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(line) <= _MAX_MESSAGE_CHARS else line[: _MAX_MESSAGE_CHARS - 1] + "…"


def _revert_data(data: Any) -> str | None:
    """Revert data out of the places nodes put it: "0x…", "Reverted 0x…", {"data": "0x…"}."""
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    if isinstance(data, str) and "0x" in data:
        return data[data.index("0x") :]
    return None


def _reason(error: BaseException, timeout_s: float) -> str:
    """What went wrong in a few words, never the address. Looks through the wrapping exceptions."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ConnectionRefusedError):
            return "connection refused"
        if isinstance(seen, TimeoutError):
            return f"no answer within {timeout_s:g} s"
        if isinstance(seen, socket.gaierror):
            return "its host name is not known"
        if isinstance(seen, ssl.SSLError):
            return "the TLS handshake failed"
        if isinstance(seen, FileNotFoundError):
            return "no such socket"
        # websockets' legacy client puts the status on the error, its successor on the response.
        status = getattr(getattr(seen, "response", seen), "status_code", None)
        if status is not None:
            return f"it answered HTTP {status}"
        if isinstance(seen, ConnectionError):
            return "the connection was cut"
        seen = seen.__cause__ or getattr(seen, "os_error", None)
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "the connection was cut"
    if isinstance(error, ProviderConnectionError) and str(error).startswith("the connection"):
        return str(error.args[0]) if error.args else "the connection was closed"
    return type(error).__name__
