"""`ape run rotate_router --network …`: put the router built from this tree in the current one's place."""

from __future__ import annotations

import click
from ape.cli import ConnectedProviderCommand

from scripts._chain import choose_account
from scripts._deployed import Deployed
from scripts._governed import Authority
from scripts._options import account_option, address_option, multisig_option, one_sentence, out_option
from scripts._rotating import recorded_router, rotate


@click.command(cls=ConnectedProviderCommand)
@account_option
@multisig_option
@address_option("--vault", help="Another vault [default: the current router's].")
@out_option
@one_sentence("rotate_router")
def cli(alias, multisig, vault, out):
    """Replace the router by the one built from this tree, for the same operator.

    The router is immutable and holds nothing, so it is replaced and not upgraded: deployed now, announced to
    the registry by the upgrader, and made current by the same command after the delay.
    """
    deployed = Deployed.at(out)
    operator, old_vault, *others = recorded_router(deployed)["constructor_args"]
    account = choose_account(alias)
    authority = Authority.of(deployed.manager, account, multisig)
    rotate(deployed, account, authority, (operator, vault or old_vault, *others), [])
