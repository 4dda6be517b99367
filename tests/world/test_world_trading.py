"""The inhabitants trade every block, never fail, keep behind who bids more, and repeat themselves by seed."""

import math
from collections import Counter

import pytest
from eth_utils import keccak

from engine.app.world.accounts import PROVIDER, TRADERS
from engine.app.world.demo_driver import run_blocks
from engine.app.world.feeds import Reporter
from engine.app.world.tokens import TOKEN_SPECS
from engine.app.world.world import BLOCK_TIME_S, OPENING_BASE_FEE_WEI, open_world

DEVELOPER = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
TOPICS = {
    "0x" + keccak(text=signature).hex(): name
    for signature, name in {
        "Sync(uint112,uint112)": "sync",
        "Swap(address,address,int256,int256,uint160,uint128,int24)": "swap",
        "Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)": "pancake swap",
        "Mint(address,address,int24,int24,uint128,uint256,uint256)": "mint",
        "Burn(address,int24,int24,uint128,uint256,uint256)": "burn",
        "Mint(address,uint256,uint256)": "v2 mint",
        "Burn(address,uint256,uint256,address)": "v2 burn",
    }.items()
}


async def nobody(_: int) -> None:
    """Nobody but the inhabitants trades."""


async def receipts_of(world, number):
    return await world.node.request("eth_getBlockReceipts", [hex(number)])


async def trace(seed, blocks):
    """What the chain looks like after some blocks: hashes of all blocks and the last state root."""
    async with open_world(seed) as world:
        await world.open_market()
        mined = await run_blocks(world, blocks, nobody)
        last = await world.node.request("eth_getBlockByNumber", ["latest", False])
        return [block.hash for block in mined], last["stateRoot"], [record.address for record in world.pools]


async def test_every_transaction_of_sixty_blocks_succeeds(world):
    await world.open_market()
    seen = Counter()
    for _ in range(60):
        submitted = await world.trade()
        block = await world.mine()
        receipts = await receipts_of(world, block.number)
        assert set(submitted) <= {receipt["transactionHash"] for receipt in receipts}
        assert [receipt["status"] for receipt in receipts] == ["0x1"] * len(receipts)
        swappers = {receipt["from"] for receipt in receipts} & set(TRADERS)
        assert swappers
        topics = (log["topics"][0] for receipt in receipts for log in receipt["logs"])
        seen.update(TOPICS[topic] for topic in topics if topic in TOPICS)
    assert set(seen) == set(TOPICS.values())
    status = await world.node.request("txpool_status", [])
    assert int(status["pending"], 16) == int(status["queued"], 16) == 0


async def test_people_trade_on_after_a_base_fee_that_none_of_them_pays(world):
    """The node drops their transactions; those that come later must not wait for the lost nonces."""
    await world.open_market()
    lost = await world.trade()
    await world.node.request("anvil_setNextBlockBaseFeePerGas", [hex(10**13)])
    await world.node.request("evm_mine", [])
    await world.node.request("anvil_setNextBlockBaseFeePerGas", [hex(OPENING_BASE_FEE_WEI)])
    await world.node.request("evm_mine", [])
    for _ in range(3):
        head = await world.catch_up()
        submitted = await world.trade()
        block = await world.mine()
        assert block.number == head.number + 1
        mined = {receipt["transactionHash"] for receipt in await receipts_of(world, block.number)}
        assert set(submitted) <= mined
        assert not mined & set(lost)


async def test_pools_keep_near_the_true_prices_and_apart_from_each_other(world):
    await world.open_market()
    await run_blocks(world, 60, nobody)
    states = await world._traders._look(world.world_pools)
    off = [
        math.log(state.est_price / world.prices.est_pool_price(*pool.tokens))
        for pool, state in zip(world.world_pools, states, strict=True)
    ]
    assert max(map(abs, off)) < 0.06
    assert sum(abs(deviation) > 0.002 for deviation in off) >= 10
    table = {spec.symbol: spec.price_usd for spec in TOKEN_SPECS}
    for symbol, usd in table.items():
        assert world.prices.est_usd(symbol) == pytest.approx(usd, rel=0.05)


