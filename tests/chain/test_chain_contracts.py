"""What the engine reads from our own deployed contracts, and what it says when they are not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak
from local_dex import LocalDex, hash_of
from local_node import LocalNode

from engine.app.toolchain import forge_artifact
from engine.chain.access import FEED, VENUE
from engine.chain.deployments import CONTRACTS, check, deployment_of, read_manifests
from engine.chain.feeds import read_feeds
from engine.chain.registry import RegistryReader, read_registry
from engine.chain.rpc import RpcNode
from engine.chain.wire import header
from engine.domain.errors import DeploymentError, NodeError
from engine.domain.feeds import USD, FeedStatus
from engine.domain.market import ZERO_ADDRESS, BlockRef, Protocol, Venue


class Contracts:
    """Our contracts on a node: the registries behind proxies under one access manager."""

    def __init__(self, node: LocalNode):
        self.dex = LocalDex.__new__(LocalDex)
        self.dex.node = node
        self.dex.owner = node.rpc("eth_accounts")[0]
        self.node = node
        self.manager = self.deploy("AccessManager", ["address"], self.dex.owner)
        self.router = self.deploy(
            "ArbitrageRouter", ["address"] * 6, self.dex.owner, self.manager, *[ZERO_ADDRESS] * 4
        )
        self.implementations: dict[str, str] = {}
        self.dex_registry = self.proxy("DexRegistry")
        self.feeds = self.proxy("PriceFeedRegistry")

    def deploy(self, name: str, types: list[str] | None = None, *arguments: Any) -> str:
        return self.dex.deploy(forge_artifact(name).bytecode + encode(types or [], arguments))

    def proxy(self, name: str) -> str:
        self.implementations[name] = implementation = self.deploy(name)
        start = keccak(text="initialize(address)")[:4] + encode(["address"], [self.manager])
        return self.deploy("ERC1967Proxy", ["address", "bytes"], implementation, start)

    def add_venue(self, venue: Venue) -> None:
        fields = (
            venue.name,
            venue.protocol.encode().ljust(32, b"\0"),
            venue.factory,
            venue.deployer,
            bytes.fromhex(venue.init_code_hash[2:]),
            bytes.fromhex((venue.pool_code_hash or "0x" + "00" * 32)[2:]),
            venue.fee_pips or 0,
            venue.enabled,
        )
        body = encode([VENUE], [fields])
        data = "0x" + (keccak(text=f"addVenue({VENUE})")[:4] + body).hex()
        self.dex._transact({"from": self.dex.owner, "to": self.dex_registry, "data": data})

    def name_router(self, router: str) -> None:
        """Make the registry name it."""
        body = keccak(text="setRouter(address)")[:4] + encode(["address"], [router])
        if int(router, 16) == 0:
            body = keccak(text="clearRouter()")[:4]
        self.dex._transact({"from": self.dex.owner, "to": self.dex_registry, "data": "0x" + body.hex()})

    def write_manifests(self, directory: Path) -> Path:
        folder = directory / "31337"
        folder.mkdir(parents=True, exist_ok=True)
        addresses = dict(
            zip(CONTRACTS, (self.manager, self.router, self.dex_registry, self.feeds), strict=True)
        )
        for block, (name, address) in enumerate(addresses.items(), 11):
            implementation = self.implementations.get(name)
            record = {
                "contract": name,
                "address": address,
                "chain_id": 31337,
                "block": block,
                "code_hash": self.code_hash(address),
                "implementation": implementation,
                "implementation_code_hash": self.code_hash(implementation) if implementation else None,
            }
            (folder / f"{name}.json").write_text(json.dumps(record))
        return directory

    def code_hash(self, address: str) -> str:
        return hash_of(bytes.fromhex(self.node.rpc("eth_getCode", address, "latest")[2:]))

    @property
    def block(self) -> BlockRef:
        return header(self.node.block()).ref

    @property
    def head(self) -> str:
        return self.node.block()["hash"]


class CountingNode(RpcNode):
    """Counts what is asked, one by one or in batches."""

    asked = 0

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        self.asked += 1
        return await super().request(method, params)


class HastyNode(RpcNode):
    """Answers its first `hasty` questions for the block `ahead`, whichever block they are about: what a node
    may do whose head moves while it is asked."""

    ahead = ""
    hasty = 2

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        if self.hasty:
            self.hasty -= 1
            params = [params[0], {"blockHash": self.ahead}]
        return await super().request(method, params)


class BoastingNode(RpcNode):
    """While it `boasts`, it says that the registry lists more than any does."""

    boasts = False

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        answer = await super().request(method, params)
        counts = (
            method == "eth_call" and params[0].get("data") == "0x" + keccak(text="venueCount()")[:4].hex()
        )
        return "0x" + (24 << 30).to_bytes(32, "big").hex() if self.boasts and counts else answer


@pytest.fixture
def contracts(local_node: LocalNode) -> Contracts:
    return Contracts(local_node)


def venue(number: int) -> Venue:
    at = f"0x{number + 1:040x}"
    if number % 2:
        return Venue(f"v3 {number}", Protocol.UNISWAP_V3, at, f"0x{number + 7000:040x}", "0x" + "1a" * 32)
    hashes = ("0x" + "2b" * 32, "0x" + "3c" * 32)
    return Venue(f"v2 {number}", Protocol.UNISWAP_V2, at, at, *hashes, 2500 + number, number % 4 == 0)


async def test_the_registrys_venues_router_and_stop_are_read(contracts: Contracts) -> None:
    expected = [venue(number) for number in range(53)]
    for each in expected:
        # The registry wants contracts at a venue's addresses.
        for at in (each.factory, each.deployer):
            contracts.node.rpc("anvil_setCode", at, "0x00")
        contracts.add_venue(each)
    contracts.dex.send(contracts.dex_registry, "setRouter(address)", contracts.router)
    before = contracts.head
    contracts.dex.send(contracts.dex_registry, "emergencyStop()")
    contracts.dex.send(contracts.dex_registry, "disableVenue(uint256)", 0)
    async with RpcNode(contracts.node.http) as node:
        before_state = await read_registry(node, contracts.dex_registry, before)
        assert before_state.venues == tuple(expected)
        assert (before_state.router, before_state.stopped) == (contracts.router, False)
        after = await read_registry(node, contracts.dex_registry, contracts.head)
        assert after.stopped
        assert after.venues[0] == replace(expected[0], enabled=False)
        assert after.barred == frozenset()
        assert after.revision == before_state.revision + 1


async def test_what_is_barred_is_read_and_pages_only_when_they_changed(contracts: Contracts) -> None:
    contracts.add_venue(venue(1))
    pool, other = f"0x{77:040x}", f"0x{78:040x}"
    contracts.dex.send(contracts.dex_registry, "bar(address)", pool)
    async with CountingNode(contracts.node.http) as node:
        reader = RegistryReader(node, contracts.dex_registry)
        first = await reader.at(contracts.block)
        assert first.barred == {pool}
        asked = node.asked
        contracts.dex.send(contracts.dex_registry, "emergencyStop()")
        second = await reader.at(contracts.block)
        assert second == replace(first, stopped=True)
        assert node.asked == asked + 1
        contracts.dex.send(contracts.dex_registry, "bar(address)", other)
        contracts.dex.send(contracts.dex_registry, "unbar(address)", pool)
        # A block was left out: what was read last says nothing about this one.
        assert (await reader.at(contracts.block)).barred == {other}
        # On another branch the same number of changes may be other changes.
        contracts.node.rpc("anvil_reorg", 1, [])
        assert (await reader.at(contracts.block)).barred == {pool, other}


async def test_a_revision_answered_for_the_next_block_does_not_hide_its_change(contracts: Contracts) -> None:
    contracts.add_venue(venue(1))
    contracts.dex.send(contracts.dex_registry, "disableVenue(uint256)", 0)
    before = contracts.block
    contracts.dex.send(contracts.dex_registry, "enableVenue(uint256)", 0)
    async with HastyNode(contracts.node.http) as node:
        node.ahead = contracts.head
        reader = RegistryReader(node, contracts.dex_registry)
        assert not (await reader.at(before)).venues[0].enabled
        assert (await reader.at(contracts.block)).venues[0].enabled


async def test_a_list_too_long_to_be_true_ends_a_start_but_not_a_run(contracts: Contracts) -> None:
    contracts.add_venue(venue(1))
    async with BoastingNode(contracts.node.http) as node:
        reader = RegistryReader(node, contracts.dex_registry)
        node.boasts = True
        with pytest.raises(DeploymentError, match="entries"):
            await reader.at(contracts.block)
        node.boasts = False
        first = await reader.at(contracts.block)
        contracts.add_venue(venue(2))
        node.boasts = True
        with pytest.raises(NodeError, match="entries"):
            await reader.at(contracts.block)
        node.boasts = False
        assert len((await reader.at(contracts.block)).venues) == len(first.venues) + 1


async def test_a_missing_registry_is_a_deployment_error(contracts: Contracts) -> None:
    async with RpcNode(contracts.node.ws) as node:
        with pytest.raises(DeploymentError, match=r"there is no DexRegistry at 0x0{38}99:"):
            await read_registry(node, "0x" + "00" * 19 + "99", contracts.head)
        with pytest.raises(NodeError):
            await read_registry(node, contracts.router, contracts.head)


async def test_feeds_are_read_with_their_reasons(contracts: Contracts) -> None:
    good, old, low, never = (f"0x{n:040x}" for n in (1, 2, 3, 4))
    feed = contracts.deploy("WorldFeed", ["uint8", "string", "int256"], 8, "ETH / USD", 3_000 * 10**8)
    for base, staleness, bounds in (
        (good, 100_000, (1, 10**20)),
        (old, 60, (1, 10**20)),
        (low, 100_000, (10**15, 10**20)),
    ):
        types = ["address", "address", "address", "uint16", "uint256", "int256", "int256"]
        source = contracts.deploy("ChainlinkSource", types, base, USD, feed, 0, staleness, *bounds)
        body = encode([FEED], [(base, USD, 1, 0, 0, [source], [])])
        data = "0x" + (keccak(text=f"setFeed({FEED})")[:4] + body).hex()
        contracts.dex._transact({"from": contracts.dex.owner, "to": contracts.feeds, "data": data})
    contracts.node.rpc("evm_increaseTime", 3600)
    contracts.node.mine()
    async with RpcNode(contracts.node.http) as node:
        quotes = await read_feeds(node, contracts.feeds, [good, old, low, never], contracts.head)
        nothing = await read_feeds(node, contracts.router, [good], contracts.head)
        with pytest.raises(NodeError):
            (await read_feeds(node, contracts.feeds, [good], "0x" + "31" * 32))[good]
    assert quotes[good].price_e18 == 3_000 * 10**18
    assert quotes[good].usable
    statuses = [quotes[token].status for token in (good, old, low, never)]
    assert statuses == [FeedStatus.OK, FeedStatus.STALE, FeedStatus.OUT_OF_BOUNDS, FeedStatus.MISSING]
    assert not any(quotes[token].usable for token in (old, low, never))
    updated = int(contracts.node.block()["timestamp"], 16) - quotes[good].updated_at
    assert 3600 <= updated < 3700
    assert nothing[good].status == FeedStatus.CALL_FAILED


async def test_a_deployment_that_is_there_is_accepted(contracts: Contracts, tmp_path: Path) -> None:
    manifests = read_manifests(contracts.write_manifests(tmp_path), 31337)
    async with RpcNode(contracts.node.http) as node:
        deployment = await check(node, manifests)
    assert deployment == deployment_of(manifests)
    assert (deployment.router, deployment.dex_registry) == (contracts.router, contracts.dex_registry)
    assert (deployment.price_feed_registry, deployment.block) == (contracts.feeds, 11)


async def test_code_that_differs_is_refused_by_name(contracts: Contracts, tmp_path: Path) -> None:
    manifests = read_manifests(contracts.write_manifests(tmp_path), 31337)
    node_rpc = contracts.node.rpc
    async with RpcNode(contracts.node.http) as node:

        async def refused(address: str, code: str, pattern: str) -> None:
            original = node_rpc("eth_getCode", address, "latest")
            node_rpc("anvil_setCode", address, code)
            with pytest.raises(DeploymentError, match=pattern) as caught:
                await check(node, manifests)
            assert "\n" not in str(caught.value)
            node_rpc("anvil_setCode", address, original)

        await refused(contracts.router, "0x00", "ArbitrageRouter at .* has code hash")
        await refused(contracts.router, "0x", "no ArbitrageRouter at")
        implementation = contracts.implementations["DexRegistry"]
        await refused(implementation, "0x00", "DexRegistry implementation at .* has code hash")
        await check(node, manifests)
        upgraded = contracts.deploy("DexRegistry")
        contracts.dex.send(contracts.dex_registry, "upgradeToAndCall(address,bytes)", upgraded, b"")
        with pytest.raises(DeploymentError, match=f"proxy at {contracts.dex_registry} runs {upgraded}"):
            await check(node, manifests)
        contracts.node.rpc("anvil_setChainId", 5)
        with pytest.raises(DeploymentError, match="of chain 31337 but the node serves chain 5"):
            await check(node, manifests)


Damage = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: "not json",
        lambda record: [],
        lambda record: record | {"address": "0x12"},
        lambda record: record | {"address": None},
        lambda record: record | {"code_hash": "zz"},
        lambda record: record | {"chain_id": 1},
        lambda record: record | {"contract": "Other"},
        lambda record: record | {"block": "11"},
        lambda record: record | {"implementation": "0x" + "11" * 20, "implementation_code_hash": None},
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, damage: Damage) -> None:
    folder = tmp_path / "31337"
    folder.mkdir()
    for name in CONTRACTS:
        record = {"contract": name, "address": "0x" + "aa" * 20, "chain_id": 31337, "block": 11}
        (folder / f"{name}.json").write_text(json.dumps(record | {"code_hash": "0x" + "bb" * 32}))
    assert read_manifests(tmp_path, 31337)["DexRegistry"].implementation is None
    path = folder / "DexRegistry.json"
    damaged = damage(json.loads(path.read_text()))
    path.write_text(damaged if isinstance(damaged, str) else json.dumps(damaged))
    with pytest.raises(DeploymentError, match=r"DexRegistry\.json"):
        read_manifests(tmp_path, 31337)


def test_a_missing_manifest_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="deploy the contracts to chain 10 with `ape run deploy` first"):
        read_manifests(tmp_path, 10)
