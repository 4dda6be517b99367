"""`roundtrip replay`: the decisions of a recording, again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.app.output import print_json, require_writable, say
from engine.app.recording.replay import replay as replay_recording
from engine.app.settings import load_settings


def replay(
    recording: Annotated[Path, typer.Option("--recording", help="File made by `roundtrip record`.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="Other settings than the recording's.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Replay twice and compare, with the recorded decisions too.")
    ] = False,
    decisions: Annotated[
        Path | None, typer.Option("--decisions", help="Write the decisions here, one JSON line each.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> int:
    """Take a recording's blocks through the line, without a node. With --check the decisions must be the same
    to the byte each time, and with the recording's own settings those that were made then; else exit 1."""
    require_writable(decisions)
    settings = None if config is None else load_settings(config)
    first = asyncio.run(replay_recording(recording, settings))
    if decisions is not None:
        decisions.write_text(first.decisions.text)
    document: dict[str, Any] = {
        "blocks": first.blocks,
        "decisions": len(first.decisions),
        "digest": first.decisions.digest,
        "recorded_digest": first.recorded,
    }
    code = 0
    if check:
        second = asyncio.run(replay_recording(recording, settings))
        document["repeated"] = first.decisions.text == second.decisions.text
        as_recorded = None if settings is not None or first.recorded is None else first.recorded
        document["as_recorded"] = None if as_recorded is None else as_recorded == first.decisions.digest
        code = 0 if document["repeated"] and document["as_recorded"] in (True, None) else 1
    if as_json:
        print_json(document)
        return code
    say(f"{first.blocks} blocks, {len(first.decisions)} decisions, digest {first.decisions.digest}")
    if check:
        again = "the same" if document["repeated"] else "OTHER decisions"
        then = {True: "those recorded", False: "NOT those recorded", None: "not compared with the recording"}
        say(f"a second replay made {again}; they are {then[document['as_recorded']]}")
    return code
