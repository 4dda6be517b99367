"""`roundtrip ledger show|export`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.table import Table

from engine.app.output import out, print_json, require_writable
from engine.app.settings import load_settings
from engine.domain.errors import UsageError
from engine.storage.database import open_database
from engine.storage.queries import EXPORT_COLUMNS, LedgerQueries

app = typer.Typer(help="What was done, earned and paid.", no_args_is_help=True, add_completion=False)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Settings file whose storage directory holds the ledger.")
]
DirectoryOption = Annotated[Path | None, typer.Option("--directory", help="Storage directory of a run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


class Form(StrEnum):
    """Forms of an export."""

    CSV = "csv"
    JSON = "json"


def storage_directory(config: Path | None, directory: Path | None) -> Path:
    """The storage directory asked for. Raises UsageError when both or neither are named."""
    if (config is None) == (directory is None):
        raise UsageError("name the ledger by one of --config FILE and --directory DIR")
    return directory if directory is not None else load_settings(config).storage.directory  # type: ignore[arg-type]


@contextmanager
def open_ledger(config: Path | None, directory: Path | None) -> Iterator[LedgerQueries]:
    """The ledger's reading side. Raises UsageError when there is none."""
    engine = open_database(storage_directory(config, directory) / "ledger.sqlite", create=False)
    try:
        yield LedgerQueries(engine)
    finally:
        engine.dispose()


@app.command()
def show(
    config: ConfigOption = None,
    directory: DirectoryOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many executions to print.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Recent executions, and totals by base token."""
    with open_ledger(config, directory) as ledger:
        recent, totals, refusals = ledger.recent_executions(limit), ledger.totals(), ledger.refusals()
    if as_json:
        print_json({"executions": recent, "totals": totals, "refused_by_reason": refusals})
        return
    table = Table(box=None, pad_edge=False)
    for name in ("block", "outcome", "token", "expected", "simulated", "realised", "gas", "explain"):
        table.add_column(name, justify="left" if name in ("outcome", "token", "explain") else "right")
    for row in recent:
        table.add_row(
            str(row["block_number"]),
            row["outcome"],
            row["base_symbol"] or row["base_token"],
            row["expected_profit"],
            row["simulated_profit"],
            row["realised_profit"],
            str(row["gas_used"]),
            row["opportunity_id"] or row["id"],
        )
    out.print(table)
    outcomes = ", ".join(f"{name} {count}" for name, count in totals["outcomes"].items()) or "nothing yet"
    out.print(f"\n{outcomes}; mismatches {totals['mismatches']}; gas paid {totals['gas_paid_wei']} wei")
    for token in totals["base_tokens"]:
        out.print(
            f"{token['symbol'] or token['token']}: {token['landed']} landed, expected "
            f"{token['expected_profit']}, realised {token['realised_profit']} base units"
        )
    if refusals:
        out.print("refused: " + ", ".join(f"{reason} {count}" for reason, count in refusals.items()))


@app.command()
def export(
    config: ConfigOption = None,
    directory: DirectoryOption = None,
    form: Annotated[Form, typer.Option("--format", help="csv, or json (one document).")] = Form.CSV,
    output: Annotated[
        Path | None, typer.Option("--output", help="File to write; stdout if left out.")
    ] = None,
) -> None:
    """Every execution, oldest first, amounts as decimal strings in base units."""
    require_writable(output)
    with open_ledger(config, directory) as ledger:
        if output is None:
            _write(ledger, form, sys.stdout)
            return
        try:
            with output.open("w", newline="") as file:
                _write(ledger, form, file)
        except OSError as error:
            raise UsageError(f"export {output} could not be written: {error.strerror}") from error


def _write(ledger: LedgerQueries, form: Form, file: TextIO) -> None:
    if form is Form.JSON:
        json.dump(list(ledger.executions()), file)
        file.write("\n")
        return
    writer = csv.DictWriter(file, EXPORT_COLUMNS)
    writer.writeheader()
    writer.writerows(ledger.executions())
