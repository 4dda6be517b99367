"""Venues of stored blocks as the engine finds and reads them, and what they really pay."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import permutations
from typing import Any

from eth_utils import keccak
from stored_bench import StoredBench

from benchmarks.gas import OPERATOR, row_of
from benchmarks.gas_market import NodeRefused, calldata
from engine.amm.quote import QuoteRefused, quote_exact_in
from engine.chain.bootstrap import bootstrap
from engine.chain.discovery import find_pools
from engine.chain.rpc import connect
from engine.chain.wire import header
from engine.domain.market import ZERO_HASH, Protocol, Venue
from engine.domain.pool_state import Bootstrap, PartialState

# Parts of what the pool holds.
_PARTS = (8, 1_000, 10**6 + 3)


def found(bench: StoredBench) -> tuple[Bootstrap, dict[str, str]]:
    """What a search and a reading make of a registry's entry that names the contract and its code's hash, and
    why anything was refused. Symbols, which no block need touch, are known beforehand."""
    record, node = bench.market.record, bench.node
    code = bytes.fromhex(node("eth_getCode", record.address, "latest")[2:])
    venue = Venue(
        record.venue, record.protocol, record.address, record.address, ZERO_HASH, "0x" + keccak(code).hex()
    )
    known = PartialState(tokens={token.address: token for token in bench.market.market.tokens})

    async def ask() -> tuple[Bootstrap, dict[str, str]]:
        async with connect(node.url) as connection:
            head = header(await connection.request("eth_getBlockByNumber", ["latest", False])).ref
            pools, refused = await find_pools(connection, [venue], head.number, head)
            read = await bootstrap(connection, pools, [venue], head, partial=known)
            return read, refused | read.refused

    return asyncio.run(ask())


def payments(bench: StoredBench) -> Iterator[tuple[tuple[int, int, int], int | None, int | None]]:
    """((coin sold, coin bought, amount), computed, paid) of every two coins of a Curve pool, each bought of
    the contract itself; None where it cannot be."""
    record, node = bench.market.record, bench.node
    kind = "uint256" if record.protocol is Protocol.CURVE_CRYPTOSWAP else "int128"
    held = bench.market.state().balances  # type: ignore[union-attr]
    for token, amount in zip(record.tokens, held, strict=True):
        bench.market.give(token, OPERATOR, amount)
        _transact(bench, token, "approve(address,uint256)", record.address, amount)
    for coin_in, coin_out in permutations(range(len(record.tokens)), 2):
        for part in _PARTS:
            amount, bought = held[coin_in] // part, record.tokens[coin_out]
            row, sells_first = row_of(bench.market, record, record.tokens[coin_in], bought)
            try:
                computed = quote_exact_in(bench.market.market.arrays, row, sells_first, amount)
            except QuoteRefused:
                computed = None
            exchange = f"exchange({kind},{kind},uint256,uint256)"
            before, snapshot = _held(bench, bought), node("evm_snapshot")
            try:
                _transact(bench, record.address, exchange, coin_in, coin_out, amount, 0)
                paid = _held(bench, bought) - before
            except (NodeRefused, RuntimeError):
                paid = None
            node("evm_revert", snapshot)
            yield (coin_in, coin_out, amount), computed, paid


def _held(bench: StoredBench, token: str) -> int:
    return bench.node.read(token, ["uint256"], "balanceOf(address)", OPERATOR)[0]


def _transact(bench: StoredBench, to: str, signature: str, *arguments: Any) -> None:
    data = "0x" + calldata(signature, *arguments).hex()
    bench.market.transact({"from": OPERATOR, "to": to, "data": data})
