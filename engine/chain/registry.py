"""The on-chain DexRegistry: which venues are known and enabled, which router is current, whether to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.chain.calls import View, answered, at_block, call
from engine.domain.errors import DeploymentError, NodeError
from engine.domain.market import ZERO_HASH, Protocol, Venue
from engine.domain.ports import Node

_VENUE = "(string,uint8,address,address,bytes32,bytes32,uint24,bool)"
_COUNT = View.of("venueCount()", "uint256")
_PAGE = View.of("venues(uint256,uint256)", f"{_VENUE}[]")
_ROUTER = View.of("router()", "address")
_STOPPED = View.of("stopped()", "bool")
_PAGE_SIZE = 50
_MAX_VENUES = 10_000
_PROTOCOLS = {1: Protocol.UNISWAP_V2, 2: Protocol.UNISWAP_V3}


@dataclass(frozen=True, slots=True)
class RegistryState:
    """The registry's contents at one block. Venues of kinds this engine does not know are left out."""

    venues: tuple[Venue, ...]
    router: str
    stopped: bool


async def read_registry(node: Node, registry: str, block_hash: str) -> RegistryState:
    """Everything the registry at address `registry` says at one block.

    Raises DeploymentError when there is no such contract, NodeError when the node fails.
    """
    answers = await node.batch(
        [call(registry, view.data(), block_hash) for view in (_COUNT, _ROUTER, _STOPPED)]
    )
    try:
        (count,) = _COUNT.decode(answered(answers[0]))
        (router,) = _ROUTER.decode(answered(answers[1]))
        (stopped,) = _STOPPED.decode(answered(answers[2]))
    except NodeError as error:
        raise await _no_registry(node, registry, block_hash, error) from error
    if count > _MAX_VENUES:
        raise DeploymentError(
            f"the DexRegistry at {registry} lists {count} venues: check its address in the manifest"
        )
    venues: list[Venue] = []
    for offset in range(0, count, _PAGE_SIZE):
        page = call(registry, _PAGE.data(offset, _PAGE_SIZE), block_hash)
        (rows,) = _PAGE.decode(await node.request(*page))
        venues.extend(venue for venue in map(_venue, rows) if venue is not None)
    return RegistryState(tuple(venues), router.lower(), stopped)


def _venue(row: tuple[Any, ...]) -> Venue | None:
    name, kind, factory, deployer, init_code_hash, pool_code_hash, fee_pips, enabled = row
    protocol = _PROTOCOLS.get(kind)
    if protocol is None:
        return None
    code_hash = "0x" + pool_code_hash.hex()
    return Venue(
        name=name,
        protocol=protocol,
        factory=factory.lower(),
        deployer=deployer.lower(),
        init_code_hash="0x" + init_code_hash.hex(),
        pool_code_hash=None if code_hash == ZERO_HASH else code_hash,
        fee_pips=fee_pips if protocol is Protocol.UNISWAP_V2 else None,
        enabled=enabled,
    )


async def _no_registry(node: Node, registry: str, block_hash: str, error: NodeError) -> Exception:
    code = await node.request("eth_getCode", [registry, at_block(block_hash)])
    if code == "0x":
        return DeploymentError(f"there is no DexRegistry at {registry}: deploy the contracts first")
    return error
