"""Snapshots of every family: what is saved comes back, the published schema, hostile and huge files."""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import json
import random
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from golden_pools import FILES, Swap, market_of, recorded_pools

from engine.app.commands.quote import quote_pool
from engine.domain.errors import SnapshotError, UsageError
from engine.domain.market import BlockRef, Token
from engine.market.json_stream import JsonStream, NotJson
from engine.market.market import Market
from engine.market.snapshot import SnapshotReport, load, save

SCHEMA = json.loads((files("engine.market") / "snapshot.schema.json").read_text())
# What DESIGN's format asks of each protocol: the rest is optional.
CORE = {
    "uniswap-v4": {"pool_id", "hooks", "sqrt_price_x96", "liquidity", "tick", "tick_spacing", "ticks"},
    "uniswap-v3": {"sqrt_price_x96", "liquidity", "tick", "tick_spacing", "ticks"},
    "solidly": {"reserves", "decimals", "stable"},
    "curve-stableswap": {"balances", "rates", "a", "a_precision", "fee", "offpeg_fee_multiplier"},
    "curve-cryptoswap": {"balances", "a", "gamma", "d", "price_scale", "fees"},
    "balancer-v2-weighted": {"balances", "weights", "swap_fee"},
    "balancer-v2-stable": {"balances", "amp", "scaling_factors", "swap_fee"},
    "erc4626": {"total_assets", "total_supply"},
}
COMMON = {"address", "protocol", "tokens", "fee_pips"}


def decimals_of(swap: Swap, name: str) -> list[int]:
    """Decimals of the recorded pool's tokens."""
    document = json.loads((files_root() / f"{name}.json").read_text())
    number = int(swap.state.pool.tokens[0], 16) // 0x1000 - 1
    params = document["pools"][number]["params"]
    if "asset_decimals" in params:
        asset = int(params["asset_decimals"])
        return [asset, asset + int(params["decimals_offset"])]
    return [int(value) for value in params["decimals"]]


def files_root() -> Path:
    from golden_pools import DATA

    return DATA / "golden"


def everything(name: str) -> tuple[Market, list[Swap]]:
    """A market of all recorded pools of a file, each in the state of a swap that went through."""
    market, chosen = Market(), []
    for _, swaps in recorded_pools(name):
        swap = next(swap for swap in swaps[3:] if swap.moved and swap.amount > 10)
        for token, decimals in zip(swap.state.pool.tokens, decimals_of(swap, name), strict=True):
            market.add_token(Token(token, "T", decimals))
        market.set_state(market.add_pool(swap.state.pool), swap.state)
        chosen.append(swap)
    market.start(BlockRef(9, "0x" + "0a" * 32, "0x" + "0b" * 32, max(swap.timestamp for swap in chosen)))
    return market, chosen


@pytest.mark.parametrize("name", FILES)
def test_what_is_saved_comes_back_and_fits_the_published_schema(name: str, tmp_path: Path) -> None:
    market, chosen = everything(name)
    for path in (tmp_path / "m.json", tmp_path / "m.json.gz"):
        save(market, path)
        again, report = load(path)
        assert report.pools == len(chosen)
        assert again.head == market.head
        for swap in chosen:
            row = again.pool_row[swap.state.pool.key]
            assert again.pools[row] == swap.state.pool
            assert again.state_of(row) == swap.state
    jsonschema.validate(json.loads((tmp_path / "m.json").read_text()), SCHEMA)


@pytest.mark.parametrize("name", FILES)
def test_quotes_from_a_snapshot_of_the_formats_own_fields(name: str, tmp_path: Path) -> None:
    quoted = 0
    for _, swaps in recorded_pools(name):
        swap = next(swap for swap in swaps[3:] if swap.moved and swap.amount > 10)
        market = market_of(swap)
        decimals = decimals_of(swap, name)
        save(market, tmp_path / "m.json")
        content = json.loads((tmp_path / "m.json").read_text())
        for token, places in zip(content["tokens"], decimals, strict=True):
            token["decimals"] = places
        [entry] = content["pools"]
        core = CORE.get(entry["protocol"])
        needs_more = "variant" in entry and entry["variant"] in ("susd", "twocrypto-2.1")
        needs_more = (
            needs_more or "ramp" in entry or "fees" in entry or entry.get("version") in (1, "velodrome-v1")
        )
        needs_more = needs_more or entry.get("virtual_assets") == "0" or "protocol_fee" in entry
        if core is not None and not needs_more:
            content["pools"] = [{key: entry[key] for key in COMMON | core if key in entry}]
        jsonschema.validate(content, SCHEMA)
        (tmp_path / "core.json").write_text(json.dumps(content))
        again, _ = load(tmp_path / "core.json")
        tokens = swap.state.pool.tokens
        sold, bought = tokens[swap.coin_in], tokens[swap.coin_out]
        found = quote_pool(again, swap.state.pool.key, sold, swap.amount, swap.exact_in, bought)
        answer = found.amount_out if swap.exact_in else found.amount_in
        assert abs(answer - swap.moved) <= (2 if name == "wsteth" else 0), entry
        assert (found.token_in, found.token_out) == (sold, bought)
        quoted += 1
    assert quoted >= 1


def test_a_pool_of_many_tokens_asks_which_one_is_bought(tmp_path: Path) -> None:
    market, [swap, *_] = everything("curve-3pool-susd")
    key, tokens = swap.state.pool.key, swap.state.pool.tokens
    with pytest.raises(UsageError, match="--token-out"):
        quote_pool(market, key, tokens[0], 10**6, True)
    with pytest.raises(UsageError, match="is the token sold"):
        quote_pool(market, key, tokens[0], 10**6, True, tokens[0])
    with pytest.raises(UsageError, match="is not a token"):
        quote_pool(market, key, tokens[0], 10**6, True, "0x" + "99" * 20)


