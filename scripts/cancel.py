"""`ape run cancel --network …`: what is announced, and calling it off."""

from __future__ import annotations

import click
from ape.cli import ConnectedProviderCommand

from engine.domain.errors import UsageError
from scripts._announced import Announcement, forget_next, live_announcements
from scripts._chain import choose_account
from scripts._deployed import Deployed
from scripts._governed import Authority
from scripts._options import account_option, multisig_option, one_sentence, out_option
from scripts._send import clock


@click.command(cls=ConnectedProviderCommand)
@click.argument("operations", nargs=-1, metavar="[OPERATION]…")
@click.option("--all", "everything", is_flag=True, help="Call off whatever the account may call off.")
@account_option
@multisig_option
@out_option
@one_sentence("cancel")
def cli(operations, everything, alias, multisig, out):
    """Call off what was announced and not yet done; without OPERATION, list it.

    OPERATION is the number that the list shows, or its first digits. Whoever announced something may call it
    off, the administrator everything, the guardian what the curator and the upgrader announced. It takes
    effect at once and in one transaction; to have it after all it must be announced anew.
    """
    if everything and operations:
        raise UsageError("name operations or pass --all, not both")
    deployed = Deployed.at(out)
    live = live_announcements(deployed)
    if not operations and not everything:
        for one in live:
            click.echo(f"{one.operation}: {one}; possible from {clock(one.ready_at)}")
    if not live:
        click.echo("nothing is announced")
    if not live or not (operations or everything):
        return
    authority = Authority.of(deployed.manager, choose_account(alias), multisig)
    chosen = [one for one in live if authority.may_call_off(one)] if everything else _named(live, operations)
    authority.call_off(chosen)
    for one in chosen if authority.account else ():
        forget_next(deployed, one)


def _named(live: list[Announcement], operations: tuple[str, ...]) -> list[Announcement]:
    found: dict[str, Announcement] = {}
    for wanted in operations:
        fitting = [one for one in live if one.operation.startswith(wanted.lower())]
        if len(fitting) != 1 or not wanted.startswith("0x"):
            what = "several operations" if len(fitting) > 1 and wanted.startswith("0x") else "no operation"
            raise UsageError(f"{wanted} is {what} that is announced: run `ape run cancel` for the list")
        found[fitting[0].operation] = fitting[0]
    return list(found.values())
