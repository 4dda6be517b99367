"""The scanner of JSON bytes beside the decoder of parsed logs, on whatever a node may send."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.amm.layout import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK
from engine.chain import events
from engine.chain import logs as slow
from engine.chain.log_scanner import LogScanner
from engine.domain.errors import NodeError

POOLS = {f"0x{n * 0x9E3779B97F4A7C15F39CC0605CEDC834:040x}"[:42]: n for n in range(1, 40)}
ADDRESSES = list(POOLS)
STRANGER = "0x" + "5e" * 20
SCANNER = LogScanner(POOLS)
EDGES = [0, 1, 2**64 - 1, 2**64, 2**112 - 1, 2**112, 2**128 - 1, 2**128, 2**255, 2**256 - 1]
PRICES = [MIN_SQRT_RATIO - 1, MIN_SQRT_RATIO, 1 << 96, MAX_SQRT_RATIO - 1, MAX_SQRT_RATIO, 2**256 - 1, 0]
TICKS = [MIN_TICK - 1, MIN_TICK, -1, 0, 1, MAX_TICK, MAX_TICK + 1, 2**23, -(2**255)]


def word(value: int) -> str:
    return f"{value % 2**256:064x}"


def log_of(rng: random.Random) -> dict[str, Any]:
    """A log as nodes write it, whose values are often at the edge of what the event allows."""

    def amount() -> int:
        return rng.choice(EDGES) if rng.random() < 0.3 else rng.getrandbits(rng.choice([10, 100, 112, 120]))

    def price() -> int:
        return rng.choice(PRICES) if rng.random() < 0.2 else rng.randrange(MIN_SQRT_RATIO, MAX_SQRT_RATIO)

    def tick() -> int:
        return rng.choice(TICKS) if rng.random() < 0.2 else rng.randint(MIN_TICK, MAX_TICK)

    party = "0x" + "00" * 12 + "ab" * 20
    kind = rng.choice([*events.EVENTS, events.TRANSFER])
    topics, values = [kind], [amount(), amount()]
    if kind in (events.V3_SWAP, events.PANCAKE_V3_SWAP):
        topics += [party, party]
        values = [amount(), amount(), price(), amount(), tick()]
        values += [amount(), amount()] if kind == events.PANCAKE_V3_SWAP else []
    elif kind in (events.V3_MINT, events.V3_BURN):
        lower = tick()
        topics += [party, "0x" + word(lower), "0x" + word(lower + rng.choice([-10, 0, 10, 600]))]
        values = [amount(), amount(), amount()]
        values = [int(party, 16), *values] if kind == events.V3_MINT else values
    elif kind == events.V3_INITIALIZE:
        values = [price(), tick()]
    return {
        "address": rng.choice(ADDRESSES) if rng.random() < 0.9 else STRANGER,
        "topics": topics,
        "data": "0x" + "".join(map(word, values)),
        "blockNumber": "0x10",
        "transactionHash": "0x" + word(rng.getrandbits(256)),
        "logIndex": hex(rng.randrange(500)),
        "removed": False,
    }


def bend(rng: random.Random, log: dict[str, Any]) -> None:
    """One thing about the log that is unusual or wrong."""
    match rng.randrange(12):
        case 0:
            del log[rng.choice(list(log))]
        case 1:
            log["data"] = rng.choice([None, 7, "", "0x", "0x1", "0X" + log["data"][2:], log["data"][:-64]])
        case 2:
            log["topics"] = rng.choice([None, "x", [], [None], log["topics"][:1], log["topics"] * 2])
        case 3:
            log["address"] = rng.choice([None, 3, "0x12", log["address"].upper(), log["address"][2:] + "zz"])
        case 4:
            log["data"] = log["data"].upper().replace("0X", "0x")
        case 5:
            log["topics"] = [topic.upper().replace("0X", "0x") for topic in log["topics"]]
        case 6:
            at = rng.randrange(2, len(log["data"]))
            log["data"] = (
                log["data"][:at] + rng.choice(["g", " ", "é", '"', "\\", "\n"]) + log["data"][at + 1 :]
            )
        case 7:
            log["note"] = rng.choice([1.5, True, None, {"a": []}, ["x"], 'quote " and \\ slash', "ü"])
        case 8:
            log["data"] += "00" * rng.choice([1, 32, 320])
        case 9:
            items = list(log.items())
            rng.shuffle(items)
            log.clear()
            log.update(items)
        case 10:
            at = rng.randrange(2, 66)
            log["topics"][-1] = log["topics"][-1][:at] + "g" + log["topics"][-1][at + 1 :]
        case 11:
            log["topics"][-1] = log["topics"][-1][: rng.choice([0, 1, 64, 65])]


def check(body: bytes, scanner: LogScanner = SCANNER) -> slow.Decoded:
    ours, theirs = scanner.decode(body), slow.decode(orjson.loads(body), POOLS)
    for column, expected in zip(ours.events, theirs.events, strict=True):
        assert column.dtype == expected.dtype
        np.testing.assert_array_equal(column, expected)
    assert ours.unknown == theirs.unknown
    assert ours.hostile == theirs.hostile
    return ours


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64), st.integers(0, 30), st.sampled_from([0.0, 0.02, 0.3]), st.booleans())
def test_bytes_and_parsed_logs_decode_alike(seed: int, count: int, bent: float, spaced: bool) -> None:
    rng = random.Random(seed)
    logs = [log_of(rng) for _ in range(count)]
    for log in logs:
        if rng.random() < bent:
            bend(rng, log)
    body = json.dumps(logs, indent=1 if spaced else None).encode() if spaced else orjson.dumps(logs)
    check(body)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64))
def test_damaged_bytes_are_refused_or_decoded_alike(seed: int) -> None:
    rng = random.Random(seed)
    body = bytearray(orjson.dumps([log_of(rng) for _ in range(4)]))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(body))
        damage = rng.choice(
            [b"", b'"', b"\\", b"}", b"{", b"[", b"]", b",", b":", b"\x00", b"\xff", b"0", b" "]
        )
        body[at : at + rng.randint(0, 3)] = damage
    body = body[: rng.randrange(len(body) + 1)] if rng.random() < 0.2 else body
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, list) and all(isinstance(log, dict) for log in parsed):
        check(bytes(body))
    else:
        with pytest.raises(NodeError, match="not a list of objects"):
            SCANNER.decode(bytes(body))


def test_plain_blocks_are_read_without_the_slow_path(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    sync = {"topics": [events.SYNC], "data": "0x" + word(5) + word(6), "removed": False, "logIndex": "0x1"}
    logs = [{"address": rng.choice(ADDRESSES), **sync} for _ in range(300)]
    body = orjson.dumps(logs)
    assert len(check(body).events.kind) == 300
    monkeypatch.setattr(slow, "decode", None)
    assert len(SCANNER.decode(body).events.kind) == 300


def test_pools_added_later_are_seen() -> None:
    rows: dict[str, int] = {}
    scanner = LogScanner(rows)
    body = orjson.dumps(
        [
            {
                "address": ADDRESSES[0],
                "topics": [events.SYNC],
                "data": "0x" + word(5) + word(6),
                "removed": False,
            }
        ]
    )
    assert scanner.decode(body).unknown == 1
    rows[ADDRESSES[0]] = 3
    assert scanner.decode(body).events.pool.tolist() == [3]


def test_empty_lists_and_large_ones() -> None:
    assert len(check(b"[]").events.kind) == 0
    rng = random.Random(2)
    assert check(orjson.dumps([log_of(rng) for _ in range(3_000)])).hostile
    short = [{"address": ADDRESSES[0], "topics": [], "data": "0x"}] * 2_000
    assert len(check(orjson.dumps(short)).events.kind) == 0
