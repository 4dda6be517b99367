"""Pools of published bytecode around which every measured kind of cycle pays, on a local node."""

from __future__ import annotations

import json
import math
import time
import urllib.request
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

from eth_abi import decode, encode
from eth_abi.grammar import parse
from eth_utils import keccak

from benchmarks.gas_venues import add_venues
from engine.app.toolchain import forge_artifact, npm_artifact
from engine.app.world.dexes import published, tick_spacing
from engine.domain.market import ZERO_ADDRESS, ZERO_HASH, BlockRef, PoolRecord, Protocol, Token
from engine.domain.pool_state import PoolState
from engine.market.market import Market

E18 = 10**18
_GAS = 12_000_000
# One base token moves a price by several ticks, and no tick is crossed but those of the whole range.
_LIQUIDITY = 2_000 * E18
_FUNDS = 10**9 * E18
_FULL_RANGE = 887_220
_MINED_WITHIN_S = 20


def calldata(signature: str, *arguments: Any) -> bytes:
    """A call's data; the signature may have tuples."""
    arguments_of = signature[signature.index("(") :]
    types = [one.to_type_str() for one in parse(arguments_of).components] if arguments_of != "()" else []
    return keccak(text=signature)[:4] + encode(types, arguments)


class NodeRefused(RuntimeError):
    """The node's error; `data` is what a call reverted with, 0x-hex."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method}: {error.get('message')}")
        self.data = str(error.get("data") or "0x")


class Node:
    """A plain synchronous JSON-RPC client of the local node."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        request = urllib.request.Request(
            self.url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.loads(response.read())
        if "error" in answer:
            raise NodeRefused(method, answer["error"])
        return answer["result"]

    def read(self, to: str, gives: list[str], signature: str, *arguments: Any) -> tuple[Any, ...]:
        """What a view function returns."""
        call = {"to": to, "data": "0x" + calldata(signature, *arguments).hex()}
        return decode(gives, bytes.fromhex(self("eth_call", call, "latest")[2:]))


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool to make: `tokens` by index, `price` of token1 per token0."""

    name: str
    protocol: Protocol
    tokens: tuple[int, int]
    fee_pips: int
    price: float
    factory: str


_V2, _V3 = Protocol.UNISWAP_V2, Protocol.UNISWAP_V3
# Around 0-1, 0-1-2 and 0-1-2-3 the prices multiply to a gain of five per cent: 2.0 at the first pools of 0-1
# against 1.9 at the second, and so on.
# Token 4 is worth the base token: five per cent less at the first pool of 0-4, more at the last.
_PRICES = {
    "01a": 2.0,
    "01b": 1.9,
    "12": 1.5,
    "02": 2.85,
    "23": 1.2,
    "03": 3.42,
    "04a": 1.05,
    "04b": 1.0,
    "04c": 0.95,
}
_TOKENS = {
    "01a": (0, 1), "01b": (0, 1), "12": (1, 2), "02": (0, 2), "23": (2, 3), "03": (0, 3),
    "04a": (0, 4), "04b": (0, 4), "04c": (0, 4),
}  # fmt: skip


def factory_of(name: str) -> str:
    """The V2 factory of a pool's name: two pairs of the same tokens need two."""
    return {"b": "second", "c": "third"}.get(name[-1], "first")


def _plans() -> list[PoolPlan]:
    plans = []
    for name, tokens in _TOKENS.items():
        factory = factory_of(name)
        fee_pips = {"b": 500, "c": 10_000}.get(name[-1], 3000)
        plans.append(PoolPlan(f"v2:{name}", _V2, tokens, 3000, _PRICES[name], factory))
        plans.append(PoolPlan(f"v3:{name}", _V3, tokens, fee_pips, _PRICES[name], "v3"))
    return plans


