"""`ape run configure --network …`: bring venues and feeds to what a chain's table says.

Idempotent: prints the difference and does it; where nothing differs nothing is sent.
"""

from __future__ import annotations

from pathlib import Path

import click
from ape.cli import ConnectedProviderCommand

from engine.app.toolchain import project_root
from engine.domain.errors import ConfigError
from scripts._chain import choose_account, connected_chain_id
from scripts._deployed import Deployed
from scripts._governed import Authority
from scripts._listings import ChainListing, read_table
from scripts._options import account_option, multisig_option, one_sentence, out_option
from scripts._registries import feed_calls, venue_calls
from scripts._send import DEFAULT_SALT, Creator, SentJournal
from scripts._sources import deploy_sources


@click.command(cls=ConnectedProviderCommand)
@account_option
@multisig_option
@click.option("--table", type=click.Path(path_type=Path), help="TOML table [default: the chain's own].")
@click.option("--prune", is_flag=True, help="Also disable venues and remove feeds that are not listed.")
@click.option("--dry-run", is_flag=True, help="Print the difference and send nothing.")
@out_option
@one_sentence("configure")
def cli(alias, multisig, table, prune, dry_run, out):
    """Bring venues and price feeds to what a table says: the curator adds, the guardian removes.

    What must be announced is announced by the first run and done by the same command after the delay. New
    price sources are contracts of their own; anybody may deploy them, so the account does.
    """
    deployed = Deployed.at(out)
    listing = _listing(table)
    venues = venue_calls(deployed.dex_registry, listing.venues, prune=prune)
    feeds, placed = feed_calls(deployed.feed_registry, listing.feeds, DEFAULT_SALT, prune=prune)
    calls = [*venues, *feeds]
    if not calls:
        click.echo(f"nothing differs: {len(listing.venues)} venues, {len(listing.feeds)} feeds")
        return
    for call in calls:
        click.echo(f"difference: {call}", err=multisig is not None)
    if dry_run:
        return
    account = choose_account(alias)
    journal = SentJournal(deployed.manifests.folder / ".sent.json")
    made = deploy_sources(Creator(account, journal), placed)
    journal.clear()
    if made:
        click.echo(f"deployed {made} price sources", err=multisig is not None)
    progress = Authority.of(deployed.manager, account, multisig).perform(calls)
    if progress.forbidden:
        raise ConfigError(
            f"{len(progress.forbidden)} of {len(calls)} changes need another role (the curator adds, the"
            " guardian removes): run again with its --account"
        )


def _listing(table: Path | None) -> ChainListing:
    chain_id = connected_chain_id()
    if table is not None:
        listing = read_table(table)
        if listing.chain_id != chain_id:
            raise ConfigError(f"{table} is of chain {listing.chain_id}, but the node serves {chain_id}")
        return listing
    folder = project_root() / "deployments" / "chains"
    for path in sorted(folder.glob("*.toml")):
        if (listing := read_table(path)).chain_id == chain_id:
            return listing
    raise ConfigError(f"no table in {folder} is of chain {chain_id}: name one with --table")