def attempt(path: Path) -> tuple[Market, SnapshotReport] | str:
    """What a load gives, or the sentence that refuses it."""
    try:
        return load(path)
    except SnapshotError as error:
        return str(error)


def mutations(rng: random.Random, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entry with something wrong, or merely odd, in one field."""
    odd = [
        None,
        True,
        0,
        -1,
        1.5,
        10**30,
        "",
        "-1",
        "x",
        "9" * 78,
        "9" * 79,
        [],
        ["1"],
        {},
        [[]],
        "0x" + "00" * 20,
    ]
    odd += [str((1 << 256) - 1), str(1 << 112), str(1 << 64), ["0"] * 2, ["0"] * 3, [None] * 2, str(1 << 63)]
    for key in entry:
        for value in rng.sample(odd, 5):
            yield entry | {key: value}
        yield {name: value for name, value in entry.items() if name != key}
        if isinstance(entry[key], list) and entry[key]:
            yield entry | {key: [*entry[key][:-1], rng.choice(odd)]}
            yield entry | {key: entry[key] * 2}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_pool_is_refused_by_name_or_taken_and_never_a_crash(name: str, tmp_path: Path) -> None:
    rng = random.Random(f"hostile {name}")
    market, _ = everything(name)
    save(market, tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    validator = jsonschema.Draft202012Validator(SCHEMA)
    entry, refused, taken = content["pools"][0], 0, 0
    for mutated in mutations(rng, entry):
        trial = content | {"pools": [mutated]}
        (tmp_path / "bad.json").write_text(json.dumps(trial))
        loaded = attempt(tmp_path / "bad.json")
        if isinstance(loaded, str):
            refused += 1
            assert "malformed" in loaded
            continue
        again, report = loaded
        taken += 1
        if report.pools:
            assert validator.is_valid(trial), mutated
            tokens = again.pools[0].tokens
            for amount in (1, 10**18, 10**40, 10**77):
                for exact_in in (True, False):
                    with contextlib.suppress(UsageError):
                        quote_pool(again, again.pools[0].key, tokens[0], amount, exact_in, tokens[1])
    assert refused >= 20
    assert taken >= 1


def test_a_stream_reads_what_a_parser_reads_whatever_the_chunks() -> None:
    rng = random.Random(3)
    values = [1, -2.5e3, 'a"\\b]}', "é,", None, True, {"x": [1, {"y": "}"}]}, [[], {}], {}, "  "]
    for _ in range(150):
        content = {
            f"n{k}": rng.choice(values)
            if rng.random() < 0.6
            else [rng.choice(values) for _ in range(rng.randint(0, 4))]
            for k in range(rng.randint(0, 5))
        }
        text = json.dumps(content, indent=rng.choice([None, 1]), ensure_ascii=rng.random() < 0.5).encode()
        again: dict[str, Any] = {}
        for name, is_list, part in JsonStream(io.BytesIO(text), chunk=rng.randint(1, 9)).members():
            if is_list:
                again.setdefault(name, [])
                again[name] += [json.loads(part)] if part else []
            else:
                again[name] = json.loads(part)
        assert again == content


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"a"',
        '{"a":',
        '{"a":}',
        '{"a":1',
        '{"a":1,}',
        '{"a":1}x',
        '{"a" 1}',
        "{1:2}",
        '{"a":[1,]}',
        '{"a":[1 2]}',
        '{"a":[1}',
        '{"a":"x',
        '{"a":[{"b":1]}',
        "}",
        '{,"a":1}',
        '{"a":1 "b":2}',
    ],
)
def test_what_is_no_object_is_refused(text: str) -> None:
    def read() -> list[Any]:
        members = JsonStream(io.BytesIO(text.encode()), chunk=3).members()
        return [json.loads(part or b"null") for _, _, part in members]

    with pytest.raises((NotJson, json.JSONDecodeError)):
        read()


def test_one_element_may_not_fill_the_memory(tmp_path: Path) -> None:
    with pytest.raises(NotJson, match="more than 1 MiB"):
        list(JsonStream(io.BytesIO(b'{"pools":[{"a":"' + b"x" * (4 << 20) + b'"}]}'), 1 << 20).members())
    path = tmp_path / "cut.json.gz"
    path.write_bytes(gzip.compress(b'{"version":1,"pools":[' + b"[" * 10_000)[:-8])
    with pytest.raises(SnapshotError):
        load(path)


def test_unknown_protocols_are_counted_and_their_names_bounded(tmp_path: Path) -> None:
    content: dict[str, Any] = {"version": 1, "chain_id": 1, "tokens": []}
    content["block"] = {"number": 1, "hash": "0x" + "01" * 32, "timestamp": 1}
    content["pools"] = [{"protocol": f"p{n % 3000}" + "x" * 200} for n in range(6_000)]
    (tmp_path / "m.json").write_text(json.dumps(content))
    _, report = load(tmp_path / "m.json")
    assert report.pools == 0
    assert sum(report.skipped_protocols.values()) == 6_000
    assert len(report.skipped_protocols) <= 1_001
    assert max(map(len, report.skipped_protocols)) <= 64


def test_members_come_in_any_order(tmp_path: Path) -> None:
    market, chosen = everything("curve-3pool-susd")
    save(market, tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    backwards = dict(reversed(copy.copy(content).items()))
    (tmp_path / "b.json").write_text(json.dumps(backwards))
    again, _ = load(tmp_path / "b.json")
    assert [again.state_of(row) for row in again.pool_row.values()] == [swap.state for swap in chosen]
