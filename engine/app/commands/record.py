"""`roundtrip record`: a paper run whose inputs are written down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app.lifecycle import Stopped, run_until_signalled
from engine.app.output import err, print_json, say
from engine.app.recording.recorder import Recorder
from engine.app.running import Mode, Run, Summary, run_bot
from engine.app.settings import load_settings, with_rpc_url
from engine.telemetry.logs import make_logger


def record(
    config: Annotated[Path, typer.Option("--config", help="TOML file of settings.")],
    output: Annotated[Path, typer.Option("--output", help="New file for the recording (JSON lines, gzip).")],
    rpc: Annotated[str | None, typer.Option("--rpc", help="Node to use instead of chain.rpc_url.")] = None,
    blocks: Annotated[int | None, typer.Option(min=1, help="Stop after so many blocks.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> int:
    """Follow the chain as `run` does in paper mode, and write down all that enters the line, for `replay`.

    Searches have no deadline here and the tripwire does not look, so that nothing but the recording decides.
    Keys, passphrases and node addresses are not in it.
    """
    settings = load_settings(config)
    if rpc is not None:
        settings = with_rpc_url(settings, rpc)
    logger = make_logger(settings.log.level, settings.log.format)
    with Recorder(output, settings) as recorder:
        run = Run(settings, Mode.PAPER, blocks, None, logger, Summary(), recorder)
        try:
            run_until_signalled(run_bot(run))
        except Stopped:
            err.print("stopped as asked")
    document = {
        "recording": str(output),
        "blocks": recorder.blocks,
        "decisions": len(recorder.decisions),
        "digest": recorder.decisions.digest,
    }
    if as_json:
        print_json(document)
    else:
        say(f"{recorder.blocks} blocks and {len(recorder.decisions)} decisions recorded in {output}")
    return 0
