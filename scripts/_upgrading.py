"""Moving a registry's proxy to another implementation, tried on a fork first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
from ape import networks
from ape.contracts import ContractInstance
from eth_utils import function_signature_to_4byte_selector as selector
from eth_utils import to_checksum_address
from web3 import HTTPProvider, Web3

from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.chain.access import ROLES
from engine.domain.errors import DeploymentError
from scripts._chain import IMPLEMENTATION_SLOT, implementation_of
from scripts._deployed import Deployed
from scripts._governed import Authority
from scripts._manifests import code_hash
from scripts._registries import RegistryCall
from scripts._send import code_at, encode

# Fields of a manifest that belong to the implementation and move with it.
VERSION_FIELDS = (
    "implementation",
    "implementation_code_hash",
    "implementation_transaction",
    "compiler",
    "standard_json",
    "source_commit",
)


def change_implementation(
    deployed: Deployed,
    name: str,
    version: Mapping[str, Any],
    authority: Authority,
    *,
    dry_run: bool,
    withdraw: bool = False,
) -> None:
    """Announce or do the move of `name` to `version` (VERSION_FIELDS); tries it on a fork before announcing.

    The manifest names the announced version as `next`, and when it is done moves the old one to `history`,
    so that a running engine knows both. `withdraw` marks the old one as nothing to go back to.
    """
    registry = deployed.registry(name)
    record = deployed.manifests.read(name)
    assert record is not None
    wanted = to_checksum_address(version["implementation"])
    if code_hash(code_at(wanted)) != version["implementation_code_hash"]:
        raise DeploymentError(f"the chain does not hold the recorded code at {wanted}: it cannot be used")
    current = implementation_of(registry.address)
    if current == wanted:
        _settle(deployed, name, record, version, withdraw)
        click.echo(f"{name} runs {wanted} already")
        return
    rehearse(deployed, registry, wanted)
    click.echo(f"rehearsed on a fork: {name} answers with {wanted} as it did with {current}")
    if dry_run:
        return
    deployed.manifests.amend(name, next=dict(version))
    what = f"{name} implementation {wanted} (now {current})"
    data = encode(registry.upgradeToAndCall, wanted, b"")
    if authority.perform([RegistryCall("~", what, registry.address, data)]).done and authority.account:
        _settle(deployed, name, record, version, withdraw)


def _settle(
    deployed: Deployed, name: str, record: dict[str, Any], version: Mapping[str, Any], withdraw: bool
) -> None:
    """Record that the proxy runs `version` now."""
    if record["implementation"] == version["implementation"]:
        return
    kept = {field: record.get(field) for field in VERSION_FIELDS}
    if withdraw:
        kept["withdrawn"] = True
    history = [*record.get("history", []), kept]
    updated = {**record, **{field: version.get(field) for field in VERSION_FIELDS}, "history": history}
    updated.pop("next", None)
    deployed.manifests.write(updated)
    click.echo(f"{name}: recorded, with {len(history)} earlier versions")


def rehearse(deployed: Deployed, registry: ContractInstance, implementation: str) -> None:
    """The whole way on a private fork: the upgrader announces, waits, does it; every view answers as before.

    Raises DeploymentError with what went wrong.
    """
    upgrader = _upgrader(deployed)
    upstream = str(networks.provider.http_uri)
    chain_id = int(networks.provider.chain_id)
    with AnvilProcess(AnvilOptions(chain_id=chain_id, fork_url=upstream)) as fork:
        web3 = Web3(HTTPProvider(fork.http_url))
        call = encode(registry.upgradeToAndCall, implementation, b"")
        views = [one for one in registry.contract_type.view_methods if not one.inputs]
        before = _answers(web3, registry.address, views)

        def act(data: bytes) -> None:
            transaction = {"from": upgrader, "to": deployed.manager.address, "data": "0x" + data.hex()}
            sent = web3.provider.make_request("eth_sendTransaction", [{**transaction, "gas": hex(5_000_000)}])
            if "error" in sent:
                raise DeploymentError(f"on a fork the upgrade fails: {sent['error']['message']}")
            web3.provider.make_request("evm_mine", [])
            receipt = web3.provider.make_request("eth_getTransactionReceipt", [sent["result"]])["result"]
            if int(receipt["status"], 16) != 1:
                raise DeploymentError(f"on a fork the upgrade by {upgrader} reverts: nothing was announced")

        web3.provider.make_request("anvil_impersonateAccount", [upgrader])
        web3.provider.make_request("anvil_setBalance", [upgrader, hex(10**20)])
        _, delay = deployed.manager.hasRole(ROLES["upgrader"], upgrader)
        operation = deployed.manager.hashOperation(upgrader, registry.address, call)
        if not deployed.manager.getSchedule(operation):
            act(encode(deployed.manager.schedule, registry.address, call, 0))
        web3.provider.make_request("evm_increaseTime", [delay + 1])
        act(encode(deployed.manager.execute, registry.address, call))
        word = web3.eth.get_storage_at(registry.address, IMPLEMENTATION_SLOT)
        if to_checksum_address(bytes(word)[-20:]) != implementation:
            raise DeploymentError("on a fork the proxy did not move to the new implementation")
        after = _answers(web3, registry.address, views)
    changed = [name for name in before if before[name] != after.get(name)]
    if changed:
        raise DeploymentError(f"on a fork {', '.join(changed)} answer otherwise after the upgrade")


def _answers(web3: Web3, address: str, views: list[Any]) -> dict[str, str]:
    """What every view without arguments returns, and the first page of those with pages."""
    asked = {view.selector: "0x" + selector(view.selector).hex() for view in views}
    page = (0).to_bytes(32, "big") + (50).to_bytes(32, "big")
    for name in ("venues(uint256,uint256)", "feeds(uint256,uint256)", "barredPage(uint256,uint256)"):
        asked[name] = "0x" + (selector(name) + page).hex()

    def ask(data: str) -> str:
        answer = web3.provider.make_request("eth_call", [{"to": address, "data": data}, "latest"])
        return json.dumps(answer.get("result"))

    return {name: ask(data) for name, data in asked.items()}


def _upgrader(deployed: Deployed) -> str:
    roles = (deployed.manifests.read("AccessManager") or {}).get("roles", {})
    holder = roles.get("upgrader", {}).get("holder")
    if not holder or not deployed.manager.hasRole(ROLES["upgrader"], to_checksum_address(holder))[0]:
        raise DeploymentError("the AccessManager's manifest does not name the upgrader: restore it")
    return to_checksum_address(holder)
