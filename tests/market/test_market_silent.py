"""What no log tells: read with the block, undone with it, and called a change only where it is one."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from family_model import PoolModel, models
from market_model import GENESIS, child
from test_market_transitions import market_of, states_of

from engine.amm.layout import StateEvents
from engine.amm.v4_fees import DYNAMIC_FEE_FLAG, v4_fee
from engine.chain.logs import decode
from engine.domain.market import Protocol
from engine.domain.pool_details import CurveStableDetails, StableSwapVariant, UniswapV4Details
from engine.domain.pool_state import V3Fees, V4Fees
from engine.market.market import Market
from engine.market.silent import MOST_TOUCHED, SilentReads, is_silent


def model_of(pools: list[PoolModel], protocol: Protocol) -> PoolModel:
    return next(pool for pool in pools if pool.state.pool.protocol is protocol)


def nothing() -> StateEvents:
    return decode([], {}).events


def test_fees_are_taken_over_with_the_block_and_undone_with_it() -> None:
    pools = models()
    market = market_of(pools)
    before = states_of(market)
    cl, v4 = model_of(pools, Protocol.SLIPSTREAM), model_of(pools, Protocol.UNISWAP_V4)
    rows = [market.pool_row[pool.state.pool.key] for pool in (cl, v4)]
    # The block's own logs are applied as ever.
    logs = [*cl.act(random.Random(3))]
    decoded = decode(logs, market.pool_row, market.pools, market.hubs)
    readings = [V3Fees(cl.state.pool, (77, 77)), V4Fees(v4.state.pool, 1234, 5 | 7 << 12)]
    changed = market.apply(child(GENESIS), decoded.events, readings)
    assert changed.tolist() == sorted(rows)
    assert market.state_of(rows[0]) == replace(cl.state, fees=(77, 77))
    assert market.state_of(rows[1]) == replace(v4.state, lp_fee=1234, protocol_fee=5 | 7 << 12)
    charged = [v4_fee(5 | 7 << 12, 1234, side) for side in (True, False)]
    assert market.arrays.fee_pips[rows[1]].tolist() == charged
    # The same again is no change, so that nothing is searched for it.
    readings = [V3Fees(cl.state.pool, (77, 77)), V4Fees(v4.state.pool, 1234, 5 | 7 << 12)]
    assert market.apply(child(market.head), nothing(), readings).tolist() == []
    assert market.rewind(GENESIS.hash).tolist() == sorted(rows)
    assert states_of(market) == before


def test_a_reading_that_says_what_is_known_is_no_change() -> None:
    pools = models()
    market = market_of(pools)
    vault, curve = model_of(pools, Protocol.ERC4626), model_of(pools, Protocol.CURVE_STABLESWAP)
    row = market.pool_row[vault.state.pool.key]
    assert market.apply(child(GENESIS), nothing(), [vault.state, curve.state]).tolist() == []
    given = replace(vault.state, total_assets=vault.state.total_assets + 10**6)
    changed = market.apply(child(market.head), nothing(), [given, curve.state])
    assert changed.tolist() == [row]
    assert market.state_of(row) == given
    market.rewind(GENESIS.hash)
    assert market.state_of(row) == vault.state
    assert market.quarantined == {}


@pytest.mark.parametrize("fees", [(1_000_000, 5), (-1, 5)])
def test_an_impossible_fee_sets_its_pool_aside(fees: tuple[int, int]) -> None:
    pools = models()
    market = market_of(pools)
    cl = model_of(pools, Protocol.SLIPSTREAM)
    row = market.pool_row[cl.state.pool.key]
    market.apply(child(GENESIS), nothing(), [V3Fees(cl.state.pool, fees)])
    assert set(market.quarantined) == {row}
    # A later fee alone does not bring it back: its state is unknown.
    market.apply(child(market.head), nothing(), [V3Fees(cl.state.pool, (5, 5))])
    assert set(market.quarantined) == {row}
    market.apply(child(market.head), nothing(), [cl.state])
    assert market.quarantined == {}
    assert market.state_of(row) == cl.state


def test_which_pools_are_silent() -> None:
    silent = {pool.state.pool.protocol for pool in models() if is_silent(pool.state.pool)}
    assert Protocol.ERC4626 in silent
    assert Protocol.SLIPSTREAM in silent
    assert not silent & {Protocol.UNISWAP_V2, Protocol.UNISWAP_V3, Protocol.BALANCER_V2_WEIGHTED}
    v4 = model_of(models(), Protocol.UNISWAP_V4).state.pool
    assert isinstance(v4.details, UniswapV4Details)
    for fee, expected in ((DYNAMIC_FEE_FLAG, True), (3000, False)):
        assert is_silent(replace(v4, details=replace(v4.details, key_fee=fee))) is expected
    curve = model_of(models(), Protocol.CURVE_STABLESWAP).state.pool
    old = replace(curve, details=CurveStableDetails(StableSwapVariant.THREE_POOL))
    assert not is_silent(old)


def test_silent_pools_take_turns_and_those_that_logs_moved_come_at_once() -> None:
    pools = models()
    market = market_of(pools)
    silent = [pool.state.pool for pool in pools if is_silent(pool.state.pool)]
    reads = SilentReads(market, per_block=2)
    seen = [pool for _ in range((len(silent) + 1) // 2) for pool in reads.due(nothing())]
    assert {pool.key for pool in seen} == {pool.key for pool in silent}
    cl = model_of(pools, Protocol.SLIPSTREAM)
    rng = random.Random(1)
    moved = 0
    while moved < len(silent):
        decoded = decode(cl.act(rng), market.pool_row, market.pools, market.hubs)
        if len(decoded.events.kind):
            moved += 1
            assert cl.state.pool in reads.due(decoded.events)
    # What is set aside is read whole, elsewhere.
    market.distrust(market.pool_row[cl.state.pool.key], "a test")
    assert all(cl.state.pool not in reads.due(nothing()) for _ in range(len(silent)))
    assert MOST_TOUCHED > 0
    assert SilentReads(Market()).due(nothing()) == []
