"""The soak's judge: it lets pass what is level, and sees memory, files, tasks and time that grow."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from benchmarks.flatness import Window, growths, leaks
from benchmarks.measure import stored_results
from engine.telemetry.process import process_facts

LEVEL = Window(800, 300 << 20, 14, 3, 9, 40.0, 120.0, 1.0)


def test_what_is_level_or_noisy_is_let_pass() -> None:
    noisy = [
        replace(LEVEL, p99_ms=100.0 + 40 * (n % 3), resident_bytes=LEVEL.resident_bytes + n)
        for n in range(25)
    ]
    warming = [replace(LEVEL, resident_bytes=100 << 20, p99_ms=900.0), *[LEVEL] * 24]
    assert leaks(growths(noisy)) == leaks(growths(warming)) == []
    with pytest.raises(ValueError, match="five"):
        growths([LEVEL] * 4)


@pytest.mark.parametrize(
    ("measure", "step"),
    [
        ("resident_bytes", 1 << 20),
        ("open_files", 1),
        ("threads", 1),
        ("tasks", 1),
        ("p50_ms", 2.0),
        ("p99_ms", 6.0),
    ],
)
def test_what_grows_with_every_window_is_seen(measure: str, step: float) -> None:
    windows = [replace(LEVEL, **{measure: getattr(LEVEL, measure) + n * step}) for n in range(25)]
    (leak,) = leaks(growths(windows))
    assert leak.startswith(measure)


async def test_a_planted_leak_of_this_process_is_seen() -> None:
    """Files, tasks and memory that are really held, as a running engine reports them."""
    held: list[object] = []
    windows = []
    for _ in range(12):
        facts = process_facts()
        names = ("resident_bytes", "open_files", "threads", "tasks")
        windows.append(replace(LEVEL, **{name: facts[name] for name in names}))
        held += [open("/dev/null"), bytearray(b"x" * (20 << 20))]  # noqa: SIM115, ASYNC230
        held.append(asyncio.create_task(asyncio.sleep(60)))
    found = leaks(growths(windows))
    for each in held:
        if isinstance(each, asyncio.Task):
            each.cancel()
        elif not isinstance(each, bytearray):
            each.close()  # type: ignore[attr-defined]
    assert [leak.partition(" ")[0] for leak in found] == ["resident_bytes", "open_files", "tasks"]


def test_the_committed_report_is_of_a_long_run_that_stayed_level() -> None:
    (report,) = (result for result in stored_results() if result["name"] == "soak")
    windows = [Window(**window) for window in report["windows"]]
    assert sum(window.blocks for window in windows) >= 20_000
    assert report["leaks"] == leaks(growths(windows)) == []
