"""`ape run resume --network …`: take the emergency stop back, by the administrator, after the delay."""

from __future__ import annotations

import click
from ape.cli import ConnectedProviderCommand

from scripts._chain import choose_account
from scripts._deployed import Deployed
from scripts._governed import Authority
from scripts._options import account_option, multisig_option, one_sentence, out_option
from scripts._registries import RegistryCall
from scripts._send import encode


@click.command(cls=ConnectedProviderCommand)
@account_option
@multisig_option
@out_option
@one_sentence("resume")
def cli(alias, multisig, out):
    """Take the emergency stop back: announced by the first run, done by the same command after the delay."""
    deployed = Deployed.at(out)
    registry = deployed.dex_registry
    if not registry.stopped():
        click.echo("the emergency stop is off already")
        return
    call = RegistryCall("+", "emergency stop off", registry.address, encode(registry.resume))
    Authority.of(deployed.manager, choose_account(alias), multisig).perform([call])
