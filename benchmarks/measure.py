"""Timing of contenders in interleaved rounds, and the form of the results."""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).resolve().parent / "results"
_NS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


class Unmeasurable(Exception):
    """What a benchmark needs is not here; the message says what."""


@dataclass(frozen=True, slots=True)
class Contender:
    """`run` does the work `operations` times."""

    name: str
    run: Callable[[], object]
    operations: int = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """Nanoseconds per operation over the rounds."""

    median_ns: float
    lowest_ns: float
    highest_ns: float


def race(
    contenders: Iterable[Contender],
    rounds: int,
    clock: Callable[[], int] = time.perf_counter_ns,
    least_ns: int = 0,
) -> dict[str, Timing]:
    """Time every contender once a round, so that a busy moment of the machine strikes all alike.

    For work of one thread that waits for nothing, `time.thread_time_ns` leaves out what others took. A turn
    repeats short work until it has taken `least_ns`, so that what is measured is the work, not the caches
    that the contender before left behind."""
    field_ = list(contenders)
    taken: dict[str, list[float]] = {contender.name: [] for contender in field_}
    for contender in field_:
        contender.run()
    for _ in range(rounds):
        for contender in field_:
            gc.collect()
            gc.disable()
            try:
                elapsed, repeats = 0, 0
                started = clock()
                while repeats == 0 or elapsed < least_ns:
                    contender.run()
                    repeats += 1
                    elapsed = clock() - started
            finally:
                gc.enable()
            taken[contender.name].append(elapsed / repeats / contender.operations)
    return {name: Timing(statistics.median(times), min(times), max(times)) for name, times in taken.items()}


@dataclass(slots=True)
class Result:
    """One result file. `ours` and the values of `peers` are medians in `unit`, or what `work` says."""

    name: str
    work: str
    unit: str
    ours: Any
    peers: dict[str, Any] = field(default_factory=dict)
    ratio: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    timed: bool = True

    def document(self) -> dict[str, Any]:
        """The file's contents."""
        return {
            "name": self.name,
            "work": self.work,
            "unit": self.unit,
            "ours": self.ours,
            "peers": self.peers,
            "ratio": self.ratio,
            "machine": machine(self.timed),
            **self.extra,
        }

    def write(self) -> Path:
        """Write `results/<name>.json` atomically."""
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(self.document(), indent=2) + "\n")
        partial.replace(path)
        return path


def compared(name: str, work: str, unit: str, timings: dict[str, Timing], **extra: Any) -> Result:
    """The result of a race whose first contender is ours; a ratio is a peer's time over ours."""
    scale = _NS[unit]
    ours, *others = timings
    own = timings[ours].median_ns
    return Result(
        name,
        work,
        unit,
        _digits(own / scale),
        {peer: _digits(timings[peer].median_ns / scale) for peer in others},
        {peer: _digits(timings[peer].median_ns / own, 3) for peer in others},
        {
            "contender": ours,
            "spread": {
                contender: [_digits(timing.lowest_ns / scale), _digits(timing.highest_ns / scale)]
                for contender, timing in timings.items()
            },
            **extra,
        },
    )


def _digits(value: float, count: int = 4) -> float:
    return float(f"{value:.{count}g}")


def machine(timed: bool = True) -> dict[str, Any]:
    """What the figures were measured on; `load` is the run queue over the last minute, where time matters."""
    facts: dict[str, Any] = {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    if timed:
        facts |= {"numba": version("numba"), "load": round(os.getloadavg()[0], 1)}
    return facts


def stored_results() -> list[dict[str, Any]]:
    """Every result file, by name."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]


def show(result: Result) -> None:
    """Print a result as a table."""
    console = Console(width=120)
    console.print(f"\n[bold]{result.name}[/bold]: {result.work}")
    table = Table()
    for column in ("contender", result.unit, "times ours"):
        table.add_column(column, justify="left" if column == "contender" else "right")
    if isinstance(result.ours, dict):
        for part, value in result.ours.items():
            table.add_row(part, f"{value:,}", "")
    else:
        table.add_row(result.extra.get("contender", "ours"), f"{result.ours:,}", "1")
    for peer, value in result.peers.items():
        shown = f"{value:,}" if isinstance(value, int | float) else str(value)
        table.add_row(peer, shown, f"{result.ratio[peer]:,}" if peer in result.ratio else "")
    console.print(table)


def finish(results: Iterable[Result]) -> None:
    """Print and store."""
    for result in results:
        show(result)
        result.write()


def main(measure: Callable[[], list[Result]]) -> int:
    """Run one benchmark as a command; exit code 1 when it cannot be measured here."""
    try:
        finish(measure())
    except Unmeasurable as error:
        print(f"not measured: {error}")
        return 1
    return 0
