"""The scripts that govern a deployment: the difference to a table, stop, rotation, verification."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web3 import HTTPProvider, Web3

from engine.app.toolchain import forge_artifact
from engine.app.world.node import AnvilOptions, AnvilProcess

UPGRADER, CURATOR, GUARDIAN, ADMIN = "dev:2", "dev:3", "dev:4", "dev:1"
STRANGER = "dev:8"
DELAY_S = 3600


class Governed:
    """A deployment on a node of its own, and the scripts with the options every one of them takes."""

    def __init__(self, node: AnvilProcess, folder: Path, ape: Any):
        self.folder, self.ape = folder, ape
        self.web3 = Web3(HTTPProvider(node.http_url))
        self.given = ["--network", node.http_url, "--out", str(folder / "out")]
        delays = [f"--{role}-delay={DELAY_S}s" for role in ("admin", "upgrade", "curator")]
        self.run("deploy", *delays)

    def run(self, script: str, *words: str, code: int = 0) -> Any:
        """Run a script and expect an exit code."""
        said = self.ape(script, *self.given, *words)
        assert said.code == code, said
        return said

    def twice(self, script: str, *words: str) -> str:
        """Announce, wait the delay, do; what the second run printed."""
        first = self.run(script, *words).out
        assert "announced: " in first
        assert "waiting: " in self.run(script, *words).out
        self.pass_time(DELAY_S + 1)
        return self.run(script, *words).out

    def pass_time(self, seconds: int) -> None:
        """Let the chain's clock go on."""
        self.web3.provider.make_request("evm_increaseTime", [seconds])
        self.web3.provider.make_request("evm_mine", [])

    def set_code(self, address: str, code: bytes) -> None:
        """Put code at an address."""
        self.web3.provider.make_request("anvil_setCode", [address, "0x" + code.hex()])

    def manifest(self, name: str) -> dict[str, Any]:
        """A contract's record."""
        return json.loads((self.folder / "out" / "31337" / f"{name}.json").read_text())

    def contract(self, name: str) -> Any:
        """One of our contracts."""
        address = Web3.to_checksum_address(self.manifest(name)["address"])
        return self.web3.eth.contract(address=address, abi=forge_artifact(name).abi)

    def table(self, **changes: Any) -> list[str]:
        """The option that names a table of one venue and, unless it is left out, one feed."""
        venue = {
            "name": "uniswap-v3",
            "protocol": "uniswap-v3",
            "factory": "0x" + "11" * 20,
            "init_code_hash": "0x" + "a1" * 32,
            "enabled": True,
        } | changes.get("venue", {})
        lines = ["chain_id = 31337", "[[venues]]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in venue.items()]
        if feed := changes.get("feed"):
            lines += ["[[feeds]]", *(f"{key} = {json.dumps(value)}" for key, value in feed.items())]
        path = self.folder / "table.toml"
        path.write_text("\n".join(lines) + "\n")
        return ["--table", str(path)]

    def aggregator(self) -> str:
        """A fresh price feed of the chain's own time."""
        artifact = forge_artifact("WorldFeed")
        factory = self.web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        sent = factory.constructor(8, "ETH / USD", 2000 * 10**8).transact({"from": self.web3.eth.accounts[9]})
        return str(self.web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.02)["contractAddress"])


@pytest.fixture(scope="module")
def governed(ape: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Governed]:
    with AnvilProcess(AnvilOptions(timestamp=int(time.time()) - 10)) as node:
        yield Governed(node, tmp_path_factory.mktemp("governed"), ape)


