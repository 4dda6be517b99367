"""What the embedded world is furnished with, read back from its chain."""

import json
import math
from collections import Counter, defaultdict
from random import Random

import pytest
from eth_abi.abi import decode
from eth_utils import keccak

from engine.app.world.dexes import PANCAKESWAP_V3, SUSHISWAP_V2, SUSHISWAP_V3, UNISWAP_V2, UNISWAP_V3
from engine.app.world.feeds import USD
from engine.app.world.outbox import calldata
from engine.app.world.tokens import TOKEN_SPECS, TruePrices
from engine.app.world.world import BLOCK_TIME_S, GENESIS_TIMESTAMP, open_world
from engine.domain.market import Protocol
from engine.domain.provenance import pool_address

# The init code hashes every mainnet integration has compiled in.
MAINNET_INIT_CODE_HASHES = {
    UNISWAP_V2: "0x96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f",
    SUSHISWAP_V2: "0xe18a34eb0e04b04f7a0ac29a6e80748dca96319b42c54d679cb821dca90c6303",
    UNISWAP_V3: "0xe34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54",
    SUSHISWAP_V3: "0xe34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54",
    PANCAKESWAP_V3: "0x6ce8eb472fa82df5469c6ab6d485f17c3ad13c8cd7af59b3d4a8026c5ce0f7e2",
}


async def view(world, to, types, signature, *arguments):
    data = "0x" + calldata(signature, *arguments).hex()
    raw = bytes.fromhex((await world.node.request("eth_call", [{"to": to, "data": data}, "latest"]))[2:])
    return decode(types, raw[: 32 * len(types)] if "string" not in types else raw)


async def code(world, address):
    return bytes.fromhex((await world.node.request("eth_getCode", [address, "latest"]))[2:])


async def state(world, record):
    """(price, root price, liquidity) on V3, (price, reserve0, reserve1) on V2."""
    if record.protocol is Protocol.UNISWAP_V3:
        (root,) = await view(world, record.address, ("uint160",), "slot0()")
        (liquidity,) = await view(world, record.address, ("uint128",), "liquidity()")
        return (root / 2**96) ** 2, root, liquidity
    reserve0, reserve1 = await view(world, record.address, ("uint112", "uint112"), "getReserves()")
    return reserve1 / reserve0, reserve0, reserve1


async def test_the_world_is_as_large_as_promised(world):
    assert len(world.tokens) >= 12
    assert {6, 8, 18} <= {token.decimals for token in world.tokens}
    assert len(world.pools) >= 60
    assert len({record.address for record in world.pools}) == len(world.pools)
    per_venue = Counter(record.venue for record in world.pools)
    assert set(per_venue) == {venue.name for venue in world.venues}
    assert len(per_venue) >= 4
    v3_fees = {record.fee_pips for record in world.pools if record.protocol is Protocol.UNISWAP_V3}
    assert v3_fees == {100, 500, 2500, 3000, 10_000}
    usdt = next(token.address for token in world.tokens if token.symbol == "USDT")
    by_kind = Counter(record.protocol for record in world.pools if usdt in record.tokens)
    assert by_kind[Protocol.UNISWAP_V2] >= 2
    assert by_kind[Protocol.UNISWAP_V3] >= 4


async def test_tokens_answer_for_themselves(world):
    for token in world.tokens:
        assert await view(world, token.address, ("string",), "symbol()") == (token.symbol,)
        assert await view(world, token.address, ("uint8",), "decimals()") == (token.decimals,)


async def test_one_token_returns_nothing_from_transfers(world):
    usdt = next(token for token in world.tokens if token.symbol == "USDT")
    call = {"to": usdt.address, "data": "0x" + calldata("transfer(address,uint256)", usdt.address, 0).hex()}
    assert await world.node.request("eth_call", [call, "latest"]) == "0x"


async def test_the_bytecode_is_mainnets(world):
    assert {venue.name: venue.init_code_hash for venue in world.venues} == MAINNET_INIT_CODE_HASHES
    deployers = {venue.name: (venue.factory, venue.deployer) for venue in world.venues}
    for name, (factory, deployer) in deployers.items():
        assert (factory == deployer) is (name != PANCAKESWAP_V3)


async def test_every_pool_is_where_its_factory_puts_it(world):
    venues = {venue.name: venue for venue in world.venues}
    for record in world.pools:
        venue = venues[record.venue]
        assert record.address == pool_address(venue, *record.tokens, record.fee_pips)
        assert await view(world, record.address, ("address",), "factory()") == (venue.factory,)
        assert await view(world, record.address, ("address",), "token0()") == (record.tokens[0],)
        assert await view(world, record.address, ("address",), "token1()") == (record.tokens[1],)
        if record.protocol is Protocol.UNISWAP_V3:
            found = await view(
                world,
                venue.factory,
                ("address",),
                "getPool(address,address,uint24)",
                *record.tokens,
                record.fee_pips,
            )
            assert await view(world, record.address, ("uint24",), "fee()") == (record.fee_pips,)
            assert await view(world, record.address, ("int24",), "tickSpacing()") == (record.tick_spacing,)
        else:
            found = await view(world, venue.factory, ("address",), "getPair(address,address)", *record.tokens)
            assert venue.fee_pips == record.fee_pips == 3000
        assert found == (record.address,)


