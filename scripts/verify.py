"""`ape run verify --network …`: is what is deployed what the sources say, and governed as it must be?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from ape import networks
from ape.cli import ConnectedProviderCommand

from engine.app.governance import describe, examine_governance
from engine.app.verify import verify_deployments
from engine.chain.deployments import read_manifests
from engine.chain.rpc import connect
from scripts._artifacts import build
from scripts._chain import connected_chain_id
from scripts._deployed import Deployed
from scripts._options import one_sentence, out_option
from scripts._registries import registered_sources
from scripts._send import code_at

_SOURCES = (
    "ChainlinkSource",
    "SequencerSource",
    "TwapSource",
    "VaultRateSource",
    "InverseSource",
    "CrossSource",
)
_INNER = ("inner", "first", "second")


@click.command(cls=ConnectedProviderCommand)
@out_option
@one_sentence("verify")
def cli(out):
    """Recompile the recorded sources with py-solc-x and compare with the chain; examine roles and delays.

    Compared: runtime code outside immutables, each immutable, compiler settings, the proxies' implementation
    slots; then every restricted function's role, every role's holder and delay, that the deployer holds none,
    and that every price source is one of ours. Exit code 0 only when all agree. The `*.input.json` files are
    what block explorers take as standard JSON input, with the manifest's constructor_encoded.
    """
    Deployed.at(out)
    findings = asyncio.run(_verify(str(networks.provider.http_uri), out))
    findings += _source_findings(out)
    for finding in findings:
        click.echo(f"DIFFERS  {finding}")
    if findings:
        click.echo(f"verify: {len(findings)} findings: the deployment is not what was recorded", err=True)
        raise SystemExit(1)


async def _verify(url: str, out: Path) -> list[str]:
    findings = []
    async with connect(url) as node:
        chain_id = connected_chain_id()
        for one in await verify_deployments(node, out, chain_id):
            if one.verified:
                click.echo(f"ok       {one.contract} {one.address}: is what its sources compile to")
            findings += [f"{one.contract}: {finding}" for finding in one.findings]
        manifests = read_manifests(out, chain_id)
        access, governance = await examine_governance(node, manifests)
        if not governance:
            click.echo(f"ok       roles: {describe(access)}; the deployer holds none")
        return findings + governance


def _source_findings(out: Path) -> list[str]:
    """Registered price sources that are not contracts of this tree, inner ones included."""
    found = registered_sources(Deployed.at(out).feed_registry)
    strange = [f"the price source {address} is none of ours" for address in found if not _is_ours(address)]
    if found and not strange:
        click.echo(f"ok       {len(found)} price sources: each is one of ours")
    return strange


def _is_ours(address: str) -> bool:
    """Whether the code outside the immutables is that of one of our sources."""
    code = code_at(address)
    for name in _SOURCES:
        made = build(name)
        if made.without_immutables(code) != made.runtime_code:
            continue
        source = made.container.at(address)
        getters = [one for one in _INNER if hasattr(source, one)]
        return all(_is_ours(getattr(source, getter)()) for getter in getters)
    return False
