"""One node connection: requests, batches and subscriptions over http, WebSocket or IPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import stamina
from asyncio_throttle import Throttler
from web3.exceptions import ProviderConnectionError

from engine.chain.endpoint import Transport, parse_endpoint
from engine.chain.http_connection import HttpConnection, until
from engine.chain.json_text import JsonText, Unparsed
from engine.chain.rpc_errors import TRANSPORT_ERRORS, malformed, refusal, transport_error
from engine.chain.transport import Notifications, Provider, open_provider
from engine.chain.wire import Header, header, quantity
from engine.domain.errors import MalformedAnswer, NodeError, NodeUnreachable, RateLimited
from engine.domain.market import BlockRef

# How long a node that says "too fast" without saying for how long is left alone.
_DEFAULT_REST_S = 0.5
# Asking again is harmless only for these. Everything that sends or changes state goes out once.
_READS = (
    "eth_get", "eth_call", "eth_chainId", "eth_blockNumber", "eth_estimateGas", "eth_fee", "eth_gasPrice",
    "eth_max", "eth_blob", "eth_simulate", "eth_create", "eth_syncing", "net_", "web3_", "debug_trace",
    "debug_get", "trace_", "txpool_",
)  # fmt: skip

Call = tuple[str, Sequence[Any]]


def is_read(method: str) -> bool:
    """Whether `method` only reads, so that it may be asked again after a transport error."""
    return method.startswith(_READS)


class RpcNode:
    """A JSON-RPC endpoint; implements `engine.domain.ports.Node`.

    `url`: http(s)://, ws(s)://, ipc:// or a socket path. `throttle_per_second` limits reads (sends are never
    held back); None means no limit. `timeout_s` bounds one exchange. Reads are tried again up to `attempts`
    times after transport errors, and not before a node that asked for it was left alone; anything else is
    sent once. A lost persistent connection is opened again by the next request. Errors name the endpoint
    without its credentials.
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
        self._resting_until = 0.0

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
        """Results in order; an entry that failed is its NodeError. Split by the endpoint's batch limit. The
        result of an `Unparsed` call is its JsonText, where the message allows it.
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
                    entries = [self._entry(*pair) for pair in zip(chunk, answers, strict=True)]
                    for entry in entries:
                        if isinstance(entry, RateLimited):
                            raise entry
            results.extend(entries)
        return results

    async def latest(self) -> Header:
        """The node's present head. Raises NodeError."""
        return header(await self.request("eth_getBlockByNumber", ["latest", False]))

    async def witnessed(self, block: BlockRef, within_s: float) -> bool:
        """Whether enough endpoints know `block`: a single one is its own witness."""
        return True

    async def heads(self, poll_s: float, watch_s: float) -> AsyncGenerator[Header, None]:
        """The present head, then each newer one: pushed, or on http polled every `poll_s` seconds.

        Raises NodeError when the node fails, or when it has a newer head but pushed none for `watch_s`
        seconds. A burst is given as its newest head only.
        """
        if not self.can_subscribe:
            while True:
                yield await self.latest()
                await asyncio.sleep(poll_s)
        async with self.subscribe("newHeads") as stream:
            # Subscribed first, asked second: no block falls between.
            newest = await self.latest()
            yield newest
            while True:
                try:
                    async with asyncio.timeout(watch_s):
                        raw = await stream.next()
                except TimeoutError:
                    latest = await self.latest()
                    if latest.ref.number > newest.ref.number:
                        raise NodeUnreachable(
                            f"node {self.shown} stopped pushing heads at block {newest.ref.number}"
                        ) from None
                    continue
                newest = header(stream.latest() or raw)
                yield newest

    @asynccontextmanager
    async def subscribe(self, *params: Any) -> AsyncIterator[Subscription]:
        """An `eth_subscribe` stream, for as long as the connection lives. Raises NodeError when the endpoint
        cannot subscribe, NodeUnreachable when it cannot be reached."""
        if not self.can_subscribe:
            raise NodeError(f"node {self.shown} cannot push over http: poll it", method="eth_subscribe")
        provider = await self._open()
        assert not isinstance(provider, HttpConnection)
        try:
            response, stream = await provider.subscribe(*params)
        except TRANSPORT_ERRORS as error:
            raise self._failed("eth_subscribe", error) from error
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
        if not is_read(method):
            return
        rest = self._resting_until - asyncio.get_running_loop().time()
        if rest > self._timeout_s:
            raise RateLimited(f"node {self.shown} asked to be left alone for {rest:.0f} s", method=method)
        await until(self._resting_until)
        if self._throttle is not None:
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
            except TRANSPORT_ERRORS as error:
                failed = self._failed("", error)
                if isinstance(failed, NodeUnreachable):
                    failed.left = False
                raise failed from error
            return self._provider

    async def _exchange(self, method: str, params: Sequence[Any]) -> Any:
        provider = await self._open()
        try:
            return await provider.make_request(method, list(params))  # type: ignore[union-attr]
        except TRANSPORT_ERRORS as error:
            raise self._failed(method, error) from error
        except (MalformedAnswer, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise malformed(self._endpoint, method) from error

    async def _exchange_batch(self, chunk: Sequence[Call]) -> list[Any]:
        if self._endpoint.transport is Transport.HTTP and len(chunk) > 1:
            provider = await self._open()
            assert isinstance(provider, HttpConnection)
            try:
                answers = await provider.make_batch_request(chunk)
            except TRANSPORT_ERRORS as error:
                raise self._failed(chunk[0][0], error) from error
            except MalformedAnswer as error:
                raise malformed(self._endpoint, chunk[0][0]) from error
            if isinstance(answers, list):
                return answers
            # An endpoint without batches answers with a single error: ask one by one.
        return await self._pipeline(chunk)

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

    def _entry(self, call: Call, answer: Any) -> Any:
        try:
            if isinstance(answer, NodeError):
                return answer
            return self._result(call[0], answer, unparsed=isinstance(call, Unparsed))
        except NodeError as error:
            return error

    def _result(self, method: str, response: Any, unparsed: bool = False) -> Any:
        if not isinstance(response, dict):
            raise malformed(self._endpoint, method)
        if response.get("error") is not None:
            refused = refusal(self._endpoint, method, response["error"])
            if isinstance(refused, RateLimited):
                self._rest(None)
            raise refused
        if "result" not in response:
            raise malformed(self._endpoint, method)
        result = response["result"]
        if unparsed or not isinstance(result, JsonText):
            return result
        try:
            return result.parsed()
        except MalformedAnswer as error:
            raise malformed(self._endpoint, method) from error

    def _failed(self, method: str, error: BaseException) -> NodeError:
        failed = transport_error(self._endpoint, method, error, self._timeout_s)
        if isinstance(failed, RateLimited):
            self._rest(failed.retry_after_s)
        return failed

    def _rest(self, pause_s: float | None) -> None:
        pause_s = _DEFAULT_REST_S if pause_s is None else pause_s
        self._resting_until = max(self._resting_until, asyncio.get_running_loop().time() + pause_s)


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
            raise self._node._failed("eth_subscription", error) from error

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
