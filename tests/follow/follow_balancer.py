"""Balancer pools of a followed chain: joined, exited, traded on, with fees and rates that change."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import exact_balancer_v2
import exact_balancer_v3
from eth_abi import encode
from exact_balancer_v2 import NOBODY, ONE
from exact_build import Build, compiled
from exact_chain import mapping_slot
from published_worlds import OWNER

from engine.domain.market import PoolRecord, Protocol
from engine.domain.pool_details import (
    BalancerV2StableDetails,
    BalancerV2WeightedDetails,
    BalancerV3StableDetails,
    BalancerV3WeightedDetails,
)

PLENTY = 2**200
WHOLE = 10**5
NEVER = 2**255
_V2_KINDS = {"weighted_2021": 1, "weighted_v3": 2, "stable_2021": 1, "stable_v2": 2, "composable": 2}
_V2_SWAP = "swap((bytes32,uint8,address,address,uint256,bytes),(address,bool,address,bool),uint256,uint256)"
# What gives tokens of all kinds back for an exact amount of shares.
_V2_EXIT = {"composable": 2}

Chain = Callable[[], Any]
Made = tuple[PoolRecord, tuple[int, ...], Callable[[random.Random], None]]


class BalancerV2:
    """Pools of every kind at one vault; `chain()` is the chain as it is when somebody acts."""

    def __init__(self, world: exact_balancer_v2.World, chain: Chain):
        self.world, self._chain = world, chain
        for token, _ in world.tokens:
            world.chain.call(token, "set(address,uint256)", OWNER, PLENTY)

    def pools(self, rng: random.Random) -> Iterator[Made]:
        """Every pool's record, its decimals in the record's order, and what may be done to it."""
        for kind, version in _V2_KINDS.items():
            pool = getattr(exact_balancer_v2, kind)(self.world, rng)
            amounts = [self._start(pool, asset) for asset in pool.assets]
            self._join(self.world.chain, pool, encode(["uint256", "uint256[]"], [0, amounts]))
            yield self._record(pool, version), self._decimals(pool), self._acts(kind, pool)

    def _start(self, pool: Any, asset: str) -> int:
        if asset not in pool.tokens:
            return 0
        return WHOLE * 10 ** pool.decimals[pool.tokens.index(asset)]

    def _members(self, pool: Any) -> list[str]:
        return [asset for asset in pool.assets if asset in pool.tokens]

    def _decimals(self, pool: Any) -> tuple[int, ...]:
        return tuple(pool.decimals[pool.tokens.index(asset)] for asset in self._members(pool))

    def _record(self, pool: Any, version: int) -> PoolRecord:
        vault, named, members = self.world.vault.lower(), "0x" + pool.pool_id.hex(), self._members(pool)
        if pool.amp:
            own = pool.address.lower()
            index = pool.assets.index(own) if own in pool.assets else None
            details: Any = BalancerV2StableDetails(named, vault, version, index)
            protocol = Protocol.BALANCER_V2_STABLE
        else:
            order = [pool.tokens.index(asset) for asset in members]
            weights = tuple(pool.weights[at] for at in order)
            scaling = tuple(pool.scaling[at] for at in order)
            details = BalancerV2WeightedDetails(named, vault, weights, scaling, version)
            protocol = Protocol.BALANCER_V2_WEIGHTED
        return PoolRecord(pool.address.lower(), protocol, "", tuple(members), 0, 0, details)

    def _join(self, chain: Any, pool: Any, data: bytes) -> None:
        self._change(chain, "joinPool", pool, [NEVER] * len(pool.assets), data)

    def _change(self, chain: Any, what: str, pool: Any, limits: list[int], data: bytes) -> None:
        signature = f"{what}(bytes32,address,address,(address[],uint256[],bytes,bool))"
        request = (pool.assets, limits, data, False)
        chain.call(self.world.vault, signature, pool.pool_id, OWNER, OWNER, request)

    def _acts(self, kind: str, pool: Any) -> Callable[[random.Random], None]:
        def act(rng: random.Random) -> None:
            chain, drawn = self._chain(), rng.random()
            if drawn < 0.55:
                self._swap(chain, rng, pool)
            elif drawn < 0.7:
                amounts = [
                    self._start(pool, token) // rng.randrange(50, 5000) for token in self._members(pool)
                ]
                self._join(chain, pool, encode(["uint256", "uint256[]", "uint256"], [1, amounts, 0]))
            elif drawn < 0.85:
                shares = chain.call(pool.address, "balanceOf(address)", OWNER, returns=("uint256",))
                data = encode(["uint256"] * 2, [_V2_EXIT.get(kind, 1), shares // rng.randrange(50, 500)])
                self._change(chain, "exitPool", pool, [0] * len(pool.assets), data)
            elif drawn < 0.95 or pool.providers is None:
                fee = rng.randrange(10**12, 10**16)
                chain.call(pool.address, "setSwapFeePercentage(uint256)", fee)
            else:
                _move_a_rate(chain, rng, pool, "updateTokenRateCache(address)")

        return act

    def _swap(self, chain: Any, rng: random.Random, pool: Any) -> None:
        sold, bought = rng.sample(pool.assets, 2)
        exact_out = rng.random() < 0.4
        given = bought if exact_out else sold
        whole = self._start(pool, given) or WHOLE * ONE
        step = (pool.pool_id, int(exact_out), sold, bought, whole // rng.randrange(20, 5000), b"")
        funds, limit = (OWNER, False, OWNER, False), NEVER if exact_out else 0
        chain.call(self.world.vault, _V2_SWAP, step, funds, limit, NEVER)


class BalancerV3:
    """As `BalancerV2`, through a trader's contract. Rates here move without any log."""

    def __init__(self, world: exact_balancer_v3.World, chain: Chain):
        self.world, self._chain = world, chain
        folder = Path(__file__).parent / "drivers"
        made = compiled(Build("", ("VaultV3Trader.sol",), (("", folder),)))["VaultV3Trader"]
        self.trader = world.chain.deploy(bytes.fromhex(made["code"]), ["address"], [world.vault])
        for token, _ in world.tokens:
            world.chain.call(token, "set(address,uint256)", self.trader, PLENTY)

    def pools(self, rng: random.Random) -> Iterator[Made]:
        """As of Balancer V2."""
        for kind in ("weighted", "stable"):
            pool = getattr(exact_balancer_v3, kind)(self.world, rng)
            self._forget_that_it_was_opened(pool)
            amounts = [WHOLE * 10**each for each in pool.decimals]
            signature = "open(address,address[],uint256[])"
            self.world.chain.call(self.trader, signature, pool.address, pool.tokens, amounts)
            yield self._record(pool), tuple(pool.decimals), self._acts(pool)

    def _forget_that_it_was_opened(self, pool: Any) -> None:
        """The campaigns only write into the vault that it was."""
        chain, vault = self.world.chain, self.world.vault
        slot = mapping_slot(int(pool.address, 16), self.world.slots["_poolConfigBits"])
        chain.store(vault, slot, chain.evm.storage(vault, slot) & ~exact_balancer_v3._INITIALISED)

    def _record(self, pool: Any) -> PoolRecord:
        vault, factors = self.world.vault.lower(), tuple(pool.factors)
        least = exact_balancer_v3.LEAST_TRADE
        if pool.amp:
            limit = exact_balancer_v3.IMBALANCE_LIMIT
            details: Any = BalancerV3StableDetails(vault, factors, least, limit)
            protocol = Protocol.BALANCER_V3_STABLE
        else:
            weights, floors = tuple(pool.weights), tuple(pool.floors)
            details = BalancerV3WeightedDetails(vault, weights, factors, least, floors)
            protocol = Protocol.BALANCER_V3_WEIGHTED
        tokens = tuple(token.lower() for token in pool.tokens)
        return PoolRecord(pool.address.lower(), protocol, "", tokens, 0, 0, details)

    def _acts(self, pool: Any) -> Callable[[random.Random], None]:
        def act(rng: random.Random) -> None:
            chain, drawn = self._chain(), rng.random()
            if drawn < 0.55:
                i, j = rng.sample(range(len(pool.tokens)), 2)
                kind = int(rng.random() < 0.4)
                amount = WHOLE * 10 ** pool.decimals[j if kind else i] // rng.randrange(20, 5000)
                arguments = pool.address, pool.tokens[i], pool.tokens[j], amount, kind
                chain.call(self.trader, "swap(address,address,address,uint256,uint8)", *arguments)
            elif drawn < 0.7:
                amounts = [WHOLE * 10**each // rng.randrange(50, 5000) for each in pool.decimals]
                signature = "add(address,address[],uint256[])"
                chain.call(self.trader, signature, pool.address, pool.tokens, amounts)
            elif drawn < 0.85:
                held = chain.call(pool.address, "balanceOf(address)", self.trader, returns=("uint256",))
                signature, shares = "remove(address,address[],uint256)", held // rng.randrange(50, 500)
                chain.call(self.trader, signature, pool.address, pool.tokens, shares)
            elif drawn < 0.92:
                fee = rng.randrange(10**13, 10**16) // 10**11 * 10**11
                signature = "setStaticSwapFeePercentage(address,uint256)"
                chain.call(self.world.vault, signature, pool.address, fee)
            else:
                _move_a_rate(chain, rng, pool)

        return act


def _move_a_rate(chain: Any, rng: random.Random, pool: Any, note: str = "") -> None:
    """A provider says another rate; with `note`, the pool is told to take it over."""
    rated = [k for k, provider in enumerate(pool.providers) if provider != NOBODY]
    if not rated:
        return
    k = rng.choice(rated)
    chain.call(pool.providers[k], "set(uint256)", ONE * rng.randrange(950, 1100) // 1000)
    if note and rng.random() < 0.8:
        chain.call(pool.address, note, pool.tokens[k])
