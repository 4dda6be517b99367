"""The `roundtrip` command: global options, sub-commands, and how failures end.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import click
import typer

from engine import __version__
from engine.app.commands import config, demo, deployments, doctor, explain, keys, ledger, quote, run, scan
from engine.app.commands import simulate as simulate_command
from engine.domain.errors import NodeUnreachable, RoundtripError, UsageError

app = typer.Typer(
    name="roundtrip",
    help="Find, check and execute atomic DEX arbitrage, exactly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"roundtrip {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Find, check and execute atomic DEX arbitrage, exactly."""


app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("scan")(scan.scan)
app.command("quote")(quote.quote)
app.command("simulate")(simulate_command.simulate)
app.command("doctor")(doctor.doctor)
app.command("explain")(explain.explain)
app.add_typer(config.app, name="config")
app.add_typer(ledger.app, name="ledger")
app.add_typer(deployments.app, name="deployments")
app.add_typer(keys.app, name="keys")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def run_cli(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; failures print one sentence on stderr."""
    try:
        result = app(args=arguments, standalone_mode=False)
    except click.UsageError as error:
        context = error.ctx.command_path if error.ctx else "roundtrip"
        message = _one_line(error.format_message()).rstrip(".")
        print(f"{context}: {message} (see {context} --help)", file=sys.stderr)
        return 2
    except (UsageError, NodeUnreachable) as error:
        print(f"roundtrip: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except RoundtripError as error:
        print(f"roundtrip: {_one_line(str(error))}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, click.Abort):
        print("roundtrip: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return result if isinstance(result, int) else 0


def main() -> None:
    """Console-script entry."""
    sys.exit(run_cli())
