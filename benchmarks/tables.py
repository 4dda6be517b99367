"""The stored results as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.gas_targets import EXECUTOR, cells
from benchmarks.gas_universal import NAME as UNIVERSAL
from benchmarks.measure import stored_results

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_BEGIN = "<!-- results: written by make bench and make gas -->\n"
_END = "<!-- end of results -->\n"


def documented() -> str:
    """The tables that the document shows."""
    return DOCUMENT.read_text().split(_BEGIN)[1].split(_END)[0]


def write_document() -> None:
    """Put the tables of the stored results into the document."""
    text = DOCUMENT.read_text()
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    DOCUMENT.write_text(before + _BEGIN + render() + _END + after)


def render() -> str:
    """One table of times, one for each result in stages or of several figures, one of gas.

    What has no result file is left out.
    """
    results = {result["name"]: result for result in stored_results()}
    gas = results.pop("gas", None)
    staged = [results.pop(name) for name in list(results) if "stages" in results[name]]
    measured = [results.pop(name) for name in list(results) if isinstance(results[name]["ours"], dict)]
    parts = []
    if results:
        parts.append(_times(list(results.values())))
    parts += [_stages(result) for result in staged]
    parts += [_measures(result) for result in measured]
    if gas:
        parts.append(_gas(gas))
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _machine(result: dict[str, Any]) -> str:
    facts = result["machine"]
    text = f"{facts['system']}, {facts['architecture']}, {facts['cores']} cores, Python {facts['python']}"
    return f"{text}, load {facts['load']}" if "load" in facts else text


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _times(results: list[dict[str, Any]]) -> str:
    lines = [_row("work", "ours", "peer", "its time", "times ours"), _row("---", "--:", "---", "--:", "--:")]
    for result in results:
        work, ours = result["work"], f"{result['ours']:,} {result['unit']}"
        for peer, value in result["peers"].items():
            lines.append(_row(work, ours, peer, f"{value:,} {result['unit']}", f"{result['ratio'][peer]:,}"))
            work = ours = ""
    return "\n".join([*lines, "", _row_of_machines(results), ""])


def _row_of_machines(results: list[dict[str, Any]]) -> str:
    return "Medians; measured on " + "; ".join(dict.fromkeys(map(_machine, results))) + "."


def _measures(result: dict[str, Any]) -> str:
    """A result of several figures, each with its unit at the end of its name."""
    lines = [_row("measure", "value"), _row("---", "--:")]
    lines += [_row(name.replace("_", " "), f"{value:,}") for name, value in result["ours"].items()]
    return "\n".join([*lines, "", f"{_sentence(result['work'])}. {_row_of_machines([result])}", ""])


def _stages(result: dict[str, Any]) -> str:
    lines = [_row("stage", "p50 ms", "p99 ms"), _row("---", "--:", "--:")]
    for stage, figures in [*result["stages"].items(), ("**all**", result["ours"])]:
        lines.append(_row(stage, figures["p50"], figures["p99"]))
    signed = f"{result['blocks']} blocks, {result['blocks_signed']} with something to sign"
    facts = f"{_sentence(result['work'])}; {signed}."
    return "\n".join([*lines, "", facts, f"Measured on {_machine(result)}.", ""])


def _gas(result: dict[str, Any]) -> str:
    peers = ("UR leanest", "UR by hop")
    over = ("over floor", "over UR leanest", "over UR by hop", "over executor\\*")
    lines = [
        _row("cycle", "gas", "floor", "calldata bytes", *peers, *over, "targets"),
        _row("---", *["--:"] * 9, "---"),
    ]
    for row in result["ours"]:
        numbers = [f"{row[key]:,}" for key in ("gas", "floor", "calldata_bytes")]
        lines.append(_row(row["path"], *numbers, *cells(result, row["path"])))
    facts = (
        f"{_sentence(result['work'])}. UR is {UNIVERSAL}, run from the same state. "
        f"\\* {EXECUTOR}: published, over its publisher's floor."
    )
    return "\n".join([*lines, "", facts, ""])
