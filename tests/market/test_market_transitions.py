"""Every family followed block by block: from its logs, or by a reading in the block, undone and redone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from family_model import PoolModel, log, models, word
from golden_pools import MANAGER, VAULT, recorded_pools
from market_model import GENESIS, child

from engine.amm.quote import quote_exact_in
from engine.chain import events
from engine.chain.logs import STATE_TOPICS, decode
from engine.chain.wire import topic
from engine.domain import pool_state as states
from engine.domain.errors import MarketError
from engine.domain.market import Protocol, Token
from engine.market.market import Market


def market_of(pools: list[PoolModel]) -> Market:
    market = Market()
    for pool in pools:
        for token in pool.state.pool.tokens:
            market.add_token(Token(token, "T", 18))
        market.set_state(market.add_pool(pool.state.pool), pool.state)
    market.start(GENESIS)
    return market


def states_of(market: Market) -> list[states.PoolState]:
    return [market.state_of(row) for row in market.pool_row.values()]


def advance(market: Market, logs: list, read: list[states.PoolState], fork: int = 0) -> list[int]:
    """The next block through decoder and market; rows that changed."""
    decoded = decode(logs, market.pool_row, market.pools, market.hubs)
    assert decoded.hostile == []
    assert {market.pool_row[state.pool.key] for state in read} == set(decoded.touched)
    return market.apply(child(market.head, fork), decoded.events, read, decoded.touched).tolist()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_family_is_followed_and_undone(seed: int) -> None:
    rng = random.Random(f"families {seed}")
    pools = models()
    market = market_of(pools)
    assert states_of(market) == [pool.state for pool in pools]
    history = [(market.head, [pool.state for pool in pools], [list(pool._positions) for pool in pools])]
    for step in range(120):
        if rng.random() < 0.15 and len(history) > 1:
            depth = rng.randint(1, min(len(history) - 1, 40))
            del history[len(history) - depth :]
            market.rewind(history[-1][0].hash)
            for pool, state, positions in zip(pools, *history[-1][1:], strict=True):
                pool.state, pool.__dict__["positions"] = state, list(positions)
        else:
            acting = rng.sample(pools, rng.randint(0, 6))
            logs, read = [], []
            for pool in acting:
                logs += pool.act(rng)
                if pool.is_read_again:
                    read.append(pool.state)
            changed = advance(market, logs, read, step)
            quiet = {market.pool_row[pool.state.pool.key] for pool in acting} - set(changed)
            assert all(
                market.state_of(row) == pools[at].state
                for at, row in enumerate(market.pool_row.values())
                if row in quiet
            )
            history.append(
                (market.head, [pool.state for pool in pools], [list(pool._positions) for pool in pools])
            )
        assert states_of(market) == [pool.state for pool in pools]
    assert market.quarantined == {}


def test_a_touched_pool_that_is_not_read_is_set_aside_until_it_is() -> None:
    pools = models()
    market = market_of(pools)
    pool = next(pool for pool in pools if pool.state.pool.protocol is Protocol.CURVE_STABLESWAP)
    rows = market.rows_of(market.pool_row[pool.state.pool.key])
    decoded = decode(pool.act(random.Random(1)), market.pool_row, market.pools, market.hubs)
    changed = market.apply(child(GENESIS), decoded.events, (), decoded.touched)
    assert set(market.quarantined) == set(rows)
    assert "not read again" in market.quarantined[rows.start]
    assert not set(changed.tolist()) & set(rows)
    assert (market.arrays.kind[rows] == 0).all()
    with pytest.raises(MarketError, match="fresh reading"):
        market.release(rows.start)
    market.apply(child(market.head), decode([], {}).events, [pool.state])
    assert market.quarantined == {}
    assert market.state_of(rows.start) == pool.state
    # What it replaced was wrong, so undoing that block leaves the state unknown.
    market.rewind(child(GENESIS).hash)
    assert set(market.quarantined) == set(rows)


def test_an_impossible_reading_sets_its_pool_aside_and_the_block_is_applied() -> None:
    pools = models()
    market = market_of(pools)
    solid, curve = (
        next(pool for pool in pools if pool.state.pool.protocol is protocol)
        for protocol in (Protocol.SOLIDLY, Protocol.BALANCER_V2_STABLE)
    )
    bad = replace(curve.state, balances=tuple(1 << 200 for _ in curve.state.balances))
    logs = [*solid.act(random.Random(2)), curve._touch()]
    decoded = decode(logs, market.pool_row, market.pools, market.hubs)
    market.apply(child(GENESIS), decoded.events, [bad], decoded.touched)
    row = market.pool_row[curve.state.pool.key]
    assert "impossible state" in market.quarantined[row]
    assert market.state_of(row) == curve.state
    assert market.state_of(market.pool_row[solid.state.pool.key]) == solid.state


def test_only_the_manager_speaks_for_its_pools() -> None:
    pools = models()
    market = market_of(pools)
    v4 = next(pool for pool in pools if pool.state.pool.protocol is Protocol.UNISWAP_V4)
    [honest] = v4._v4_protocol_fee(random.Random(5))
    fake = honest | {"address": "0x" + "66" * 20}
    decoded = decode([fake], market.pool_row, market.pools, market.hubs)
    assert (len(decoded.events.kind), decoded.unknown, decoded.hostile) == (0, 1, [])
    elsewhere = honest | {"topics": [honest["topics"][0], "0x" + word(12345)]}
    assert decode([elsewhere], market.pool_row, market.pools, market.hubs).unknown == 1
    # A pool of another family that logs as if it were the manager says something impossible.
    solid = next(pool for pool in pools if pool.state.pool.protocol is Protocol.SOLIDLY)
    posing = honest | {"address": solid.state.pool.address}
    [(row, reason)] = decode([posing], market.pool_row, market.pools, market.hubs).hostile
    assert row == market.pool_row[solid.state.pool.key]
    assert "another protocol" in reason


@pytest.mark.parametrize(
    ("protocol", "topics", "values", "reason"),
    [
        (Protocol.SOLIDLY, [events.SYNC], (1, 2), "another protocol"),
        (Protocol.SOLIDLY, [events.CAMELOT_FEES], (1, 2), "another protocol"),
        (Protocol.CAMELOT_V2, [events.SOLIDLY_SYNC], (1, 2), "another protocol"),
        (Protocol.CAMELOT_V2, [events.SYNC], (1 << 112, 2), "exceeds uint112"),
        (Protocol.CAMELOT_V2, [events.CAMELOT_FEES], (1 << 16, 2), "exceeds uint16"),
        (Protocol.SLIPSTREAM, [events.ALGEBRA_FEE], (5,), "another protocol"),
        (Protocol.ALGEBRA, [events.ALGEBRA_FEE], (5, 6), "bytes of data"),
        (Protocol.UNISWAP_V4, [events.V4_PROTOCOL_FEE], (1 << 24,), "exceeds uint24"),
        (
            Protocol.UNISWAP_V4,
            [events.V4_SWAP, "0x" + word(1)],
            (-1, 1, 1 << 96, 1, 0, 77),
            "fee that is not",
        ),
        (
            Protocol.UNISWAP_V4,
            [events.V4_SWAP, "0x" + word(1)],
            (-1, 1, 1, 1, 0, 77),
            "price is out of range",
        ),
        (Protocol.UNISWAP_V4, [events.V4_SWAP], (-1, 1, 1 << 96, 1, 0, 77), "topics"),
        (Protocol.UNISWAP_V4, [events.V4_MODIFY_LIQUIDITY, "0x" + word(1)], (9, 9, 1, 0), "empty tick range"),
        (Protocol.UNISWAP_V4, [events.V4_MODIFY_LIQUIDITY, "0x" + word(1)], (0, 60, 1 << 200, 0), "int128"),
        (
            Protocol.UNISWAP_V4,
            [events.V4_MODIFY_LIQUIDITY, "0x" + word(1)],
            (0, 60, -1, 0),
            "more liquidity burnt",
        ),
    ],
)
def test_what_no_honest_pool_logs_sets_that_pool_aside(
    protocol: Protocol, topics: list[str], values: tuple[int, ...], reason: str
) -> None:
    pools = models()
    market = market_of(pools)
    record = next(pool.state.pool for pool in pools if pool.state.pool.protocol is protocol)
    before = states_of(market)
    if protocol is Protocol.UNISWAP_V4:
        entry = log(MANAGER, [topics[0], record.key, *topics[1:]], *values)
    else:
        entry = log(record.address, topics, *values)
    decoded = decode([entry], market.pool_row, market.pools, market.hubs)
    for row, why in decoded.hostile:
        market.quarantine(row, why)
    market.apply(child(GENESIS), decoded.events)
    row = market.pool_row[record.key]
    assert reason in market.quarantined[row]
    assert set(market.quarantined) == set(market.rows_of(row))
    assert states_of(market) == before


def test_every_followed_event_is_asked_for() -> None:
    """By first topic, as the chain's own logs carry them."""
    known = "f208f491 40e9cecb cf2aa508 598b9f04 2170c741 e5ce2490 0874b2d5 8b3e96f2 143f1f8e b2e76ae9"
    known += " 19b47279 c42079f9 7a53080b 0c396cd9 1c411e9a"
    asked = {name[2:10] for name in STATE_TOPICS}
    assert set(known.split()) <= asked
    assert events.TRANSFER not in STATE_TOPICS


