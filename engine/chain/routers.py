"""Which router trades go to, watched block by block: a recorded rotation is followed once nothing is in
flight through the old one, and with a router that nobody recorded nothing is traded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_utils import keccak

from engine.chain.calls import View, at_block, read_view
from engine.chain.deployments import ROUTER, Deployment, Manifest, check, read_manifests
from engine.chain.registry import named_router
from engine.chain.wire import octets
from engine.domain.errors import DeploymentError, NodeError, NodeUnreachable
from engine.domain.execution import Pinned
from engine.domain.market import ZERO_ADDRESS, BlockRef
from engine.domain.ports import Node

Observe = Callable[[str, dict[str, Any]], None]

_OPERATOR = View.of("OPERATOR()", "address")
_PINNED = tuple(
    View.of(f"{name}()", "address")
    for name in ("WRAPPED_NATIVE", "POOL_MANAGER", "BALANCER_VAULT", "BALANCER_VAULT_V3")
)


@dataclass(frozen=True, slots=True)
class Router:
    """A router: its address, the only address it obeys, and the contracts it was constructed with."""

    address: str
    operator: str
    pinned: Pinned


async def read_router(node: Node, address: str, block: Any = "latest") -> Router:
    """The router at `address`, by its own account at `block` (any JSON-RPC block parameter).

    Raises DeploymentError when it does not answer as a router does, NodeError when the node fails.
    """
    operator = await router_operator(node, address, block)
    answers = [await read_view(node, address, view, (), block) for view in _PINNED]
    pinned = (str(one).lower() for (one,) in answers)
    return Router(address, operator, Pinned(*(None if one == ZERO_ADDRESS else one for one in pinned)))


async def router_operator(node: Node, router: str, block: Any = "latest") -> str:
    """The only address the router obeys. Raises DeploymentError when the router does not say."""
    try:
        (operator,) = await read_view(node, router, _OPERATOR, (), block)
    except NodeUnreachable:
        raise
    except NodeError as error:
        raise DeploymentError(
            f"the contract at {router} does not name its operator: it is not our router"
        ) from error
    return str(operator).lower()


async def trusted_router(node: Node, manifest: Manifest, named: str, block: BlockRef) -> Router:
    """The router that the DexRegistry names at `block`: `manifest` must record it, as current or as
    announced, and the chain hold its recorded code.

    Raises DeploymentError that says what to do where that is not so, NodeError when the node fails.
    """
    if named == ZERO_ADDRESS:
        raise DeploymentError(
            "the DexRegistry names no router: somebody cleared it, `ape run rotate_router` names one again"
        )
    wanted = trusted_routers(manifest).get(named)
    if wanted is None:
        raise DeploymentError(_unknown(manifest, named))
    code = octets(await node.request("eth_getCode", [named, at_block(block.hash)]), "code")
    held = "0x" + keccak(code).hex()
    if held != wanted:
        raise DeploymentError(f"the router {named} has code hash {held} and not the recorded {wanted}")
    return await read_router(node, named, at_block(block.hash))


async def current_deployment(
    node: Node, manifests: Mapping[str, Manifest], block: BlockRef
) -> tuple[Deployment, Router]:
    """The deployment as `check` finds it, with the router that the registry names at `block`. That may be the
    announced one: who names it (a multisig) need not be who records it. Raises as `check` and
    `trusted_router` do."""
    deployment = await check(node, manifests)
    named = await named_router(node, deployment.dex_registry, block.hash)
    router = await trusted_router(node, manifests[ROUTER], named, block)
    return replace(deployment, router=router.address), router


def _unknown(manifest: Manifest, named: str) -> str:
    earlier = manifest.raw.get("history")
    replaced = [one.get("address") for one in earlier or () if isinstance(one, dict)]
    if named in replaced:
        return (
            f"the DexRegistry names the router {named}, which {manifest.path} records as replaced by"
            f" {manifest.address}: name that again with `ape run rotate_router`"
        )
    return (
        f"the DexRegistry names the router {named}, which no manifest names: bring {manifest.path},"
        f" which records {manifest.address}, up to date"
    )


async def sister_router(node: Node, address: str, of: Router) -> Router:
    """The router at `address`, which is of the very code of another but for the operator it obeys.

    Raises DeploymentError where it is not, NodeError when the node fails.
    """
    codes = [
        octets(await node.request("eth_getCode", [at, "latest"]), "code") for at in (address, of.address)
    ]
    router = await read_router(node, address)
    operators = [bytes.fromhex(each.operator[2:]) for each in (router, of)]
    own, other = (code.replace(who, bytes(20)) for code, who in zip(codes, operators, strict=True))
    if own != other:
        raise DeploymentError(
            f"the router {address} differs from {of.address} in more than its operator: deploy one of the "
            "same code, vault and pinned contracts"
        )
    return router


@dataclass(slots=True)
class RouterWatch:
    """Compares the router that the DexRegistry names with the one in use, at every block.

    Another one is used from the block on in which all of this holds: the manifests name it, as current or as
    announced; the chain holds its recorded code; it obeys the same operator; `in_flight` says that nothing
    sent through the old one still waits. Until then `distrusted` gives the reason.
    """

    node: Node
    directory: Path
    chain_id: int
    observe: Observe
    current: Router
    in_flight: Callable[[], int] = lambda: 0
    _reason: str | None = field(default=None, init=False)

    async def distrusted(self, named: str, block: BlockRef) -> str | None:
        """Why nothing must be sent on `block`, at which the registry names `named`; None when trades go to
        `current`, which is `named` then. Raises NodeError."""
        reason = None
        if named != self.current.address:
            found = await self._examine(named, block)
            waiting = self.in_flight()
            if isinstance(found, str):
                reason = found
            elif waiting:
                reason = f"{waiting} transactions are in flight through the old router {self.current.address}"
            else:
                self.observe("router_changed", {"from": self.current.address, "to": found.address})
                self.current = found
        if reason is not None and reason != self._reason:
            self.observe("router_distrusted", {"router": named, "reason": reason})
        self._reason = reason
        return reason

    async def _examine(self, named: str, block: BlockRef) -> Router | str:
        """The named router, or why it must not be used."""
        try:
            manifest = read_manifests(self.directory, self.chain_id)[ROUTER]
            router = await trusted_router(self.node, manifest, named, block)
        except DeploymentError as error:
            return str(error)
        if router.operator != self.current.operator:
            return (
                f"the router {named} obeys {router.operator} and not {self.current.operator}: "
                "start the engine with that operator's key"
            )
        return router


def trusted_routers(manifest: Manifest) -> dict[str, str]:
    """The code hash of each router that may be current: the recorded one and the announced one."""
    trusted = {manifest.address: manifest.code_hash}
    announced = manifest.raw.get("next")
    if isinstance(announced, dict):
        address, code_hash = announced.get("address"), announced.get("code_hash")
        if isinstance(address, str) and isinstance(code_hash, str):
            trusted[address.lower()] = code_hash.lower()
    return trusted
