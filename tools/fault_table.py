"""Writes docs/fault-table.md: every fault, what is expected, the tests that prove it, and their cases.

Cases are what pytest collects: seeds and other parameters, in `make test` and with the campaigns.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "fault-table.md"
HEAD = """# Faults and the tests that prove they are borne

Written by `python tools/fault_table.py` from `tools/faults.toml` and the tests. Cases are the seeds
and parameters of the tests: in `make test`, and with campaigns (`pytest -m campaign` on the files named).
Most tests run against a real node and end by comparing with it. A row without enough cases says so by its
numbers.

| fault | expected | tests | cases | with campaigns |
|---|---|---|---:|---:|
"""


def collected(files: list[str], *options: str) -> Counter[str]:
    """How many cases each test function has."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--no-header", *options, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("tests/") and "::" in line]
    if not found:
        raise SystemExit(f"pytest collected nothing: {done.stdout[-500:]}{done.stderr[-500:]}")
    return Counter(line.partition("[")[0] for line in found)


def table() -> str:
    """The document."""
    faults = tomllib.loads((ROOT / "tools" / "faults.toml").read_text())["fault"]
    files = sorted({test.partition("::")[0] for fault in faults for test in fault["tests"]})
    usual, every = collected(files, "-m", "not campaign"), collected(files)
    missing = sorted({test for fault in faults for test in fault["tests"]} - every.keys())
    if missing:
        raise SystemExit(f"tools/faults.toml names tests that are not there: {', '.join(missing)}")
    rows = []
    for fault in faults:
        tests = fault["tests"]
        named = "<br>".join(f"`{test}`" for test in tests) or "none yet"
        cases, all_cases = (sum(counts[test] for test in tests) for counts in (usual, every))
        rows.append(f"| {fault['name']} | {fault['expected']} | {named} | {cases} | {all_cases} |")
    return HEAD + "\n".join(rows) + "\n"


def main() -> int:
    """Write the table, or with --check say whether it is up to date."""
    wanted = table()
    if "--check" in sys.argv[1:]:
        if not TABLE.is_file() or TABLE.read_text() != wanted:
            print("docs/fault-table.md is out of date: run `python tools/fault_table.py`", file=sys.stderr)
            return 1
        return 0
    TABLE.write_text(wanted)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
