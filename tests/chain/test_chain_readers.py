"""Every reader against published contracts on a real node, each state beside what was done to the pool."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from eth_utils import keccak
from local_node import LocalNode
from published_worlds import NODE_OPTIONS, OWNER, build_on, needs_published

from engine.chain.bootstrap import bootstrap, refresh
from engine.chain.creations import Sighting
from engine.chain.discovery import find_pools
from engine.chain.identify import identify
from engine.chain.readers.reading import Reading
from engine.chain.readers.v4 import pool_id
from engine.chain.rpc import connect
from engine.domain.market import PoolRecord, Protocol, Venue
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
    "IntegralWorld": (Protocol.ALGEBRA, AlgebraDetails(AlgebraVersion.INTEGRAL)),
}


@pytest.mark.parametrize("name", CONCENTRATED)
async def test_concentrated_pools(node: LocalNode, name: str) -> None:
    import exact_worlds

    rng = random.Random(7)
    world = build_on(node, exact_worlds, getattr(exact_worlds, name))
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
    assert state == V3PoolState(record, price, liquidity, tick, expected_ticks(pool), None, fees)
    assert liquidity > 0
    assert len(state.ticks) > 10


async def test_algebra_v2_is_read_with_the_fee_of_the_block_to_trade_in(node: LocalNode) -> None:
    """The fee read beforehand is what the pool stores, and so charged, once a swap has come at that time."""
    import exact_worlds

    rng = random.Random(7)
    world = build_on(node, exact_worlds, exact_worlds.AlgebraWorld)
    configuration = (9_000, 30_000, 360, 60_000, 59, 8_500, 100)
    signature = "setDefaultFeeConfiguration((uint16,uint16,uint32,uint32,uint16,uint16,uint16))"
    world.chain.call(world.factory, signature, configuration)
    pool = world._pool(rng, Q96 * 9 // 10, "createPool(address,address)")
    furnish(world, pool, rng)
    details = AlgebraDetails(AlgebraVersion.V2)
    record = PoolRecord(
        pool.address.lower(), Protocol.ALGEBRA, "", lower(world.tokens), 0, pool.ticks.spacing, details
    )
    types = "uint160", "int24", "int24", "uint16"
    moved = 0
    for turn, gap in enumerate((1, 12, 12, 600, 12, 3600, 30_000, 1, 90_000, 40_000)):
        head = world.chain.head()
        stored = world.chain.call(pool.address, "globalState()", returns=types)[3]
        async with connect(node.http) as connection:
            trade_time = head.timestamp + gap
            states, refused = await refresh(connection, [record], (), head, trade_time=trade_time)
            same_time, _ = await refresh(connection, [record], (), head)
        assert refused == {}
        state = states[record.key]
        assert isinstance(state, V3PoolState)
        price, tick, liquidity = world.state(pool)
        assert (state.sqrt_price_x96, state.tick, state.liquidity) == (price, tick, liquidity)
        assert state.ticks == expected_ticks(pool)
        down = turn % 2 == 0
        limit = price * 249 // 250 if down else price * 251 // 250
        node.rpc("evm_setNextBlockTimestamp", trade_time)
        world.swap(pool, [10**30, limit, int(down)])
        assert world.chain.head().timestamp == trade_time
        charged = world.chain.call(pool.address, "globalState()", returns=types)[3]
        assert state.fees == (charged, charged), gap
        if turn:
            # In the very block of the last swap its fee holds on.
            assert same_time[record.key].fees == (stored, stored)
        moved += stored != charged
    assert moved >= 6


async def test_algebra_v1_is_refused_because_its_next_fee_cannot_be_read(node: LocalNode) -> None:
    import exact_worlds

    world = build_on(node, exact_worlds, exact_worlds.IntegralWorld)
    details = AlgebraDetails(AlgebraVersion.V1)
    record = PoolRecord("0x" + "11" * 20, Protocol.ALGEBRA, "", lower(world.tokens), 0, 60, details)
    async with connect(node.http) as connection:
        states, refused = await refresh(connection, [record], (), world.chain.head())
    assert states == {}
    assert refused == {record.key: "the fee that its next swap is charged cannot be read"}


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


def single(protocol: Protocol, address: str, deployer: str = "") -> Venue:
    """A venue of one contract, as a registry would name it."""
    return Venue("one", protocol, address.lower(), deployer.lower(), "0x" + "00" * 32)


async def identified(node: LocalNode, world: Any, venue: Venue, sightings: list[Sighting]) -> Any:
    """(states by key, refusals) of sighted pools, read as discovery and bootstrap read them."""
    head = world.chain.head()
    async with connect(node.http) as connection:
        reading = Reading(connection, head, [venue])
        records = await identify(reading, sightings)
        boot = await bootstrap(connection, records, [venue], head)
        return {state.pool.key: state for state in boot.pools}, reading.refused | boot.refused


@pytest.mark.parametrize("stable", [False, True])
async def test_solidly_pools_are_found_by_their_factory(node: LocalNode, stable: bool) -> None:
    import exact_solidly

    first = int(node.block()["number"], 16)
    world = build_on(node, exact_solidly, lambda: exact_solidly.World(stable))
    chain = world.chain
    implementation = chain.call(world.factory, "implementation()", returns=("address",))
    init = bytes.fromhex("3d602d80600a3d3981f3363d3d373d3d3d363d73")
    init += bytes.fromhex(implementation[2:]) + bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
    venue = Venue(
        "aerodrome", Protocol.SOLIDLY, world.factory.lower(), world.factory.lower(), "0x" + keccak(init).hex()
    )
    expected = {}
    for number, (pool, decimals) in enumerate(world.pools):
        tokens = chain.call(pool, "tokens()", returns=("address", "address"))
        for token, amount in zip(tokens, (10**9 + number, 10**10 + number), strict=True):
            chain.call(token, "set(address,uint256)", pool, amount)
        chain.call(pool, "sync()")
        fee = chain.call(world.factory, "getFee(address,bool)", pool, stable, returns=("uint256",))
        expected[pool.lower()] = (10**9 + number, 10**10 + number, fee, decimals, lower(list(tokens)))
    head = chain.head()
    async with connect(node.http) as connection:
        records, refused = await find_pools(connection, [venue], first, head)
        boot = await bootstrap(connection, records, [venue], head)
    assert refused | boot.refused == {
        token: boot.refused[token] for token in boot.refused if token not in expected
    }
    for state in boot.pools:
        details = state.pool.details
        assert isinstance(details, SolidlyDetails)
        assert (details.stable, details.version) == (stable, SolidlyVersion.AERODROME)
        found = (state.reserve0, state.reserve1, state.fee, details.decimals, state.pool.tokens)
        assert found == expected.pop(state.pool.key)
    assert not expected


async def test_the_curve_pool_whose_bytecode_is_published(node: LocalNode) -> None:
    import exact_curve

    world = build_on(node, exact_curve, exact_curve.World)
    balances = [5 * 10**23, 7 * 10**11, 6 * 10**11 + 1, 9 * 10**23]
    world.write(balances, 200, 4 * 10**6, 5 * 10**9)
    venue = single(Protocol.CURVE_STABLESWAP, world.pool)
    states, refused = await identified(node, world, venue, [Sighting(venue, venue.factory)])
    assert refused == {}
    state = states[venue.factory]
    assert state.pool.details == CurveStableDetails(StableSwapVariant.SUSD)
    assert (state.balances, state.ramp) == (tuple(balances), (200, 200, 0, 0))
    assert state.rates == (10**18, 10**30, 10**30, 10**18)
    assert (state.fee, state.admin_fee, state.offpeg_fee_multiplier) == (4 * 10**6, 5 * 10**9, 0)


@pytest.mark.parametrize("kind", ["weighted_2021", "weighted_v3", "stable_2021", "stable_v2", "composable"])
async def test_balancer_v2_pools(node: LocalNode, kind: str) -> None:
    import exact_balancer_v2

    rng = random.Random(kind)
    make = getattr(exact_balancer_v2, kind)
    world = build_on(node, exact_balancer_v2, lambda: exact_balancer_v2.World(make))
    pool = make(world, rng)
    balances = [rng.randrange(10**18, 10**24) for _ in pool.assets]
    world.write(pool, balances)
    if pool.providers:
        for number, provider in enumerate(pool.providers):
            if provider != exact_balancer_v2.NOBODY:
                pool.rates[number] = 10**18 + 10**15 * (number + 1)
                world.chain.call(provider, "set(uint256)", pool.rates[number])
                world.chain.call(pool.address, "updateTokenRateCache(address)", pool.tokens[number])
    protocol = Protocol.BALANCER_V2_STABLE if pool.amp else Protocol.BALANCER_V2_WEIGHTED
    venue = single(protocol, pool.address, world.vault)
    states, refused = await identified(node, world, venue, [Sighting(venue, venue.factory)])
    assert refused == {}
    state = states[venue.factory]
    places = [pool.assets.index(token) for token in state.pool.tokens]
    assert sorted(state.pool.tokens) == sorted(pool.tokens)
    assert state.balances == tuple(balances[place] for place in places)
    assert (state.swap_fee, state.pool.details.pool_id) == (pool.fee, "0x" + pool.pool_id.hex())
    order = [pool.tokens.index(token) for token in state.pool.tokens]
    scaling = tuple(pool.scaling[at] for at in order)
    if pool.amp:
        assert state.amp_ramp == (pool.amp, pool.amp, 0, 0)
        assert state.scaling_factors == scaling
        assert state.pool.details.version == (1 if kind == "stable_2021" else 2)
        assert (state.pool.details.bpt_index is not None) == (kind == "composable")
    else:
        assert state.pool.details.weights == tuple(pool.weights[at] for at in order)
        assert state.pool.details.scaling_factors == scaling
        assert state.pool.details.version == (1 if kind == "weighted_2021" else 2)


@pytest.mark.parametrize("author", ["openzeppelin", "solmate"])
async def test_vaults(node: LocalNode, author: str) -> None:
    import exact_vaults

    world = build_on(node, exact_vaults, lambda: exact_vaults.World(author))
    for number, (vault, virtual_shares, virtual_assets) in enumerate(world.vaults):
        asset = world.chain.call(vault, "asset()", returns=("address",))
        world.chain.call(asset, "set(address,uint256)", OWNER, 10**30)
        world.chain.call(asset, "approve(address,uint256)", vault, 2**256 - 1)
        world.chain.call(vault, "deposit(uint256,address)", 10**21 + number, OWNER)
        world.chain.call(asset, "set(address,uint256)", vault, 12 * 10**20 + 7)
        supply = world.chain.call(vault, "totalSupply()", returns=("uint256",))
        venue = single(Protocol.ERC4626, vault)
        states, refused = await identified(node, world, venue, [Sighting(venue, venue.factory)])
        assert refused == {}
        state = states[venue.factory]
        assert (state.total_assets, state.total_supply) == (12 * 10**20 + 7, supply)
        assert state.pool.details == Erc4626Details(virtual_shares, virtual_assets)
        assert state.pool.tokens == lower([asset, vault])


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["weighted", "stable"])
async def test_balancer_v3_pools(node: LocalNode, kind: str) -> None:
    """Compiling the vault takes minutes the first time."""
    import exact_balancer_v3

    rng = random.Random(kind)
    make = getattr(exact_balancer_v3, kind)
    world = build_on(node, exact_balancer_v3, lambda: exact_balancer_v3.World(make))
    pool = make(world, rng)
    pool.rates = [10**18] * len(pool.tokens)
    for number, provider in enumerate(pool.providers):
        if provider != exact_balancer_v3.NOBODY:
            pool.rates[number] = 10**18 + 10**15 * (number + 1)
            world.chain.call(provider, "set(uint256)", pool.rates[number])
    balances = [rng.randrange(10**12, 10**24) // factor for factor in pool.factors]
    world.write(pool, balances)
    protocol = Protocol.BALANCER_V3_STABLE if pool.amp else Protocol.BALANCER_V3_WEIGHTED
    venue = single(protocol, pool.address, world.vault)
    states, refused = await identified(node, world, venue, [Sighting(venue, venue.factory)])
    assert refused == {}
    state = states[venue.factory]
    assert state.pool.tokens == lower(pool.tokens)
    assert state.live_balances == tuple(pool.live(balances))
    assert (state.rates, state.swap_fee) == (tuple(pool.rates), pool.fee)
    assert state.pool.details.decimal_factors == tuple(pool.factors)
    if pool.amp:
        assert state.amp_ramp == (pool.amp, pool.amp, 0, 0)
    else:
        assert state.pool.details.weights == tuple(pool.weights)
        assert state.pool.details.minimum_balances == tuple(pool.floors)