def test_transfers_touch_only_where_tokens_are_made_or_burnt() -> None:
    pools = models()
    market = market_of(pools)
    vault = next(pool.state.pool for pool in pools if pool.state.pool.protocol is Protocol.ERC4626)
    moved = log(vault.address, [events.TRANSFER, "0x" + word(1), "0x" + word(2)], 5)
    minted = log(vault.address, [events.TRANSFER, "0x" + word(0), "0x" + word(2)], 5)
    assert decode([moved], market.pool_row, market.pools, market.hubs).touched == frozenset()
    assert decode([minted], market.pool_row, market.pools, market.hubs).touched == {
        market.pool_row[vault.address]
    }
    # A vault's log about a pool we do not follow touches none.
    stranger = log(VAULT, [topic("Swap(bytes32,address,address,uint256,uint256)"), "0x" + word(1)], 1)
    assert decode([stranger], market.pool_row, market.pools, market.hubs).touched == frozenset()


def test_prices_that_move_with_time_alone_count_as_changed() -> None:
    [(_, swaps)] = [pool for pool in recorded_pools("curve-stableswap-ng") if pool[0] == "ramp"]
    state = replace(swaps[0].state, ramp=(10_000, 40_000, GENESIS.timestamp, GENESIS.timestamp + 30))
    pool = PoolModel([state], 0)
    market = market_of([pool])
    rows = list(market.rows_of(0))
    quotes = []
    block = GENESIS
    for step in range(4):
        quotes.append(quote_exact_in(market.arrays, 0, True, 10**12))
        block = child(block)
        changed = market.apply(block, decode([], {}).events).tolist()
        assert changed == (rows if step < 3 else []), step
        assert int(market.arrays.clock[0]) == block.timestamp
    quotes.append(quote_exact_in(market.arrays, 0, True, 10**12))
    assert quotes[0] < quotes[1] < quotes[2] < quotes[3] == quotes[4]
    assert market.rewind(GENESIS.hash).tolist() == rows
    assert quote_exact_in(market.arrays, 0, True, 10**12) == quotes[0]


