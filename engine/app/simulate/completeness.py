"""Did our transaction read anything the stored state does not hold?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eth_utils import keccak

from engine.domain.errors import NodeError
from engine.domain.ports import Node

# Mappings that tokens keep by holder lie in low slots, or in OpenZeppelin's ERC-20 namespace (ERC-7201).
_LOW_SLOTS = 128
_ERC20_NAMESPACE = 0x52C63247E1F47DB19D5CE0460030C497F067CA4CEBF71BA98EEADABE20BACE00


async def unknown_slots(
    node: Node, transaction: str, known: Mapping[str, Iterable[int]], ours: Iterable[str]
) -> dict[str, list[int]]:
    """Storage slots a mined transaction touched whose value is not in `known`, by account.

    Entries that other contracts keep about our own new addresses (`ours`) are zero in truth too, and known.
    Raises NodeError when the node cannot trace.
    """
    trace = await node.request("debug_traceTransaction", [transaction, {"tracer": "prestateTracer"}])
    if not isinstance(trace, dict):
        raise NodeError("the local node traced into something unknown", method="debug_traceTransaction")
    ours = {address.lower() for address in ours}
    own = {slot for address in ours for slot in _slots_about(address)}
    unknown = {}
    for name, account in trace.items():
        address = name.lower()
        if address in ours:
            continue
        there = {*known.get(address, ()), *own}
        missing = sorted(slot for slot in map(_integer, account.get("storage") or ()) if slot not in there)
        if missing:
            unknown[address] = missing
    return unknown


def _slots_about(address: str) -> Iterable[int]:
    """Where a contract may keep `mapping[address]`, by Solidity's order of key and slot and by Vyper's."""
    key = bytes(12) + bytes.fromhex(address[2:])
    for slot in (*range(_LOW_SLOTS), _ERC20_NAMESPACE):
        place = slot.to_bytes(32, "big")
        yield int.from_bytes(keccak(key + place), "big")
        yield int.from_bytes(keccak(place + key), "big")


def _integer(slot: str) -> int:
    return int(slot, 16)
