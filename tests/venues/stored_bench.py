"""A venue of mainnet as it was: its code and its storage before a stored block, on a node of our own, beside
two pairs of published code, at one of which the base token buys more than at the venue, at the other less."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi import encode
from eth_utils import keccak
from venue_bench import Bench

from benchmarks.gas import OPERATOR, row_of
from benchmarks.gas_market import GasMarket, Node, NodeRefused
from engine.amm.quote import quote_exact_in
from engine.app.simulate.blocks import StoredBlock, genesis, load_block
from engine.app.simulate.completeness import unknown_slots
from engine.app.toolchain import forge_artifact
from engine.app.world.dexes import published
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.chain.readers.families import read_states
from engine.chain.readers.reading import Reading
from engine.chain.rpc import connect
from engine.domain.execution import Pinned
from engine.domain.market import ZERO_ADDRESS, ZERO_HASH, BlockRef, PoolRecord, Protocol, Token
from engine.domain.pool_state import PoolState
from engine.market.market import Market

WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
# A pair holds so many times what is sold, and its price is off by so many per cent.
DEEP, OFF = 100, 8
_CURVE = {Protocol.CURVE_STABLESWAP, Protocol.CURVE_CRYPTOSWAP}
# Where tokens keep what they say of themselves and of their holders.
_SLOTS = 256
_RICH = 10**30


@dataclass(frozen=True, slots=True)
class Case:
    """A venue in a block, the base token and the other that is traded there, and how much of the base token.
    `decimals` of tokens that have not 18."""

    block: int
    record: PoolRecord
    base: str
    other: str
    amount: int
    decimals: dict[str, int]


class StoredMarket(GasMarket):
    """The venue by the name `real`, the pairs as `cheap` and `dear`."""

    def __init__(self, node: Node, case: Case) -> None:
        self.node, self.case, self.record = node, case, case.record
        self.owner, self.operator = node("eth_accounts")[0], OPERATOR
        for account in (self.owner, OPERATOR):
            node("anvil_setBalance", account, hex(_RICH))
        self.pools, self.readers = {"real": case.record}, {case.record.key: self.state}
        self.market, self.pinned = Market(), Pinned(wrapped_native=WETH)
        self.written: dict[str, set[int]] = {}
        known = (OPERATOR, self.owner, WETH, *[ZERO_ADDRESS] * 3)
        self.router = self.deploy(forge_artifact("ArbitrageRouter").bytecode + encode(["address"] * 6, known))
        self.tokens = [case.base, case.other]
        for token in case.record.tokens:
            self.market.add_token(Token(token, "REAL", 18))
        self.market.add_pool(case.record)
        self._complete()
        self.refresh()
        for name, percent in (("cheap", 100 + OFF), ("dear", 100 - OFF)):
            self._add_pair(name, percent)
        self.refresh()

    def state(self) -> PoolState:
        """The venue's, by the engine's own reader, at the head."""

        async def read() -> PoolState:
            async with connect(self.node.url) as connection:
                head = await connection.request("eth_getBlockByNumber", ["latest", False])
                number, time = int(head["number"], 16), int(head["timestamp"], 16)
                reading = Reading(connection, BlockRef(number, head["hash"], ZERO_HASH, time))
                await read_states(reading, [self.record])
                assert not reading.refused, reading.refused
                return reading.states[self.record.key]

        return asyncio.run(read())

    def _complete(self) -> None:
        """What the block did not touch and the chain is known to hold: the addresses of the venue's coins,
        their decimals, and at least what the venue says it holds of them. A token of ours stands for a coin
        without code, which is not traded."""
        kind = self._numbers_coins_by()
        for coin, token in enumerate(self.record.tokens):
            self._complete_token(token)
            if self.record.protocol not in _CURVE:
                continue
            venue = self.record.address
            (named,) = self.node.read(venue, ["address"], f"coins({kind})", coin)
            if named == ZERO_ADDRESS:
                self._write(venue, int.from_bytes(keccak(bytes(32))) + coin, int(token, 16))
            (says,) = self.node.read(venue, ["uint256"], f"balances({kind})", coin)
            (holds,) = self.node.read(token, ["uint256"], "balanceOf(address)", venue)
            if holds < says:
                self.give(token, venue, says)

    def _numbers_coins_by(self) -> str:
        try:
            self.node.read(self.record.address, ["address"], "coins(uint256)", 0)
        except NodeRefused:
            return "int128"
        return "uint256"

    def _complete_token(self, token: str) -> None:
        decimals = self.case.decimals.get(token, 18)
        if self.node("eth_getCode", token, "latest") == "0x":
            arguments = encode(["string", "string", "uint8"], ["", "", decimals])
            made = self.deploy(forge_artifact("WorldToken").bytecode + arguments)
            self.node("anvil_setCode", token, self.node("eth_getCode", made, "latest"))
        for slot in range(_SLOTS):
            if self.node.read(token, ["uint256"], "decimals()") == (decimals,):
                return
            before = self._write(token, slot, decimals)
            if self.node.read(token, ["uint256"], "decimals()") != (decimals,):
                self._restore(token, slot, before)
        raise ValueError(f"{token} keeps its decimals in none of its first slots")

    def _add_pair(self, name: str, percent: int) -> None:
        """At it the base token buys `percent` of what it buys at the venue."""
        base, other = self.tokens
        factory = self.deploy(published("UniswapV2Factory").bytecode + encode(["address"], [self.owner]))
        self.send(factory, "createPair(address,address)", base, other)
        (pair,) = self.node.read(factory, ["address"], "getPair(address,address)", base, other)
        row, sells_first = row_of(self, self.record, base, other)
        bought = quote_exact_in(self.market.arrays, row, sells_first, self.case.amount)
        self.give(base, pair.lower(), DEEP * self.case.amount)
        self.give(other, pair.lower(), DEEP * bought * percent // 100)
        self.send(pair, "mint(address)", self.owner)
        tokens = sorted(self.tokens, key=lambda token: int(token, 16))
        self._register(name, Protocol.UNISWAP_V2, pair.lower(), (tokens[0], tokens[1]), 3000)

    def give(self, token: str, to: str, amount: int) -> None:
        """Write a balance where the token keeps it: in shares, for a token that has them."""
        holder = encode(["address"], [to])
        for position in range(_SLOTS):
            place = encode(["uint256"], [position])
            for key in (holder + place, place + holder):
                slot = int.from_bytes(keccak(key))
                before = self._write(token, slot, amount)
                try:
                    (held,) = self.node.read(token, ["uint256"], "balanceOf(address)", to)
                except NodeRefused:
                    held = 0
                if held >= amount:
                    self._write(token, slot, amount * amount // held + (held > amount))
                    return
                self._restore(token, slot, before)
        raise ValueError(f"{token} keeps no balances in its first slots")

    def _write(self, contract: str, slot: int, value: int) -> int:
        """The value before."""
        place = f"0x{slot:064x}"
        before = int(self.node("eth_getStorageAt", contract, place, "latest"), 16)
        self.node("anvil_setStorageAt", contract, place, f"0x{value:064x}")
        self.written.setdefault(contract, set()).add(slot)
        return before

    def _restore(self, contract: str, slot: int, value: int) -> None:
        self._write(contract, slot, value)
        self.written[contract].discard(slot)


class StoredBench(Bench):
    """The market just before the block's transactions."""

    def __init__(self, market: StoredMarket, block: StoredBlock) -> None:
        self.node, self.market, self.lenders = market.node, market, set()
        self.node("anvil_impersonateAccount", OPERATOR)
        self.known: dict[str, set[int]] = {
            name: {*account.storage, *market.written.get(name, ())} for name, account in block.state.items()
        }
        self.landed: list[dict[str, Any]] = []
        self.keep()

    def send(self, stream: bytes, sender: str = OPERATOR) -> dict[str, Any]:
        receipt = super().send(stream, sender)
        self.landed.append(receipt)
        return receipt

    def unknown(self) -> dict[str, list[int]]:
        """What the last run read of mainnet's contracts that the stored block does not hold and nobody has
        completed; entries about contracts of our own are zero in truth too."""
        ours = {self.market.router, self.market.owner, OPERATOR}
        ours |= {self.market.pools[name].address for name in ("cheap", "dear")}

        async def ask() -> dict[str, list[int]]:
            async with connect(self.node.url) as connection:
                return await unknown_slots(connection, self.landed[-1]["transactionHash"], self.known, ours)

        pair = self.market.router, self.market.record.address
        zero = {*_slots_of_allowances(*pair), *_slots_about(pair[1])}
        found = {name: set(slots) - zero for name, slots in asyncio.run(ask()).items()}
        return {name: sorted(slots) for name, slots in found.items() if slots}


