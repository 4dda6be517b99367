"""State events of pools, log by log: topics and data words to the fields of the layout's `StateEvents`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.amm.layout import (
    EVENT_FEES,
    EVENT_PROTOCOL_FEE,
    EVENT_SOLIDLY_SYNC,
    EVENT_SWAP_FEE,
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
)
from engine.chain.wire import topic

SYNC = topic("Sync(uint112,uint112)")
V3_SWAP = topic("Swap(address,address,int256,int256,uint160,uint128,int24)")
PANCAKE_V3_SWAP = topic("Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)")
V3_MINT = topic("Mint(address,address,int24,int24,uint128,uint256,uint256)")
V3_BURN = topic("Burn(address,int24,int24,uint128,uint256,uint256)")
V3_INITIALIZE = topic("Initialize(uint160,int24)")
INTEGRAL_SWAP = topic("Swap(address,address,int256,int256,uint160,uint128,int24,uint24,uint24)")
INTEGRAL_BURN = topic("Burn(address,int24,int24,uint128,uint256,uint256,uint24)")
ALGEBRA_FEE = topic("Fee(uint16)")
ALGEBRA_FEES = topic("Fee(uint16,uint16)")
SOLIDLY_SYNC = topic("Sync(uint256,uint256)")
CAMELOT_FEES = topic("FeePercentUpdated(uint16,uint16)")
V4_INITIALIZE = topic("Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)")
V4_MODIFY_LIQUIDITY = topic("ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)")
V4_SWAP = topic("Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)")
V4_PROTOCOL_FEE = topic("ProtocolFeeUpdated(bytes32,uint24)")
TRANSFER = topic("Transfer(address,address,uint256)")
DEPOSIT = topic("Deposit(address,uint256)")
WITHDRAWAL = topic("Withdrawal(address,uint256)")
APPROVAL = topic("Approval(address,address,uint256)")
TRANSFER_SHARES = topic("TransferShares(address,address,uint256)")

_PIPS = 1_000_000
_PIPS_PER_CAMELOT_UNIT = 10

# Fields of one event: kind, a, b, tick_lower, tick_upper.
Fields = tuple[int, int, int, int, int]


class Malformed(Exception):
    """The log cannot be what its first topic says."""


def _sync(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 1)
    reserve0, reserve1 = exactly(words, 2)
    return [(EVENT_V2_SYNC, unsigned(reserve0, 112), unsigned(reserve1, 112), 0, 0)]


def _v3_swap(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 3)
    _, _, price, liquidity, tick = exactly(words, 5)
    return [(EVENT_V3_SWAP, _price(price), unsigned(liquidity, 128), _tick(tick), 0)]


def _pancake_v3_swap(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 3)
    _, _, price, liquidity, tick, _, _ = exactly(words, 7)
    return [(EVENT_V3_SWAP, _price(price), unsigned(liquidity, 128), _tick(tick), 0)]


def _v3_mint(topics: list[Any], words: list[bytes]) -> list[Fields]:
    _, amount, _, _ = exactly(words, 4)
    return [(EVENT_V3_MINT, unsigned(amount, 128), 0, *_range(topics))]


def _v3_burn(topics: list[Any], words: list[bytes]) -> list[Fields]:
    amount, _, _ = exactly(words, 3)
    return [(EVENT_V3_BURN, unsigned(amount, 128), 0, *_range(topics))]


def _v3_initialize(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 1)
    price, tick = exactly(words, 2)
    return [(EVENT_V3_INITIALIZE, _price(price), 0, _tick(tick), 0)]


def _integral_swap(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 3)
    _, _, price, liquidity, tick, _, _ = exactly(words, 7)
    return [(EVENT_V3_SWAP, _price(price), unsigned(liquidity, 128), _tick(tick), 0)]


def _integral_burn(topics: list[Any], words: list[bytes]) -> list[Fields]:
    amount, _, _, _ = exactly(words, 4)
    return [(EVENT_V3_BURN, unsigned(amount, 128), 0, *_range(topics))]


def _algebra_fee(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 1)
    fee = unsigned(exactly(words, 1)[0], 16)
    return [(EVENT_FEES, fee, fee, 0, 0)]


def _algebra_fees(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 1)
    fee0, fee1 = exactly(words, 2)
    return [(EVENT_FEES, unsigned(fee0, 16), unsigned(fee1, 16), 0, 0)]


def _solidly_sync(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 1)
    reserve0, reserve1 = exactly(words, 2)
    return [(EVENT_SOLIDLY_SYNC, unsigned(reserve0, 256), unsigned(reserve1, 256), 0, 0)]


def _camelot_fees(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 1)
    fees = [unsigned(word, 16) * _PIPS_PER_CAMELOT_UNIT for word in exactly(words, 2)]
    return [(EVENT_FEES, fees[0], fees[1], 0, 0)]


def _v4_initialize(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 4)
    _, _, _, price, tick = exactly(words, 5)
    return [(EVENT_V3_INITIALIZE, _price(price), 0, _tick(tick), 0)]


def _v4_modify_liquidity(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 3)
    lower_word, upper_word, delta_word, _ = exactly(words, 4)
    lower, upper = _tick(lower_word), _tick(upper_word)
    if lower >= upper:
        raise Malformed(f"empty tick range {lower}..{upper}")
    delta = int.from_bytes(delta_word, "big", signed=True)
    if not -(1 << 127) <= delta < 1 << 127:
        raise Malformed("a value exceeds int128")
    return [(EVENT_V3_MINT if delta >= 0 else EVENT_V3_BURN, abs(delta), 0, lower, upper)]


def _v4_swap(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 3)
    amount0, amount1, price, liquidity, tick, fee_word = exactly(words, 6)
    swap = (EVENT_V3_SWAP, _price(price), unsigned(liquidity, 128), _tick(tick), 0)
    fee = unsigned(fee_word, 24)
    if fee > _PIPS:
        raise Malformed(f"a fee of {fee} pips")
    # What the swapper pays is negative; a swap that moved nothing does not say which way it went.
    paid0, paid1 = (int.from_bytes(word, "big", signed=True) < 0 for word in (amount0, amount1))
    return [swap] if paid0 == paid1 else [swap, (EVENT_SWAP_FEE, fee, 0, int(paid0), 0)]


def _v4_protocol_fee(topics: list[Any], words: list[bytes]) -> list[Fields]:
    topic_count(topics, 2)
    return [(EVENT_PROTOCOL_FEE, unsigned(exactly(words, 1)[0], 24), 0, 0, 0)]


Decoder = Callable[[list[Any], list[bytes]], list[Fields]]

# By first topic: events a pool logs of itself, and those that V4's manager logs of its pools.
OWN_EVENTS: dict[str, Decoder] = {
    SYNC: _sync,
    V3_SWAP: _v3_swap,
    PANCAKE_V3_SWAP: _pancake_v3_swap,
    V3_MINT: _v3_mint,
    V3_BURN: _v3_burn,
    V3_INITIALIZE: _v3_initialize,
    INTEGRAL_SWAP: _integral_swap,
    INTEGRAL_BURN: _integral_burn,
    ALGEBRA_FEE: _algebra_fee,
    ALGEBRA_FEES: _algebra_fees,
    SOLIDLY_SYNC: _solidly_sync,
    CAMELOT_FEES: _camelot_fees,
}
MANAGER_EVENTS: dict[str, Decoder] = {
    V4_INITIALIZE: _v4_initialize,
    V4_MODIFY_LIQUIDITY: _v4_modify_liquidity,
    V4_SWAP: _v4_swap,
    V4_PROTOCOL_FEE: _v4_protocol_fee,
}
EVENTS: dict[str, Decoder] = OWN_EVENTS | MANAGER_EVENTS


def words_of(data: Any) -> list[bytes]:
    """ABI words of log data. More than eight never belong to an event decoded here."""
    if not isinstance(data, str) or not data.startswith("0x"):
        raise Malformed("no data")
    if (len(data) - 2) % 64 or len(data) > 2 + 8 * 64:
        raise Malformed(f"data of {(len(data) - 2) / 2:g} bytes")
    try:
        raw = bytes.fromhex(data[2:])
    except ValueError:
        raise Malformed("data is not hexadecimal") from None
    if 2 * len(raw) != len(data) - 2:
        raise Malformed("data is not hexadecimal")
    return [raw[at : at + 32] for at in range(0, len(raw), 32)]


def word_of(value: Any) -> bytes:
    if not isinstance(value, str) or len(value) != 66:
        raise Malformed("a topic is not 32 bytes")
    (word,) = exactly(words_of(value), 1)
    return word


def exactly(words: list[bytes], count: int) -> list[bytes]:
    if len(words) != count:
        raise Malformed(f"{32 * len(words)} bytes of data, {32 * count} expected")
    return words


def topic_count(topics: list[Any], count: int) -> None:
    if len(topics) != count:
        raise Malformed(f"{len(topics)} topics, {count} expected")


def unsigned(word: bytes, bits: int) -> int:
    value = int.from_bytes(word, "big")
    if value >> bits:
        raise Malformed(f"a value exceeds uint{bits}")
    return value


def signed24(word: bytes) -> int:
    value = int.from_bytes(word, "big", signed=True)
    if not -(1 << 23) <= value < 1 << 23:
        raise Malformed("a value exceeds int24")
    return value


def _tick(word: bytes) -> int:
    value = signed24(word)
    if not MIN_TICK <= value <= MAX_TICK:
        raise Malformed(f"tick {value} is out of range")
    return value


def _price(word: bytes) -> int:
    value = int.from_bytes(word, "big")
    if not MIN_SQRT_RATIO <= value < MAX_SQRT_RATIO:
        raise Malformed("the price is out of range")
    return value


def _range(topics: list[Any]) -> tuple[int, int]:
    topic_count(topics, 4)
    lower, upper = _tick(word_of(topics[2])), _tick(word_of(topics[3]))
    if lower >= upper:
        raise Malformed(f"empty tick range {lower}..{upper}")
    return lower, upper


def address_of(word: bytes) -> str:
    if any(word[:12]):
        raise Malformed("an address has more than 20 bytes")
    return "0x" + word[12:].hex()
