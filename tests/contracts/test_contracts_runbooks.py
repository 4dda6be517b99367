"""The runbooks, command by command as the page has them, on a chain of their own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from test_contracts_keystore import SEPOLIA, PublicNetwork
from web3 import Web3

from engine.app.cli import run_cli
from engine.app.toolchain import project_root
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.chain.keys import keystore_address

PAGE = project_root() / "docs" / "runbooks.md"
WETH = "0xfff9976782d46cc05630d1f6ebab18b2324d6b14"
LONGEST_DELAY_S = 48 * 3600
NEW_PASSPHRASE = "correct horse battery staple 5150"
# Said by scripts whose work has to wait its delay.
ANNOUNCED = "announced: "


def commands() -> list[str]:
    """Every command of the page's blocks, in order, without its remark."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", PAGE.read_text(), re.M | re.S)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(("export ", "NET="))]


class Desk:
    """Somebody who types the page's commands, with this network and these files for the page's."""

    def __init__(self, network: PublicNetwork, folder: Path, capsys: pytest.CaptureFixture[str]):
        self.network, self.folder, self.capsys = network, folder, capsys
        self.announced: set[str] = set()
        self.twice: set[str] = set()
        self.url = network.given[1]
        self.files = {
            "bot.toml": folder / "bot.toml",
            "operator.json": folder / "operator.json",
            "passphrase": folder / "passphrase",
        }
        folder.mkdir()
        self.files["passphrase"].write_text(NEW_PASSPHRASE + "\n")
        self.files["bot.toml"].write_text(
            f'[chain]\nchain_id = {SEPOLIA}\nrpc_url = "{self.url}"\n'
            f'[storage]\ndirectory = "{folder / "records"}"\n'
            f'[deployments]\ndirectory = "{network.given[3]}"\n'
            f'[keys]\nkeystore = "{self.files["operator.json"]}"\n'
            f'[market]\nbase_tokens = ["{WETH}"]\nwrapped_native = "{WETH}"\n'
            f'[risk]\nallowed_tokens = ["{WETH}"]\n'
        )

    def operator(self) -> str:
        """The address of the key that the page has made."""
        return Web3.to_checksum_address(keystore_address(self.files["operator.json"]))

    def words(self, command: str) -> list[str]:
        """What is typed, the page's stand-ins replaced."""
        found: list[str] = []
        for word in shlex.split(command):
            if word == "$NET":
                found += map(str, self.network.given)
            elif word == "0xNEW":
                found.append(self.operator())
            elif word == "http://127.0.0.1:8545":
                found.append(self.url)
            else:
                found.append(str(self.files.get(word, word)))
        return found

    def type(self, command: str) -> str:
        """What the command prints; it must end well. One that was announced is repeated after the delay."""
        if command in self.announced:
            self.network.web3.provider.make_request("evm_increaseTime", [LONGEST_DELAY_S + 1])
            self.network.web3.provider.make_request("evm_mine", [])
            self.announced.clear()
        words = self.words(command)
        if words[0] == "roundtrip":
            return self._engine(words[1:])
        assert words[:2] == [".venv/bin/ape", "run"], command
        script, *given = words[2:]
        if script == "upgrade":
            # This tree's build is what was deployed: another one shows that something happens.
            given += ["--build", "DexRegistryNext"]
        said = self.network.ape(script, *given)
        assert said.code == 0, (command, said)
        if ANNOUNCED in said.out:
            self.announced.add(command)
            self.twice.add(command)
        return said.out

    def _engine(self, words: list[str]) -> str:
        if words[:2] == ["deployments", "verify"]:
            words += ["--directory", str(self.network.given[3])]
        self.capsys.readouterr()
        code = run_cli(words)
        printed = self.capsys.readouterr()
        # Nothing is traded here, which is all that the doctor may find wrong.
        assert code == 0 or words[0] == "doctor", (words, printed)
        return printed.out + printed.err


def test_every_command_of_the_page_works(
    ape: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with AnvilProcess(AnvilOptions(chain_id=SEPOLIA)) as node:
        network = PublicNetwork(node, tmp_path, ape)
        said = ape("deploy", *network.given)
        assert said.code == 0, said.err
        desk = Desk(network, tmp_path / "desk", capsys)
        printed = {command: desk.type(command) for command in commands()}
        assert all("done: " in printed[command] for command in desk.twice), printed

        registry, router = network.contract("DexRegistry"), network.contract("ArbitrageRouter")
        stopped, named, _ = registry.functions.status().call()
        assert (stopped, named) == (False, router.address)
        assert router.functions.OPERATOR().call() == desk.operator()
        assert registry.functions.venueCount().call() == 1
        upgrades = registry.events.Upgraded().get_logs(from_block=0)
        (first, second, third) = (log["args"]["implementation"] for log in upgrades)
        assert (first == third) > (first == second)
