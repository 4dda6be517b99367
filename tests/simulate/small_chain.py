"""A small chain with two real Uniswap V2 factories, a searcher who lands an arbitrage, and one left open."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from engine.app.toolchain import forge_artifact, npm_artifact
from engine.domain.market import ZERO_ADDRESS, BlockRef, Protocol
from engine.domain.opportunity import Hop, Opportunity
from engine.execution.encoder import encode_stream

RESERVES = (10**21, 2 * 10**24)
SHOVE = 5 * 10**19
GAS = 6_000_000


@dataclass(frozen=True, slots=True)
class SmallChain:
    """`landed_block` holds the searcher's arbitrage behind the swap that allowed it; it leaves the pools
    apart for the next, `open_block`, in which only one of them trades. Profit in base units."""

    landed_block: int
    open_block: int
    searcher_profit: int
    table: Path


class Driver:
    """Plain JSON-RPC from the node's unlocked accounts; every transaction must succeed."""

    def __init__(self, url: str):
        self._url = url
        self.owner, self.searcher = self.rpc("eth_accounts")[:2]

    def rpc(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.loads(response.read())
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def send(self, to: str | None, data: bytes, sender: str | None = None) -> str:
        call = {"from": sender or self.owner, "data": "0x" + data.hex(), "gas": hex(GAS)}
        return self.rpc("eth_sendTransaction", call | ({"to": to} if to else {}))

    def block(self, *hashes: str) -> int:
        """Mine what was sent into one block."""
        self.rpc("evm_mine")
        receipts = [self.rpc("eth_getTransactionReceipt", hash_) for hash_ in hashes]
        assert all(receipt["status"] == "0x1" for receipt in receipts), receipts
        assert len({receipt["blockNumber"] for receipt in receipts}) == 1
        return int(receipts[0]["blockNumber"], 16)

    def deploy(self, code: bytes) -> str:
        hash_ = self.send(None, code)
        self.block(hash_)
        return self.rpc("eth_getTransactionReceipt", hash_)["contractAddress"].lower()

    def read(self, to: str, data: bytes) -> list[int]:
        raw = self.rpc("eth_call", {"to": to, "data": "0x" + data.hex()}, "latest")
        return [int(raw[at : at + 64], 16) for at in range(2, len(raw), 64)]


def method(signature: str, *arguments: Any) -> bytes:
    types = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(types.split(",") if types else [], arguments)


def amount_out(given: int, reserve_in: int, reserve_out: int) -> int:
    return given * 997 * reserve_out // (reserve_in * 1000 + given * 997)


def amount_in(wanted: int, reserve_in: int, reserve_out: int) -> int:
    return reserve_in * wanted * 1000 // ((reserve_out - wanted) * 997) + 1


class Market:
    """Two pairs of the same two tokens."""

    def __init__(self, driver: Driver):
        self.driver = driver
        creation = forge_artifact("WorldToken").bytecode
        made = [
            driver.deploy(creation + encode(["string", "string", "uint8"], [n, n, 18]))
            for n in ("BASE", "QUOTE")
        ]
        self.base, self.quote = made
        factory = npm_artifact("@uniswap/v2-core", "build/UniswapV2Factory.json", "UniswapV2Factory").bytecode
        self.factories = [driver.deploy(factory + encode(["address"], [driver.owner])) for _ in range(2)]
        self.pairs = [self._pair(one) for one in self.factories]

    def _pair(self, factory: str) -> str:
        driver = self.driver
        driver.block(driver.send(factory, method("createPair(address,address)", self.base, self.quote)))
        (pair,) = driver.read(factory, method("getPair(address,address)", self.base, self.quote))
        address = f"0x{pair:040x}"
        for token, amount in zip((self.base, self.quote), RESERVES, strict=True):
            driver.block(driver.send(token, method("mint(address,uint256)", address, amount)))
            driver.block(driver.send(token, method("mint(address,uint256)", driver.owner, 10**30)))
        driver.block(driver.send(address, method("mint(address)", driver.owner)))
        return address

    def reserves(self, pair: str) -> tuple[int, int]:
        """Of the base and of the quote token."""
        reserve0, reserve1, _ = self.driver.read(pair, method("getReserves()"))
        return (reserve0, reserve1) if self.base < self.quote else (reserve1, reserve0)

    def buy_quote(self, pair: str, given: int) -> list[str]:
        """Transactions of a swap of `given` base for quote at the pair's present reserves."""
        out = amount_out(given, *self.reserves(pair))
        outs = (0, out) if self.base < self.quote else (out, 0)
        driver = self.driver
        return [
            driver.send(self.base, method("transfer(address,uint256)", pair, given)),
            driver.send(pair, method("swap(uint256,uint256,address,bytes)", *outs, driver.owner, b"")),
        ]

    def table(self, path: Path) -> Path:
        pair = npm_artifact("@uniswap/v2-core", "build/UniswapV2Pair.json", "UniswapV2Pair").bytecode
        venues = "".join(
            f'[[venues]]\nname = "V2 {n}"\nprotocol = "uniswap-v2"\nfactory = "{factory}"\n'
            f'init_code_hash = "0x{keccak(pair).hex()}"\nfee_pips = 3000\n'
            for n, factory in enumerate(self.factories)
        )
        token = f'{{ address = "{self.base}", symbol = "BASE", decimals = 18 }}'
        path.write_text(
            f'chain_id = 31337\nwrapped_native = "{self.base}"\nbase_tokens = [{token}]\n{venues}'
        )
        return path


def build(url: str, folder: Path) -> SmallChain:
    """Write the chain's history on a node that mines on request, in order of arrival."""
    driver = Driver(url)
    market = Market(driver)
    near, far = market.pairs
    arguments = encode(["address"] * 6, [driver.searcher, driver.owner, *[ZERO_ADDRESS] * 4])
    router = driver.deploy(forge_artifact("ArbitrageRouter").bytecode + arguments)
    shoved = (RESERVES[0] + SHOVE, RESERVES[1] - amount_out(SHOVE, *RESERVES))
    # A quarter of the shove is well short of the best size.
    cycle = _cycle(market, far, near, amount_out(SHOVE // 4, *RESERVES), shoved)
    timestamp = int(driver.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    hashes = market.buy_quote(near, SHOVE)
    hashes.append(driver.send(router, encode_stream(cycle, timestamp + 10_000, 0), driver.searcher))
    landed_block = driver.block(*hashes)
    open_block = driver.block(*market.buy_quote(near, 10**15))
    return SmallChain(landed_block, open_block, cycle.gross_profit, market.table(folder / "table.toml"))


def _cycle(market: Market, first: str, second: str, middle: int, shoved: tuple[int, int]) -> Opportunity:
    """Buy `middle` quote at an untouched pair, sell it at the one with reserves `shoved`."""
    given = amount_in(middle, *RESERVES)
    got = amount_out(middle, shoved[1], shoved[0])
    hops = (
        Hop(first, Protocol.UNISWAP_V2, "", market.base, market.quote, given, middle, 3000),
        Hop(second, Protocol.UNISWAP_V2, "", market.quote, market.base, middle, got, 3000),
    )
    return Opportunity(BlockRef(0, "", "", 0), market.base, hops)
