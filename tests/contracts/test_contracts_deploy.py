"""`ape run deploy` against fresh nodes, and the verification of what it left there."""

import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3

from engine.app.deploy import FeedListing, deploy
from engine.app.toolchain import forge_artifact
from engine.app.verify import Verification, verify_deployments
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.chain.access import read_access
from engine.chain.deployments import CONTRACTS, check, read_manifests
from engine.chain.rpc import RpcNode, connect
from engine.domain.errors import DeploymentError
from engine.domain.execution import Pinned
from engine.domain.market import ZERO_ADDRESS, Protocol, Venue

OPERATOR = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
VAULT = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc"
STRANGER = "0x90f79bf6eb2c4f870365e785982e1f101e93b906"
WETH = "0x" + "ee" * 20
VENUES = [
    Venue(
        "uniswap-v2",
        Protocol.UNISWAP_V2,
        "0x" + "11" * 20,
        "0x" + "11" * 20,
        "0x" + "a1" * 32,
        "0x" + "c1" * 32,
        3000,
    ),
    Venue(
        "pancake-v3", Protocol.UNISWAP_V3, "0x" + "22" * 20, "0x" + "33" * 20, "0x" + "a2" * 32, enabled=False
    ),
]
IMPLEMENTATION_SLOT = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"


def deployment(url: str, out: Path, operator: str = OPERATOR) -> list:
    """The words that deploy to a node, as the engine gives them."""
    delays = [f"--{role}-delay=1s" for role in ("admin", "upgrade", "curator")]
    return ["deploy", "--network", url, "--out", out, "--operator", operator, "--vault", VAULT, *delays]


@dataclass
class Chain:
    """A node our contracts were deployed to, and what `ape run deploy` printed."""

    url: str
    out: Path
    feeds: list[FeedListing]
    printed: str

    @property
    def web3(self) -> Web3:
        return Web3(HTTPProvider(self.url))

    def manifest(self, contract: str) -> dict:
        return json.loads((self.out / "31337" / f"{contract}.json").read_text())

    def contract(self, name: str, interface: str | None = None):
        address = Web3.to_checksum_address(self.manifest(name)["address"])
        return self.web3.eth.contract(address=address, abi=forge_artifact(interface or name).abi)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.out / "31337").iterdir())}

    def deploy_again(self, ape, *, operator: str = OPERATOR, venues: list[Venue] = VENUES):
        """How the same deployment ends, by the script itself, with another operator or other venues."""
        folder = self.out.parent
        (folder / "venues.json").write_text(json.dumps([asdict(venue) for venue in venues]))
        (folder / "feeds.json").write_text(json.dumps([asdict(feed) for feed in self.feeds]))
        given = ["--venues", folder / "venues.json", "--feeds", folder / "feeds.json"]
        return ape(*deployment(self.url, self.out, operator), "--wrapped-native", WETH, *given)


def feed_on(url: str) -> FeedListing:
    web3 = Web3(HTTPProvider(url))
    artifact = forge_artifact("WorldFeed")
    factory = web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    sent = factory.constructor(8, "ETH / USD", 2000 * 10**8).transact({"from": web3.eth.accounts[5]})
    aggregator = web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.02)["contractAddress"]
    return FeedListing(WETH, "usd", aggregator, 3600, 10**8, 10**13)


@pytest.fixture(scope="module")
def anvil_url() -> Iterator[str]:
    with AnvilProcess(AnvilOptions()) as anvil:
        yield anvil.http_url


