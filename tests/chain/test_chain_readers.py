"""Every reader against published contracts on a real node, each state beside what was done to the pool."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from local_node import LocalNode
from published_worlds import NODE_OPTIONS, build_on, needs_published

from engine.chain.bootstrap import refresh
from engine.chain.readers.v4 import pool_id
from engine.chain.rpc import connect
from engine.domain.market import PoolRecord, Protocol
from engine.domain.pool_details import AlgebraDetails, AlgebraVersion, UniswapV4Details
from engine.domain.pool_state import PoolState, V3PoolState, V4PoolState

pytestmark = needs_published
Q96 = 1 << 96


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNode]:
    started = LocalNode(tmp_path_factory.mktemp("readers"))
    started.start(*NODE_OPTIONS)
    yield started
    started.stop()


async def read(node: LocalNode, world: Any, record: PoolRecord) -> PoolState:
    async with connect(node.http) as connection:
        states, refused = await refresh(connection, [record], (), world.chain.head())
    assert refused == {}
    return states[record.key]


def lower(tokens: list[str]) -> tuple[str, ...]:
    return tuple(token.lower() for token in tokens)


def furnish(world: Any, pool: Any, rng: random.Random) -> None:
    """Overlapping ranges, one of them over every usable tick, some of it burnt again."""
    spacing = pool.ticks.spacing
    edge = 887_272 // spacing * spacing
    ranges = [(-edge, edge), (-40 * spacing, 60 * spacing), (-300 * spacing, -20 * spacing)]
    ranges += [
        (at * spacing, (at + 1 + rng.randrange(400)) * spacing) for at in rng.sample(range(-500, 90), 6)
    ]
    for lower_tick, upper_tick in ranges:
        liquidity = rng.randrange(10**12, 10**20)
        world.mint(pool, lower_tick, upper_tick, liquidity)
        pool.ticks.add(lower_tick, upper_tick, liquidity)
    world.burn(pool, *ranges[1], 10**11)
    pool.ticks.add(*ranges[1], -(10**11))


def expected_ticks(pool: Any) -> tuple[tuple[int, int, int], ...]:
    return tuple((tick, net, pool.ticks.gross[tick]) for tick, net in pool.ticks.rows())


CONCENTRATED = {
    "UniswapWorld": (Protocol.UNISWAP_V3, None),
    "PancakeWorld": (Protocol.UNISWAP_V3, None),
    "SlipstreamWorld": (Protocol.SLIPSTREAM, None),
    "AlgebraWorld": (Protocol.ALGEBRA, AlgebraDetails(AlgebraVersion.V2)),
    "IntegralWorld": (Protocol.ALGEBRA, AlgebraDetails(AlgebraVersion.INTEGRAL)),
}


@pytest.mark.parametrize("name", CONCENTRATED)
async def test_concentrated_pools(node: LocalNode, name: str) -> None:
    import exact_concentrated

    rng = random.Random(7)
    world = build_on(node, exact_concentrated, getattr(exact_concentrated, name))
    pool = world.create(rng, Q96 * 9 // 10)
    furnish(world, pool, rng)
    if name in ("SlipstreamWorld", "IntegralWorld"):
        world.settle(rng, pool)
    protocol, details = CONCENTRATED[name]
    record = PoolRecord(
        pool.address.lower(), protocol, "", lower(world.tokens), pool.fees[0], pool.ticks.spacing, details
    )
    state = await read(node, world, record)
    price, tick, liquidity = world.state(pool)
    fees = None if protocol is Protocol.UNISWAP_V3 else pool.fees
    if name == "AlgebraWorld":
        types = "uint160", "int24", "int24", "uint16"
        stored = world.chain.call(pool.address, "globalState()", returns=types)[3]
        fees = (stored, stored)
    assert state == V3PoolState(record, price, liquidity, tick, expected_ticks(pool), None, fees)
    assert liquidity > 0
    assert len(state.ticks) > 10


async def test_v4_pools(node: LocalNode) -> None:
    import exact_v4

    rng = random.Random(9)
    world = build_on(node, exact_v4, exact_v4.ManagerWorld)
    pool = world.create(rng, Q96 * 11 // 10)
    furnish(world, pool, rng)
    world.settle(rng, pool)
    currencies = lower(world.tokens)
    _, _, fee, spacing, hooks = world.key
    draft = UniswapV4Details("", pool.address.lower(), fee, spacing, hooks)
    details = UniswapV4Details(pool_id(draft, *currencies), pool.address.lower(), fee, spacing, hooks)
    record = PoolRecord(details.manager, Protocol.UNISWAP_V4, "", currencies, fee, spacing, details)
    state = await read(node, world, record)
    assert isinstance(state, V4PoolState)
    price, tick, liquidity = world.state(pool)
    assert state.sqrt_price_x96 == price
    assert state.tick == tick - 2**256 if tick >= 2**255 else tick
    assert state.liquidity == liquidity > 0
    assert state.ticks == expected_ticks(pool)
    assert state.lp_fee == fee
    from engine.amm.v4_fees import v4_fee

    assert (v4_fee(state.protocol_fee, fee, True), v4_fee(state.protocol_fee, fee, False)) == pool.fees


async def test_v4_pools_that_are_not_their_key_or_have_a_meddling_hook_are_refused(node: LocalNode) -> None:
    tokens = ("0x" + "11" * 20, "0x" + "22" * 20)
    manager = "0x" + "33" * 20
    records = []
    for hooks, key_fee in (("0x" + "00" * 19 + "04", 3000), ("0x" + "00" * 19 + "80", 0x800000)):
        draft = UniswapV4Details("", manager, key_fee, 60, hooks)
        details = UniswapV4Details(pool_id(draft, *tokens), manager, key_fee, 60, hooks)
        records.append(PoolRecord(manager, Protocol.UNISWAP_V4, "", tokens, 3000, 60, details))
    false_id = UniswapV4Details("0x" + "ab" * 32, manager, 3000, 60)
    records.append(PoolRecord(manager, Protocol.UNISWAP_V4, "", tokens, 3000, 60, false_id))
    from engine.chain.wire import header

    async with connect(node.http) as connection:
        states, refused = await refresh(connection, records, (), header(node.block()).ref)
    assert states == {}
    assert len(refused) == 3
    assert refused["0x" + "ab" * 32] == "its id is not that of its key"