def test_configure_closes_the_difference_and_then_does_nothing(governed: Governed) -> None:
    feed = {
        "base": "0x" + "ee" * 20,
        "quote": "usd",
        "aggregator": governed.aggregator(),
        "max_staleness": 200_000,
        "min_answer": 1,
        "max_answer": 10**12,
    }
    table = governed.table(feed=feed)
    dry = governed.run("configure", *table, "--dry-run").out
    assert "difference: + venue uniswap-v3" in dry
    assert "difference: + feed" in dry
    refused = governed.run("configure", *table, "--account", STRANGER, code=2)
    assert "has no role for this" in refused.err
    assert governed.contract("DexRegistry").functions.venueCount().call() == 0
    assert "done: + venue" in governed.twice("configure", *table, "--account", CURATOR)
    assert governed.contract("DexRegistry").functions.venues(0, 5).call()[0][0] == "uniswap-v3"
    base = Web3.to_checksum_address(feed["base"])
    usd = Web3.to_checksum_address("0x" + "348".rjust(40, "0"))
    assert governed.contract("PriceFeedRegistry").functions.tryQuote(base, usd).call()[::2] == [
        2000 * 10**18,
        0,
    ]
    block = governed.web3.eth.block_number
    assert "nothing differs" in governed.run("configure", *table, "--account", CURATOR).out
    assert governed.web3.eth.block_number == block
    assert "1 price sources: each is one of ours" in governed.run("verify").out

    # Removing is the guardian's, and at once.
    less = governed.table(venue={"enabled": False})
    said = governed.run("configure", *less, "--prune", "--account", GUARDIAN).out
    assert "done: - venue uniswap-v3 disabled" in said
    assert "done: - feed" in said
    assert governed.contract("PriceFeedRegistry").functions.feedCount().call() == 0


def test_verify_finds_what_is_not_ours(governed: Governed) -> None:
    feed = {
        "base": "0x" + "ed" * 20,
        "quote": "usd",
        "aggregator": governed.aggregator(),
        "max_staleness": 3600,
        "min_answer": 1,
        "max_answer": 10**12,
    }
    table = governed.table(venue={"enabled": False}, feed=feed)
    governed.twice("configure", *table, "--account", CURATOR)
    (registered,) = governed.contract("PriceFeedRegistry").functions.feeds(0, 5).call()
    source = registered[5][0]
    code = governed.web3.eth.get_code(source)
    governed.web3.provider.make_request(
        "anvil_setCode", [source, "0x" + code[:-1].hex().removeprefix("0x") + "00"]
    )
    said = governed.run("verify", code=1)
    assert f"the price source {source} is none of ours" in said.out
    governed.set_code(source, bytes(code))
    governed.run("verify")


def test_the_guardian_stops_and_the_administrator_resumes(governed: Governed) -> None:
    registry = governed.contract("DexRegistry")
    assert "done: - emergency stop on" in governed.run("pause", "--account", GUARDIAN).out
    assert registry.functions.stopped().call()
    assert "on already" in governed.run("pause", "--account", GUARDIAN).out
    assert "has no role" in governed.run("resume", "--account", GUARDIAN, code=2).err
    assert "done: + emergency stop off" in governed.twice("resume", "--account", ADMIN)
    assert not registry.functions.stopped().call()


def test_a_multisig_is_told_what_to_send(governed: Governed) -> None:
    multisig = governed.web3.eth.accounts[4]
    line = governed.run("pause", "--multisig", multisig).out.splitlines()[-1]
    transaction = json.loads(line)
    del transaction["chain_id"]
    governed.web3.eth.wait_for_transaction_receipt(governed.web3.eth.send_transaction(transaction))
    registry = governed.contract("DexRegistry")
    assert registry.functions.stopped().call()
    governed.twice("resume", "--account", ADMIN)


def announced_in(listed: str, what: str) -> str:
    """The one operation of the list whose line has `what`."""
    lines = [line for line in listed.splitlines() if re.match(r"0x[0-9a-f]{64}: ", line)]
    (line,) = [line for line in lines if what in line]
    return line.split(":")[0]


