"""`roundtrip run`: the bot against any node."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.app.lanes import LaneSigner
from engine.app.lifecycle import Stopped, run_until_signalled
from engine.app.output import err, out, print_json
from engine.app.passphrase import read_passphrase
from engine.app.running import Mode, Run, Summary, run_bot
from engine.app.settings import Settings, load_settings, with_rpc_url
from engine.chain.keys import LocalSigner, load_signer
from engine.domain.errors import ConfigError
from engine.telemetry.logs import make_logger


def run(
    config: Annotated[Path, typer.Option("--config", help="TOML file of settings.")],
    mode: Annotated[
        Mode, typer.Option(help="paper sends nothing; fork sends on a private fork.")
    ] = Mode.PAPER,
    rpc: Annotated[str | None, typer.Option("--rpc", help="Node to use instead of chain.rpc_url.")] = None,
    blocks: Annotated[int | None, typer.Option(min=1, help="Stop after so many blocks.")] = None,
    yes_live: Annotated[bool, typer.Option("--yes-live", help="Confirm live mode without typing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
) -> int:
    """Follow the chain and take every block through the line, until stopped with Ctrl-C."""
    settings = load_settings(config)
    if rpc is not None:
        settings = with_rpc_url(settings, rpc)
    signer, lanes = None, list[LaneSigner]()
    if mode is Mode.LIVE:
        _confirm_live(settings, yes_live)
        signer, lanes = _open_key(settings), _open_lanes(settings)
    logger = make_logger(settings.log.level, settings.log.format)
    summary = Summary()
    try:
        run_until_signalled(run_bot(Run(settings, mode, blocks, signer, logger, summary, lanes=lanes)))
    except Stopped:
        err.print("stopped as asked")
    if as_json:
        print_json(summary.as_json())
    else:
        outcomes = ", ".join(f"{name} {count}" for name, count in summary.outcomes.items()) or "none"
        out.print(
            f"{summary.blocks} blocks, {summary.found} opportunities found, {summary.simulated} simulated, "
            f"{summary.submitted} submitted; outcomes: {outcomes}"
        )
    return 0


def _confirm_live(settings: Settings, yes_live: bool) -> None:
    if not settings.execution.live:
        raise ConfigError("live mode is switched off: set execution.live = true in the configuration")
    if yes_live:
        return
    if not sys.stdin.isatty():
        raise ConfigError("live mode needs a confirmation: use a terminal or pass --yes-live")
    wanted = f"live on chain {settings.chain.chain_id}"
    if typer.prompt(f"This sends real transactions. Type {wanted!r} to go on") != wanted:
        raise ConfigError("live mode was not confirmed: nothing was sent")


def _open_key(settings: Settings) -> LocalSigner:
    keystore = settings.keys.keystore
    if keystore is None:
        raise ConfigError("live mode needs a key: set keys.keystore (make one with `roundtrip keys new`)")
    return _opened(keystore, settings.keys.passphrase_file)


def _open_lanes(settings: Settings) -> list[LaneSigner]:
    return [
        LaneSigner(_opened(lane.keystore, lane.passphrase_file), lane.router) for lane in settings.keys.lanes
    ]


def _opened(keystore: Path, passphrase_file: Path | None) -> LocalSigner:
    if not keystore.is_file():
        raise ConfigError(f"keystore {keystore} does not exist: make one with `roundtrip keys new`")
    return load_signer(keystore, read_passphrase(passphrase_file))
