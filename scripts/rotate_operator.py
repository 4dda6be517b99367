"""`ape run rotate_operator --operator 0x… --network …`: put a router for another operator key in place."""

from __future__ import annotations

import click
from ape.cli import ConnectedProviderCommand
from eth_utils import to_checksum_address

from engine.chain.access import ROLES
from scripts._chain import choose_account
from scripts._deployed import Deployed
from scripts._governed import Authority
from scripts._options import account_option, address_option, multisig_option, one_sentence, out_option
from scripts._registries import RegistryCall
from scripts._rotating import recorded_router, rotate
from scripts._send import encode


@click.command(cls=ConnectedProviderCommand)
@address_option("--operator", help="The new operator: an address whose key is nowhere else.")
@account_option
@multisig_option
@out_option
@one_sentence("rotate_operator")
def cli(operator, alias, multisig, out):
    """Replace the operator's key: a router that obeys the new one, and the operator role moved to it.

    Two people act: run it as the upgrader, who names the router, and as the administrator, who moves the
    role; each announces first and repeats the command after the delay. If the old key is stolen, `ape run
    pause` first: the thief can only spend the key's own gas money, and profits only ever go to the vault.
    """
    if operator is None:
        raise click.UsageError("name the new operator with --operator")
    deployed = Deployed.at(out)
    record = recorded_router(deployed)
    old, *others = record["constructor_args"]
    manager = deployed.manager
    role = ROLES["operator"]
    calls = []
    if not manager.hasRole(role, operator)[0]:
        data = encode(manager.grantRole, role, operator, 0)
        calls.append(RegistryCall("+", f"operator {operator}", manager.address, data))
    earlier = [old, *(one["constructor_args"][0] for one in record.get("history", []))]
    for former in dict.fromkeys(to_checksum_address(one) for one in earlier):
        if former != operator and manager.hasRole(role, former)[0]:
            data = encode(manager.revokeRole, role, former)
            calls.append(RegistryCall("-", f"operator {former}", manager.address, data))
    account = choose_account(alias)
    rotate(deployed, account, Authority.of(manager, account, multisig), (operator.lower(), *others), calls)
    if deployed.dex_registry.router().lower() == deployed.manifests.read("ArbitrageRouter")["address"]:
        deployed.manifests.amend_role("operator", operator.lower())
