"""Prefix tables of V3 pools: always what the swap loop answers, through swaps, mints and hostile states."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from amm_evm import V3Chain, v3_row

from engine.amm.layout import (
    INSUFFICIENT_LIQUIDITY,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    OK,
    OUT_OF_KNOWN,
    TICK_LIST,
    TICK_WORDS,
    V4,
    PoolArrays,
    allocate,
    int_to_limbs,
    ints_to_limbs,
    limbs_to_int,
    limbs_to_ints,
)
from engine.amm.quote import QuoteRefused, quotes_nb, simulate_swap
from engine.amm.tick_math import sqrt_ratio_at_tick, tick_at_sqrt_ratio
from engine.amm.tick_table import table_quotes_nb
from engine.amm.tick_window import TickTables, new_tick_tables, refresh_tables_nb

SPACINGS = {100: 1, 500: 10, 3000: 60, 10000: 200}


def table_of(pools: PoolArrays) -> TickTables:
    tables = new_tick_tables(1, 1)
    tables.place[0] = 0
    refresh(tables, pools)
    return tables


def refresh(tables: TickTables, pools: PoolArrays) -> None:
    refresh_tables_nb(tables, pools, np.zeros(1, np.int32))


def ask(tables: TickTables, pools: PoolArrays, questions: list[tuple[bool, bool, int]]) -> Counter[str]:
    """Both answers to (sell token0?, exact in?, amount), which must be the same; how often which status."""
    count = len(questions)
    rows, limbs = np.zeros(count, np.int32), ints_to_limbs(amount for _, _, amount in questions)
    down = np.array([question[0] for question in questions])
    exact_in = np.array([question[1] for question in questions])
    answers = []
    for loop in (False, True):
        statuses, results = np.zeros(count, np.int64), np.zeros((count, 4), np.uint64)
        if loop:
            quotes_nb(pools, rows, down, exact_in, limbs, statuses, results)
        else:
            table_quotes_nb(tables, pools, rows, down, exact_in, limbs, statuses, results)
        answers.append((statuses.tolist(), limbs_to_ints(results)))
    (ours, got), (theirs, expected) = answers
    for question, *mine_and_loops in zip(questions, ours, theirs, got, expected, strict=True):
        mine, loops, amount, amount_of_loop = mine_and_loops
        assert mine == loops, question
        if mine in (OK, INSUFFICIENT_LIQUIDITY):
            assert amount == amount_of_loop, question
    seen = Counter(ours)
    return Counter(ok=seen[OK], dry=seen[INSUFFICIENT_LIQUIDITY], unknown=seen[OUT_OF_KNOWN])


def random_pool(rng: random.Random, fee: int) -> PoolArrays:
    """Positions of any width and weight around any price; sometimes at a tick, sometimes partly known."""
    spacing = SPACINGS[fee]
    edge = MAX_TICK // spacing
    middle = rng.choice([0, rng.randrange(-edge, edge), rng.choice([-edge + 40, edge - 40])])
    nets: dict[int, int] = {}
    gross: Counter[int] = Counter()
    width = rng.choice([4, 60, 2000])
    for _ in range(rng.choice([1, 3, 12, 60])):
        low = middle - rng.randrange(width)
        lower, upper = max(low, -edge) * spacing, min(middle + 1 + rng.randrange(width), edge) * spacing
        if rng.random() < 0.15:
            lower, upper = sorted(rng.sample(range(-edge, edge + 1), 2))
            lower, upper = lower * spacing, upper * spacing
        if rng.random() < 0.05:
            lower, upper = -edge * spacing, edge * spacing
        if lower >= upper:
            continue
        liquidity = rng.randrange(1, 10 ** rng.randrange(1, 30))
        nets[lower] = nets.get(lower, 0) + liquidity
        nets[upper] = nets.get(upper, 0) - liquidity
        gross[lower] += liquidity
        gross[upper] += liquidity
    tick = min(max(middle * spacing + rng.randrange(-3 * spacing, 3 * spacing + 1), MIN_TICK), MAX_TICK - 1)
    if nets and rng.random() < 0.3:
        tick = min(max(rng.choice(sorted(nets)), MIN_TICK), MAX_TICK - 1)
    price = sqrt_ratio_at_tick(tick)
    if rng.random() < 0.7:
        price = rng.randrange(price, sqrt_ratio_at_tick(tick + 1))
    elif rng.random() < 0.5 and tick > MIN_TICK:
        tick -= 1  # as a swap leaves it that went down onto a tick
    liquidity = sum(net for at, net in nets.items() if at <= tick)
    pools = v3_row(price, liquidity, tick, fee, spacing, sorted(nets.items()))
    pools.rules[0] = rng.choice([TICK_WORDS, TICK_WORDS, TICK_LIST, V4])
    pools.fee_pips[0, 1] = rng.choice([fee, fee, 777])
    if rng.random() < 0.2:
        pools.known_low[0] = max(tick - rng.randrange(1, 40 * spacing), MIN_TICK)
        pools.known_high[0] = min(tick + rng.randrange(1, 40 * spacing), MAX_TICK)
    return pools


def random_questions(rng: random.Random, pools: PoolArrays, count: int) -> list[tuple[bool, bool, int]]:
    """Amounts of all sizes, and those at which something happens: sums up to a stop, and their neighbours."""
    questions = []
    edges: list[int] = []
    for down in (False, True):
        for limit_tick in rng.sample(range(-60, 61), 6):
            spacing = int(pools.tick_spacing[0])
            tick = (int(pools.tick[0]) // spacing + limit_tick) * spacing
            if not MIN_TICK < tick < MAX_TICK:
                continue
            try:
                limit = sqrt_ratio_at_tick(tick)
                swap = simulate_swap(pools, 0, down, 2**200, sqrt_price_limit_x96=limit)
            except QuoteRefused:
                continue
            edges += [swap.amount_in, swap.amount_out]
    for _ in range(count):
        amount = rng.randrange(1, 2 ** rng.randrange(1, 120))
        if edges and rng.random() < 0.5:
            amount = max(rng.choice(edges) + rng.choice([-1, 0, 0, 1]), 1)
        questions.append((rng.random() < 0.5, rng.random() < 0.5, min(amount, 2**255)))
    return questions


def swap_pool(pools: PoolArrays, rng: random.Random) -> bool:
    """Move the pool as a swap would; False when it refuses."""
    amount = rng.randrange(1, 2 ** rng.randrange(1, 110))
    try:
        swap = simulate_swap(pools, 0, rng.random() < 0.5, amount, exact_in=rng.random() < 0.5)
    except QuoteRefused:
        return False
    if not MIN_SQRT_RATIO < swap.sqrt_price_x96 < MAX_SQRT_RATIO - 1:
        return False
    pools.sqrt_price[0] = int_to_limbs(swap.sqrt_price_x96)
    pools.liquidity[0] = int_to_limbs(swap.liquidity, 2)
    pools.tick[0] = swap.tick
    return True


def add_position(pools: PoolArrays, rng: random.Random) -> PoolArrays:
    """The pool after a mint, near the price or far from it, or after the burn of one side's nearest tick."""
    spacing, count = int(pools.tick_spacing[0]), int(pools.tick_count[0])
    nets = dict(
        zip(
            pools.arena_tick[:count].tolist(),
            [limbs_to_int(net) - (limbs_to_int(net) >> 127 << 128) for net in pools.arena_net[:count]],
            strict=True,
        )
    )
    base = int(pools.tick[0]) // spacing + rng.choice([0, 0, -30, 30])
    lower, upper = (base - rng.randrange(20)) * spacing, (base + 1 + rng.randrange(20)) * spacing
    if not MIN_TICK <= lower < upper <= MAX_TICK:
        return pools
    liquidity = rng.randrange(1, 10**22)
    active = limbs_to_int(pools.liquidity[0])
    outside = [at for at in nets if not lower <= at <= upper]
    if outside and rng.random() < 0.3:
        # As if a position of all that begins here had gone, and another taken its place further out.
        at = rng.choice(outside)
        moved = at + spacing * (1 if at > upper else -1)
        if MIN_TICK <= moved <= MAX_TICK and (at <= pools.tick[0]) == (moved <= pools.tick[0]):
            nets[moved] = nets.get(moved, 0) + nets.pop(at)
    else:
        nets[lower] = nets.get(lower, 0) + liquidity
        nets[upper] = nets.get(upper, 0) - liquidity
        active += liquidity if lower <= int(pools.tick[0]) < upper else 0
    price, tick = limbs_to_int(pools.sqrt_price[0]), int(pools.tick[0])
    grown = v3_row(price, active, tick, int(pools.fee_pips[0, 0]), spacing, sorted(nets.items()))
    grown.rules[0], grown.fee_pips[0] = pools.rules[0], pools.fee_pips[0]
    grown.known_low[0], grown.known_high[0] = pools.known_low[0], pools.known_high[0]
    return grown


