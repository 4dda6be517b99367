"""`ape run deploy --network …`: deploy the contracts, fill the registries, hand over to the administrator.

Idempotent: addresses follow from the code, so what a run that was cut off has done is found and kept; only
what is missing is sent. The last transaction takes every role from the deployer.
"""

from __future__ import annotations

from pathlib import Path

import click
from ape.cli import ConnectedProviderCommand

from engine.domain.errors import ConfigError
from engine.domain.market import ZERO_ADDRESS
from scripts._chain import Deployer, choose_account, connected_chain_id, development_address
from scripts._listings import PINNED, read_feeds, read_table, read_venues
from scripts._manifests import Manifests
from scripts._options import account_option, address_option, duration_option, one_sentence, out_option
from scripts._registries import feed_calls, router_calls, venue_calls
from scripts._roles import Holder, SetUp
from scripts._send import DEFAULT_SALT, Creator, SentJournal
from scripts._sources import deploy_sources

# Who is who on a development chain, by development account.
_DEVELOPERS = {"admin": 1, "upgrader": 2, "curator": 3, "guardian": 4, "operator": 5, "vault": 6}
_TWO_DAYS = 48 * 3600
_HALF_DAY = 12 * 3600


@click.command(cls=ConnectedProviderCommand)
@account_option
@address_option("--admin", help="Gives out roles, after its delay: a multisig.")
@address_option("--upgrader", help="Upgrades and names the router, after its delay: a multisig.")
@address_option("--curator", help="Adds venues and feeds, after its delay.")
@address_option("--guardian", help="Stops, disables and removes, at once; cannot add or take back.")
@address_option("--operator", help="Only sender of the router's streams: the engine's key.")
@address_option("--vault", help="Only place profits can be moved to [default: the operator].")
@address_option("--wrapped-native", help="The router's pinned base token, e.g. WETH [default: the table's].")
@address_option("--pool-manager", help="Uniswap V4's PoolManager [default: the table's].")
@address_option("--balancer-vault", help="Balancer V2's vault [default: the table's].")
@address_option("--balancer-vault-v3", help="Balancer V3's vault [default: the table's].")
@duration_option("--admin-delay", _TWO_DAYS, help="Between the administrator's announcing and doing.")
@duration_option("--upgrade-delay", _TWO_DAYS, help="Between the upgrader's announcing and doing.")
@duration_option("--curator-delay", _HALF_DAY, help="Between the curator's announcing and doing.")
@click.option("--venues", type=click.Path(path_type=Path), help="JSON list of venues to register.")
@click.option("--feeds", type=click.Path(path_type=Path), help="JSON list of price feeds to register.")
@click.option("--table", type=click.Path(path_type=Path), help="TOML table of venues and feeds instead.")
@out_option
@click.option("--salt", default=DEFAULT_SALT, help="32 bytes that addresses follow from [default: fixed].")
@click.option("--replace", is_flag=True, help="Deploy anew what does not fit its manifest.")
@one_sentence("deploy")
def cli(alias, venues, feeds, table, out, salt, replace, **given):
    """Deploy AccessManager, DexRegistry, PriceFeedRegistry and ArbitrageRouter.

    On a development chain everybody has a development account (admin dev:1, upgrader dev:2, curator dev:3,
    guardian dev:4, operator dev:5, vault dev:6); elsewhere name each of them.
    """
    account = choose_account(alias)
    people = _people(given, development=alias is None or alias.startswith("dev:"))
    delays = {"admin": given["admin_delay"], "upgrader": given["upgrade_delay"]}
    delays["curator"] = given["curator_delay"]
    _require_governed(account.address, people, delays)
    chain_id = connected_chain_id()
    wanted_venues = read_venues(venues) if venues else []
    wanted_feeds = read_feeds(feeds) if feeds else []
    known: dict[str, str] = {}
    if table is not None:
        listing = read_table(table)
        if listing.chain_id != chain_id:
            raise ConfigError(f"{table} is of chain {listing.chain_id}, but the node serves {chain_id}")
        known = listing.pinned
        wanted_venues, wanted_feeds = [*wanted_venues, *listing.venues], [*wanted_feeds, *listing.feeds]
    manifests = Manifests(out / str(chain_id), chain_id)
    manifests.prepare()
    journal = SentJournal(manifests.folder / ".sent.json")
    creator = Creator(account, journal, salt)
    deployer = Deployer(account, manifests, creator, replace)

    manager = deployer.contract("AccessManager", account.address)
    dex_registry = deployer.proxied("DexRegistry", manager.address)
    feed_registry = deployer.proxied("PriceFeedRegistry", manager.address)
    pinned = (given[name] or known.get(name, ZERO_ADDRESS) for name in PINNED)
    router = deployer.contract("ArbitrageRouter", people["operator"], people["vault"], *pinned)

    calls = [*router_calls(dex_registry, router.address), *venue_calls(dex_registry, wanted_venues)]
    set_feeds, placed = feed_calls(feed_registry, wanted_feeds, salt)
    deploy_sources(creator, placed)
    holders = {
        role: Holder(people[role], delays.get(role, 0))
        for role in ("curator", "guardian", "operator", "upgrader", "admin")
    }
    targets = {"DexRegistry": dex_registry, "PriceFeedRegistry": feed_registry}
    SetUp(account, manager, targets, holders).finish([*calls, *set_feeds])
    manifests.amend(
        "AccessManager",
        roles={
            role: {"holder": one.address.lower(), "delay_s": one.delay_s} for role, one in holders.items()
        },
    )
    journal.clear()


def _people(given: dict, development: bool) -> dict[str, str]:
    """Everybody's address; development accounts stand in where it is a development account that deploys."""
    people = {role: given[role] for role in _DEVELOPERS}
    missing = [role for role, address in people.items() if address is None and role != "vault"]
    if missing and not development:
        raise ConfigError(f"with an account of yours, name everybody: --{' --'.join(missing)} missing")
    if people["vault"] is None and people["operator"] is not None:
        people["vault"] = people["operator"]
    return {role: address or development_address(_DEVELOPERS[role]) for role, address in people.items()}


def _require_governed(deployer: str, people: dict[str, str], delays: dict[str, int]) -> None:
    """No deployment without a delay between announcing and doing, or with the deployer in charge."""
    for role, delay in delays.items():
        if delay == 0:
            name = "upgrade" if role == "upgrader" else role
            raise ConfigError(f"--{name}-delay 0s would let the {role} act unannounced: give it at least 1s")
    for role in ("admin", "upgrader", "curator"):
        if people[role] == deployer:
            raise ConfigError(f"the deployer {deployer} cannot be {role}: name somebody else with --{role}")
