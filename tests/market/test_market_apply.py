"""Applying blocks and undoing them, against a plain-integer model."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_model import (
    GENESIS,
    SPACING,
    UINT112,
    address,
    block_hash,
    child,
    make_market,
    model_states,
    random_events,
    state_of,
    states_of,
    to_arrays,
)

from engine.amm.layout import (
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    MAX_SQRT_RATIO,
    MIN_SQRT_RATIO,
    MIN_TICK,
)
from engine.domain.errors import MarketError, ReorgTooDeep, UnknownParent
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market

V2, V3 = 0, 3


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.sampled_from(["apply", "apply", "rewind"]), max_size=25))
def test_any_history_of_blocks_and_reorgs_equals_the_model(seed: int, steps: list[str]) -> None:
    rng = random.Random(seed)
    market, models = make_market(3, 3)
    history = [(GENESIS, [model.copy() for model in models])]
    for fork, step in enumerate(steps):
        if step == "apply":
            block = child(market.head, fork)
            events = random_events(rng, models, rng.randint(0, 12))
            changed = market.apply(block, to_arrays(events))
            assert changed.tolist() == sorted({event[1] for event in events})
            history.append((block, [model.copy() for model in models]))
        else:
            target = rng.randrange(len(history))
            before = states_of(market)
            changed = set(market.rewind(history[target][0].hash).tolist())
            del history[target + 1 :]
            models = [model.copy() for model in history[-1][1]]
            after = states_of(market)
            assert {row for row in range(len(after)) if before[row] != after[row]} <= changed
        assert market.head == history[-1][0]
        assert states_of(market) == model_states(models)
    assert market.quarantined == {}


def test_a_rewind_restores_the_columns_bit_for_bit() -> None:
    rng = random.Random(7)
    market, models = make_market(3, 3)
    market.apply(child(GENESIS), to_arrays(random_events(rng, models, 30)))
    at = market.head
    columns = {name: getattr(market.arrays, name).copy() for name in market.arrays._fields[:15]}
    ticks = [market.tables.read_ticks(row) for row in range(6)]
    for _ in range(20):
        market.apply(child(market.head, 1), to_arrays(random_events(rng, models, 15)))
    market.rewind(at.hash)
    for name, column in columns.items():
        if name != "tick_start":
            assert np.array_equal(getattr(market.arrays, name)[:6], column[:6]), name
    for row, slices in enumerate(ticks):
        assert all(np.array_equal(a, b) for a, b in zip(slices, market.tables.read_ticks(row), strict=True))


def test_a_burn_keeps_a_tick_that_another_position_holds() -> None:
    market, _ = make_market(0, 1)
    mints = [(EVENT_V3_MINT, 0, 50, 0, -10, 10), (EVENT_V3_MINT, 0, 50, 0, 10, 20)]
    market.apply(child(GENESIS), to_arrays(mints))
    assert state_of(market, 0)[4] == [(-10, 50, 50), (10, 0, 100), (20, -50, 50)]
    market.apply(child(market.head), to_arrays([(EVENT_V3_BURN, 0, 50, 0, 10, 20)]))
    assert state_of(market, 0)[4] == [(-10, 50, 50), (10, -50, 50)]


def test_without_gross_liquidity_a_tick_goes_when_its_net_does() -> None:
    market, _ = make_market(0, 1)
    market.set_v3(0, 1 << 96, 50, 0, [(-10, 50), (10, -50)])
    market.apply(child(GENESIS), to_arrays([(EVENT_V3_BURN, 0, 50, 0, -10, 10)]))
    assert state_of(market, 0)[2:5] == (0, 0, [])


def test_ticks_outside_the_known_range_are_not_tracked() -> None:
    market, _ = make_market(0, 1)
    market.set_v3(0, 1 << 96, 50, 0, [(-10, 50), (10, -50)], known_low=-10, known_high=10)
    market.apply(child(GENESIS), to_arrays([(EVENT_V3_BURN, 0, 9, 0, -100, 100)]))
    assert market.quarantined == {}
    assert state_of(market, 0)[2] == 41
    assert [entry[0] for entry in state_of(market, 0)[4]] == [-10, 10]


BAD_EVENTS = [
    ((EVENT_V2_SYNC, V2, UINT112 + 1, 1, 0, 0), "uint112"),
    ((EVENT_V2_SYNC, V2, 1, 1 << 250, 0, 0), "uint112"),
    ((EVENT_V2_SYNC, V3, 1, 1, 0, 0), "another protocol"),
    ((EVENT_V3_SWAP, V2, 1 << 96, 1, 0, 0), "another protocol"),
    ((EVENT_V3_SWAP, V3, MIN_SQRT_RATIO - 1, 1, 0, 0), "square-root price"),
    ((EVENT_V3_SWAP, V3, MAX_SQRT_RATIO, 1, 0, 0), "square-root price"),
    ((EVENT_V3_SWAP, V3, (1 << 256) - 1, 1, 0, 0), "square-root price"),
    ((EVENT_V3_SWAP, V3, 1 << 96, 1 << 128, 0, 0), "uint128"),
    ((EVENT_V3_INITIALIZE, V3, 1 << 96, 0, MIN_TICK - 1, 0), "tick"),
    ((EVENT_V3_MINT, V3, 1 << 200, 0, -10, 10), "uint128"),
    ((EVENT_V3_MINT, V3, (1 << 128) - 1, 0, -10, 10), "uint128"),
    ((EVENT_V3_MINT, V3, 1 << 127, 0, 100, 110), "uint128"),
    ((EVENT_V3_MINT, V3, 5, 0, 10, -10), "tick"),
    ((EVENT_V3_MINT, V3, 5, 0, -11, 10), "tick"),
    ((EVENT_V3_MINT, V3, 5, 0, -887280, 10), "tick"),
    ((EVENT_V3_BURN, V3, 101, 0, -10, 10), "burnt"),
    ((EVENT_V3_BURN, V3, 5, 0, 40, 50), "burnt"),
    ((10, V3, 5, 0, 40, 50), "unknown kind"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_EVENTS)
def test_a_dishonest_event_quarantines_its_pool_alone(bad: tuple, reason: str) -> None:
    market, _ = make_market(3, 3)
    market.apply(child(GENESIS), to_arrays([(EVENT_V3_MINT, V3, 100, 0, -10, 10)]))
    before = states_of(market)
    pool = bad[1]
    fine = (EVENT_V2_SYNC, V2 + 1, 5, 6, 0, 0)
    honest = (EVENT_V2_SYNC, V2, 7, 8, 0, 0) if pool == V2 else (EVENT_V3_MINT, V3, 1, 0, -20, 20)
    changed = market.apply(child(market.head), to_arrays([honest, bad, honest, fine]))
    assert changed.tolist() == [V2 + 1]
    assert list(market.quarantined) == [pool]
    assert reason in market.quarantined[pool]
    assert state_of(market, pool)[:5] == before[pool][:5]
    assert state_of(market, pool)[5:] == (0, 1)
    assert state_of(market, V2 + 1)[0] == (5, 6)
    # A stale pool is not followed until it is read again.
    assert market.apply(child(market.head), to_arrays([honest])).tolist() == []
    with pytest.raises(MarketError):
        market.release(pool)
    if pool == V2:
        market.set_v2(pool, 11, 12)
    else:
        market.set_v3(pool, 1 << 96, 0, 0, [])
    assert market.quarantined == {}
    assert state_of(market, pool)[5] == (1 if pool == V2 else 2)


def test_a_quarantined_pool_is_still_followed() -> None:
    market, _ = make_market(1, 0)
    market.quarantine(0, "unknown factory")
    market.quarantine(0, "something later")
    market.apply(child(GENESIS), to_arrays([(EVENT_V2_SYNC, 0, 5, 6, 0, 0)]))
    assert market.quarantined == {0: "unknown factory"}
    assert state_of(market, 0)[0] == (5, 6)
    assert market.arrays.kind[0] == 0
    market.set_v2(0, 7, 8)
    assert market.arrays.kind[0] == 0
    market.release(0)
    assert market.arrays.kind[0] == 1


def test_blocks_must_extend_the_head() -> None:
    market, _ = make_market(1, 0)
    empty = to_arrays([])
    with pytest.raises(UnknownParent):
        market.apply(BlockRef(101, block_hash(101), block_hash(100, 5), 0), empty)
    with pytest.raises(MarketError, match="claims"):
        market.apply(BlockRef(102, block_hash(102), GENESIS.hash, 0), empty)
    with pytest.raises(MarketError, match="not started"):
        Market().apply(child(GENESIS), empty)
    assert market.head == GENESIS


def test_events_for_unknown_rows_apply_nothing() -> None:
    market, _ = make_market(1, 0)
    before = states_of(market)
    for row in (-1, 1):
        with pytest.raises(MarketError, match="row"):
            market.apply(
                child(GENESIS), to_arrays([(EVENT_V2_SYNC, 0, 5, 6, 0, 0), (EVENT_V2_SYNC, row, 1, 1, 0, 0)])
            )
    short = to_arrays([(EVENT_V2_SYNC, 0, 5, 6, 0, 0)])._replace(kind=np.zeros(2, np.uint8))
    with pytest.raises(MarketError, match="length"):
        market.apply(child(GENESIS), short)
    assert states_of(market) == before
    assert market.head == GENESIS


def test_a_reorg_past_the_undo_log_changes_nothing() -> None:
    rng = random.Random(3)
    market, models = make_market(2, 2, max_undo=4)
    blocks = [GENESIS]
    for _ in range(6):
        blocks.append(child(market.head))
        market.apply(blocks[-1], to_arrays(random_events(rng, models, 5)))
    before = states_of(market)
    with pytest.raises(ReorgTooDeep):
        market.rewind(blocks[1].hash)
    assert states_of(market) == before
    assert market.head == blocks[-1]
    market.rewind(blocks[2].hash)
    assert market.head == blocks[2]
    assert market.rewind(blocks[2].hash).tolist() == []


def test_a_pool_read_at_a_block_that_is_undone_must_be_read_again() -> None:
    market, _ = make_market(1, 0)
    market.apply(child(GENESIS), to_arrays([]))
    record = PoolRecord(address(2000), Protocol.UNISWAP_V2, "v2", (address(1), address(2)), 3000)
    row = market.add_pool(record)
    market.set_v2(row, 10, 20)
    market.rewind(GENESIS.hash)
    assert "reorganised" in market.quarantined[row]
    assert market.arrays.kind[row] == 0
    market.apply(child(GENESIS, 1), to_arrays([(EVENT_V2_SYNC, row, 1, 1, 0, 0)]))
    assert state_of(market, row)[0] == (10, 20)
    assert market.add_pool(record) == row
    market.set_v2(row, 30, 40)
    assert market.quarantined == {}


def test_tables_grow_and_repack_without_losing_a_tick() -> None:
    market, models = make_market(0, 40)
    rng = random.Random(11)
    for _ in range(60):
        market.apply(child(market.head), to_arrays(random_events(rng, models, 60)))
    for n in range(200):
        tokens = (address(1), address(2))
        market.add_pool(PoolRecord(address(5000 + n), Protocol.UNISWAP_V2, "v2", tokens, 3000))
    market.set_v3(0, 1 << 96, 7, 0, [(t * SPACING, 7 if t % 2 else -7, 7) for t in range(-3000, 3000)])
    assert states_of(market)[1:40] == model_states(models)[1:]
    assert len(state_of(market, 0)[4]) == 6000
    starts, rooms = market.tables.tick_start[:40], market.tables.tick_room[:40]
    order = np.argsort(starts)
    assert (starts[order][1:] >= (starts + rooms)[order][:-1]).all()


def test_identities_are_checked() -> None:
    market, _ = make_market(1, 1)
    record = market.pools[0]
    assert market.add_pool(record) == 0
    with pytest.raises(MarketError, match="other decimals"):
        market.add_token(Token(address(1), "T1", 6))
    bad = [
        (record.address, (address(1), address(3)), 3000, 0),
        (address(9), (address(1), address(77)), 3000, 0),
        (address(9), (address(2), address(1)), 3000, 0),
        (address(9), (address(1), address(1)), 3000, 0),
        (address(9), (address(1), address(2)), 1_000_000, 0),
    ]
    for name, tokens, fee, spacing in bad:
        with pytest.raises(MarketError):
            market.add_pool(PoolRecord(name, Protocol.UNISWAP_V2, "", tokens, fee, spacing))
    with pytest.raises(MarketError, match="spacing"):
        market.add_pool(PoolRecord(address(9), Protocol.UNISWAP_V3, "", (address(1), address(2)), 500))
    for reserves in ((-1, 1), (1, UINT112 + 1)):
        with pytest.raises(MarketError):
            market.set_v2(0, *reserves)
    for arguments in (
        (1, 0, 0, []),
        (1 << 96, 1 << 128, 0, []),
        (1 << 96, 0, MIN_TICK - 1, []),
        (1 << 96, 0, 0, [(5, 1)]),
        (1 << 96, 0, 0, [(20, 1), (10, 1)]),
        (1 << 96, 0, 0, [(10, 1 << 127)]),
        (1 << 96, 0, 0, [(10, 5, 4)]),
        (1 << 96, 0, 0, [], 10, -10),
    ):
        with pytest.raises(MarketError):
            market.set_v3(1, *arguments)
    with pytest.raises(MarketError):
        market.set_v3(0, 1 << 96, 0, 0, [])
    with pytest.raises(MarketError):
        market.set_v2(1, 1, 1)
