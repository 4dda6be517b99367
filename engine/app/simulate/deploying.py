"""Our contracts on a local node, put there by the deployment script anybody else would run."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from engine.app.toolchain import project_root
from engine.chain.deployments import Deployment, check, read_manifests
from engine.chain.rpc import RpcNode
from engine.domain.errors import ConfigError, DeploymentError
from engine.domain.market import Venue

_TIMEOUT_S = 300.0


async def deploy(
    node: RpcNode, url: str, chain_id: int, operator: str, vault: str, venues: Sequence[Venue], folder: Path
) -> Deployment:
    """Run `ape run deploy` against the local node at `url`; manifests go to `folder`.

    The node's first development account pays. Raises DeploymentError with the script's last line when it
    fails, ConfigError when Ape is not installed.
    """
    command = [
        *(_ape(), "run", "deploy", "--network", url),
        *("--operator", operator, "--vault", vault),
        *("--venues", str(_listing(venues, folder)), "--out", str(folder)),
    ]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=project_root(),
        env=os.environ | {"NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    except TimeoutError:
        raise DeploymentError(f"`ape run deploy` did not finish within {_TIMEOUT_S:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
        raise DeploymentError(f"`ape run deploy` failed: {' '.join(lines[-2:])[:400]}")
    return await check(node, read_manifests(folder, chain_id))


def _listing(venues: Sequence[Venue], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    listing = folder / "venues.json"
    listing.write_text(json.dumps([asdict(venue) for venue in venues]))
    return listing


def _ape() -> str:
    beside = Path(sys.executable).with_name("ape")
    found = str(beside) if beside.is_file() else shutil.which("ape")
    if found is None:
        raise ConfigError(f"ape is not installed: run `make setup` in {project_root()}")
    return found
