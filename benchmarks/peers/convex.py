"""scipy's L-BFGS-B and CVXPY on the same pools: `python -m benchmarks.peers.convex` installs them apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCIPY, CVXPY = "1.16.2", "1.7.3"
NAMES = {"scipy": f"scipy {SCIPY} L-BFGS-B on the dual", "cvxpy": f"CVXPY {CVXPY} (Clarabel)"}
_WORKER = Path(__file__).with_name("convex_worker.py")
_HOME = Path(__file__).resolve().parents[2] / ".build" / "peers" / f"convex-{SCIPY}-{CVXPY}"
_PYTHON = _HOME / "bin" / "python"
_TIMEOUT_S = 900


def install() -> None:
    """Make their environment. Raises CalledProcessError when the packages cannot be had."""
    uv = [str(Path(sys.executable).with_name("uv"))]
    subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(_HOME)], check=True)
    wanted = [f"scipy=={SCIPY}", f"cvxpy=={CVXPY}"]
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(_PYTHON), *wanted], check=True)


def is_installed() -> bool:
    """Whether `install` has been run."""
    return _PYTHON.is_file()


def solve(instances: list[dict[str, Any]], solvers: list[str]) -> list[dict[str, Any]]:
    """For each instance and solver {"ns", "objective"}; an instance is {"tokens", "token0", "token1",
    "reserve0", "reserve1", "kept", "values"}, where `values` has a value or 0 for every token.

    Raises CalledProcessError, TimeoutExpired.
    """
    done = subprocess.run(
        [str(_PYTHON), "-P", str(_WORKER)],
        input=json.dumps({"instances": instances, "solvers": solvers}),
        capture_output=True,
        text=True,
        check=True,
        timeout=_TIMEOUT_S,
    )
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


if __name__ == "__main__":
    install()
    print(f"{' and '.join(NAMES.values())} are installed")
