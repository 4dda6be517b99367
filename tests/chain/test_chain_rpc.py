"""Node connections: the three transports on a real node, and nodes that misbehave."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from aiohttp import web
from local_node import LocalNode, free_port

from engine.chain import http_connection
from engine.chain.endpoint import parse_endpoint
from engine.chain.rpc import RpcNode, connect, is_read
from engine.domain.errors import ConfigError, NodeError, NodeUnreachable

# PUSH4 c0ffee00, PUSH0, MSTORE, then REVERT of those four bytes.
REVERTING = "0x63c0ffee005f526004601cfd"
ACCOUNT = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"


async def only_this_task_is_left() -> None:
    """Cancelled tasks need a turn of the loop to end."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


def address_of(node: LocalNode, kind: str) -> str:
    return {"http": node.http, "ws": node.ws, "ipc": node.ipc}[kind]


@pytest.mark.parametrize("kind", ["http", "ws", "ipc"])
async def test_requests_batches_and_reverts(local_node: LocalNode, kind: str) -> None:
    async with connect(address_of(local_node, kind)) as node:
        assert await node.chain_id() == 31337
        with pytest.raises(NodeError, match="refused eth_call: execution reverted") as caught:
            await node.request("eth_call", [{"data": REVERTING}, "latest"])
        assert (caught.value.data, caught.value.code, caught.value.method) == ("0xc0ffee00", 3, "eth_call")
        assert not isinstance(caught.value, NodeUnreachable)
        calls: list[tuple[str, list[Any]]] = [
            ("eth_getBlockByNumber", ["0x0", False]),
            ("eth_call", [{"data": REVERTING}, "latest"]),
            ("eth_noSuchMethod", []),
        ]
        answers = await node.batch(calls + [("eth_getBalance", [ACCOUNT, "latest"])] * 250)
        assert answers[0]["number"] == "0x0"
        assert answers[1].data == "0xc0ffee00"
        assert isinstance(answers[2], NodeError)
        assert answers[3:] == [hex(10_000 * 10**18)] * 250
        assert await node.batch([]) == []


@pytest.mark.parametrize("kind", ["http", "ws", "ipc"])
async def test_many_tasks_share_one_connection(local_node: LocalNode, kind: str) -> None:
    local_node.rpc("anvil_mine", "0x40")
    async with connect(address_of(local_node, kind)) as node:

        async def ask(number: int) -> bool:
            single = await node.request("eth_getBlockByNumber", [hex(number), False])
            batched = await node.batch([("eth_getBlockByNumber", [hex(n), False]) for n in (number, 0)])
            return [single["number"], *(each["number"] for each in batched)] == [hex(number)] * 2 + ["0x0"]

        assert all(await asyncio.gather(*(ask(number) for number in range(1, 65))))


@pytest.mark.parametrize("kind", ["http", "ws", "ipc"])
async def test_a_node_that_died_and_came_back_is_used_again(local_node: LocalNode, kind: str) -> None:
    async with RpcNode(address_of(local_node, kind), attempts=1) as node:
        await node.chain_id()
        local_node.stop(signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(NodeUnreachable):
                await node.chain_id()
        local_node.start()
        assert await node.chain_id() == 31337
    await only_this_task_is_left()


@pytest.mark.parametrize("kind", ["ws", "ipc"])
async def test_subscription_receives_heads_and_ends_with_its_connection(
    local_node: LocalNode, kind: str
) -> None:
    async with connect(address_of(local_node, kind)) as node, node.subscribe("newHeads") as heads:
        for number in (1, 2, 3):
            local_node.mine()
            assert (await asyncio.wait_for(heads.next(), 5))["number"] == hex(number)
        local_node.mine(3)
        await asyncio.sleep(0.2)
        assert heads.latest()["number"] == "0x6"
        assert heads.latest() is None
        local_node.stop()
        with pytest.raises(NodeUnreachable):
            await asyncio.wait_for(heads.next(), 5)
        with pytest.raises(NodeUnreachable):
            await heads.next()


async def test_http_cannot_subscribe(local_node: LocalNode) -> None:
    async with connect(local_node.http) as node:
        assert not node.can_subscribe
        with pytest.raises(NodeError, match="poll it"):
            async with node.subscribe("newHeads"):
                pass


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "http://user:hunter2secret@127.0.0.1:{port}/v3/0123456789abcdef?token=tok3nvalue",
            "connection refused",
        ),
        ("ws://127.0.0.1:{port}/0123456789abcdef", "connection refused"),
        ("/nonexistent/node.ipc", "no such socket"),
    ],
)
async def test_a_dead_node_is_one_sentence_without_secrets(url: str, reason: str) -> None:
    url = url.format(port=free_port())
    with pytest.raises(NodeUnreachable, match=reason) as caught:
        async with connect(url):
            pass
    text = str(caught.value)
    assert "\n" not in text
    for secret in ("hunter2secret", "0123456789abcdef", "tok3nvalue", "user"):
        assert secret not in text
    assert "127.0.0.1" in text or "/nonexistent/node.ipc" in text


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8545", "ftp://x", "http://", "http://host:notaport", "ws://[::1", "tcp://1.2.3.4:5"],
)
def test_a_malformed_address_is_a_usage_error(url: str) -> None:
    with pytest.raises(ConfigError, match="node address"):
        parse_endpoint(url)


