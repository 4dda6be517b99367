"""web3's asynchronous providers, made fit for many requests in flight on one connection.

web3's persistent providers find a response by polling a cache, which keeps a core busy while a node thinks,
mixes up concurrent batches, and never notices a connection that was closed politely. Here every request owns
a future, and the end of the connection ends all of them at once.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from typing import Any, cast

from web3.exceptions import ProviderConnectionError, Web3Exception
from web3.providers import AsyncIPCProvider, WebSocketProvider
from web3.providers.persistent import PersistentConnectionProvider
from websockets import WebSocketException

from engine.chain.endpoint import Endpoint, Transport
from engine.chain.http_connection import MAX_MESSAGE_BYTES, HttpConnection
from engine.chain.json_text import read_message

_MAX_QUEUED_NOTIFICATIONS = 1024
_CLOSE_TIMEOUT_S = 1.0

# web3 logs whole addresses, keys included, at INFO.
_quiet = logging.getLogger("engine.chain.web3")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class Notifications:
    """What a subscription receives, oldest first. When nobody reads, the oldest are dropped."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue(_MAX_QUEUED_NOTIFICATIONS)

    def put(self, item: Any) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(item)

    async def get(self) -> Any:
        """The next notification. Raises ProviderConnectionError when the connection has ended."""
        item = await self._queue.get()
        if isinstance(item, ProviderConnectionError):
            self.put(item)
            raise item
        return item

    def latest(self) -> Any:
        """Drop everything but the newest waiting notification and return it; None when none waits."""
        newest = None
        while not self._queue.empty():
            item = self._queue.get_nowait()
            if isinstance(item, ProviderConnectionError):
                self.put(item)
                break
            newest = item
        return newest


class _Correlated(PersistentConnectionProvider):
    """A persistent connection whose responses resolve the futures of their requests."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._max_connection_retries = 1
        self.logger = _quiet
        self._pending: dict[int, tuple[asyncio.Future[Any], Notifications | None]] = {}
        self._streams: dict[str, Notifications] = {}
        self._broken = False

    @property
    def alive(self) -> bool:
        """Whether requests may still be answered here."""
        return (
            not self._broken
            and self._message_listener_task is not None
            and not self._message_listener_task.done()
        )

    async def make_request(self, method: Any, params: Any) -> Any:
        return await self._ask(method, params, None)

    async def subscribe(self, *params: Any) -> tuple[Any, Notifications]:
        """The response to `eth_subscribe` and the stream it opened."""
        stream = Notifications()
        return await self._ask("eth_subscribe", list(params), stream), stream

    async def unsubscribe(self, identifier: str) -> None:
        """End a stream; the node is told if it listens."""
        if self._streams.pop(identifier, None) is not None and self.alive:
            with suppress(OSError, Web3Exception, WebSocketException):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await self.make_request("eth_unsubscribe", [identifier])

    async def _ask(self, method: Any, params: Any, stream: Notifications | None) -> Any:
        if not self.alive:
            raise ProviderConnectionError("the connection is closed")
        request = self.form_request(method, params)
        key = cast(int, request["id"])
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[key] = (future, stream)
        try:
            async with asyncio.timeout(self.request_timeout):
                try:
                    await self.socket_send(self.encode_rpc_dict(request))
                except (OSError, WebSocketException):
                    # Writing may fail before the reader has noticed the end.
                    self._broken = True
                    raise
                return await future
        finally:
            self._pending.pop(key, None)
            if future.done() and not future.cancelled():
                # Where sending failed as the connection ended, nobody has asked what became of the answer.
                future.exception()

    async def _message_listener(self) -> None:
        reason = "the connection was closed"
        try:
            while True:
                self._dispatch(await self.socket_recv())
        except Exception as error:
            # A message we cannot read leaves us unable to tell whose it was: the connection is over.
            reason = f"the connection ended ({type(error).__name__})"
        finally:
            self._end(reason)

    def _dispatch(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        if message.get("method") == "eth_subscription":
            params = message.get("params")
            if isinstance(params, dict):
                stream = self._streams.get(str(params.get("subscription")))
                if stream is not None:
                    stream.put(params.get("result"))
            return
        key = message.get("id")
        if type(key) is not int or key not in self._pending:
            return
        future, stream = self._pending[key]
        if stream is not None and isinstance(message.get("result"), str):
            # Registered before anybody wakes: the first notification may follow at once.
            self._streams[message["result"]] = stream
        if not future.done():
            future.set_result(message)

    def _end(self, reason: str) -> None:
        for future, _ in self._pending.values():
            if not future.done():
                future.set_exception(ProviderConnectionError(reason))
        for stream in self._streams.values():
            stream.put(ProviderConnectionError(reason))
        self._streams.clear()
        self._broken = True

    async def disconnect(self) -> None:
        """Close the connection and wait for its reader. Unlike the base class, lets a cancellation pass."""
        task, self._message_listener_task = self._message_listener_task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._provider_specific_disconnect()


class CorrelatedWebSocket(_Correlated, WebSocketProvider):
    """A WebSocket node connection."""

    async def socket_send(self, request_data: bytes) -> None:
        # The base class wraps this in asyncio.wait_for, which on Python 3.11 can swallow a cancellation.
        if self._ws is None:
            raise ProviderConnectionError("the connection is closed")
        await self._ws.send(request_data.decode())

    async def socket_recv(self) -> Any:
        assert self._ws is not None
        raw = await self._ws.recv()
        message = read_message(raw.encode() if isinstance(raw, str) else raw)
        # A node that writes a notification in two segments would otherwise wait ~40 ms for our delayed ACK.
        if hasattr(socket, "TCP_QUICKACK") and self._ws is not None:
            line = self._ws.transport.get_extra_info("socket")
            if line is not None and line.family in (socket.AF_INET, socket.AF_INET6):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return message


class CorrelatedIpc(_Correlated, AsyncIPCProvider):
    """A Unix-socket node connection."""

    async def socket_send(self, request_data: bytes) -> None:
        # The base class sends again after a broken pipe; a transaction must leave at most once.
        if self._writer is None:
            raise ProviderConnectionError("the connection is closed")
        self._writer.write(request_data + b"\n")
        await self._writer.drain()

    async def socket_recv(self) -> Any:
        assert self._reader is not None
        message = await self._reader.readline()
        if not message:
            raise ProviderConnectionError("the node closed the connection")
        return read_message(message)


Provider = HttpConnection | CorrelatedWebSocket | CorrelatedIpc


async def open_provider(endpoint: Endpoint, timeout_s: float) -> Provider:
    """Connect to the node. Raises what the transport raises (OSError, ProviderConnectionError, …)."""
    if endpoint.transport is Transport.HTTP:
        return HttpConnection(endpoint.target, timeout_s)
    persistent: CorrelatedWebSocket | CorrelatedIpc
    if endpoint.transport is Transport.WS:
        persistent = CorrelatedWebSocket(
            endpoint.target,
            request_timeout=timeout_s,
            websocket_kwargs={
                "max_size": MAX_MESSAGE_BYTES,
                "open_timeout": timeout_s,
                "close_timeout": _CLOSE_TIMEOUT_S,
                "ping_interval": 15,
                "ping_timeout": 15,
            },
        )
    else:
        persistent = CorrelatedIpc(
            endpoint.target, request_timeout=timeout_s, read_buffer_limit=MAX_MESSAGE_BYTES
        )
    await persistent.connect()
    return persistent
