"""A local node that tests may kill, restart and reorganise, driven without the code under test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from engine.app.toolchain import foundry_tool


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class LocalNode:
    """anvil in its own process group; `rpc` is a plain synchronous call."""

    def __init__(self, directory: Path):
        self.port = free_port()
        self.http = f"http://127.0.0.1:{self.port}"
        self.ws = f"ws://127.0.0.1:{self.port}"
        self.ipc = str(directory / "node.ipc")
        self.state = str(directory / "state.json")
        # Killed, anvil leaves behind the states of old blocks: hundreds of MB after a long run.
        self._old_states = directory / "old-states"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *extra: str) -> None:
        command = [str(foundry_tool("anvil")), "--port", str(self.port), "--ipc", self.ipc, "--silent"]
        command += ["--no-mining", "--cache-path", str(self._old_states)]
        self._process = subprocess.Popen([*command, *extra], start_new_session=True)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                self.rpc("eth_chainId")
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("anvil did not start")

    def stop(self, how: int = signal.SIGKILL) -> None:
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, how)
            process.wait(10)
            shutil.rmtree(self._old_states, ignore_errors=True)

    def rpc(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.http, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.loads(response.read())
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def mine(self, count: int = 1) -> None:
        for _ in range(count):
            self.rpc("evm_mine")

    def block(self, tag: str = "latest") -> dict[str, Any]:
        return self.rpc("eth_getBlockByNumber", tag, False)