def test_what_is_announced_can_be_called_off(governed: Governed) -> None:
    """By who announced it, by the guardian where it is the curator's or the upgrader's, by nobody else."""
    assert "nothing is announced" in governed.run("cancel").out
    vault, before = governed.web3.eth.accounts[9], governed.manifest("ArbitrageRouter")
    rotation = "rotate_router", "--vault", vault, "--account", UPGRADER
    table = governed.table(venue={"name": "unwanted"})
    governed.run("configure", *table, "--account", CURATOR)
    governed.run(*rotation)
    named = governed.manifest("ArbitrageRouter")["next"]["address"]
    listed = governed.run("cancel").out
    router = announced_in(listed, f"setRouter({Web3.to_checksum_address(named)})")
    venue = announced_in(listed, "addVenue((")
    for account in (CURATOR, STRANGER):
        assert "may not call off" in governed.run("cancel", router, "--account", account, code=2).err
    assert "may call off nothing" in governed.run("cancel", "--all", "--account", STRANGER, code=2).err
    assert "no operation" in governed.run("cancel", "0xdead", code=2).err
    assert governed.manifest("ArbitrageRouter")["next"]["address"] == named
    assert "called off: DexRegistry.setRouter(" in governed.run("cancel", router, "--account", GUARDIAN).out
    assert governed.manifest("ArbitrageRouter") == before
    assert announced_in(governed.run("cancel").out, "0x") == venue
    assert "called off: " in governed.run("cancel", venue[:10], "--account", CURATOR).out
    assert "nothing is announced" in governed.run("cancel", "--all", "--account", GUARDIAN).out
    # Waiting does not bring it back: the same command has to announce it anew.
    governed.pass_time(DELAY_S + 1)
    assert "announced: ~ router" in governed.run(*rotation).out
    assert governed.contract("DexRegistry").functions.router().call().lower() == before["address"]
    governed.run("cancel", "--all", "--account", UPGRADER)


def test_an_upgrade_is_called_off_and_not_what_the_administrator_does(governed: Governed) -> None:
    before = governed.manifest("DexRegistry")
    governed.run("pause", "--account", GUARDIAN)
    governed.run("resume", "--account", ADMIN)
    upgrade = "upgrade", "DexRegistry", "--build", "DexRegistryNext", "--account", UPGRADER
    governed.run(*upgrade)
    assert "next" in governed.manifest("DexRegistry")
    multisig = governed.web3.eth.accounts[4]
    line = governed.run("cancel", "--all", "--multisig", multisig).out.splitlines()[-1]
    assert json.loads(line)["from"] == multisig
    said = governed.run("cancel", "--all", "--account", GUARDIAN).out
    assert "called off: DexRegistry.upgradeToAndCall(" in said
    assert governed.manifest("DexRegistry") == before
    listed = governed.run("cancel").out
    resume = announced_in(listed, "0x")
    assert "DexRegistry.resume()" in listed
    assert "may not call off" in governed.run("cancel", resume, "--account", GUARDIAN, code=2).err
    governed.run("cancel", resume, "--account", ADMIN)
    assert "done: + emergency stop off" in governed.twice("resume", "--account", ADMIN)


def test_the_operator_is_rotated(governed: Governed) -> None:
    old, new = governed.manifest("ArbitrageRouter"), governed.web3.eth.accounts[7].lower()
    words = ["--operator", new]
    governed.run("rotate_operator", *words, "--account", UPGRADER)
    governed.run("rotate_operator", *words, "--account", ADMIN)
    # Nothing changes before the delay has passed.
    waiting = governed.manifest("ArbitrageRouter")
    announced = waiting.pop("next")
    assert waiting == old
    governed.pass_time(DELAY_S + 1)
    governed.run("rotate_operator", *words, "--account", UPGRADER)
    governed.run("rotate_operator", *words, "--account", ADMIN)
    record = governed.manifest("ArbitrageRouter")
    assert governed.contract("DexRegistry").functions.router().call().lower() == record["address"]
    assert record["constructor_args"] == [new, *old["constructor_args"][1:]]
    assert (record["address"], record["code_hash"]) == (announced["address"], announced["code_hash"])
    (before,) = record["history"]
    assert (before["address"], "next" in record) == (old["address"], False)
    assert (governed.folder / "out" / "31337" / before["standard_json"]).is_file()
    assert before["standard_json"] != record["standard_json"]
    manager = governed.contract("AccessManager").functions
    former = Web3.to_checksum_address(old["constructor_args"][0])
    assert manager.hasRole(3, Web3.to_checksum_address(new)).call()[0]
    assert not manager.hasRole(3, former).call()[0]
    governed.run("verify")
