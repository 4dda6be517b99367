"""Deploying one contract, or finding that it is deployed already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
from ape import accounts, networks
from ape.api import AccountAPI
from ape.contracts import ContractInstance
from eth_utils import to_checksum_address

from engine.domain.errors import ConfigError, DeploymentError
from scripts._artifacts import Build, build
from scripts._manifests import Manifests, code_hash, source_commit

# ERC-1967: where a proxy keeps the address of its implementation.
IMPLEMENTATION_SLOT = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC


def connected_chain_id() -> int:
    """The chain id that the connected node reports."""
    return int(networks.provider.chain_id)


def choose_account(alias: str | None) -> AccountAPI:
    """The named Ape account, or the first development account where it is funded.

    Raises ConfigError when there is no such account or no default to fall back on.
    """
    if alias:
        if alias not in accounts.aliases:
            raise ConfigError(
                f"--account {alias} is not an Ape account: `ape accounts list` shows those there are"
            )
        return accounts.load(alias)
    account = accounts.test_accounts[0]
    if networks.provider.get_balance(account.address) == 0:
        raise ConfigError(
            f"the development account {account.address} has no funds"
            f" on chain {connected_chain_id()}: pass --account"
        )
    return account


@dataclass(slots=True)
class Deployer:
    """Deploys contracts from one account and records them; `replace` deploys anew what no longer fits."""

    account: AccountAPI
    manifests: Manifests
    replace: bool = False

    def contract(self, name: str, *arguments: Any) -> ContractInstance:
        """A contract without a proxy. Raises DeploymentError when its manifest and the chain differ."""
        made = build(name)
        kept = self._kept(name, arguments)
        if kept:
            return made.container.at(kept["address"])
        instance = self.account.deploy(made.container, *arguments, publish=False)
        self._record(made, instance, arguments)
        return instance

    def proxied(self, name: str, authority: str) -> ContractInstance:
        """A UUPS contract behind an ERC-1967 proxy that initialises it in its own constructor."""
        made, proxy = build(name), build("ERC1967Proxy")
        kept = self._kept(name, (authority,))
        if kept:
            return made.container.at(kept["address"])
        implementation = self.account.deploy(made.container, publish=False)
        initialise = implementation.initialize.encode_input(authority)
        instance = self.account.deploy(proxy.container, implementation.address, initialise, publish=False)
        self._record(made, instance, (authority,), implementation, proxy)
        return made.container.at(instance.address)

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
        if _code_hash(address) != record["code_hash"]:
            return f"the chain does not hold the recorded code at {address} (another or a reset chain?)"
        if record["implementation"]:
            slot = bytes(networks.provider.get_storage(address, IMPLEMENTATION_SLOT))
            current = to_checksum_address(slot[-20:])
            if current.lower() != record["implementation"]:
                return f"the proxy {address} has implementation {current} and not {record['implementation']}"
            if _code_hash(current) != record["implementation_code_hash"]:
                return f"the chain does not hold the recorded code at {current}"
        wanted = [_plain(argument) for argument in arguments]
        recorded = record.get("initializer_args") or record["constructor_args"]
        if recorded != wanted:
            return f"it was deployed with {', '.join(recorded)} and not with {', '.join(wanted)}"
        return None

    def _record(
        self,
        made: Build,
        instance: ContractInstance,
        arguments: tuple,
        implementation: ContractInstance | None = None,
        proxy: Build | None = None,
    ) -> None:
        receipt = instance.creation_metadata.receipt
        plain = [_plain(argument) for argument in arguments]
        record = {
            "contract": made.name,
            "chain_id": self.manifests.chain_id,
            "address": instance.address.lower(),
            "implementation": implementation.address.lower() if implementation else None,
            "transaction": receipt.txn_hash,
            "block": receipt.block_number,
            "deployer": self.account.address.lower(),
            "constructor_args": plain,
            "compiler": {
                "version": made.compiler,
                "settings_sha256": made.settings_sha256,
                "target": made.target,
            },
            "standard_json": self.manifests.write_input(made),
            "source_commit": source_commit(),
            "code_hash": _code_hash(instance.address),
            "implementation_code_hash": _code_hash(implementation.address) if implementation else None,
        }
        if implementation and proxy:
            initialise = implementation.initialize.encode_input(*arguments).hex()
            record["constructor_args"] = [
                implementation.address.lower(),
                "0x" + initialise.removeprefix("0x"),
            ]
            record["initializer_args"] = plain
            record["proxy"] = {"target": proxy.target, "standard_json": self.manifests.write_input(proxy)}
        self.manifests.write(record)
        click.echo(f"{made.name}: deployed {instance.address} in block {receipt.block_number}")


def _code_hash(address: str) -> str:
    return code_hash(bytes(networks.provider.get_code(address)))


def _plain(argument: Any) -> str:
    return str(argument).lower()
