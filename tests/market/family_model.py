"""Pools of every family as their readings, and honest logs that change them: what a chain would emit."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from golden_pools import MANAGER, recorded_pools

from engine.amm.v4_fees import DYNAMIC_FEE_FLAG, v4_fee
from engine.chain import events
from engine.chain.wire import topic
from engine.domain import pool_state as states
from engine.domain.market import Protocol
from engine.domain.pool_details import UniswapV4Details

Log = dict[str, Any]
UINT128 = (1 << 128) - 1
TOUCHES = {
    Protocol.CURVE_STABLESWAP: "TokenExchange(address,int128,uint256,int128,uint256)",
    Protocol.CURVE_CRYPTOSWAP: "TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)",
    Protocol.BALANCER_V2_WEIGHTED: "Swap(bytes32,address,address,uint256,uint256)",
    Protocol.BALANCER_V2_STABLE: "PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])",
    Protocol.BALANCER_V3_WEIGHTED: "Swap(address,address,address,uint256,uint256,uint256,uint256)",
    Protocol.BALANCER_V3_STABLE: "LiquidityAdded(address,address,uint8,uint256,uint256[],uint256[])",
    Protocol.ERC4626: "Deposit(address,address,uint256,uint256)",
    Protocol.WSTETH: "TokenRebased(uint256,uint256,uint256,uint256,uint256,uint256,uint256)",
}


def word(value: int) -> str:
    return f"{value % (1 << 256):064x}"


def log(address: str, topics: list[str], *values: int) -> Log:
    return {"address": address, "topics": topics, "data": "0x" + "".join(word(value) for value in values)}


class PoolModel:
    """One pool: `state` is what a node would read now; `act` changes it and says which logs that makes."""

    def __init__(self, readings: list[states.PoolState], index: int):
        record = readings[0].pool
        facts = record.details
        if isinstance(facts, UniswapV4Details):
            facts = replace(facts, pool_id=f"0x{0xF0000 + index:064x}")
            record = replace(record, details=facts)
        else:
            record = replace(record, address=f"0x{0xF0000 + index:040x}")
            if hasattr(facts, "pool_id"):
                record = replace(record, details=replace(facts, pool_id=f"0x{0xF0000 + index:064x}"))
        self.readings = [replace(reading, pool=record) for reading in readings]
        self.state = self.readings[0]

    @property
    def is_read_again(self) -> bool:
        return self.state.pool.protocol in TOUCHES

    def act(self, rng: random.Random) -> list[Log]:
        """A random honest action."""
        state = self.state
        if isinstance(state, states.V4PoolState):
            return rng.choice((self._v4_swap, self._v4_liquidity, self._v4_protocol_fee))(rng)
        if isinstance(state, states.V3PoolState):
            return rng.choice((self._swap, self._liquidity, self._algebra_fee))(rng)
        if isinstance(state, states.SolidlyPoolState):
            held = rng.randrange(1 << rng.randint(1, 255)), rng.randrange(1 << 90)
            self.state = replace(state, reserve0=held[0], reserve1=held[1])
            return [log(state.pool.address, [events.SOLIDLY_SYNC], *held)]
        if isinstance(state, states.CamelotPoolState):
            return self._camelot(state, rng)
        self.state = rng.choice(self.readings)
        return [self._touch()]

    def _touch(self) -> Log:
        record = self.state.pool
        emitter, subject = record.address, word(rng_free(record.address))
        if hasattr(record.details, "vault"):
            emitter = record.details.vault
            subject = (
                record.details.pool_id[2:]
                if hasattr(record.details, "pool_id")
                else word(int(record.address, 16))
            )
        if record.protocol is Protocol.WSTETH:
            emitter = record.tokens[0]
        return log(emitter, [topic(TOUCHES[record.protocol]), "0x" + subject], 1, 2, 3)

    def _camelot(self, state: states.CamelotPoolState, rng: random.Random) -> list[Log]:
        if rng.random() < 0.5:
            held = rng.randrange(1 << 112), rng.randrange(1 << 90)
            self.state = replace(state, reserve0=held[0], reserve1=held[1])
            return [log(state.pool.address, [events.SYNC], *held)]
        fees = rng.randrange(20_000), rng.randrange(20_000)
        self.state = replace(state, fee0=fees[0], fee1=fees[1])
        return [log(state.pool.address, [events.CAMELOT_FEES], *fees)]

    def _moved(self, rng: random.Random) -> Any:
        """Another recorded price, tick and liquidity."""
        other: Any = rng.choice(self.readings)
        state: Any = self.state
        price = {"sqrt_price_x96": other.sqrt_price_x96, "tick": other.tick}
        self.state = replace(state, **price, liquidity=rng.randrange(UINT128 >> 8))
        return self.state

    def _swap(self, rng: random.Random) -> list[Log]:
        moved = self._moved(rng)
        address, price = moved.pool.address, (moved.sqrt_price_x96, moved.liquidity, moved.tick)
        parties = ["0x" + word(1), "0x" + word(2)]
        if moved.pool.protocol is Protocol.ALGEBRA and rng.random() < 0.5:
            return [log(address, [events.INTEGRAL_SWAP, *parties], 5, -5, *price, 0, 0)]
        return [log(address, [events.V3_SWAP, *parties], 5, -5, *price)]

    def _algebra_fee(self, rng: random.Random) -> list[Log]:
        state: Any = self.state
        if state.pool.protocol is not Protocol.ALGEBRA:
            return []
        fee = rng.randrange(1 << 16)
        self.state = replace(state, fees=(fee, fee))
        return [log(state.pool.address, [events.ALGEBRA_FEE], fee)]

    def _changed(self, rng: random.Random) -> tuple[int, int, int]:
        """Mint or burn over a range; the state's ticks follow."""
        state: Any = self.state
        spacing = state.pool.tick_spacing
        ticks = {tick: [net, gross] for tick, net, gross in state.ticks}
        lower = rng.randint(-300, 299) * spacing
        upper = lower + rng.randint(1, 40) * spacing
        delta = rng.randrange(1, 1 << 60)
        burns = [(low, high, size) for low, high, size in self._positions if rng.random() < 0.5]
        if burns and rng.random() < 0.5:
            lower, upper, size = burns[0]
            delta = -size
            self._positions.remove((lower, upper, size))
        else:
            self._positions.append((lower, upper, delta))
        for tick, sign in ((lower, 1), (upper, -1)):
            entry = ticks.setdefault(tick, [0, 0])
            entry[0], entry[1] = entry[0] + sign * delta, entry[1] + delta
            if not entry[1]:
                del ticks[tick]
        liquidity = state.liquidity + delta * (lower <= state.tick < upper)
        if liquidity < 0:
            # A swap put the active liquidity at random: keep the burn honest.
            liquidity = 0
        self.state = replace(state, ticks=tuple((t, *ticks[t]) for t in sorted(ticks)), liquidity=liquidity)
        return lower, upper, delta

    @property
    def _positions(self) -> list[tuple[int, int, int]]:
        return self.__dict__.setdefault("positions", [])

    def _liquidity(self, rng: random.Random) -> list[Log]:
        before: Any = self.state
        lower, upper, delta = self._changed(rng)
        if before.liquidity + delta * (lower <= before.tick < upper) < 0:
            return self._undo_change(before, lower, upper, delta)
        ends = ["0x" + word(9), "0x" + word(lower), "0x" + word(upper)]
        if delta > 0:
            return [log(before.pool.address, [events.V3_MINT, *ends], 1, delta, 0, 0)]
        if before.pool.protocol is Protocol.ALGEBRA:
            return [log(before.pool.address, [events.INTEGRAL_BURN, *ends], -delta, 0, 0, 7)]
        return [log(before.pool.address, [events.V3_BURN, *ends], -delta, 0, 0)]

    def _undo_change(self, before: Any, lower: int, upper: int, delta: int) -> list[Log]:
        self.state = before
        self._positions.append((lower, upper, -delta))
        return []

    def _v4_swap(self, rng: random.Random) -> list[Log]:
        moved = self._moved(rng)
        zero_for_one = rng.random() < 0.5
        if moved.pool.details.key_fee == DYNAMIC_FEE_FLAG:
            moved = self.state = replace(moved, lp_fee=rng.randrange(100_000))
        fee = v4_fee(moved.protocol_fee, moved.lp_fee, zero_for_one)
        paid, got = (-5, 4) if zero_for_one else (4, -5)
        price = (moved.sqrt_price_x96, moved.liquidity, moved.tick)
        head = [events.V4_SWAP, moved.pool.key, "0x" + word(1)]
        return [log(MANAGER, head, paid, got, *price, fee)]

    def _v4_liquidity(self, rng: random.Random) -> list[Log]:
        before: Any = self.state
        lower, upper, delta = self._changed(rng)
        if before.liquidity + delta * (lower <= before.tick < upper) < 0:
            return self._undo_change(before, lower, upper, delta)
        head = [events.V4_MODIFY_LIQUIDITY, before.pool.key, "0x" + word(1)]
        return [log(MANAGER, head, lower, upper, delta, 0)]

    def _v4_protocol_fee(self, rng: random.Random) -> list[Log]:
        state: Any = self.state
        # With a protocol fee two LP fees may come to the same: dynamic pools are left without one here.
        is_dynamic = state.pool.details.key_fee == DYNAMIC_FEE_FLAG
        fee = 0 if is_dynamic else rng.randrange(1001) | rng.randrange(1001) << 12
        self.state = replace(state, protocol_fee=fee)
        return [log(MANAGER, [events.V4_PROTOCOL_FEE, state.pool.key], fee)]


