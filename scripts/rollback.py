"""`ape run rollback DexRegistry --network …`: move a registry back to its previous implementation."""

from __future__ import annotations

import click
from ape.cli import ConnectedProviderCommand

from engine.domain.errors import DeploymentError
from scripts._chain import choose_account
from scripts._deployed import REGISTRIES, Deployed
from scripts._governed import Authority
from scripts._options import account_option, multisig_option, one_sentence, out_option
from scripts._upgrading import change_implementation


@click.command(cls=ConnectedProviderCommand)
@click.argument("contract", type=click.Choice(REGISTRIES))
@account_option
@multisig_option
@click.option("--dry-run", is_flag=True, help="Rehearse on a fork; announce nothing.")
@out_option
@one_sentence("rollback")
def cli(contract, alias, multisig, dry_run, out):
    """Move CONTRACT's proxy back to the implementation it had before the last upgrade.

    Rehearsed on a fork and announced by the first run, done by the same command after the upgrader's delay.
    """
    deployed = Deployed.at(out)
    record = deployed.manifests.read(contract)
    assert record is not None
    earlier = [
        one
        for one in record.get("history", [])
        if not one.get("withdrawn") and one["implementation"] != record["implementation"]
    ]
    if not earlier:
        raise DeploymentError(f"{contract} has no earlier implementation: there is nothing to go back to")
    authority = Authority.of(deployed.manager, choose_account(alias), multisig)
    change_implementation(deployed, contract, earlier[-1], authority, dry_run=dry_run, withdraw=True)