def test_only_reads_are_reads() -> None:
    for method in ("eth_call", "eth_getLogs", "eth_chainId", "debug_traceCall", "eth_estimateGas"):
        assert is_read(method)
    for method in (
        "eth_sendRawTransaction", "eth_sendRawTransactionSync", "eth_sendTransaction", "eth_sendBundle",
        "eth_subscribe", "eth_newFilter", "anvil_mine", "evm_mine", "debug_setHead", "eth_signTransaction",
    ):  # fmt: skip
        assert not is_read(method)


@asynccontextmanager
async def http_server(answer: Callable[[Any], web.Response]) -> AsyncIterator[tuple[str, list[Any]]]:
    """A server that hands each parsed body to `answer`; yields its address and the bodies it saw."""
    seen: list[Any] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return answer(seen[-1])

    app = web.Application()
    app.router.add_post("/{rest:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}/key-a1b2c3d4", seen
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_reads_are_tried_again_and_sends_never(status: int) -> None:
    def busy(body: Any) -> web.Response:
        return web.Response(status=status, text="<html>busy</html>")

    async with http_server(busy) as (url, seen), RpcNode(url, attempts=3) as node:
        with pytest.raises(NodeUnreachable, match=f"HTTP {status}"):
            await node.request("eth_blockNumber", [])
        assert len(seen) == 3
        with pytest.raises(NodeUnreachable):
            await node.request("eth_sendRawTransaction", ["0x00"])
        assert len(seen) == 4
        with pytest.raises(NodeUnreachable):
            await node.batch([("eth_blockNumber", []), ("eth_sendRawTransaction", ["0x00"])])
        assert len(seen) == 5


async def test_a_refusal_is_not_tried_again_and_leaks_no_key() -> None:
    def refuse(body: Any) -> web.Response:
        return web.json_response(
            {
                "jsonrpc": "2.0",
                "id": body["id"],
                "error": {"code": -32000, "message": "bad key-a1b2c3d4\n" * 99},
            }
        )

    async with http_server(refuse) as (url, seen), RpcNode(url) as node:
        with pytest.raises(NodeError, match="refused eth_blockNumber: bad …") as caught:
            await node.request("eth_blockNumber", [])
        assert len(seen) == 1
        assert "a1b2c3d4" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


async def test_wrong_credentials_are_named() -> None:
    async with http_server(lambda body: web.Response(status=401)) as (url, seen), RpcNode(url) as node:
        with pytest.raises(NodeError, match="HTTP 401: check its address and key") as caught:
            await node.request("eth_blockNumber", [])
        assert not isinstance(caught.value, NodeUnreachable)
        assert len(seen) == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nonsense",
        "[]",
        "5",
        "null",
        "{}",
        '{"jsonrpc":"2.0","id":0}',
        "[" * 20_000,
        '"' + "x" * 5_000,
        "\xff",
    ],
)
async def test_malformed_answers_are_node_errors(body: str) -> None:
    reply = web.Response
    async with http_server(lambda _: reply(body=body.encode("latin-1"))) as (url, _), RpcNode(url) as node:
        with pytest.raises(NodeError) as caught:
            await node.request("eth_blockNumber", [])
        assert len(str(caught.value)) < 300
        try:
            answers = await node.batch([("eth_blockNumber", [])] * 2)
        except NodeError:
            return
        # An answer that is one object may mean "no batches here": each call is then asked, and fails, alone.
        assert all(isinstance(answer, NodeError) for answer in answers)


