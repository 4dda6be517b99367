"""`roundtrip config check|show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from engine.app.settings import load_settings, masked

app = typer.Typer(help="Check or show a configuration.", no_args_is_help=True, add_completion=False)

ConfigOption = Annotated[Path, typer.Option("--config", help="TOML file of settings.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


@app.command()
def check(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Say whether a configuration is valid, naming the first thing that is not."""
    settings = load_settings(config)
    if as_json:
        typer.echo(json.dumps({"valid": True, "chain_id": settings.chain.chain_id}))
    else:
        typer.echo(f"{config} is valid: chain {settings.chain.chain_id}, live {settings.execution.live}")


@app.command()
def show(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Print the settings in force: the file, the environment's overrides, and the defaults. No secrets."""
    values = masked(load_settings(config))
    if as_json:
        typer.echo(json.dumps(values))
        return
    for section, settings in values.items():
        typer.echo(f"[{section}]")
        for key, value in settings.items():
            typer.echo(f"{key} = {json.dumps(value)}")
        typer.echo("")
