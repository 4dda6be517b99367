"""Runs the deployment script against a node, as a person would: `ape run deploy`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.app.toolchain import foundry_tool, project_root
from engine.domain.errors import DeploymentError
from engine.domain.execution import Pinned
from engine.domain.market import Venue
from engine.domain.ports import Node

_TIMEOUT_S = 180.0
_DELAY = "1s"
NONE_PINNED = Pinned()


@dataclass(frozen=True, slots=True)
class FeedListing:
    """A price feed to register; `quote` is a token or "usd".

    `max_staleness` in seconds, `min_answer` and `max_answer` in the aggregator's units.
    """

    base: str
    quote: str
    aggregator: str
    max_staleness: int
    min_answer: int
    max_answer: int


@dataclass(frozen=True, slots=True)
class RegisteredFeed:
    """A feed whose sources are on the chain already: `sources` and `cross_checks` are their addresses."""

    base: str
    quote: str
    min_sources: int
    max_spread_bps: int
    max_cross_bps: int
    sources: tuple[str, ...]
    cross_checks: tuple[str, ...]

    def as_entry(self) -> dict[str, Any]:
        """As the script's file of feeds has it."""
        entry = asdict(self)
        for name in ("sources", "cross_checks"):
            entry[name] = [{"kind": "deployed", "address": one} for one in entry[name]]
        return entry


async def present(node: Node, pinned: Pinned) -> Pinned:
    """Those of `pinned` that are contracts on the node's chain now: none is pinned before it is there."""
    found = {}
    for name, address in asdict(pinned).items():
        code = address and await node.request("eth_getCode", [address, "latest"])
        found[name] = address if code not in (None, "0x") else None
    return Pinned(**found)


async def deploy(
    rpc_url: str,
    out: Path,
    *,
    operator: str,
    vault: str,
    venues: Sequence[Venue] = (),
    feeds: Sequence[FeedListing | RegisteredFeed] = (),
    salt: str | None = None,
    pinned: Pinned = NONE_PINNED,
) -> str:
    """Deploy to the node at `rpc_url` from its first development account; manifests go to `out`/<chain id>/.

    The node must mine what it is sent. Development accounts 1 to 4 become administrator, upgrader, curator
    and guardian, with delays of a second: this is for private chains. `salt`, 32 bytes of 0x-hex, moves the
    contracts to other addresses than a fork's own; the router is constructed with `pinned`. Returns what the
    script printed. Raises DeploymentError with the script's own sentence when it fails. Cancelling stops the
    script.
    """
    with tempfile.TemporaryDirectory(prefix="roundtrip-deploy-") as scratch:
        venue_file, feed_file = Path(scratch) / "venues.json", Path(scratch) / "feeds.json"
        venue_file.write_text(json.dumps([asdict(venue) for venue in venues]))
        entries = [asdict(one) if isinstance(one, FeedListing) else one.as_entry() for one in feeds]
        feed_file.write_text(json.dumps(entries))
        command = _command(rpc_url, out, operator, vault)
        if salt is not None:
            command += ["--salt", salt]
        for name, address in asdict(pinned).items():
            if address is not None:
                command += [f"--{name.replace('_', '-')}", address]
        command += ["--venues", str(venue_file), "--feeds", str(feed_file)]
        return await _run(command)


def ape_environment() -> dict[str, str]:
    """This process's environment with Ape's files, and the tools it calls, inside the checkout."""
    root = project_root()
    environment = dict(os.environ)
    environment.setdefault("APE_DATA_FOLDER", str(root / ".build" / "ape"))
    environment.setdefault("SOLCX_BINARY_PATH", str(root / "tools" / "solcx"))
    environment["PATH"] = os.pathsep.join([str(foundry_tool("anvil").parent), environment.get("PATH", "")])
    return environment


def _command(rpc_url: str, out: Path, operator: str, vault: str) -> list[str]:
    ape = Path(sys.executable).with_name("ape")
    # The script runs in the checkout, so a relative folder must be resolved here.
    return [
        *(str(ape), "run", "deploy", "--verbosity", "ERROR", "--network", rpc_url),
        *("--out", str(out.resolve()), "--operator", operator, "--vault", vault),
        *("--admin-delay", _DELAY, "--upgrade-delay", _DELAY, "--curator-delay", _DELAY),
    ]


async def _run(command: Sequence[str]) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=project_root(),
            env=ape_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise DeploymentError(f"{command[0]} is not installed: run `make setup`") from None
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    except TimeoutError:
        raise DeploymentError(
            f"the deployment did not finish within {_TIMEOUT_S:.0f} s: check that the node mines"
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise DeploymentError(f"the deployment failed: {_reason(output + errors)}")
    return output.decode(errors="replace")


def _reason(text: bytes) -> str:
    """The script's own sentence, or else the last thing that was printed."""
    lines = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
    own = [line.removeprefix("deploy: ") for line in lines if line.startswith("deploy: ")]
    return (own or lines or ["it printed nothing"])[-1]
