"""Scanned JSON bytes beside the decoder of parsed logs, on whatever a node may send."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.amm.layout import (
    EVENT_SWAP_FEE,
    EVENT_V3_SWAP,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
)
from engine.chain import events
from engine.chain import logs as slow
from engine.chain.creations import CREATION_TOPICS
from engine.chain.json_text import JsonText, read_message
from engine.chain.log_decoder import LogDecoder
from engine.chain.log_scanner import ScannedLogs, about, scan_logs
from engine.domain.errors import MalformedAnswer
from engine.domain.market import PoolRecord, Protocol

POOLS = {f"0x{n * 0x9E3779B97F4A7C15F39CC0605CEDC834:040x}"[:42]: n for n in range(1, 40)}
ADDRESSES = list(POOLS)
STRANGER = "0x" + "5e" * 20
DECODER = LogDecoder(POOLS)
HASH = "0x" + "b1" * 32
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
        "blockHash": HASH,
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


def check(
    body: bytes,
    decoder: LogDecoder = DECODER,
    block_hash: str | None = HASH,
    pools: list[PoolRecord] | None = None,
    hubs: dict[str, dict[str, int]] | None = None,
) -> slow.Decoded | None:
    """What is decoded of scanned logs is what is decoded of parsed ones; None where they are to be parsed."""
    scanned = scan_logs(body, block_hash)
    if isinstance(scanned, str):
        return None
    parsed = orjson.loads(body)
    assert list(scanned) == parsed
    assert [scanned.log(at) for at in range(len(scanned))] == parsed
    ours, theirs = decoder.decode(scanned), slow.decode(parsed, POOLS, pools or (), hubs or {})
    for column, expected in zip(ours.events, theirs.events, strict=True):
        assert column.dtype == expected.dtype
        np.testing.assert_array_equal(column, expected)
    assert ours.unknown == theirs.unknown
    assert ours.hostile == theirs.hostile
    assert ours.touched == theirs.touched
    assert about(scanned, CREATION_TOPICS) == [
        log for log in parsed if log.get("topics") and log["topics"][0] in CREATION_TOPICS
    ]
    return ours


def block_of(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Logs of one block, in its order."""
    places = sorted(rng.sample(range(10 * count + 1), count))
    return [log_of(rng) | {"logIndex": hex(place)} for place in places]


def is_of_block(logs: list[dict[str, Any]]) -> bool:
    places = [int(log["logIndex"], 16) for log in logs]
    return all(log["blockHash"] == HASH and not log.get("removed") for log in logs) and all(
        before < after for before, after in itertools.pairwise(places)
    )


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64), st.integers(0, 30), st.sampled_from([0.0, 0.02, 0.3]), st.booleans())
def test_bytes_and_parsed_logs_decode_alike(seed: int, count: int, bent: float, spaced: bool) -> None:
    rng = random.Random(seed)
    logs = block_of(rng, count)
    whole = True
    for log in logs:
        if rng.random() < bent:
            bend(rng, log)
            whole = False
    body = json.dumps(logs, indent=1 if spaced else None).encode() if spaced else orjson.dumps(logs)
    decoded = check(body)
    assert decoded is not None or not whole or spaced
    check(body, block_hash=None)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64))
def test_damaged_bytes_are_left_to_the_parser_or_decoded_alike(seed: int) -> None:
    rng = random.Random(seed)
    body = bytearray(orjson.dumps(block_of(rng, 4)))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(body))
        damage = rng.choice(
            [b"", b'"', b"\\", b"}", b"{", b"[", b"]", b",", b":", b"\x00", b"\xff", b"0", b" "]
        )
        body[at : at + rng.randint(0, 3)] = damage
    body = body[: rng.randrange(len(body) + 1)] if rng.random() < 0.2 else body
    # Whatever is scanned whole is JSON, and says what parsing it says.
    if check(bytes(body)) is not None:
        assert is_of_block(orjson.loads(body))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**64))
def test_logs_of_another_block_are_never_scanned(seed: int) -> None:
    rng = random.Random(seed)
    logs = block_of(rng, rng.randint(1, 6))
    log = rng.choice(logs)
    match rng.randrange(7):
        case 0:
            log["blockHash"] = "0x" + "b1" * 31 + "b2"
        case 1:
            del log[rng.choice(["blockHash", "logIndex"])]
        case 2:
            log["removed"] = True
        case 3:
            logs.append(dict(rng.choice(logs)))
        case 4:
            log["logIndex"] = rng.choice(["0x", "0xg", "5", "0x-1", "0x" + "f" * 16, 7, None])
        case 5:
            log["blockHash"] = rng.choice(["", "0x", None, 5, HASH + "00", HASH[:-1]])
        case 6:
            logs = [*logs[1:], logs[0]] if len(logs) > 1 else [{**log, "removed": "yes"}]
    assert isinstance(scan_logs(orjson.dumps(logs), HASH), str)