def rng_free(address: str) -> int:
    """Some word that names no pool."""
    return int(address, 16) ^ 0xABCDEF


def models() -> list[PoolModel]:
    """One or two pools of every family."""
    chosen: list[PoolModel] = []
    wanted: dict[str, Callable[[int], bool]] = {
        "uniswap-v4": lambda n: n in (0, 4),
        "slipstream": lambda n: n == 1,
        "algebra-integral": lambda n: n == 0,
        "solidly": lambda n: n in (0, 7),
        "camelot-v2-volatile": lambda n: n == 0,
        "curve-3pool-susd": lambda n: n in (0, 3),
        "curve-stableswap-ng": lambda n: n == 1,
        "curve-twocrypto-ng": lambda n: n == 0,
        "curve-tricrypto-ng": lambda n: n == 0,
        "balancer-v2": lambda n: n in (0, 6),
        "balancer-v3": lambda n: n in (0, 3),
        "erc4626": lambda n: n == 0,
        "wsteth": lambda n: n == 0,
    }
    for name, is_wanted in wanted.items():
        for n, (_, swaps) in enumerate(recorded_pools(name)):
            if is_wanted(n):
                first = swaps[0].state.pool
                same = [swap.state for swap in swaps if swap.state.pool == first][:12]
                chosen.append(PoolModel(same, len(chosen)))
    return chosen
