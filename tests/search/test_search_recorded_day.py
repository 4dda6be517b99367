"""A recorded day: every swap of two USDC/WETH pools on 2024-01-05, followed as the engine follows a chain.

The day's events do not say which ticks were initialised, so each range is taken to go on for ever: prices at
the end of a block are exact, and what is beyond them is only ever too good. Even so no block leaves an
arbitrage, because the pools' prices never differ by more than their two fees.
"""

from __future__ import annotations

import ast
import csv
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from snapshot_files import DATA

from engine.amm.layout import (
    MAX_SQRT_RATIO,
    MIN_SQRT_RATIO,
    PoolArrays,
    int_to_limbs,
    limbs_to_int,
)
from engine.amm.quote import QuoteRefused, SwapResult, simulate_swap
from engine.chain.events import V3_SWAP
from engine.chain.logs import decode
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market
from engine.search.finder import Finder
from engine.search.joint_solver import JointSolver

USDC, WETH = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
POOLS = {
    "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640": (500, 10),
    "0x8ad599c3a0ff1de082011efddc58f1908eb6e6d8": (3_000, 60),
}
MINT_TOPIC = "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde"
BURN_TOPIC = "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c"


def recorded_logs() -> list[dict[str, Any]]:
    """The day's logs in chain order, as a node would give them."""
    logs = []
    for pool in POOLS:
        path = DATA / "events" / f"ethereum-{pool}-2024-01-05.raw.csv"
        if not path.is_file():
            pytest.skip(f"{path.name} is not under ROUNDTRIP_DATA ({DATA})")
        with path.open() as file:
            for row in csv.DictReader(file):
                logs.append(
                    {
                        "address": pool,
                        "topics": ast.literal_eval(row["topics"]),
                        "data": row["data"],
                        "blockNumber": hex(int(row["block_number"])),
                        "transactionHash": row["transaction_hash"],
                        "transactionIndex": hex(int(row["transaction_index"])),
                        "logIndex": hex(int(row["log_index"])),
                        "removed": False,
                    }
                )
    return sorted(logs, key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))


def two_pools() -> Market:
    market = Market()
    market.add_token(Token(USDC, "USDC", 6))
    market.add_token(Token(WETH, "WETH", 18))
    for address, (fee, spacing) in POOLS.items():
        market.add_pool(PoolRecord(address, Protocol.UNISWAP_V3, "", (USDC, WETH), fee, spacing))
    return market


def block_hash(number: int) -> str:
    return f"0x{number:064x}"


def test_no_block_of_the_day_ends_with_an_arbitrage() -> None:
    blocks: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for log in recorded_logs():
        if log["topics"][0] == V3_SWAP:
            blocks[int(log["blockNumber"], 16)].append(log)
    first, last = min(blocks), max(blocks)
    market = two_pools()
    market.start(BlockRef(first - 1, block_hash(first - 1), block_hash(first - 2), 1))
    finder = Finder(market, [WETH, USDC], max_hops=2)
    solver = JointSolver(market.arrays, 2, 2, {1: 1.0})
    searched, widest = 0, 0.0
    for number in range(first, last + 1):
        block = BlockRef(number, block_hash(number), block_hash(number - 1), 1)
        events = decode(blocks.get(number, []), market.pool_row, market.pools, market.hubs).events
        rows = market.apply(block, events)
        if not len(rows):
            continue
        assert finder.find(rows, block) == [], f"block {number}"
        solver.read(market.arrays, rows)
        assert solver.solve().bound < 1.0, f"block {number}"
        searched += 1
        prices = [limbs_to_int(market.arrays.sqrt_price[row]) for row in (0, 1)]
        if all(prices):
            ratio = (prices[0] / prices[1]) ** 2
            widest = max(widest, max(ratio, 1 / ratio) - 1)
    assert not market.quarantined
    assert searched > 3_500
    # What others measured on the same day, and the sum of the two fees.
    assert 0.003 < widest < 0.00326 < 0.0035


@dataclass(frozen=True, slots=True)
class Step:
    """A recorded swap: the pool's (price, liquidity, tick) before and after, and what it received."""

    row: int
    before: tuple[int, int, int]
    after: tuple[int, int, int]
    received: tuple[int, int]
    undisturbed: bool


def steps() -> Iterator[Step]:
    """Every swap whose state before is known: that after the pool's swap before it. `undisturbed`: nobody
    added or removed liquidity in between."""
    state: dict[str, tuple[int, int, int]] = {}
    quiet: dict[str, bool] = {}
    for log in recorded_logs():
        pool, kind = log["address"], log["topics"][0]
        if kind in (MINT_TOPIC, BURN_TOPIC):
            quiet[pool] = False
        if kind != V3_SWAP:
            continue
        raw = bytes.fromhex(log["data"][2:])
        words = [int.from_bytes(raw[at : at + 32], "big", signed=True) for at in range(0, 160, 32)]
        after = (words[2], words[3], words[4])
        if pool in state:
            row = list(POOLS).index(pool)
            yield Step(row, state[pool], after, (words[0], words[1]), quiet[pool])
        state[pool], quiet[pool] = after, True


def reproduces(pools: PoolArrays, step: Step) -> str | None:
    """How the swap was asked for, if the engine's swap gives its amounts and its price: by its input, by its
    output, or by a price limit."""
    price, liquidity, tick = step.before
    pools.sqrt_price[step.row] = int_to_limbs(price)
    pools.liquidity[step.row] = int_to_limbs(liquidity, 2)
    pools.tick[step.row] = tick
    zero_for_one = step.received[0] > 0
    paid, got = step.received if zero_for_one else step.received[::-1]

    def same(moved: SwapResult) -> bool:
        return (moved.amount_in, moved.amount_out, moved.sqrt_price_x96) == (paid, -got, step.after[0])

    attempts = (
        ("input", paid, True, None),
        ("output", -got, False, None),
        ("price limit", 1 << 200, True, step.after[0]),
    )
    for name, amount, exact_in, limit in attempts:
        if amount <= 0 or (limit is not None and not MIN_SQRT_RATIO < limit < MAX_SQRT_RATIO):
            continue
        try:
            moved = simulate_swap(
                pools, step.row, zero_for_one, amount, exact_in=exact_in, sqrt_price_limit_x96=limit
            )
        except QuoteRefused:
            continue
        if same(moved):
            return name
    return None


def test_every_swap_of_the_day_is_reproduced_or_explained() -> None:
    pools = two_pools().arrays
    verdicts: Counter[str] = Counter()
    for step in steps():
        how = reproduces(pools, step)
        if how is not None:
            verdicts[how] += 1
        elif step.before[1] != step.after[1]:
            verdicts["crossed ticks"] += 1
        elif not step.undisturbed:
            verdicts["liquidity was added or removed before it"] += 1
        else:
            verdicts["unexplained"] += 1
    # Amounts and price to the wei; what crosses ticks needs ticks that events of one day don't show.
    assert verdicts == {
        "input": 4_912,
        "output": 581,
        "price limit": 143,
        "crossed ticks": 674,
        "liquidity was added or removed before it": 1,
    }
