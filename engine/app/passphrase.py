"""Where a keystore's passphrase comes from: a file, a systemd credential, or the terminal."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from engine.domain.errors import ConfigError

CREDENTIAL_NAME = "roundtrip-passphrase"


def read_passphrase(file: Path | None, *, confirm: bool = False) -> str:
    """The passphrase: `file` if given, else the systemd credential `roundtrip-passphrase`, else the terminal.

    Raises ConfigError when none of them has one, or the two entries at the terminal differ.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if file is None and credentials and (Path(credentials) / CREDENTIAL_NAME).is_file():
        file = Path(credentials) / CREDENTIAL_NAME
    if file is not None:
        try:
            text = file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"passphrase file {file} cannot be read: {error}") from None
        if not text:
            raise ConfigError(f"passphrase file {file} is empty: put the passphrase in its first line")
        return text
    if not sys.stdin.isatty():
        raise ConfigError(
            "no passphrase: give --passphrase-file, set keys.passphrase_file, or use a terminal"
        )
    text = getpass.getpass("Passphrase: ")
    if confirm and getpass.getpass("Again: ") != text:
        raise ConfigError("the two passphrases differ: try again")
    return text
