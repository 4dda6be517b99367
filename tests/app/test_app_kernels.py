"""Kernels compiled side by side: all that a search needs, in order, whatever the helpers do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.app import kernels
from engine.app.kernel_parts import PARTS

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys
from engine.amm.kernel_cache import use_kernel_cache
use_kernel_cache()
from numba.core.caching import Cache
seen, load = set(), Cache.load_overload
def noted(self, signature, context):
    seen.add(f"{self._impl._filename_base} {signature}")
    return load(self, signature, context)
Cache.load_overload = noted
if sys.argv[1] == "parts":
    from engine.app.kernel_parts import PARTS
    for part in PARTS.values():
        part()
else:
    from engine.app.kernels import warm_kernels
    warm_kernels()
print(*sorted(seen), sep="\\n")
"""


def kernels_of(what: str) -> set[str]:
    command = [sys.executable, "-c", SCRIPT, what]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=600)
    return set(output.stdout.splitlines())


def test_the_parts_are_all_that_a_search_needs() -> None:
    """What they leave out would be compiled by one process after the others are done."""
    needed = kernels_of("search")
    assert len(needed) > 10
    assert needed - kernels_of("parts") == set()


def test_all_parts_are_done_once_by_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int | None]] = []
    monkeypatch.setattr(kernels, "available_cores", lambda: 2)
    kernels.compile_side_by_side(lambda what, done, total: told.append((done, total)))
    assert sorted(told) == [(done, len(PARTS)) for done in range(len(PARTS) + 1)]


def test_helpers_that_fail_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(kernels, "available_cores", lambda: 2)
    monkeypatch.setattr(kernels.sys, "executable", "/bin/false")
    kernels.compile_side_by_side(lambda what, done, total: told.append(done))
    assert told == [0]
