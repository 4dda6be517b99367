"""Deploying one contract, or finding that it is deployed already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from ape import accounts, networks
from ape.api import AccountAPI
from ape.contracts import ContractInstance
from ape.exceptions import AccountsError
from ape_accounts.accounts import ApeSigner
from eth_utils import to_checksum_address

from engine.app.passphrase import read_passphrase
from engine.chain.keys import load_identity
from engine.domain.errors import ConfigError, DeploymentError
from scripts._artifacts import Build, build
from scripts._manifests import Manifests, code_hash, source_commit
from scripts._options import passphrase_file
from scripts._send import Creator, code_at

# ERC-1967: where a proxy keeps the address of its implementation.
IMPLEMENTATION_SLOT = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC
DEVELOPMENT = "dev:"


def connected_chain_id() -> int:
    """The chain id that the connected node reports."""
    return int(networks.provider.chain_id)


def choose_account(name: str | None, option: str = "--account") -> AccountAPI:
    """The account of a keystore file, the named Ape account, or a development account ("dev:N", by default
    the first).

    Raises ConfigError when there is no such account, its passphrase is wrong, or a development account is not
    funded here.
    """
    if name and ("/" in name or name.endswith(".json")):
        key = load_identity(Path(name), read_passphrase(passphrase_file()))
        return ApeSigner(private_key="0x" + key.to_hex())
    if name and not name.startswith(DEVELOPMENT):
        return _ape_account(name, option)
    number = (name or "dev:0").removeprefix(DEVELOPMENT)
    if not number.isdigit() or int(number) >= 10:
        raise ConfigError(f"{option} {name} is not one of dev:0 to dev:9: correct it")
    account = accounts.test_accounts[int(number)]
    if networks.provider.get_balance(account.address) == 0:
        raise ConfigError(
            f"the development account {account.address} has no funds"
            f" on chain {connected_chain_id()}: pass {option}"
        )
    return account


def _ape_account(alias: str, option: str) -> AccountAPI:
    if alias not in accounts.aliases:
        raise ConfigError(
            f"{option} {alias} is neither a keystore file nor an Ape account: `ape accounts list` shows those"
            " there are"
        )
    account = accounts.load(alias)
    if file := passphrase_file():
        try:
            account.set_autosign(True, passphrase=read_passphrase(file))
        except AccountsError as error:
            raise ConfigError(f"the passphrase in {file} does not open {option} {alias}") from error
    return account


def development_address(number: int) -> str:
    """The address of a development account."""
    return str(accounts.test_accounts[number].address)


@dataclass(slots=True)
class Deployer:
    """Deploys contracts from one account and records them; `replace` deploys anew what no longer fits."""

    account: AccountAPI
    manifests: Manifests
    creator: Creator
    replace: bool = False

    def contract(self, name: str, *arguments: Any) -> ContractInstance:
        """A contract without a proxy. Raises DeploymentError when its manifest and the chain differ."""
        made = build(name)
        kept = self._kept(name, arguments)
        if kept:
            return made.container.at(kept["address"])
        address, transaction, block = self.creator.create(creation_code(made, arguments))
        self._record(made, address, transaction, block, arguments)
        return made.container.at(address)

    def proxied(self, name: str, authority: str) -> ContractInstance:
        """A UUPS contract behind an ERC-1967 proxy that initialises it in its own constructor."""
        made, proxy = build(name), build("ERC1967Proxy")
        kept = self._kept(name, (authority,))
        if kept:
            return made.container.at(kept["address"])
        implementation, _, _ = self.creator.create(creation_code(made, ()))
        initialise = made.container.at(implementation).initialize.encode_input(authority)
        address, transaction, block = self.creator.create(creation_code(proxy, (implementation, initialise)))
        self._record(made, address, transaction, block, (authority,), implementation, proxy)
        return made.container.at(address)

    def record(
        self, made: Build, arguments: tuple, address: str, transaction: str | None, block: int
    ) -> dict:
        """The manifest of a contract without a proxy."""
        plain = [_plain(argument) for argument in arguments]
        return {
            "contract": made.name,
            "chain_id": self.manifests.chain_id,
            "address": address.lower(),
            "implementation": None,
            "transaction": transaction,
            "block": block,
            "deployer": self.account.address.lower(),
            "constructor_args": plain,
            "constructor_encoded": "0x" + bytes(made.container.constructor.encode_input(*arguments)).hex(),
            "compiler": {
                "version": made.compiler,
                "settings_sha256": made.settings_sha256,
                "target": made.target,
            },
            "standard_json": self.manifests.write_input(made),
            "source_commit": source_commit(),
            "code_hash": code_hash(code_at(address)),
            "implementation_code_hash": None,
        }

    def _kept(self, name: str, arguments: tuple) -> dict[str, Any] | None:
        record = self.manifests.read(name)
        if record is None:
            return None
        complaint = self._complaint(record, arguments)
        if complaint is None:
            click.echo(f"{name}: kept {record['address']}")
            return record
        if self.replace:
            click.echo(f"{name}: replaced, as {complaint}")
            return None
        path = self.manifests.folder / f"{name}.json"
        raise DeploymentError(
            f"{path} does not fit: {complaint}; pass --replace to deploy anew, or use another --out"
        )

    def _complaint(self, record: dict[str, Any], arguments: tuple) -> str | None:
        """What keeps a recorded contract from being used as it is, or None."""
        address = to_checksum_address(record["address"])
        if code_hash(code_at(address)) != record["code_hash"]:
            return f"the chain does not hold the recorded code at {address} (another or a reset chain?)"
        if record["implementation"]:
            current = implementation_of(address)
            if current.lower() != record["implementation"]:
                return f"the proxy {address} has implementation {current} and not {record['implementation']}"
            if code_hash(code_at(current)) != record["implementation_code_hash"]:
                return f"the chain does not hold the recorded code at {current}"
        wanted = [_plain(argument) for argument in arguments]
        recorded = record.get("initializer_args") or record["constructor_args"]
        if recorded != wanted:
            return f"it was deployed with {', '.join(recorded)} and not with {', '.join(wanted)}"
        return None

    def _record(
        self,
        made: Build,
        address: str,
        transaction: str | None,
        block: int,
        arguments: tuple,
        implementation: str | None = None,
        proxy: Build | None = None,
    ) -> None:
        own = () if implementation else arguments
        record = self.record(made, own, address, transaction, block)
        if implementation and proxy:
            initialise = made.container.at(implementation).initialize.encode_input(*arguments)
            record |= {
                "implementation": implementation.lower(),
                "implementation_code_hash": code_hash(code_at(implementation)),
                "constructor_args": [implementation.lower(), "0x" + bytes(initialise).hex()],
                "constructor_encoded": "0x"
                + bytes(proxy.container.constructor.encode_input(implementation, initialise)).hex(),
                "initializer_args": [_plain(argument) for argument in arguments],
                "proxy": {"target": proxy.target, "standard_json": self.manifests.write_input(proxy)},
            }
        self.manifests.write(record)
        click.echo(f"{made.name}: deployed {address} in block {block}")


def creation_code(made: Build, arguments: tuple) -> bytes:
    """What creates a contract: its creation code and its encoded constructor arguments."""
    return bytes(made.container.constructor.serialize_transaction(*arguments).data)


def implementation_of(proxy: str) -> str:
    """The implementation a proxy runs now, in checksum form."""
    return to_checksum_address(bytes(networks.provider.get_storage(proxy, IMPLEMENTATION_SLOT))[-20:])


def _plain(argument: Any) -> str:
    return str(argument).lower()
