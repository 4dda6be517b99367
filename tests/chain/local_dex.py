"""Published DEX bytecode on a local node, driven by plain transactions from its unlocked accounts."""

from __future__ import annotations

from typing import Any

from eth_abi import decode, encode
from eth_utils import keccak
from local_node import LocalNode

from engine.app.toolchain import forge_artifact, npm_artifact
from engine.domain.market import Protocol, Venue

V3_CORE = ("@uniswap/v3-core", "artifacts/contracts")
PANCAKE = ("@pancakeswap/v3-core", "artifacts/contracts")
Q96 = 1 << 96


def artifact(package: str, path: str, name: str) -> bytes:
    return npm_artifact(package, f"{path}/{name}", name).bytecode


def hash_of(code: bytes) -> str:
    return "0x" + keccak(code).hex()


class LocalDex:
    """Three tokens; a V2 pair, V3 pools of three spacings and a Pancake V3 pool, all with liquidity."""

    def __init__(self, node: LocalNode):
        self.node = node
        self.owner: str = node.rpc("eth_accounts")[0]
        creation = forge_artifact("WorldToken").bytecode
        created = [
            self.deploy(creation + encode(["string", "string", "uint8"], [f"Token {n}", f"T{n}", decimals]))
            for n, decimals in enumerate((18, 6, 8))
        ]
        self.tokens = sorted(created)
        self.callee = self.deploy(forge_artifact("V3Callee").bytecode)
        for token in self.tokens:
            self.send(token, "mint(address,uint256)", self.owner, 10**40)
            self.send(token, "approve(address,uint256)", self.callee, 2**256 - 1)
        self.venues = [self._v2(), self._v3(), self._pancake()]
        self.ranges: dict[str, list[tuple[int, int]]] = {}
        self._furnish()

    def _v2(self) -> Venue:
        pair = artifact("@uniswap/v2-core", "build", "UniswapV2Pair.json")
        code = artifact("@uniswap/v2-core", "build", "UniswapV2Factory.json")
        factory = self.deploy(code + encode(["address"], [self.owner]))
        return Venue("v2", Protocol.UNISWAP_V2, factory, factory, hash_of(pair), fee_pips=3000)

    def _v3(self) -> Venue:
        factory = self.deploy(artifact(*V3_CORE, "UniswapV3Factory.sol/UniswapV3Factory.json"))
        self.send(factory, "enableFeeAmount(uint24,int24)", 100, 1)
        pool = artifact(*V3_CORE, "UniswapV3Pool.sol/UniswapV3Pool.json")
        return Venue("v3", Protocol.UNISWAP_V3, factory, factory, hash_of(pool))

    def _pancake(self) -> Venue:
        pool = artifact(*PANCAKE, "PancakeV3Pool.sol/PancakeV3Pool.json")
        deployer = self.deploy(forge_artifact("PancakePoolDeployer").bytecode + encode(["bytes"], [pool]))
        code = artifact(*PANCAKE, "PancakeV3Factory.sol/PancakeV3Factory.json")
        factory = self.deploy(code + encode(["address"], [deployer]))
        self.send(deployer, "setFactoryAddress(address)", factory)
        return Venue("pancake", Protocol.UNISWAP_V3, factory, deployer, hash_of(pool))

    def _furnish(self) -> None:
        a, b, c = self.tokens
        v2, v3, pancake = self.venues
        self.send(v2.factory, "createPair(address,address)", a, b)
        self.pair = self.read(v2.factory, "getPair(address,address)", ["address"], a, b)[0]
        for token, amount in ((a, 10**24), (b, 3 * 10**24)):
            self.send(token, "transfer(address,uint256)", self.pair, amount)
        self.send(self.pair, "mint(address)", self.owner)
        self.pools = [
            self.create_v3(v3, a, b, 3000, Q96),
            self.create_v3(v3, b, c, 100, Q96 * 3),
            self.create_v3(pancake, a, c, 2500, Q96 // 7),
        ]
        for pool, spacing in zip(self.pools, (60, 1, 50), strict=True):
            tick = self.slot0(pool)[1] // spacing * spacing
            edge = 887272 // spacing * spacing
            for lower, upper in (
                (-edge, edge),
                (tick - 100 * spacing, tick + 100 * spacing),
                (tick - 3 * spacing, tick + spacing),
            ):
                self.mint(pool, lower, upper, 10**22)

    def create_v3(self, venue: Venue, token0: str, token1: str, fee: int, price: int | None) -> str:
        self.send(venue.factory, "createPool(address,address,uint24)", token0, token1, fee)
        (pool,) = self.read(
            venue.factory, "getPool(address,address,uint24)", ["address"], token0, token1, fee
        )
        if price is not None:
            self.send(pool, "initialize(uint160)", price)
        return pool

    def mint(self, pool: str, lower: int, upper: int, amount: int) -> None:
        signature = "mint(address,address,int24,int24,uint128)"
        self.send(self.callee, signature, pool, self.owner, lower, upper, amount)
        self.ranges.setdefault(pool, []).append((lower, upper))

    def burn(self, pool: str, lower: int, upper: int, amount: int) -> None:
        self.send(pool, "burn(int24,int24,uint128)", lower, upper, amount)

    def swap_v3(self, pool: str, zero_for_one: bool, amount: int) -> None:
        signature = "swap(address,address,bool,int256,uint160)"
        self.send(self.callee, signature, pool, self.owner, zero_for_one, amount, 0)

    def swap_v2(self, zero_for_one: bool, amount: int) -> None:
        reserve0, reserve1 = self.reserves()
        token = self.tokens[0 if zero_for_one else 1]
        r_in, r_out = (reserve0, reserve1) if zero_for_one else (reserve1, reserve0)
        out = amount * 997 * r_out // (r_in * 1000 + amount * 997)
        self.send(token, "transfer(address,uint256)", self.pair, amount)
        outs = (0, out) if zero_for_one else (out, 0)
        self.send(self.pair, "swap(uint256,uint256,address,bytes)", *outs, self.owner, b"")

    def reserves(self, block: str = "latest") -> tuple[int, int]:
        return self.read(self.pair, "getReserves()", ["uint112", "uint112", "uint32"], block=block)[:2]

    def slot0(self, pool: str, block: str = "latest") -> tuple[int, int]:
        return self.read(pool, "slot0()", ["uint160", "int24"], block=block)

    def liquidity(self, pool: str, block: str = "latest") -> int:
        return self.read(pool, "liquidity()", ["uint128"], block=block)[0]

    def ticks(self, pool: str, block: str = "latest") -> tuple[tuple[int, int, int], ...]:
        """Ticks that are initialised among the bounds of every position ever made, read one by one."""
        bounds = sorted({tick for pair in self.ranges.get(pool, []) for tick in pair})
        found = []
        for tick in bounds:
            gross, net = self.read(pool, "ticks(int24)", ["uint128", "int128"], tick, block=block)
            if gross:
                found.append((tick, net, gross))
        return tuple(found)

    def deploy(self, code: bytes) -> str:
        return self._transact({"from": self.owner, "data": "0x" + code.hex()})["contractAddress"]

    def send(self, to: str, signature: str, *arguments: Any) -> dict[str, Any]:
        return self._transact({"from": self.owner, "to": to, "data": _data(signature, arguments)})

    def _transact(self, transaction: dict[str, Any]) -> dict[str, Any]:
        sent = self.node.rpc("eth_sendTransaction", transaction | {"gas": hex(15_000_000)})
        self.node.mine()
        receipt = self.node.rpc("eth_getTransactionReceipt", sent)
        assert receipt["status"] == "0x1", transaction
        return receipt

    def read(
        self, to: str, signature: str, gives: list[str], *arguments: Any, block: str = "latest"
    ) -> tuple[Any, ...]:
        answer = self.node.rpc("eth_call", {"to": to, "data": _data(signature, arguments)}, block)
        return decode(gives, bytes.fromhex(answer[2:]))


def _data(signature: str, arguments: tuple[Any, ...]) -> str:
    inner = signature[signature.index("(") + 1 : -1]
    body = encode(inner.split(","), arguments) if inner else b""
    return "0x" + (keccak(text=signature)[:4] + body).hex()
