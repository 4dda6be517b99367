"""Log decoding against the logs of real pools, and against logs nobody honest would write."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from local_dex import LocalDex

from engine.amm.layout import (
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    limbs_to_int,
)
from engine.chain import events as chain_logs
from engine.chain.creations import POOL_CREATED, decode_creations
from engine.chain.events import DEPOSIT, WITHDRAWAL
from engine.chain.logs import STATE_TOPICS, TRANSFER, decode, token_delta

POOL = "0x" + "11" * 20


def word(value: int) -> str:
    return (value % (1 << 256)).to_bytes(32, "big").hex()


def log(topics: list[str], *values: int, address: str = POOL) -> dict[str, Any]:
    return {"address": address, "topics": topics, "data": "0x" + "".join(map(word, values))}


def topic_of(value: int) -> str:
    return "0x" + word(value)


def test_states_decoded_from_real_logs_are_what_the_pools_say(local_dex: LocalDex) -> None:
    dex, rng = local_dex, random.Random(20)
    rows = {address: row for row, address in enumerate([dex.pair, *dex.pools])}
    seen = set()
    for _ in range(40):
        pool = rng.choice(dex.pools)
        spacing = dict(zip(dex.pools, (60, 1, 50), strict=True))[pool]
        action = rng.randrange(4)
        if action == 0:
            dex.swap_v2(rng.random() < 0.5, rng.randrange(10**18, 10**22))
        elif action == 1:
            dex.swap_v3(pool, rng.random() < 0.5, rng.choice((1, -1)) * rng.randrange(10**15, 10**20))
        elif action == 2:
            tick = dex.slot0(pool)[1] // spacing * spacing + rng.randrange(-20, 20) * spacing
            dex.mint(pool, tick, tick + rng.randrange(1, 30) * spacing, rng.randrange(10**18, 10**21))
        else:
            lower, upper = rng.choice(dex.ranges[pool][:3])
            dex.burn(pool, lower, upper, rng.randrange(0, 10**19))
        decoded = decode(block_logs(dex, "latest"), rows)
        assert decoded.unknown == 0
        assert decoded.hostile == []
        events = decoded.events
        assert len(events.kind) == 1
        (kind, row) = int(events.kind[0]), int(events.pool[0])
        seen.add((kind, row))
        if kind == EVENT_V2_SYNC:
            assert (limbs_to_int(events.a[0]), limbs_to_int(events.b[0])) == dex.reserves()
        elif kind == EVENT_V3_SWAP:
            state = (limbs_to_int(events.a[0]), int(events.tick_lower[0]))
            assert state == dex.slot0(dex.pools[row - 1])
            assert limbs_to_int(events.b[0]) == dex.liquidity(dex.pools[row - 1])
    assert {(EVENT_V2_SYNC, 0), (EVENT_V3_SWAP, 3), (EVENT_V3_SWAP, 1)} <= seen
    assert {kind for kind, _ in seen} == {EVENT_V2_SYNC, EVENT_V3_SWAP, EVENT_V3_MINT, EVENT_V3_BURN}


def test_mints_and_burns_of_a_pools_life_add_up_to_its_ticks(local_dex: LocalDex) -> None:
    dex = local_dex
    pool = dex.pools[2]
    dex.burn(pool, *dex.ranges[pool][1], 10**22)
    dex.burn(pool, *dex.ranges[pool][0], 10**21)
    last = int(dex.node.block()["number"], 16)
    gross: dict[int, int] = {}
    net: dict[int, int] = {}
    initialised = 0
    for number in range(last + 1):
        events = decode(block_logs(dex, hex(number)), {pool: 7}).events
        for kind, row, a, low, high in zip(
            events.kind, events.pool, events.a, events.tick_lower, events.tick_upper, strict=True
        ):
            assert row == 7
            initialised += kind == EVENT_V3_INITIALIZE
            if kind in (EVENT_V3_MINT, EVENT_V3_BURN):
                amount = limbs_to_int(a) * (1 if kind == EVENT_V3_MINT else -1)
                for tick, sign in ((int(low), 1), (int(high), -1)):
                    gross[tick] = gross.get(tick, 0) + amount
                    net[tick] = net.get(tick, 0) + sign * amount
    folded = tuple((tick, net[tick], gross[tick]) for tick in sorted(gross) if gross[tick])
    assert folded == dex.ticks(pool)
    assert initialised == 1
    assert len(folded) == 4


def test_creation_logs_name_the_pools_and_an_impostor_is_refused(local_dex: LocalDex) -> None:
    dex = local_dex
    last = int(dex.node.block()["number"], 16)
    logs = [entry for number in range(last + 1) for entry in block_logs(dex, hex(number), every=True)]
    found = decode_creations(logs, dex.venues)
    assert [pool.address for pool in found.pools] == [dex.pair, *dex.pools]
    assert [pool.venue for pool in found.pools] == ["v2", "v3", "v3", "pancake"]
    assert [(pool.fee_pips, pool.tick_spacing) for pool in found.pools] == [
        (3000, 0), (3000, 60), (100, 1), (2500, 50),
    ]  # fmt: skip
    assert found.refused == []
    creation = next(entry for entry in logs if entry["topics"][0] == POOL_CREATED)
    forged = creation | {"data": creation["data"][:-40] + "ee" * 20}
    short = creation | {"data": creation["data"][:-2]}
    stranger = creation | {"address": "0x" + "ab" * 20}
    again = decode_creations([forged, short, stranger], dex.venues)
    assert again.pools == []
    assert [address for address, _ in again.refused] == ["0x" + "ee" * 20, dex.venues[1].factory]


def block_logs(dex: LocalDex, tag: str, every: bool = False) -> list[dict[str, Any]]:
    wanted: dict[str, Any] = {"blockHash": dex.node.block(tag)["hash"]}
    return dex.node.rpc("eth_getLogs", wanted if every else wanted | {"topics": [list(STATE_TOPICS)]})


def test_a_hostile_log_names_its_pool_and_takes_only_that_pools_events_with_it() -> None:
    good = log([chain_logs.SYNC], 5, 6, address="0x" + "22" * 20)
    bad = [
        log([chain_logs.SYNC], 1 << 112, 1),
        log([chain_logs.SYNC], 1),
        log([chain_logs.SYNC, topic_of(1)], 1, 2),
        log([chain_logs.SYNC], 1, 2) | {"data": "0x" + "0g" * 64},
        log([chain_logs.SYNC], 1, 2) | {"data": "0x" + " " * 128},
        log([chain_logs.SYNC], 1, 2) | {"data": None},
        log([chain_logs.SYNC], *range(100_000)),
        log([chain_logs.V3_SWAP] + 2 * [topic_of(1)], 0, 0, 0, 1, 0),
        log([chain_logs.V3_SWAP] + 2 * [topic_of(1)], 0, 0, 1 << 96, 1, 887273),
        log([chain_logs.V3_SWAP] + 2 * [topic_of(1)], 0, 0, 1 << 96, 1 << 128, 0),
        log([chain_logs.PANCAKE_V3_SWAP] + 2 * [topic_of(1)], 0, 0, 1 << 96, 1, 0),
        log([chain_logs.V3_MINT, topic_of(1), topic_of(60), topic_of(60)], 1, 1, 1, 1),
        log([chain_logs.V3_BURN, topic_of(1), topic_of(60)], 1, 1, 1),
        log([chain_logs.V3_BURN, topic_of(1), topic_of(-(1 << 23) - 1), topic_of(60)], 1, 1, 1),
        log([chain_logs.V3_BURN, topic_of(1), "0x3c", topic_of(60)], 1, 1, 1),
        log([chain_logs.V3_INITIALIZE], 4295128738, 0),
    ]
    rows = {POOL: 3, "0x" + "22" * 20: 4}
    for entry in bad:
        fine_before = log([chain_logs.SYNC], 1, 2)
        decoded = decode([fine_before, good, entry, good], rows)
        assert [row for row, _ in decoded.hostile] == [3], entry
        assert decoded.events.pool.tolist() == [4, 4]
    assert decode([good], rows).hostile == []


def test_ticks_and_limbs_at_their_extremes() -> None:
    top = 1461446703485210103287273052203988822378723970342
    swap = [chain_logs.V3_SWAP, topic_of(1), topic_of(2)]
    decoded = decode(
        [
            log(swap, 0, 0, top - 1, (1 << 128) - 1, 887271),
            log(swap, 0, 0, 4295128739, 0, -887272),
            log([chain_logs.SYNC], (1 << 112) - 1, 0),
        ],
        {POOL: 0},
    )
    events = decoded.events
    assert [limbs_to_int(a) for a in events.a] == [top - 1, 4295128739, (1 << 112) - 1]
    assert [limbs_to_int(b) for b in events.b] == [(1 << 128) - 1, 0, 0]
    assert events.tick_lower.tolist() == [887271, -887272, 0]
    assert events.a.dtype == np.uint64
    assert events.a.shape == (3, 4)
    empty = decode([], {}).events
    assert empty.a.shape == (0, 4)
    assert empty.kind.shape == (0,)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=80) | st.sampled_from(STATE_TOPICS),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
hostile_logs = st.fixed_dictionaries(
    {},
    optional={
        "address": st.just(POOL) | anything,
        "topics": st.lists(st.sampled_from(STATE_TOPICS) | anything, max_size=6) | anything,
        "data": st.binary(max_size=300).map(lambda raw: "0x" + raw.hex()) | anything,
    },
)


@settings(max_examples=600, deadline=None)
@given(st.lists(hostile_logs, max_size=4))
def test_no_log_whatever_crashes_the_decoders(entries: list[dict[str, Any]]) -> None:
    decoded = decode(entries, {POOL: 0})
    assert len(decoded.events.kind) == 0 or decoded.hostile == []
    assert token_delta(entries, POOL, POOL) == 0
    decode_creations(entries, [])


def test_token_delta_counts_only_real_transfers_of_the_token() -> None:
    token, me, other = "0x" + "aa" * 20, "0x" + "bb" * 20, "0x" + "cc" * 20

    def transfer(source: str, target: str, amount: int, of: str = token) -> dict[str, Any]:
        return log([TRANSFER, topic_of(int(source, 16)), topic_of(int(target, 16))], amount, address=of)

    entries = [
        transfer(other, me, 100),
        transfer(me, other, 30),
        transfer(me, me, 1000),
        transfer(other, me, 7, of=other),
        log([TRANSFER, topic_of(1), topic_of(int(me, 16)), topic_of(5)], address=token),
        transfer(other, me, 1, of="0x" + "AA" * 20),
    ]
    assert token_delta(entries, token, me) == 71


def test_token_delta_counts_wrapping_and_a_bid_that_was_unwrapped() -> None:
    token, me, other = "0x" + "aa" * 20, "0x" + "bb" * 20, "0x" + "cc" * 20

    def wrapped(kind: str, who: str, amount: int) -> dict[str, Any]:
        return log([kind, topic_of(int(who, 16))], amount, address=token)

    def transfer(source: str, target: str, amount: int) -> dict[str, Any]:
        return log([TRANSFER, topic_of(int(source, 16)), topic_of(int(target, 16))], amount, address=token)

    entries = [
        transfer(other, me, 100),
        wrapped(DEPOSIT, me, 5),
        wrapped(WITHDRAWAL, me, 30),
        wrapped(WITHDRAWAL, other, 7),
        log([DEPOSIT, topic_of(int(me, 16))], 9, address=other),
        log([], 9, address=token),
    ]
    assert token_delta(entries, token, me) == 75
    # A token that logs both says the same thing twice.
    burnt = transfer(me, "0x" + "00" * 20, 30)
    assert token_delta([*entries, burnt], token, me) == 70
