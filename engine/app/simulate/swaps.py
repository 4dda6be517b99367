"""Swaps of one transaction, read from its logs.

Pools' events name amounts, seldom tokens. Tokens come from what the caller read from the pools, else from
the transaction's ERC-20 transfers into and out of the pool. Families the router cannot trade are read too,
so that a cycle through one of them is seen for what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.chain.events import PANCAKE_V3_SWAP, TRANSFER, V3_SWAP
from engine.chain.wire import topic
from engine.domain.market import Protocol

V2_SWAP = topic("Swap(address,uint256,uint256,uint256,uint256,address)")
V4_SWAP = topic("Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)")
BALANCER_V2_SWAP = topic("Swap(bytes32,address,address,uint256,uint256)")
CURVE_EXCHANGE = topic("TokenExchange(address,int128,uint256,int128,uint256)")
CURVE_EXCHANGE_UNDERLYING = topic("TokenExchangeUnderlying(address,int128,uint256,int128,uint256)")
CURVE_CRYPTO_EXCHANGE = topic("TokenExchange(address,uint256,uint256,uint256,uint256)")
CURVE_NG_CRYPTO_EXCHANGE = topic("TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)")

UNISWAP_V4 = "uniswap-v4"
BALANCER_V2 = "balancer-v2"
CURVE = "curve"
SUPPORTED = frozenset({Protocol.UNISWAP_V2.value, Protocol.UNISWAP_V3.value})

Log = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap that happened. `pool` is an address, or for Balancer V2 and Uniswap V4 the 32-byte pool id.

    Amounts in base units, as the pool counted them; `log_index` is the log's place in the transaction.
    """

    pool: str
    protocol: str
    token_in: str
    token_out: str
    amount_in: int
    amount_out: int
    log_index: int


@dataclass(frozen=True, slots=True)
class _Flow:
    """Amounts of a two-token pool: what it received less what it paid, per token."""

    pool: str
    holder: str
    protocol: str
    received: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Transfer:
    token: str
    sender: str
    receiver: str
    amount: int


def swaps_of(
    logs: Sequence[Log], pool_tokens: Mapping[str, tuple[str, str]] | None = None, native: str = ""
) -> list[Swap]:
    """The swaps in one transaction's logs, in log order.

    `pool_tokens`: (token0, token1) of pools already known. `native` is the wrapped native token, which stands
    in for the coin that moves without a Transfer log. Logs that cannot be what they claim are passed over.
    """
    transfers = [found for log in logs if (found := _transfer(log)) is not None]
    swaps = []
    for at, log in enumerate(logs):
        topics = log.get("topics") or []
        reader = _READERS.get(topics[0]) if topics else None
        if reader is None:
            continue
        try:
            swap = reader(at, log, _words(log), transfers, pool_tokens or {}, native)
        except (ValueError, IndexError):
            continue
        if swap is not None and swap.token_in != swap.token_out and min(swap.amount_in, swap.amount_out) > 0:
            swaps.append(swap)
    return swaps


def swapping_pools(logs: Sequence[Log]) -> set[str]:
    """Addresses of the V2- and V3-type pools that logged a swap."""
    known = (V2_SWAP, V3_SWAP, PANCAKE_V3_SWAP)
    return {log["address"].lower() for log in logs if log.get("topics") and log["topics"][0] in known}


def _v2(at: int, log: Log, words: list[int], transfers: list[_Transfer], known: Any, _: str) -> Swap | None:
    if len(words) != 4:
        return None
    in0, in1, out0, out1 = words
    pool = log["address"].lower()
    flow = _Flow(pool, pool, Protocol.UNISWAP_V2.value, (in0 - out0, in1 - out1))
    return _two_token_swap(at, flow, transfers, known.get(pool))


def _v3(at: int, log: Log, words: list[int], transfers: list[_Transfer], known: Any, _: str) -> Swap | None:
    if len(words) not in (5, 7):
        return None
    pool = log["address"].lower()
    flow = _Flow(pool, pool, Protocol.UNISWAP_V3.value, (_signed(words[0]), _signed(words[1])))
    return _two_token_swap(at, flow, transfers, known.get(pool))


def _v4(at: int, log: Log, words: list[int], transfers: list[_Transfer], _: Any, native: str) -> Swap | None:
    # The event counts from the swapper's side: what the pool received is negative.
    received = (-_signed(words[0]), -_signed(words[1]))
    flow = _Flow(log["topics"][1].lower(), log["address"].lower(), UNISWAP_V4, received)
    return _two_token_swap(at, flow, transfers, None) or _with_native(at, flow, transfers, native)


