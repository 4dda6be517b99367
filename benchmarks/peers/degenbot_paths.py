"""degenbot's newest, with its compiled path solver: `python -m benchmarks.peers.degenbot_paths` installs it
where a Python 3.13 is at hand, and then it is measured too."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Timing

VERSION = "0.6.0a17"
NAME = f"degenbot {VERSION}"
PYTHON_VERSION = "3.13"
_WORKER = Path(__file__).with_name("degenbot_paths_worker.py")
_HOME = Path(__file__).resolve().parents[2] / ".build" / "peers" / f"degenbot-{VERSION}"
_PYTHON = _HOME / "bin" / "python"
_TIMEOUT_S = 300


def install() -> None:
    """Make its environment. Raises CalledProcessError when the package or its Python cannot be had."""
    uv = [str(Path(sys.executable).with_name("uv"))]
    local = ["--no-python-downloads", "--python", PYTHON_VERSION]
    subprocess.run([*uv, "venv", "--quiet", "--clear", *local, str(_HOME)], check=True)
    requirement = f"degenbot=={VERSION}"
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(_PYTHON), requirement], check=True)


def is_installed() -> bool:
    """Whether `install` has been run."""
    return _PYTHON.is_file()


def solve_all(
    pools: Sequence[tuple[int, int, int, int, int]],
    path_sets: Sequence[Sequence[Sequence[int]]],
    rounds: int,
) -> list[tuple[Timing, int]]:
    """For each set of paths of directed edges: (time of solving all of them, their total profit). Pools are
    (token0, token1, reserve0, reserve1, fee pips). Raises CalledProcessError, TimeoutExpired."""
    question = json.dumps({"pools": pools, "path_sets": path_sets, "rounds": rounds})
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
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return [(_timing(answer["ns"]), answer["total_profit"]) for answer in answers]


def _timing(taken: Sequence[float]) -> Timing:
    return Timing(statistics.median(taken), min(taken), max(taken))


if __name__ == "__main__":
    install()
    print(f"{NAME} is installed")
