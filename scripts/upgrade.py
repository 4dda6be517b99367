"""`ape run upgrade DexRegistry --network …`: move a registry to the implementation built from this tree."""

from __future__ import annotations

import json

import click
from ape.cli import ConnectedProviderCommand

from engine.domain.errors import DeploymentError
from scripts._artifacts import build
from scripts._chain import choose_account, creation_code
from scripts._deployed import REGISTRIES, Deployed
from scripts._governed import Authority
from scripts._layout import require_upgradable
from scripts._manifests import code_hash, source_commit
from scripts._options import account_option, multisig_option, one_sentence, out_option
from scripts._send import Creator, SentJournal, code_at
from scripts._upgrading import change_implementation


@click.command(cls=ConnectedProviderCommand)
@click.argument("contract", type=click.Choice(REGISTRIES))
@click.option("--build", "built", help="Contract of the build to upgrade to [default: CONTRACT].")
@account_option
@multisig_option
@click.option("--dry-run", is_flag=True, help="Validate and rehearse on a fork; announce nothing.")
@out_option
@one_sentence("upgrade")
def cli(contract, built, alias, multisig, dry_run, out):
    """Move CONTRACT's proxy to the implementation built from this tree.

    The storage layout is validated against the deployed version's recorded sources, the implementation is
    deployed, the whole upgrade is rehearsed on a fork, then announced. After the upgrader's delay the same
    command does it and records it. `ape run rollback` goes back.
    """
    deployed = Deployed.at(out)
    made = build(built or contract)
    record = deployed.manifests.read(contract)
    assert record is not None
    recorded = json.loads((deployed.manifests.folder / record["standard_json"]).read_text())
    require_upgradable(made.target, made.standard_json, recorded, record["compiler"]["target"])
    click.echo(f"{made.target} keeps the storage layout of the deployed version")
    account = choose_account(alias)
    journal = SentJournal(deployed.manifests.folder / ".sent.json")
    address, transaction, _ = Creator(account, journal).create(creation_code(made, ()))
    journal.clear()
    if not code_at(address):
        raise DeploymentError(f"the implementation was not created at {address}")
    version = {
        "implementation": address.lower(),
        "implementation_code_hash": code_hash(code_at(address)),
        "implementation_transaction": transaction,
        "compiler": {
            "version": made.compiler,
            "settings_sha256": made.settings_sha256,
            "target": made.target,
        },
        "standard_json": deployed.manifests.write_version(made, address),
        "source_commit": source_commit(),
    }
    authority = Authority.of(deployed.manager, account, multisig)
    change_implementation(deployed, contract, version, authority, dry_run=dry_run)
