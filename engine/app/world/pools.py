"""Which pools the world has, how deep they are, and how they are created and filled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from eth_utils import keccak

from engine.app.world.accounts import approval
from engine.app.world.dexes import (
    PANCAKESWAP_V3,
    SUSHISWAP_V2,
    SUSHISWAP_V3,
    UNISWAP_V2,
    UNISWAP_V3,
    Groundwork,
    tick_spacing,
)
from engine.app.world.liquidity import PEGGED_BANDS, VOLATILE_BANDS, Range, positions, sqrt_price_x96
from engine.app.world.outbox import Outbox, Sending, calldata
from engine.app.world.tokens import TruePrices
from engine.chain.rpc import RpcNode
from engine.domain.market import PoolRecord, Protocol, Token, Venue
from engine.domain.provenance import pool_address

# Depth in millions of US dollars, both sides together, by tokens and fee tier; about mainnet's of early 2025.
_V2_DEPTHS = {
    UNISWAP_V2: (
        "WETH/USDC 40 | WETH/USDT 60 | WETH/DAI 9 | WBTC/WETH 6 | LINK/WETH 4 | UNI/WETH 3 | AAVE/WETH 1.2 | "
        "MKR/WETH 3 | CRV/WETH 0.5 | LDO/WETH 0.8 | SHIB/WETH 12 | PEPE/WETH 15 | USDC/USDT 3 | DAI/USDC 2 | "
        "wstETH/WETH 0.6"
    ),
    SUSHISWAP_V2: (
        "WETH/USDC 8 | WETH/USDT 9 | WETH/DAI 5 | WBTC/WETH 20 | LINK/WETH 2 | UNI/WETH 0.6 | "
        "AAVE/WETH 1.5 | MKR/WETH 0.4 | CRV/WETH 1 | LDO/WETH 2.5 | SHIB/WETH 0.5 | DAI/USDC 0.5"
    ),
}
_V3_DEPTHS = {
    UNISWAP_V3: (
        "WETH/USDC 100 8 | WETH/USDC 500 120 | WETH/USDC 3000 60 | WETH/USDC 10000 3 | WETH/USDT 100 20 | "
        "WETH/USDT 500 30 | WETH/USDT 3000 60 | WETH/DAI 500 5 | WETH/DAI 3000 6 | WBTC/WETH 500 60 | "
        "WBTC/WETH 3000 90 | WBTC/USDC 3000 20 | WBTC/USDT 3000 12 | USDC/USDT 100 30 | USDC/USDT 500 2 | "
        "DAI/USDC 100 30 | DAI/USDC 500 2 | DAI/USDT 100 1.5 | wstETH/WETH 100 20 | LINK/WETH 3000 20 | "
        "LINK/WETH 10000 1 | LINK/USDC 3000 1 | UNI/WETH 3000 15 | UNI/USDC 3000 1.2 | AAVE/WETH 3000 12 | "
        "MKR/WETH 3000 10 | CRV/WETH 3000 1 | CRV/WETH 10000 2 | LDO/WETH 3000 5 | SHIB/WETH 3000 3 | "
        "SHIB/WETH 10000 3 | PEPE/WETH 3000 10 | PEPE/WETH 10000 2"
    ),
    SUSHISWAP_V3: "WETH/USDC 500 2 | WETH/USDT 500 2 | WBTC/WETH 500 1 | USDC/USDT 100 0.8",
    PANCAKESWAP_V3: (
        "WETH/USDC 100 6 | WETH/USDC 500 5 | WETH/USDT 500 12 | WBTC/WETH 500 4 | WBTC/WETH 2500 3 | "
        "WBTC/USDT 500 2 | USDC/USDT 100 10 | LINK/WETH 2500 0.5 | UNI/WETH 2500 0.4 | PEPE/WETH 2500 0.6 | "
        "AAVE/WETH 10000 0.3"
    ),
}

# Prices of these tokens hardly move against each other, and liquidity sits close around them.
_PEGGED = (frozenset({"USDC", "USDT", "DAI"}), frozenset({"WETH", "wstETH"}))

_V3_MINT_GAS = 900_000
_CREATE_GAS = 7_000_000


@dataclass(slots=True)
class WorldPool:
    """A pool and what its inhabitants know about it.

    `est_depth_usd` is its worth at creation, both sides. `ranges` are the V3 positions the liquidity
    provider holds, updated as it mints and burns.
    """

    record: PoolRecord
    tokens: tuple[Token, Token]
    est_depth_usd: float
    pegged: bool
    ranges: list[Range] = field(default_factory=list)

    @property
    def is_v3(self) -> bool:
        return self.record.protocol is Protocol.UNISWAP_V3


def plan_pools(ground: Groundwork) -> list[WorldPool]:
    """Every pool of the world, with the address its factory will give it."""
    pools = []
    for name, text in _V2_DEPTHS.items():
        for symbols, depth in (entry.split() for entry in text.split(" | ")):
            pools.append(_plan(ground, name, symbols, 3000, float(depth)))
    for name, text in _V3_DEPTHS.items():
        for symbols, fee, depth in (entry.split() for entry in text.split(" | ")):
            pools.append(_plan(ground, name, symbols, int(fee), float(depth)))
    return pools


def _plan(ground: Groundwork, venue_name: str, symbols: str, fee_pips: int, depth_musd: float) -> WorldPool:
    venue = ground.venue(venue_name)
    pair = [ground.token(symbol) for symbol in symbols.split("/")]
    token0, token1 = sorted(pair, key=lambda token: int(token.address, 16))
    record = PoolRecord(
        address=pool_address(venue, token0.address, token1.address, fee_pips),
        protocol=venue.protocol,
        venue=venue.name,
        tokens=(token0.address, token1.address),
        fee_pips=fee_pips,
        tick_spacing=tick_spacing(fee_pips) if venue.protocol is Protocol.UNISWAP_V3 else 0,
    )
    pegged = any({token0.symbol, token1.symbol} <= group for group in _PEGGED)
    return WorldPool(record, (token0, token1), depth_musd * 1e6, pegged)


async def create_pools(
    outbox: Outbox,
    ground: Groundwork,
    pools: list[WorldPool],
    prices: TruePrices,
    provider: str,
    rng: Random,
    fee_wei: int,
) -> None:
    """Create every pool in one block and fill it in the next. `provider` must hold and have approved enough.

    Prices start within a few hundredths of a per cent of the true ones, as traders leave them.
    """
    start = {pool.record.address: _opening_price(pool, prices, rng) for pool in pools}
    created = [sending for pool in pools for sending in _creation(ground, pool, provider, start)]
    await outbox.settle(created, fee_wei)
    filled = []
    for pool in pools:
        price = start[pool.record.address]
        filled += (
            _fill_v3(ground, pool, provider, price, prices, rng)
            if pool.is_v3
            else _fill_v2(ground, pool, provider, price, prices)
        )
    await outbox.settle(filled, fee_wei)


async def prove_pool_code(node: RpcNode, venues: list[Venue], pools: list[WorldPool]) -> list[Venue]:
    """The venues with the runtime code hash of their pools where all share it, which only V2's do: a V3
    pool's code holds its own immutables."""
    proven = []
    for venue in venues:
        code_hash = None
        if venue.protocol is Protocol.UNISWAP_V2:
            pair = next(pool.record.address for pool in pools if pool.record.venue == venue.name)
            code = await node.request("eth_getCode", [pair, "latest"])
            code_hash = "0x" + keccak(hexstr=code).hex()
        proven.append(replace(venue, pool_code_hash=code_hash))
    return proven


