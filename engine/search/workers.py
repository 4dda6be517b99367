"""Kernels that release the interpreter lock, on every core, until a deadline."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

# Work of fewer microseconds than this is done before another thread has woken.
_WORTH_THREADS_US = 1_000.0


def available_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _threads() -> ThreadPoolExecutor:
    """Made when first needed; the calling thread works too, so one fewer than cores."""
    return ThreadPoolExecutor(max(available_cores() - 1, 1), thread_name_prefix="search")


def run_in_chunks(
    kernel: Callable[[int, int], object],
    count: int,
    est_us: float,
    deadline: float | None = None,
    chunk_us: float = 300.0,
) -> bool:
    """Call `kernel(begin, end)` over [0, count) in order of begin, on several threads where it is worth it.

    `est_us` is what one item takes, roughly. The kernel must release the lock and write only its own slots,
    so that the result doesn't depend on who did what. Nothing is begun after `deadline` (`time.monotonic()`
    seconds): returns whether all was done. A kernel's error is raised here.
    """
    if count == 0:
        # Compiles it, or loads it from the cache, where that is still to be done.
        kernel(0, 0)
        return True
    size = max(int(chunk_us / est_us), 1)
    chunks = itertools.count(0, size)

    def work() -> int:
        done = 0
        while (begin := next(chunks)) < count:
            if deadline is not None and time.monotonic() >= deadline:
                break
            end = min(begin + size, count)
            kernel(begin, end)
            done += end - begin
        return done

    helpers = min(available_cores() - 1, -(-count // size) - 1)
    futures = [_threads().submit(work) for _ in range(helpers)] if count * est_us > _WORTH_THREADS_US else []
    return work() + sum(future.result() for future in futures) == count
