"""A local chain with a pool of every family, and actors that do random things to them, block by block."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import exact_balancer_v2
import exact_balancer_v3
import exact_curve
import exact_solidly
import exact_v4
import exact_vaults
import exact_worlds
from eth_abi import decode, encode
from eth_utils import keccak
from exact_build import npm_code
from exact_chain import _split
from exact_ranges import Ticks, random_swap
from exact_worlds import Pool
from follow_balancer import BalancerV2, BalancerV3
from local_node import LocalNode
from published_worlds import OWNER, NodeChain, Reverted, build_on

from engine.amm.layout import V4
from engine.amm.tick_math import tick_at_sqrt_ratio
from engine.amm.v4_fees import DYNAMIC_FEE_FLAG
from engine.chain.readers.v4 import pool_id
from engine.domain.market import PoolRecord, Protocol, Token, Venue
from engine.domain.pool_details import (
    AlgebraDetails,
    AlgebraVersion,
    CurveStableDetails,
    Erc4626Details,
    SolidlyDetails,
    SolidlyVersion,
    StableSwapVariant,
    UniswapV4Details,
)

Q96 = 1 << 96
ACTION_GAS = 8_000_000
# An account may be a hook: none of its address bits ask for a call, and it may set a dynamic fee.
HOOK = "0x" + "f1" * 18 + "c000"


class BusyChain(NodeChain):
    """The node once the world stands: calls that return something only read; all others are transactions
    that wait for the next block, where they may revert."""

    def __init__(self, node: LocalNode, time: int):
        self.node, self.time = node, time

    def call(self, to: str, signature: str, *values: Any, returns: tuple[str, ...] = ()) -> Any:
        types = _split(signature[signature.index("(") + 1 : -1])
        data = keccak(text=signature)[:4] + encode(types, values)
        if returns:
            return self._read(to, data, returns)
        self._send(to, data)
        return None

    def _read(self, to: str, data: bytes, returns: tuple[str, ...]) -> Any:
        try:
            answer = self.node.rpc("eth_call", {"from": OWNER, "to": to, "data": "0x" + data.hex()}, "latest")
        except RuntimeError as error:
            raise Reverted(str(error)) from error
        decoded = decode(returns, bytes.fromhex(answer[2:]))
        return decoded[0] if len(decoded) == 1 else decoded

    def call_from(self, sender: str, to: str, signature: str, *values: Any) -> None:
        """As `call`, from another account, whether it is a contract or not."""
        types = _split(signature[signature.index("(") + 1 : -1])
        self.node.rpc("anvil_setBalance", sender, hex(10**24))
        self._send(to, keccak(text=signature)[:4] + encode(types, values), sender)

    def _send(self, to: str, data: bytes, sender: str = OWNER) -> None:
        transaction = {"from": sender, "to": to, "data": "0x" + data.hex(), "gas": hex(ACTION_GAS)}
        self.node.rpc("eth_sendTransaction", transaction)


@dataclass
class Followed:
    """A pool that the engine follows, its token decimals, and what may be done to it."""

    record: PoolRecord
    decimals: tuple[int, ...]
    act: Callable[[random.Random], None]

    def tokens(self) -> Iterable[Token]:
        for token, decimals in zip(self.record.tokens, self.decimals, strict=True):
            yield Token(token, "C", decimals)


class DynamicWorld(exact_v4.ManagerWorld):
    """A Uniswap V4 pool whose fee its hook sets, without any log."""

    def create(self, rng: random.Random, price: int) -> Any:
        self.key = (*self.tokens, DYNAMIC_FEE_FLAG, 60, HOOK)
        self.chain.call(self.driver, f"use({exact_v4._KEY})", self.key)
        self.chain.call(self.manager, f"initialize({exact_v4._KEY},uint160)", self.key, price)
        return Pool(self.manager, (0, 0), Ticks(60), V4)

    def settle(self, rng: random.Random, pool: Pool) -> None:
        if rng.random() < 0.3:
            protocol_fee = rng.randrange(1001) | rng.randrange(1001) << 12
            signature = f"setProtocolFee({exact_v4._KEY},uint24)"
            self.chain.call(self.manager, signature, self.key, protocol_fee)
        fee = rng.choice([0, 1, 500, 3000, rng.randrange(200_000)])
        signature = f"updateDynamicLPFee({exact_v4._KEY},uint24)"
        self.chain.call_from(HOOK, self.manager, signature, self.key, fee)


class FollowWorld:
    """The pools, on a node that mines when told to."""

    def __init__(self, node: LocalNode):
        self.node = node
        self._worlds: list[Any] = []
        self.venues: list[Venue] = []
        self.pools = [
            *self._concentrated(),
            self._v4(exact_v4.ManagerWorld),
            self._v4(DynamicWorld),
            *self._pairs(),
            self._curve(),
            *self._vaults(),
            *self._balancer(),
        ]
        for world in self._worlds:
            world.chain = BusyChain(node, world.chain.time)
        self.chain = BusyChain(node, 0)

    def act(self, rng: random.Random) -> None:
        """One random action, which the next block decides."""
        try:
            rng.choice(self.pools).act(rng)
        except Reverted:
            return

    def _build(self, module: Any, make: Callable[[], Any]) -> Any:
        world = build_on(self.node, module, make)
        self._worlds.append(world)
        return world

    def _concentrated(self) -> Iterable[Followed]:
        rng = random.Random(3)
        kinds = {
            "UniswapWorld": (Protocol.UNISWAP_V3, None),
            "PancakeWorld": (Protocol.UNISWAP_V3, None),
            "SlipstreamWorld": (Protocol.SLIPSTREAM, None),
            "AlgebraWorld": (Protocol.ALGEBRA, AlgebraDetails(AlgebraVersion.V2)),
            "IntegralWorld": (Protocol.ALGEBRA, AlgebraDetails(AlgebraVersion.INTEGRAL)),
        }
        for name, (protocol, details) in kinds.items():
            world = self._build(exact_worlds, getattr(exact_worlds, name))
            pool = world.create(rng, Q96 * rng.randrange(50, 200) // 100)
            tokens = tuple(token.lower() for token in world.tokens)
            fee, spacing = pool.fees[0], pool.ticks.spacing
            record = PoolRecord(pool.address.lower(), protocol, "", tokens, fee, spacing, details)
            settles = name in ("IntegralWorld", "SlipstreamWorld")
            yield Followed(record, (18, 18), _ranged(world, pool, rng, settles))

    def _v4(self, make: Callable[[], Any]) -> Followed:
        rng = random.Random(4)
        world = self._build(exact_v4, make)
        pool = world.create(rng, Q96 * 11 // 10)
        tokens = tuple(token.lower() for token in world.tokens)
        _, _, fee, spacing, hooks = world.key
        draft = UniswapV4Details("", pool.address.lower(), fee, spacing, hooks)
        details = UniswapV4Details(pool_id(draft, *tokens), pool.address.lower(), fee, spacing, hooks)
        known_fee = 0 if fee == DYNAMIC_FEE_FLAG else fee
        record = PoolRecord(details.manager, Protocol.UNISWAP_V4, "", tokens, known_fee, spacing, details)
        return Followed(record, (18, 18), _ranged(world, pool, rng, True))

    def _pairs(self) -> Iterable[Followed]:
        chain = NodeChain(self.node)
        tokens = chain.tokens(18, 18)
        code = npm_code("@uniswap/v2-core", "build/UniswapV2Factory.json")
        factory = chain.deploy(code, ["address"], [OWNER])
        signature = "createPair(address,address)"
        pair = chain.call(factory, signature, *tokens, returns=("address",))
        pools = [(pair, tokens, Protocol.UNISWAP_V2, (18, 18), 3000, None)]
        factory_of: dict[str, str] = {}
        for stable in (False, True):
            world = build_on(self.node, exact_solidly, lambda stable=stable: exact_solidly.World(stable))
            address, decimals = world.pools[1]
            factory_of[address] = world.factory
            members = [chain.call(address, name, returns=("address",)) for name in ("token0()", "token1()")]
            details = SolidlyDetails(stable, decimals, SolidlyVersion.AERODROME)
            name = "stable" if stable else "volatile"
            self.venues.append(
                Venue(name, Protocol.SOLIDLY, world.factory.lower(), world.factory.lower(), "")
            )
            pools.append((address, members, Protocol.SOLIDLY, decimals, 0, details))
        for address, members, protocol, decimals, fee, details in pools:
            for token, unit in zip(members, decimals, strict=True):
                chain.call(token, "set(address,uint256)", address, 10 ** (unit + 6))
            # Aerodrome's worlds have shares already, written without reserves.
            chain.call(address, *(("mint(address)", OWNER) if details is None else ("sync()",)))
            venue = "" if details is None else "stable" if details.stable else "volatile"
            members = tuple(token.lower() for token in members)
            record = PoolRecord(address.lower(), protocol, venue, members, fee, 0, details)
            yield Followed(
                record, tuple(decimals), self._pair_acts(address, members, factory_of.get(address))
            )

    def _pair_acts(self, pair: str, tokens: Sequence[str], factory: str | None) -> Callable:
        def act(rng: random.Random) -> None:
            chain, side = self.chain, rng.randrange(2)
            if factory is not None and rng.random() < 0.1:
                signature = "setCustomFee(address,uint256)"
                manager = chain.call(factory, "feeManager()", returns=("address",))
                chain.call_from(manager, factory, signature, pair, rng.randrange(1, 300))
                return
            held = [chain.call(t, "balanceOf(address)", pair, returns=("uint256",)) for t in tokens]
            more = held[side] + max(held[side] // rng.randrange(50, 5_000), 1)
            kind = rng.random()
            if kind < 0.6:
                # Part of what it would pay: the pair only checks that its invariant did not fall.
                out = held[1 - side] * (more - held[side]) // more * rng.randrange(10, 90) // 100
                chain.call(tokens[side], "set(address,uint256)", pair, more)
                amounts = (0, out) if side == 0 else (out, 0)
                chain.call(pair, "swap(uint256,uint256,address,bytes)", *amounts, OWNER, b"")
            elif kind < 0.75:
                for token, balance in zip(tokens, held, strict=True):
                    chain.call(token, "set(address,uint256)", pair, balance * 101 // 100)
                chain.call(pair, "mint(address)", OWNER)
            elif kind < 0.9:
                # A donation, which counts once somebody calls sync.
                chain.call(tokens[side], "set(address,uint256)", pair, more)
                if rng.random() < 0.7:
                    chain.call(pair, "sync()")
            else:
                share = chain.call(pair, "balanceOf(address)", OWNER, returns=("uint256",))
                chain.call(pair, "transfer(address,uint256)", pair, share // rng.randrange(20, 200))
                chain.call(pair, "burn(address)", OWNER)

        return act

    def _curve(self) -> Followed:
        world = self._build(exact_curve, exact_curve.World)
        coins = [world.chain.call(world.pool, "coins(int128)", k, returns=("address",)) for k in range(4)]
        decimals = [world.chain.call(coin, "decimals()", returns=("uint8",)) for coin in coins]
        for coin in coins:
            world.chain.call(coin, "set(address,uint256)", OWNER, 2**200)
        balances = [10 ** (unit + 6) for unit in decimals]
        world.write(balances, 100, 4_000_000, 5_000_000_000)
        record = PoolRecord(
            world.pool.lower(),
            Protocol.CURVE_STABLESWAP,
            "",
            tuple(coin.lower() for coin in coins),
            0,
            0,
            CurveStableDetails(StableSwapVariant.SUSD),
        )

        def act(rng: random.Random) -> None:
            i, j = rng.sample(range(4), 2)
            amount = 10 ** decimals[i] * rng.randrange(1, 20_000)
            self.chain.call(world.pool, "exchange(int128,int128,uint256,uint256)", i, j, amount, 0)

        return Followed(record, tuple(decimals), act)

    def _vaults(self) -> Iterable[Followed]:
        for author in ("openzeppelin", "solmate"):
            world = self._build(exact_vaults, lambda author=author: exact_vaults.World(author))
            vault, *virtual = world.vaults[0]
            asset = world.chain.call(vault, "asset()", returns=("address",))
            world.chain.call(asset, "set(address,uint256)", OWNER, 2**128)
            world.chain.call(vault, "deposit(uint256,address)", 10**24, OWNER)
            details = Erc4626Details(*virtual)
            record = PoolRecord(
                vault.lower(), Protocol.ERC4626, "", (asset.lower(), vault.lower()), 0, 0, details
            )

            def act(rng: random.Random, vault: str = vault, asset: str = asset) -> None:
                amount, drawn = rng.randrange(1, 10**22), rng.random()
                if drawn < 0.2:
                    # A donation, of which the vault says nothing.
                    held = self.chain.call(asset, "balanceOf(address)", vault, returns=("uint256",))
                    self.chain.call(asset, "set(address,uint256)", vault, held + amount)
                elif drawn < 0.6:
                    self.chain.call(vault, "deposit(uint256,address)", amount, OWNER)
                else:
                    self.chain.call(vault, "redeem(uint256,address,address)", amount, OWNER, OWNER)

            yield Followed(record, (18, 18), act)

    def _balancer(self) -> Iterator[Followed]:
        rng = random.Random(5)
        second = self._build(exact_balancer_v2, lambda: exact_balancer_v2.World(_of_no_round))
        third = self._build(exact_balancer_v3, lambda: exact_balancer_v3.World(_of_no_round))
        for at in (BalancerV2(second, lambda: self.chain), BalancerV3(third, lambda: self.chain)):
            for made in at.pools(rng):
                yield Followed(*made)


def _of_no_round(world: Any, rng: random.Random) -> Any:
    raise AssertionError("no rounds are played here")


def _ranged(world: Any, pool: Any, rng: random.Random, settles: bool) -> Callable:
    """Swaps, mints, burns and, where a log tells of them, fee changes."""
    spacing = pool.ticks.spacing
    edge = 887_272 // spacing * spacing
    minted: list[tuple[int, int, int]] = []
    for lower, upper in ((-edge, edge), (-40 * spacing, 60 * spacing), (-9 * spacing, 9 * spacing)):
        liquidity = rng.randrange(10**18, 10**22)
        world.mint(pool, lower, upper, liquidity)
        minted.append((lower, upper, liquidity))
    pool.ticks = Ticks(spacing)

    def act(rng: random.Random) -> None:
        kind = rng.random()
        if kind < 0.55:
            price, tick, liquidity = world.state(pool)
            case = random_swap(rng, price, tick, spacing, min(liquidity, 10**22))
            world.swap(pool, case)
        elif kind < 0.75:
            price, _, _ = world.state(pool)
            here = tick_at_sqrt_ratio(price) // spacing * spacing
            lower = max(here - rng.randrange(1, 60) * spacing, -edge)
            upper = min(here + rng.randrange(1, 60) * spacing, edge)
            minted.append((lower, upper, rng.randrange(10**12, 10**21)))
            world.mint(pool, *minted[-1])
        elif kind < 0.95 or not settles:
            lower, upper, liquidity = rng.choice(minted)
            world.burn(pool, lower, upper, liquidity // rng.randrange(1, 4))
        else:
            world.settle(rng, pool)

    return act