def test_no_log_whatever_its_shape_stops_a_block() -> None:
    rng = random.Random("hostile logs")
    pools = models()
    market = market_of(pools)
    names = [*STATE_TOPICS, events.TRANSFER, events.APPROVAL, "0x" + word(77)]
    places = [pool.state.pool.address for pool in pools] + list(market.hubs) + ["0x" + "99" * 20]
    keys = ["0x" + key[2:].rjust(64, "0") for key in market.pool_row] + ["0x" + word(0), "0x", "junk"]
    extremes = [0, 1, -1, 1 << 255, (1 << 256) - 1, 1 << 128, 887_273, -887_273, 1 << 96, 60, 1 << 24]
    seen = 0
    for step in range(150):
        logs = []
        for _ in range(rng.randint(1, 12)):
            topics = [rng.choice(names)] + [
                rng.choice([*keys, None, "0x" + word(rng.choice(extremes))])  # type: ignore[list-item]
                for _ in range(rng.randint(0, 4))
            ]
            entry = log(rng.choice(places), topics, *(rng.choice(extremes) for _ in range(rng.randint(0, 9))))
            if rng.random() < 0.1:
                entry["data"] = rng.choice([None, "0x", "0x1", "zz", "0x" + "00" * 100_000, 5])
            if rng.random() < 0.05:
                entry["topics"] = rng.choice([None, [], [None], "0x", [5]])
            if rng.random() < 0.05:
                entry["address"] = rng.choice([None, 5, "", "0x"])
            logs.append(entry)
        decoded = decode(logs, market.pool_row, market.pools, market.hubs)
        for row, reason in decoded.hostile:
            assert len(reason) < 200
            market.quarantine(row, reason)
            seen += 1
        read = [pool.state for pool in pools if market.pool_row[pool.state.pool.key] in decoded.touched]
        market.apply(child(market.head, step), decoded.events, read, decoded.touched)
    assert seen >= 20
    # Pools that nobody spoke ill of are where they were, or where honest-looking logs took them.
    assert all(len(reason) < 200 for reason in market.quarantined.values())
    market.rewind(market._undo[0].before.hash)