async def test_v2_pools_of_a_venue_share_their_code(world):
    venues = {venue.name: venue for venue in world.venues}
    for record in world.pools:
        known = venues[record.venue].pool_code_hash
        if record.protocol is Protocol.UNISWAP_V2:
            assert "0x" + keccak(await code(world, record.address)).hex() == known
        else:
            assert known is None


async def test_prices_and_depths_are_like_mainnets(world):
    table = {spec.symbol: spec.price_usd / 10**spec.decimals for spec in TOKEN_SPECS}
    units = {token.address: table[token.symbol] for token in world.tokens}
    for pool in world.world_pools:
        record = pool.record
        price, *depth = await state(world, record)
        unit0, unit1 = (units[token] for token in record.tokens)
        assert price * unit1 / unit0 == pytest.approx(1.0, rel=0.005)
        if record.protocol is Protocol.UNISWAP_V2:
            worth = depth[0] * unit0 + depth[1] * unit1
        else:
            worth = 0.0
            for token, unit in zip(record.tokens, (unit0, unit1), strict=True):
                (held,) = await view(world, token, ("uint256",), "balanceOf(address)", record.address)
                worth += held * unit
        assert worth == pytest.approx(pool.est_depth_usd, rel=0.02)


async def test_v3_liquidity_lies_over_many_overlapping_ranges(world):
    for pool in world.world_pools:
        if not pool.is_v3:
            continue
        net = defaultdict(int)
        for position in pool.ranges:
            net[position.tick_lower] += position.liquidity
            net[position.tick_upper] -= position.liquidity
        for tick, expected in net.items():
            _, found = await view(world, pool.record.address, ("uint128", "int128"), "ticks(int24)", tick)
            assert found == expected
        assert len(net) >= 10
        price, _, active = await state(world, pool.record)
        tick = math.floor(math.log(price) / math.log(1.0001))
        containing = [p.liquidity for p in pool.ranges if p.tick_lower <= tick < p.tick_upper]
        assert len(containing) >= 5
        assert sum(containing) == active


async def test_feeds_cover_the_base_tokens_and_speak_chainlink(world):
    assert {feed.base for feed in world.feeds} == set(world.base_tokens)
    table = {spec.symbol: spec.price_usd for spec in TOKEN_SPECS}
    for feed in world.feeds:
        assert feed.quote == USD
        _, answer, _, updated_at, _ = await view(
            world, feed.aggregator, ("uint80", "int256", "uint256", "uint256", "uint80"), "latestRoundData()"
        )
        assert await view(world, feed.aggregator, ("uint8",), "decimals()") == (feed.decimals,)
        assert await view(world, feed.aggregator, ("string",), "description()") == (feed.description,)
        assert answer / 10**feed.decimals == pytest.approx(table[feed.symbol])
        assert feed.min_answer < answer < feed.max_answer
        assert GENESIS_TIMESTAMP < updated_at <= world.head.timestamp


async def test_chain_time_is_fixed_and_moves_by_twelve_seconds(world):
    genesis = await world.node.request("eth_getBlockByNumber", ["0x0", False])
    assert int(genesis["timestamp"], 16) == GENESIS_TIMESTAMP
    assert world.head.timestamp == GENESIS_TIMESTAMP + BLOCK_TIME_S * world.head.number


async def test_deployment_inputs_list_every_venue_and_feed(world, tmp_path):
    venues_path, feeds_path = world.deployment_inputs(tmp_path / "inputs")
    venues = json.loads(venues_path.read_text())
    feeds = json.loads(feeds_path.read_text())
    assert [entry["name"] for entry in venues] == [venue.name for venue in world.venues]
    assert [entry["init_code_hash"] for entry in venues] == [venue.init_code_hash for venue in world.venues]
    assert [entry["aggregator"] for entry in feeds] == [feed.aggregator for feed in world.feeds]
    assert all(0 < entry["min_answer"] < entry["max_answer"] for entry in feeds)


async def test_the_chain_id_is_a_choice():
    async with open_world(1, chain_id=5150) as world:
        assert await world.node.chain_id() == 5150


def test_true_prices_wander_but_come_back():
    prices = TruePrices(Random("walk"))
    start = {spec.symbol: spec.price_usd for spec in TOKEN_SPECS}
    furthest = 0.0
    for _ in range(5_000):
        prices.advance()
        logs = {symbol: abs(math.log(prices.est_usd(symbol) / usd)) for symbol, usd in start.items()}
        furthest = max(furthest, *logs.values())
        assert logs["USDC"] < 0.002
    assert 0.01 < furthest < 0.12
