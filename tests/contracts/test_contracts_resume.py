"""A deployment that is killed at any transaction is completed by the next run, to the same result."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from counting_proxy import CountingProxy
from web3 import HTTPProvider, Web3

from engine.app.toolchain import forge_artifact
from engine.app.world.node import AnvilOptions, AnvilProcess

DEPLOYER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
# Seven contracts (two registries with a proxy each, a router, a manager, a price source) and the setting up.
TRANSACTIONS = 8
FIXED_TIME = 1_800_000_000


class Blocked(Exception):
    """Raised in the proxy so that a transaction never reaches the node."""


def listings(folder: Path, node: str) -> list[str]:
    """A venue and a feed; the feed's aggregator is deployed first."""
    web3 = Web3(HTTPProvider(node))
    artifact = forge_artifact("WorldFeed")
    factory = web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    sent = factory.constructor(8, "ETH / USD", 2000 * 10**8).transact({"from": web3.eth.accounts[9]})
    aggregator = web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.02)["contractAddress"]
    venue = {
        "name": "uniswap-v2",
        "protocol": "uniswap-v2",
        "factory": "0x" + "11" * 20,
        "init_code_hash": "0x" + "a1" * 32,
        "fee_pips": 3000,
    }
    feed = {
        "base": "0x" + "ee" * 20,
        "quote": "usd",
        "aggregator": aggregator,
        "max_staleness": 3600,
        "min_answer": 1,
        "max_answer": 10**12,
    }
    (folder / "venues.json").write_text(json.dumps([venue]))
    (folder / "feeds.json").write_text(json.dumps([feed]))
    return ["--venues", str(folder / "venues.json"), "--feeds", str(folder / "feeds.json")]


def result(folder: Path, node: str) -> dict[str, Any]:
    """Everything that a deployment leaves: manifests but for what differs in time, and the state it made."""
    web3 = Web3(HTTPProvider(node))
    manifests = {
        path.name: json.loads(path.read_text())
        for path in sorted((folder / "31337").iterdir())
        if not path.name.endswith(".input.json")
    }
    for record in manifests.values():
        record["transaction"] = record["transaction"] is not None
    found: dict[str, Any] = {"manifests": manifests, "sent": web3.eth.get_transaction_count(DEPLOYER)}
    for name in ("AccessManager.json", "DexRegistry.json", "PriceFeedRegistry.json"):
        address = Web3.to_checksum_address(manifests[name]["address"])
        proof = web3.eth.get_proof(address, [])
        found[name] = proof["codeHash"].hex()
    registry = contract(web3, manifests, "DexRegistry")
    feeds = contract(web3, manifests, "PriceFeedRegistry")
    found["status"] = registry.functions.status().call()
    found["venues"] = registry.functions.venues(0, 10).call()
    found["feeds"] = feeds.functions.feeds(0, 10).call()
    manager = contract(web3, manifests, "AccessManager")
    accounts = [DEPLOYER, *web3.eth.accounts[1:6]]
    found["roles"] = [
        [manager.functions.hasRole(role, account).call() for account in accounts] for role in range(5)
    ]
    return found


def contract(web3: Web3, manifests: dict[str, Any], name: str) -> Any:
    address = Web3.to_checksum_address(manifests[f"{name}.json"]["address"])
    return web3.eth.contract(address=address, abi=forge_artifact(name).abi)


def interrupted(apes: Any, folder: Path, kill_at: int, when: str) -> tuple[dict[str, Any], int]:
    """The result of a deployment whose process is killed around transaction `kill_at` and then run again, and
    how many transactions reached the proxy in all. `kill_at` zero: never."""
    killed = threading.Event()
    victim, ape = apes.take() if kill_at else None, apes.take()

    def told(number: int, moment: str) -> None:
        if number == kill_at and moment == when and not killed.is_set():
            assert victim is not None
            victim.kill()
            killed.set()
            if when == "before":
                raise Blocked

    with AnvilProcess(AnvilOptions(timestamp=FIXED_TIME)) as node:
        words = listings(folder, node.http_url)
        proxy = CountingProxy(node.http_url, told)
        try:
            given = ["--network", proxy.url, "--out", str(folder / "out"), *words]
            if victim:
                victim.start("deploy", *given)
                assert killed.wait(60)
            said = ape("deploy", *given)
            assert said.code == 0, said.err
            sent = proxy.sent
            again = ape("deploy", *given)
            assert again.code == 0, again.err
            assert again.out.count(": kept ") == 4
            assert proxy.sent == sent
            assert not list((folder / "out" / "31337").glob(".*"))
            apes.give_back(ape)
            return result(folder / "out", node.http_url), sent
        finally:
            proxy.close()


EVERYWHERE = [(number, when) for number in range(1, TRANSACTIONS + 1) for when in ("before", "after")]
# A proxy's creation sent but not recorded; everything but the setting up and the deployer's leaving.
A_FEW = [(5, "after"), (TRANSACTIONS, "before")]


@pytest.mark.parametrize(
    ("number", "when"),
    [pytest.param(*one, marks=[] if one in A_FEW else pytest.mark.campaign) for one in EVERYWHERE],
)
def test_a_killed_deployment_resumes_to_the_same_result(
    apes: Any, tmp_path: Path, uninterrupted: dict[str, Any], number: int, when: str
) -> None:
    found, sent = interrupted(apes, tmp_path, number, when)
    assert found == uninterrupted
    # One is sent again when it did not arrive, none otherwise.
    assert sent == TRANSACTIONS + (when == "before")


@pytest.fixture(scope="module")
def uninterrupted(apes: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a deployment leaves that nothing interrupts."""
    found, sent = interrupted(apes, tmp_path_factory.mktemp("whole"), 0, "before")
    assert sent == TRANSACTIONS
    return found
