"""One node connection: requests, batches and subscriptions over http, WebSocket or IPC."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import aiohttp
import stamina
import websockets
from asyncio_throttle import Throttler
from web3.exceptions import ProviderConnectionError, Web3Exception
from web3.providers import AsyncHTTPProvider

from engine.chain.endpoint import Transport, parse_endpoint
from engine.chain.transport import Notifications, Provider, open_provider
from engine.chain.wire import quantity
from engine.domain.errors import NodeError, NodeUnreachable

_MAX_MESSAGE_CHARS = 300
_RETRYABLE_STATUS = frozenset({408, 429, 500, 502, 503, 504})
# Asking again is harmless only for these. Everything that sends or changes state goes out once.
_READS = (
    "eth_get", "eth_call", "eth_chainId", "eth_blockNumber", "eth_estimateGas", "eth_fee", "eth_gasPrice",
    "eth_max", "eth_blob", "eth_simulate", "eth_create", "eth_syncing", "net_", "web3_", "debug_trace",
    "debug_get", "trace_", "txpool_",
)  # fmt: skip
_TRANSPORT_ERRORS = (aiohttp.ClientError, OSError, Web3Exception, websockets.WebSocketException)

Call = tuple[str, Sequence[Any]]


def is_read(method: str) -> bool:
    """Whether `method` only reads, so that it may be asked again after a transport error."""
    return method.startswith(_READS)


class RpcNode:
    """A JSON-RPC endpoint; implements `engine.domain.ports.Node`.

    `url`: http(s)://, ws(s)://, ipc:// or a socket path. `throttle_per_second` limits reads (sends are never
    held back); None means no limit. `timeout_s` bounds one exchange. Reads are tried again up to `attempts`
    times after transport errors; anything else is sent once. A lost persistent connection is opened again by
    the next request. Errors name the endpoint without its credentials.
    """

    def __init__(
        self,
        url: str,
        *,
        throttle_per_second: int | None = None,
        timeout_s: float = 10.0,
        attempts: int = 3,
        max_batch: int = 100,
    ):
        self._endpoint = parse_endpoint(url)
        self._throttle = Throttler(throttle_per_second) if throttle_per_second else None
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._max_batch = max_batch
        self._provider: Provider | None = None
        self._opening = asyncio.Lock()

    @property
    def shown(self) -> str:
        """The endpoint's address without credentials and keys."""
        return self._endpoint.shown

    @property
    def can_subscribe(self) -> bool:
        """Whether `subscribe` works: on WebSocket and IPC."""
        return self._endpoint.transport is not Transport.HTTP

    async def __aenter__(self) -> RpcNode:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; a later request opens it again."""
        provider, self._provider = self._provider, None
        if provider is not None:
            await provider.disconnect()

    async def chain_id(self) -> int:
        """The chain id the node serves."""
        return quantity(await self.request("eth_chainId", ()), "chain id")

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        """The result of one call. Raises NodeError with the node's message and revert data,
        NodeUnreachable when there was no answer (for a send: it may or may not have arrived)."""
        attempts = self._attempts if is_read(method) else 1
        async for attempt in self._retries(attempts):
            with attempt:
                await self._admit(method)
                return self._result(method, await self._exchange(method, params))
        raise AssertionError("unreachable: the retry context returns or raises")

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Results in order; an entry that failed is its NodeError. Split by the endpoint's batch limit.
        Raises NodeUnreachable when there was no answer."""
        results: list[Any] = []
        for start in range(0, len(calls), self._max_batch):
            chunk = calls[start : start + self._max_batch]
            attempts = self._attempts if all(is_read(method) for method, _ in chunk) else 1
            async for attempt in self._retries(attempts):
                with attempt:
                    for method, _ in chunk:
                        await self._admit(method)
                    answers = await self._exchange_batch(chunk)
            results.extend(
                self._entry(method, answer) for (method, _), answer in zip(chunk, answers, strict=True)
            )
        return results

    @asynccontextmanager
    async def subscribe(self, *params: Any) -> AsyncIterator[Subscription]:
        """An `eth_subscribe` stream, for as long as the connection lives. Raises NodeError when the endpoint
        cannot subscribe, NodeUnreachable when it cannot be reached."""
        if not self.can_subscribe:
            raise NodeError(f"node {self.shown} cannot push over http: poll it", method="eth_subscribe")
        provider = await self._open()
        assert not isinstance(provider, AsyncHTTPProvider)
        try:
            response, stream = await provider.subscribe(*params)
        except _TRANSPORT_ERRORS as error:
            raise self._transport_error("eth_subscribe", error) from error
        identifier = self._result("eth_subscribe", response)
        try:
            yield Subscription(self, stream)
        finally:
            await provider.unsubscribe(str(identifier))

    def _retries(self, attempts: int) -> Any:
        return stamina.retry_context(
            on=NodeUnreachable,
            attempts=attempts,
            timeout=self._timeout_s,
            wait_initial=0.1,
            wait_max=2.0,
            wait_jitter=0.3,
        )

    async def _admit(self, method: str) -> None:
        if self._throttle is not None and is_read(method):
            await self._throttle.acquire()

    async def _open(self) -> Provider:
        async with self._opening:
            provider = self._provider
            if provider is not None and getattr(provider, "alive", True):
                return provider
            await self.close()
            try:
                async with asyncio.timeout(self._timeout_s):
                    self._provider = await open_provider(self._endpoint, self._timeout_s)
            except _TRANSPORT_ERRORS as error:
                raise self._transport_error("", error) from error
            return self._provider

    async def _exchange(self, method: str, params: Sequence[Any]) -> Any:
        provider = await self._open()
        try:
            return await provider.make_request(method, list(params))  # type: ignore[arg-type]
        except _TRANSPORT_ERRORS as error:
            raise self._transport_error(method, error) from error
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise self._malformed(method) from error

    async def _exchange_batch(self, chunk: Sequence[Call]) -> list[Any]:
        if self._endpoint.transport is Transport.HTTP and len(chunk) > 1:
            provider = await self._open()
            try:
                answers = await provider.make_batch_request([(m, list(p)) for m, p in chunk])  # type: ignore
            except _TRANSPORT_ERRORS as error:
                raise self._transport_error(chunk[0][0], error) from error
            except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
                raise self._malformed(chunk[0][0]) from error
            if isinstance(answers, list):
                return self._in_order(chunk, answers)
            # An endpoint without batches answers with a single error: ask one by one.
        return await self._pipeline(chunk)

    def _in_order(self, chunk: Sequence[Call], answers: list[Any]) -> list[Any]:
        ids = [answer.get("id") for answer in answers]
        first = ids[0] if ids else None
        if type(first) is not int or ids != list(range(first, first + len(chunk))):
            raise self._malformed(chunk[0][0])
        return answers

    async def _pipeline(self, chunk: Sequence[Call]) -> list[Any]:
        """All calls in flight at once; a transport error of any ends them all."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._answer(method, params)) for method, params in chunk]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _answer(self, method: str, params: Sequence[Any]) -> Any:
        try:
            return await self._exchange(method, params)
        except NodeUnreachable:
            raise
        except NodeError as error:
            return error

    def _entry(self, method: str, answer: Any) -> Any:
        try:
            return answer if isinstance(answer, NodeError) else self._result(method, answer)
        except NodeError as error:
            return error

    def _result(self, method: str, response: Any) -> Any:
        if not isinstance(response, dict):
            raise self._malformed(method)
        error = response.get("error")
        if error is None:
            if "result" not in response:
                raise self._malformed(method)
            return response["result"]
        if not isinstance(error, dict):
            error = {"message": str(error)}
        code = error.get("code")
        raise NodeError(
            f"node {self.shown} refused {method}: {self._clean(error.get('message') or 'no reason given')}",
            method=method,
            code=code if isinstance(code, int) else None,
            data=_revert_data(error.get("data")),
        )

    def _clean(self, text: Any) -> str:
        line = " ".join(self._endpoint.redact(str(text)[: 4 * _MAX_MESSAGE_CHARS]).split())
        line = "".join(char if char.isprintable() else "?" for char in line)
        return line if len(line) <= _MAX_MESSAGE_CHARS else line[: _MAX_MESSAGE_CHARS - 1] + "…"

    def _malformed(self, method: str) -> NodeError:
        return NodeError(
            f"node {self.shown} answered {method} with something that is not JSON-RPC", method=method
        )

    def _transport_error(self, method: str, error: BaseException) -> NodeError:
        if isinstance(error, aiohttp.ClientResponseError):
            message = f"node {self.shown} answered HTTP {error.status}"
            if error.status not in _RETRYABLE_STATUS:
                return NodeError(f"{message}: check its address and key", method=method, code=error.status)
            return NodeUnreachable(message, method=method, code=error.status)
        reason = _reason(error, self._timeout_s)
        return NodeUnreachable(f"node {self.shown} cannot be reached: {reason}", method=method)


class Subscription:
    """Notifications of one subscription, oldest first."""

    def __init__(self, node: RpcNode, stream: Notifications):
        self._node = node
        self._stream = stream

    async def next(self) -> Any:
        """The next notification. Raises NodeUnreachable when the connection has ended."""
        try:
            return await self._stream.get()
        except ProviderConnectionError as error:
            raise self._node._transport_error("eth_subscription", error) from error

    def latest(self) -> Any:
        """The newest waiting notification, dropping older ones; None when none waits."""
        return self._stream.latest()


@asynccontextmanager
async def connect(
    url: str, *, throttle_per_second: int | None = None, timeout_s: float = 10.0
) -> AsyncIterator[RpcNode]:
    """A node that has answered once. Raises ConfigError for a malformed address, NodeUnreachable."""
    async with RpcNode(url, throttle_per_second=throttle_per_second, timeout_s=timeout_s) as node:
        await node.chain_id()
        yield node


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
