"""Running a coroutine until it ends or the person asks it to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine
from typing import Any

STOP_WITHIN_S = 4.5
INTERRUPTED = 130


class Stopped(Exception):
    """The person asked to stop (SIGINT or SIGTERM) and everything was put away."""


def run_until_signalled(main: Coroutine[Any, Any, Any]) -> Any:
    """Run `main`; SIGINT and SIGTERM cancel it once, so that it puts things away.

    Raises Stopped when it was cancelled that way. If putting away takes longer than 4.5 s the process ends
    at once: everything that must survive is on disk already.
    """
    return asyncio.run(_supervise(main))


async def _supervise(main: Coroutine[Any, Any, Any]) -> Any:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main)
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            return
        asked = True
        task.cancel()
        # A timer of the loop would not fire while blocking clean-up code runs.
        signal.signal(signal.SIGALRM, lambda number, frame: os._exit(INTERRUPTED))
        signal.setitimer(signal.ITIMER_REAL, STOP_WITHIN_S)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if asked:
            raise Stopped from None
        raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def wait_cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end, swallowing only its cancellation."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
