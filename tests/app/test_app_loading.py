"""What a node says of pools is put into a market; what no contract can be in is hidden until read again."""

from __future__ import annotations

from engine.app.loading import load
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.domain.pool_state import Bootstrap, V2PoolState, V3PoolState
from engine.market.market import Market

HEAD = BlockRef(7, "0x" + "07" * 32, "0x" + "06" * 32, 1_700_000_000, 10**9, 15_000_000, 30_000_000)
TOKENS = tuple(Token(f"0x{n:040x}", f"T{n}", 18) for n in (1, 2))
PAIR = tuple(token.address for token in TOKENS)


def pool(number: int, protocol: Protocol, fee: int, spacing: int = 0) -> PoolRecord:
    return PoolRecord(f"0x{number:040x}", protocol, "venue", PAIR, fee, spacing)


def concentrated(tick: int) -> V3PoolState:
    record = pool(9, Protocol.UNISWAP_V3, 3000, 60)
    ticks = ((-tick, 10**18, 10**18), (tick, -(10**18), 10**18))
    return V3PoolState(record, 2**96, 10**18, 0, ticks)


def test_an_impossible_state_is_not_traded_on_and_is_taken_when_it_is_read_right():
    market = Market(block_interval=12)
    market.start(HEAD)
    sound = V2PoolState(pool(8, Protocol.UNISWAP_V2, 3000), 10**20, 10**20)
    first, second = load(market, Bootstrap(HEAD, TOKENS, (concentrated(61), sound)))
    assert "spacing" in market.quarantined[first]
    assert market.tables.stale[first]
    assert second not in market.quarantined
    assert load(market, Bootstrap(HEAD, TOKENS, (concentrated(60),))) == [first]
    assert first not in market.quarantined
    assert not market.tables.stale[first]
