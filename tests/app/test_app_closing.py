"""Closing goes on past what hangs or fails, in reverse order, and says what was left."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from app_process import AppProcess
from living_world import LivingWorld

from engine.app.closing import Closing

CHILD = Path(__file__).with_name("hanging_run.py")


class Steps:
    """Parts that note when they are closed."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.told: list[tuple[str, dict[str, Any]]] = []

    def observe(self, fact: str, values: dict[str, Any]) -> None:
        self.told.append((fact, values))

    @asynccontextmanager
    async def part(self, name: str, wrong: str = "") -> AsyncIterator[str]:
        try:
            yield name
        finally:
            if wrong == "hangs":
                await asyncio.Event().wait()
            while wrong == "ignores being cancelled":
                try:
                    await asyncio.sleep(0.5)
                    break
                except asyncio.CancelledError:
                    continue
            if wrong == "fails":
                raise OSError(f"{name} is broken")
            self.closed.append(name)


async def test_steps_are_taken_in_reverse_order_within_their_limits() -> None:
    steps = Steps()
    stuck = asyncio.create_task(asyncio.Event().wait(), name="somebody's work")
    started = time.monotonic()
    async with Closing(steps.observe) as closing:
        assert await closing.enter("first", steps.part("first")) == "first"
        await closing.enter("second", steps.part("second", "hangs"), 0.1)
        await closing.enter("third", steps.part("third", "ignores being cancelled"), 0.1)
        await closing.enter("fourth", steps.part("fourth"))
    assert time.monotonic() - started < 2
    assert steps.closed == ["fourth", "first"]
    (third, overdue), (second, _) = [(values["step"], (fact, values)) for fact, values in steps.told]
    assert (third, second) == ("third", "second")
    assert overdue[0] == "closing_overdue"
    assert "closing third" in overdue[1]["pending"]
    assert "somebody's work" in overdue[1]["pending"]
    stuck.cancel()


async def test_a_step_that_fails_is_told_and_raised_at_the_end() -> None:
    steps = Steps()

    async def run(error: Exception | None = None) -> None:
        async with Closing(steps.observe) as closing:
            await closing.enter("first", steps.part("first"))
            await closing.enter("second", steps.part("second", "fails"))
            await closing.enter("third", steps.part("third"))
            if error is not None:
                raise error

    with pytest.raises(OSError, match="second is broken"):
        await run()
    assert steps.closed == ["third", "first"]
    assert [(fact, values["step"]) for fact, values in steps.told] == [("closing_failed", "second")]
    # The block's own error is what matters, where there is one.
    with pytest.raises(KeyError):
        await run(KeyError())


async def test_what_is_stopped_has_one_limit_for_all() -> None:
    steps = Steps()

    async def run() -> None:
        async with Closing(steps.observe, hurry_s=0.3) as closing:
            for number in range(5):
                await closing.enter(f"step {number}", steps.part(f"step {number}", "hangs" * (number > 0)))
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await asyncio.sleep(0.05)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 3
    assert steps.closed == ["step 0"]
    assert [values["step"] for _, values in steps.told] == [f"step {number}" for number in (4, 3, 2, 1)]


def test_a_run_whose_part_hangs_names_it_and_ends_all_the_same(living: LivingWorld, config: Path) -> None:
    arguments = ["run", "--config", str(config), "--json"]
    with AppProcess([sys.executable, str(CHILD), *arguments]) as process:
        process.wait_for_log("started")
        started = time.monotonic()
        process.stop_with(signal.SIGTERM)
        assert time.monotonic() - started < 5
        (overdue,) = process.events("closing_overdue")
        assert overdue["step"] == "tripwire"
        assert "closing tripwire" in overdue["pending"]
        assert process.events("stopped")
        assert "stopped as asked" in process.stderr
        assert process.remains() == []
