"""Which code our proxies run, watched block by block: a recorded upgrade is followed, and with another one
nothing is traded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_utils import keccak

from engine.chain.calls import answered, at_block
from engine.chain.deployments import IMPLEMENTATION_SLOT, Manifest, read_manifests
from engine.chain.wire import octets
from engine.domain.errors import DeploymentError
from engine.domain.market import BlockRef
from engine.domain.ports import Node

Observe = Callable[[str, dict[str, Any]], None]


@dataclass(slots=True)
class ImplementationWatch:
    """Compares each proxy's implementation with the manifests at every block.

    A change is looked up in the manifests anew: an implementation is trusted when they name it, now or as
    announced, and the chain holds its recorded code. Until then `distrusted` gives the reason.
    """

    node: Node
    directory: Path
    chain_id: int
    observe: Observe
    proxies: dict[str, str]
    _running: dict[str, str] = field(default_factory=dict, init=False)

    async def distrusted(self, block: BlockRef) -> str | None:
        """Why the contracts must not be traded with at `block`, or None. Raises NodeError."""
        calls = [
            ("eth_getStorageAt", [address, IMPLEMENTATION_SLOT, at_block(block.hash)])
            for address in self.proxies.values()
        ]
        answers = await self.node.batch(calls)
        reason = None
        for name, answer in zip(self.proxies, answers, strict=True):
            current = "0x" + octets(answered(answer), "slot", 32)[12:].hex()
            if self._running.get(name) == current:
                continue
            why = await self._examine(name, current, block)
            if why is not None:
                reason = why
                self.observe("implementation_distrusted", {"contract": name, "reason": why})
                continue
            before = self._running.get(name)
            self._running[name] = current
            if before is not None:
                self.observe("implementation_changed", {"contract": name, "from": before, "to": current})
        return reason

    async def _examine(self, name: str, current: str, block: BlockRef) -> str | None:
        try:
            wanted = trusted_code(read_manifests(self.directory, self.chain_id)[name]).get(current)
        except DeploymentError as error:
            return str(error)
        if wanted is None:
            return f"the {name} proxy runs {current}, which no manifest names"
        code = octets(await self.node.request("eth_getCode", [current, at_block(block.hash)]), "code")
        found = "0x" + keccak(code).hex()
        if found != wanted:
            return f"the {name} implementation {current} has code hash {found} and not the recorded {wanted}"
        return None


def trusted_code(manifest: Manifest) -> dict[str, str]:
    """The code hash of each implementation a proxy may run: the recorded one and the announced one."""
    trusted = {}
    if manifest.implementation is not None and manifest.implementation_code_hash is not None:
        trusted[manifest.implementation] = manifest.implementation_code_hash
    announced = manifest.raw.get("next")
    if isinstance(announced, dict):
        address, code_hash = announced.get("implementation"), announced.get("implementation_code_hash")
        if isinstance(address, str) and isinstance(code_hash, str):
            trusted[address.lower()] = code_hash.lower()
    return trusted
