"""A bundle relay and builder over a local node: a real HTTP server with the published bundle semantics.

No relay that builders run can be started here, so this one stands at that boundary. It checks the signature
header, keeps bundles by block and uuid, tries each on a snapshot, packs the best paying ones that still work
together, and mines them. `mode` makes it misbehave in the ways relays have.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils import keccak

from engine.chain.rpc import RpcNode
from engine.domain.errors import NodeError

MAX_TRANSACTIONS = 100
MAX_BYTES = 300_000
MODES = (
    "honest",
    "drop",  # says yes and forgets
    "delay",  # offers the bundle to the block after the one asked for
    "leak",  # shows the transaction to the public pool as well
    "unbundle",  # gives its transactions to the public pool one by one, tried or not
    "equivocate",  # includes it, and then has another block win that does not
    "duplicate",  # takes the same bundle as often as it likes, for several blocks
    "refuse",  # JSON-RPC error with HTTP 200
    "busy",  # HTTP 429
    "broken",  # HTTP 500 with a page
    "wrong_hash",  # accepts, and names a bundle that is not ours
    "silent",  # never answers
    "cut",  # closes the connection in the middle of the answer
    "flood",  # answers with more than anybody should read
)


@dataclass(slots=True)
class Bundle:
    """What a searcher asked for."""

    sender: str
    raws: list[str]
    block: int
    uuid: str | None
    may_revert: set[str] = field(default_factory=set)

    @property
    def hash(self) -> str:
        return "0x" + keccak(b"".join(keccak(hexstr=raw) for raw in self.raws)).hex()


class BundleRelay:
    """Serves `url`; `build` makes the next block. `received` are all requests, `rejected` why some failed."""

    def __init__(self, node: RpcNode, *, signed: bool = True):
        self._node = node
        self._signed = signed
        self.mode = "honest"
        self.url = ""
        self.bundles: list[Bundle] = []
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.rejected: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One JSON-RPC request."""
        body = await request.read()
        if self.mode == "silent":
            await asyncio.sleep(30)
        if self.mode == "busy":
            return web.Response(status=429, text="slow down")
        if self.mode == "broken":
            return web.Response(status=500, text="<html>internal error</html>", content_type="text/html")
        if self.mode == "flood":
            return web.Response(body=b'{"result":"' + b"x" * (4 << 20) + b'"}')
        if self.mode == "cut":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b'{"jsonrpc":')
            assert request.transport is not None
            request.transport.abort()
            return response
        document = json.loads(body)
        sender = self._sender(request.headers.get("X-Flashbots-Signature", ""), body)
        if sender is None:
            return _failure(document, "error in signature header", 403)
        if self.mode == "refuse":
            return _failure(document, "bundle rejected")
        method, params = document["method"], document["params"][0]
        self.received.append((method, params))
        answer = await getattr(self, "_" + method, self._unknown)(sender, params)
        if isinstance(answer, str):
            self.rejected.append(answer)
            return _failure(document, answer)
        return web.json_response({"jsonrpc": "2.0", "id": document["id"], "result": answer})

    def _sender(self, header: str, body: bytes) -> str | None:
        if not self._signed:
            return ""
        address, _, signature = header.partition(":")
        message = encode_defunct(text="0x" + keccak(body).hex())
        try:
            recovered = Account.recover_message(message, signature=signature)
        except Exception:
            return None
        return recovered.lower() if recovered.lower() == address.lower() else None

    async def _unknown(self, sender: str, params: dict[str, Any]) -> str:
        return "the method does not exist"

    async def _eth_sendBundle(self, sender: str, params: dict[str, Any]) -> dict[str, str] | str:
        raws, block = params.get("txs"), params.get("blockNumber")
        if not isinstance(raws, list) or not isinstance(block, str) or not block.startswith("0x"):
            return "malformed bundle"
        if len(raws) > MAX_TRANSACTIONS or sum(len(raw) // 2 for raw in raws) > MAX_BYTES:
            return "bundle too large"
        uuid = params.get("replacementUuid") or params.get("uuid")
        number = int(block, 16)
        if number <= int(await self._node.request("eth_blockNumber", []), 16):
            return "block number already passed"
        bundle = Bundle(sender, raws, number, uuid, set(params.get("revertingTxHashes") or ()))
        if uuid is not None:
            self._forget(sender, uuid)
        if raws and self.mode != "drop":
            bundle.block += self.mode == "delay"
            self.bundles.append(bundle)
            if self.mode == "duplicate":
                again = [replace(bundle, block=bundle.block + later) for later in (0, 1, 2)]
                self.bundles += again
        if self.mode == "leak":
            for raw in raws:
                await self._node.request("eth_sendRawTransaction", [raw])
        return {"bundleHash": "0x" + "ab" * 32 if self.mode == "wrong_hash" else bundle.hash}

    async def _mev_sendBundle(self, sender: str, params: dict[str, Any]) -> dict[str, str] | str:
        body = params.get("body", [])
        if params.get("version") != "v0.1" or len(body) != 1 or "tx" not in body[0]:
            return "malformed bundle"
        return await self._eth_sendBundle(
            sender, {"txs": [body[0]["tx"]], "blockNumber": params["inclusion"]["block"]}
        )

    async def _eth_cancelBundle(self, sender: str, params: dict[str, Any]) -> int | str:
        return 200 if self._forget(sender, params.get("replacementUuid")) else "no such bundle"

    async def _eth_callBundle(self, sender: str, params: dict[str, Any]) -> dict[str, Any]:
        outcome = await self._try([Bundle(sender, params["txs"], 0, None)])
        results = [{"txHash": hash_, "gasUsed": gas, **failed} for hash_, gas, failed in outcome.results]
        return {
            "results": results,
            "coinbaseDiff": str(outcome.paid_wei),
            "totalGasUsed": sum(result["gasUsed"] for result in results),
        }

    def _forget(self, sender: str, uuid: str | None) -> bool:
        kept = [bundle for bundle in self.bundles if (bundle.sender, bundle.uuid) != (sender, uuid)]
        found, self.bundles = len(kept) < len(self.bundles), kept
        return found

    async def build(self) -> list[Bundle]:
        """Mine the next block with the best paying bundles that work together, and return those."""
        number = int(await self._node.request("eth_blockNumber", []), 16) + 1
        waiting = [bundle for bundle in self.bundles if bundle.block == number]
        self.bundles = [bundle for bundle in self.bundles if bundle.block > number]
        paid = {id(bundle): (await self._try([bundle])).paid_wei for bundle in waiting}
        chosen: list[Bundle] = []
        for bundle in sorted(waiting, key=lambda bundle: -paid[id(bundle)]):
            if (await self._try([*chosen, bundle])).works:
                chosen.append(bundle)
        if self.mode == "unbundle":
            chosen = waiting[::-1]
        await self._mine(chosen)
        if self.mode == "equivocate" and chosen:
            await self._node.request("anvil_reorg", [1, []])
            await self._node.request("anvil_dropAllTransactions", [])
        return chosen

    async def _mine(self, bundles: list[Bundle]) -> None:
        for bundle in bundles:
            for raw in bundle.raws:
                try:
                    await self._node.request("eth_sendRawTransaction", [raw])
                except NodeError as error:
                    # A copy that is in the pool already is mined as well.
                    if "already" not in str(error) and self.mode != "unbundle":
                        raise
        await self._node.request("evm_mine", [])

    async def _try(self, bundles: list[Bundle]) -> _Trial:
        snapshot = await self._node.request("evm_snapshot", [])
        try:
            return await self._outcome(bundles)
        except NodeError:
            return _Trial(False, 0, [])
        finally:
            await self._node.request("evm_revert", [snapshot])

    async def _outcome(self, bundles: list[Bundle]) -> _Trial:
        coinbase = (await self._node.request("eth_getBlockByNumber", ["latest", False]))["miner"]
        before = int(await self._node.request("eth_getBalance", [coinbase, "latest"]), 16)
        await self._mine(bundles)
        after = int(await self._node.request("eth_getBalance", [coinbase, "latest"]), 16)
        results, works = [], True
        for bundle in bundles:
            for raw in bundle.raws:
                hash_ = "0x" + keccak(hexstr=raw).hex()
                receipt = await self._node.request("eth_getTransactionReceipt", [hash_])
                landed = receipt is not None and receipt["status"] == "0x1"
                works = works and (landed or (receipt is not None and hash_ in bundle.may_revert))
                failed = {} if landed else {"error": "execution reverted"}
                results.append((hash_, int(receipt["gasUsed"], 16) if receipt else 0, failed))
        return _Trial(works, after - before, results)


@dataclass(frozen=True, slots=True)
class _Trial:
    works: bool
    paid_wei: int
    results: list[tuple[str, int, dict[str, str]]]


def _failure(document: dict[str, Any], message: str, status: int = 200) -> web.Response:
    error = {"code": -32000, "message": message}
    return web.json_response({"jsonrpc": "2.0", "id": document.get("id"), "error": error}, status=status)


@asynccontextmanager
async def serve_relay(node: RpcNode, *, signed: bool = True) -> AsyncIterator[BundleRelay]:
    """A relay on a free port of the loopback interface."""
    relay = BundleRelay(node, signed=signed)
    application = web.Application(client_max_size=8 << 20)
    application.router.add_post("/", relay.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    relay.url = f"http://{host}:{port}/"
    try:
        yield relay
    finally:
        await runner.cleanup()


async def main(node_url: str) -> None:
    """Serve until standard input ends; the first line printed is the address."""
    async with RpcNode(node_url) as node, serve_relay(node) as relay:
        print(relay.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
