"""Token metadata, read from contracts that may be hostile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eth_abi import decode as abi_decode
from eth_abi.exceptions import DecodingError

from engine.chain.calls import UNTRUSTED_GAS, View, call, chunks, contract_failed
from engine.chain.wire import octets
from engine.domain.errors import NodeError
from engine.domain.market import Token
from engine.domain.ports import Node

MAX_SYMBOL_CHARS = 32
MAX_DECIMALS = 36
_TOKENS_PER_BATCH = 25
_SYMBOL = View.of("symbol()")
_DECIMALS = View.of("decimals()")


async def read_tokens(
    node: Node,
    addresses: Sequence[str],
    block_hash: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Token], dict[str, str]]:
    """Tokens in the given order and, by address, why the others were refused. Raises NodeError."""
    tokens: list[Token] = []
    refused: dict[str, str] = {}
    for part in chunks(len(addresses), _TOKENS_PER_BATCH):
        batch = [addresses[at] for at in part]
        answers = await node.batch(
            [
                call(address, view.data(), block_hash, UNTRUSTED_GAS)
                for address in batch
                for view in (_SYMBOL, _DECIMALS)
            ]
        )
        for at, address in enumerate(batch):
            symbol, decimals = answers[2 * at], answers[2 * at + 1]
            try:
                tokens.append(Token(address, parse_symbol(symbol), parse_decimals(decimals)))
            except _Unfit as error:
                refused[address] = f"token {address}: {error}"
        progress(part.stop, len(addresses))
    return tokens, refused


class _Unfit(Exception):
    """The token cannot be used; says why."""


def parse_symbol(answer: Any) -> str:
    """A symbol returned as `string` or, by some early tokens, as `bytes32`."""
    raw = _raw(answer, "symbol()")
    if len(raw) == 32:
        text = _utf8(raw.rstrip(b"\0"))
    else:
        try:
            (inner,) = abi_decode(["bytes"], raw)
        except (DecodingError, OverflowError):
            raise _Unfit("symbol() returns neither string nor bytes32") from None
        text = _utf8(inner)
    if not text or len(text) > MAX_SYMBOL_CHARS or not text.isprintable():
        raise _Unfit(f"its symbol is empty, longer than {MAX_SYMBOL_CHARS} characters or not printable")
    return text


def parse_decimals(answer: Any) -> int:
    """`decimals()`, in [0, 36]."""
    raw = _raw(answer, "decimals()")
    if len(raw) != 32:
        raise _Unfit(f"decimals() returns {len(raw)} bytes")
    value = int.from_bytes(raw, "big")
    if value > MAX_DECIMALS:
        shown = str(value) if value < 1000 else "a huge number"
        raise _Unfit(f"decimals() returns {shown}, more than {MAX_DECIMALS}")
    return value


def _utf8(raw: bytes) -> str:
    if len(raw) > 4 * MAX_SYMBOL_CHARS:
        raise _Unfit(f"its symbol has {len(raw)} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _Unfit("its symbol is not UTF-8") from None


def _raw(answer: Any, what: str) -> bytes:
    if isinstance(answer, NodeError):
        if not contract_failed(answer):
            raise answer
        raise _Unfit(f"{what} fails")
    try:
        raw = octets(answer)
    except NodeError:
        raw = b""
    if not raw:
        raise _Unfit(f"{what} returns nothing")
    return raw
