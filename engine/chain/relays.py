"""Bundle endpoints: what each understands, and a client that speaks to one.

Sources: the `eth_sendBundle`, `eth_callBundle`, `eth_cancelBundle` and `mev_sendBundle` interfaces as their
operators document them; the signature header is EIP-191 over the hexadecimal text of the body's keccak-256.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import aiohttp
import orjson
from asyncio_throttle import Throttler
from coincurve import PrivateKey
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from pydantic import BaseModel, ConfigDict, Field

from engine.chain.signing import keccak256
from engine.domain.errors import ConfigError, NodeError, NodeUnreachable
from engine.domain.execution import Delivery, Dispatch, SignedTransaction

MAX_ANSWER_BYTES = 1 << 20
_HEADER = "X-Flashbots-Signature"
_FAILURES_TO_OPEN = 5
_OPEN_S = 30.0


class RelayDescription(BaseModel):
    """One endpoint. `send`, `cancel` and `call` are its methods ("" for none; cancel "empty" is an empty
    bundle under the same uuid), `uuid` the member that names a bundle, `fields` the optional members it
    heeds, `signed` whether it wants the identity's signature."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    send: str = "eth_sendBundle"
    cancel: str = ""
    call: str = ""
    uuid: str = ""
    fields: tuple[str, ...] = ()
    signed: bool = True
    max_transactions: int = Field(default=100, gt=0)
    max_bytes: int = Field(default=300_000, gt=0)
    requests_per_second: int = Field(default=50, gt=0)
    timeout_s: float = Field(default=1.0, gt=0)


def known_relays() -> dict[str, RelayDescription]:
    """The endpoints described in `engine/chain/builders.toml`, by name."""
    table = tomllib.loads(files("engine.chain").joinpath("builders.toml").read_text())
    return {name: RelayDescription.model_validate(values) for name, values in table.items()}


def signature_header(identity: PrivateKey, body: bytes) -> str:
    """`<address>:<signature>` over exactly these bytes. The identity is a reputation, not a purse: its key is
    never the operator's."""
    text = "0x" + keccak256(body).hex()
    message = f"\x19Ethereum Signed Message:\n{len(text)}{text}".encode()
    signature = bytearray(identity.sign_recoverable(keccak256(message), hasher=None))
    signature[64] += 27
    return f"{identity_address(identity)}:0x{signature.hex()}"


def identity_address(identity: PrivateKey) -> str:
    """The lower-case address of an identity key."""
    return "0x" + keccak256(identity.public_key.format(compressed=False)[1:])[12:].hex()


