"""`roundtrip doctor`: is this machine, node, key and configuration fit to run?"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from engine.app.conditions import halt_file
from engine.app.governance import describe, examine_governance
from engine.app.kernels import warm_kernels
from engine.app.output import err, print_json, say
from engine.app.settings import Settings, load_settings
from engine.app.toolchain import foundry_tool, project_root
from engine.chain.deployments import ROUTER, read_manifests
from engine.chain.endpoint_set import EndpointSet, connect_all
from engine.chain.keys import keystore_address
from engine.chain.registry import read_registry
from engine.chain.routers import current_deployment
from engine.chain.rpc import RpcNode
from engine.chain.wire import header
from engine.domain.errors import ConfigError, DeploymentError, RoundtripError
from engine.storage.pool_cache import refusals

_OLD_HEAD_S = 60
_REASONS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One examination: what was looked at, whether it is fit, and what was seen or has to be done."""

    what: str
    fit: bool
    detail: str


def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file of settings to examine too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> int:
    """Examine the tools, and with --config the node, contracts, key and storage. Changes nothing."""
    settings = load_settings(config) if config is not None else None
    with err.status("examining"):
        findings = _machine()
        if settings is not None:
            findings += _storage(settings)
            findings += asyncio.run(_chain(settings))
    fit = all(finding.fit for finding in findings)
    if as_json:
        print_json(
            {"fit": fit, "findings": [{"what": f.what, "fit": f.fit, "detail": f.detail} for f in findings]}
        )
    else:
        for finding in findings:
            say(f"{'ok  ' if finding.fit else 'FAIL'}  {finding.what}: {finding.detail}")
        if config is None:
            say("give --config FILE to examine node, contracts, key and storage too")
    return 0 if fit else 1


def _examine(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except (RoundtripError, OSError) as error:
        return Finding(what, False, str(error))


async def _examine_chain(what: str, look: Awaitable[str]) -> Finding:
    try:
        return Finding(what, True, await look)
    except RoundtripError as error:
        return Finding(what, False, str(error))


def _machine() -> list[Finding]:
    def built() -> str:
        artefact = project_root() / "out" / "ArbitrageRouter.sol" / "ArbitrageRouter.json"
        if not artefact.is_file():
            raise ConfigError("the contracts are not compiled: run `make setup`")
        return "compiled"

    def kernels() -> str:
        started = time.perf_counter()
        warm_kernels()
        return f"ready in {time.perf_counter() - started:.1f} s"

    return [
        Finding("python", True, platform.python_version()),
        _examine("anvil", lambda: str(foundry_tool("anvil"))),
        _examine("contracts", built),
        _examine("kernels", kernels),
    ]


def _storage(settings: Settings) -> list[Finding]:
    directory = settings.storage.directory

    def writable() -> str:
        existing = next(path for path in (directory, *directory.resolve().parents) if path.exists())
        if not os.access(existing, os.W_OK):
            raise ConfigError(f"{existing} cannot be written: choose another storage.directory")
        return str(directory)

    def refused() -> str:
        # The reasons without the addresses in them, so that alike ones are counted together.
        reasons = Counter(re.sub(r"0x[0-9a-f]{40}", "…", why) for why in refusals(directory).values())
        named = "; ".join(f"{count} because {why}" for why, count in reasons.most_common(_REASONS_SHOWN))
        return f"{reasons.total()} not traded" + (f": {named}" if named else "")

    return [_examine("storage", writable), _examine("refused pools and tokens", refused)]


async def _chain(settings: Settings) -> list[Finding]:
    chain = settings.chain
    try:
        async with connect_all(chain.rpc_url, timeout_s=chain.timeout_s) as node:
            findings = [
                await _examine_chain("node", _node(node, settings)),
                *[
                    await _examine_chain(f"head of {member.name}", _head(member.node))
                    for member in node.members
                ],
                await _examine_chain("contracts on chain", _contracts(node, settings)),
                await _examine_chain("roles", _roles(node, settings)),
                _examine("halt", lambda: _halt(settings)),
            ]
            if settings.keys.keystore is not None:
                findings.append(await _examine_chain("operator key", _key(node, settings)))
            return findings
    except RoundtripError as error:
        return [Finding("node", False, str(error))]


async def _node(node: EndpointSet, settings: Settings) -> str:
    chain_id = await node.chain_id()
    if chain_id != settings.chain.chain_id:
        raise ConfigError(f"it serves chain {chain_id}, but chain.chain_id is {settings.chain.chain_id}")
    return f"{settings.chain.shown_url} serves chain {chain_id}"


async def _head(node: RpcNode) -> str:
    head = header(await node.request("eth_getBlockByNumber", ["latest", False])).ref
    age_s = time.time() - head.timestamp
    # A private chain keeps its own time: its age is shown, not judged.
    note = ", which is old unless the chain keeps its own time" if age_s > _OLD_HEAD_S else ""
    return f"block {head.number}, {age_s:.0f} s old{note}"


async def _contracts(node: EndpointSet, settings: Settings) -> str:
    manifests = read_manifests(settings.deployments.directory, settings.chain.chain_id)
    head = header(await node.request("eth_getBlockByNumber", ["latest", False])).ref
    deployment, router = await current_deployment(node, manifests, head)
    registry = await read_registry(node, deployment.dex_registry, head.hash)
    if registry.stopped:
        raise ConfigError("the DexRegistry's emergency stop is on: nothing will be traded")
    enabled = [venue.name for venue in registry.venues if venue.enabled]
    announced = manifests[ROUTER].address != router.address
    recorded = "as recorded but for the router, announced and now current" if announced else "as recorded"
    return f"{recorded}; router {router.address}; venues {', '.join(enabled) or 'none'}"


async def _roles(node: EndpointSet, settings: Settings) -> str:
    manifests = read_manifests(settings.deployments.directory, settings.chain.chain_id)
    access, findings = await examine_governance(node, manifests)
    if findings:
        raise DeploymentError(f"{'; '.join(findings)}: ask the administrator, then `ape run verify`")
    return f"{describe(access)}; the deployer holds none"


def _halt(settings: Settings) -> str:
    path = halt_file(settings)
    if path.exists():
        raise ConfigError(f"{path} halts this engine: `roundtrip resume` takes it back")
    return "not halted"


async def _key(node: EndpointSet, settings: Settings) -> str:
    assert settings.keys.keystore is not None
    address = keystore_address(settings.keys.keystore)
    manifests = read_manifests(settings.deployments.directory, settings.chain.chain_id)
    head = header(await node.request("eth_getBlockByNumber", ["latest", False])).ref
    _, router = await current_deployment(node, manifests, head)
    operator = router.operator
    if address != operator:
        raise ConfigError(f"the keystore is of {address}, but the router obeys {operator}")
    balance = int(await node.request("eth_getBalance", [address, "latest"]), 16)
    if balance <= settings.risk.gas_reserve_wei:
        raise ConfigError(f"operator {address} holds {balance} wei: send it native coin for gas")
    if await node.request("eth_getCode", [address, "latest"]) != "0x":
        raise ConfigError(f"operator {address} carries code: a delegated account must not be an operator")
    return f"{address} holds {balance / 10**18:.6f} native coin"
