"""Published bytecode in an in-process EVM."""

from __future__ import annotations

from dataclasses import dataclass

import pyrevm
from eth_abi import decode, encode
from eth_utils import keccak

from engine.amm.layout import KIND_V3, PoolArrays, allocate, int_to_limbs, signed_to_limbs
from engine.app.toolchain import forge_artifact, npm_artifact

OWNER = "0x00000000000000000000000000000000000a11ce"
FOREVER = 2**256 - 1
V3_SWAP_TOPIC = keccak(text="Swap(address,address,int256,int256,uint160,uint128,int24)").hex()
PANCAKE_SWAP_TOPIC = keccak(
    text="Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)"
).hex()


class Reverted(Exception):
    """The contract reverted."""


class Chain:
    """One EVM and the account that owns everything in it."""

    def __init__(self) -> None:
        self.evm = pyrevm.EVM()
        self.evm.set_balance(OWNER, 10**30)

    def deploy(self, bytecode: bytes, types: tuple[str, ...] = (), values: tuple = ()) -> str:
        return self.evm.deploy(OWNER, bytecode + encode(types, values))

    def call(self, to: str, signature: str, *values, returns: tuple[str, ...] = ()):
        types = _argument_types(signature)
        data = keccak(text=signature)[:4] + encode(types, values)
        try:
            output = self.evm.message_call(OWNER, to, calldata=data)
        except RuntimeError as error:
            # Solidity before 0.8 divides by zero into the invalid opcode.
            if "Revert" in str(error) or "InvalidFEOpcode" in str(error):
                raise Reverted(str(error)) from error
            raise
        decoded = decode(returns, bytes(output)) if returns else ()
        return decoded[0] if len(decoded) == 1 else decoded

    def attempt(self, to: str, signature: str, *values, returns: tuple[str, ...] = ()):
        """The call's result, leaving no trace in the state."""
        checkpoint = self.evm.snapshot()
        try:
            return self.call(to, signature, *values, returns=returns)
        finally:
            self.evm.revert(checkpoint)


def _argument_types(signature: str) -> list[str]:
    inside = signature[signature.index("(") + 1 : -1]
    return inside.split(",") if inside else []


def npm_code(package: str, path: str) -> bytes:
    return npm_artifact(package, path, path).bytecode


@dataclass(frozen=True)
class SwapEvent:
    """What a V3 pool says it did."""

    amount0: int
    amount1: int
    sqrt_price: int
    liquidity: int
    tick: int


class V3Chain(Chain):
    """Two tokens, a factory of real V3 bytecode, and a callee that mints and swaps."""

    def __init__(self, pancake: bool = False) -> None:
        super().__init__()
        self.callee = self.deploy(forge_artifact("V3Callee").bytecode)
        created = [self._token(name) for name in ("A", "B")]
        self.token0, self.token1 = sorted(created, key=lambda address: int(address, 16))
        self.swap_topic = PANCAKE_SWAP_TOPIC if pancake else V3_SWAP_TOPIC
        self.factory = self._pancake_factory() if pancake else self._uniswap_factory()

    def _token(self, name: str) -> str:
        code = forge_artifact("WorldToken").bytecode
        token = self.deploy(code, ("string", "string", "uint8"), (name, name, 18))
        self.call(token, "mint(address,uint256)", OWNER, 2**250)
        self.call(token, "approve(address,uint256)", self.callee, FOREVER)
        return token

    def _uniswap_factory(self) -> str:
        path = "artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"
        factory = self.deploy(npm_code("@uniswap/v3-core", path))
        self.call(factory, "enableFeeAmount(uint24,int24)", 100, 1)
        return factory

    def _pancake_factory(self) -> str:
        pool = npm_code("@pancakeswap/v3-core", "artifacts/contracts/PancakeV3Pool.sol/PancakeV3Pool.json")
        deployer = self.deploy(forge_artifact("PancakePoolDeployer").bytecode, ("bytes",), (pool,))
        path = "artifacts/contracts/PancakeV3Factory.sol/PancakeV3Factory.json"
        factory = self.deploy(npm_code("@pancakeswap/v3-core", path), ("address",), (deployer,))
        self.call(deployer, "setFactoryAddress(address)", factory)
        return factory

    def create_pool(self, fee_pips: int, sqrt_price: int) -> str:
        pool = self.call(
            self.factory,
            "createPool(address,address,uint24)",
            self.token0,
            self.token1,
            fee_pips,
            returns=("address",),
        )
        self.call(pool, "initialize(uint160)", sqrt_price)
        return pool

    def mint(self, pool: str, lower: int, upper: int, liquidity: int) -> None:
        signature = "mint(address,address,int24,int24,uint128)"
        self.call(self.callee, signature, pool, OWNER, lower, upper, liquidity)

    def swap(self, pool: str, zero_for_one: bool, specified: int, limit: int) -> SwapEvent:
        """`specified` is negative for exact-out. Raises Reverted."""
        signature = "swap(address,address,bool,int256,uint160)"
        self.call(self.callee, signature, pool, OWNER, zero_for_one, specified, limit)
        for log in self.evm.result.logs:
            topics = [topic.removeprefix("0x") for topic in log.topics]
            if topics[0] == self.swap_topic:
                values = decode(["int256", "int256", "uint160", "uint128", "int24"], bytes(log.data[1]))
                return SwapEvent(*values)
        raise AssertionError("the pool logged no Swap")

    def read_pool(self, pool: str, fee_pips: int, ticks: list[int]) -> PoolArrays:
        """The pool's state as one row; `ticks` are candidates, those not initialised are left out."""
        spacing = self.call(pool, "tickSpacing()", returns=("int24",))
        price, tick = self.call(pool, "slot0()", returns=("uint160", "int24"))
        liquidity = self.call(pool, "liquidity()", returns=("uint128",))
        rows = []
        for candidate in sorted(set(ticks)):
            gross, net = self.call(pool, "ticks(int24)", candidate, returns=("uint128", "int128"))
            if gross:
                rows.append((candidate, net))
        return v3_row(price, liquidity, tick, fee_pips, spacing, rows)


def v3_row(
    price: int, liquidity: int, tick: int, fee_pips: int, spacing: int, ticks: list[tuple[int, int]]
) -> PoolArrays:
    """One V3 pool in row 0."""
    pools = allocate(1, max(len(ticks), 1))
    pools.kind[0] = KIND_V3
    pools.fee_pips[0] = fee_pips
    pools.sqrt_price[0] = int_to_limbs(price)
    pools.liquidity[0] = int_to_limbs(liquidity, 2)
    pools.tick[0] = tick
    pools.tick_spacing[0] = spacing
    pools.tick_count[0] = len(ticks)
    for index, (at, net) in enumerate(ticks):
        pools.arena_tick[index] = at
        pools.arena_net[index] = signed_to_limbs(net)
    return pools
