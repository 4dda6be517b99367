"""Every benchmark in turn: `python -m benchmarks`, or `python -m benchmarks quotes line` for some of them.

`python -m benchmarks --tables` measures nothing and only writes the stored results into the documentation.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module

from benchmarks.measure import Unmeasurable, finish
from benchmarks.tables import write_document

NAMES = ("quotes", "search", "search_scale", "line", "market", "discovery", "joint", "startup", "relay")


def run(names: list[str]) -> int:
    """Measure, print and store; a benchmark that cannot be measured here is passed over by name."""
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name} ...", flush=True)
        started = time.perf_counter()
        try:
            finish(import_module(f"benchmarks.{name}").measure())
        except Unmeasurable as error:
            print(f"skipped: {error}")
        print(f"[{number}/{len(names)}] {name} took {time.perf_counter() - started:.0f} s", flush=True)
    write_document()
    return 0


def main(arguments: list[str]) -> int:
    """Exit code 2 for an unknown benchmark."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        print(f"The benchmarks: {', '.join(NAMES)}.")
        return 0
    if arguments == ["--tables"]:
        write_document()
        return 0
    unknown = [name for name in arguments if name not in NAMES]
    if unknown:
        print(f"no benchmark is called {unknown[0]}: choose from {', '.join(NAMES)}", file=sys.stderr)
        return 2
    return run(arguments or list(NAMES))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
