"""`roundtrip deployments verify`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from engine.app.governance import describe, examine_governance
from engine.app.output import err, out, print_json
from engine.app.verify import Verification, verify_deployments
from engine.chain.access import Access
from engine.chain.deployments import read_manifests
from engine.chain.rpc import connect

app = typer.Typer(
    help="Compare deployed contracts with their sources.", no_args_is_help=True, add_completion=False
)


@app.callback()
def root() -> None:
    """Compare deployed contracts with their sources."""


@app.command()
def verify(
    rpc: Annotated[str, typer.Option("--rpc", help="Node of the chain to verify.")],
    directory: Annotated[Path, typer.Option("--directory", help="Folder of manifests, by chain id.")] = Path(
        "deployments"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> int:
    """Recompile each recorded source with py-solc-x and compare the result with the chain's runtime code;
    examine roles, delays and that the deployer holds none."""
    with err.status("recompiling and comparing"):
        chain_id, results, roles, governance = asyncio.run(_verify(rpc, directory))
    if as_json:
        print_json(
            {
                "chain_id": chain_id,
                "contracts": [
                    {
                        "contract": result.contract,
                        "address": result.address,
                        "implementation": result.implementation,
                        "verified": result.verified,
                        "findings": list(result.findings),
                    }
                    for result in results
                ],
                "roles": roles.holders,
                "governance": governance,
            }
        )
    else:
        for result in results:
            out.print(f"{result.contract} {result.address}: {'verified' if result.verified else 'DIFFERS'}")
            for finding in result.findings:
                out.print(f"  {finding}")
        out.print(f"roles: {describe(roles)}")
        for finding in governance:
            out.print(f"  {finding}")
    return 0 if all(result.verified for result in results) and not governance else 1


async def _verify(rpc: str, directory: Path) -> tuple[int, list[Verification], Access, list[str]]:
    async with connect(rpc) as node:
        chain_id = await node.chain_id()
        results = await verify_deployments(node, directory, chain_id)
        roles, governance = await examine_governance(node, read_manifests(directory, chain_id))
        return chain_id, results, roles, governance
