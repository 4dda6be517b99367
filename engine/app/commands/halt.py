"""`roundtrip halt`: a person's switch for one engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app.conditions import Guard, halt_file
from engine.app.output import print_json, say
from engine.app.settings import load_settings
from engine.domain.errors import ConfigError

ConfigFile = Annotated[Path, typer.Option("--config", help="TOML file of the engine's settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def halt(
    config: ConfigFile,
    reason: Annotated[str, typer.Option("--reason", help="Written into the file for others.")] = "",
    as_json: AsJson = False,
) -> int:
    """Stop sending from the next block on; what is in flight is still resolved. Lasts until `resume`.

    This halts the engine whose configuration it is, by a file in its storage directory, and works when the
    engine does not run. To stop every engine of a deployment, the guardian calls the emergency stop on the
    chain: `ape run pause`.
    """
    path = halt_file(load_settings(config))
    was = path.exists()
    try:
        Guard(path).halt(reason)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}): nothing was halted") from error
    return tell(path, True, "halted already" if was else "halted", as_json)


def tell(path: Path, halted: bool, said: str, as_json: bool) -> int:
    """Say how the switch stands now."""
    if as_json:
        print_json({"halted": halted, "file": str(path)})
    else:
        say(f"{said}: {path}")
    return 0