class RelayChannel:
    """A private channel to one bundle endpoint; implements `engine.domain.ports.Channel`.

    Each transaction is a bundle of its own for exactly one block, named by a uuid made from its hash, so that
    sending it twice is sending it once. An endpoint that keeps failing is left alone for a while.
    """

    is_private = True

    def __init__(
        self,
        name: str,
        description: RelayDescription,
        identity: PrivateKey | None,
        session: aiohttp.ClientSession,
    ):
        """Raises ConfigError for a description without an address, or one that wants a signature when there
        is no identity."""
        if not description.url:
            raise ConfigError(f"relay {name} has no url: set execution.relays.{name}.url")
        if description.signed and identity is None:
            raise ConfigError(f"relay {name} wants signed requests: set keys.identity")
        self.name = name
        self._description = description
        self._identity = identity
        self._session = session
        self._throttle = Throttler(description.requests_per_second)
        self._breakers = AsyncCircuitBreakerFactory(
            default_threshold=_FAILURES_TO_OPEN,
            default_ttl=_OPEN_S,
            # A refusal is an answer: only silence and breakage speak against the endpoint.
            exclude=[(NodeError, lambda error: not isinstance(error, NodeUnreachable))],
        )
        self._id = 0

    async def send(self, transaction: SignedTransaction, target_block: int) -> list[Dispatch]:
        """Offer the transaction for `target_block`. What the endpoint did not clearly refuse may land."""
        started = time.perf_counter()
        delivery, detail = await self._offer([transaction.raw], target_block, transaction.hash)
        return [Dispatch(self.name, delivery, detail, (time.perf_counter() - started) * 1e3)]

    async def cancel(self, transaction_hash: str, target_block: int) -> bool:
        """Ask for a bundle to be dropped; whether the endpoint said it would. None guarantees it."""
        description, uuid = self._description, bundle_uuid(transaction_hash)
        if not description.cancel or not description.uuid:
            return False
        params: dict[str, Any] = {description.uuid: uuid}
        method = description.cancel
        if method == "empty":
            method, params = description.send, {**params, "txs": [], "blockNumber": hex(target_block)}
        try:
            await self.request(method, [params])
        except NodeError:
            return False
        return True

    async def simulate(
        self, raws: Sequence[bytes], target_block: int, state_block: int | str, timestamp: int | None = None
    ) -> Mapping[str, Any]:
        """`eth_callBundle`'s answer. Raises NodeError when the endpoint has no such method or refuses."""
        if not self._description.call:
            raise NodeError(f"relay {self.name} cannot simulate bundles", method="eth_callBundle")
        params: dict[str, Any] = {
            "txs": ["0x" + raw.hex() for raw in raws],
            "blockNumber": hex(target_block),
            "stateBlockNumber": hex(state_block) if isinstance(state_block, int) else state_block,
        }
        if timestamp is not None:
            params["timestamp"] = timestamp
        answer = await self.request(self._description.call, [params])
        if not isinstance(answer, dict):
            raise NodeError(
                f"relay {self.name} answered with a malformed simulation", method="eth_callBundle"
            )
        return answer

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        """One signed JSON-RPC request. Raises NodeUnreachable when there was no answer or the endpoint is
        being left alone, NodeError when it refused."""
        self._id += 1
        body = orjson.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        headers = {"Content-Type": "application/json"}
        if self._identity is not None and self._description.signed:
            headers[_HEADER] = signature_header(self._identity, body)
        try:
            async with await self._breakers.get_breaker(self.name), self._throttle:
                return await self._post(method, body, headers)
        except OpenedState:
            raise NodeUnreachable(
                f"relay {self.name} failed too often and is left alone", method=method
            ) from None

    async def _post(self, method: str, body: bytes, headers: Mapping[str, str]) -> Any:
        timeout = aiohttp.ClientTimeout(total=self._description.timeout_s)
        try:
            async with self._session.post(
                self._description.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                answer = await response.content.read(MAX_ANSWER_BYTES + 1)
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NodeUnreachable(
                f"relay {self.name} did not answer: {type(error).__name__}", method=method
            ) from error
        return self._result(method, status, answer)

    def _result(self, method: str, status: int, answer: bytes) -> Any:
        try:
            if len(answer) > MAX_ANSWER_BYTES:
                raise ValueError
            document = orjson.loads(answer)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not ({"result", "error"} & document.keys()):
            kind = NodeError if 400 <= status < 500 and status not in (408, 429) else NodeUnreachable
            raise kind(
                f"relay {self.name} answered HTTP {status} without JSON-RPC", method=method, code=status
            )
        # Some endpoints answer 200 with an error, some an error status with a JSON-RPC error.
        if document.get("error") is not None:
            error = document["error"]
            message = error.get("message") if isinstance(error, dict) else error
            raise NodeError(f"relay {self.name} refused: {str(message)[:200]!r}", method=method, code=status)
        return document.get("result")

    async def _offer(self, raws: list[bytes], target_block: int, name: str) -> tuple[Delivery, str]:
        description = self._description
        size = sum(len(raw) for raw in raws)
        if len(raws) > description.max_transactions or size > description.max_bytes:
            return Delivery.REFUSED, f"{len(raws)} transactions of {size} bytes are more than it takes"
        try:
            answer = await self.request(description.send, [self._bundle(raws, target_block, name)])
        except NodeUnreachable as error:
            return Delivery.UNKNOWN, str(error)
        except NodeError as error:
            return Delivery.REFUSED, str(error)
        reference = answer.get("bundleHash") if isinstance(answer, dict) else answer
        return Delivery.ACCEPTED, str(reference)[:80]

    def _bundle(self, raws: list[bytes], target_block: int, name: str) -> dict[str, Any]:
        if self._description.send == "mev_sendBundle":
            return {
                "version": "v0.1",
                "inclusion": {"block": hex(target_block), "maxBlock": hex(target_block)},
                "body": [{"tx": "0x" + raw.hex(), "canRevert": False} for raw in raws],
            }
        bundle: dict[str, Any] = {
            "txs": ["0x" + raw.hex() for raw in raws],
            "blockNumber": hex(target_block),
        }
        if self._description.uuid:
            bundle[self._description.uuid] = bundle_uuid(name)
        return bundle


def bundle_uuid(transaction_hash: str) -> str:
    """The uuid under which a transaction's bundle is sent: the first 16 bytes of its hash, as a version 4."""
    digits = bytearray.fromhex(transaction_hash.removeprefix("0x")[:32])
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
