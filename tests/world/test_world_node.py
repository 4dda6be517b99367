"""A local node starts, says why when it cannot, and never outlives its owner."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.domain.errors import NodeError, NodeUnreachable

_OWNER = """
import sys, time
from engine.app.world.node import AnvilProcess
node = AnvilProcess()
node.start()
print(node.pid, flush=True)
time.sleep(60)
"""


def ask(url: str, method: str, *params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)["result"]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A killed process whose new parent has not reaped it yet is not running either.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def wait_until_gone(pid: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not is_running(pid):
            return True
        time.sleep(0.02)
    return False


def test_options_reach_the_node(start_anvil):
    node = start_anvil(chain_id=4242, timestamp=1_700_000_000, number=77, base_fee_wei=123_456_789)
    assert int(ask(node.http_url, "eth_chainId"), 16) == 4242
    block = ask(node.http_url, "eth_getBlockByNumber", "latest", False)
    assert int(block["number"], 16) == 77
    assert int(block["timestamp"], 16) == 1_700_000_000
    assert int(block["baseFeePerGas"], 16) == 123_456_789
    assert node.ws_url.removeprefix("ws://") == node.http_url.removeprefix("http://")


def test_two_nodes_run_side_by_side_and_stop(start_anvil):
    first, second = start_anvil(), start_anvil()
    assert first.http_url != second.http_url
    pids = first.pid, second.pid
    first.stop()
    assert not first.is_alive()
    assert second.is_alive()
    second.stop()
    assert all(wait_until_gone(pid) for pid in pids)
    with pytest.raises(NodeUnreachable):
        _ = second.http_url


def test_a_node_forks_another(start_anvil):
    upstream = start_anvil(chain_id=777)
    ask(upstream.http_url, "anvil_mine", "0x5")
    fork = start_anvil(chain_id=777, fork_url=upstream.http_url, fork_block_number=3)
    assert int(ask(fork.http_url, "eth_blockNumber"), 16) == 3


def test_starting_twice_is_refused(anvil):
    with pytest.raises(NodeError, match="already"):
        anvil.start()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hardfork": "atlantis"}, "atlantis"),
        ({"fork_url": "http://127.0.0.1:1"}, "fork block number"),
        ({"init": Path("no-such-genesis.json")}, "no-such-genesis|No such file"),
    ],
)
def test_a_node_that_cannot_start_says_why(options, words):
    with pytest.raises(NodeError, match=words):
        AnvilProcess(AnvilOptions(**options)).start()


def test_a_taken_port_is_named(anvil):
    port = int(anvil.http_url.rsplit(":", 1)[1])
    second = AnvilProcess(AnvilOptions(port=port))
    with pytest.raises(NodeError, match="did not start"):
        second.start()
    assert not second.is_alive()


def test_a_flood_of_requests_does_not_fill_its_output(anvil):
    for _ in range(2_500):
        ask(anvil.http_url, "eth_blockNumber")
    assert int(ask(anvil.http_url, "eth_blockNumber"), 16) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_node_dies_with_its_owner(how):
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert is_running(pid)
        owner.send_signal(how)
        owner.wait(5)
        assert wait_until_gone(pid)
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