def _slots_about(venue: str) -> Iterator[int]:
    """Where a token may keep that it has barred the venue; what it holds of the token was completed."""
    key = encode(["address"], [venue])
    for position in range(_SLOTS):
        place = encode(["uint256"], [position])
        yield from (int.from_bytes(keccak(key + place)), int.from_bytes(keccak(place + key)))


def _slots_of_allowances(owner: str, spender: str) -> Iterator[int]:
    """Where a token may keep what `owner` allows `spender`, by Solidity's order of key and slot and by
    Vyper's."""
    keys = encode(["address"], [owner]), encode(["address"], [spender])
    for position in range(_SLOTS):
        place = encode(["uint256"], [position])
        yield int.from_bytes(keccak(keys[1] + keccak(keys[0] + place)))
        yield int.from_bytes(keccak(keccak(place + keys[0]) + keys[1]))


@contextmanager
def stored(blocks: Path, case: Case, scratch: Path) -> Iterator[StoredBench]:
    """A node with the state before the case's block, and the market in it."""
    block = load_block(blocks / str(case.block))
    timestamp = block.timestamp - 1
    path = scratch / f"{case.block}.json"
    path.write_text(json.dumps(genesis(block.state, block.header, 31337, timestamp)))
    with AnvilProcess(AnvilOptions(timestamp=timestamp, init=path, gas_limit=60_000_000)) as anvil:
        yield StoredBench(StoredMarket(Node(anvil.http_url), case), block)
