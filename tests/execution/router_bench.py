"""The real router over published pool bytecode on a local node, with amounts computed by the engine."""

from __future__ import annotations

import json
import math
import urllib.request
from typing import Any

from eth_abi import decode, encode
from eth_utils import keccak

from engine.amm.quote import quote_exact_in, quote_exact_out
from engine.app.toolchain import forge_artifact, npm_artifact
from engine.domain.market import ZERO_ADDRESS, BlockRef, PoolRecord, Protocol, Token
from engine.domain.opportunity import Hop, Opportunity
from engine.market.market import Market

OPERATOR_KEY = keccak(text="operator of the execution tests").hex()
RICH_WEI = 10**21
E18 = 10**18


class Rpc:
    """A plain synchronous JSON-RPC client."""

    def __init__(self, url: str):
        self.url = url

    def __call__(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.loads(response.read())
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def head(self) -> BlockRef:
        block = self("eth_getBlockByNumber", "latest", False)
        number, timestamp, base_fee, used, limit = (
            int(block[name], 16) for name in ("number", "timestamp", "baseFeePerGas", "gasUsed", "gasLimit")
        )
        return BlockRef(number, block["hash"], block["parentHash"], timestamp, base_fee, used, limit)

    def mine(self) -> BlockRef:
        self("evm_mine")
        return self.head()

    def call(self, to: str, signature: str, gives: list[str], *arguments: Any) -> tuple[Any, ...]:
        answer = self("eth_call", {"to": to, "data": calldata(signature, arguments)}, "latest")
        return decode(gives, bytes.fromhex(answer[2:]))


def calldata(signature: str, arguments: tuple[Any, ...]) -> str:
    inner = signature[signature.index("(") + 1 : -1]
    return "0x" + (keccak(text=signature)[:4] + encode(inner.split(",") if inner else [], arguments)).hex()


class RouterBench:
    """Three tokens (`base`, `a`, `b`), pools at different prices, and a router for `operator`.

    Pools by name: "v2x" and "v2y" and "v3x" (0.30 %) and "v3y" (0.05 %) trade base/a, "v3ab" trades a/b,
    "v2b" and "v3b" trade b/base. The node must not mine by itself.
    """

    def __init__(self, url: str, operator: str):
        self.rpc = Rpc(url)
        self.owner: str = self.rpc("eth_accounts")[0]
        self.operator = operator
        self.rpc("anvil_setBalance", operator, hex(RICH_WEI))
        self.market = Market()
        token_code = forge_artifact("WorldToken").bytecode
        made = sorted(
            self.deploy(token_code + encode(["string", "string", "uint8"], [name, name, 18]))
            for name in "XYZ"
        )
        self.base, self.a, self.b = made
        self.callee = self.deploy(forge_artifact("V3Callee").bytecode)
        for token in made:
            self.market.add_token(Token(token, "TOK", 18))
            self.send(token, "mint(address,uint256)", self.owner, 10**32)
            self.send(token, "approve(address,uint256)", self.callee, 2**256 - 1)
        self.pools: dict[str, PoolRecord] = {}
        self._create_pools()
        self.router = self.deploy_router()

    def _create_pools(self) -> None:
        pair_code = npm_artifact(
            "@uniswap/v2-core", "build/UniswapV2Factory.json", "UniswapV2Factory"
        ).bytecode
        factories = [self.deploy(pair_code + encode(["address"], [self.owner])) for _ in range(2)]
        v3 = self.deploy(
            npm_artifact(
                "@uniswap/v3-core",
                "artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json",
                "UniswapV3Factory",
            ).bytecode
        )
        self.pair_factory: str = factories[0]
        self._v2("v2x", factories[0], self.base, self.a, 5_000, 10_000)
        self._v2("v2y", factories[1], self.base, self.a, 5_000, 10_300)
        self._v2("v2b", factories[0], self.base, self.b, 5_000, 14_000)
        self._v3("v3x", v3, self.base, self.a, 3000, 1.93)
        self._v3("v3y", v3, self.base, self.a, 500, 2.11)
        self._v3("v3ab", v3, self.a, self.b, 500, 1.5)
        self._v3("v3b", v3, self.base, self.b, 3000, 3.05)

    def v2(self, name: str, token0: str, token1: str, *whole: int) -> None:
        """One more pair, of whole tokens."""
        self._v2(name, self.pair_factory, token0, token1, *whole)

    def _v2(self, name: str, factory: str, token0: str, token1: str, *whole: int) -> None:
        self.send(factory, "createPair(address,address)", token0, token1)
        (pool,) = self.rpc.call(factory, "getPair(address,address)", ["address"], token0, token1)
        for token, amount in zip((token0, token1), whole, strict=True):
            self.send(token, "transfer(address,uint256)", pool, amount * E18)
        self.send(pool, "mint(address)", self.owner)
        self._register(name, PoolRecord(pool, Protocol.UNISWAP_V2, "v2", (token0, token1), 3000))

    def _v3(self, name: str, factory: str, token0: str, token1: str, fee: int, price: float) -> None:
        spacing = {500: 10, 3000: 60}[fee]
        self.send(factory, "createPool(address,address,uint24)", token0, token1, fee)
        (pool,) = self.rpc.call(factory, "getPool(address,address,uint24)", ["address"], token0, token1, fee)
        self.send(pool, "initialize(uint160)", math.isqrt(int(price * 2**64) << 128))
        tick = self.rpc.call(pool, "slot0()", ["uint160", "int24"])[1] // spacing * spacing
        edge = 887272 // spacing * spacing
        for lower, upper in ((-edge, edge), (tick - 2 * spacing, tick + 3 * spacing)):
            signature = "mint(address,address,int24,int24,uint128)"
            self.send(self.callee, signature, pool, self.owner, lower, upper, 4_000 * E18)
        self._register(name, PoolRecord(pool, Protocol.UNISWAP_V3, "v3", (token0, token1), fee, spacing))
        self.ranges[name] = [(-edge, edge), (tick - 2 * spacing, tick + 3 * spacing)]

    def _register(self, name: str, record: PoolRecord) -> None:
        self.ranges: dict[str, list[tuple[int, int]]] = getattr(self, "ranges", {})
        self.pools[name] = record
        self.market.add_pool(record)

    def deploy_router(self, wrapped_native: str = ZERO_ADDRESS) -> str:
        parties = [self.operator, self.owner, wrapped_native, *[ZERO_ADDRESS] * 3]
        return self.deploy(forge_artifact("ArbitrageRouter").bytecode + encode(["address"] * 6, parties))

    def deploy(self, code: bytes) -> str:
        return self.transact({"data": "0x" + code.hex()})["contractAddress"]

    def send(self, to: str, signature: str, *arguments: Any) -> dict[str, Any]:
        return self.transact({"to": to, "data": calldata(signature, arguments)})

    def transact(self, transaction: dict[str, Any]) -> dict[str, Any]:
        transaction = {"from": self.owner, "gas": hex(15_000_000), **transaction}
        sent = self.rpc("eth_sendTransaction", transaction)
        self.rpc.mine()
        receipt = self.rpc("eth_getTransactionReceipt", sent)
        assert receipt["status"] == "0x1", transaction
        return receipt

    def refresh(self) -> None:
        """Read every pool's state from the node."""
        for name, record in self.pools.items():
            row = self.market.pool_row[record.address]
            if record.protocol is Protocol.UNISWAP_V2:
                reserves = self.rpc.call(record.address, "getReserves()", ["uint112", "uint112", "uint32"])
                self.market.set_v2(row, *reserves[:2])
                continue
            price, tick = self.rpc.call(record.address, "slot0()", ["uint160", "int24"])
            (liquidity,) = self.rpc.call(record.address, "liquidity()", ["uint128"])
            ticks = []
            for bound in sorted({bound for pair in self.ranges[name] for bound in pair}):
                gross, net = self.rpc.call(record.address, "ticks(int24)", ["uint128", "int128"], bound)
                ticks.append((bound, net, gross))
            self.market.set_v3(row, price, liquidity, tick, ticks)

    def opportunity(self, names: list[str], block: BlockRef, **terms: int) -> Opportunity:
        """The most profitable size, up to 5 whole base tokens, of a cycle through the named pools."""
        self.refresh()
        low, high = 10**12, 5 * E18
        while high - low > 10**9:
            third = (high - low) // 3
            left, right = low + third, high - third
            if self.profit(names, left) < self.profit(names, right):
                low = left
            else:
                high = right
        return self.sized(names, low, block, **terms)

    def profit(self, names: list[str], amount: int) -> int:
        return self._forward(names, amount)[-1][2] - amount

    def _forward(self, names: list[str], amount: int) -> list[tuple[bool, int, int]]:
        token, hops = self.base, []
        for name in names:
            record = self.pools[name]
            zero_for_one = record.tokens[0] == token
            row = self.market.pool_row[record.address]
            out = quote_exact_in(self.market.arrays, row, zero_for_one, amount)
            hops.append((zero_for_one, amount, out))
            token, amount = record.tokens[zero_for_one], out
        return hops

    def sized(self, names: list[str], amount: int, block: BlockRef, **terms: int) -> Opportunity:
        """The cycle as the router runs it: forwards to fix the last hop, then backwards."""
        forward = self._forward(names, amount)
        hops: list[Hop] = []
        owed = 0
        for name, (zero_for_one, amount_in, amount_out) in reversed(list(zip(names, forward, strict=True))):
            record = self.pools[name]
            row = self.market.pool_row[record.address]
            if hops or record.protocol is Protocol.UNISWAP_V2:
                amount_out = owed or amount_out
                amount_in = quote_exact_out(self.market.arrays, row, zero_for_one, amount_out)
            sold, bought = record.tokens if zero_for_one else record.tokens[::-1]
            hops.append(
                Hop(
                    record.address,
                    record.protocol,
                    record.venue,
                    sold,
                    bought,
                    amount_in,
                    amount_out,
                    record.fee_pips,
                )
            )
            owed = amount_in
        return Opportunity(block, self.base, tuple(reversed(hops)), **terms)

    def balance(self, token: str, account: str) -> int:
        return self.rpc.call(token, "balanceOf(address)", ["uint256"], account)[0]
