"""Encrypted keystores and the signer made from one. Passphrases arrive as values, never from here."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import is_address, to_checksum_address

from engine.chain.signing import DynamicFeeTransaction, sign_dynamic_fee
from engine.domain.errors import ConfigError
from engine.domain.execution import SignedTransaction

MIN_PASSPHRASE_CHARS = 8
_MAX_KEYSTORE_BYTES = 64 * 1024
_DYNAMIC_FEE_FIELDS = {
    "type",
    "chainId",
    "nonce",
    "to",
    "value",
    "data",
    "gas",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
}


class LocalSigner:
    """Signs with a key held in this process; implements `engine.domain.ports.Signer`."""

    def __init__(self, account: LocalAccount):
        self._account = account
        self._key = PrivateKey(bytes(account.key))
        self._address = account.address.lower()

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"

    @property
    def address(self) -> str:
        """The operator's address, lower-case."""
        return self._address

    def sign(self, transaction: dict[str, Any]) -> SignedTransaction:
        """Sign a transaction given by its JSON-RPC field names with integer quantities (`chainId`, `nonce`,
        `to`, `value`, `gas`, `data`, and either `gasPrice` or the EIP-1559 fees).

        Raises ConfigError when a field is missing or malformed.
        """
        if not isinstance(transaction.get("chainId"), int):
            raise ConfigError(
                "a transaction without a chain id is not signed: it could be replayed elsewhere"
            )
        if transaction.keys() == _DYNAMIC_FEE_FIELDS and transaction["type"] == 2:
            return self._sign_dynamic_fee(transaction)
        fields = dict(transaction)
        fields.pop("from", None)
        if is_address(fields.get("to")):
            fields["to"] = to_checksum_address(fields["to"])
        if "maxFeePerGas" in fields:
            fields.setdefault("type", 2)
        try:
            signed = self._account.sign_transaction(fields)
        except (TypeError, ValueError, KeyError) as error:
            raise ConfigError(f"the transaction cannot be signed: {error}") from error
        return SignedTransaction(
            sender=self.address,
            nonce=int(fields["nonce"]),
            hash="0x" + bytes(signed.hash).hex(),
            raw=bytes(signed.raw_transaction),
        )

    def _sign_dynamic_fee(self, fields: dict[str, Any]) -> SignedTransaction:
        try:
            transaction = DynamicFeeTransaction(
                chain_id=fields["chainId"],
                nonce=fields["nonce"],
                max_priority_fee_wei=fields["maxPriorityFeePerGas"],
                max_fee_wei=fields["maxFeePerGas"],
                gas=fields["gas"],
                to=bytes.fromhex(fields["to"].removeprefix("0x")),
                value=fields["value"],
                data=bytes.fromhex(fields["data"].removeprefix("0x")),
            )
            digest, raw = sign_dynamic_fee(self._key, transaction)
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"the transaction cannot be signed: {error}") from error
        return SignedTransaction(self._address, transaction.nonce, "0x" + digest.hex(), raw)


def signer_of_key(private_key: str | bytes) -> LocalSigner:
    """A signer of a raw private key (32 bytes or 64 hex digits). Raises ConfigError, never showing it."""
    return LocalSigner(_account(private_key))


def create_keystore(path: Path, passphrase: str) -> str:
    """Make a new key, write it encrypted to `path` and return its lower-case address.

    Raises ConfigError when the file exists, cannot be written, or the passphrase is too short.
    """
    return _write(path, Account.from_key(secrets.token_bytes(32)), passphrase)


def import_key(path: Path, private_key: str | bytes, passphrase: str) -> str:
    """Write an existing key encrypted to `path` and return its lower-case address. Raises ConfigError as
    `create_keystore`, and for a malformed key, which is never shown."""
    return _write(path, _account(private_key), passphrase)


def keystore_address(path: Path) -> str:
    """The address a keystore says it is of, without opening it. Raises ConfigError."""
    address = _read(path).get("address")
    if not isinstance(address, str) or not is_address(address):
        raise ConfigError(f"{path} names no address: it is not a keystore written by `roundtrip keys`")
    return "0x" + address.lower().removeprefix("0x")


def load_identity(path: Path, passphrase: str) -> PrivateKey:
    """The key that signs requests to relays. Raises ConfigError as `load_signer` does."""
    return load_signer(path, passphrase)._key


def load_signer(path: Path, passphrase: str) -> LocalSigner:
    """Open a version 3 keystore (scrypt or pbkdf2; about a second by design).

    Raises ConfigError when it is missing, malformed, or the passphrase is wrong.
    """
    keystore = _read(path)
    try:
        key = Account.decrypt(keystore, passphrase)
    except ValueError as error:
        if "MAC" in str(error):
            raise ConfigError(f"wrong passphrase for keystore {path}") from None
        raise ConfigError(f"{path} is not a version 3 keystore: restore it or import the key again") from None
    except (KeyError, TypeError, NotImplementedError, OverflowError, MemoryError):
        raise ConfigError(f"{path} is not a version 3 keystore: restore it or import the key again") from None
    account: LocalAccount = Account.from_key(bytes(key))
    stated = keystore.get("address")
    if isinstance(stated, str) and int(stated, 16) != int(account.address, 16):
        raise ConfigError(f"keystore {path} holds the key of another address than it says: do not use it")
    return LocalSigner(account)


def _account(private_key: str | bytes) -> LocalAccount:
    try:
        key = (
            bytes.fromhex(private_key.strip().removeprefix("0x"))
            if isinstance(private_key, str)
            else private_key
        )
        return Account.from_key(key)
    except Exception:
        # The cause may carry the key.
        raise ConfigError("the private key is malformed: give 64 hexadecimal digits") from None


def _write(path: Path, account: LocalAccount, passphrase: str) -> str:
    if len(passphrase) < MIN_PASSPHRASE_CHARS:
        raise ConfigError(
            f"the passphrase is shorter than {MIN_PASSPHRASE_CHARS} characters: choose a longer one"
        )
    if path.exists():
        raise ConfigError(f"{path} exists: choose another file, a keystore is never overwritten")
    keystore = json.dumps(Account.encrypt(account.key, passphrase))
    # Temporary name in the same directory, then a hard link: the file appears whole or not at all, and
    # linking refuses to replace a file that appeared meanwhile.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path.parent} cannot be made a directory: {error.strerror}") from None
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(keystore)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        raise ConfigError(f"{path} exists: choose another file, a keystore is never overwritten") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return account.address.lower()


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_KEYSTORE_BYTES:
            raise ConfigError(f"{path} is too large to be a keystore")
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"keystore {path} does not exist: make one with `roundtrip keys new`") from None
    except OSError as error:
        raise ConfigError(f"keystore {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path} is not a keystore: it is not JSON") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} is not a keystore: it is not a JSON object")
    return raw
