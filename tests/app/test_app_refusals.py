"""What keeps live mode from starting: one sentence, exit code 2, nothing sent, nothing written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_utils import keccak
from living_world import FUNDS_WEI, UPGRADER, LivingWorld, write_keystore

from engine.app.world.node import AnvilOptions, AnvilProcess


@pytest.fixture
def refused(living: LivingWorld, cli: Callable[..., Any], tmp_path: Path) -> Callable[..., str]:
    """Runs live mode with settings changed, and returns the sentence it was refused with."""

    def run(*options: object, confirmed: bool = True, **changes: Any) -> str:
        config = living.write_config(tmp_path, **changes)
        before = living.nonce(), living.waiting()
        flags = ["--yes-live"] if confirmed else []
        ended = cli("run", "--config", config, "--mode", "live", *flags, "--json", *options)
        assert ended.code == 2, ended
        assert ended.out == ""
        assert len(ended.err.splitlines()) == 1, ended.err
        assert "Traceback" not in ended.err
        assert (living.nonce(), living.waiting()) == before
        journals = list((tmp_path / "records").glob("*.jsonl"))
        assert all(path.stat().st_size == 0 for path in journals)
        return ended.err

    return run


def test_a_node_of_another_chain(refused: Callable[..., str], tmp_path: Path) -> None:
    with AnvilProcess(AnvilOptions(chain_id=4242)) as other:
        for url in (other.http_url, other.ws_url):
            said = refused("--rpc", url)
            assert "4242" in said
            assert "31337" in said


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ws://127.0.0.1:9", "no-such-node.ipc"])
def test_a_dead_node(refused: Callable[..., str], url: str) -> None:
    assert url.removeprefix("http://").removeprefix("ws://").rstrip("/") in refused("--rpc", url)


def test_an_unfunded_key(living: LivingWorld, refused: Callable[..., str]) -> None:
    balance = living.rpc("eth_getBalance", living.operator, "latest")
    living.rpc("anvil_setBalance", living.operator, "0x0")
    try:
        said = refused()
    finally:
        living.rpc("anvil_setBalance", living.operator, balance)
    assert living.operator in said
    assert "gas" in said


def test_an_operator_that_carries_code(living: LivingWorld, refused: Callable[..., str]) -> None:
    living.rpc("anvil_setCode", living.operator, "0xef0100" + "5a" * 20)
    try:
        said = refused()
    finally:
        living.rpc("anvil_setCode", living.operator, "0x")
    assert living.operator in said
    assert "carries code" in said


def test_a_key_below_the_reserve(living: LivingWorld, refused: Callable[..., str]) -> None:
    assert "gas_reserve_wei" in refused(risk__gas_reserve_wei=FUNDS_WEI * 10)


@pytest.mark.parametrize("name", ["ArbitrageRouter", "DexRegistry", "PriceFeedRegistry", "AccessManager"])
def test_other_code_at_a_recorded_address(
    living: LivingWorld, refused: Callable[..., str], name: str
) -> None:
    address = living.contract(name)
    code = living.rpc("eth_getCode", address, "latest")
    living.rpc("anvil_setCode", address, code[:-2] + ("00" if code[-2:] != "00" else "01"))
    try:
        said = refused()
    finally:
        living.rpc("anvil_setCode", address, code)
    assert address in said
    assert "code hash" in said


def test_a_manifest_that_was_changed(
    living: LivingWorld, refused: Callable[..., str], tmp_path: Path
) -> None:
    copied = tmp_path / "deployments"
    shutil.copytree(living.deployments, copied)
    path = copied / "31337" / "ArbitrageRouter.json"
    manifest = json.loads(path.read_text())
    manifest["code_hash"] = "0x" + "ab" * 32
    path.write_text(json.dumps(manifest))
    said = refused(deployments__directory=str(copied))
    assert str(path) in said
    assert "ab" * 32 in said


def test_missing_manifests(refused: Callable[..., str], tmp_path: Path) -> None:
    said = refused(deployments__directory=str(tmp_path / "nowhere"))
    assert "nowhere" in said
    assert "ape run deploy" in said


def test_a_keystore_of_another_key(living: LivingWorld, refused: Callable[..., str], tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    write_keystore(other, b"\x07" * 32)
    assert living.operator in refused(keys__keystore=str(other))


def test_a_wrong_passphrase(refused: Callable[..., str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not the passphrase at all\n")
    said = refused(keys__passphrase_file=str(wrong))
    assert "wrong passphrase" in said
    assert "not the passphrase" not in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"execution__live": False}, "execution.live"),
        ({"keys__keystore": None}, "keys.keystore"),
        ({"keys__keystore": "no-such-keystore.json"}, "no-such-keystore.json"),
        ({"keys__passphrase_file": None}, "passphrase"),
        ({"keys__passphrase_file": "no-such-file"}, "no-such-file"),
        ({"market__base_tokens": ["0x" + "99" * 20]}, "base_tokens"),
    ],
)
def test_a_setting_that_forbids_it(refused: Callable[..., str], changes: dict[str, Any], words: str) -> None:
    assert words in refused(**changes)


def test_no_confirmation_and_no_terminal(refused: Callable[..., str]) -> None:
    assert "--yes-live" in refused(confirmed=False)


def test_records_that_cannot_be_written(refused: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert str(file) in refused(storage__directory=str(file / "records"))


def test_a_damaged_journal(living: LivingWorld, refused: Callable[..., str], tmp_path: Path) -> None:
    directory = tmp_path / "damaged"
    directory.mkdir()
    path = directory / f"journal-31337-{living.operator}.jsonl"
    path.write_text('{"crc":"00000000","record":{}}\n{"crc":"00000000","record":{}}\n')
    said = refused(storage__directory=str(directory))
    assert str(path) in said
    assert "line 1" in said


def test_a_router_that_the_registry_does_not_name(
    living: LivingWorld, refused: Callable[..., str], tmp_path: Path
) -> None:
    def name(router: str) -> None:
        data = "0x" + keccak(text="setRouter(address)")[:4].hex() + router[2:].rjust(64, "0")
        living.announce_and_send(UPGRADER, living.contract("DexRegistry"), data)

    other = living.contract("AccessManager")
    name(other)
    try:
        assert other in refused()
    finally:
        name(living.contract("ArbitrageRouter"))
