"""What the commands of this folder have in common: options, one sentence on failure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from ape.exceptions import ApeException
from eth_utils import is_hex_address, to_checksum_address

from engine.domain.errors import RoundtripError, UsageError


def address_option(*names: str, help: str) -> Callable:
    """An option whose value is an address, in checksum form."""

    def check(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is None or is_hex_address(value):
            return value and to_checksum_address(value)
        raise click.BadParameter(f"{value!r} is not an address", param=parameter)

    return click.option(*names, callback=check, help=help)


def duration_option(name: str, default_s: int, help: str) -> Callable:
    """An option whose value is a time such as 90s, 15m, 12h or 2d, given to the command in seconds."""

    def read(_: click.Context, parameter: click.Parameter, value: str) -> int:
        scale = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
        number, unit = value[:-1], value[-1:]
        if unit in scale and number.isdigit():
            return int(number) * scale[unit]
        raise click.BadParameter(f"{value!r} is not a time such as 90s, 15m, 12h or 2d", param=parameter)

    hours = f"{default_s // 3600}h"
    return click.option(name, default=hours, show_default=True, callback=read, help=help)


out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("deployments"),
    show_default=True,
    help="Manifests are in <out>/<chain-id>/.",
)
_PASSPHRASE_FILE = "roundtrip.passphrase_file"


def account_option(function: Callable) -> Callable:
    """Who sends; a keystore's or an Ape account's passphrase may come from a file, for runs that nobody
    watches."""

    def remember(context: click.Context, _: click.Parameter, value: Path | None) -> None:
        context.meta[_PASSPHRASE_FILE] = value

    sender = click.option(
        "--account",
        "alias",
        help="Who sends: a keystore file, an Ape account, or dev:N for development account N"
        " [default: dev:0].",
    )
    passphrase = click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path),
        envvar="ROUNDTRIP_PASSPHRASE_FILE",
        expose_value=False,
        callback=remember,
        help="File with the passphrase of --account [default: asked at the terminal].",
    )
    return sender(passphrase(function))


def passphrase_file() -> Path | None:
    """What `--passphrase-file` names, in the running command."""
    return click.get_current_context().meta.get(_PASSPHRASE_FILE)


multisig_option = address_option(
    "--multisig", help="Send nothing: print, as JSON, what this multisig has to send now."
)


def one_sentence(command: str) -> Callable:
    """Failures leave one sentence on stderr: exit code 2 for a person's mistake, 1 for everything else."""

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def run(*arguments: Any, **options: Any) -> None:
            try:
                function(*arguments, **options)
            except UsageError as error:
                click.echo(f"{command}: {error}", err=True)
                raise SystemExit(2) from error
            except RoundtripError as error:
                click.echo(f"{command}: {error}", err=True)
                raise SystemExit(1) from error
            except ApeException as error:
                said = " ".join(str(error).split())
                click.echo(f"{command}: {type(error).__name__}: {said}", err=True)
                raise SystemExit(1) from error

        return run

    return decorate
