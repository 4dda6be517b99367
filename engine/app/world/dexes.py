"""The venues, from the bytecode their authors published, and the contracts the inhabitants use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from eth_abi.abi import encode
from eth_utils import keccak

from engine.app.toolchain import Artifact, forge_artifact, npm_artifact
from engine.app.world.outbox import DEPLOY_GAS, Outbox, Sending, calldata
from engine.app.world.tokens import TOKEN_SPECS
from engine.domain.market import Protocol, Token, Venue

UNISWAP_V2 = "uniswap-v2"
SUSHISWAP_V2 = "sushiswap-v2"
UNISWAP_V3 = "uniswap-v3"
SUSHISWAP_V3 = "sushiswap-v3"
PANCAKESWAP_V3 = "pancakeswap-v3"

# (package, path) of the published artefacts. SushiSwap's factory is the mainnet deployment's: the one built
# beside the router hashes its pairs differently, and the router would not find them.
_PUBLISHED = {
    "WETH9": ("@uniswap/v2-periphery", "build/WETH9.json"),
    "UniswapV2Factory": ("@uniswap/v2-core", "build/UniswapV2Factory.json"),
    "UniswapV2Pair": ("@uniswap/v2-core", "build/UniswapV2Pair.json"),
    "UniswapV2Router02": ("@uniswap/v2-periphery", "build/UniswapV2Router02.json"),
    "SushiV2Factory": ("@sushiswap/core", "deployments/mainnet/UniswapV2Factory.json"),
    "SushiV2Router02": (
        "@sushiswap/core",
        "artifacts/contracts/uniswapv2/UniswapV2Router02.sol/UniswapV2Router02.json",
    ),
    "UniswapV3Factory": (
        "@uniswap/v3-core",
        "artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json",
    ),
    "UniswapV3Pool": ("@uniswap/v3-core", "artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json"),
    "PancakeV3Factory": (
        "@pancakeswap/v3-core",
        "artifacts/contracts/PancakeV3Factory.sol/PancakeV3Factory.json",
    ),
    "PancakeV3Pool": ("@pancakeswap/v3-core", "artifacts/contracts/PancakeV3Pool.sol/PancakeV3Pool.json"),
}

# Spends gas on warm storage reads until 10,000 is left: the rest of the block's transactions, as far as the
# base fee can tell. JUMPDEST, 16 × (PUSH0 SLOAD POP), GAS PUSH2 10000 LT PUSH0 JUMPI STOP.
_TRAFFIC_RUNTIME = bytes.fromhex("5b" + "5f5450" * 16 + "5a" + "612710" + "10" + "5f" + "57" + "00")

_V3_TICK_SPACING = {100: 1, 500: 10, 2500: 50, 3000: 60, 10000: 200}


def tick_spacing(fee_pips: int) -> int:
    """The tick spacing of a V3 fee tier."""
    return _V3_TICK_SPACING[fee_pips]


@lru_cache(maxsize=32)
def published(name: str) -> Artifact:
    """A published contract's artefact. Raises ConfigError when the package is not installed."""
    package, path = _PUBLISHED[name]
    return npm_artifact(package, path, name)


@dataclass(frozen=True, slots=True)
class Groundwork:
    """Everything deployed before the first pool. `routers` maps V2 venue names to their Router02.

    `callee` mints and swaps on V3 pools for its caller; `traffic` is a contract that spends all its gas.
    """

    tokens: list[Token]
    venues: list[Venue]
    routers: dict[str, str]
    callee: str
    traffic: str

    def venue(self, name: str) -> Venue:
        """The venue of that name. Raises KeyError."""
        return next(venue for venue in self.venues if venue.name == name)

    def token(self, symbol: str) -> Token:
        """The token of that symbol. Raises KeyError."""
        found = [token for token in self.tokens if token.symbol == symbol]
        if not found:
            raise KeyError(symbol)
        return found[0]


def _creation(artifact: Artifact, types: tuple[str, ...] = (), *arguments: object) -> bytes:
    return artifact.bytecode + encode(types, arguments)


def _traffic_creation() -> bytes:
    # PUSH1 size, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN.
    return bytes.fromhex(f"60{len(_TRAFFIC_RUNTIME):02x}8060095f395ff3") + _TRAFFIC_RUNTIME