@pytest.mark.parametrize(
    "mutilate", [lambda a: a[:1], lambda a: a + a, lambda a: [a[0], a[0]], lambda a: [1, 2]]
)
async def test_a_batch_whose_answers_cannot_be_matched_is_refused(mutilate: Callable[[Any], Any]) -> None:
    def answer(body: Any) -> web.Response:
        good = [{"jsonrpc": "2.0", "id": call["id"], "result": "0x1"} for call in body]
        return web.json_response(mutilate(good))

    async with http_server(answer) as (url, _), RpcNode(url) as node:
        with pytest.raises(NodeError, match="not JSON-RPC"):
            await node.batch([("eth_blockNumber", [])] * 2)


async def test_an_endpoint_without_batches_is_asked_one_by_one() -> None:
    def answer(body: Any) -> web.Response:
        if isinstance(body, list):
            error = {"code": -32600, "message": "batch requests are not supported"}
            return web.json_response({"jsonrpc": "2.0", "id": None, "error": error})
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": body["params"][0]})

    async with http_server(answer) as (url, _), RpcNode(url) as node:
        assert await node.batch([("eth_getX", [n]) for n in range(5)]) == list(range(5))


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "MAX_MESSAGE_BYTES", 100_000)
    big = json.dumps({"jsonrpc": "2.0", "id": 0, "result": "x" * 200_000})
    async with http_server(lambda _: web.Response(text=big)) as (url, _), RpcNode(url, attempts=1) as node:
        with pytest.raises(NodeError):
            await node.request("eth_blockNumber", [])


async def test_reads_are_throttled_and_sends_are_not() -> None:
    def answer(body: Any) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": "0x1"})

    async with http_server(answer) as (url, _), RpcNode(url, throttle_per_second=10) as node:
        started = time.monotonic()
        for _ in range(10):
            await node.request("eth_blockNumber", [])
        for _ in range(20):
            await node.request("eth_sendRawTransaction", ["0x"])
        assert time.monotonic() - started < 0.9
        await node.request("eth_blockNumber", [])
        assert time.monotonic() - started > 0.9


@asynccontextmanager
async def ws_server(handler: Callable[[Any], Any]) -> AsyncIterator[str]:
    async with websockets.serve(handler, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def test_a_silent_socket_times_out_and_a_polite_close_is_noticed_at_once() -> None:
    async def silent(connection: Any) -> None:
        await connection.wait_closed()

    async with ws_server(silent) as url, RpcNode(url, timeout_s=0.3, attempts=1) as node:
        with pytest.raises(NodeUnreachable, match=r"no answer within 0.3 s"):
            await node.request("eth_blockNumber", [])

    async def closing(connection: Any) -> None:
        await connection.recv()

    async with ws_server(closing) as url, RpcNode(url, timeout_s=20, attempts=1) as node:
        started = time.monotonic()
        with pytest.raises(NodeUnreachable):
            await node.request("eth_blockNumber", [])
        assert time.monotonic() - started < 5


async def test_answers_out_of_order_and_strays_find_their_requests() -> None:
    async def shuffled(connection: Any) -> None:
        first, second = json.loads(await connection.recv()), json.loads(await connection.recv())
        strays = [
            5,
            [],
            {"id": 999, "result": 1},
            {"id": None, "error": {"code": 1}},
            {"method": "eth_subscription"},
            {"method": "eth_subscription", "params": {"subscription": "0x9", "result": 1}},
        ]
        for message in strays:
            await connection.send(json.dumps(message))
        for call in (second, first, first):
            await connection.send(json.dumps({"id": call["id"], "result": call["params"][0]}))
        await connection.wait_closed()

    async with ws_server(shuffled) as url, RpcNode(url, timeout_s=5) as node:
        both = [node.request("eth_getX", [n]) for n in (1, 2)]
        assert await asyncio.gather(*both) == [1, 2]


async def test_a_socket_that_talks_nonsense_is_dropped_and_opened_again() -> None:
    connections = 0

    async def nonsense_once(connection: Any) -> None:
        nonlocal connections
        connections += 1
        async for message in connection:
            call = json.loads(message)
            fine = json.dumps({"id": call["id"], "result": "0x7"})
            await connection.send("{not json" if connections == 1 else fine)

    async with ws_server(nonsense_once) as url, RpcNode(url, timeout_s=5) as node:
        assert await node.request("eth_blockNumber", []) == "0x7"
        assert connections == 2


async def test_a_cancelled_request_leaves_the_connection_usable(local_node: LocalNode) -> None:
    async with connect(local_node.ws) as node:
        for _ in range(20):
            task = asyncio.create_task(node.request("eth_chainId", []))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await node.chain_id() == 31337
    await only_this_task_is_left()
