"""JSON-RPC over http: pooled connections, bounded answers, ids checked."""

from __future__ import annotations

import asyncio
import email.utils
import itertools
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import orjson

from engine.chain.json_text import read_message
from engine.domain.errors import MalformedAnswer

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
_CONNECTIONS = 32
_KEEPALIVE_S = 30


class HttpConnection:
    """One http(s) address. `make_request` and `make_batch_request` return answers as `read_message` does.

    Both raise aiohttp.ClientError or OSError when there was no answer, MalformedAnswer (without the address)
    when it is too large, not JSON, or does not carry the request's id.
    """

    def __init__(self, url: str, timeout_s: float):
        self._url = url
        self._ids = itertools.count(1)
        # A session per request, as web3 has it, opens a new connection (and TLS session) each time.
        self._session = aiohttp.ClientSession(
            raise_for_status=True,
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers={"Content-Type": "application/json"},
        )

    async def make_request(self, method: str, params: Sequence[Any]) -> Any:
        """The answer to one request: an object with its id."""
        request = self._request(method, params)
        answer = await self._post(request)
        if not isinstance(answer, dict):
            raise MalformedAnswer("an answer is not an object", method=method)
        # A node that could not even read the request answers with the id null.
        if answer.get("id") != request["id"] and not (answer.get("id") is None and "error" in answer):
            raise MalformedAnswer("an answer carries another request's id", method=method)
        return answer

    async def make_batch_request(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> Any:
        """The answers in the order of the calls; an object instead of a list is the node's refusal of the
        batch as a whole."""
        requests = [self._request(method, params) for method, params in calls]
        answers = await self._post(requests)
        if isinstance(answers, dict) and "error" in answers:
            return answers
        if not isinstance(answers, list) or len(answers) != len(requests):
            raise MalformedAnswer("a batch was answered with something else", method=calls[0][0])
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        ordered = [by_id.get(request["id"]) for request in requests]
        if any(answer is None for answer in ordered):
            raise MalformedAnswer("a batch's answers carry other ids", method=calls[0][0])
        return ordered

    async def disconnect(self) -> None:
        """Close every connection."""
        await self._session.close()

    def _request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}

    async def _post(self, body: Any) -> Any:
        async with self._session.post(self._url, data=orjson.dumps(body)) as response:
            raw = await _bounded(response)
        return read_message(raw)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, decompressed, if it is no larger than MAX_MESSAGE_BYTES."""
    body = bytearray()
    if (response.content_length or 0) <= MAX_MESSAGE_BYTES:
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > MAX_MESSAGE_BYTES:
                break
        else:
            return bytes(body)
    response.close()
    raise MalformedAnswer(f"the answer is larger than {MAX_MESSAGE_BYTES} bytes")


def retry_after_s(error: aiohttp.ClientResponseError) -> float | None:
    """Seconds a node asks to wait by its Retry-After header (RFC 9110: seconds or a date); None without."""
    text = (error.headers.get("Retry-After", "") if error.headers else "").strip()
    if text.isdigit():
        return float(text[:6])
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None


async def until(moment: float) -> None:
    """Sleep until the loop's clock shows `moment`."""
    await asyncio.sleep(max(moment - asyncio.get_running_loop().time(), 0))