@pytest.mark.parametrize("fee", SPACINGS)
def test_tables_answer_as_the_loop_does(fee: int):
    rng = random.Random(fee)
    seen: Counter[str] = Counter()
    for _ in range(200):
        pools = random_pool(rng, fee)
        tables = table_of(pools)
        seen += ask(tables, pools, random_questions(rng, pools, 64))
        for _ in range(6):
            if rng.random() < 0.8:
                if swap_pool(pools, rng):
                    refresh(tables, pools)
            else:
                pools = add_position(pools, rng)
                refresh(tables, pools)
            seen += ask(tables, pools, random_questions(rng, pools, 24))
    assert seen["ok"] > 10_000
    assert seen["dry"] > 2_500
    assert seen["unknown"] > 200


def test_a_table_that_was_not_refreshed_is_not_believed():
    rng = random.Random(9)
    for _ in range(60):
        pools = random_pool(rng, 3000)
        tables = table_of(pools)
        while rng.random() < 0.8:
            swap_pool(pools, rng)
        pools.fee_pips[0, 0] = rng.choice([500, 3000])
        ask(tables, pools, random_questions(rng, pools, 40))


def test_the_tables_answer_themselves_what_they_can():
    """With the tick list gone the loop would find nothing: these quotes come from the table alone."""
    nets = {n * 60: 10**21 * (1 if n < 0 else -1) for n in range(-12, 13) if n}
    tick = 7
    liquidity = sum(net for at, net in nets.items() if at <= tick)
    pools = v3_row(sqrt_ratio_at_tick(tick) + 999, liquidity, tick, 3000, 60, sorted(nets.items()))
    tables = table_of(pools)
    questions = [
        (down, exact, 10**19 * k) for down in (False, True) for exact in (False, True) for k in (1, 12)
    ]
    rows, limbs = np.zeros(len(questions), np.int32), ints_to_limbs(amount for _, _, amount in questions)
    down, exact = np.array([q[0] for q in questions]), np.array([q[1] for q in questions])
    answers = []
    for count in (int(pools.tick_count[0]), 0):
        pools.tick_count[0] = count
        statuses, results = np.zeros(len(questions), np.int64), np.zeros((len(questions), 4), np.uint64)
        table_quotes_nb(tables, pools, rows, down, exact, limbs, statuses, results)
        assert (statuses == OK).all()
        answers.append(limbs_to_ints(results))
    assert answers[0] == answers[1]


