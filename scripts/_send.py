"""Sending transactions so that a run that is cut off can be told apart from one that never began."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ape import networks
from ape.api import AccountAPI, ReceiptAPI
from ape.contracts import ContractInstance
from eth_utils import keccak, to_checksum_address

from engine.domain.errors import ConfigError, DeploymentError

# The deterministic deployment proxy that nearly every EVM chain has (and anvil from the start): it creates
# what it is sent, behind 32 bytes of salt, at an address that only the salt and the code decide.
FACTORY = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
_FACTORY_CODE_HASH = "0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989"
DEFAULT_SALT = "0x" + keccak(text="roundtrip").hex()


def code_at(address: str) -> bytes:
    """The runtime code at an address; empty when there is none."""
    return bytes(networks.provider.get_code(to_checksum_address(address)))


def now() -> int:
    """The time of the latest block, unix seconds."""
    return int(networks.provider.get_block("latest").timestamp)


def clock(timestamp: int) -> str:
    """Unix seconds for people."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%S} UTC"


def create2_address(salt: str, creation_code: bytes) -> str:
    """Where the factory puts `creation_code` (EIP-1014), in checksum form."""
    parts = b"\xff" + bytes.fromhex(FACTORY[2:]) + bytes.fromhex(salt[2:]) + keccak(creation_code)
    return to_checksum_address(keccak(parts)[12:])


@dataclass(frozen=True, slots=True)
class SentJournal:
    """`<folder>/.sent.json`: the hash of the transaction that is to create each address, on disk before it
    is sent."""

    path: Path

    def note(self, address: str, transaction: str) -> None:
        """Remember a creation that is about to be sent."""
        draft = self.path.with_name(self.path.name + ".draft")
        try:
            with draft.open("w") as file:
                json.dump({**self.read(), address: transaction}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            raise ConfigError(
                f"{self.path} cannot be written ({error.strerror}): use another --out"
            ) from error

    def read(self) -> dict[str, str]:
        """What was noted: transaction hashes by address."""
        try:
            return dict(json.loads(self.path.read_text()))
        except (OSError, ValueError):
            return {}

    def clear(self) -> None:
        """Everything is recorded in manifests now."""
        self.path.unlink(missing_ok=True)


@dataclass(slots=True)
class Creator:
    """Creates contracts at addresses that their code decides, so that a second run finds the first one's."""

    account: AccountAPI
    journal: SentJournal
    salt: str = DEFAULT_SALT

    def create(self, creation_code: bytes) -> tuple[str, str | None, int]:
        """The contract's address, creating transaction (None when unknown) and block; sends only when it is
        not there yet. Raises DeploymentError when the chain lacks the factory or nothing was created."""
        address = create2_address(self.salt, creation_code)
        if not code_at(address):
            self._require_factory()
            data = bytes.fromhex(self.salt[2:]) + creation_code
            send(self.account, FACTORY, data, before=lambda sent: self.journal.note(address, sent))
            if not code_at(address):
                raise DeploymentError(f"nothing was created at {address}: its constructor reverts")
        return address, *self._origin(address)

    def _require_factory(self) -> None:
        if "0x" + keccak(code_at(FACTORY)).hex() != _FACTORY_CODE_HASH:
            raise DeploymentError(
                f"this chain has no deterministic deployment proxy at {FACTORY}: deploy it first with its"
                " published transaction, or choose a chain that has it"
            )

    def _origin(self, address: str) -> tuple[str | None, int]:
        transaction = self.journal.read().get(address)
        if transaction:
            receipt = networks.provider.make_request("eth_getTransactionReceipt", [transaction])
            if receipt:
                return transaction, int(receipt["blockNumber"], 16)
        return None, _first_block(address)


def _first_block(address: str) -> int:
    """The block a contract appeared in; where the node has forgotten, the oldest one it still has."""
    low, high = 0, int(networks.provider.get_block("latest").number)
    while low < high:
        middle = (low + high) // 2
        try:
            there = networks.provider.make_request("eth_getCode", [address, hex(middle)]) != "0x"
        except Exception:  # a node without old state answers in many ways
            there = False
        low, high = (low, middle) if there else (middle + 1, high)
    return high


def send(account: AccountAPI, to: str, data: bytes, before: Any = None) -> ReceiptAPI:
    """One transaction, mined. `before` is called with its hash when it is signed and not yet sent."""
    ecosystem = networks.provider.network.ecosystem
    transaction = account.prepare_transaction(
        ecosystem.create_transaction(sender=account.address, receiver=to, data=data)
    )
    signed = account.sign_transaction(transaction)
    if signed is None:
        raise DeploymentError(f"{account.address} did not sign: unlock it or confirm on its device")
    if before is not None:
        before("0x" + bytes(signed.txn_hash).hex())
    return networks.provider.send_transaction(signed)


def encode(method: Any, *arguments: Any) -> bytes:
    """The calldata of a contract instance's method."""
    return bytes(method.encode_input(*arguments))


def multicall(account: AccountAPI, manager: ContractInstance, calls: Sequence[bytes], size: int) -> int:
    """Send calls of the AccessManager to itself, `size` in a transaction; the number of transactions."""
    batches = [calls[at : at + size] for at in range(0, len(calls), size)]
    for batch in batches:
        send(account, manager.address, encode(manager.multicall, list(batch)))
    return len(batches)
