"""`roundtrip health`: how a running engine is, and how fresh what it knows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from engine.app.output import print_json, say
from engine.app.settings import load_settings
from engine.domain.errors import UsageError
from engine.telemetry.health import health_path, judged


def health(
    config: Annotated[Path, typer.Option("--config", help="TOML file of the engine's settings.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> int:
    """Say how the engine with this configuration is. Exit 0 when it is ACTIVE and fresh, else 1."""
    settings = load_settings(config)
    path = health_path(settings.storage.directory, settings.chain.chain_id)
    document, wrong = _read(path)
    if as_json:
        print_json({"healthy": not wrong, "wrong": wrong, **document})
        return 1 if wrong else 0
    say("healthy" if not wrong else "not healthy: " + "; ".join(map(escape, wrong)))
    for name, value in document.items():
        say(f"  {name}: {escape(json.dumps(value))}")
    return 1 if wrong else 0


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return {}, [f"no engine reports at {path}: it does not run"]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}): start the engine anew") from None
    now = time.time()
    if isinstance(document.get("finished_at"), float):
        document["last_block_age_s"] = round(now - document["finished_at"], 3)
    if document.get("head"):
        document["head"]["age_s"] = round(now - document["head"]["timestamp"], 3)
    return document, judged(document, now)