def _opening_price(pool: WorldPool, prices: TruePrices, rng: Random) -> float:
    noise = rng.gauss(0.0, 5e-5 if pool.pegged else 5e-4)
    return prices.est_pool_price(*pool.tokens) * (1.0 + noise)


def _creation(ground: Groundwork, pool: WorldPool, sender: str, start: dict[str, float]) -> list[Sending]:
    record = pool.record
    factory = ground.venue(record.venue).factory
    what = _describe(pool)
    if not pool.is_v3:
        data = calldata("createPair(address,address)", *record.tokens)
        return [Sending(f"create {what}", sender, factory, data, gas=_CREATE_GAS)]
    create = calldata("createPool(address,address,uint24)", *record.tokens, record.fee_pips)
    initialise = calldata("initialize(uint160)", sqrt_price_x96(start[record.address]))
    return [
        Sending(f"create {what}", sender, factory, create, gas=_CREATE_GAS),
        Sending(f"initialise {what}", sender, record.address, initialise),
    ]


def _fill_v2(
    ground: Groundwork, pool: WorldPool, provider: str, price: float, prices: TruePrices
) -> list[Sending]:
    token0, token1 = pool.record.tokens
    pair = pool.record.address
    reserve0 = int(pool.est_depth_usd / 2 / prices.est_usd_per_unit(pool.tokens[0]))
    reserve1 = int(reserve0 * price)
    what = f"fill {_describe(pool)}"
    return [
        Sending(what, provider, token0, calldata("transfer(address,uint256)", pair, reserve0)),
        Sending(what, provider, token1, calldata("transfer(address,uint256)", pair, reserve1)),
        Sending(what, provider, pair, calldata("mint(address)", provider)),
        # The provider takes liquidity out through the router, which then needs its pool shares.
        approval(provider, pair, ground.routers[pool.record.venue]),
    ]


def _fill_v3(
    ground: Groundwork, pool: WorldPool, provider: str, price: float, prices: TruePrices, rng: Random
) -> list[Sending]:
    units = (prices.est_usd_per_unit(pool.tokens[0]), prices.est_usd_per_unit(pool.tokens[1]))
    bands = PEGGED_BANDS if pool.pegged else VOLATILE_BANDS
    pool.ranges = positions(rng, bands, pool.est_depth_usd, price, units, pool.record.tick_spacing)
    return [mint_range(ground, pool, provider, position) for position in pool.ranges]


def mint_range(ground: Groundwork, pool: WorldPool, provider: str, position: Range) -> Sending:
    """The provider's transaction that adds a V3 position."""
    data = calldata(
        "mint(address,address,int24,int24,uint128)",
        pool.record.address,
        provider,
        position.tick_lower,
        position.tick_upper,
        position.liquidity,
    )
    return Sending(f"mint on {_describe(pool)}", provider, ground.callee, data, gas=_V3_MINT_GAS)


def _describe(pool: WorldPool) -> str:
    token0, token1 = pool.tokens
    return f"{pool.record.venue} {token0.symbol}/{token1.symbol} {pool.record.fee_pips}"
