"""Pools of published bytecode beyond Uniswap V2 and V3, for the gas benchmark and the router's tests.

Token 4 of the market is worth one base token at all of them; V4's pools have the prices of V2's and V3's.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import sys
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from eth_abi import encode
from eth_utils import keccak

from engine.app.toolchain import forge_artifact, npm_artifact, project_root
from engine.domain.execution import Pinned
from engine.domain.market import ZERO_ADDRESS, PoolRecord, Protocol, Token
from engine.domain.pool_details import (
    AlgebraDetails,
    BalancerV2WeightedDetails,
    BalancerV3WeightedDetails,
    CurveStableDetails,
    Erc4626Details,
    SolidlyDetails,
    SolidlyVersion,
    StableSwapVariant,
    UniswapV4Details,
)
from engine.domain.pool_state import (
    BalancerV2WeightedPoolState,
    BalancerV3WeightedPoolState,
    CurveStablePoolState,
    Erc4626PoolState,
    SolidlyPoolState,
    V3PoolState,
    V4PoolState,
    WethPoolState,
)

if TYPE_CHECKING:
    from benchmarks.gas_market import GasMarket

E18 = 10**18
_DEPTH = 2_000 * E18
_FULL_RANGE = 887_220
_MOST = 2**256 - 1
_V4_KEY = "(address,address,uint24,int24,address)"
_V4_POOLS_SLOT = 6
_CURVE = "@setprotocol/set-protocol-v2@0.1.16"
_BALANCER = "@balancer-labs/v2-deployments@3.2.0"


@cache
def builds() -> ModuleType:
    """The exactness campaigns' way to compile published sources and to find published artefacts."""
    path = project_root() / "tests" / "exactness" / "exact_build.py"
    spec = importlib.util.spec_from_file_location("exact_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("exact_build", module)
    spec.loader.exec_module(module)
    return module


def add_venues(market: GasMarket) -> Pinned:
    """Make every other family's pools and register them; the contracts that the router is to know."""
    manager = _add_v4(market)
    vault = _add_balancer_v2(market)
    _add_curve(market)
    _add_solidly(market)
    _add_vaults(market)
    _add_algebra(market)
    _add_slipstream(market)
    _add_weth(market)
    return Pinned(market.tokens[0], manager, vault, _add_balancer_v3(market))


def _register(market: GasMarket, name: str, record: PoolRecord, reader: Any) -> None:
    market.pools[name] = record
    market.readers[record.key] = lambda: reader(record)
    market.market.add_pool(record)


def _sqrt_price(price: float) -> int:
    return math.isqrt(int(price * 2**64) << 128)


def _full_ticks(spacing: int, liquidity: int) -> tuple[tuple[int, int, int], ...]:
    edge = _FULL_RANGE // spacing * spacing
    return ((-edge, liquidity, liquidity), (edge, -liquidity, liquidity))


def _add_v4(market: GasMarket) -> str:
    code = npm_artifact("@uniswap/v4-core", "out/PoolManager.sol/PoolManager.json", "PoolManager").bytecode
    manager = market.deploy(code + encode(["address"], [market.owner]))
    name = "PoolModifyLiquidityTest"
    code = npm_artifact("@uniswap/v4-core", f"out/{name}.sol/{name}.json", name).bytecode
    provider = market.deploy(code + encode(["address"], [manager]))
    for token in market.tokens:
        market.send(token, "approve(address,uint256)", provider, _MOST)
    native = ZERO_ADDRESS
    market.market.add_token(Token(native, "ETH", 18))
    base, one, two, _, four = market.tokens
    plans = {
        "01a": (base, one, 3000, 2.0), "01b": (base, one, 500, 1.9), "12": (one, two, 3000, 1.5),
        "02": (base, two, 3000, 2.85), "04": (base, four, 3000, 1.0), "n1": (native, one, 3000, 2.0),
        "n4": (native, four, 500, 1.0),
    }  # fmt: skip
    for suffix, (token0, token1, fee, price) in plans.items():
        spacing = 60 if fee == 3000 else 10
        key = (token0, token1, fee, spacing, ZERO_ADDRESS)
        market.send(manager, f"initialize({_V4_KEY},uint160)", key, _sqrt_price(price))
        edge = _FULL_RANGE // spacing * spacing
        signature = f"modifyLiquidity({_V4_KEY},(int24,int24,int256,bytes32),bytes)"
        parameters = (-edge, edge, _DEPTH, bytes(32))
        value = 2 * _DEPTH if token0 == native else 0
        market.send(provider, signature, key, parameters, b"", value=value)
        pool_id = "0x" + keccak(encode(["address", "address", "uint24", "int24", "address"], key)).hex()
        details = UniswapV4Details(pool_id, manager, fee, spacing)
        record = PoolRecord(
            manager, Protocol.UNISWAP_V4, "published", (token0, token1), fee, spacing, details
        )
        _register(market, f"v4:{suffix}", record, lambda each: _v4_state(market, each))
    return manager


def _v4_state(market: GasMarket, record: PoolRecord) -> V4PoolState:
    details = record.details
    assert isinstance(details, UniswapV4Details)
    slot = int.from_bytes(
        keccak(bytes.fromhex(details.pool_id[2:]) + _V4_POOLS_SLOT.to_bytes(32, "big")), "big"
    )
    words = [
        int.from_bytes(
            market.node.read(record.address, ["bytes32"], "extsload(bytes32)", at.to_bytes(32, "big"))[0],
            "big",
        )
        for at in (slot, slot + 3)
    ]
    price = words[0] & (2**160 - 1)
    tick = (words[0] >> 160) & 0xFFFFFF
    tick -= (tick >> 23) << 24
    fee = words[0] >> 208 & 0xFFFFFF
    liquidity = words[1] & (2**128 - 1)
    return V4PoolState(
        record,
        price,
        liquidity,
        tick,
        _full_ticks(record.tick_spacing, liquidity),
        fee,
        words[0] >> 184 & 0xFFFFFF,
    )


def _add_balancer_v2(market: GasMarket) -> str:
    tasks = "dist/tasks"
    published_code = builds().published_code
    authorizer = market.deploy(
        published_code(_BALANCER, f"{tasks}/20210418-authorizer/artifact/Authorizer.json")
        + encode(["address"], [market.owner])
    )
    vault = market.deploy(
        published_code(_BALANCER, f"{tasks}/20210418-vault/artifact/Vault.json")
        + encode(["address", "address", "uint256", "uint256"], [authorizer, market.tokens[0], 0, 0])
    )
    factory = market.deploy(
        published_code(_BALANCER, f"{tasks}/20210418-weighted-pool/bytecode/WeightedPoolFactory.json")
        + encode(["address"], [vault])
    )
    tokens = (market.tokens[0], market.tokens[4])
    weights, fee = (E18 // 2, E18 // 2), 3 * 10**15
    signature = "create(string,string,address[],uint256[],uint256,address)"
    receipt = market.send(factory, signature, "Pool", "BPT", tokens, weights, fee, market.owner)
    topic = "0x" + keccak(text="PoolCreated(address)").hex()
    (created,) = (log for log in receipt["logs"] if log["topics"][0] == topic)
    pool = "0x" + created["topics"][1][-40:]
    (pool_id,) = market.node.read(pool, ["bytes32"], "getPoolId()")
    for token in tokens:
        market.send(token, "approve(address,uint256)", vault, _MOST)
    amounts = (_DEPTH, _DEPTH)
    joining = encode(["uint256", "uint256[]"], [0, amounts])
    join = "joinPool(bytes32,address,address,(address[],uint256[],bytes,bool))"
    market.send(vault, join, pool_id, market.owner, market.owner, (tokens, amounts, joining, False))
    details = BalancerV2WeightedDetails("0x" + pool_id.hex(), vault, weights, (E18, E18), 1)
    record = PoolRecord(pool, Protocol.BALANCER_V2_WEIGHTED, "published", tokens, 0, 0, details)

    def read(each: PoolRecord) -> BalancerV2WeightedPoolState:
        kinds = ["address[]", "uint256[]", "uint256"]
        _, balances, _ = market.node.read(vault, kinds, "getPoolTokens(bytes32)", pool_id)
        return BalancerV2WeightedPoolState(each, tuple(balances), fee)

    _register(market, "balancer:04", record, read)
    return vault


def _add_curve(market: GasMarket) -> None:
    """The sUSD pool takes its second and third coin for tokens of 6 decimals."""
    folder = builds().published(_CURVE) / "external" / "abi" / "curve"
    codes = {
        name: bytes.fromhex(json.loads((folder / f"{name}.json").read_text())["bytecode"].removeprefix("0x"))
        for name in ("Stableswap", "CurvePoolERC20")
    }
    coins = (*market.tokens[:3], market.tokens[4])
    amp, fee = 100, 4_000_000
    for name, last in (("curve:04", _DEPTH), ("curve-dear:04", _DEPTH // 10)):
        kinds = ["string", "string", "uint256", "uint256"]
        share = market.deploy(codes["CurvePoolERC20"] + encode(kinds, ["Share", "SHR", 18, 0]))
        kinds = ["address[4]", "address[4]", "address", "uint256", "uint256"]
        pool = market.deploy(codes["Stableswap"] + encode(kinds, [coins, coins, share, amp, fee]))
        market.send(share, "set_minter(address)", pool)
        for coin in coins:
            market.send(coin, "approve(address,uint256)", pool, _MOST)
        amounts = (_DEPTH, _DEPTH // 10**12, _DEPTH // 10**12, last)
        market.send(pool, "add_liquidity(uint256[4],uint256)", amounts, 0)
        details = CurveStableDetails(StableSwapVariant.SUSD)
        record = PoolRecord(pool, Protocol.CURVE_STABLESWAP, "published", coins, 0, 0, details)
        _register(market, name, record, lambda each: _curve_state(market, each, amp, fee))


def _curve_state(market: GasMarket, record: PoolRecord, amp: int, fee: int) -> CurveStablePoolState:
    pool, rates = record.address, (E18, 10**30, 10**30, E18)
    balances = tuple(market.node.read(pool, ["uint256"], "balances(int128)", k)[0] for k in range(4))
    return CurveStablePoolState(record, balances, rates, (amp, amp, 0, 0), fee, 0)


def _add_solidly(market: GasMarket) -> None:
    made = builds()
    root = made.published("sphere-mezo-solidity-files@1.2.0") / "domains" / "aerodrome"
    roots = (
        ("contracts/", root / "contracts"),
        ("@openzeppelin/contracts/", made.published("@openzeppelin/contracts@5.4.0")),
    )
    entries = ("contracts/Pool.sol", "contracts/factories/PoolFactory.sol")
    codes = made.compiled(made.Build("solc@0.8.26", entries, roots))
    implementation = market.deploy(bytes.fromhex(codes["Pool"]["code"]))
    factory = market.deploy(
        bytes.fromhex(codes["PoolFactory"]["code"]) + encode(["address"], [implementation])
    )
    pair = (market.tokens[0], market.tokens[4])
    for stable, name, second in ((False, "solidly:04", 1.05), (True, "solidly-stable:04", 1.0)):
        market.send(factory, "createPool(address,address,bool)", *pair, stable)
        (pool,) = market.node.read(factory, ["address"], "getPool(address,address,bool)", *pair, stable)
        for token, amount in zip(pair, (_DEPTH, int(_DEPTH * second)), strict=True):
            market.send(token, "transfer(address,uint256)", pool, amount)
        market.send(pool, "mint(address)", market.owner)
        details = SolidlyDetails(stable, (18, 18), SolidlyVersion.AERODROME)
        record = PoolRecord(pool, Protocol.SOLIDLY, "published", pair, 0, 0, details)
        _register(market, name, record, lambda each: _solidly_state(market, factory, each))


def _solidly_state(market: GasMarket, factory: str, record: PoolRecord) -> SolidlyPoolState:
    details = record.details
    assert isinstance(details, SolidlyDetails)
    kinds = ["uint256", "uint256", "uint256"]
    reserve0, reserve1, _ = market.node.read(record.address, kinds, "getReserves()")
    (fee,) = market.node.read(factory, ["uint256"], "getFee(address,bool)", record.address, details.stable)
    return SolidlyPoolState(record, reserve0, reserve1, fee)


def _add_vaults(market: GasMarket) -> None:
    """A vault for the base token, whose shares are worth more than one, and one for token 4; V3 pools sell
    their shares too dear and too cheap."""
    base, four = market.tokens[0], market.tokens[4]
    for name, asset, earned in (("vault", base, _DEPTH // 3), ("vault4", four, 0)):
        share = _vault(market, asset, earned)
        record = PoolRecord(share, Protocol.ERC4626, "published", (asset, share), 0, 0, Erc4626Details())
        _register(market, name, record, lambda each: _vault_state(market, each))
        worth = 1.0 + earned / (4 * _DEPTH)
        for suffix, fee, price in (("dear", 3000, 0.94 / worth), ("cheap", 500, 1.06 / worth)):
            market.add_v3_pool(f"v3:{name}-{suffix}", (base, share), fee, price)


def _vault(market: GasMarket, asset: str, earned: int) -> str:
    code = forge_artifact("WorldVault").bytecode + encode(["address"], [asset])
    # The base token's address must stay the lowest.
    while (share := market.deploy(code)) < market.tokens[0]:
        pass
    market.send(asset, "approve(address,uint256)", share, _MOST)
    market.send(share, "deposit(uint256,address)", 4 * _DEPTH, market.owner)
    market.send(asset, "transfer(address,uint256)", share, earned)
    market.market.add_token(Token(share, "VLT", 18))
    market.send(share, "approve(address,uint256)", market.callee, _MOST)
    return share


def _vault_state(market: GasMarket, record: PoolRecord) -> Erc4626PoolState:
    (assets,) = market.node.read(record.address, ["uint256"], "totalAssets()")
    (shares,) = market.node.read(record.address, ["uint256"], "totalSupply()")
    return Erc4626PoolState(record, assets, shares)


def _add_algebra(market: GasMarket) -> None:
    def code(name: str) -> bytes:
        path = f"artifacts/contracts/{name}.sol/{name}.json"
        return builds().published_code("@cryptoalgebra/integral-core@1.2.10", path)

    nonce = int(market.node("eth_getTransactionCount", market.owner, "latest"), 16)
    deployer = _created(market.owner, nonce + 1)
    factory = market.deploy(code("AlgebraFactory") + encode(["address"], [deployer]))
    made = market.deploy(code("AlgebraPoolDeployer") + encode(["address"], [factory]))
    assert made == deployer
    pair = (market.tokens[0], market.tokens[4])
    market.send(factory, "createPool(address,address,bytes)", *pair, b"")
    (pool,) = market.node.read(factory, ["address"], "poolByPair(address,address)", *pair)
    market.send(pool, "initialize(uint160)", _sqrt_price(1.0))
    (spacing,) = market.node.read(pool, ["int24"], "tickSpacing()")
    _mint_by_driver(market, pool, pair, spacing, "globalState()", 2)
    record = PoolRecord(pool, Protocol.ALGEBRA, "published", pair, 0, spacing, AlgebraDetails())

    def read(each: PoolRecord) -> V3PoolState:
        price, tick, fee = market.node.read(pool, ["uint160", "int24", "uint16"], "globalState()")
        (liquidity,) = market.node.read(pool, ["uint128"], "liquidity()")
        ticks = _full_ticks(spacing, liquidity)
        return V3PoolState(each, price, liquidity, tick, ticks, fees=(fee, fee))

    _register(market, "algebra:04", record, read)


def _add_slipstream(market: GasMarket) -> None:
    made = builds()
    core = made.published("sphere-mezo-solidity-files@1.2.0") / "domains" / "aerodrome-slipstream"
    entries = ("contracts/core/CLFactory.sol", "contracts/core/CLPool.sol")
    codes = made.compiled(made.Build("solc@0.7.6", entries, (("", core),), 200, evm_version="istanbul"))
    # Answers zero to everything, as the voter and the older factory.
    silent = market.deploy(bytes.fromhex("6460206000f36000526005601bf3"))
    implementation = market.deploy(bytes.fromhex(codes["CLPool"]["code"]))
    arguments = encode(["address"] * 3, [silent, silent, implementation])
    factory = market.deploy(bytes.fromhex(codes["CLFactory"]["code"]) + arguments)
    pair, spacing = (market.tokens[0], market.tokens[4]), 50
    create = "createPool(address,address,int24,uint160)"
    market.send(factory, create, *pair, spacing, _sqrt_price(1.0))
    (pool,) = market.node.read(factory, ["address"], "getPool(address,address,int24)", *pair, spacing)
    _mint_by_driver(market, pool, pair, spacing, "slot0()", 0)
    record = PoolRecord(pool, Protocol.SLIPSTREAM, "published", pair, 0, spacing)

    def read(each: PoolRecord) -> V3PoolState:
        price, tick = market.node.read(pool, ["uint160", "int24"], "slot0()")
        (liquidity,) = market.node.read(pool, ["uint128"], "liquidity()")
        (fee,) = market.node.read(pool, ["uint24"], "fee()")
        ticks = _full_ticks(spacing, liquidity)
        return V3PoolState(each, price, liquidity, tick, ticks, fees=(fee, fee))

    _register(market, "slipstream:04", record, read)


def _add_balancer_v3(market: GasMarket) -> str:
    """The vault with one weighted pool. Its balances are written to the vault's storage, and checked."""
    made = builds().compiled(_balancer_v3_build())
    vault = _deploy_balancer_v3(market, made)
    tokens, weights, fee, factors = (market.tokens[0], market.tokens[4]), (E18 // 2,) * 2, 3 * 10**15, (1, 1)
    kinds = ["(string,string,uint256,uint256[],string,uint256[])", "address"]
    floors = (10**6, 10**6)
    arguments = encode(kinds, [("W", "W", 2, weights, "", floors), vault])
    pool = market.deploy(bytes.fromhex(made["WeightedPool"]["code"]) + arguments)
    signature = (
        "registerPool(address,(address,uint8,address,bool)[],uint256,uint32,bool,(address,address,address),"
        "address,(bool,bool,bool,bool))"
    )
    configured = [(token, 0, ZERO_ADDRESS, False) for token in tokens]
    nobody, flags = (ZERO_ADDRESS,) * 3, (False,) * 4
    market.send(vault, signature, pool, configured, fee, 0, False, nobody, ZERO_ADDRESS, flags)
    slots = made["Vault"]["slots"]
    settings = _mapped(int(pool, 16), slots["_poolConfigBits"])
    word = int(market.node("eth_getStorageAt", vault, hex(settings), "latest"), 16)
    # The second bit says that the pool was initialised.
    _store(market, vault, settings, word | 2)
    balances = _mapped(int(pool, 16), slots["_poolTokenBalances"])
    for k, token in enumerate(tokens):
        market.send(token, "transfer(address,uint256)", vault, _DEPTH)
        _store(market, vault, _mapped(k, balances), _DEPTH | _DEPTH << 128)
        _store(market, vault, _mapped(int(token, 16), slots["_reservesOf"]), _DEPTH)
    details = BalancerV3WeightedDetails(vault, weights, factors, 10**6, floors)
    record = PoolRecord(pool, Protocol.BALANCER_V3_WEIGHTED, "published", tokens, 0, 0, details)

    def read(each: PoolRecord) -> BalancerV3WeightedPoolState:
        (live,) = market.node.read(vault, ["uint256[]"], "getCurrentLiveBalances(address)", pool)
        return BalancerV3WeightedPoolState(each, tuple(live), (E18, E18), fee)

    assert read(record).live_balances == (_DEPTH, _DEPTH)
    _register(market, "balancer-v3:04", record, read)
    return vault


def _deploy_balancer_v3(market: GasMarket, made: dict[str, Any]) -> str:
    """Vault, extension, administration and fee controller name each other: the vault is foreseen."""
    nonce = int(market.node("eth_getTransactionCount", market.owner, "latest"), 16)
    vault = _created(market.owner, nonce + 3)

    def deploy(name: str, kinds: list[str], values: list[Any]) -> str:
        return market.deploy(bytes.fromhex(made[name]["code"]) + encode(kinds, values))

    admin = deploy(
        "VaultAdmin",
        ["address", "uint32", "uint32", "uint256", "uint256"],
        [vault, 10**7, 10**6, 10**6, 1000],
    )
    extension = deploy("VaultExtension", ["address", "address"], [vault, admin])
    controller = deploy("ProtocolFeeController", ["address", "uint256", "uint256"], [vault, 0, 0])
    placed = deploy("Vault", ["address"] * 3, [extension, market.owner, controller])
    assert placed == vault
    return vault


def _balancer_v3_build() -> Any:
    """As the exactness campaign compiles it, so that one compilation serves both."""
    folder = str(project_root() / "tests" / "exactness")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module("exact_balancer_v3").build()


def _mapped(key: int, slot: int) -> int:
    """Where a mapping keeps the value of a key."""
    return int.from_bytes(keccak(key.to_bytes(32, "big") + slot.to_bytes(32, "big")), "big")


def _store(market: GasMarket, account: str, slot: int, value: int) -> None:
    market.node("anvil_setStorageAt", account, hex(slot), "0x" + value.to_bytes(32, "big").hex())


def _add_weth(market: GasMarket) -> None:
    base = market.tokens[0]
    record = PoolRecord(base, Protocol.WETH, "published", (ZERO_ADDRESS, base), 0)

    def read(each: PoolRecord) -> WethPoolState:
        return WethPoolState(each, market.node.read(base, ["uint256"], "totalSupply()")[0])

    _register(market, "weth", record, read)


def _mint_by_driver(
    market: GasMarket, pool: str, pair: tuple[str, str], spacing: int, getter: str, kind: int
) -> None:
    """Liquidity over the whole range, by the campaigns' driver, which answers every fork's callback."""
    arguments = encode(["address", "address", "bytes4", "uint256"], [*pair, keccak(text=getter)[:4], kind])
    driver = market.deploy(builds().driver_code("ConcentratedDriver") + arguments)
    for token in pair:
        market.send(token, "transfer(address,uint256)", driver, 2 * _DEPTH)
    edge = _FULL_RANGE // spacing * spacing
    market.send(driver, "mint(address,int24,int24,uint128)", pool, -edge, edge, _DEPTH)


def _created(sender: str, nonce: int) -> str:
    """The address of the contract that an account's transaction creates."""
    count = bytes([nonce]) if 0 < nonce < 128 else nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    item = count if nonce < 128 else bytes([0x80 + len(count)]) + count
    payload = b"\x94" + bytes.fromhex(sender[2:]) + item
    return "0x" + keccak(bytes([0xC0 + len(payload)]) + payload).hex()[-40:]