def _first_contracts(deployer: str) -> dict[str, bytes]:
    contracts: dict[str, bytes] = {}
    for spec in TOKEN_SPECS:
        if spec.wrapped_native:
            contracts[spec.symbol] = published("WETH9").bytecode
        else:
            kind = forge_artifact("WorldTokenNoReturn" if spec.no_return else "WorldToken")
            contracts[spec.symbol] = _creation(
                kind, ("string", "string", "uint8"), spec.name, spec.symbol, spec.decimals
            )
    contracts[UNISWAP_V2] = _creation(published("UniswapV2Factory"), ("address",), deployer)
    contracts[SUSHISWAP_V2] = _creation(published("SushiV2Factory"), ("address",), deployer)
    # SushiSwap V3's mainnet factory is Uniswap's, byte for byte.
    contracts[UNISWAP_V3] = contracts[SUSHISWAP_V3] = published("UniswapV3Factory").bytecode
    contracts["pool deployer"] = _creation(
        forge_artifact("PancakePoolDeployer"), ("bytes",), published("PancakeV3Pool").bytecode
    )
    contracts["callee"] = forge_artifact("V3Callee").bytecode
    contracts["traffic"] = _traffic_creation()
    return contracts


async def _deploy(outbox: Outbox, deployer: str, contracts: dict[str, bytes], fee_wei: int) -> dict[str, str]:
    sendings = [
        Sending(f"deploy {name}", deployer, None, code, 0, DEPLOY_GAS) for name, code in contracts.items()
    ]
    receipts = await outbox.settle(sendings, fee_wei)
    return {
        name: receipt["contractAddress"].lower() for name, receipt in zip(contracts, receipts, strict=True)
    }


async def lay_groundwork(outbox: Outbox, deployer: str, fee_wei: int) -> Groundwork:
    """Deploy tokens, factories, routers and the inhabitants' own contracts, in three blocks."""
    at = await _deploy(outbox, deployer, _first_contracts(deployer), fee_wei)
    second = {
        PANCAKESWAP_V3: _creation(published("PancakeV3Factory"), ("address",), at["pool deployer"]),
        "uniswap router": _creation(
            published("UniswapV2Router02"), ("address", "address"), at[UNISWAP_V2], at["WETH"]
        ),
        "sushiswap router": _creation(
            published("SushiV2Router02"), ("address", "address"), at[SUSHISWAP_V2], at["WETH"]
        ),
    }
    at |= await _deploy(outbox, deployer, second, fee_wei)
    name_factory = calldata("setFactoryAddress(address)", at[PANCAKESWAP_V3])
    lowest_tier = calldata("enableFeeAmount(uint24,int24)", 100, 1)
    await outbox.settle(
        [
            Sending("name PancakeSwap's factory", deployer, at["pool deployer"], name_factory),
            Sending("enable Uniswap V3's lowest fee", deployer, at[UNISWAP_V3], lowest_tier),
            Sending("enable SushiSwap V3's lowest fee", deployer, at[SUSHISWAP_V3], lowest_tier),
        ],
        fee_wei,
    )
    sushi_pair_hash = await outbox.call(at[SUSHISWAP_V2], calldata("pairCodeHash()"))
    return Groundwork(
        tokens=[Token(at[spec.symbol], spec.symbol, spec.decimals) for spec in TOKEN_SPECS],
        venues=_venues(at, "0x" + sushi_pair_hash.hex()),
        routers={UNISWAP_V2: at["uniswap router"], SUSHISWAP_V2: at["sushiswap router"]},
        callee=at["callee"],
        traffic=at["traffic"],
    )


def _venues(at: dict[str, str], sushi_pair_hash: str) -> list[Venue]:
    v2, v3 = Protocol.UNISWAP_V2, Protocol.UNISWAP_V3
    pair_hash = _code_hash(published("UniswapV2Pair").bytecode)
    pool_hash = _code_hash(published("UniswapV3Pool").bytecode)
    pancake_hash = _code_hash(published("PancakeV3Pool").bytecode)
    return [
        Venue(UNISWAP_V2, v2, at[UNISWAP_V2], at[UNISWAP_V2], pair_hash, fee_pips=3000),
        Venue(SUSHISWAP_V2, v2, at[SUSHISWAP_V2], at[SUSHISWAP_V2], sushi_pair_hash, fee_pips=3000),
        Venue(UNISWAP_V3, v3, at[UNISWAP_V3], at[UNISWAP_V3], pool_hash),
        Venue(SUSHISWAP_V3, v3, at[SUSHISWAP_V3], at[SUSHISWAP_V3], pool_hash),
        Venue(PANCAKESWAP_V3, v3, at[PANCAKESWAP_V3], at["pool deployer"], pancake_hash),
    ]


def _code_hash(code: bytes) -> str:
    return "0x" + keccak(code).hex()
