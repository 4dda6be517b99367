"""`ape run deploy --network …`: deploy the contracts, give out their roles, register venues and feeds.

Idempotent: what the manifests record and the chain holds is kept; only what is missing is sent.
"""

from __future__ import annotations

from pathlib import Path

import click
from ape.api import AccountAPI
from ape.cli import ConnectedProviderCommand
from ape.exceptions import ApeException

from engine.domain.errors import UsageError
from scripts._chain import Deployer, choose_account, connected_chain_id
from scripts._listings import read_feeds, read_venues
from scripts._manifests import Manifests
from scripts._roles import configure


def _address(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from eth_utils import is_hex_address, to_checksum_address

    if value is None or is_hex_address(value):
        return value and to_checksum_address(value)
    raise click.BadParameter(f"{value!r} is not an address", param=parameter)


@click.command(cls=ConnectedProviderCommand)
@click.option("--account", "alias", help="Ape account that deploys; a development account where left out.")
@click.option(
    "--operator", callback=_address, help="Only sender of the router's streams [default: the deployer]."
)
@click.option("--vault", callback=_address, help="Where profits are swept to [default: the operator].")
@click.option("--curator", callback=_address, help="Adds venues and feeds [default: the deployer].")
@click.option(
    "--guardian", callback=_address, help="Disables venues, removes feeds, stops [default: the deployer]."
)
@click.option("--upgrader", callback=_address, help="Upgrades and names the router [default: the deployer].")
@click.option("--venues", type=click.Path(path_type=Path), help="JSON list of venues to register.")
@click.option("--feeds", type=click.Path(path_type=Path), help="JSON list of price feeds to register.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("deployments"),
    help="Manifests go to <out>/<chain-id>/.",
)
@click.option("--replace", is_flag=True, help="Deploy anew what does not fit its manifest.")
def cli(alias, operator, vault, curator, guardian, upgrader, venues, feeds, out, replace):
    """Deploy AccessManager, DexRegistry, PriceFeedRegistry and ArbitrageRouter."""
    try:
        wanted_venues = read_venues(venues) if venues else []
        wanted_feeds = read_feeds(feeds) if feeds else []
        account: AccountAPI = choose_account(alias)
        chain_id = connected_chain_id()
        manifests = Manifests(out / str(chain_id), chain_id)
        manifests.prepare()
        deployer = Deployer(account, manifests, replace)
        operator = operator or account.address
        roles = {
            "curator": curator or account.address,
            "guardian": guardian or account.address,
            "operator": operator,
            "upgrader": upgrader or account.address,
        }
        manager = deployer.contract("AccessManager", account.address)
        dex_registry = deployer.proxied("DexRegistry", manager.address)
        feed_registry = deployer.proxied("PriceFeedRegistry", manager.address)
        router = deployer.contract("ArbitrageRouter", operator, vault or operator)
        configure(account, manager, dex_registry, feed_registry, router, roles, wanted_venues, wanted_feeds)
    except UsageError as error:
        click.echo(f"deploy: {error}", err=True)
        raise SystemExit(2) from error
    except ApeException as error:
        click.echo(f"deploy: {type(error).__name__}: {error}", err=True)
        raise SystemExit(1) from error