def test_rows_without_a_place_and_other_kinds_are_left_to_the_loop():
    pools = random_pool(random.Random(3), 500)
    tables = new_tick_tables(1, 1)
    refresh(tables, pools)
    ask(tables, pools, random_questions(random.Random(4), pools, 40))
    tables.place[0] = 0
    empty = allocate(1, 1)
    refresh(tables, empty)
    statuses, results = np.zeros(1, np.int64), np.zeros((1, 4), np.uint64)
    one = np.ones(1, bool)
    table_quotes_nb(tables, empty, np.zeros(1, np.int32), one, one, ints_to_limbs([5]), statuses, results)
    assert statuses[0] not in (OK, INSUFFICIENT_LIQUIDITY)


def test_tables_follow_published_bytecode():
    """A pool of the real contract: quotes before, and the table kept up to date through, its own swaps."""
    rng = random.Random(8)
    chain = V3Chain()
    pool = chain.create_pool(500, sqrt_ratio_at_tick(-1203) + 77)
    ranges = [(-887270, 887270, 10**18)]
    ranges += [
        (n * 10 - 10 * rng.randrange(1, 30), n * 10, 10 ** rng.randrange(15, 21)) for n in range(-150, -90)
    ]
    for lower, upper, liquidity in ranges:
        chain.mint(pool, lower, upper, liquidity)
    bounds = [bound for lower, upper, _ in ranges for bound in (lower, upper)]
    pools = chain.read_pool(pool, 500, bounds)
    tables, settled = table_of(pools), 0
    for _ in range(300):
        down, exact_in = rng.random() < 0.5, rng.random() < 0.5
        amount = int(10 ** rng.uniform(3, 20.5))
        limit = MIN_SQRT_RATIO + 1 if down else MAX_SQRT_RATIO - 1
        question = np.zeros(1, np.int32), np.array([down]), np.array([exact_in]), ints_to_limbs([amount])
        statuses, results = np.zeros(1, np.int64), np.zeros((1, 4), np.uint64)
        table_quotes_nb(tables, pools, *question, statuses, results)
        if statuses[0] != OK:
            continue
        swap = chain.swap(pool, down, amount if exact_in else -amount, limit)
        sold, bought = (swap.amount0, -swap.amount1) if down else (swap.amount1, -swap.amount0)
        assert limbs_to_int(results[0]) == (bought if exact_in else sold)
        settled += 1
        pools.sqrt_price[0], pools.tick[0] = int_to_limbs(swap.sqrt_price), swap.tick
        pools.liquidity[0] = int_to_limbs(swap.liquidity, 2)
        assert tick_at_sqrt_ratio(swap.sqrt_price) - swap.tick in (0, 1)
        refresh(tables, pools)
    assert settled > 200