@pytest.fixture(scope="module")
async def deployed(anvil_url: str, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    out, feeds = tmp_path_factory.mktemp("deployed") / "out", [feed_on(anvil_url)]
    given = {"operator": OPERATOR, "vault": VAULT, "venues": VENUES, "feeds": feeds, "pinned": Pinned(WETH)}
    return Chain(anvil_url, out, feeds, await deploy(anvil_url, out, **given))


@pytest.fixture
def chain(deployed: Chain) -> Iterator[Chain]:
    """The deployed chain; whatever a test does to it is undone."""
    provider = deployed.web3.provider
    snapshot = provider.make_request("evm_snapshot", [])["result"]
    yield deployed
    assert provider.make_request("evm_revert", [snapshot])["result"] is True


@pytest.fixture
async def node(chain: Chain) -> AsyncIterator[RpcNode]:
    async with connect(chain.url) as connected:
        yield connected


async def results(node: RpcNode, out: Path) -> dict[str, Verification]:
    return {one.contract: one for one in await verify_deployments(node, out, 31337)}


async def test_every_manifest_fits_the_chain(chain: Chain, node: RpcNode):
    deployment = await check(node, read_manifests(chain.out, 31337))
    assert deployment.router == chain.manifest("ArbitrageRouter")["address"]
    for name in CONTRACTS:
        manifest = chain.manifest(name)
        receipt = chain.web3.eth.get_transaction_receipt(manifest["transaction"])
        assert receipt["blockNumber"] == manifest["block"]
        address = Web3.to_checksum_address(manifest["address"])
        assert chain.web3.eth.get_code(address, manifest["block"] - 1) == b""
        assert chain.web3.eth.get_code(address, manifest["block"]) != b""
        assert (chain.out / "31337" / manifest["standard_json"]).is_file()
    assert not [name for name in chain.files() if name.startswith(".")]


async def test_constructor_arguments_reach_the_router(chain: Chain):
    router = chain.contract("ArbitrageRouter", "IArbitrageRouter")
    assert router.functions.OPERATOR().call().lower() == OPERATOR
    assert router.functions.VAULT().call().lower() == VAULT
    assert chain.manifest("ArbitrageRouter")["constructor_args"] == [
        OPERATOR,
        VAULT,
        WETH,
        *[ZERO_ADDRESS] * 3,
    ]
    assert router.functions.WRAPPED_NATIVE().call().lower() == WETH


async def test_venues_feeds_and_router_are_registered(chain: Chain):
    registry = chain.contract("DexRegistry")
    assert registry.functions.router().call().lower() == chain.manifest("ArbitrageRouter")["address"]
    first, second = registry.functions.venues(0, 10).call()
    factory = Web3.to_checksum_address("0x" + "11" * 20)
    assert first == (
        "uniswap-v2",
        b"uniswap-v2".ljust(32, b"\0"),
        factory,
        factory,
        b"\xa1" * 32,
        b"\xc1" * 32,
        3000,
        True,
    )
    assert second[0] == "pancake-v3"
    assert second[3] == Web3.to_checksum_address("0x" + "33" * 20)
    assert second[5:] == (bytes(32), 0, False)
    feeds = chain.contract("PriceFeedRegistry")
    usd = Web3.to_checksum_address("0x0000000000000000000000000000000000000348")
    price, _, status, used = feeds.functions.tryQuote(Web3.to_checksum_address(WETH), usd).call()
    assert (price, status, used) == (2000 * 10**18, 0, 1)


def test_second_run_sends_nothing(chain: Chain, ape):
    before, block = chain.files(), chain.web3.eth.block_number
    said = chain.deploy_again(ape)
    assert (said.code, said.out.count(": kept ")) == (0, 4), said.err
    assert chain.web3.eth.block_number == block
    assert chain.files() == before


def test_new_entries_are_the_curators_business(chain: Chain, ape):
    third = Venue(
        "sushiswap-v2",
        Protocol.UNISWAP_V2,
        "0x" + "44" * 20,
        "0x" + "44" * 20,
        "0x" + "a4" * 32,
        fee_pips=3000,
    )
    printed = chain.deploy_again(ape, venues=[*VENUES, third]).out
    assert "differs: + venue sushiswap-v2 (uniswap-v2)" in printed
    assert "ape run configure" in printed
    assert chain.contract("DexRegistry").functions.venueCount().call() == 2


async def test_the_deployer_is_nobody_and_the_others_wait(chain: Chain, node: RpcNode):
    manifests = read_manifests(chain.out, 31337)
    addresses = {name: one.address for name, one in manifests.items()}
    access = await read_access(node, addresses["AccessManager"], addresses, 0, chain.web3.eth.block_number)
    deployer = chain.manifest("AccessManager")["deployer"]
    assert access.findings(addresses["AccessManager"], deployer) == []
    accounts = [one.lower() for one in chain.web3.eth.accounts]
    assert access.holders == {
        "admin": {accounts[1]: 1},
        "upgrader": {accounts[2]: 1},
        "curator": {accounts[3]: 1},
        "guardian": {accounts[4]: 0},
        "operator": {OPERATOR: 0},
    }
    recorded = {
        role: {one["holder"]: one["delay_s"]}
        for role, one in chain.manifest("AccessManager")["roles"].items()
    }
    assert recorded == access.holders


def test_other_operator_is_refused_in_one_sentence(chain: Chain, ape):
    block = chain.web3.eth.block_number
    said = chain.deploy_again(ape, operator=STRANGER)
    assert re.fullmatch(r"deploy: .*ArbitrageRouter\.json does not fit.*--replace.*\n", said.err)
    assert said.code == 2
    # The new operator's role is not given out either.
    assert chain.web3.eth.block_number == block


def test_manifests_of_another_chain_are_refused(deployed: Chain, tmp_path: Path, ape):
    shutil.copytree(deployed.out, tmp_path / "out")
    with AnvilProcess(AnvilOptions()) as fresh:
        said = ape(*deployment(fresh.http_url, tmp_path / "out"))
        assert "does not hold the recorded code" in said.err
        assert (said.code, Web3(HTTPProvider(fresh.http_url)).eth.block_number) == (2, 0)


async def test_what_cannot_be_read_or_recorded_stops_before_anything_is_sent(tmp_path: Path, ape):
    unknown = Venue("curve", "curve-v9", "0x" + "11" * 20, "0x" + "11" * 20, "0x" + "a1" * 32)
    with AnvilProcess(AnvilOptions(chain_id=1)) as fresh:
        with pytest.raises(DeploymentError, match="entry 0 has protocol 'curve-v9'") as refusal:
            await deploy(fresh.http_url, tmp_path, operator=OPERATOR, vault=VAULT, venues=[unknown])
        assert "\n" not in str(refusal.value)
        assert Web3(HTTPProvider(fresh.http_url)).eth.block_number == 0
        (tmp_path / "file").write_text("")
        said = ape(*deployment(fresh.http_url, tmp_path / "file"))
        assert "file/1 cannot be written to (Not a directory)" in said.err
        assert Web3(HTTPProvider(fresh.http_url)).eth.block_number == 0
        # A local node with mainnet's chain id is deployed to like any other.
        assert ape(*deployment(fresh.http_url, tmp_path)).code == 0
        async with connect(fresh.http_url) as node:
            assert all(one.verified for one in await verify_deployments(node, tmp_path, 1))


async def test_what_was_deployed_verifies(chain: Chain, node: RpcNode):
    found = await results(node, chain.out)
    assert list(found) == list(CONTRACTS)
    assert {name: one.findings for name, one in found.items()} == dict.fromkeys(CONTRACTS, ())


def set_code(chain: Chain, address: str, code: bytes) -> None:
    chain.web3.provider.make_request("anvil_setCode", [address, "0x" + code.hex()])


def forge_manifest(chain: Chain, tmp_path: Path, contract: str, **changes) -> Path:
    """A copy of the records with some of one manifest's fields replaced."""
    out = tmp_path / "forged"
    shutil.copytree(chain.out, out)
    path = out / "31337" / f"{contract}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return out


@pytest.mark.parametrize("contract", ["AccessManager", "ArbitrageRouter"])
async def test_one_changed_byte_is_found(chain: Chain, node: RpcNode, tmp_path: Path, contract: str):
    address = chain.manifest(contract)["address"]
    code = bytearray(chain.web3.eth.get_code(Web3.to_checksum_address(address)))
    code[-1] ^= 1
    set_code(chain, address, code)
    # Even when the manifest was changed along with the code.
    out = forge_manifest(chain, tmp_path, contract, code_hash="0x" + Web3.keccak(bytes(code)).hex())
    found = await results(node, out)
    assert not found[contract].verified
    assert found[contract].findings == (
        f"the contract at {address} is not what the recorded sources compile to",
    )
    assert sum(one.verified for one in found.values()) == 3
    assert "code hash" in (await results(node, chain.out))[contract].findings[0]


async def test_changed_operator_is_found(chain: Chain, node: RpcNode, tmp_path: Path):
    address = chain.manifest("ArbitrageRouter")["address"]
    code = bytes(chain.web3.eth.get_code(Web3.to_checksum_address(address)))
    changed = code.replace(bytes.fromhex(OPERATOR[2:]), bytes.fromhex(STRANGER[2:]))
    assert changed != code
    set_code(chain, address, changed)
    out = forge_manifest(chain, tmp_path, "ArbitrageRouter", code_hash="0x" + Web3.keccak(changed).hex())
    findings = (await results(node, out))["ArbitrageRouter"].findings
    assert len(findings) == 1
    assert STRANGER[2:] in findings[0]
    assert "immutable" in findings[0]


async def test_changed_implementation_is_found(chain: Chain, node: RpcNode):
    manifest = chain.manifest("DexRegistry")
    other = chain.manifest("PriceFeedRegistry")["implementation"]
    word = "0x" + "00" * 12 + other[2:]
    chain.web3.provider.make_request("anvil_setStorageAt", [manifest["address"], IMPLEMENTATION_SLOT, word])
    found = await results(node, chain.out)
    assert found["DexRegistry"].findings == (
        f"the proxy at {manifest['address']} runs {other} and not {manifest['implementation']}",
    )


async def test_erased_contract_is_found(chain: Chain, node: RpcNode):
    set_code(chain, chain.manifest("PriceFeedRegistry")["implementation"], b"")
    findings = (await results(node, chain.out))["PriceFeedRegistry"].findings
    assert len(findings) == 1
    assert "no code" in findings[0]


async def test_changed_source_is_found(chain: Chain, node: RpcNode, tmp_path: Path):
    out = forge_manifest(chain, tmp_path, "ArbitrageRouter")
    path = out / "31337" / "ArbitrageRouter.input.json"
    text = path.read_text()
    assert text.count("VERSION = 2;") == 1
    path.write_text(text.replace("VERSION = 2;", "VERSION = 3;"))
    findings = (await results(node, out))["ArbitrageRouter"].findings
    assert [one.endswith("is not what the recorded sources compile to") for one in findings] == [True]


async def test_changed_settings_are_found(chain: Chain, node: RpcNode, tmp_path: Path):
    out = forge_manifest(chain, tmp_path, "ArbitrageRouter")
    path = out / "31337" / "ArbitrageRouter.input.json"
    content = json.loads(path.read_text())
    content["settings"]["optimizer"]["runs"] = 1
    path.write_text(json.dumps(content))
    assert "settings" in (await results(node, out))["ArbitrageRouter"].findings[0]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "ArbitrageRouter.input.json").unlink(), "is missing"),
        (lambda folder: (folder / "ArbitrageRouter.input.json").write_text("{"), "cannot be read as JSON"),
        (lambda folder: (folder / "ArbitrageRouter.input.json").write_text("[]"), "is not a compiler input"),
        (lambda folder: (folder / "DexRegistry.json").unlink(), "is missing"),
        (
            lambda folder: (folder / "DexRegistry.json").write_text('{"contract": "DexRegistry"}'),
            "restore it",
        ),
    ],
)
async def test_damaged_records_are_named(chain: Chain, node: RpcNode, tmp_path: Path, damage, complaint: str):
    shutil.copytree(chain.out, tmp_path / "out")
    damage(tmp_path / "out" / "31337")
    with pytest.raises(DeploymentError, match=complaint) as refusal:
        await verify_deployments(node, tmp_path / "out", 31337)
    assert "\n" not in str(refusal.value)


async def test_node_of_another_chain_is_refused(deployed: Chain):
    with AnvilProcess(AnvilOptions(chain_id=5)) as other:
        async with connect(other.http_url) as node:
            with pytest.raises(DeploymentError, match="serves chain 5"):
                await verify_deployments(node, deployed.out, 31337)
