"""An embedded world that the engine did not start, with our contracts on it and people trading in it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eth_abi import encode
from eth_account import Account
from eth_utils import keccak

from engine.app.deploy import FeedListing, deploy
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.app.world.world import World, node_options
from engine.chain.keys import signer_of_key

SEED = 11
OPERATOR_KEY = keccak(text="app tests operator")
VAULT_KEY = keccak(text="app tests vault")
PASSPHRASE = "correct horse battery staple 7319"
FUNDS_WEI = 10 * 10**18
# Who the deployment script makes administrator, upgrader, curator and guardian on a development chain.
ADMIN = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
UPGRADER = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc"
CURATOR = "0x90f79bf6eb2c4f870365e785982e1f101e93b906"
GUARDIAN = "0x15d34aaf54267db7d7c367839aaf71a00a2c6a65"
EMERGENCY_STOP = "0x" + keccak(text="emergencyStop()")[:4].hex()
RESUME = "0x" + keccak(text="resume()")[:4].hex()


class LivingWorld:
    """Runs on a thread of its own, for the kernel stops anvil with the thread that started it.

    Every method is synchronous.
    """

    def __init__(self, directory: Path, options: AnvilOptions | None = None):
        self.directory = directory
        self.operator = signer_of_key(OPERATOR_KEY).address
        self.keystore = directory / "operator.json"
        self.passphrase_file = directory / "passphrase"
        self.deployments = directory / "deployments"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="living-world", daemon=True)
        self._thread.start()
        self.anvil = AnvilProcess(options or node_options())
        self.world: World
        write_keystore(self.keystore, OPERATOR_KEY)
        self.passphrase_file.write_text(PASSPHRASE + "\n")
        try:
            self.wait(self._open())
        except BaseException:
            self.close()
            raise

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine run on the world's thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(240)

    def close(self) -> None:
        """Stop the node and the thread."""
        self.wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def rpc(self, method: str, *params: Any) -> Any:
        """Ask the node."""
        return self.wait(self.world.node.request(method, list(params)))

    def head(self) -> int:
        """The head's number."""
        return int(self.rpc("eth_blockNumber"), 16)

    def nonce(self) -> int:
        """How many of the operator's transactions are in the chain."""
        return int(self.rpc("eth_getTransactionCount", self.operator, "latest"), 16)

    def waiting(self) -> int:
        """How many of the operator's transactions wait in the pool."""
        return int(self.rpc("eth_getTransactionCount", self.operator, "pending"), 16) - self.nonce()

    def operator_transactions(self, first_block: int) -> list[dict[str, Any]]:
        """The operator's transactions in the chain since `first_block`."""
        found = []
        for number in range(first_block, self.head() + 1):
            block = self.rpc("eth_getBlockByNumber", hex(number), True)
            found += [each for each in block["transactions"] if each["from"] == self.operator]
        return found

    def step(self, before_mine: Callable[[int], None] = lambda head: None) -> int:
        """People trade on the head, `before_mine` is told its number, and the next block is mined; its
        number."""
        self.wait(self._trade())
        before_mine(self.world.head.number)
        return self.wait(self.world.mine()).number

    def trade(self) -> int:
        """People trade on the head, and nothing is mined; its number."""
        self.wait(self._trade())
        return self.world.head.number

    def mine(self) -> int:
        """Mine one block in which nobody but the reporters and the traffic act."""
        self.wait(self.world.catch_up())
        return self.wait(self.world.mine()).number

    @contextmanager
    def trading(self, interval_s: float = 0.5) -> Iterator[None]:
        """People trade and blocks come every `interval_s`, whether or not anybody keeps up."""
        with self._repeating(lambda stop: self.step(lambda head: stop.wait(interval_s) and None)):
            yield

    @contextmanager
    def quiet_blocks(self, interval_s: float = 0.2) -> Iterator[None]:
        """Blocks come every `interval_s` and nobody trades."""
        with self._repeating(lambda stop: stop.wait(interval_s) or self.mine()):
            yield

    @contextmanager
    def _repeating(self, once: Callable[[threading.Event], object]) -> Iterator[None]:
        stop = threading.Event()
        failures: list[BaseException] = []

        def live() -> None:
            try:
                while not stop.is_set():
                    once(stop)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=live, name="living-world-driver")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)
            if failures:
                raise failures[0]

    def send(self, sender: str, to: str | None, data: str, value: int = 0) -> dict[str, Any]:
        """An unlocked account's transaction in a block of its own, and its receipt."""
        self.rpc("anvil_impersonateAccount", sender)
        transaction = {"from": sender, "data": data, "value": hex(value), "gas": hex(5_000_000)}
        if to is not None:
            transaction["to"] = to
        sent = self.rpc("eth_sendTransaction", transaction)
        # Nobody else acts in this block, so that it may be reorganised away.
        self.rpc("evm_mine")
        receipt = self.rpc("eth_getTransactionReceipt", sent)
        assert receipt["status"] == "0x1", data[:10]
        return receipt

    def announce_and_send(
        self, sender: str, to: str, data: str, between: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """What has to wait its delay of a second: announced in one block, done in the next."""
        call = encode(["address", "bytes", "uint48"], [to, bytes.fromhex(data[2:]), 0])
        announcement = keccak(text="schedule(address,bytes,uint48)")[:4] + call
        self.send(sender, self.contract("AccessManager"), "0x" + announcement.hex())
        between()
        return self.send(sender, to, data)

    def contract(self, name: str) -> str:
        """The address of one of our contracts."""
        return json.loads((self.deployments / "31337" / f"{name}.json").read_text())["address"].lower()

    def settings(self, directory: Path, **changes: Any) -> dict[str, dict[str, Any]]:
        """Sections of a live configuration with records in `directory`; `changes` are `section__key` values,
        None removes."""
        sections: dict[str, dict[str, Any]] = {
            "chain": {"chain_id": 31337, "rpc_url": self.anvil.ws_url, "requests_per_second": 100_000},
            "deployments": {"directory": str(self.deployments)},
            "market": {"base_tokens": self.world.base_tokens, "wrapped_native": self.world.wrapped_native},
            "risk": {"allowed_tokens": self.world.allowed_tokens},
            "execution": {"live": True},
            "keys": {"keystore": str(self.keystore), "passphrase_file": str(self.passphrase_file)},
            "storage": {"directory": str(directory / "records")},
            "log": {"level": "info", "format": "json"},
        }
        for name, value in changes.items():
            section, key = name.split("__")
            sections.setdefault(section, {})[key] = value
            if value is None:
                del sections[section][key]
        return sections

    def write_config(self, directory: Path, **changes: Any) -> Path:
        """A configuration file of `settings` in `directory`."""
        path = directory / "roundtrip.toml"
        path.write_text(to_toml(self.settings(directory, **changes)))
        return path

    async def _open(self) -> None:
        self.anvil.start()
        self.world = await World.create(self.anvil, SEED)
        await self.world.node.request("anvil_setBalance", [self.operator, hex(FUNDS_WEI)])
        await deploy(
            self.anvil.http_url,
            self.deployments,
            operator=self.operator,
            vault=signer_of_key(VAULT_KEY).address,
            venues=self.world.venues,
            feeds=[
                FeedListing(f.base, f.quote, f.aggregator, f.max_staleness_s, f.min_answer, f.max_answer)
                for f in self.world.feeds
            ],
        )
        await self.world.open_market()

    async def _close(self) -> None:
        if hasattr(self, "world"):
            await self.world.close()
        self.anvil.stop()

    async def _trade(self) -> None:
        await self.world.catch_up()
        await self.world.trade()


def write_keystore(path: Path, key: bytes) -> None:
    """A version 3 keystore that opens at once."""
    path.write_text(json.dumps(Account.encrypt(key, PASSPHRASE, kdf="pbkdf2", iterations=1_000)))


def to_toml(sections: dict[str, dict[str, Any]]) -> str:
    """Sections of strings, numbers, switches and lists as TOML; JSON's forms of those are TOML's too."""
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"
