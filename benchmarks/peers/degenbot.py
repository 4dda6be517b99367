"""degenbot from PyPI: `python -m benchmarks.peers.degenbot` installs it, and then it is measured too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

VERSION = "0.3.0"
NAME = f"degenbot {VERSION}"
_WORKER = Path(__file__).with_name("degenbot_worker.py")
_HOME = Path(__file__).resolve().parents[2] / ".build" / "peers" / f"degenbot-{VERSION}"
_PYTHON = _HOME / "bin" / "python"
_TIMEOUT_S = 300


def install() -> None:
    """Make its environment. Raises CalledProcessError when the package cannot be had."""
    uv = [str(Path(sys.executable).with_name("uv"))]
    subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(_HOME)], check=True)
    requirement = f"degenbot=={VERSION}"
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(_PYTHON), requirement], check=True)


def is_installed() -> bool:
    """Whether `install` has been run."""
    return _PYTHON.is_file()


def solve(cycles: Sequence[Sequence[tuple[int, int, int]]], max_input: int) -> tuple[list[float], list[int]]:
    """(nanoseconds, profit) of its `calculate()` on each cycle; a hop is (reserve in, reserve out, fee pips).

    A profit is 0 where it found none. Raises CalledProcessError, TimeoutExpired.
    """
    question = json.dumps({"cycles": cycles, "max_input": max_input})
    # It writes settings and a log into the home folder when imported.
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [str(_PYTHON), "-P", str(_WORKER)],
            input=question,
            capture_output=True,
            text=True,
            check=True,
            timeout=_TIMEOUT_S,
            env={**os.environ, "HOME": home},
        )
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["ns"], answer["profits"]


if __name__ == "__main__":
    install()
    print(f"{NAME} is installed")
