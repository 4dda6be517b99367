"""A local anvil that cannot outlive the process that started it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from engine.app.toolchain import foundry_tool
from engine.domain.errors import NodeError, NodeUnreachable

# Anvil's own default: its accounts are known to everybody and hold play money only.
DEV_MNEMONIC = "test test test test test test test test test test test junk"

_LISTENING = re.compile(rb"Listening on (\S+?):(\d+)\s")
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 3.0
_KEPT_OUTPUT_BYTES = 8_192
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COMPLAINT = re.compile(r"error|panic|fail|invalid|refused", re.IGNORECASE)

# Runs in the child before anvil replaces it. The signal is set here and not in a preexec_fn, which may
# deadlock in a threaded parent; the parent is compared because it may have died before prctl was called.
_LAUNCHER = """
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None, use_errno=True).prctl(1, 9, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{error.strerror}: {sys.argv[2]}")
"""


@dataclass(frozen=True, slots=True)
class AnvilOptions:
    """How anvil is started; every field left at its default leaves anvil's own.

    `timestamp` is the genesis block's, unix seconds; `base_fee_wei` the first block's, per gas; `order` is
    "fees" (by max fee per gas) or "fifo". `init` is a genesis file and `state` a dumped state to load.
    `block_time_s` mines on a timer, `no_mining` only on request; otherwise each transaction mines a block.
    """

    chain_id: int = 31337
    hardfork: str = "prague"
    mnemonic: str = DEV_MNEMONIC
    accounts: int = 10
    balance_eth: int = 10_000
    order: str = "fees"
    no_mining: bool = False
    block_time_s: float | None = None
    gas_limit: int | None = None
    base_fee_wei: int | None = None
    number: int | None = None
    timestamp: int | None = None
    init: Path | None = None
    state: Path | None = None
    fork_url: str | None = None
    fork_block_number: int | None = None
    port: int = 0
    extra: Sequence[str] = ()

    def arguments(self) -> list[str]:
        """The command line after the program's name."""
        given: list[tuple[str, object]] = [
            ("--port", self.port),
            ("--chain-id", self.chain_id),
            ("--hardfork", self.hardfork),
            ("--mnemonic", self.mnemonic),
            ("--accounts", self.accounts),
            ("--balance", self.balance_eth),
            ("--order", self.order),
            ("--block-time", self.block_time_s),
            ("--gas-limit", self.gas_limit),
            ("--block-base-fee-per-gas", self.base_fee_wei),
            ("--number", self.number),
            ("--timestamp", self.timestamp),
            ("--init", self.init),
            ("--load-state", self.state),
            ("--fork-url", self.fork_url),
            ("--fork-block-number", self.fork_block_number),
        ]
        arguments = [part for name, value in given if value is not None for part in (name, str(value))]
        if self.no_mining:
            arguments.append("--no-mining")
        if self.fork_url is not None:
            # Anvil's cache is keyed by chain id and block: two local chains would share entries.
            arguments.append("--no-storage-caching")
        return [*arguments, *self.extra]


class AnvilProcess:
    """A running anvil on a free port; use as a context manager, or `start` and `stop`.

    Anvil leads its own process group, so a Ctrl-C at the terminal reaches only the engine, which stops anvil
    when it is done. On Linux the kernel kills anvil when the thread that called `start` ends, however it
    ends: start it on a thread that lives as long as the node should.
    """

    def __init__(self, options: AnvilOptions | None = None):
        self.options = options or AnvilOptions()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._output: deque[bytes] = deque()
        self._settled = threading.Event()
        self._address: tuple[str, int] | None = None

    @property
    def pid(self) -> int:
        """Anvil's process id. Raises NodeUnreachable when it is not running."""
        if self._process is None:
            raise NodeUnreachable("anvil is not running")
        return self._process.pid

    @property
    def http_url(self) -> str:
        """Where anvil answers JSON-RPC over http. Raises NodeUnreachable before `start`."""
        return f"http://{self._location()}"

    @property
    def ws_url(self) -> str:
        """Where anvil answers JSON-RPC over WebSocket. Raises NodeUnreachable before `start`."""
        return f"ws://{self._location()}"

    def __enter__(self) -> AnvilProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start anvil and wait until it listens. Raises NodeError with anvil's own words if it does not,
        ConfigError when anvil is not installed."""
        if self._process is not None:
            raise NodeError("anvil is running already")
        command = [str(foundry_tool("anvil")), *self.options.arguments()]
        self._settled.clear()
        self._output.clear()
        self._address = None
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._drain, args=(self._process,), daemon=True)
        try:
            self._reader.start()
            self._settled.wait(_START_TIMEOUT_S)
            if self._address is None:
                raise NodeError(f"anvil did not start: {self._last_words()}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop anvil and everything it started; does nothing when it is not running."""
        process, self._process = self._process, None
        self._address = None
        if process is None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
            if self._reader is not None:
                self._reader.join(_STOP_TIMEOUT_S)

    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.poll() is None

    def _location(self) -> str:
        if self._address is None:
            raise NodeUnreachable("anvil is not running")
        host, port = self._address
        return f"{host}:{port}"

    def _drain(self, process: subprocess.Popen[bytes]) -> None:
        """Read all anvil prints, for as long as it runs: a full pipe would stop it."""
        assert process.stdout is not None
        seen = b""
        with process.stdout as stream:
            while chunk := os.read(stream.fileno(), 65_536):
                self._remember(chunk)
                if self._address is None:
                    seen += chunk
                    found = _LISTENING.search(seen)
                    if found:
                        self._address = (found[1].decode(), int(found[2]))
                        self._settled.set()
        self._settled.set()

    def _remember(self, chunk: bytes) -> None:
        self._output.append(chunk[-_KEPT_OUTPUT_BYTES:])
        while sum(map(len, self._output)) > 2 * _KEPT_OUTPUT_BYTES:
            self._output.popleft()

    def _last_words(self) -> str:
        text = b"".join(self._output).decode(errors="replace")
        lines = [line.strip() for line in _COLOUR.sub("", text).splitlines() if line.strip()]
        if lines:
            complaints = [line for line in lines if _COMPLAINT.search(line)]
            return " ".join((complaints or lines[-2:])[:2])[:300]
        return f"it printed nothing within {_START_TIMEOUT_S:g} s"


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
