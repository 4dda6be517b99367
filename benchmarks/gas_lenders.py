"""Lenders as published: Aave V3 as its package ships it, Morpho compiled from its published source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from eth_abi import encode

from benchmarks.gas_venues import builds
from engine.domain.market import ZERO_ADDRESS

if TYPE_CHECKING:
    from benchmarks.gas_market import GasMarket

AAVE = "@aave/core-v3@1.19.3"
AAVE_PREMIUM_BPS = 5
_MEZO = "sphere-mezo-solidity-files@1.2.0"
_MOST = 2**256 - 1
_RAY = 10**27
_LOGIC = "protocol/libraries/logic"
_LIBRARIES = (
    "BorrowLogic", "SupplyLogic", "FlashLoanLogic", "LiquidationLogic", "PoolLogic", "EModeLogic",
    "BridgeLogic", "ConfiguratorLogic",
)  # fmt: skip
_RESERVE = (
    "(address,address,address,uint8,address,address,address,address,string,string,string,string,string,string,"
    "bytes)"
)


def add_morpho(market: GasMarket, amount: int) -> str:
    """A Morpho that holds `amount` of the base token; its address."""
    made = builds()
    folder = made.published(_MEZO) / "domains" / "morpho" / "contracts"
    build = made.Build("solc@0.8.26", ("Morpho.sol",), (("", folder),), 999_999)
    code = bytes.fromhex(made.compiled(build)["Morpho"]["code"])
    morpho = market.deploy(code + encode(["address"], [market.owner]))
    market.send(market.tokens[0], "transfer(address,uint256)", morpho, amount)
    return morpho


def add_aave(market: GasMarket, amount: int) -> str:
    """An Aave V3 market with one reserve, the base token, of which `amount` was supplied; its pool."""
    base = market.tokens[0]
    provider = _deploy(market, "protocol/configuration", "PoolAddressesProvider", ["string", "address"],
                       ["market", market.owner])  # fmt: skip
    market.send(provider, "setACLAdmin(address)", market.owner)
    access = _deploy(market, "protocol/configuration", "ACLManager", ["address"], [provider])
    market.send(provider, "setACLManager(address)", access)
    market.send(access, "addPoolAdmin(address)", market.owner)
    libraries = _libraries(market)
    implementation = _deploy(market, "protocol/pool", "Pool", ["address"], [provider], libraries)
    market.send(provider, "setPoolImpl(address)", implementation)
    (pool,) = market.node.read(provider, ["address"], "getPool()")
    configuring = _deploy(market, "protocol/pool", "PoolConfigurator", [], [], libraries)
    market.send(provider, "setPoolConfiguratorImpl(address)", configuring)
    (configurator,) = market.node.read(provider, ["address"], "getPoolConfigurator()")
    _list(market, provider, pool, configurator, base)
    market.send(configurator, "updateFlashloanPremiumTotal(uint128)", AAVE_PREMIUM_BPS)
    market.send(base, "approve(address,uint256)", pool, _MOST)
    market.send(pool, "supply(address,uint256,address,uint16)", base, amount, market.owner, 0)
    return pool.lower()


def _list(market: GasMarket, provider: str, pool: str, configurator: str, asset: str) -> None:
    tokens = {
        name: _deploy(market, "protocol/tokenization", name, ["address"], [pool])
        for name in ("AToken", "StableDebtToken", "VariableDebtToken")
    }
    rates = [8 * _RAY // 10, 0, _RAY // 25, _RAY // 2, 0, 0, 0, 0, _RAY // 5]
    strategy = _deploy(
        market, "protocol/pool", "DefaultReserveInterestRateStrategy", ["address", *["uint256"] * 9],
        [provider, *rates],
    )  # fmt: skip
    names = ("aToken", "a", "debt", "d", "stable", "s")
    reserve = (
        tokens["AToken"], tokens["StableDebtToken"], tokens["VariableDebtToken"], 18, strategy, asset,
        market.owner, ZERO_ADDRESS, *names, b"",
    )  # fmt: skip
    market.send(configurator, f"initReserves({_RESERVE}[])", [reserve])
    market.send(configurator, "setReserveFlashLoaning(address,bool)", asset, True)


def _libraries(market: GasMarket) -> dict[str, str]:
    """Those that the pool and its configurator are linked with; one of them is linked with another."""
    placed: dict[str, str] = {}
    for name in _LIBRARIES:
        placed[name] = _deploy(market, _LOGIC, name, [], [], placed)
    return placed


def _deploy(
    market: GasMarket,
    folder: str,
    name: str,
    kinds: list[str],
    values: list[Any],
    libraries: dict[str, str] | None = None,
) -> str:
    path = builds().published(AAVE) / "artifacts" / "contracts" / folder / f"{name}.sol" / f"{name}.json"
    raw = json.loads(path.read_text())
    code = raw["bytecode"].removeprefix("0x")
    for linked in raw["linkReferences"].values():
        for library, places in linked.items():
            address = (libraries or {})[library].removeprefix("0x")
            for place in places:
                start = 2 * place["start"]
                code = code[:start] + address + code[start + 40 :]
    return market.deploy(bytes.fromhex(code) + encode(kinds, values))