def test_plain_blocks_are_read_without_the_slow_path(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    sync = {"topics": [events.SYNC], "data": "0x" + word(5) + word(6), "removed": False, "blockHash": HASH}
    foreign = {"address": STRANGER, "topics": [slow.STATE_TOPICS[-1]]}
    logs = [{"address": rng.choice(ADDRESSES), **sync, "logIndex": hex(n)} for n in range(300)]
    logs += [{**sync, **foreign, "logIndex": hex(300 + n)} for n in range(50)]
    body = orjson.dumps(logs)
    decoded = check(body)
    assert decoded is not None
    assert len(decoded.events.kind) == 300
    monkeypatch.setattr(slow, "decode", None)
    scanned = scan_logs(body, HASH)
    assert isinstance(scanned, ScannedLogs)
    assert len(DECODER.decode(scanned).events.kind) == 300


def test_logs_of_hubs_and_of_pools_that_must_be_read_say_what_they_say_parsed() -> None:
    rng = random.Random(4)
    families = [Protocol.UNISWAP_V2, Protocol.CURVE_STABLESWAP]
    pools = [PoolRecord(f"0x{n:040x}", rng.choice(families), "", (), 0) for n in range(40)]
    hubs = {STRANGER: {"0x" + word(7): 7, "0x" + "00" * 12 + "ab" * 20: 8}, "0x" + "77" * 20: {"": 9}}
    decoder = LogDecoder(POOLS, pools, hubs)
    for _ in range(20):
        logs = block_of(rng, 30)
        for log in logs:
            log["topics"] = log["topics"] if rng.random() < 0.7 else ["0x" + word(5), "0x" + word(7)]
            log["address"] = rng.choice([log["address"], STRANGER, "0x" + "77" * 20])
        assert check(orjson.dumps(logs), decoder, pools=pools, hubs=hubs) is not None


def managed_logs(rng: random.Random, manager: str, count: int) -> list[dict[str, Any]]:
    """Logs of V4's manager, most of them swaps, and of others."""
    logs = block_of(rng, count)
    for log in logs:
        if rng.random() < 0.2:
            continue
        log["address"] = manager
        signed = [rng.choice([-1, 1]) * rng.getrandbits(100) for _ in "01"]
        tick = rng.choice(TICKS) if rng.random() < 0.1 else rng.randint(MIN_TICK, MAX_TICK)
        fee = rng.choice([0, 3000, 1_000_000, 1_000_001, 2**24]) if rng.random() < 0.3 else 500
        liquidity = rng.choice(EDGES) if rng.random() < 0.1 else rng.getrandbits(90)
        price = rng.choice(PRICES) if rng.random() < 0.1 else rng.randrange(MIN_SQRT_RATIO, MAX_SQRT_RATIO)
        values = [*signed, price, liquidity, tick, fee]
        swap = events.V4_SWAP if rng.random() < 0.8 else rng.choice([*events.EVENTS, events.TRANSFER])
        log["topics"] = [swap, "0x" + word(rng.randrange(5, 36)), "0x" + word(0xAB)]
        log["data"] = "0x" + "".join(map(word, values))
        if rng.random() < 0.02:
            bend(rng, log)
    return logs


@pytest.mark.parametrize("seed", range(8))
def test_logs_of_the_manager_say_what_they_say_parsed(seed: int) -> None:
    rng = random.Random(seed)
    manager, other = "0x" + "44" * 20, "0x" + "45" * 20
    pools = [PoolRecord(f"0x{n:040x}", Protocol.UNISWAP_V4, "", (), 0) for n in range(40)]
    ids = {"0x" + word(n): n for n in range(6, 34)}
    hubs = {manager: ids} if seed % 3 else {manager: ids, other: {"0x" + word(39): 39}}
    decoder = LogDecoder(POOLS, pools, hubs)
    bodies = [orjson.dumps(managed_logs(rng, manager, 12)) for _ in range(60)]
    results = [check(body, decoder, pools=pools, hubs=hubs) for body in bodies]
    decoded = [result for result in results if result is not None]
    assert len(decoded) > 9
    assert sum((result.events.kind == EVENT_SWAP_FEE).sum() for result in decoded) > 20


def test_the_managers_swaps_are_read_without_the_slow_path(monkeypatch: pytest.MonkeyPatch) -> None:
    manager, pools = "0x" + "44" * 20, [PoolRecord("0x" + "11" * 20, Protocol.UNISWAP_V4, "", (), 0)]
    hubs = {manager: {"0x" + word(7): 0}}
    decoder = LogDecoder({"0x" + word(7): 0}, pools, hubs)
    monkeypatch.setattr(slow, "decode", None)
    swap = "0x" + "".join(map(word, [-5, 4, 1 << 96, 10**9, 0, 3000]))
    log = {"address": manager, "data": swap, "removed": False, "blockHash": HASH}
    logs = [
        {**log, "topics": [events.V4_SWAP, "0x" + word(n), "0x" + word(1)], "logIndex": hex(n)}
        for n in (7, 8)
    ]
    scanned = scan_logs(orjson.dumps(logs), HASH)
    assert isinstance(scanned, ScannedLogs)
    decoded = decoder.decode(scanned)
    assert decoded.events.kind.tolist() == [EVENT_V3_SWAP, EVENT_SWAP_FEE]
    assert decoded.events.a[:, 0].tolist() == [0, 3000]
    assert decoded.events.tick_lower.tolist() == [0, 1]
    assert decoded.unknown == 1


def test_pools_added_later_are_seen() -> None:
    rows: dict[str, int] = {}
    decoder = LogDecoder(rows)
    sync = {"topics": [events.SYNC], "data": "0x" + word(5) + word(6)}
    scanned = scan_logs(orjson.dumps([{"address": address, **sync} for address in ADDRESSES]), None)
    assert isinstance(scanned, ScannedLogs)
    assert decoder.decode(scanned).unknown == len(ADDRESSES)
    for count, address in enumerate(ADDRESSES, 1):
        rows[address] = count + 3
        assert decoder.decode(scanned).events.pool.tolist() == list(range(4, count + 4))


def test_empty_lists_and_large_ones() -> None:
    empty = check(b"[]")
    assert empty is not None
    assert len(empty.events.kind) == 0
    large = check(orjson.dumps(block_of(random.Random(2), 3_000)))
    assert large is not None
    assert large.hostile
    short = [{"address": ADDRESSES[0], "topics": [], "data": "0x"}] * 2_000
    assert scan_logs(orjson.dumps(short), None) == "its logs are shorter than logs are"


def messages(result: str) -> list[str]:
    """The ways a node may write an answer."""
    block = '{"hash":"0x1","transactions":["0x2","0x3"]}'
    first = '"jsonrpc":"2.0","id":7,"result":' + result
    return [
        "{" + first + "}",
        '{"result":' + result + ',"id":7,"jsonrpc":"2.0"}',
        '{"id":7,"result":' + result + ',"jsonrpc":"2.0"}\n',
        "[{" + first + '},{"jsonrpc":"2.0","id":8,"result":' + block + "}]",
    ]


@pytest.mark.parametrize("result", ["[]", '["a"]', '[{"a":[1,2]},{"b":"]},{\\"jsonrpc\\""}]'])
def test_a_list_stays_text_in_its_message(result: str) -> None:
    for message in messages(result):
        answer = read_message(message.encode())
        first = answer[0] if isinstance(answer, list) else answer
        assert first["id"] == 7
        assert isinstance(first["result"], JsonText)
        assert bytes(first["result"].text).decode() == result
        assert first["result"].parsed() == json.loads(result)
        assert answer is first or answer[1]["result"]["transactions"] == ["0x2", "0x3"]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64))
