"""What people see: tables and numbers on stdout, progress on stderr, reports in files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from engine.domain.errors import UsageError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Bars(Progress):
    """Bars on stderr that go away at the end. Where stderr is not a terminal they leave no trace, so that an
    error stays the one line it is."""

    def __init__(self, *columns: ProgressColumn):
        super().__init__(*columns, console=err, transient=True, disable=not err.is_terminal)

    def stop(self) -> None:
        # Rich's own ends with an empty line where there is no terminal.
        self.live.stop()


@contextmanager
def progress_bar(start: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar on stderr that goes away at the end; the callable takes (what, done, total or None)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns) as progress:
        task = progress.add_task(start, total=None)
        yield lambda what, done, total: progress.update(task, description=what, completed=done, total=total)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(document))


def require_writable(path: Path | None) -> None:
    """Raises UsageError unless a report can be written at `path`; called before the work starts."""
    if path is None:
        return
    parent = path.parent if str(path.parent) else Path(".")
    if path.is_dir():
        raise UsageError(f"report path {path} is a directory: name a file")
    if not parent.is_dir():
        raise UsageError(f"report path {path} is in a directory that does not exist: create {parent} first")
    # Permissions alone don't say it: the superuser has them all, also on a read-only file system.
    probe = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError
        probe.touch()
        probe.unlink()
    except OSError:
        raise UsageError(f"report path {path} cannot be written: choose another") from None


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document whole or not at all. Raises UsageError when the disk refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(document, indent=2) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        raise UsageError(f"report {path} could not be written: {error.strerror}") from error


def show_amount(amount: int, decimals: int, digits: int = 6) -> str:
    """Base units as a decimal number of whole tokens, cut to `digits` places."""
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    whole, part = divmod(amount, 10**decimals)
    fraction = f"{part:0{decimals}d}"[:digits] if decimals else ""
    return f"{sign}{whole:,}" + (f".{fraction}" if fraction else "")


def say(text: str) -> None:
    """One line on stdout, never wrapped: hashes stay whole."""
    out.print(text, soft_wrap=True)
