"""The kernel cache's folder, in fresh interpreters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.amm.kernel_cache import source_digest

SCRIPT = """
import sys
from engine.amm.kernel_cache import use_kernel_cache
print(use_kernel_cache(sys.argv[1]))
from engine.amm.tick_math import tick_at_sqrt_ratio
print(tick_at_sqrt_ratio(1 << 96))
"""


def run(base: Path, **environment: str) -> tuple[Path, int]:
    output = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(base)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, **environment},
        timeout=300,
    ).stdout.split()
    return Path(output[0]), int(output[1])


def test_kernels_are_kept_under_the_digest_and_used_again(tmp_path: Path):
    folder, tick = run(tmp_path)
    assert folder == tmp_path / f"kernels-{source_digest()}"
    assert tick == 0
    compiled = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}
    assert compiled
    assert run(tmp_path) == (folder, 0)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")} == compiled


def test_a_place_that_cannot_be_written_is_replaced_by_a_temporary_one(tmp_path: Path):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    folder, tick = run(blocked)
    assert tick == 0
    assert blocked not in folder.parents
    assert not folder.exists()


def test_an_edit_of_any_kernel_source_changes_the_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import engine.amm.kernel_cache as kernel_cache

    for room in ("amm", "search"):
        (tmp_path / room).mkdir()
    source = tmp_path / "search" / "kernel.py"
    source.write_text("x = 1\n")
    monkeypatch.setattr(kernel_cache, "__file__", str(tmp_path / "amm" / "kernel_cache.py"))
    before = source_digest()
    assert before == source_digest()
    source.write_text("x = 2\n")
    assert source_digest() != before
