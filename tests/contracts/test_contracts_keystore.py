"""A deployment as on a public test network: another chain id, its table, and keystores that nobody unlocks by
hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from web3 import HTTPProvider, Web3

from engine.app.toolchain import forge_artifact, project_root
from engine.app.world.node import AnvilOptions, AnvilProcess

SEPOLIA = 11155111
TABLE = project_root() / "deployments" / "chains" / "sepolia.toml"
AGGREGATOR = Web3.to_checksum_address("0x694aa1769357215de4fac081bf1f309adc325306")
PASSPHRASE = "correct horse battery staple 4021"
NAMED = ("admin", "upgrader", "curator", "guardian", "operator", "vault")


class PublicNetwork:
    """A node with Sepolia's chain id and something where the table's contracts are, and two funded keys."""

    def __init__(self, node: AnvilProcess, folder: Path, ape: Any):
        self.folder, self.ape = folder, ape
        self.web3 = Web3(HTTPProvider(node.http_url))
        self.given = ["--network", node.http_url, "--out", folder / "out"]
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")
        self.addresses = {name: self.keystore(name) for name in ("deployer", "curator")}
        self.furnish()

    def keystore(self, name: str) -> str:
        """A funded account whose key is in `<name>.json` only."""
        account = Account.from_key(Web3.keccak(text=f"keystore test {name}"))
        keystore = Account.encrypt(account.key, PASSPHRASE, kdf="pbkdf2", iterations=1_000)
        (self.folder / f"{name}.json").write_text(json.dumps(keystore))
        self.web3.provider.make_request("anvil_setBalance", [account.address, hex(10**18)])
        return account.address

    def furnish(self) -> None:
        """Code where the venue is, and a price feed where the table has one."""
        request, (owner, *_) = self.web3.provider.make_request, self.web3.eth.accounts
        request("anvil_setCode", ["0x0227628f3f023bb0b980b67d528571c95c6dac1c", "0x00"])
        artifact = forge_artifact("WorldFeed")
        feed = self.web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        sent = feed.constructor(8, "ETH / USD", 1).transact({"from": owner})
        made = self.web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.02)["contractAddress"]
        request("anvil_setCode", [AGGREGATOR, "0x" + self.web3.eth.get_code(made).hex().removeprefix("0x")])
        self.web3.eth.contract(AGGREGATOR, abi=artifact.abi).functions.set(3000 * 10**8).transact(
            {"from": owner}
        )

    def contract(self, name: str) -> Any:
        """One of our contracts."""
        record = json.loads((self.folder / "out" / str(SEPOLIA) / f"{name}.json").read_text())
        interface = "IArbitrageRouter" if name == "ArbitrageRouter" else name
        address = Web3.to_checksum_address(record["address"])
        return self.web3.eth.contract(address, abi=forge_artifact(interface).abi)

    def run(self, script: str, *words: object) -> Any:
        """A script with a passphrase file."""
        return self.ape(script, *self.given, *words, "--passphrase-file", self.passphrase)

    def deploy(self, account: object) -> Any:
        """The deployment, as deployments/README.md has it."""
        people = [f"0x{number:040x}" for number in range(101, 107)]
        people[NAMED.index("curator")] = self.addresses["curator"]
        named = [word for pair in zip(NAMED, people, strict=True) for word in (f"--{pair[0]}", pair[1])]
        return self.run("deploy", "--account", account, "--table", TABLE, *named)


@pytest.fixture(scope="module")
def network(ape: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicNetwork]:
    with AnvilProcess(AnvilOptions(chain_id=SEPOLIA)) as node:
        yield PublicNetwork(node, tmp_path_factory.mktemp("network"), ape)


def test_a_keystore_that_does_not_open_sends_nothing(network: PublicNetwork) -> None:
    before, keystore = network.web3.eth.block_number, network.folder / "deployer.json"
    network.passphrase.write_text("another one\n")
    said = network.deploy(keystore)
    network.passphrase.write_text(PASSPHRASE + "\n")
    assert (said.code, said.err) == (2, f"deploy: wrong passphrase for keystore {keystore}\n")
    said = network.deploy("nobody")
    assert said.code == 2
    assert "nobody is neither a keystore file nor an Ape account" in said.err
    assert network.web3.eth.block_number == before


def test_a_public_chains_table_is_deployed_from_a_keystore(network: PublicNetwork) -> None:
    keystore = network.folder / "deployer.json"
    said = network.deploy(keystore)
    assert said.code == 0, said.err
    manager = json.loads((network.folder / "out" / str(SEPOLIA) / "AccessManager.json").read_text())
    assert manager["deployer"] == network.addresses["deployer"].lower()
    (venue,) = network.contract("DexRegistry").functions.venues(0, 5).call()
    assert venue[0] == "Uniswap V3"
    verified = network.ape("verify", *network.given)
    assert verified.code == 0, verified.out + verified.err
    block = network.web3.eth.block_number
    assert network.deploy(keystore).out.count(": kept ") == 4
    assert network.web3.eth.block_number == block


def test_a_role_is_exercised_from_its_keystore(network: PublicNetwork) -> None:
    table = network.folder / "more.toml"
    table.write_text(TABLE.read_text().replace("max_staleness = 4200", "max_staleness = 4300"))
    words = ("--table", table, "--account", network.folder / "curator.json")
    assert "announced: ~ feed" in network.run("configure", *words).out
    network.web3.provider.make_request("evm_increaseTime", [12 * 3600 + 1])
    network.web3.provider.make_request("evm_mine", [])
    said = network.run("configure", *words)
    assert "done: ~ feed" in said.out, said.err
    assert "nothing differs" in network.run("configure", *words).out
