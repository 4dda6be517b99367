"""The people who move prices: swaps and changes of liquidity, seeded, every block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from eth_abi.abi import decode

from engine.app.world.dexes import Groundwork
from engine.app.world.liquidity import (
    PEGGED_BANDS,
    VOLATILE_BANDS,
    Range,
    est_price,
    est_v2_input,
    est_v3_input,
    positions,
)
from engine.app.world.outbox import Sending, calldata
from engine.app.world.pools import WorldPool, mint_range
from engine.app.world.tokens import TruePrices
from engine.chain.rpc import RpcNode
from engine.domain.errors import NodeError

_FOREVER = 2**64 - 1
_SWAP_GAS = 900_000
_LIQUIDITY_GAS = 700_000
_BURN_GAS = 400_000

# A trade is as large as its trader's purse, but for the price move the trader will bear; both log-normal
# around these medians. Pegged pools are expected to move far less.
_MEDIAN_PURSE_USD = 25_000.0
_PURSE_SIGMA = 1.2
_MEDIAN_MOVE = 0.003
_MOVE_SIGMA = 0.8
_LARGEST_MOVE = 0.015
_PEGGED_MOVE = 0.1
# A pool this far from the true price is traded towards it almost surely.
_NOTICED_DEVIATION = 0.008


@dataclass(frozen=True, slots=True)
class PoolState:
    """What a trader sees before trading. `depth` is (reserve0, reserve1) on V2, (liquidity, 0) on V3."""

    est_price: float
    sqrt_x96: int
    depth: tuple[int, int]


class Traders:
    """Decides what the inhabitants submit; the same seed and the same chain give the same transactions.

    `accounts` swap and `provider` adds and removes liquidity; all must hold and have approved enough.
    None of their transactions can revert: they accept any price, and only touch what they own.
    """

    def __init__(
        self,
        node: RpcNode,
        ground: Groundwork,
        pools: list[WorldPool],
        prices: TruePrices,
        accounts: list[str],
        provider: str,
        rng: Random,
    ):
        self._node = node
        self._ground = ground
        self._pools = pools
        self._prices = prices
        self._accounts = accounts
        self._provider = provider
        self._rng = rng
        # Deep pools see more trades, but not in proportion.
        self._weights = [math.sqrt(pool.est_depth_usd) for pool in pools]

    async def next_block(self) -> list[Sending]:
        """The swaps and liquidity changes of one block, decided on the latest state."""
        swapped = self._choose(self._rng.randint(3, 6))
        resized = self._choose(self._rng.randint(0, 2))
        states = await self._look(swapped + resized)
        sendings = [
            self._swap(pool, state) for pool, state in zip(swapped, states[: len(swapped)], strict=True)
        ]
        for pool, state in zip(resized, states[len(swapped) :], strict=True):
            sendings += self._resize(pool, state)
        return sendings

    def _choose(self, count: int) -> list[WorldPool]:
        chosen: list[WorldPool] = []
        while len(chosen) < count:
            pool = self._rng.choices(self._pools, self._weights)[0]
            if pool not in chosen:
                chosen.append(pool)
        return chosen

    async def _look(self, pools: list[WorldPool]) -> list[PoolState]:
        calls = []
        for pool in pools:
            views = ("slot0()", "liquidity()") if pool.is_v3 else ("getReserves()",)
            for view in views:
                data = "0x" + calldata(view).hex()
                calls.append(("eth_call", [{"to": pool.record.address, "data": data}, "latest"]))
        answers = iter(await self._node.batch(calls))
        return [_read_v3(answers) if pool.is_v3 else _read_v2(answers) for pool in pools]

    def _swap(self, pool: WorldPool, state: PoolState) -> Sending:
        zero_for_one = self._sells_token0(pool, state)
        sender = self._rng.choice(self._accounts)
        amount = self._size(pool, state, zero_for_one)
        record = pool.record
        if pool.is_v3:
            data = calldata(
                "swap(address,address,bool,int256,uint160)", record.address, sender, zero_for_one, amount, 0
            )
            return Sending("V3 swap", sender, self._ground.callee, data, gas=_SWAP_GAS)
        path = list(record.tokens if zero_for_one else record.tokens[::-1])
        data = calldata(
            "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
            amount, 0, path, sender, _FOREVER,
        )  # fmt: skip
        return Sending("V2 swap", sender, self._ground.routers[record.venue], data, gas=_SWAP_GAS)

    def _sells_token0(self, pool: WorldPool, state: PoolState) -> bool:
        """A direction at random, but the likelier the further the pool is from the true price."""
        deviation = math.log(state.est_price / self._prices.est_pool_price(*pool.tokens))
        noticed = _NOTICED_DEVIATION * (_PEGGED_MOVE if pool.pegged else 1.0)
        # Selling token0 lowers the price.
        return self._rng.random() < 0.5 + 0.5 * max(-0.95, min(0.95, deviation / noticed))

    def _size(self, pool: WorldPool, state: PoolState, zero_for_one: bool) -> int:
        """The input, base units."""
        purse = self._rng.lognormvariate(math.log(_MEDIAN_PURSE_USD), _PURSE_SIGMA)
        move = min(_LARGEST_MOVE, self._rng.lognormvariate(math.log(_MEDIAN_MOVE), _MOVE_SIGMA))
        if pool.pegged:
            move *= _PEGGED_MOVE
        fee = pool.record.fee_pips
        if pool.is_v3:
            bearable = est_v3_input(state.sqrt_x96, state.depth[0], zero_for_one, move, fee)
        else:
            bearable = est_v2_input(state.depth[0 if zero_for_one else 1], move, fee)
        sold = pool.tokens[0 if zero_for_one else 1]
        return max(1, min(bearable, int(purse / self._prices.est_usd_per_unit(sold))))

    def _resize(self, pool: WorldPool, state: PoolState) -> list[Sending]:
        adds = self._rng.random() < 0.55
        share = self._rng.uniform(0.005, 0.03)
        if pool.is_v3:
            return self._add_v3(pool, state, share) if adds else self._remove_v3(pool)
        return self._add_v2(pool, state, share) if adds else self._remove_v2(pool, state, share)

    def _add_v2(self, pool: WorldPool, state: PoolState, share: float) -> list[Sending]:
        amounts = [max(1, int(reserve * share)) for reserve in state.depth]
        data = calldata(
            "addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)",
            *pool.record.tokens, *amounts, 0, 0, self._provider, _FOREVER,
        )  # fmt: skip
        router = self._ground.routers[pool.record.venue]
        return [Sending("add V2 liquidity", self._provider, router, data, gas=_LIQUIDITY_GAS)]

    def _remove_v2(self, pool: WorldPool, state: PoolState, share: float) -> list[Sending]:
        # The provider holds nearly all shares, and shares are about the root of the reserves' product.
        shares = int(math.isqrt(state.depth[0] * state.depth[1]) * share / 2)
        data = calldata(
            "removeLiquidity(address,address,uint256,uint256,uint256,address,uint256)",
            *pool.record.tokens, shares, 0, 0, self._provider, _FOREVER,
        )  # fmt: skip
        router = self._ground.routers[pool.record.venue]
        return [Sending("remove V2 liquidity", self._provider, router, data, gas=_LIQUIDITY_GAS)]

    def _add_v3(self, pool: WorldPool, state: PoolState, share: float) -> list[Sending]:
        units = (
            self._prices.est_usd_per_unit(pool.tokens[0]),
            self._prices.est_usd_per_unit(pool.tokens[1]),
        )
        bands = PEGGED_BANDS if pool.pegged else VOLATILE_BANDS
        worth = pool.est_depth_usd * share
        spacing = pool.record.tick_spacing
        position = self._rng.choice(positions(self._rng, bands[:3], worth, state.est_price, units, spacing))
        pool.ranges.append(position)
        return [mint_range(self._ground, pool, self._provider, position)]

    def _remove_v3(self, pool: WorldPool) -> list[Sending]:
        # The positions over all prices stay: a pool never runs dry.
        widest = max(position.tick_upper - position.tick_lower for position in pool.ranges)
        narrower = [
            index
            for index, position in enumerate(pool.ranges)
            if position.tick_upper - position.tick_lower < widest
        ]
        if not narrower:
            return []
        index = self._rng.choice(narrower)
        position = pool.ranges[index]
        burns_all = self._rng.random() < 0.25
        amount = position.liquidity if burns_all else int(position.liquidity * self._rng.uniform(0.1, 0.6))
        left = position.liquidity - amount
        if left:
            pool.ranges[index] = Range(position.tick_lower, position.tick_upper, left)
        else:
            del pool.ranges[index]
        data = calldata("burn(int24,int24,uint128)", position.tick_lower, position.tick_upper, amount)
        return [Sending("burn V3 liquidity", self._provider, pool.record.address, data, gas=_BURN_GAS)]


def _take(answers: Iterator[Any]) -> bytes:
    answer = next(answers)
    if isinstance(answer, NodeError):
        raise answer
    return bytes.fromhex(answer[2:])


def _read_v2(answers: Iterator[Any]) -> PoolState:
    reserve0, reserve1 = decode(("uint112", "uint112"), _take(answers)[:64])
    return PoolState(reserve1 / reserve0, 0, (reserve0, reserve1))


def _read_v3(answers: Iterator[Any]) -> PoolState:
    sqrt_x96 = int.from_bytes(_take(answers)[:32], "big")
    liquidity = int.from_bytes(_take(answers)[:32], "big")
    return PoolState(est_price(sqrt_x96), sqrt_x96, (liquidity, 0))
