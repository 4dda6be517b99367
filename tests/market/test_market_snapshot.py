"""Snapshots: round trip, what is accepted, and one clear sentence for everything else."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market_model import address, child, make_market, random_events, states_of, to_arrays

from engine.amm.layout import MAX_TICK, MIN_TICK
from engine.domain.errors import SnapshotError, UsageError
from engine.market.snapshot import load, save

A, B, C = "0x" + "0A" * 20, "0x" + "0b" * 20, "0x" + "0c" * 20
POOL2, POOL3 = "0x" + "A2" * 20, "0x" + "a3" * 20


def document() -> dict[str, Any]:
    return {
        "version": 1,
        "chain_id": 1,
        "block": {"number": 7, "hash": "0x" + "AB" * 32, "timestamp": 1_700_000_000},
        "tokens": [
            {"address": A, "symbol": "AAA", "decimals": 18},
            {"address": B, "symbol": "BBB", "decimals": 0},
            {"address": C, "symbol": "CCC", "decimals": 36},
        ],
        "pools": [
            {
                "address": POOL2,
                "protocol": "uniswap-v2",
                "tokens": [B, A],
                "fee_pips": 2500,
                "reserves": ["5", str(2**112 - 1)],
            },
            {
                "address": POOL3,
                "protocol": "uniswap-v3",
                "tokens": [A, C],
                "fee_pips": 500,
                "sqrt_price_x96": str(2**96),
                "liquidity": "1000",
                "tick": 0,
                "tick_spacing": 10,
                "ticks": [[-20, "1000"], [30, "-1000"]],
            },
        ],
    }


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_snapshot_is_read_and_normalised(tmp_path: Path) -> None:
    content = document()
    content["pools"].append({"protocol": "dodo-v2", "anything": 1})
    market, report = load(write(tmp_path / "m.json", content))
    assert (report.pools, report.chain_id, dict(report.skipped_protocols)) == (2, 1, {"dodo-v2": 1})
    assert market.head.number == 7
    assert market.head.hash == "0x" + "ab" * 32
    assert market.pools[0].tokens == (A.lower(), B)
    states = states_of(market)
    assert states[0][0] == (2**112 - 1, 5)
    assert states[1][1:5] == (2**96, 1000, 0, [(-20, 1000, 1000), (30, -1000, 1000)])
    assert market.arrays.known_low[1] == MIN_TICK
    assert market.arrays.known_high[1] == MAX_TICK


@pytest.mark.parametrize(
    ("ticks", "tick", "expected"),
    [([[-20, "1000"], [30, "-1000"]], 0, (-20, 30)), ([], 7, (0, 10)), ([[50, "-1"]], 7, (0, 50))],
)
def test_incomplete_ticks_limit_the_known_range(
    tmp_path: Path, ticks: list, tick: int, expected: tuple[int, int]
) -> None:
    content = document()
    pool = content["pools"][1]
    pool |= {"ticks_complete": False, "ticks": ticks, "tick": tick}
    pool["sqrt_price_x96"] = str(int(2**96 * 1.0001 ** ((tick + 0.5) / 2)))
    market, _ = load(write(tmp_path / "m.json", content))
    assert (market.arrays.known_low[1], market.arrays.known_high[1]) == expected


@pytest.mark.parametrize("name", ["m.json", "m.json.gz"])
def test_a_saved_market_comes_back_bit_for_bit(tmp_path: Path, name: str) -> None:
    rng = random.Random(5)
    market, models = make_market(20, 20)
    for _ in range(20):
        market.apply(child(market.head), to_arrays(random_events(rng, models, 40)))
    # Random prices and ticks of the model do not belong together; a snapshot must.
    for row in range(20, 40):
        market.tables.sqrt_price[row] = [0, 0, 0, 0]
    market.tables.sqrt_price[39] = [0, 2**32, 0, 0]
    market.tables.tick[39] = 0
    market.tables.known_low[38] = -5
    market.tables.gross_known[37] = 0
    market.quarantine(3, "not to be saved")
    save(market, tmp_path / name)
    again, report = load(tmp_path / name)
    assert report.pools == 39
    assert again.head == market.head
    assert again.tokens == market.tokens
    kept = [row for row in range(40) if row != 3]
    assert again.pools == [market.pools[row] for row in kept]
    states = states_of(market)
    for row, (old, new) in enumerate(zip([states[row] for row in kept], states_of(again), strict=True)):
        if kept[row] == 37:
            old, new = (*old[:4], [t[:2] for t in old[4]]), (*new[:4], [t[:2] for t in new[4]])
        assert old == new
    for column in ("fee_pips", "tick_spacing", "known_low", "known_high"):
        assert np.array_equal(getattr(market.arrays, column)[kept], getattr(again.arrays, column)[:39])
    save(again, tmp_path / f"again-{name}")
    assert (tmp_path / f"again-{name}").read_bytes() == (tmp_path / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"again-{name}"])


def change(**fields: Any) -> Callable[[dict], None]:
    return lambda content: content.update(fields)


def change_in(*path: Any, **fields: Any) -> Callable[[dict], None]:
    def edit(content: dict) -> None:
        for key in path:
            content = content[key]
        for name, value in fields.items():
            if value is Ellipsis:
                del content[name]
            else:
                content[name] = value

    return edit


V2, V3 = ("pools", 0), ("pools", 1)
MALFORMED: list[tuple[Callable[[dict], None], str]] = [
    (change(version=2), "version"),
    (change(version=None), "version"),
    (change(chain_id="1"), "chain_id"),
    (change(chain_id=0), "chain_id"),
    (change(block=None), "block"),
    (change(block=[]), "block"),
    (change(tokens={}), "tokens"),
    (change(pools=None), "pools"),
    (change(tokens=[5]), "token number 0"),
    (change_in("block", hash="0x12"), "block hash"),
    (change_in("block", number=-1), "number"),
    (change_in("block", number=True), "number"),
    (change_in("block", timestamp=1.5), "timestamp"),
    (change_in("block", base_fee_wei=7), "base_fee"),
    (change_in("tokens", 1, address="0b" * 20), "token number 1"),
    (change_in("tokens", 1, address=A), "twice"),
    (change_in("tokens", 1, decimals=37), "decimals"),
    (change_in("tokens", 1, decimals=-1), "decimals"),
    (change_in("tokens", 1, decimals="18"), "decimals"),
    (change_in("tokens", 1, symbol=None), "symbol"),
    (change_in(*V2, address=...), "pool number 0"),
    (change_in(*V2, address="0x" + "g0" * 20), "address"),
    (change_in(*V2, address=12), "address"),
    (change_in(*V2, protocol=None), POOL2),
    (change_in(*V2, tokens=[A]), POOL2),
    (change_in(*V2, tokens=[A, A.lower()]), POOL2),
    (change_in(*V2, tokens=[A, "0x" + "0d" * 20]), "token list"),
    (change_in(*V2, tokens=A), POOL2),
    (change_in(*V2, fee_pips=1_000_000), "fee_pips"),
    (change_in(*V2, fee_pips=-1), "fee_pips"),
    (change_in(*V2, fee_pips="3000"), "fee_pips"),
    (change_in(*V2, venue=4), "venue"),
    (change_in(*V2, reserves=...), "reserves"),
    (change_in(*V2, reserves=["1"]), "reserves"),
    (change_in(*V2, reserves=["1", "-2"]), "reserves[1]"),
    (change_in(*V2, reserves=["1", str(2**112)]), "uint112"),
    (change_in(*V2, reserves=["1", "9" * 5000]), "uint112"),
    (change_in(*V2, reserves=["1", 2]), "decimal string"),
    (change_in(*V2, reserves=["1", "1e5"]), "decimal string"),
    (change_in(*V2, reserves=["1", " 5"]), "decimal string"),
    (change_in(*V2, reserves=["1", "٣"]), "decimal string"),
    (change_in(*V3, address=POOL2.lower()), "twice"),
    (change_in(*V3, tokens=[C, A]), "ascending"),
    (change_in(*V3, tick_spacing=0), "tick_spacing"),
    (change_in(*V3, tick_spacing=...), "tick_spacing"),
    (change_in(*V3, sqrt_price_x96=str(2**160)), "uint160"),
    (change_in(*V3, sqrt_price_x96="17"), "bounds"),
    (change_in(*V3, liquidity=str(2**128)), "uint128"),
    (change_in(*V3, tick=3), "agree"),
    (change_in(*V3, tick=-887273), "tick"),
    (change_in(*V3, tick=0.0), "tick"),
    (change_in(*V3, ticks=None), "ticks"),
    (change_in(*V3, ticks=[[0, "5"], [0, "-5"]]), "order"),
    (change_in(*V3, ticks=[[10, "5"], [0, "-5"]]), "order"),
    (change_in(*V3, ticks=[[5, "5"]]), "spacing"),
    (change_in(*V3, ticks=[[-887280, "5"]]), "bounds"),
    (change_in(*V3, ticks=[[0, 5]]), "decimal string"),
    (change_in(*V3, ticks=[[0]]), "[tick, liquidity_net]"),
    (change_in(*V3, ticks=["0"]), "[tick, liquidity_net]"),
    (change_in(*V3, ticks=[[0, str(2**127)]]), "int128"),
    (change_in(*V3, ticks_complete="no"), "ticks_complete"),
    (change_in(*V3, ticks_gross=["1000"]), "ticks_gross"),
    (change_in(*V3, ticks_gross=["1000", "5"]), "liquidity_gross"),
    (change_in(*V3, ticks_complete=False, known_low=5, known_high="9"), "known_high"),
]


@pytest.mark.parametrize(("edit", "culprit"), MALFORMED)
def test_malformed_snapshots_are_refused_in_one_sentence(
    tmp_path: Path, edit: Callable[[dict], None], culprit: str
) -> None:
    content = copy.deepcopy(document())
    edit(content)
    path = write(tmp_path / "bad.json", content)
    with pytest.raises(SnapshotError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    assert culprit in message
    assert "\n" not in message
    assert len(message) < 400


def test_files_that_are_no_snapshot_are_refused(tmp_path: Path) -> None:
    cut = tmp_path / "cut.json.gz"
    cut.write_bytes(gzip.compress(json.dumps(document()).encode())[:60])
    broken = tmp_path / "broken.gz"
    broken.write_bytes(b"\x1f\x8b" + b"\x00" * 40)
    for path in (
        cut,
        broken,
        tmp_path,
        tmp_path / "missing.json",
        write(tmp_path / "nan.json", '{"version": NaN}'),
        write(tmp_path / "list.json", "[]"),
        write(tmp_path / "empty.json", ""),
        write(tmp_path / "deep.json", "[" * 100_000),
    ):
        with pytest.raises(UsageError) as caught:
            load(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_market_that_cannot_be_saved_says_so(tmp_path: Path) -> None:
    market, _ = make_market(1, 0)
    with pytest.raises(SnapshotError, match="cannot be written"):
        save(market, tmp_path / "no" / "such" / "folder.json")
    market.head = None
    with pytest.raises(SnapshotError, match="no block"):
        save(market, tmp_path / "m.json")


def test_hostile_symbols_become_printable(tmp_path: Path) -> None:
    content = document()
    content["tokens"][0]["symbol"] = "\x1b[31m\u202e\n" + "x" * 10**6
    market, _ = load(write(tmp_path / "m.json", content))
    assert market.tokens[0].symbol.isprintable()
    assert len(market.tokens[0].symbol) <= 32


def test_ten_thousand_pools_load(tmp_path: Path) -> None:
    content = document() | {"tokens": [], "pools": []}
    template = document()["pools"]
    for n in range(5_000):
        content["tokens"].append({"address": address(10**6 + n), "symbol": f"T{n}", "decimals": 18})
    for n in range(10_000):
        pool = dict(template[n % 2], address=address(10**7 + n))
        low = n % 4_000
        pool["tokens"] = [address(10**6 + low), address(10**6 + low + 1 + n // 4_000)]
        if n % 2:
            pool["ticks"] = [[10 * t, "5" if t % 2 else "-5"] for t in range(-10, 10)]
        content["pools"].append(pool)
    path = write(tmp_path / "big.json", content)
    market, report = load(path)
    assert report.pools == 10_000
    assert len(market.pools) == 10_000


def test_the_published_schema_requires_what_the_loader_requires(tmp_path: Path) -> None:
    schema = json.loads((files("engine.market") / "snapshot.schema.json").read_text())
    holders = [("snapshot", schema, ()), ("block", schema["properties"]["block"], ("block",))]
    holders += [("token", schema["$defs"]["token"], ("tokens", 0))]
    holders += [
        (name, schema["$defs"][name], place) for name, place in (("uniswap-v2", V2), ("uniswap-v3", V3))
    ]
    for name, part, place in holders:
        for key in set(part["required"]):
            content = document()
            change_in(*place, **{key: ...})(content)
            with pytest.raises(SnapshotError):
                load(write(tmp_path / "missing.json", content))
        spare = set(part["properties"]) - set(part["required"])
        present = document()
        for step in place:
            present = present[step]
        assert set(present) <= set(part["properties"]), name
        assert not spare & set(present), name
