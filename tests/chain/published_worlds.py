"""The exactness campaigns' worlds of published contracts, on a node instead of an in-process EVM."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from eth_abi import decode, encode
from eth_utils import keccak
from local_node import LocalNode

from engine.app.toolchain import project_root
from engine.chain.wire import header
from engine.domain.market import BlockRef

_EXACTNESS = Path(__file__).parents[1] / "exactness"
if str(_EXACTNESS) not in sys.path:
    sys.path.insert(0, str(_EXACTNESS))

OWNER = "0x00000000000000000000000000000000000a11ce"
GENESIS_S = 1_699_000_000
NODE_OPTIONS = ("--timestamp", str(GENESIS_S), "--gas-limit", "1000000000", "--disable-code-size-limit")


class Reverted(Exception):
    """The contract reverted."""


class NodeChain:
    """What the campaigns ask of their EVM, done by a real node: every call is a transaction in a block of its
    own."""

    def __init__(self, node: LocalNode):
        self.node = node
        self.time = GENESIS_S
        self.evm = SimpleNamespace(
            snapshot=lambda: node.rpc("evm_snapshot"),
            revert=lambda at: node.rpc("evm_revert", at),
            basic=lambda account: SimpleNamespace(
                nonce=int(node.rpc("eth_getTransactionCount", account, "latest"), 16)
            ),
            storage=lambda account, slot: int(node.rpc("eth_getStorageAt", account, hex(slot), "latest"), 16),
        )
        node.rpc("anvil_impersonateAccount", OWNER)
        node.rpc("anvil_setBalance", OWNER, hex(10**30))

    def set_time(self, timestamp: int) -> None:
        last = int(self.node.block()["timestamp"], 16)
        self.time = max(timestamp, last + 1)
        self.node.rpc("evm_setNextBlockTimestamp", self.time)
        self.node.mine()

    def deploy(self, code: bytes, types: Iterable[str] = (), values: Iterable = ()) -> str:
        return self._transact({"data": "0x" + (code + encode(list(types), list(values))).hex()})[
            "contractAddress"
        ]

    def driver(self, name: str, types: Iterable[str] = (), values: Iterable = ()) -> str:
        from exact_build import driver_code

        return self.deploy(driver_code(name), types, values)

    def tokens(self, *decimals: int) -> list[str]:
        made = [self.driver("CampaignToken", ["uint8"], [each]) for each in decimals]
        return sorted(made, key=lambda token: int(token, 16)) if len(set(decimals)) == 1 else made

    def raw(self, to: str, data: bytes) -> bytes:
        transaction = {"from": OWNER, "to": to, "data": "0x" + data.hex(), "gas": hex(500_000_000)}
        try:
            answer = self.node.rpc("eth_call", transaction, "latest")
        except RuntimeError as error:
            raise Reverted(str(error)) from error
        self._transact(transaction)
        return bytes.fromhex(answer[2:])

    def call(self, to: str, signature: str, *values: Any, returns: tuple[str, ...] = ()) -> Any:
        from exact_chain import _split

        types = _split(signature[signature.index("(") + 1 : -1])
        output = self.raw(to, keccak(text=signature)[:4] + encode(types, values))
        decoded = decode(returns, output) if returns else ()
        return decoded[0] if len(decoded) == 1 else decoded

    def store(self, account: str, slot: int, value: int) -> None:
        self.node.rpc("anvil_setStorageAt", account, hex(slot), "0x" + value.to_bytes(32, "big").hex())

    def head(self) -> BlockRef:
        # A block of its own, so that storage written from outside belongs to it.
        self.node.mine()
        return header(self.node.block()).ref

    def _transact(self, transaction: dict[str, Any]) -> dict[str, Any]:
        sent = self.node.rpc("eth_sendTransaction", {"from": OWNER, "gas": hex(500_000_000)} | transaction)
        self.node.mine()
        receipt = self.node.rpc("eth_getTransactionReceipt", sent)
        if receipt["status"] != "0x1":
            raise Reverted(str(transaction)[:300])
        return receipt


def build_on(node: LocalNode, module: Any, make: Callable[[], Any]) -> Any:
    """`make()` with the module's in-process EVM replaced by the node."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Chain", lambda *time: NodeChain(node))
        if hasattr(module, "Reverted"):
            patch.setattr(module, "Reverted", Reverted)
        return make()


needs_published = pytest.mark.skipif(
    not (project_root() / ".build" / "published").is_dir(),
    reason="the published packages were not fetched: run `make setup`",
)
