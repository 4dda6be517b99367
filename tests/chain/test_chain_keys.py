"""Keystores on disk, and what the signer makes of a transaction on a real node."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from eth_account import Account
from eth_utils import keccak
from local_node import LocalNode

from engine.chain import keys
from engine.domain.errors import ConfigError

# The first development account of every anvil.
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real scrypt keystore of the development key, made once: opening one takes a second by design."""
    path = tmp_path_factory.mktemp("keys") / "operator.json"
    assert keys.import_key(path, KEY, PASSPHRASE) == ADDRESS
    return path


def weak_keystore(path: Path, **changes: object) -> Path:
    """A valid keystore with a fast key derivation, altered."""
    raw = Account.encrypt(KEY, PASSPHRASE, kdf="pbkdf2", iterations=10)
    path.write_text(json.dumps(raw | changes))
    return path


def test_round_trip_and_wrong_passphrase(keystore: Path) -> None:
    raw = json.loads(keystore.read_text())
    assert raw["crypto"]["kdf"] == "scrypt"
    assert raw["crypto"]["kdfparams"]["n"] >= 2**17
    assert KEY[2:] not in keystore.read_text()
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    assert os.listdir(keystore.parent) == [keystore.name]
    assert keys.keystore_address(keystore) == ADDRESS
    signer = keys.load_signer(keystore, PASSPHRASE)
    assert signer.address == ADDRESS
    assert KEY[2:] not in repr(signer) + str(vars(signer))
    with pytest.raises(ConfigError, match="wrong passphrase"):
        keys.load_signer(keystore, PASSPHRASE + " ")


def test_a_new_key_is_random_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new" / "operator.json"
    address = keys.create_keystore(path, PASSPHRASE)
    before = path.read_bytes()
    assert keys.load_signer(path, PASSPHRASE).address == address != ADDRESS
    with pytest.raises(ConfigError, match="never overwritten"):
        keys.create_keystore(path, PASSPHRASE)
    with pytest.raises(ConfigError, match="never overwritten"):
        keys.import_key(path, KEY, PASSPHRASE)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


def test_a_keystore_that_appears_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "operator.json"
    encrypt = Account.encrypt

    def slow(*arguments: object) -> object:
        path.write_text("somebody else's")
        return encrypt(*arguments, kdf="pbkdf2", iterations=10)

    monkeypatch.setattr(keys.Account, "encrypt", slow)
    with pytest.raises(ConfigError, match="never overwritten"):
        keys.create_keystore(path, PASSPHRASE)
    assert path.read_text() == "somebody else's"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("key", ["", "0x12", "zz" * 32, "00" * 32, "f" * 64, KEY + "00", b"\x01" * 31])
def test_a_malformed_key_is_refused_without_showing_it(tmp_path: Path, key: str | bytes) -> None:
    with pytest.raises(ConfigError, match="private key is malformed") as caught:
        keys.import_key(tmp_path / "k.json", key, PASSPHRASE)
    assert not key or str(key) not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert list(tmp_path.iterdir()) == []


def test_bad_places_and_passphrases_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shorter than 8"):
        keys.create_keystore(tmp_path / "k.json", "short")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made a directory"):
        keys.create_keystore(tmp_path / "file" / "k.json", PASSPHRASE)
    with pytest.raises(ConfigError, match="does not exist"):
        keys.load_signer(tmp_path / "absent.json", PASSPHRASE)
    with pytest.raises(ConfigError, match="cannot be read"):
        keys.load_signer(tmp_path, PASSPHRASE)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"crypto":5,"version":3}', '{"version":3,"crypto":{}}', "\x00", "{" * 9]
)
def test_a_file_that_is_no_keystore_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"k\.json"):
        keys.load_signer(path, PASSPHRASE)
    with pytest.raises(ConfigError, match=r"k\.json"):
        keys.keystore_address(path)


def test_a_keystore_of_another_address_or_size_is_refused(tmp_path: Path) -> None:
    path = weak_keystore(tmp_path / "k.json", address="00" * 20)
    with pytest.raises(ConfigError, match="another address"):
        keys.load_signer(path, PASSPHRASE)
    assert keys.load_signer(weak_keystore(path, address=ADDRESS[2:].upper()), PASSPHRASE).address == ADDRESS
    assert keys.load_signer(weak_keystore(path, address=None), PASSPHRASE).address == ADDRESS
    path.write_text(" " * 100_000)
    with pytest.raises(ConfigError, match="too large"):
        keys.load_signer(path, PASSPHRASE)


def test_signed_transactions_are_accepted_under_their_hash(local_node: LocalNode) -> None:
    signer = keys.signer_of_key(KEY)
    target = "0x" + "ab" * 20
    common = {"chainId": 31337, "to": target, "value": 7, "gas": 50_000, "data": b""}
    fees = {"maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9}
    first = signer.sign(common | fees | {"nonce": 0, "from": ADDRESS})
    second = signer.sign(common | fees | {"nonce": 1, "type": 2, "data": "0x1234", "accessList": []})
    legacy = signer.sign(common | {"nonce": 2, "gasPrice": 10**11})
    for nonce, signed in enumerate((first, second, legacy)):
        assert (signed.sender, signed.nonce) == (ADDRESS, nonce)
        assert signed.hash == "0x" + keccak(signed.raw).hex()
        assert local_node.rpc("eth_sendRawTransaction", "0x" + signed.raw.hex()) == signed.hash
    local_node.mine()
    assert int(local_node.rpc("eth_getBalance", target, "latest"), 16) == 21
    assert signer.sign(common | fees | {"nonce": 0}) == first


def test_incomplete_transactions_are_not_signed() -> None:
    signer = keys.signer_of_key(bytes.fromhex(KEY[2:]))
    with pytest.raises(ConfigError, match="without a chain id"):
        signer.sign({"to": ADDRESS, "nonce": 0, "gas": 21000, "gasPrice": 1, "value": 0})
    with pytest.raises(ConfigError, match="cannot be signed"):
        signer.sign({"chainId": 1, "to": ADDRESS, "gas": 21000, "gasPrice": 1, "value": 0})
    with pytest.raises(ConfigError, match="cannot be signed"):
        signer.sign({"chainId": 1, "to": "0x12", "nonce": 0, "gas": 21000, "gasPrice": 1, "value": 0})
