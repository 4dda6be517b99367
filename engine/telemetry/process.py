"""What this process holds: memory, open files, threads and tasks, all level however long it runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/statm")
_OPEN_FILES = Path("/proc/self/fd")


def process_facts() -> dict[str, Any]:
    """Resident bytes and open files (None where the system has no /proc), threads, and the tasks of the
    running event loop (0 outside of one)."""
    resident = open_files = None
    with contextlib.suppress(OSError):
        resident = int(_STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        open_files = sum(1 for _ in _OPEN_FILES.iterdir())
    tasks = 0
    with contextlib.suppress(RuntimeError):
        tasks = len(asyncio.all_tasks())
    return {
        "resident_bytes": resident,
        "open_files": open_files,
        "threads": threading.active_count(),
        "tasks": tasks,
    }
