"""The embedded world: created on a fresh node, then traded and mined block by block."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from engine.app.world.accounts import DEPLOYER, PROVIDER, REPORTER, TRADERS, TRAFFIC, endow, open_accounts
from engine.app.world.dexes import Groundwork, lay_groundwork
from engine.app.world.feeds import PriceFeed, Reporter, deploy_feeds
from engine.app.world.listings import write_listings
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.app.world.outbox import Outbox, Sending
from engine.app.world.pools import WorldPool, create_pools, plan_pools, prove_pool_code
from engine.app.world.tokens import BASE_SYMBOLS, TruePrices
from engine.app.world.traders import Traders
from engine.chain.rpc import RpcNode
from engine.chain.wire import header
from engine.domain.market import BlockRef, PoolRecord, Token, Venue

BLOCK_TIME_S = 12
BLOCK_GAS_LIMIT = 36_000_000
OPENING_BASE_FEE_WEI = 600_000_000

# 2025-01-01 00:00 UTC: a fixed start makes every block's time, and so its state, a function of the seed.
GENESIS_TIMESTAMP = 1_735_689_600

_CREATION_GAS_LIMIT = 4_000_000_000
# What the block's transactions other than the traffic use, about.
_USUAL_GAS = 1_500_000
# Traders bid this much over the base fee and more; the rest of the block bids less.
_TRADER_FLOOR_WEI = 100_000
_NODE_TIMEOUT_S = 60.0


def node_options(*, chain_id: int = 31337) -> AnvilOptions:
    """How the node of a world is started: mining on request, at a fixed time."""
    return AnvilOptions(
        chain_id=chain_id,
        no_mining=True,
        order="fees",
        timestamp=GENESIS_TIMESTAMP,
        base_fee_wei=OPENING_BASE_FEE_WEI,
        gas_limit=_CREATION_GAS_LIMIT,
    )


class World:
    """A chain with venues, tokens, pools, feeds and people on it; `create` makes one.

    The same seed on a node of `node_options` gives the same addresses, prices, trades and block times.
    Each trade bids less than `trader_max_fee_wei`, and the node orders by max fee per gas: whoever bids more
    goes first in the next block.
    """

    def __init__(
        self,
        anvil: AnvilProcess,
        node: RpcNode,
        outbox: Outbox,
        ground: Groundwork,
        pools: list[WorldPool],
        feeds: list[PriceFeed],
        prices: TruePrices,
        seed: int,
        head: BlockRef,
    ):
        self.anvil = anvil
        self.node = node
        self.seed = seed
        self.head = head
        self.feeds = feeds
        self.prices = prices
        self.world_pools = pools
        self._ground = ground
        self._outbox = outbox
        self._traders = Traders(
            node, ground, pools, prices, list(TRADERS), PROVIDER, Random(f"{seed}:traders")
        )
        self._reporter = Reporter(REPORTER, feeds, prices, head.timestamp)
        self._traffic = Random(f"{seed}:traffic")

    @classmethod
    async def create(cls, anvil: AnvilProcess, seed: int) -> World:
        """Furnish a fresh node started with `node_options`, and leave it mining each transaction.

        Raises NodeError when anything cannot be deployed, ConfigError when a package is not installed.
        """
        node = RpcNode(anvil.http_url, timeout_s=_NODE_TIMEOUT_S, max_batch=1_000)
        try:
            await node.request("anvil_setBlockTimestampInterval", [BLOCK_TIME_S])
            outbox = Outbox(node)
            await open_accounts(outbox)
            prices = TruePrices(Random(f"{seed}:prices"))
            fee_wei = 2 * OPENING_BASE_FEE_WEI
            ground = await lay_groundwork(outbox, DEPLOYER, fee_wei)
            feeds = await deploy_feeds(outbox, REPORTER, ground, prices, fee_wei)
            pools = plan_pools(ground)
            await endow(outbox, ground, prices, fee_wei)
            await create_pools(outbox, ground, pools, prices, PROVIDER, Random(f"{seed}:pools"), fee_wei)
            venues = await prove_pool_code(node, ground.venues, pools)
            await node.request("evm_setBlockGasLimit", [hex(BLOCK_GAS_LIMIT)])
            await node.request("anvil_setNextBlockBaseFeePerGas", [hex(OPENING_BASE_FEE_WEI)])
            await node.request("evm_mine", [])
            await node.request("evm_setAutomine", [True])
            head = await _latest(node)
            return cls(anvil, node, outbox, replace(ground, venues=venues), pools, feeds, prices, seed, head)
        except BaseException:
            await node.close()
            raise

    @property
    def venues(self) -> list[Venue]:
        """Every venue, with the code hashes of what it deploys."""
        return self._ground.venues

    @property
    def tokens(self) -> list[Token]:
        """Every token."""
        return self._ground.tokens

    @property
    def pools(self) -> list[PoolRecord]:
        """Every pool, in order of creation."""
        return [pool.record for pool in self.world_pools]

    @property
    def base_tokens(self) -> list[str]:
        """Addresses of the tokens a cycle may start and end in; each has a feed."""
        return [self._ground.token(symbol).address for symbol in BASE_SYMBOLS]

    @property
    def allowed_tokens(self) -> list[str]:
        """Addresses of the tokens a cycle may pass through."""
        return [token.address for token in self.tokens]

    @property
    def wrapped_native(self) -> str:
        """WETH's address."""
        return self._ground.token("WETH").address

    @property
    def trader_max_fee_wei(self) -> int:
        """An upper bound of what anybody in the world bids per gas for the next block."""
        return self.head.next_base_fee_wei() + 2 * _TRADER_FLOOR_WEI

    async def open_market(self) -> BlockRef:
        """Stop mining by itself and bring the base fee back to its opening value; the new head.

        Call it once everything else is deployed, and before the first `trade`.
        """
        await self.node.request("evm_setAutomine", [False])
        await self.node.request("anvil_setNextBlockBaseFeePerGas", [hex(OPENING_BASE_FEE_WEI)])
        await self.node.request("evm_mine", [])
        self.head = await _latest(self.node)
        return self.head

    async def trade(self) -> list[str]:
        """Let prices wander by one block and submit that block's trades; their transaction hashes."""
        self.prices.advance()
        sendings = await self._traders.next_block()
        return await self._outbox.send(sendings, self.head.next_base_fee_wei(), floor_wei=_TRADER_FLOOR_WEI)

    async def mine(self) -> BlockRef:
        """Mine one block, 12 seconds after the last, with due feed reports and other people's traffic."""
        reports = self._reporter.reports(self.head.timestamp + BLOCK_TIME_S)
        await self._outbox.send([*reports, self._other_traffic()], self.head.next_base_fee_wei())
        await self.node.request("evm_mine", [])
        self.head = await _latest(self.node)
        return self.head

    async def catch_up(self) -> BlockRef:
        """Take up what others did to the chain: blocks that they mined, transactions that the node dropped
        because a block's base fee was beyond what they pay. The head."""
        await self._outbox.recount()
        self.head = await _latest(self.node)
        return self.head

    def deployment_inputs(self, directory: Path) -> tuple[Path, Path]:
        """Write `venues.json` and `feeds.json` for the deployment script; their paths."""
        return write_listings(directory, self.venues, self.feeds)

    async def close(self) -> None:
        """Close the connection to the node; the world may still be used and opens it again."""
        await self.node.close()

    def _other_traffic(self) -> Sending:
        """Gas use that lets the base fee wander around its opening value by EIP-1559's own rule."""
        pull = 0.3 * math.log(OPENING_BASE_FEE_WEI / max(1, self.head.next_base_fee_wei()))
        change = max(-0.11, min(0.11, pull + self._traffic.gauss(0.0, 0.03)))
        gas = int(BLOCK_GAS_LIMIT // 2 * (1.0 + 8.0 * change)) - _USUAL_GAS
        return Sending("traffic", TRAFFIC, self._ground.traffic, b"", gas=max(100_000, gas))


@asynccontextmanager
async def open_world(seed: int, *, chain_id: int = 31337) -> AsyncIterator[World]:
    """A world on a node of its own (`World.anvil`), which is stopped at the end, however it comes."""
    with AnvilProcess(node_options(chain_id=chain_id)) as anvil:
        world = await World.create(anvil, seed)
        try:
            yield world
        finally:
            await world.close()


async def _latest(node: RpcNode) -> BlockRef:
    return header(await node.request("eth_getBlockByNumber", ["latest", False])).ref
