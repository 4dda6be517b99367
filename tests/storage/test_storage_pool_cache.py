"""The pool cache: what goes in comes out, and a spoilt file is begun anew."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.domain.market import PoolRecord, Protocol, Token
from engine.domain.pool_details import (
    AlgebraDetails,
    AlgebraVersion,
    BalancerV2StableDetails,
    CurveStableDetails,
    StableSwapVariant,
    UniswapV4Details,
)
from engine.domain.pool_state import (
    BalancerV2StablePoolState,
    CurveStablePoolState,
    PoolState,
    V2PoolState,
    V3PoolState,
    V4PoolState,
)
from engine.storage.pool_cache import PoolCache, cache_path, refusals
from engine.storage.pool_codec import decode_record, decode_state, encode_record, encode_state

A, B = "0x" + "0a" * 20, "0x" + "0b" * 20


def record(number: int, protocol: Protocol, details: object = None) -> PoolRecord:
    return PoolRecord(f"0x{number:040x}", protocol, "venue", (A, B), 3000, 60, details)  # type: ignore[arg-type]


V4 = UniswapV4Details("0x" + "ab" * 32, B, 3000, 60)
STATES: list[PoolState] = [
    V2PoolState(record(1, Protocol.UNISWAP_V2), 2**112 - 1, 0),
    V3PoolState(
        record(2, Protocol.ALGEBRA, AlgebraDetails(AlgebraVersion.V2)),
        2**160 - 1,
        2**128 - 1,
        -887272,
        ((-60, -(2**126), 2**127), (60, 2**126, 2**127)),
        None,
        (100, 200),
    ),
    V4PoolState(record(3, Protocol.UNISWAP_V4, V4), 1 << 96, 5, 0, (), 3000, 1 << 12, (-100, 100)),
    CurveStablePoolState(
        record(4, Protocol.CURVE_STABLESWAP, CurveStableDetails(StableSwapVariant.NG, A)),
        (1, 2**255),
        (10**30, 10**18),
        (100, 200, 5, 6),
        4_000_000,
        5 * 10**9,
        2 * 10**10,
    ),
    BalancerV2StablePoolState(
        record(5, Protocol.BALANCER_V2_STABLE, BalancerV2StableDetails("0x" + "cd" * 32, B, 2, 1)),
        (1, 2),
        (10**18, 10**30),
        (5000, 5000, 0, 0),
        10**15,
    ),
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: type(state).__name__)
def test_states_and_records_come_back_as_they_were(state: PoolState) -> None:
    assert decode_state(encode_state(state)) == state
    assert decode_record(encode_record(state.pool)) == state.pool


@pytest.mark.parametrize(
    "text",
    ["", "5", "[]", "{}", '{"@":"Path"}', '{"@":"V2PoolState"}', '{"=":"Protocol","value":"x"}', "[" * 9000],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode_state(text)


def test_what_is_put_is_loaded_by_the_next_process(tmp_path: Path) -> None:
    path = cache_path(tmp_path / "new", 1)
    tokens = [Token(A, "₮", 6), Token(B, "B", 18)]
    cache = PoolCache(path, 1)
    cache.put_search("these venues", 100, "0xaa", [state.pool for state in STATES])
    cache.put(100, "0xaa", STATES, tokens)
    cache.put(101, "0xbb", [V2PoolState(STATES[0].pool, 7, 8)])
    cache.confirm([STATES[1].pool.key], 102, "0xcc")
    cache.put_refused({A: "its symbol is empty"})
    cache.close()
    cache = PoolCache(path, 1)
    found = cache.load()
    assert (found.searched, found.searched_to, found.searched_hash) == ("these venues", 100, "0xaa")
    assert list(found.pools.values()) == [state.pool for state in STATES]
    assert found.tokens == {token.address: token for token in tokens}
    assert found.states[STATES[0].pool.key].state == V2PoolState(STATES[0].pool, 7, 8)
    blocks = [found.states[state.pool.key].block for state in STATES]
    assert blocks == [101, 102, 100, 100, 100]
    assert found.refused == refusals(path.parent) == {A: "its symbol is empty"}
    cache.close()


def test_a_spoilt_entry_is_left_out_and_a_spoilt_file_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "pools.sqlite"
    cache = PoolCache(path, 1)
    cache.put(100, "0xaa", STATES)
    cache.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE states SET body = 'nonsense' WHERE key = ?", (STATES[0].pool.key,))
    cache = PoolCache(path, 1)
    assert len(cache.load().states) == len(STATES) - 1
    cache.close()
    other = PoolCache(path, 5)
    assert other.load().states == {}, "another chain's"
    other.close()
    path.write_bytes(b"not a database at all" * 100)
    fresh = PoolCache(path, 1)
    assert fresh.load().states == {}
    fresh.close()
