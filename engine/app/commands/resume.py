"""`roundtrip resume`: takes `roundtrip halt` back."""

from __future__ import annotations

import os

from engine.app.commands.halt import AsJson, ConfigFile, tell
from engine.app.conditions import halt_file
from engine.app.settings import load_settings
from engine.domain.errors import ConfigError


def resume(config: ConfigFile, as_json: AsJson = False) -> int:
    """Take `halt` back. The chain's emergency stop is taken back by the administrator: `ape run resume`."""
    path = halt_file(load_settings(config))
    was = path.exists()
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be removed ({os.strerror(error.errno or 0)}): remove it") from error
    return tell(path, False, "resumed" if was else "was not halted", as_json)
