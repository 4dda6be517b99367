"""From nothing to ready for a search: with an empty kernel cache, then with a full one."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Result, main

WARM_ROUNDS = 3
_ROOT = Path(__file__).resolve().parents[1]
_SCRIPT = """
import json, resource, sys
from engine.amm.kernel_cache import use_kernel_cache
use_kernel_cache(sys.argv[1])
from engine.app.kernels import warm_kernels
parts = []
warm_kernels(progress=lambda what, done, total: parts.append(done))
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([sum(each.ru_utime + each.ru_stime for each in used), len(parts)]))
"""


def start(cache: str) -> tuple[float, float, bool]:
    """(seconds until ready, processor seconds of all processes, whether it was compiled side by side)."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    started = time.perf_counter()
    output = subprocess.run(
        [sys.executable, "-c", _SCRIPT, cache], capture_output=True, text=True, check=True, env=environment
    ).stdout
    elapsed = time.perf_counter() - started
    processor, parts = json.loads(output)
    return elapsed, processor, parts > 0


def measure() -> list[Result]:
    """One cold start, some warm ones."""
    with tempfile.TemporaryDirectory() as cache:
        cold, cold_processor, compiled = start(cache)
        warm = [start(cache) for _ in range(WARM_ROUNDS)]
        assert compiled
        assert not any(side_by_side for _, _, side_by_side in warm)
    ours = {
        "cold, s": round(cold, 1),
        "cold, processor s of all processes": round(cold_processor, 1),
        "warm, s": round(statistics.median(elapsed for elapsed, _, _ in warm), 2),
        "warm, processor s": round(statistics.median(used for _, used, _ in warm), 2),
    }
    work = "a new process until its search is ready, kernels compiled by one process per core or loaded"
    return [Result("startup", work, "s", ours)]


if __name__ == "__main__":
    raise SystemExit(main(measure))
