"""Stored blocks: every real one loads, and malformed ones are refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_utils import keccak

from engine.app.simulate.blocks import find_blocks, genesis, load_block
from engine.app.simulate.hardforks import hardfork_of
from engine.domain.errors import UsageError

MAN, POOL = "0x" + "11" * 20, "0x" + "22" * 20
CODE = bytes.fromhex("60016000")
CODE_HASH = "0x" + keccak(CODE).hex()


def transaction() -> dict[str, Any]:
    return {
        "hash": "0x" + "aa" * 32,
        "from": MAN,
        "to": POOL,
        "input": "0x",
        "gas": "0x5208",
        "value": "0x0",
        "nonce": "0x0",
        "gasPrice": "0x1",
    }


def block() -> dict[str, Any]:
    header = {"number": "0x64", "timestamp": "0x5f000000", "gasLimit": "0xbebc20", "miner": MAN}
    return {**header, "parentHash": "0x" + "01" * 32, "transactions": [transaction()]}


def pre_state() -> dict[str, Any]:
    account = {
        "basic": {"balance": "0xff", "nonce": 3},
        "code": None,
        "storage": {"0x1": "0x2", "0x3": "0x0"},
    }
    return {MAN: {**account, "code_hash": None, "storage": {}}, POOL: {**account, "code_hash": CODE_HASH}}


def files() -> dict[str, Any]:
    return {
        "block.json": block(),
        "pre_state.json": pre_state(),
        "bytecodes.json": {CODE_HASH: {"bytecode": "0x" + CODE.hex() + "00" * 33}},
        "logs_replayed.json": [{"i": 0, "a": POOL, "t": ["0x" + "bb" * 32], "d": "0x"}],
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes a block folder and returns it; bytes are written as they are."""

    def write(contents: dict[str, Any]) -> Path:
        folder = tmp_path / "100"
        folder.mkdir()
        for name, content in contents.items():
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            (folder / name).write_bytes(raw)
        return folder

    return write


def test_every_stored_block_loads(stored_blocks: Path) -> None:
    folders = find_blocks(stored_blocks)
    assert len(folders) >= 18
    for folder in folders:
        loaded = load_block(folder)
        assert loaded.number == int(folder.name)
        assert loaded.transactions
        assert any(account.code for account in loaded.state.values())


def test_reads_a_block(write: Callable[[dict[str, Any]], Path]) -> None:
    loaded = load_block(write(files()))
    assert (loaded.number, loaded.timestamp, loaded.base_fee_wei) == (100, 0x5F000000, None)
    # The zeros behind the code are the recorder's, and a slot that is zero is known.
    assert loaded.state[POOL].code == CODE
    assert loaded.state[POOL].storage == {1: 2, 3: 0}
    assert loaded.recorded_logs == {0: [{"address": POOL, "topics": ["0x" + "bb" * 32], "data": "0x"}]}
    first = genesis(loaded.state, loaded.header, 1, loaded.timestamp - 1)
    assert first["alloc"][POOL] == {
        "balance": "0xff",
        "nonce": "0x3",
        "code": "0x" + CODE.hex(),
        "storage": {"0x" + "00" * 31 + "01": "0x" + "00" * 31 + "02"},
    }
    assert first["timestamp"] == hex(0x5EFFFFFF)


def test_recorded_logs_are_optional(write: Callable[[dict[str, Any]], Path]) -> None:
    contents = files()
    del contents["logs_replayed.json"]
    assert load_block(write(contents)).recorded_logs is None


BROKEN: list[tuple[str, Any, str]] = [
    ("block.json", b"{", "not JSON"),
    ("block.json", b"\xff\xfe", "not JSON"),
    ("block.json", [], "the block is not an object"),
    ("block.json", {**block(), "number": 100}, "number is '100'"),
    ("block.json", {**block(), "number": "0x0"}, "number '0x0' is out of range"),
    ("block.json", {**block(), "number": "0x" + "f" * 70}, "number is"),
    ("block.json", {**block(), "timestamp": None}, "timestamp is"),
    ("block.json", {**block(), "miner": "0x12"}, "miner is"),
    ("block.json", {**block(), "transactions": None}, "no list of transactions"),
    ("block.json", {**block(), "transactions": ["0x" + "aa" * 32]}, "transaction 0 is not an object"),
    (
        "block.json",
        {**block(), "transactions": [{**transaction(), "gasPrice": None}]},
        "transaction 0's gasPrice",
    ),
    ("block.json", {**block(), "transactions": [{**transaction(), "from": "me"}]}, "transaction 0's sender"),
    ("pre_state.json", {"0x1": {}}, "address is"),
    ("pre_state.json", {MAN: {"basic": {"balance": "-1"}}}, "balance of"),
    ("pre_state.json", {MAN: {"basic": {"balance": -1}}}, "balance of"),
    ("pre_state.json", {MAN: {"storage": {"0x1": "0x" + "f" * 65}}}, "slot 0x1 of"),
    ("pre_state.json", {MAN: {"code_hash": "0x" + "99" * 32}}, "which bytecodes.json lacks"),
    ("bytecodes.json", {CODE_HASH: {"bytecode": "0x6001"}}, "does not hash to its name"),
    ("bytecodes.json", {CODE_HASH: {"bytecode": "60"}}, "not hexadecimal data"),
    ("logs_replayed.json", [{"i": 1, "a": POOL, "t": [], "d": "0x"}], "log 0 names transaction 1"),
    ("logs_replayed.json", [{"i": 0, "a": POOL, "t": "0x", "d": "0x"}], "log 0 has no list of topics"),
    ("logs_replayed.json", {}, "not a list of logs"),
]


@pytest.mark.parametrize(("name", "content", "complaint"), BROKEN)
def test_malformed_files_are_named(
    write: Callable[[dict[str, Any]], Path], name: str, content: Any, complaint: str
) -> None:
    folder = write({**files(), name: content})
    with pytest.raises(UsageError) as caught:
        load_block(folder)
    message = str(caught.value)
    assert str(folder / name) in message
    assert complaint in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["block.json", "pre_state.json"])
def test_missing_files_are_named(write: Callable[[dict[str, Any]], Path], name: str) -> None:
    contents = files()
    del contents[name]
    with pytest.raises(UsageError, match=f"{name} is missing"):
        load_block(write(contents))


def test_finds_blocks(write: Callable[[dict[str, Any]], Path], tmp_path: Path) -> None:
    folder = write(files())
    (tmp_path / "notes").mkdir()
    assert find_blocks(tmp_path) == find_blocks(tmp_path, [100, 100]) == find_blocks(folder) == [folder]
    with pytest.raises(UsageError, match="block 101 is not in"):
        find_blocks(tmp_path, [101])
    with pytest.raises(UsageError, match="holds no block"):
        find_blocks(tmp_path / "notes")
    with pytest.raises(UsageError, match="does not exist"):
        find_blocks(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("number", "rules"),
    [
        (10_760_440, "istanbul"),
        (12_243_999, "istanbul"),
        (12_244_000, "berlin"),
        (12_965_000, "london"),
        (15_537_393, "london"),
        (15_537_394, "paris"),
        (17_034_869, "paris"),
        (17_034_870, "shanghai"),
        (19_426_586, "shanghai"),
        (19_426_587, "cancun"),
    ],
)
def test_a_block_is_run_by_its_own_rules(number: int, rules: str) -> None:
    assert hardfork_of(1, number) == rules
    assert hardfork_of(31337, number) == "prague"
