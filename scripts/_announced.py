"""What was announced to the AccessManager and neither done nor called off nor lapsed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ape import networks
from eth_abi import decode
from eth_utils import keccak, to_checksum_address

from engine.domain.errors import DeploymentError
from scripts._deployed import REGISTRIES, Deployed

_SCHEDULED = "0x" + keccak(text="OperationScheduled(bytes32,uint32,uint48,address,address,bytes)").hex()
# Nodes that refuse a long range are asked for its halves, down to this many blocks.
_SHORT_RANGE = 500


@dataclass(frozen=True, slots=True)
class Announcement:
    """An announced call: who announced it, whose function it is, when it may be done (unix seconds)."""

    operation: str
    caller: str
    target: str
    data: bytes
    ready_at: int
    what: str

    def __str__(self) -> str:
        return f"{self.what}, announced by {self.caller}"


def live_announcements(deployed: Deployed) -> list[Announcement]:
    """All of them, oldest first. Raises DeploymentError when the node does not tell the logs."""
    manager = deployed.manager
    record = deployed.manifests.read("AccessManager") or {}
    found: dict[str, Announcement] = {}
    for log in _logs(manager.address, int(record.get("block", 0)), _head()):
        operation = "0x" + log["topics"][1][-64:].lower()
        raw = bytes.fromhex(log["data"][2:])
        _, caller, target, data = decode(["uint48", "address", "address", "bytes"], raw)
        ready_at = int(manager.getSchedule(operation))
        # One that was announced again has the time of the last.
        if ready_at:
            facts = to_checksum_address(caller), to_checksum_address(target), data, ready_at
            found[operation] = Announcement(operation, *facts, _described(deployed, facts[1], data))
    return list(found.values())


def forget_next(deployed: Deployed, gone: Announcement) -> None:
    """Take what was called off out of the manifest that names it as `next`."""
    for name, field in (("ArbitrageRouter", "address"), *((one, "implementation") for one in REGISTRIES)):
        record = deployed.manifests.read(name)
        following = (record or {}).get("next")
        registry = deployed.dex_registry if field == "address" else deployed.registry(name)
        if record is None or following is None or gone.target != registry.address:
            continue
        if bytes.fromhex(following[field][2:]) in gone.data:
            deployed.manifests.write({key: value for key, value in record.items() if key != "next"})


def _described(deployed: Deployed, target: str, data: bytes) -> str:
    known = {"AccessManager": deployed.manager, **{name: deployed.registry(name) for name in REGISTRIES}}
    for name, contract in known.items():
        if contract.address == target:
            try:
                signature, values = contract.decode_input(data)
            except Exception:  # anybody with a role may announce bytes that no function takes
                break
            shown = ", ".join(_shown(value) for value in values.values())
            return f"{name}.{signature.split('(')[0]}({shown})"
    return f"{target} 0x{data.hex()}"


def _shown(value: Any) -> str:
    return "0x" + bytes(value).hex() if isinstance(value, bytes) else str(value)


def _head() -> int:
    return int(networks.provider.get_block("latest").number)


def _logs(address: str, first: int, last: int) -> Iterator[dict[str, Any]]:
    asked = {"address": address, "topics": [_SCHEDULED], "fromBlock": hex(first), "toBlock": hex(last)}
    try:
        answer = networks.provider.make_request("eth_getLogs", [asked])
    except Exception as error:  # a node refuses a range in many ways
        if last - first < _SHORT_RANGE:
            raise DeploymentError(f"the node does not tell the AccessManager's logs: {error}") from error
        middle = (first + last) // 2
        yield from _logs(address, first, middle)
        yield from _logs(address, middle + 1, last)
        return
    yield from answer
