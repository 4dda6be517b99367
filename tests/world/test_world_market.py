"""The engine's own eyes on the world: its market follows the trades, and there is something to find."""

from collections import Counter
from fractions import Fraction

from engine.app.loading import load
from engine.chain.bootstrap import bootstrap
from engine.chain.discovery import discover
from engine.chain.logs import decode
from engine.domain.market import Protocol
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.disjoint import choose_disjoint
from engine.search.finder import Finder

BLOCKS = 30


async def read_market(world, records):
    reading = await bootstrap(world.node, records, world.venues, world.head)
    assert reading.refused == {}
    market = Market()
    load(market, reading)
    market.start(world.head)
    return market, reading


def costs_of(world):
    usd = {token.address: world.prices.est_usd_per_unit(token) for token in world.tokens}
    rates = {base: Fraction(usd[world.wrapped_native] / usd[base]) for base in world.base_tokens}
    return GasCosts(gas_price_wei=world.head.next_base_fee_wei() + 10**8, base_units_per_eth_wei=rates)


async def test_trades_leave_profitable_cycles_and_the_market_follows_them(world):
    await world.open_market()
    created = await discover(world.node, world.venues, 0, world.head)
    assert {record.address for record in created.pools} == {record.address for record in world.pools}
    assert created.pools == world.pools
    market, _ = await read_market(world, world.pools)
    finder = Finder(market, world.base_tokens, max_hops=3)
    changed, lengths, mixes, blocks_with_one = None, Counter(), Counter(), 0
    for _ in range(BLOCKS):
        found = finder.find(changed, world.head, costs_of(world))
        paying = choose_disjoint([opportunity for opportunity in found if opportunity.net_profit > 0])
        blocks_with_one += bool(paying)
        lengths.update(len(opportunity.hops) for opportunity in paying)
        mixes.update(frozenset(hop.protocol for hop in opportunity.hops) for opportunity in paying)
        await world.trade()
        block = await world.mine()
        logs = await world.node.request("eth_getLogs", [{"blockHash": block.hash}])
        decoded = decode(logs, market.pool_row)
        assert decoded.hostile == []
        assert decoded.unknown == 0
        changed = market.apply(block, decoded.events)
    assert blocks_with_one >= BLOCKS * 2 // 3
    assert lengths[2] >= 5
    assert lengths[3] >= 5
    assert mixes[frozenset({Protocol.UNISWAP_V2, Protocol.UNISWAP_V3})] >= 5
    await assert_equal_to_the_node(world, market)


async def assert_equal_to_the_node(world, market):
    fresh, reading = await read_market(world, world.pools)
    assert len(reading.pools) == len(market.pools)
    ours, theirs = market.arrays, fresh.arrays
    for record in market.pools:
        mine, other = market.pool_row[record.address], fresh.pool_row[record.address]
        for field in ("reserves", "sqrt_price", "liquidity", "tick", "tick_count"):
            assert (getattr(ours, field)[mine] == getattr(theirs, field)[other]).all(), (record, field)
        my_ticks = slice(ours.tick_start[mine], ours.tick_start[mine] + ours.tick_count[mine])
        its_ticks = slice(theirs.tick_start[other], theirs.tick_start[other] + theirs.tick_count[other])
        assert (ours.arena_tick[my_ticks] == theirs.arena_tick[its_ticks]).all(), record
        assert (ours.arena_net[my_ticks] == theirs.arena_net[its_ticks]).all(), record
