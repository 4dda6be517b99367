"""Recall where Curve pools are in the cycle: read from the block's own state, searched, exact in integers.

A block's stored state holds what its transactions touched: of a Curve pool that was traded in, balances,
amplification and fees, but not always the addresses and decimals of its other coins. Those never change, and
are given here for the large pools. A state counts as known only if it gives the searcher's own output for the
searcher's own input.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.amm.quote import QuoteRefused, quote_exact_in
from engine.app.loading import load
from engine.app.simulate.acting import latest
from engine.app.simulate.arbitrages import LandedArbitrage
from engine.app.simulate.blocks import StoredBlock, load_block
from engine.app.simulate.chain_table import ChainTable
from engine.app.simulate.pools import find_pools, partial_state
from engine.app.simulate.replay import stored_replayer
from engine.app.simulate.swaps import CURVE, Swap
from engine.chain.bootstrap import bootstrap
from engine.chain.readers.families import read_states
from engine.chain.readers.reading import Reading
from engine.chain.wire import selector
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.domain.pool_details import (
    CryptoSwapVariant,
    CurveCryptoDetails,
    CurveStableDetails,
    StableSwapVariant,
)
from engine.domain.ports import Node
from engine.market.market import Market
from engine.search.finder import Finder

_DECIMALS, _BALANCE_OF = ("0x" + selector(name).hex() for name in ("decimals()", "balanceOf(address)"))
_LONGEST_CYCLE = 4
_PLENTY = "0x" + f"{1 << 128:064x}"

# What never changes about coins and pools, as Curve's own registries list them.
_COINS = {
    "DAI": ("0x6b175474e89094c44da98b954eedeac495271d0f", 18),
    "USDC": ("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", 6),
    "USDT": ("0xdac17f958d2ee523a2206206994597c13d831ec7", 6),
    "sUSD": ("0x57ab1ec28d129707052df4df418d58a2d46d5f51", 18),
    "USDP": ("0x8e870d67f660d95d5be530380d0ec0bd388289e1", 18),
    "crvUSD": ("0xf939e0a03fb07f59a73314e73794be0e57ac1b4e", 18),
    "WETH": ("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", 18),
    "WBTC": ("0x2260fac5e5542a773aa44fbcfedf7c193bc2c599", 8),
    "CRV": ("0xd533a949740bb3306d119cc777fa900ba034cd52", 18),
}
_STABLE = {
    "0xa5407eae9ba41422680e2e00537571bcc53efbfd": ("DAI USDC USDT sUSD", StableSwapVariant.SUSD),
    "0xbebc44782c7db0a1a60cb6fe97d0b483032ff1c7": ("DAI USDC USDT", StableSwapVariant.THREE_POOL),
    "0xca978a0528116dda3cba9acd3e68bc6191ca53d0": ("USDP crvUSD", StableSwapVariant.FACTORY),
    "0x4dece678ceceb27446b35c672dc7d61f30bad69e": ("USDC crvUSD", StableSwapVariant.FACTORY),
    "0x390f3595bca2df7d23783dfd126427cceb997bf4": ("USDT crvUSD", StableSwapVariant.FACTORY),
}
_CRYPTO = {
    "0x4ebdf703948ddcea3b11f675b4d1fba9d2414a14": "crvUSD WETH CRV",
    "0x7f86bf177dd4f3494b841a37e810a34dd56c829b": "USDC WBTC WETH",
    "0xf5f5b97624542d72a9e06f04804bf81baa15e2b4": "USDT WBTC WETH",
}


@dataclass(frozen=True, slots=True)
class Searched:
    """`profit` is the best found on the searcher's pools, base units before gas; `unknown` says why a pool's
    state is not known, and then nothing was searched."""

    profit: int | None
    unknown: tuple[str, ...] = ()


def curve_record(address: str) -> PoolRecord | None:
    """What never changes about a Curve pool, where it is listed."""
    if address in _STABLE:
        names, variant = _STABLE[address]
        details: Any = CurveStableDetails(variant)
        protocol = Protocol.CURVE_STABLESWAP
    elif address in _CRYPTO:
        names, protocol = _CRYPTO[address], Protocol.CURVE_CRYPTOSWAP
        precisions = tuple(10 ** (18 - _COINS[name][1]) for name in names.split())
        details = CurveCryptoDetails(CryptoSwapVariant.TRICRYPTO, precisions)
    else:
        return None
    return PoolRecord(address, protocol, "", tuple(_COINS[name][0] for name in names.split()), 0, 0, details)


class GivenCoins:
    """A node that knows the decimals of the listed coins, and takes Curve's pools to hold what they say."""

    def __init__(self, node: Node):
        self._node = node
        self._decimals = {address: "0x" + f"{decimals:064x}" for address, decimals in _COINS.values()}

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        return await self._node.request(method, params)

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        given = [self._given(*call) for call in calls]
        asked = [call for call, answer in zip(calls, given, strict=True) if answer is None]
        answers = iter(await self._node.batch(asked) if asked else [])
        return [next(answers) if answer is None else answer for answer in given]

    def _given(self, method: str, params: Sequence[Any]) -> str | None:
        if method != "eth_call" or params[0]["to"] not in self._decimals:
            return None
        data = params[0]["data"]
        if data == _DECIMALS:
            return self._decimals[params[0]["to"]]
        return _PLENTY if data.startswith(_BALANCE_OF) else None