def _balancer_v2(at: int, log: Log, words: list[int], *_: Any) -> Swap:
    pool_id, token_in, token_out = log["topics"][1:4]
    return Swap(
        pool_id.lower(),
        BALANCER_V2,
        _topic_address(token_in),
        _topic_address(token_out),
        words[0],
        words[1],
        at,
    )


def _curve(
    at: int, log: Log, words: list[int], transfers: list[_Transfer], _: Any, native: str
) -> Swap | None:
    pool = log["address"].lower()
    sold, bought = words[1], words[3]
    token_in = _token_moved(transfers, None, pool, sold)
    token_out = _token_moved(transfers, pool, None, bought)
    if token_in is None and token_out is None:
        return None
    return Swap(pool, CURVE, token_in or native, token_out or native, sold, bought, at)


_READERS: dict[str, Callable[..., Swap | None]] = {
    V2_SWAP: _v2,
    V3_SWAP: _v3,
    PANCAKE_V3_SWAP: _v3,
    V4_SWAP: _v4,
    BALANCER_V2_SWAP: _balancer_v2,
    CURVE_EXCHANGE: _curve,
    CURVE_EXCHANGE_UNDERLYING: _curve,
    CURVE_CRYPTO_EXCHANGE: _curve,
    CURVE_NG_CRYPTO_EXCHANGE: _curve,
}


def _two_token_swap(
    at: int, flow: _Flow, transfers: list[_Transfer], tokens: tuple[str, str] | None
) -> Swap | None:
    received0, received1 = flow.received
    if received0 > 0 > received1:
        amount_in, amount_out, zero_for_one = received0, -received1, True
    elif received1 > 0 > received0:
        amount_in, amount_out, zero_for_one = received1, -received0, False
    else:
        return None
    if tokens is None:
        token_in = _token_moved(transfers, None, flow.holder, amount_in)
        token_out = _token_moved(transfers, flow.holder, None, amount_out)
        if token_in is None or token_out is None or (int(token_in, 16) < int(token_out, 16)) != zero_for_one:
            return None
    else:
        token_in, token_out = tokens if zero_for_one else (tokens[1], tokens[0])
    return Swap(flow.pool, flow.protocol, token_in, token_out, amount_in, amount_out, at)


def _with_native(at: int, flow: _Flow, transfers: list[_Transfer], native: str) -> Swap | None:
    """A swap against the native coin, which V4 sorts below every token and which leaves no Transfer."""
    received0, received1 = flow.received
    if received0 > 0 > received1:
        token = _token_moved(transfers, flow.holder, None, -received1)
        return Swap(flow.pool, flow.protocol, native, token, received0, -received1, at) if token else None
    if received1 > 0 > received0:
        token = _token_moved(transfers, None, flow.holder, received1)
        return Swap(flow.pool, flow.protocol, token, native, received1, -received0, at) if token else None
    return None


def _token_moved(
    transfers: list[_Transfer], sender: str | None, receiver: str | None, amount: int
) -> str | None:
    """The one token of which exactly `amount` moved so; None when there is none, or more than one."""
    tokens = {
        move.token
        for move in transfers
        if move.amount == amount and sender in (None, move.sender) and receiver in (None, move.receiver)
    }
    return tokens.pop() if len(tokens) == 1 else None


def _transfer(log: Log) -> _Transfer | None:
    topics = log.get("topics") or []
    if len(topics) != 3 or topics[0] != TRANSFER:
        return None
    try:
        (amount,) = _words(log)
        return _Transfer(log["address"].lower(), _topic_address(topics[1]), _topic_address(topics[2]), amount)
    except ValueError:
        return None


def _words(log: Log) -> list[int]:
    """ABI words of a log's data. Raises ValueError when it is not whole words of hex."""
    raw = bytes.fromhex(log["data"].removeprefix("0x"))
    if len(raw) % 32:
        raise ValueError("not whole words")
    return [int.from_bytes(raw[start : start + 32], "big") for start in range(0, len(raw), 32)]


def _signed(word: int) -> int:
    return word - (1 << 256) if word >> 255 else word


def _topic_address(topic_word: str) -> str:
    if len(topic_word) != 66:
        raise ValueError("not a 32-byte topic")
    return "0x" + topic_word[26:].lower()