class GasMarket:
    """Five tokens, the first of them WETH9, V2 and V3 pools wherever a cycle may pass, and pools of the
    other families, from `gas_venues`."""

    def __init__(self, node: Node, operator: str) -> None:
        self.node = node
        self.owner: str = node("eth_accounts")[0]
        self.operator = operator
        self.pools: dict[str, PoolRecord] = {}
        self.market = Market()
        self._make_tokens()
        factory_code = published("UniswapV2Factory").bytecode + encode(["address"], [self.owner])
        self.factories = {name: self.deploy(factory_code) for name in ("first", "second", "third")}
        self.factories["v3"] = self.deploy(published("UniswapV3Factory").bytecode)
        for plan in _plans():
            (self._add_v2 if plan.protocol is _V2 else self._add_v3)(plan)
        # How the states of pools of other families are read, by pool key.
        self.readers: dict[str, Callable[[], PoolState]] = {}
        self.pinned = add_venues(self)
        known = (operator, self.owner, *(each or ZERO_ADDRESS for each in astuple(self.pinned)))
        arguments = encode(["address"] * 6, known)
        self.router = self.deploy(forge_artifact("ArbitrageRouter").bytecode + arguments)

    def _make_tokens(self) -> None:
        token_code = npm_artifact("@uniswap/v2-periphery", "build/ERC20.json", "ERC20").bytecode
        others = []
        while len(others) < 4:
            others.append(self.deploy(token_code + encode(["uint256"], [_FUNDS])))
        # The base token must have the lowest address for the prices above: deploy until it has.
        while True:
            base = self.deploy(published("WETH9").bytecode)
            if base < min(others):
                break
        self.tokens = [base, *sorted(others)]
        self.callee = self.deploy(forge_artifact("V3Callee").bytecode)
        self.node("anvil_setBalance", self.owner, hex(2 * _FUNDS))
        self.transact({"to": base, "value": hex(_FUNDS), "data": "0x" + calldata("deposit()").hex()})
        for token in self.tokens:
            self.market.add_token(Token(token, "TOK", 18))
            self.send(token, "approve(address,uint256)", self.callee, 2**256 - 1)

    def _add_v2(self, plan: PoolPlan) -> None:
        token0, token1 = (self.tokens[n] for n in plan.tokens)
        factory = self.factories[plan.factory]
        self.send(factory, "createPair(address,address)", token0, token1)
        (pool,) = self.node.read(factory, ["address"], "getPair(address,address)", token0, token1)
        reserve0 = _LIQUIDITY
        self.send(token0, "transfer(address,uint256)", pool, reserve0)
        self.send(token1, "transfer(address,uint256)", pool, int(reserve0 * plan.price))
        self.send(pool, "mint(address)", self.owner)
        self._register(plan.name, _V2, pool, (token0, token1), plan.fee_pips)

    def _add_v3(self, plan: PoolPlan) -> None:
        pair = (self.tokens[plan.tokens[0]], self.tokens[plan.tokens[1]])
        self.add_v3_pool(plan.name, pair, plan.fee_pips, plan.price)

    def add_v3_pool(self, name: str, pair: tuple[str, str], fee_pips: int, price: float) -> None:
        """A V3 pool with liquidity over the whole range; the callee may take the owner's tokens."""
        factory, spacing = self.factories["v3"], tick_spacing(fee_pips)
        self.send(factory, "createPool(address,address,uint24)", *pair, fee_pips)
        (pool,) = self.node.read(factory, ["address"], "getPool(address,address,uint24)", *pair, fee_pips)
        self.send(pool, "initialize(uint160)", math.isqrt(int(price * 2**64) << 128))
        edge = _FULL_RANGE // spacing * spacing
        mint = "mint(address,address,int24,int24,uint128)"
        self.send(self.callee, mint, pool, self.owner, -edge, edge, _LIQUIDITY)
        self._register(name, _V3, pool, pair, fee_pips, spacing)

    def _register(
        self, name: str, protocol: Protocol, pool: str, pair: tuple[str, str], fee_pips: int, spacing: int = 0
    ) -> None:
        self.pools[name] = PoolRecord(pool, protocol, "published", pair, fee_pips, spacing)
        self.market.add_pool(self.pools[name])

    def deploy(self, code: bytes) -> str:
        """The new contract's address."""
        return self.transact({"data": "0x" + code.hex()})["contractAddress"].lower()

    def send(self, to: str, signature: str, *arguments: Any, value: int = 0) -> dict[str, Any]:
        """Call a function from the owner's account."""
        call = {"to": to, "data": "0x" + calldata(signature, *arguments).hex(), "value": hex(value)}
        return self.transact(call)

    def transact(self, transaction: dict[str, Any]) -> dict[str, Any]:
        """Send, mine, and return the receipt. Raises RuntimeError when it reverted."""
        sent = self.node("eth_sendTransaction", {"from": self.owner, "gas": hex(_GAS), **transaction})
        # The node mines a moment after it has answered.
        deadline = time.monotonic() + _MINED_WITHIN_S
        while (receipt := self.node("eth_getTransactionReceipt", sent)) is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"transaction {sent} was not mined in {_MINED_WITHIN_S} s")
            time.sleep(0.005)
        if receipt["status"] != "0x1":
            raise RuntimeError(f"transaction {sent} reverted")
        return receipt

    def refresh(self) -> BlockRef:
        """Read every pool's state at the head, which is returned."""
        head = self.node("eth_getBlockByNumber", "latest", False)
        block = BlockRef(int(head["number"], 16), head["hash"], ZERO_HASH, int(head["timestamp"], 16))
        self.market.start(block)
        for record in self.pools.values():
            row = self.market.pool_row[record.key]
            if record.key in self.readers:
                self.market.set_state(row, self.readers[record.key]())
                continue
            if record.protocol is _V2:
                kinds = ["uint112", "uint112", "uint32"]
                self.market.set_v2(row, *self.node.read(record.address, kinds, "getReserves()")[:2])
                continue
            price, tick = self.node.read(record.address, ["uint160", "int24"], "slot0()")
            (liquidity,) = self.node.read(record.address, ["uint128"], "liquidity()")
            edge = _FULL_RANGE // record.tick_spacing * record.tick_spacing
            ticks = [(-edge, liquidity, liquidity), (edge, -liquidity, liquidity)]
            self.market.set_v3(row, price, liquidity, tick, ticks)
        return block
