"""Deployment manifests, and whether the chain still holds what they recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils import keccak

from engine.chain.wire import octets, quantity
from engine.domain.errors import DeploymentError
from engine.domain.ports import Node

ROUTER = "ArbitrageRouter"
DEX_REGISTRY = "DexRegistry"
PRICE_FEED_REGISTRY = "PriceFeedRegistry"
ACCESS_MANAGER = "AccessManager"
CONTRACTS = (ACCESS_MANAGER, ROUTER, DEX_REGISTRY, PRICE_FEED_REGISTRY)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One deployed contract as recorded at deployment.

    `code_hash` is keccak256 of the runtime code at `address`; a proxy also has `implementation` and its hash.
    `path` is the manifest file; `raw` its whole contents.
    """

    contract: str
    chain_id: int
    address: str
    code_hash: str
    implementation: str | None
    implementation_code_hash: str | None
    block: int
    path: Path
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deployment:
    """Addresses of our contracts on one chain, lower-case; `block` is the earliest they were deployed in."""

    chain_id: int
    router: str
    dex_registry: str
    price_feed_registry: str
    access_manager: str
    block: int


def read_manifests(directory: Path, chain_id: int) -> dict[str, Manifest]:
    """The manifests of `directory`/<chain id>/, by contract name.

    Raises DeploymentError naming the file that is missing, unreadable or malformed.
    """
    folder = directory / str(chain_id)
    return {name: _read(folder / f"{name}.json", name, chain_id) for name in CONTRACTS}


def deployment_of(manifests: Mapping[str, Manifest]) -> Deployment:
    """The addresses the engine works with."""
    return Deployment(
        chain_id=manifests[ROUTER].chain_id,
        router=manifests[ROUTER].address,
        dex_registry=manifests[DEX_REGISTRY].address,
        price_feed_registry=manifests[PRICE_FEED_REGISTRY].address,
        access_manager=manifests[ACCESS_MANAGER].address,
        block=min(manifest.block for manifest in manifests.values()),
    )


async def check(node: Node, manifests: Mapping[str, Manifest]) -> Deployment:
    """The deployment, once the node's chain id and every recorded code hash agree with the chain.

    Raises DeploymentError naming the first contract that differs, NodeError when the node fails.
    """
    chain_id = quantity(await node.request("eth_chainId", ()), "chain id")
    for manifest in manifests.values():
        if manifest.chain_id != chain_id:
            raise DeploymentError(
                f"{manifest.path} is of chain {manifest.chain_id} but the node serves chain {chain_id}: "
                "use the node or the deployment of the right chain"
            )
        await _check_code(node, manifest, manifest.address, manifest.code_hash, manifest.contract)
        if manifest.implementation is not None and manifest.implementation_code_hash is not None:
            await _check_code(
                node,
                manifest,
                manifest.implementation,
                manifest.implementation_code_hash,
                f"{manifest.contract} implementation",
            )
            await _check_proxy(node, manifest)
    return deployment_of(manifests)


# ERC-1967: keccak256("eip1967.proxy.implementation") - 1.
IMPLEMENTATION_SLOT = hex(int.from_bytes(keccak(text="eip1967.proxy.implementation"), "big") - 1)


async def _check_code(node: Node, manifest: Manifest, address: str, wanted: str, what: str) -> None:
    code = octets(await node.request("eth_getCode", [address, "latest"]), "code")
    if not code:
        raise DeploymentError(
            f"there is no {what} at {address} recorded in {manifest.path}: deploy to this chain first"
        )
    found = "0x" + keccak(code).hex()
    if found != wanted:
        raise DeploymentError(
            f"the {what} at {address} has code hash {found} but {manifest.path} recorded {wanted}: "
            "deploy again or restore the manifest"
        )


async def _check_proxy(node: Node, manifest: Manifest) -> None:
    slot = octets(
        await node.request("eth_getStorageAt", [manifest.address, IMPLEMENTATION_SLOT, "latest"]), "slot", 32
    )
    actual = "0x" + slot[12:].hex()
    if actual != manifest.implementation:
        raise DeploymentError(
            f"the {manifest.contract} proxy at {manifest.address} runs {actual} but {manifest.path} recorded "
            f"{manifest.implementation}: verify the upgrade and record it"
        )


def _read(path: Path, name: str, chain_id: int) -> Manifest:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeploymentError(
            f"{path} is missing: deploy the contracts to chain {chain_id} with `ape run deploy` first"
        ) from None
    except (OSError, ValueError) as error:
        raise DeploymentError(f"{path} cannot be read as JSON ({type(error).__name__}): restore it") from None
    if not isinstance(raw, dict):
        raise DeploymentError(f"{path} is not a deployment manifest: restore it")
    if raw.get("contract") != name or raw.get("chain_id") != chain_id:
        raise DeploymentError(f"{path} is not the manifest of {name} on chain {chain_id}: restore it")
    block = raw.get("block")
    if type(block) is not int or block < 0:
        raise DeploymentError(f"{path} has no valid block: restore it")
    proxied = raw.get("implementation") is not None
    return Manifest(
        contract=name,
        chain_id=chain_id,
        address=_hex_field(raw, "address", 20, path),
        code_hash=_hex_field(raw, "code_hash", 32, path),
        implementation=_hex_field(raw, "implementation", 20, path) if proxied else None,
        implementation_code_hash=_hex_field(raw, "implementation_code_hash", 32, path) if proxied else None,
        block=block,
        path=path,
        raw=raw,
    )


def _hex_field(raw: Mapping[str, Any], field: str, length: int, path: Path) -> str:
    value = raw.get(field)
    try:
        if isinstance(value, str) and value.startswith("0x") and len(bytes.fromhex(value[2:])) == length:
            return value.lower()
    except ValueError:
        pass
    raise DeploymentError(f"{path} has no valid {field}: restore it")
