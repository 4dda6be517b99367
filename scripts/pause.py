"""`ape run pause --network …`: the emergency stop, in one transaction of the guardian."""

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
@one_sentence("pause")
def cli(alias, multisig, out):
    """Tell every engine to send nothing more: the guardian's emergency stop, at once.

    Engines read it at each block. `ape run resume` takes it back.
    """
    deployed = Deployed.at(out)
    registry = deployed.dex_registry
    if registry.stopped():
        click.echo("the emergency stop is on already")
        return
    call = RegistryCall("-", "emergency stop on", registry.address, encode(registry.emergencyStop))
    Authority.of(deployed.manager, choose_account(alias), multisig).perform([call])
