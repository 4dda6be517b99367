"""`roundtrip explain ID`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from rich.markup import escape

from engine.app.commands.ledger import (
    ConfigOption,
    DirectoryOption,
    JsonOption,
    open_ledger,
    storage_directory,
)
from engine.app.output import print_json, say
from engine.domain.errors import UsageError
from engine.storage.pool_cache import refusals


def explain(
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="An opportunity's or execution's id, a transaction hash, a pool.",
        ),
    ],
    config: ConfigOption = None,
    directory: DirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why an opportunity was executed or refused: its cycle, every check's numbers, and its outcome; or
    why a pool or token is not traded."""
    if not re.fullmatch(r"(0x)?[0-9a-fA-F]{16,64}", identifier):
        raise UsageError(f"{identifier!r} is not an id: give the 16 hex digits that `ledger show` prints")
    why = refusals(storage_directory(config, directory)).get(identifier.lower())
    if why is not None:
        if as_json:
            print_json({"refused": identifier.lower(), "reason": why})
        else:
            say(f"{identifier} is not traded: {escape(why)}")
        return
    with open_ledger(config, directory) as ledger:
        found = ledger.explain(identifier)
    if found is None:
        raise UsageError(f"nothing is recorded under {identifier}: see `roundtrip ledger show` for ids")
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    opportunity, symbols = found["opportunity"], found["symbols"]

    def name(token: str) -> str:
        return escape(symbols.get(token) or token)

    if opportunity:
        say(f"opportunity {opportunity['id']} on block {opportunity['block']} ({opportunity['block_hash']})")
        for hop in opportunity["cycle"]:
            say(
                f"  {hop['amount_in']} {name(hop['token_in'])} → {hop['amount_out']} {name(hop['token_out'])}"
                f"  {escape(hop['venue'])} {hop['pool']}"
            )
        say(
            f"  gross {opportunity['gross_profit']}, gas {opportunity['gas_cost']}, net "
            f"{opportunity['net_profit']} {name(opportunity['base_token'])} base units"
        )
    for check in found["checks"]:
        numbers = ", ".join(f"{key} {value}" for key, value in check["numbers"].items())
        mark = "passed" if check["passed"] else f"refused ({check['reason']})"
        say(f"  {check['check']}: {mark}  {escape(numbers)}")
    execution = found["execution"]
    for sold in found["conversions"]:
        say(
            f"in the same transaction {sold['amount_in']} {name(sold['token_in'])} of profit sold for "
            f"{sold['amount_out']} {name(sold['token_out'])}"
        )
        for hop in sold["path"]:
            say(f"  {escape(hop['venue'])} {hop['pool']}")
    if execution:
        say(
            f"{execution['outcome']} in block {execution['block_number']}, transaction "
            f"{execution['transaction_hash']}, nonce {execution['nonce']}"
        )
        if execution["miss"]:
            rival = f" by {execution['rival']}" if execution["rival"] else ""
            say(f"  missed because: {execution['miss'].replace('_', ' ')}{rival}")
        say(
            f"  expected {execution['expected_profit']}, simulated {execution['simulated_profit']}, realised "
            f"{execution['realised_profit']}; gas {execution['gas_used']} × {execution['gas_price_wei']} wei"
        )
    elif found["verdict"]:
        say(f"verdict: {found['verdict']}" + (f" ({found['reason']})" if found["reason"] else ""))
    for entry in found["entries"]:
        say(f"  {entry['account']}: {entry['amount']} {name(entry['token'])}")
