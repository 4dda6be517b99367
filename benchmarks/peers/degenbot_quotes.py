"""The newest degenbot's quotes of single pools: `python -m benchmarks.peers.degenbot_quotes` installs it.

It wants Python 3.12, looked for among pyenv's and on PATH. An older release, all that Python 3.11 can have,
has another interface and is not asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_WORKER = Path(__file__).with_name("degenbot_quotes_worker.py")
_HOME = Path(__file__).resolve().parents[2] / ".build" / "peers" / "degenbot-newest"
_PYTHON = _HOME / "bin" / "python"
_TIMEOUT_S = 300


def install() -> None:
    """Make its environment. Raises CalledProcessError when the package cannot be had."""
    uv = [str(Path(sys.executable).with_name("uv"))]
    versions = sorted((Path.home() / ".pyenv" / "versions").glob("3.12*/bin/python"))
    for python in (*map(str, reversed(versions)), "3.12", sys.executable):
        arguments = ["venv", "--quiet", "--clear", "--no-python-downloads", "--python", python, str(_HOME)]
        if subprocess.run([*uv, *arguments], check=False).returncode == 0:
            break
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(_PYTHON), "degenbot"], check=True)


def is_installed() -> bool:
    """Whether `install` has been run."""
    return any(_HOME.glob("lib/python3.1[2-9]/site-packages/degenbot"))


def ask(state: dict[str, Any], questions: list[tuple[bool, int]]) -> tuple[str, float, list[int]]:
    """(its name, nanoseconds a quote, amounts out) for (sell token0?, amount in) on one pool.

    Raises CalledProcessError, TimeoutExpired.
    """
    # It makes a settings folder and a database in the home folder when imported; some file systems refuse the
    # database its first lock, and the second import finds it made.
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home}
        command = [str(_PYTHON), "-P", "-c", "import degenbot"]
        subprocess.run(command, env=environment, capture_output=True, check=False, timeout=_TIMEOUT_S)
        done = subprocess.run(
            [str(_PYTHON), "-P", str(_WORKER)],
            input=json.dumps({"state": state, "questions": questions}),
            capture_output=True,
            text=True,
            check=True,
            timeout=_TIMEOUT_S,
            env=environment,
        )
    answer = json.loads(done.stdout.splitlines()[-1])
    return f"degenbot {answer['version']}", answer["ns"], answer["answers"]


if __name__ == "__main__":
    install()
    print("the newest degenbot is installed")
