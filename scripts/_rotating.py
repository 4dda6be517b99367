"""Putting another router in the place of the current one."""

from __future__ import annotations

from typing import Any

import click

from engine.domain.errors import DeploymentError
from scripts._artifacts import build
from scripts._chain import Deployer, creation_code
from scripts._deployed import Deployed
from scripts._governed import Authority
from scripts._manifests import code_hash
from scripts._registries import RegistryCall, router_calls
from scripts._send import Creator, SentJournal, code_at

_ROUTER = "ArbitrageRouter"


def recorded_router(deployed: Deployed) -> dict[str, Any]:
    """The router's manifest; raises DeploymentError when there is none."""
    record = deployed.manifests.read(_ROUTER)
    if record is None:
        raise DeploymentError(f"{deployed.manifests.folder / _ROUTER}.json is missing: restore it")
    return record


def rotate(
    deployed: Deployed, account: Any, authority: Authority, arguments: tuple, also: list[RegistryCall]
) -> None:
    """Deploy a router with these constructor arguments (or find it), announce or name it as the current one.

    The manifest names the announced router as `next` and moves the old one to `history` when the registry has
    changed, so that a running engine knows both. `also` is done or announced with it.
    """
    record, made = recorded_router(deployed), build(_ROUTER)
    journal = SentJournal(deployed.manifests.folder / ".sent.json")
    creator = Creator(account, journal)
    address, transaction, block = creator.create(creation_code(made, arguments))
    journal.clear()
    if record["address"] != address.lower():
        announced = {"address": address.lower(), "code_hash": code_hash(code_at(address))}
        deployed.manifests.amend(_ROUTER, next=announced)
    calls = [*router_calls(deployed.dex_registry, address), *also]
    progress = authority.perform(calls) if calls else None
    if deployed.dex_registry.router() != address:
        click.echo(f"engines go on with {record['address']} until the registry names {address}")
    elif record["address"] != address.lower():
        earlier = {key: value for key, value in record.items() if key not in ("history", "next")}
        earlier["standard_json"] = deployed.manifests.keep_input(record)
        deployer = Deployer(account, deployed.manifests, creator)
        entry = deployer.record(made, arguments, address, transaction, block)
        deployed.manifests.write({**entry, "history": [*record.get("history", []), earlier]})
        click.echo(f"{_ROUTER}: recorded {address}")
    elif progress is None or progress.complete:
        click.echo(f"the router {address} is current and recorded already")
