"""`roundtrip demo`: the whole job on an embedded world."""

from __future__ import annotations

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
from rich.table import Table

from engine.app.demo.running import DemoRun, run_demo
from engine.app.lifecycle import Stopped, run_until_signalled
from engine.app.output import Bars, err, out, print_json, require_writable, say, show_amount, write_json
from engine.domain.events import BlockFinished, ExecutionResolved, Fact
from engine.domain.execution import Outcome

_SHOWN = 8


def demo(
    blocks: Annotated[int, typer.Option(min=1, max=10_000, help="How many blocks to trade.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same opportunities.")] = 1,
    report: Annotated[Path | None, typer.Option(help="Write the report here as JSON.")] = None,
    directory: Annotated[
        Path, typer.Option(help="Folder for journal, ledger and manifests; emptied first.")
    ] = Path(".roundtrip/demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")] = False,
) -> int:
    """Start a local node with real DEX bytecode, deploy our contracts with Ape, trade for some blocks while
    seeded traders move prices, report, and stop everything that was started."""
    require_writable(report)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns) as progress:
        phase = progress.add_task("demo", total=None)

        def tell(text: str) -> None:
            err.print(text)
            progress.update(phase, description=text)

        def watch(fact: Fact) -> None:
            if isinstance(fact, BlockFinished):
                progress.update(phase, description="trading", total=blocks, advance=1)
            elif isinstance(fact, ExecutionResolved) and fact.execution.outcome is not Outcome.LANDED:
                err.print(f"{fact.execution.outcome.value}: {fact.execution.intent.transaction.hash}")

        try:
            result = run_until_signalled(run_demo(DemoRun(blocks, seed, directory), tell, watch))
        except Stopped:
            raise KeyboardInterrupt from None
    if report is not None:
        write_json(report, result)
    if as_json:
        print_json(result)
    else:
        _show(result)
        say(f"ledger: roundtrip ledger show --directory {directory}")
    return 0 if result["mismatches"] == 0 and result["reverted"] == 0 else 1


def _show(result: dict[str, Any]) -> None:
    tokens = {token["address"]: token for token in result["base_tokens"]}
    table = Table(box=None, pad_edge=False)
    for name in ("block", "cycle", "expected = simulated = realised", "gas"):
        table.add_column(name, justify="left" if name == "cycle" else "right")
    for item in result["executions"][:_SHOWN]:
        token = tokens[item["base_token"]]
        amounts = {int(item[f"{stage}_wei"]) for stage in ("expected", "simulated", "realised")}
        shown = " ≠ ".join(show_amount(amount, token["decimals"], 18) for amount in sorted(amounts))
        table.add_row(
            str(item["block"]),
            " → ".join(hop["venue"].replace("swap", "") for hop in item["cycle"]),
            f"{shown} {token['symbol']}",
            f"{item['gas_used']:,}",
        )
    out.print(table)
    more = len(result["executions"]) - _SHOWN
    if more > 0:
        say(f"… and {more} more, in the ledger and the report")
    hops = sorted({len(item["cycle"]) for item in result["executions"]})
    latency = result["latency_ms"]["block_to_submit"]
    refused = (
        ", ".join(f"{reason} {count}" for reason, count in result["refused_by_reason"].items()) or "none"
    )
    for line in (
        "",
        f"chain {result['chain_id']}, seed {result['seed']}: {result['blocks']} blocks, "
        f"{result['pools']} pools, {result['tokens']} tokens",
        f"opportunities found {result['opportunities_found']}, approved {result['approved']}, "
        f"refused: {refused}",
        f"submitted {result['submitted']}, landed {result['landed']} (cycles of "
        f"{' and '.join(map(str, hops)) or 'no'} hops), reverted {result['reverted']}, "
        f"missed {result['missed']}",
        f"expected {_ether(result['expected_profit_wei'])} ETH, realised "
        f"{_ether(result['realised_profit_wei'])} ETH, gas {_ether(result['gas_paid_wei'])} ETH",
        f"block to submit: p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms",
        f"mismatches: {result['mismatches']}",
    ):
        say(line)


def _ether(wei: str) -> str:
    return f"{int(wei) / 10**18:.6f}"
