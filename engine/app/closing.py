"""Closing in reverse order, each step within a limit: what does not end in time is named and left behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

# For each step, and for all of them where somebody waits for the end.
STEP_S = 5.0
IN_A_HURRY_S = 3.5
_LEAST_S = 0.1

Observe = Callable[[str, dict[str, Any]], None]
_Exit = Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], Awaitable[object]]


class Closing:
    """What was opened, to be closed in reverse order when the block ends.

    Each step has a limit; a run that was cancelled gives all of them together `hurry_s`. `observe` hears
    "closing_overdue" with the step's name and the names of the tasks that were still pending, and
    "closing_failed" of a step that raised. Every further step is taken all the same; then the first error is
    raised, unless the block itself ended with one.
    """

    def __init__(self, observe: Observe, hurry_s: float = IN_A_HURRY_S):
        self._observe = observe
        self._hurry_s = hurry_s
        self._steps: list[tuple[str, float, _Exit]] = []

    async def enter(self, name: str, context: AbstractAsyncContextManager[T], limit_s: float = STEP_S) -> T:
        """Enter a context, to be left within `limit_s`."""
        value = await context.__aenter__()
        self._steps.append((name, limit_s, context.__aexit__))
        return value

    def then(self, name: str, close: Callable[[], Awaitable[object]], limit_s: float = STEP_S) -> None:
        """Await `close` within `limit_s` when it is this step's turn."""
        self._steps.append((name, limit_s, lambda kind, error, trace: close()))

    async def __aenter__(self) -> Closing:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hurried = isinstance(error, asyncio.CancelledError)
        until = time.monotonic() + self._hurry_s if hurried else None
        first: BaseException | None = None
        while self._steps:
            name, limit_s, leave = self._steps.pop()
            if until is not None:
                limit_s = min(limit_s, max(until - time.monotonic(), _LEAST_S))
            failure = await self._take(name, limit_s, leave(kind, error, trace))
            first = first or failure
        if first is not None and error is None:
            raise first

    async def _take(self, name: str, limit_s: float, work: Awaitable[object]) -> BaseException | None:
        """Take one step; its error, if it raised another than the block's own."""

        async def step() -> None:
            await work

        task = asyncio.create_task(step(), name=f"closing {name}")
        done, _ = await asyncio.wait({task}, timeout=limit_s)
        if not done:
            pending = sorted(each.get_name() for each in asyncio.all_tasks() - {asyncio.current_task()})
            overdue = {"step": name, "limit_s": round(limit_s, 3), "pending": ", ".join(pending)}
            self._observe("closing_overdue", overdue)
            # Cancelled, and not waited for: what ignores this must not hold up the rest.
            task.cancel()
            await asyncio.wait({task}, timeout=_LEAST_S)
            return None
        if task.cancelled():
            return None
        failure = task.exception()
        if failure is not None:
            self._observe("closing_failed", {"step": name, "error": repr(failure)})
        return failure
