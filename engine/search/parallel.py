"""Kernels that release the interpreter lock, on several cores."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable

# Starting a thread costs about as much as this many cycles.
_WORTH_A_THREAD = 256
_CHUNK = 64


def available_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_chunks(kernel: Callable[[int, int], None], count: int, cores: int) -> None:
    """Call `kernel(begin, end)` until [0, count) is covered, on at most `cores` threads.

    The kernel must release the lock and write only its own slots, so that the result doesn't depend on who
    did what. Its error is raised here.
    """
    workers = min(cores, count // _WORTH_A_THREAD)
    if workers <= 1:
        kernel(0, count)
        return
    chunks = itertools.count(0, _CHUNK)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while (begin := next(chunks)) < count:
                kernel(begin, min(begin + _CHUNK, count))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
