"""The command's options, and that nothing outlives it."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import stamina

from engine.app.cli import run_cli

MARK = "ROUNDTRIP_TEST_MARK"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "name either --blocks-dir with stored blocks or --rpc with a node"),
        (["--blocks-dir", "{tmp}", "--rpc", "http://127.0.0.1:1"], "--rpc needs --from-block and --to-block"),
        (["--blocks-dir", "{tmp}", "--from-block", "3"], "go with --rpc"),
        (["--rpc", "http://127.0.0.1:1", "--from-block", "3"], "needs --from-block and --to-block"),
        (["--rpc", "http://127.0.0.1:1", "--from-block", "3", "--to-block", "2"], "is before --from-block 3"),
        (["--rpc", "http://127.0.0.1:1", "--from-block", "3", "--to-block", "3"], "127.0.0.1:1"),
        (["--rpc", "ftp://x", "--from-block", "3", "--to-block", "3"], "is not a node address"),
        (
            ["--rpc", "http://127.0.0.1:1", "--block", "3", "--from-block", "3", "--to-block", "3"],
            "--block goes",
        ),
        (["--blocks-dir", "{tmp}/none"], "{tmp}/none does not exist"),
        (["--blocks-dir", "{tmp}"], "{tmp} holds no block"),
        (["--blocks-dir", "{tmp}", "--chain-table", "{tmp}/t.toml"], "{tmp}/t.toml cannot be read"),
        (["--blocks-dir", "{tmp}", "--max-hops", "9"], "--max-hops"),
        (["--blocks-dir", "{tmp}", "--block", "many"], "--block"),
        (["--blocks-dir", "{tmp}", "--report", "{tmp}/no/report.json"], "{tmp}/no"),
    ],
)
def test_bad_usage_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    stamina.instrumentation.set_on_retry_hooks([])
    given = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    assert run_cli(["simulate", *given]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    assert complaint.replace("{tmp}", str(tmp_path)) in line


def test_a_malformed_block_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "12"
    folder.mkdir()
    (folder / "block.json").write_text("{}")
    assert run_cli(["simulate", "--blocks-dir", str(tmp_path)]) == 2
    assert f"{folder / 'block.json'} is malformed" in capsys.readouterr().err


def marked(mark: str) -> list[int]:
    """Living processes with the mark in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_process(stored_blocks: Path, number: signal.Signals) -> None:
    mark = secrets.token_hex(16)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "engine",
            "simulate",
            "--blocks-dir",
            str(stored_blocks),
            "--block",
            "12047794",
        ],
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        # The command itself, the replaying node, the stage's node and the deployment script.
        while len(marked(mark)) < 4 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(marked(mark)) >= 4
        asked = time.monotonic()
        process.send_signal(number)
        process.communicate(timeout=10)
        assert time.monotonic() - asked < 5
        assert process.returncode == 130
        until = time.monotonic() + 2
        while marked(mark) and time.monotonic() < until:
            time.sleep(0.05)
        assert marked(mark) == []
    finally:
        process.kill()
        process.communicate()