async def test_the_same_seed_repeats_the_chain_to_the_hash():
    assert await trace(7, 12) == await trace(7, 12)


async def test_another_seed_differs_in_trades_and_not_in_addresses():
    first, second = await trace(7, 3), await trace(8, 3)
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert first[2] == second[2]


async def test_whoever_bids_more_than_the_traders_goes_first(world):
    await world.open_market()
    for _ in range(3):
        await world.trade()
        bid = world.trader_max_fee_wei
        sent = await world.node.request(
            "eth_sendTransaction",
            [
                {
                    "from": DEVELOPER,
                    "to": DEVELOPER,
                    "gas": hex(21_000),
                    "maxFeePerGas": hex(bid),
                    "maxPriorityFeePerGas": "0x1",
                }
            ],
        )
        block = await world.mine()
        receipts = await receipts_of(world, block.number)
        assert receipts[0]["transactionHash"] == sent
        assert len(receipts) > 3


async def test_the_base_fee_follows_its_rule_and_stays_lifelike(world):
    parent = await world.open_market()
    assert parent.base_fee_wei == OPENING_BASE_FEE_WEI
    for block in await run_blocks(world, 40, nobody):
        assert block.base_fee_wei == parent.next_base_fee_wei()
        assert block.parent_hash == parent.hash
        assert block.timestamp == parent.timestamp + BLOCK_TIME_S
        assert OPENING_BASE_FEE_WEI / 2 < block.base_fee_wei < OPENING_BASE_FEE_WEI * 2
        parent = block


async def test_before_mine_sees_the_head_it_may_build_on(world):
    start = await world.open_market()
    seen = []

    async def look(number: int) -> None:
        latest = int(await world.node.request("eth_blockNumber", []), 16)
        pending = await world.node.request("txpool_status", [])
        seen.append((number, latest, int(pending["pending"], 16) > 0))

    await run_blocks(world, 4, look)
    expected = range(start.number, start.number + 4)
    assert seen == [(number, number, True) for number in expected]


async def test_an_automined_world_still_opens(world):
    await world.node.request(
        "eth_sendTransaction", [{"from": DEVELOPER, "to": DEVELOPER, "value": "0x1", "gas": hex(21_000)}]
    )
    before = world.head.number
    head = await world.open_market()
    assert head.number == before + 2
    (block,) = await run_blocks(world, 1, nobody)
    assert block.number == head.number + 1


async def test_feeds_report_on_deviation_and_on_heartbeat(world):
    now = world.head.timestamp
    reporter = Reporter(PROVIDER, world.feeds, world.prices, now)
    assert reporter.reports(now + BLOCK_TIME_S) == []
    hourly = {feed.aggregator for feed in world.feeds if feed.heartbeat_s == 3_600}
    assert {sending.to for sending in reporter.reports(now + 3_600)} == hourly
    assert reporter.reports(now + 3_612) == []
    world.prices._drift["WBTC"] += 0.006
    (moved,) = reporter.reports(now + 3_624)
    assert moved.to == next(feed.aggregator for feed in world.feeds if feed.symbol == "WBTC")
    assert reporter.reports(now + 3_636) == []


async def test_a_moved_price_reaches_the_feed(world):
    await world.open_market()
    feed = next(feed for feed in world.feeds if feed.symbol == "WETH")
    world.prices._drift["WETH"] += 0.02
    await world.mine()
    answer = await world._outbox.call(feed.aggregator, keccak(text="latestRoundData()")[:4])
    assert int.from_bytes(answer[32:64], "big") == round(world.prices.est_usd("WETH") * 10**8)
    assert int.from_bytes(answer[96:128], "big") == world.head.timestamp