async def search_with_curve(folder: Path, landed: LandedArbitrage, table: ChainTable) -> Searched:
    """Search the searcher's pools in the state just before the searcher's transaction."""
    block = load_block(folder)
    with tempfile.TemporaryDirectory(prefix="roundtrip-recall-") as scratch:
        async with stored_replayer(block, table.chain_id, Path(scratch)) as replayer:
            if landed.tx_index:
                await replayer.run(landed.tx_index)
            state = await replayer.state() if landed.tx_index else block.state
            head = await latest(replayer.node)
            market = await _market(replayer.node, block, landed, table, head, state)
    unknown = tuple(reason for swap in landed.cycle if (reason := _differs(market, swap)) is not None)
    if unknown:
        return Searched(None, unknown)
    found = Finder(market, [landed.base_token], _LONGEST_CYCLE).find(None, head, limit=1)
    return Searched(found[0].gross_profit if found else None)


async def _market(
    node: Node, block: StoredBlock, landed: LandedArbitrage, table: ChainTable, head: BlockRef, state: Any
) -> Market:
    """The cycle's pools as far as they can be read."""
    known = {address: account.storage for address, account in block.state.items()}
    market = Market(block_interval=block.timestamp - head.timestamp)
    market.start(head)
    plain = [swap.pool for swap in landed.cycle if swap.protocol != CURVE]
    found = await find_pools(node, plain, table, head, known)
    partial = await partial_state(node, found.records, state, known, table, head)
    venues = (*table.venues, *found.venues)
    load(market, await bootstrap(node, found.records, venues, head, partial=partial))
    records = [record for swap in landed.cycle if (record := curve_record(swap.pool)) is not None]
    reading = Reading(GivenCoins(node), head, trade_time=block.timestamp)
    await read_states(reading, records)
    for record in records:
        if record.key in reading.states:
            for token in record.tokens:
                if token not in market.token_row:
                    decimals = next(each for address, each in _COINS.values() if address == token)
                    market.add_token(Token(token, token[:8], decimals))
            market.set_state(market.add_pool(record), reading.states[record.key])
    return market


def _differs(market: Market, swap: Swap) -> str | None:
    """Why the pool's state is not known; None when it gives the searcher's output for his input."""
    first = market.pool_row.get(swap.pool)
    if first is None:
        return f"pool {swap.pool}: its state cannot be read, or its coins are not listed"
    pair = {market.token_row[swap.token_in], market.token_row[swap.token_out]}
    arrays = market.arrays
    for row in market.rows_of(first):
        if {int(arrays.token0[row]), int(arrays.token1[row])} == pair:
            zero_for_one = int(arrays.token0[row]) == market.token_row[swap.token_in]
            try:
                gives = quote_exact_in(arrays, row, zero_for_one, swap.amount_in)
            except QuoteRefused as error:
                return f"pool {swap.pool}: {error}"
            # A V2 pair may be asked for less than it would give; Curve pays what it computes.
            if gives == swap.amount_out or (swap.protocol != CURVE and gives >= swap.amount_out):
                return None
            return f"pool {swap.pool}: it paid {swap.amount_out} where its known state gives {gives}"
    return f"pool {swap.pool}: its coins are not those of the swap"
