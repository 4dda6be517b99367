"""Sends many transactions of the world's inhabitants at once, with nonces counted here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from eth_abi.abi import encode
from eth_utils import keccak

from engine.chain.rpc import RpcNode
from engine.domain.errors import NodeError

DEPLOY_GAS = 12_000_000
CALL_GAS = 1_500_000

_SPREAD_WEI = 1_000


@dataclass(frozen=True, slots=True)
class Sending:
    """One transaction to make. `to` is None for a deployment; `value` in wei; `what` names it in errors."""

    what: str
    sender: str
    to: str | None
    data: bytes
    value: int = 0
    gas: int = CALL_GAS


@lru_cache(maxsize=256)
def _signature(signature: str) -> tuple[bytes, tuple[str, ...]]:
    inside = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4], tuple(inside.split(",")) if inside else ()


def calldata(signature: str, *arguments: Any) -> bytes:
    """Selector and ABI-encoded arguments of a function whose parameters are not tuples."""
    selector, types = _signature(signature)
    return selector + encode(types, arguments)


class Outbox:
    """Sends from unlocked accounts of one node. Only it may send for them: it counts their nonces."""

    def __init__(self, node: RpcNode):
        self._node = node
        self._nonces: dict[str, int] = {}

    async def open(self, account: str, balance_wei: int) -> None:
        """Unlock an account and give it ether."""
        await self._node.request("anvil_impersonateAccount", [account])
        await self._node.request("anvil_setBalance", [account, hex(balance_wei)])
        self._nonces[account] = int(
            await self._node.request("eth_getTransactionCount", [account, "latest"]), 16
        )

    async def recount(self) -> None:
        """Forget what the node dropped: whoever's transactions are not all in the chain or about to be begins
        anew with the chain's nonce, as those after a gap would wait for ever. Raises NodeError."""
        accounts = list(self._nonces)
        counts = await self._node.batch(
            [("eth_getTransactionCount", [account, "pending"]) for account in accounts]
        )
        for account, count in zip(accounts, counts, strict=True):
            if isinstance(count, NodeError):
                raise count
            if int(count, 16) < self._nonces[account]:
                await self._node.request("anvil_removePoolTransactions", [account])
                mined = await self._node.request("eth_getTransactionCount", [account, "latest"])
                self._nonces[account] = int(mined, 16)

    async def call(self, to: str, data: bytes) -> bytes:
        """What a view function returns at the latest block. Raises NodeError."""
        result = await self._node.request("eth_call", [{"to": to, "data": "0x" + data.hex()}, "latest"])
        return bytes.fromhex(result[2:])

    async def send(self, sendings: list[Sending], base_fee_wei: int, *, floor_wei: int = 0) -> list[str]:
        """Submit in order; the hashes. Each bids a little less than the one before it and the last one
        `floor_wei` over the base fee, so that a node ordering by max fee per gas keeps the order.

        Raises NodeError.
        """
        if not sendings:
            return []
        calls = []
        for index, sending in enumerate(sendings):
            margin = floor_wei + (len(sendings) - 1 - index) * _SPREAD_WEI
            calls.append(("eth_sendTransaction", [self._transaction(sending, base_fee_wei + margin, margin)]))
        hashes = await self._node.batch(calls)
        for sending, answer in zip(sendings, hashes, strict=True):
            if isinstance(answer, NodeError):
                raise NodeError(f"{sending.what}: {answer}", method="eth_sendTransaction", data=answer.data)
        return hashes

    async def settle(self, sendings: list[Sending], base_fee_wei: int) -> list[dict[str, Any]]:
        """Send, mine one block and return the receipts in order. Raises NodeError naming what reverted."""
        hashes = await self.send(sendings, base_fee_wei)
        await self._node.request("evm_mine", [])
        receipts = await self._node.batch([("eth_getTransactionReceipt", [tx]) for tx in hashes])
        for sending, receipt in zip(sendings, receipts, strict=True):
            if isinstance(receipt, NodeError):
                raise receipt
            if receipt is None:
                raise NodeError(f"{sending.what}: the transaction was not mined")
            if receipt["status"] != "0x1":
                raise NodeError(f"{sending.what}: the transaction reverted")
        return receipts

    def _transaction(self, sending: Sending, max_fee_wei: int, priority_fee_wei: int) -> dict[str, str]:
        nonce = self._nonces[sending.sender]
        self._nonces[sending.sender] = nonce + 1
        transaction = {
            "from": sending.sender,
            "nonce": hex(nonce),
            "data": "0x" + sending.data.hex(),
            "value": hex(sending.value),
            "gas": hex(sending.gas),
            "maxFeePerGas": hex(max_fee_wei),
            "maxPriorityFeePerGas": hex(priority_fee_wei),
        }
        if sending.to is not None:
            transaction["to"] = sending.to
        return transaction
