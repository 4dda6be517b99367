"""Which router is traded through when the registry comes to name another one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from local_node import LocalNode
from test_chain_contracts import Contracts

from engine.chain.deployments import Deployment, read_manifests
from engine.chain.routers import Router, RouterWatch, current_deployment, read_router, router_operator
from engine.chain.rpc import RpcNode
from engine.domain.errors import DeploymentError
from engine.domain.market import ZERO_ADDRESS

STRANGER = "0x" + "51" * 20
TYPES = ["address"] * 6


@dataclass
class Rotation:
    """Our contracts with their manifests, and what the watch says of the router that is named."""

    contracts: Contracts
    folder: Path
    waiting: int = 0
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def deploy(self, vault: str, operator: str | None = None, wrapped: str = ZERO_ADDRESS) -> str:
        """Another router."""
        obeyed = operator or self.contracts.dex.owner
        given = [obeyed, vault, wrapped, *[ZERO_ADDRESS] * 3]
        return self.contracts.deploy("ArbitrageRouter", TYPES, *given).lower()

    def announce(self, router: str, code_hash: str | None = None) -> None:
        """Record it as `rotate_router` does before it announces it."""
        path = self.folder / "31337" / "ArbitrageRouter.json"
        announced = {"address": router, "code_hash": code_hash or self.contracts.code_hash(router)}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"next": announced}))

    async def watch(self, node: RpcNode) -> RouterWatch:
        """As an engine has it that started with the recorded router."""
        current = await read_router(node, self.contracts.router.lower())

        def observe(what: str, values: dict[str, Any]) -> None:
            self.seen.append((what, values))

        return RouterWatch(node, self.folder, 31337, observe, current, lambda: self.waiting)


@pytest.fixture
def rotation(local_node: LocalNode, tmp_path: Path) -> Rotation:
    contracts = Contracts(local_node)
    return Rotation(contracts, contracts.write_manifests(tmp_path / "manifests"))


async def test_a_recorded_router_is_used_once_nothing_is_in_flight(rotation: Rotation) -> None:
    old, wrapped = rotation.contracts.router.lower(), "0x" + "77" * 20
    new = rotation.deploy("0x" + "99" * 20, wrapped=wrapped)
    rotation.announce(new)
    async with RpcNode(rotation.contracts.node.http) as node:
        watch, block = await rotation.watch(node), rotation.contracts.block
        assert await watch.distrusted(old, block) is None
        assert watch.current.pinned.wrapped_native is None
        rotation.waiting = 2
        for _ in range(2):
            reason = await watch.distrusted(new, block)
            assert reason == f"2 transactions are in flight through the old router {old}"
            assert watch.current.address == old
        rotation.waiting = 0
        assert await watch.distrusted(new, block) is None
        assert (watch.current.address, watch.current.pinned.wrapped_native) == (new, wrapped)
        assert await watch.distrusted(new, block) is None
    assert [what for what, _ in rotation.seen] == ["router_distrusted", "router_changed"]
    assert rotation.seen[1][1] == {"from": old, "to": new}


async def test_no_other_router_is_used(rotation: Rotation) -> None:
    contracts = rotation.contracts
    unrecorded = rotation.deploy("0x" + "98" * 20)
    foreign = rotation.deploy("0x" + "98" * 20, operator=STRANGER)
    async with RpcNode(contracts.node.http) as node:
        watch, block = await rotation.watch(node), contracts.block
        before = watch.current
        assert "names no router" in str(await watch.distrusted(ZERO_ADDRESS, block))
        assert f"{unrecorded}, which no manifest names" in str(await watch.distrusted(unrecorded, block))
        rotation.announce(unrecorded, "0x" + "12" * 32)
        assert f"not the recorded 0x{'12' * 32}" in str(await watch.distrusted(unrecorded, block))
        rotation.announce(foreign)
        reason = f"obeys {STRANGER} and not {contracts.dex.owner.lower()}"
        assert reason in str(await watch.distrusted(foreign, block))
        rotation.announce(contracts.dex_registry)
        assert "does not name its operator" in str(await watch.distrusted(contracts.dex_registry, block))
        (rotation.folder / "31337" / "ArbitrageRouter.json").unlink()
        assert "ArbitrageRouter.json is missing" in str(await watch.distrusted(unrecorded, block))
        assert watch.current == before
    assert {what for what, _ in rotation.seen} == {"router_distrusted"}


async def test_what_a_start_finds_is_used_or_refused_in_a_sentence(rotation: Rotation) -> None:
    """The registry is the one that says; the manifest has to know what it names."""
    contracts, recorded = rotation.contracts, rotation.contracts.router.lower()
    path = rotation.folder / "31337" / "ArbitrageRouter.json"
    foreign = rotation.deploy("0x" + "97" * 20, operator=STRANGER)
    async with RpcNode(contracts.node.http) as node:

        async def start(named: str) -> tuple[Deployment, Router]:
            contracts.name_router(named)
            return await current_deployment(node, read_manifests(rotation.folder, 31337), contracts.block)

        for named, said in (
            (foreign, f"which no manifest names: bring {path}, which records {recorded}, up to date"),
            (ZERO_ADDRESS, "names no router: somebody cleared it, `ape run rotate_router` names one again"),
        ):
            with pytest.raises(DeploymentError, match=re.escape(said)):
                await start(named)
        deployment, router = await start(recorded)
        assert (deployment.router, router.address) == (recorded, recorded)
        # With its own operator: the key of whoever starts must fit it.
        rotation.announce(foreign)
        deployment, router = await start(foreign)
        assert (deployment.router, router.address, router.operator) == (foreign, foreign, STRANGER)
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "next": None, "history": [{"address": foreign}]}))
        with pytest.raises(DeploymentError, match=f"{path} records as replaced by {recorded}: name that"):
            await start(foreign)


async def test_what_is_no_router_does_not_name_its_operator(rotation: Rotation) -> None:
    async with RpcNode(rotation.contracts.node.http) as node:
        with pytest.raises(DeploymentError, match="it is not our router"):
            await router_operator(node, rotation.contracts.dex_registry)
