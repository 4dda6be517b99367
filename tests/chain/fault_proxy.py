"""A proxy between the engine and a real node that misbehaves on demand, or by a seeded script.

    with FaultProxy(node.http, Script(seed=7, drop=0.01, delay=0.2)) as proxy:
        ...connect to proxy.http or proxy.ws...
        proxy.freeze(); proxy.cut(); proxy.behave()

Everything it answers comes from the node behind it, but for what is asked to be false. It runs in a thread of
its own, so that tests may be synchronous, asynchronous or in another process.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
from aiohttp import web
from removed_logs import SUBSCRIPTION, RemovedLogs, notification

MAX_BYTES = 1 << 30


class Fault(StrEnum):
    """What may happen to one message from the node (CUT: to the connection it travels on)."""

    DROP = "drop"  # over http: no answer at all until the client gives up
    DELAY = "delay"
    DUPLICATE = "duplicate"  # ws only
    REORDER = "reorder"  # ws only: held until after the next message
    CUT = "cut"
    CORRUPT = "corrupt"
    STATUS = "status"  # http only
    REMOVED = "removed"  # logs of other blocks, marked removed: in eth_getLogs answers, and pushed over ws


@dataclass
class Script:
    """Which fault each message meets: a rate per fault, drawn by `seed` in the order of the messages.

    `delay_s` is the longest delay; `statuses` are drawn for STATUS, `corruptions` (names of `CORRUPTIONS`)
    for CORRUPT. `calm_after` messages, when given, nothing goes wrong any more. With any `removed`, every
    reorganisation is followed by the logs it removed, as nodes push them to who subscribed to logs.
    """

    seed: int = 0
    drop: float = 0.0
    delay: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    cut: float = 0.0
    corrupt: float = 0.0
    status: float = 0.0
    removed: float = 0.0
    delay_s: float = 0.2
    statuses: tuple[int, ...] = (429, 500, 502, 503)
    corruptions: tuple[str, ...] = ("html", "truncated", "wrong id", "nested", "nonsense")
    calm_after: int | None = None
    _seen: int = 0
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)

    def draw(self) -> Fault | None:
        """The fault of the next message."""
        self._seen += 1
        if self.calm_after is not None and self._seen > self.calm_after:
            return None
        at = self._rng.random()
        for fault in Fault:
            rate = getattr(self, fault.value)
            if at < rate:
                return fault
            at -= rate
        return None

    def pause_s(self) -> float:
        return self._rng.uniform(0, self.delay_s)

    def choose(self, among: tuple[Any, ...]) -> Any:
        return self._rng.choice(among)


def _wrong_id(text: str) -> str:
    answer = json.loads(text)
    for each in answer if isinstance(answer, list) else [answer]:
        each["id"] = 987_654_321
    return json.dumps(answer)


CORRUPTIONS: dict[str, Callable[[str], str]] = {
    "html": lambda text: "<html><body>Bad Gateway</body></html>",
    "truncated": lambda text: text[: len(text) // 2],
    "wrong id": _wrong_id,
    "nested": lambda text: "[" * 100_000,
    "nonsense": lambda text: '{"jsonrpc":"2.0","hello":[1,2,3]}',
    "huge": lambda text: '{"jsonrpc":"2.0","id":1,"result":"' + "0" * 100_000_000 + '"}',
    "zeros": lambda text: text.replace("1", "0"),
}


class FaultProxy:
    """Serves http and ws on one port. Its attributes may be set at any time, from any thread:

    - `script`: the `Script` in force.
    - `hanging`: requests are taken and never answered.
    - `refusing`: connections are closed before they are used.
    - `lag_blocks`: heads and "latest" are that many blocks old; `freeze()` keeps them where they are.
    - `corruption`: the name of a corruption for every answer; `status`: an http status for every answer, with
      `retry_after` as its header.
    - `log_cap`: eth_getLogs answers of more logs are refused as providers do.
    - `alter`: `alter(method, params, result)` may return another result.

    `counts` says how many messages passed, by method, and what befell them, by fault.
    """

    def __init__(self, target_http: str, script: Script | None = None):
        self._target = target_http
        self.script = script or Script()
        self.hanging = self.refusing = False
        self.lag_blocks = 0
        self.corruption: str | None = None
        self.status: int | None = None
        self.retry_after: str | None = None
        self.log_cap: int | None = None
        self.alter: Callable[[str, list[Any], Any], Any] | None = None
        self.counts: Counter[str] = Counter()
        self._frozen_at: int | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._transports: set[asyncio.BaseTransport] = set()
        self._logs = RemovedLogs()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._call(self._break_all)
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    def cut(self) -> None:
        """Break every open connection at once; new ones are served."""
        self._call(self._break_all)

    def freeze(self) -> None:
        """Keep telling the present head, whatever the node does."""
        self._frozen_at = asyncio.run_coroutine_threadsafe(self._height(), self._loop).result(10)

    def behave(self) -> None:
        """No fault at all from now on."""
        self.script, self._frozen_at, self.lag_blocks = Script(), None, 0
        self.hanging = self.refusing = False
        self.corruption = self.status = self.retry_after = self.log_cap = self.alter = None

    # The thread and its server.

    def _call(self, action: Callable[[], None]) -> None:
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        self._client = aiohttp.ClientSession()
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_route("*", "/{rest:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stopping.wait()
        await runner.cleanup()
        await self._client.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _break_all(self) -> None:
        for transport in list(self._transports):
            with suppress(Exception):
                transport.abort()  # type: ignore[attr-defined]
        self._transports.clear()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self._transports.add(request.transport)
        if self.refusing:
            request.transport.abort()
            return web.Response()
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        return await self._exchange(request)

    # http: one request, one answer.

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        fault = self._draw()
        if self.status is not None or fault is Fault.STATUS:
            headers = {"Retry-After": self.retry_after} if self.retry_after is not None else None
            status = self.status or self.script.choose(self.script.statuses)
            return web.Response(status=status, text="busy", headers=headers)
        if self.hanging or fault is Fault.DROP:
            await asyncio.sleep(3600)
        if fault is Fault.CUT:
            request.transport.abort()  # type: ignore[union-attr]
            return web.Response()
        async with self._client.post(self._target, json=await self._asked(body)) as response:
            answer = await response.json()
        text = json.dumps(self._answered(body, answer, fault))
        if fault is Fault.DELAY:
            await asyncio.sleep(self.script.pause_s())
        return web.Response(text=self._mangled(text, fault), content_type="application/json")

    # ws: two pumps, and faults on what comes back.

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        near = web.WebSocketResponse(max_msg_size=0)
        await near.prepare(request)
        pending: dict[Any, Any] = {}
        target = self._target.replace("http", "ws", 1)
        async with self._client.ws_connect(target, max_msg_size=0) as far:
            back = asyncio.create_task(self._pump_back(far, near, pending))
            try:
                async for message in near:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        call = json.loads(message.data)
                        for each in call if isinstance(call, list) else [call]:
                            pending[each.get("id")] = each
                        await far.send_str(json.dumps(await self._asked(call)))
            finally:
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
        return near

    async def _pump_back(
        self, far: aiohttp.ClientWebSocketResponse, near: web.WebSocketResponse, pending: dict[Any, Any]
    ) -> None:
        held: list[str] = []
        heads: deque[str] = deque()
        later: set[asyncio.Task[None]] = set()
        async for message in far:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            # The node writes an answer in two segments: it waits for our acknowledgement of the first.
            wire = far.get_extra_info("socket")
            if wire is not None and hasattr(socket, "TCP_QUICKACK"):
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            answer = json.loads(message.data)
            if _is_head(answer):
                heads.append(message.data)
                if self._frozen_at is not None:
                    heads.clear()
                if len(heads) <= self.lag_blocks:
                    continue
                answer = json.loads(heads.popleft())
            fault = self._draw()
            for each in self._removed(answer, fault) if _is_head(answer) else ():
                await near.send_str(json.dumps(each))
            if self.hanging or fault is Fault.DROP:
                continue
            if fault is Fault.CUT:
                self._abort(near)
                return
            call = pending.pop(answer.get("id"), None) if isinstance(answer, dict) else None
            text = json.dumps(self._answered(call, answer, fault) if call else answer)
            text = self._mangled(text, fault)
            if fault is Fault.REORDER:
                held.append(text)
                continue
            if fault is Fault.DELAY:
                task = asyncio.create_task(self._send_later(near, text))
                later.add(task)
                task.add_done_callback(later.discard)
                continue
            for each in [text, *([text] if fault is Fault.DUPLICATE else []), *held]:
                await near.send_str(each)
            held.clear()
        self._abort(near)

    def _removed(self, answer: dict[str, Any], fault: Fault | None) -> list[dict[str, Any]]:
        """Notifications of the logs that a head replaces, or that a faulty node believes it does; once in a
        while under the name of the subscription to heads."""
        gone = self._logs.by(answer["params"]["result"])
        if fault is Fault.REMOVED:
            gone += self._logs.some()
        elif not self.script.removed or not gone:
            return []
        self.counts["removed logs pushed"] += len(gone)
        name = self.script.choose((answer["params"]["subscription"], *(SUBSCRIPTION,) * 7))
        return [notification(log, name) for log in gone]

    async def _send_later(self, near: web.WebSocketResponse, text: str) -> None:
        await asyncio.sleep(self.script.pause_s())
        with suppress(Exception):
            await near.send_str(text)

    def _abort(self, near: web.WebSocketResponse) -> None:
        transport = near._req.transport if near._req is not None else None
        if transport is not None:
            transport.abort()  # type: ignore[attr-defined]

    # What is done to questions and answers.

    def _draw(self) -> Fault | None:
        fault = self.script.draw()
        if fault is not None:
            self.counts[fault.value] += 1
        return fault

    def _mangled(self, text: str, fault: Fault | None) -> str:
        name = self.corruption
        if name is None and fault is Fault.CORRUPT:
            name = self.script.choose(self.script.corruptions)
        return text if name is None else CORRUPTIONS[name](text)

    async def _height(self) -> int:
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
        async with self._client.post(self._target, json=body) as response:
            return int((await response.json())["result"], 16)

    async def _asked(self, body: Any) -> Any:
        """The question as it goes to the node: a stale node's "latest" is an older block."""
        calls = body if isinstance(body, list) else [body]
        for call in calls:
            self.counts[str(call.get("method"))] += 1
        if self._frozen_at is None and not self.lag_blocks:
            return body
        stale = self._frozen_at
        if stale is None:
            stale = max(await self._height() - self.lag_blocks, 0)
        changed = [_of_block(call, hex(stale)) for call in calls]
        return changed if isinstance(body, list) else changed[0]

    def _answered(self, body: Any, answer: Any, fault: Fault | None) -> Any:
        if isinstance(body, list) and isinstance(answer, list):
            by_id = {call["id"]: call for call in body}
            return [self._answered(by_id.get(each.get("id")), each, fault) for each in answer]
        if not isinstance(body, dict) or "result" not in answer:
            return answer
        method, params, result = body["method"], body.get("params", []), answer["result"]
        if method == "eth_blockNumber" and isinstance(result, dict):
            result = result["number"]
        if method == "eth_getLogs" and isinstance(result, list):
            if self.log_cap is not None and len(result) > self.log_cap:
                reason = f"query returned more than {self.log_cap} results"
                return {"jsonrpc": "2.0", "id": answer["id"], "error": {"code": -32005, "message": reason}}
            if fault is Fault.REMOVED:
                result = result + self._logs.some()
            self._logs.note(answer["result"])
        if self.alter is not None:
            result = self.alter(method, params, result)
        return answer | {"result": result}


def _is_head(answer: Any) -> bool:
    return isinstance(answer, dict) and "number" in ((answer.get("params") or {}).get("result") or ())


def _of_block(call: dict[str, Any], number: str) -> dict[str, Any]:
    """The call with every "latest" replaced; eth_blockNumber becomes the reading of that block."""
    if call.get("method") == "eth_blockNumber":
        return call | {"method": "eth_getBlockByNumber", "params": [number, False]}
    params = [number if each == "latest" else each for each in call.get("params", [])]
    return call | {"params": params}


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait in a synchronous test."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
