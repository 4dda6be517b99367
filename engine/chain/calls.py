"""Read-only contract calls, pinned to one block hash and sent in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi import decode as abi_decode
from eth_abi import encode as abi_encode
from eth_abi.exceptions import DecodingError

from engine.chain.wire import octets, selector
from engine.domain.errors import NodeError
from engine.domain.market import BlockRef
from engine.domain.ports import Node

# The answer of a call is bounded by the gas it may burn on memory: 300,000 gas make at most ~370 kB.
UNTRUSTED_GAS = 300_000


@dataclass(frozen=True, slots=True)
class View:
    """A view function: its name, four-byte selector, and the ABI types of what it takes and returns."""

    name: str
    selector: bytes
    takes: tuple[str, ...]
    gives: tuple[str, ...]

    @classmethod
    def of(cls, signature: str, *gives: str) -> View:
        """From a signature such as "balanceOf(address)" and the returned types."""
        inner = signature[signature.index("(") + 1 : -1]
        name = signature[: signature.index("(")]
        return cls(name, selector(signature), tuple(inner.split(",")) if inner else (), gives)

    def data(self, *arguments: Any) -> str:
        return "0x" + (self.selector + abi_encode(self.takes, arguments)).hex()

    def decode(self, answer: Any) -> tuple[Any, ...]:
        """The returned values. Raises NodeError when the answer is not of the declared types."""
        raw = octets(answer, "call result")
        try:
            return abi_decode(self.gives, raw)
        except (DecodingError, OverflowError, UnicodeDecodeError) as error:
            raise NodeError(f"a contract answered {len(raw)} bytes that are not {self.gives}") from error


def at_block(block_hash: str) -> dict[str, Any]:
    """The EIP-1898 block parameter: exactly this block, and only while it is canonical."""
    return {"blockHash": block_hash, "requireCanonical": True}


def call(
    to: str, data: str, block_hash: str, gas: int | None = None, sender: str | None = None
) -> tuple[str, list[Any]]:
    """An `eth_call` entry for `Node.batch`; `sender` is who asks, where the contract answers only some."""
    transaction = {"to": to, "data": data} | ({"gas": hex(gas)} if gas else {})
    transaction |= {"from": sender} if sender else {}
    return "eth_call", [transaction, at_block(block_hash)]


async def read_view(node: Node, to: str, view: View, arguments: Sequence[Any], block: Any) -> tuple[Any, ...]:
    """One call at `block` (any JSON-RPC block parameter). Raises NodeError."""
    return view.decode(await node.request("eth_call", [{"to": to, "data": view.data(*arguments)}, block]))


# What nodes say when it was the contract that failed; anything else (rate limits, missing state) is the node.
_CONTRACT_FAILED = (
    "revert",
    "out of gas",
    "outofgas",
    "opcode",
    "stack",
    "invalid jump",
    "invalidjump",
    "evm",
)


def contract_failed(error: NodeError) -> bool:
    """Whether a call's error is the contract's doing rather than the node's."""
    text = str(error).lower()
    return error.code == 3 or error.data is not None or any(word in text for word in _CONTRACT_FAILED)


def answered(answer: Any) -> Any:
    """A batch entry's result. Raises its NodeError."""
    if isinstance(answer, NodeError):
        raise answer
    return answer


async def require_canonical(node: Node, block: BlockRef) -> None:
    """Raises NodeError when `block` is not part of the node's chain."""
    raw = await node.request("eth_getBlockByNumber", [hex(block.number), False])
    if not isinstance(raw, dict) or raw.get("hash") != block.hash:
        raise NodeError(f"block {block.number} left the chain while it was being read: start again")


def chunks(total: int, size: int) -> Iterator[range]:
    """Consecutive index ranges of at most `size`."""
    for start in range(0, total, size):
        yield range(start, min(start + size, total))
