"""Uniswap V4 pools, read slot by slot from the PoolManager's storage (`extsload`), without a lens contract.

Source: v4-core StateLibrary (the manager's mapping of pools is at slot 6; of a pool: slot0, two fee growths,
liquidity, ticks, bitmap) and Slot0 (price 160 bits, tick 24, protocol fee 24, LP fee 24, from the lowest).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from engine.amm.layout import MAX_TICK, MIN_TICK
from engine.amm.v4_fees import HookPolicy, hook_policy
from engine.chain.calls import View, chunks
from engine.chain.readers.concentrated import Tick, contradiction, words_of_spacing
from engine.chain.readers.reading import Ask, Reading, set_bits
from engine.chain.wire import octets
from engine.domain.market import PoolRecord
from engine.domain.pool_details import UniswapV4Details
from engine.domain.pool_state import V4PoolState

_POOLS_SLOT = 6
_LIQUIDITY_OFFSET, _TICKS_OFFSET, _BITMAP_OFFSET = 3, 4, 5
# A cold slot costs 2,100 gas: a call of these stays below two million.
_SLOTS_PER_CALL = 800
_TRADABLE = (HookPolicy.EXACT, HookPolicy.FEE_READ_EACH_BLOCK, HookPolicy.SIMULATE)


@dataclass(frozen=True, slots=True)
class _Extsload(View):
    """Lists of words, encoded and decoded without a look at each element."""

    def data(self, *arguments: Any) -> str:
        slots: list[bytes] = arguments[0]
        head = (32).to_bytes(32, "big") + len(slots).to_bytes(32, "big")
        return "0x" + (self.selector + head + b"".join(slots)).hex()

    def decode(self, answer: Any) -> tuple[Any, ...]:
        raw = octets(answer, "storage")
        return ([raw[at : at + 32] for at in range(64, len(raw) - len(raw) % 32, 32)],)


_EXTSLOAD = _Extsload.of("extsload(bytes32[])", "bytes32[]")


def pool_id(details: UniswapV4Details, currency0: str, currency1: str) -> str:
    """keccak256(abi.encode(PoolKey)), 0x-hex."""
    types = ["address", "address", "uint24", "int24", "address"]
    key = [currency0, currency1, details.key_fee, details.tick_spacing, details.hooks]
    return "0x" + keccak(encode(types, key)).hex()


def v4_refusal(pool: PoolRecord) -> str | None:
    """Why a V4 pool may not be read into the market, or None: its id is not its key's, or its hook may change
    the amounts of a swap."""
    details = pool.details
    assert isinstance(details, UniswapV4Details)
    if pool_id(details, *pool.tokens) != details.pool_id:
        return "its id is not that of its key"
    policy = hook_policy(details.hooks, details.key_fee)
    return None if policy in _TRADABLE else policy.value


async def read_v4(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Price, liquidity, fees and every initialised tick of V4 pools."""
    for pool in pools:
        reason = v4_refusal(pool)
        if reason is not None:
            reading.refuse(pool, reason)
    pools = reading.fit(pools)
    heads = await _slots(reading, [(pool, [_base(pool), _base(pool) + _LIQUIDITY_OFFSET]) for pool in pools])
    ticks = await _read_ticks(reading, [pool for pool in pools if heads.get(pool.key, (0,))[0]])
    for pool in pools:
        if pool.key in heads:
            slot0, liquidity = heads[pool.key]
            state = V4PoolState(
                pool,
                sqrt_price_x96=slot0 & (1 << 160) - 1,
                liquidity=liquidity & (1 << 128) - 1,
                tick=_signed(slot0 >> 160, 24),
                ticks=tuple(ticks.get(pool.key, ())),
                lp_fee=slot0 >> 208 & (1 << 24) - 1,
                protocol_fee=slot0 >> 184 & (1 << 24) - 1,
            )
            known = None if reading.ticks else (MIN_TICK, MAX_TICK)
            reason = contradiction(state.sqrt_price_x96, state.tick, state.liquidity, state.ticks, known)
            if reason is None:
                reading.accept(state)
            else:
                reading.refuse(pool, reason)


async def _read_ticks(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, list[Tick]]:
    if not reading.ticks:
        return {}
    words = {pool.key: words_of_spacing(pool.tick_spacing) for pool in pools}
    bitmaps = await _slots(
        reading,
        [(pool, [_mapped(word, _base(pool) + _BITMAP_OFFSET) for word in words[pool.key]]) for pool in pools],
    )
    marked = {
        pool.key: [
            (256 * word + bit) * pool.tick_spacing
            for word, bits in zip(words[pool.key], bitmaps.get(pool.key, ()), strict=False)
            for bit in set_bits(bits)
        ]
        for pool in pools
    }
    values = await _slots(
        reading,
        [(pool, [_mapped(tick, _base(pool) + _TICKS_OFFSET) for tick in marked[pool.key]]) for pool in pools],
    )
    return {
        pool.key: [
            (tick, _signed(value >> 128, 128), value & (1 << 128) - 1)
            for tick, value in zip(marked[pool.key], values.get(pool.key, ()), strict=False)
        ]
        for pool in pools
    }


async def _slots(
    reading: Reading, wanted: Sequence[tuple[PoolRecord, Sequence[int]]]
) -> dict[str, list[int]]:
    """By key, the values of the manager's storage slots; pools whose manager does not answer are refused."""
    asks, spans = [], []
    for pool, slots in wanted:
        for part in chunks(len(slots), _SLOTS_PER_CALL):
            span = [slots[at].to_bytes(32, "big") for at in part]
            asks.append(Ask(pool, _EXTSLOAD, (span,), gas=None))
            spans.append(len(span))
    found: dict[str, list[int]] = {pool.key: [] for pool, _ in wanted}
    for ask, length, answer in zip(asks, spans, await reading.values(asks), strict=True):
        if answer is not None and len(answer[0]) == length:
            found[ask.pool.key].extend(int.from_bytes(word, "big") for word in answer[0])
        else:
            reading.refuse(ask.pool, "extsload() does not answer as a PoolManager does")
    return {key: values for key, values in found.items() if key not in reading.refused}


def _base(pool: PoolRecord) -> int:
    assert isinstance(pool.details, UniswapV4Details)
    return _keccak_int(bytes.fromhex(pool.details.pool_id[2:]) + _POOLS_SLOT.to_bytes(32, "big"))


def _mapped(key: int, slot: int) -> int:
    """Where a mapping by int24 or int16 at `slot` keeps the value of `key`."""
    return _keccak_int(key.to_bytes(32, "big", signed=True) + (slot % (1 << 256)).to_bytes(32, "big"))


def _keccak_int(data: bytes) -> int:
    return int.from_bytes(keccak(data), "big")


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
