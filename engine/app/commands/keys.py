"""`roundtrip keys new|import`."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.app.output import print_json
from engine.app.passphrase import read_passphrase
from engine.chain.keys import create_keystore, import_key
from engine.domain.errors import ConfigError

app = typer.Typer(
    help="Make or import an encrypted operator key. Neither key nor passphrase is ever an argument.",
    no_args_is_help=True,
    add_completion=False,
)

KeystoreOption = Annotated[Path, typer.Option("--keystore", help="File to write; never overwritten.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File whose first line is the passphrase; else asked for."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def _refuse_existing(keystore: Path) -> None:
    if keystore.exists():
        raise ConfigError(f"{keystore} exists: choose another file, a keystore is never overwritten")


def _tell(address: str, keystore: Path, as_json: bool) -> None:
    if as_json:
        print_json({"address": address, "keystore": str(keystore)})
    else:
        typer.echo(f"operator {address}, encrypted in {keystore}: keep the passphrase elsewhere")


@app.command()
def new(
    keystore: KeystoreOption, passphrase_file: PassphraseOption = None, as_json: JsonOption = False
) -> None:
    """Make a new key and write it encrypted."""
    _refuse_existing(keystore)
    _tell(create_keystore(keystore, read_passphrase(passphrase_file, confirm=True)), keystore, as_json)


@app.command("import")
def import_(
    keystore: KeystoreOption,
    private_key_file: Annotated[
        Path | None, typer.Option("--private-key-file", help="File with 64 hex digits; else asked for.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encrypt an existing key. The key comes from a file or the terminal."""
    _refuse_existing(keystore)
    if private_key_file is not None:
        try:
            private_key = private_key_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"private key file {private_key_file} cannot be read: {error}") from None
    elif sys.stdin.isatty():
        private_key = getpass.getpass("Private key: ")
    else:
        raise ConfigError("no private key: give --private-key-file or use a terminal")
    passphrase = read_passphrase(passphrase_file, confirm=True)
    _tell(import_key(keystore, private_key, passphrase), keystore, as_json)
