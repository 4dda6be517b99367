"""`roundtrip simulate`: real blocks, the searchers' landed profit and ours beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from engine.app.kernels import warm_kernels
from engine.app.lifecycle import Stopped, run_until_signalled
from engine.app.output import Bars, out, print_json, require_writable, write_json
from engine.app.simulate.blocks import find_blocks
from engine.app.simulate.chain_table import known_bases, load_chain_table
from engine.app.simulate.report import print_report, totals_of
from engine.app.simulate.simulating import MAX_HOPS, Terms, Watch
from engine.app.simulate.sources import discovered_pools, simulate_remote, simulate_stored
from engine.chain.rpc import connect
from engine.domain.errors import UsageError

_MAINNET = 1
_RPC_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class _Job:
    """How many blocks, and their report rows as they are done."""

    blocks: int
    rows: Callable[[Watch], AsyncIterator[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class _Range:
    """Blocks of a node, both ends included; pools are also discovered from block `discover_from` on."""

    url: str
    first: int
    last: int
    discover_from: int | None


def simulate(
    blocks_dir: Annotated[
        Path | None, typer.Option(help="Folder of stored blocks, one sub-folder by number each.")
    ] = None,
    block: Annotated[
        list[int] | None, typer.Option(min=0, help="Only this stored block; repeatable.")
    ] = None,
    rpc: Annotated[str | None, typer.Option(help="Node whose blocks are replayed on forks of it.")] = None,
    from_block: Annotated[int | None, typer.Option(min=1, help="First block, with --rpc.")] = None,
    to_block: Annotated[int | None, typer.Option(min=1, help="Last block, with --rpc.")] = None,
    discover_from: Annotated[
        int | None, typer.Option(min=0, help="With --rpc: also use pools created since this block.")
    ] = None,
    chain_table: Annotated[
        Path | None, typer.Option(help="TOML file of the chain's venues, if not one of deployments/chains/.")
    ] = None,
    max_hops: Annotated[int, typer.Option(min=2, max=MAX_HOPS, help="Longest cycle searched.")] = MAX_HOPS,
    report: Annotated[Path | None, typer.Option(help="Write the report here as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")] = False,
) -> None:
    """Replay real blocks on a local node up to each arbitrage a searcher landed, land ours there instead, and
    compare. Blocks come from a folder of stored ones or from a node."""
    require_writable(report)
    wanted = _range(rpc, from_block, to_block, discover_from)
    result = _run(_job(blocks_dir, block, wanted, chain_table, max_hops))
    if report is not None:
        write_json(report, result)
    if as_json:
        print_json(result)
    else:
        print_report(result, out, known_bases())


def _job(
    blocks_dir: Path | None,
    numbers: list[int] | None,
    wanted: _Range | None,
    chain_table: Path | None,
    max_hops: int,
) -> _Job:
    """What to do, once the options make sense. Raises UsageError when they don't."""
    if (blocks_dir is None) == (wanted is None):
        raise UsageError("name either --blocks-dir with stored blocks or --rpc with a node")
    if wanted is not None:
        if numbers:
            raise UsageError("--block goes with --blocks-dir: use --from-block and --to-block instead")
        return _Job(
            wanted.last - wanted.first + 1, lambda watch: _remote(wanted, chain_table, max_hops, watch)
        )
    assert blocks_dir is not None
    terms = Terms(load_chain_table(_MAINNET, chain_table), max_hops)
    folders = find_blocks(blocks_dir, numbers)
    return _Job(len(folders), lambda watch: _stored(folders, terms, watch))


def _range(rpc: str | None, first: int | None, last: int | None, discover_from: int | None) -> _Range | None:
    """The blocks of --rpc, None without it. Raises UsageError for options that don't go together."""
    if rpc is None:
        if (first, last, discover_from) != (None, None, None):
            raise UsageError(
                "--from-block, --to-block and --discover-from go with --rpc: name a node with it"
            )
        return None
    if first is None or last is None:
        raise UsageError("--rpc needs --from-block and --to-block")
    if last < first:
        raise UsageError(f"--to-block {last} is before --from-block {first}: swap them")
    return _Range(rpc, first, last, discover_from)


async def _stored(folders: list[Path], terms: Terms, watch: Watch) -> AsyncIterator[dict[str, Any]]:
    for folder in folders:
        yield await simulate_stored(folder, terms, watch)


async def _remote(
    wanted: _Range, chain_table: Path | None, max_hops: int, watch: Watch
) -> AsyncIterator[dict[str, Any]]:
    async with connect(wanted.url, timeout_s=_RPC_TIMEOUT_S) as node:
        terms = Terms(load_chain_table(await node.chain_id(), chain_table), max_hops)
        pools = []
        if wanted.discover_from is not None:
            pools = await discovered_pools(node, terms.table, wanted.discover_from, wanted.first - 1, watch)
        for number in range(wanted.first, wanted.last + 1):
            yield await simulate_remote(node, wanted.url, number, terms, watch, pools)


def _run(job: _Job) -> dict[str, Any]:
    """Do the job under a progress bar, stoppable at any moment."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    blocks: list[dict[str, Any]] = []
    with Bars(*columns) as progress:
        bar = progress.add_task("compiling", total=job.blocks)
        warm_kernels(progress=lambda what, done, total: progress.update(bar, description=what))

        def watch(what: str, done: int, total: int | None) -> None:
            count = f" ({done + 1} of {total})" if total is not None else ""
            progress.update(bar, description=what + count)

        async def collect() -> None:
            async for row in job.rows(watch):
                blocks.append(row)
                progress.update(bar, completed=len(blocks))

        try:
            run_until_signalled(collect())
        except Stopped:
            raise KeyboardInterrupt from None
    return {"blocks": blocks, "totals": totals_of(blocks)}
