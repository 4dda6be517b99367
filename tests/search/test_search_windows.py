"""Tick windows never outlive a change of their pool, and verification is the same with and without them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from search_reference import BLOCK, random_pools, to_market, token_address

from engine.amm.layout import (
    EVENT_V3_BURN,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    INSUFFICIENT_LIQUIDITY,
    KIND_V3,
    OK,
    OUT_OF_KNOWN,
    StateEvents,
    allocate_events,
    int_to_limbs,
    ints_to_limbs,
    limbs_to_int,
)
from engine.amm.quote import QuoteRefused, quotes_nb, simulate_swap
from engine.amm.tick_table import table_quotes_nb
from engine.amm.tick_window import TickTables, new_tick_tables
from engine.domain.market import BlockRef
from engine.domain.pool_state import V3PoolState
from engine.market.market import Market
from engine.search import windows
from engine.search.finder import Finder
from engine.search.solve import Solver
from engine.search.verify import verify_cycles_nb
from engine.search.windows import Windows

ROUNDS, QUESTIONS = 60, 24


def child(parent: BlockRef, fork: int) -> BlockRef:
    number = parent.number + 1
    return BlockRef(number, f"0x{fork << 64 | number:064x}", parent.hash, parent.timestamp + 12)


class World:
    """A market of V3 pools to which everything happens that can happen to one."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.market = to_market(random_pools(self.rng, 5, 8, 1.0, 0.02), 5)
        self.held: list[tuple[int, int, int, int]] = []
        self.blocks = 0

    def block(self, events: StateEvents) -> None:
        head = self.market.head
        assert head is not None
        self.blocks += 1
        self.market.apply(child(head, self.blocks), events)

    def swap(self, row: int) -> None:
        arrays, down = self.market.arrays, self.rng.random() < 0.5
        price = limbs_to_int(arrays.sqrt_price[row])
        limit = (
            int(price * (1 - 10 ** self.rng.uniform(-6, -1)) if down else price * self.rng.uniform(1, 1.1))
            + 1
        )
        try:
            after = simulate_swap(arrays, row, down, 1 << 160, sqrt_price_limit_x96=limit)
        except QuoteRefused:
            return
        events = allocate_events(1)
        events.kind[0], events.pool[0], events.tick_lower[0] = EVENT_V3_SWAP, row, after.tick
        events.a[0], events.b[0] = int_to_limbs(after.sqrt_price_x96), int_to_limbs(after.liquidity)
        self.block(events)

    def mint(self, row: int) -> None:
        spacing, tick = self.market.pools[row].tick_spacing, int(self.market.arrays.tick[row])
        lower = (tick // spacing + self.rng.randint(-9, 8)) * spacing
        position = (row, 10 ** self.rng.randint(3, 20), lower, lower + self.rng.randint(1, 9) * spacing)
        self.held.append(position)
        self._move(EVENT_V3_MINT, position)

    def burn(self, row: int) -> None:
        if self.held:
            self._move(EVENT_V3_BURN, self.held.pop(self.rng.randrange(len(self.held))))

    def _move(self, kind: int, position: tuple[int, int, int, int]) -> None:
        events = allocate_events(1)
        events.kind[0], events.pool[0] = kind, position[0]
        events.a[0] = int_to_limbs(position[1])
        events.tick_lower[0], events.tick_upper[0] = position[2:]
        self.block(events)

    def undo(self, row: int) -> None:
        head = self.market.head
        assert head is not None
        if head.number > BLOCK.number:
            # What was minted since is gone with its block: burning it again would be a fault of the test.
            held = list(self.held)
            self.market.rewind(head.parent_hash)
            self.held = [position for position in held if self._is_held(position)]

    def _is_held(self, position: tuple[int, int, int, int]) -> bool:
        ticks = set(self.market.tables.read_ticks(position[0])[0].tolist())
        return {*position[2:]} <= ticks

    def read(self, row: int) -> None:
        """Another reading: the same pool, the ticks known less far, or a position nobody logged."""
        state = self.market.state_of(row)
        assert isinstance(state, V3PoolState)
        known = (state.tick - self.rng.randint(0, 3_000), state.tick + self.rng.randint(0, 3_000))
        ticks = tuple(entry for entry in state.ticks if known[0] <= entry[0] <= known[1])
        if self.rng.random() < 0.3:
            known, ticks = (-887272, 887272), state.ticks
        self.market.set_state(
            row, V3PoolState(state.pool, state.sqrt_price_x96, state.liquidity, state.tick, ticks, known)
        )

    def hide(self, row: int) -> None:
        if row in self.market.quarantined:
            if not self.market.tables.stale[row]:
                self.market.release(row)
        else:
            self.market.quarantine(row, "a test")


def answers(
    tables: TickTables | None, market: Market, questions: list[tuple[int, bool, bool, int]]
) -> list[tuple]:
    rows = np.array([question[0] for question in questions], np.int32)
    down = np.array([question[1] for question in questions])
    exact_in = np.array([question[2] for question in questions])
    limbs = ints_to_limbs(question[3] for question in questions)
    statuses, results = np.zeros(len(rows), np.int64), np.zeros((len(rows), 4), np.uint64)
    if tables is None:
        quotes_nb(market.arrays, rows, down, exact_in, limbs, statuses, results)
    else:
        table_quotes_nb(tables, market.arrays, rows, down, exact_in, limbs, statuses, results)
    moved = [limbs_to_int(limb) for limb in results]
    return [
        (status, amount if status in (OK, INSUFFICIENT_LIQUIDITY) else 0)
        for status, amount in zip(statuses.tolist(), moved, strict=True)
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("most", [4, 4096])
def test_no_change_of_a_pool_leaves_a_window_behind(
    seed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Swaps, mints, burns, reorganisations, readings, quarantines, nobody told of any: whatever is seen of a
    window answers as the swap loop does. With four places they are handed round."""
    monkeypatch.setattr(windows, "MOST_PLACES", most)
    world, kept = World(seed), Windows()
    rng, rows = world.rng, range(len(world.market.pools))
    happenings = (world.swap, world.mint, world.burn, world.undo, world.read, world.hide)
    seen: set[tuple[str, int]] = set()
    for _ in range(ROUNDS):
        happening = rng.choice(happenings)
        happening(rng.choice(rows))
        kept.begin()
        chosen = rng.sample(rows, 5)
        cycles = np.full((len(chosen), 4), -1, np.int32)
        cycles[:, 0] = [2 * row + rng.randint(0, 1) for row in chosen]
        tables = kept.show(world.market.arrays, cycles, np.arange(len(chosen)))
        held = [row for row in rows if world.market.arrays.kind[row] == KIND_V3]
        shown = {row for row in rows if tables.place[row] >= 0}
        assert shown <= set(chosen)
        assert most == 4 or shown == set(chosen) & set(held)
        questions = [
            (rng.choice(held), rng.random() < 0.5, rng.random() < 0.5, int(10 ** rng.uniform(0, 30)))
            for _ in range(QUESTIONS)
        ]
        got, expected = answers(tables, world.market, questions), answers(None, world.market, questions)
        assert got == expected, happening.__name__
        seen |= {(happening.__name__, status) for status, _ in got}
    assert {name for name, status in seen if status == OK} == {happening.__name__ for happening in happenings}
    assert {INSUFFICIENT_LIQUIDITY, OUT_OF_KNOWN} <= {status for _, status in seen}


@pytest.mark.parametrize("seed", range(3))
def test_verification_is_the_same_without_windows(seed: int) -> None:
    rng = random.Random(seed)
    market = to_market(random_pools(rng, 7, 40, 0.8, 0.01), 7)
    finder = Finder(market, [token_address(0), token_address(2)], 4)
    solved = finder.solve()
    picks = np.flatnonzero((solved.cycles[:, :1] >= 0).ravel())[:400]
    assert len(picks) > 100
    caps = np.full((len(market.tokens), 2), ~np.uint64(0))
    sizes = Solver(market.arrays, caps, Windows()).size(solved, picks)
    results = []
    for tables in (Windows().show(market.arrays, solved.cycles, picks), new_tick_tables(0, 1)):
        codes, amounts = np.zeros(len(solved.cycles), np.uint8), np.zeros_like(solved.amounts)
        verify_cycles_nb(
            market.arrays, tables, solved.cycles, picks, sizes, caps, 0, len(picks), amounts, codes
        )
        results.append((codes, amounts))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])
    assert results[0][0][picks].any()
