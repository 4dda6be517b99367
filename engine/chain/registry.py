"""The on-chain DexRegistry: which venues are known and enabled, what is barred, which router is current,
whether to stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.chain.access import VENUE
from engine.chain.calls import View, answered, at_block, call
from engine.domain.errors import DeploymentError, NodeError
from engine.domain.market import ZERO_HASH, BlockRef, Protocol, Venue
from engine.domain.ports import Node

_STATUS = View.of("status()", "bool", "address", "uint256")
_COUNT = View.of("venueCount()", "uint256")
_PAGE = View.of("venues(uint256,uint256)", f"{VENUE}[]")
_BARRED_COUNT = View.of("barredCount()", "uint256")
_BARRED_PAGE = View.of("barredPage(uint256,uint256)", "address[]")
_PAGE_SIZE = 50
_BARRED_PAGE_SIZE = 1_000
_MAX_VENUES = 10_000
_MAX_BARRED = 100_000
_MOST_READINGS = 4
_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}


@dataclass(frozen=True, slots=True)
class RegistryState:
    """The registry's contents at one block. Venues of protocols this engine does not know are left out.

    `barred` are the pools and tokens that must not be touched; `revision` grows with every change of venues
    or barred.
    """

    venues: tuple[Venue, ...]
    router: str
    stopped: bool
    barred: frozenset[str] = frozenset()
    revision: int = 0


@dataclass(slots=True)
class RegistryReader:
    """Reads the registry block after block: its switches each time, its pages only when they changed."""

    node: Node
    registry: str
    _last: RegistryState | None = field(default=None, init=False)
    _last_block: BlockRef | None = field(default=None, init=False)

    async def at(self, block: BlockRef) -> RegistryState:
        """The registry's contents at `block`. Raises as `read_registry` does, but NodeError in place of
        DeploymentError about what it lists once it was read: then it is rather the node that says wrong."""
        stopped, router, revision = await _read_status(self.node, self.registry, block.hash)
        last, before = self._last, self._last_block
        # On another branch the same revision may be another change.
        follows = before is not None and block.parent_hash == before.hash
        if last is not None and follows and last.revision == revision:
            state = RegistryState(last.venues, router, stopped, last.barred, revision)
        else:
            try:
                state = await read_registry(self.node, self.registry, block.hash)
            except DeploymentError as error:
                if last is None:
                    raise
                raise NodeError(str(error)) from error
        self._last, self._last_block = state, block
        return state


async def read_registry(node: Node, registry: str, block_hash: str) -> RegistryState:
    """Everything the registry at address `registry` says at one block, page by page.

    Raises DeploymentError when there is no such contract, NodeError when the node fails, or keeps answering
    for different blocks.
    """
    status = await _read_status(node, registry, block_hash)
    for _ in range(_MOST_READINGS):
        rows = await _pages(node, registry, block_hash, _COUNT, _PAGE, _PAGE_SIZE, _MAX_VENUES)
        barred = await _pages(
            node, registry, block_hash, _BARRED_COUNT, _BARRED_PAGE, _BARRED_PAGE_SIZE, _MAX_BARRED
        )
        # A node whose head moves may answer one question for the next block: a revision that is not that of
        # the pages would hide the next change for good.
        before, status = status, await _read_status(node, registry, block_hash)
        if status == before:
            stopped, router, revision = status
            venues = tuple(venue for venue in map(_venue, rows) if venue is not None)
            return RegistryState(venues, router, stopped, frozenset(one.lower() for one in barred), revision)
    raise NodeError(
        f"the node answers differently about the DexRegistry at {registry} in one block each time it is asked"
    )


async def named_router(node: Node, registry: str, block_hash: str) -> str:
    """The router that the registry names at one block. Raises as `read_registry` does."""
    _, router, _ = await _read_status(node, registry, block_hash)
    return router


async def _read_status(node: Node, registry: str, block_hash: str) -> tuple[bool, str, int]:
    try:
        answer = await node.request(*call(registry, _STATUS.data(), block_hash))
        stopped, router, revision = _STATUS.decode(answer)
    except NodeError as error:
        raise await _no_registry(node, registry, block_hash, error) from error
    return stopped, router.lower(), revision


async def _pages(
    node: Node, registry: str, block_hash: str, count_view: View, page_view: View, size: int, most: int
) -> list[Any]:
    (count,) = count_view.decode(await node.request(*call(registry, count_view.data(), block_hash)))
    if count > most:
        raise DeploymentError(
            f"the DexRegistry at {registry} lists {count} entries: check its address in the manifest"
        )
    offsets = range(0, count, size)
    calls = [call(registry, page_view.data(offset, size), block_hash) for offset in offsets]
    answers = await node.batch(calls) if calls else []
    return [row for answer in answers for row in page_view.decode(answered(answer))[0]]


def _venue(row: tuple[Any, ...]) -> Venue | None:
    name, word, factory, deployer, init_code_hash, pool_code_hash, fee_pips, enabled = row
    protocol = _PROTOCOLS.get(word.rstrip(b"\0").decode("ascii", errors="replace"))
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
        fee_pips=fee_pips or None,
        enabled=enabled,
    )


async def _no_registry(node: Node, registry: str, block_hash: str, error: NodeError) -> Exception:
    code = await node.request("eth_getCode", [registry, at_block(block_hash)])
    if code == "0x":
        return DeploymentError(f"there is no DexRegistry at {registry}: deploy the contracts first")
    return error
