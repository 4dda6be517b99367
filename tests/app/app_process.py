"""`roundtrip` as a process of its own: its log as it comes, and whatever it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

ROUNDTRIP = str(Path(sys.executable).with_name("roundtrip"))
_MARK = "APP_TEST_MARK"


def roundtrip(*arguments: object, **options: Any) -> AppProcess:
    """Start `roundtrip` with the given arguments."""
    return AppProcess([ROUNDTRIP, *map(str, arguments)], **options)


class AppProcess:
    """A started command. Its environment carries a mark that every descendant inherits."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None):
        self._mark = uuid.uuid4().hex
        self.lines: list[str] = []
        self.logged: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **(environment or {}), _MARK: self._mark},
        )
        self._stdout: list[str] = []
        self._threads = [
            threading.Thread(target=self._read_stderr, daemon=True),
            threading.Thread(target=self._read_stdout, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> AppProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pid in self.remains():
            os.kill(pid, signal.SIGKILL)

    @property
    def stdout(self) -> str:
        return "".join(self._stdout)

    @property
    def stderr(self) -> str:
        return "".join(self.lines)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def result(self, timeout_s: float = 120.0) -> int:
        """The exit code, once it ended; fails after `timeout_s`."""
        code = self._process.wait(timeout_s)
        for thread in self._threads:
            thread.join(5)
        return code

    def stop_with(self, number: int) -> tuple[int, float]:
        """Send a signal; the exit code and how many seconds it took."""
        started = time.monotonic()
        self.signal(number)
        code = self.result(20)
        return code, time.monotonic() - started

    def remains(self) -> list[int]:
        """Ids of processes that it started, or that those started, and that still run."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self._process.pid:
                try:
                    environment = (entry / "environ").read_bytes()
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                if f"{_MARK}={self._mark}".encode() in environment and state != "Z":
                    found.append(int(entry.name))
        return found

    def wait_for(self, wanted: Callable[[AppProcess], object], timeout_s: float = 120.0) -> None:
        """Until `wanted` holds; fails when the process ended or after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                # Asked before what it said is looked at, so that its last words count.
                ended = self.ended and not any(thread.is_alive() for thread in self._threads)
                if wanted(self):
                    return
                left = deadline - time.monotonic()
                assert left > 0, f"not within {timeout_s} s:\n{self.stderr[-3000:]}"
                assert not ended, f"it ended:\n{self.stderr[-3000:]}"
                self._changed.wait(min(left, 0.2))

    def wait_for_log(self, event: str, timeout_s: float = 120.0, **fields: Any) -> dict[str, Any]:
        """The first log entry of that event with those fields."""
        self.wait_for(lambda process: process.events(event, **fields), timeout_s)
        return self.events(event, **fields)[0]

    def events(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """Log entries so far of that event with those fields."""
        return [
            entry
            for entry in list(self.logged)
            if entry.get("event") == event and all(entry.get(k) == v for k, v in fields.items())
        ]

    @property
    def ended(self) -> bool:
        """Whether the process ended."""
        return self._process.poll() is not None

    def is_done_with(self, block: int) -> bool:
        """Whether the line is done with a block."""
        done = self.events("block_finished") + self.events("block_skipped")
        return any(entry["block"] >= block for entry in done)

    def finished(self, block: int) -> None:
        """Until the line is done with a block."""
        self.wait_for(lambda process: process.is_done_with(block))

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._changed:
                self.lines.append(line)
                if line.startswith("{"):
                    # What is printed besides, as in a traceback, may begin like one.
                    with suppress(ValueError):
                        self.logged.append(json.loads(line))
                self._changed.notify_all()

    def _read_stdout(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._stdout.append(line)