def test_a_damaged_message_is_refused_or_read_as_it_parses(seed: int) -> None:
    rng = random.Random(seed)
    body = bytearray(rng.choice(messages(orjson.dumps(block_of(rng, 2)).decode())).encode())
    near = [0, len(body) // 2, len(body) - 160]
    for _ in range(rng.randint(1, 4)):
        at = max(rng.choice(near), 0) + rng.randrange(40)
        body[at : at + rng.randint(0, 12)] = rng.choice(
            [b'"result":', b'"result":[]', b"[", b"]", b"},{", b'"', b"\\", b",", b"null", b'{"jsonrpc"']
        )
    try:
        expected: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        expected = None
    try:
        answer = read_message(bytes(body))
    except MalformedAnswer:
        assert expected is None
        return
    first = answer[0] if isinstance(answer, list) and answer else answer
    if not (isinstance(first, dict) and isinstance(first.get("result"), JsonText)):
        assert answer == expected
        return
    if expected is None:
        with pytest.raises(MalformedAnswer):
            first["result"].parsed()
        assert isinstance(scan_logs(first["result"].text, HASH), str)
    elif isinstance(scanned := scan_logs(first["result"].text, HASH), ScannedLogs):
        # A second, empty "result" may follow: which of two counts, JSON leaves open.
        said = expected[0] if isinstance(expected, list) else expected
        assert list(scanned) == said["result"] or said["result"] is None
