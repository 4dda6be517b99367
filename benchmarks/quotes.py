"""Exact quotes in batches: ours, the plain-integer twin, the published bytecode, and the newest degenbot."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from eth_abi import encode
from eth_utils import keccak

from benchmarks.measure import Contender, Result, Timing, compared, main, race
from benchmarks.peers import degenbot_quotes
from benchmarks.quote_families import FamilyPool, families
from benchmarks.twins import twin
from engine.amm.layout import KIND_V2, OK, PoolArrays, allocate, int_to_limbs, ints_to_limbs, limbs_to_ints
from engine.amm.one_quote import Quoter
from engine.amm.quote import quotes_nb
from engine.amm.tick_math import sqrt_ratio_at_tick
from engine.amm.tick_table import table_quotes_nb
from engine.amm.tick_window import new_tick_tables, refresh_tables_nb

ROUNDS = 15
TURN_NS = 5_000_000  # the least a turn takes
BATCH = 20_000
PLAIN = 500
PEER = 300
EVM = 60
POOLS = 1_000
TICKS_CROSSED = 10
MANY_TICKS = 1_600  # about what large pools have on mainnet
_FEE, _SPACING = 3000, 60
_E18 = 10**18
_BYTECODE = "bytecode in pyrevm"
_QUOTER = "artifacts/contracts/lens/QuoterV2.sol/QuoterV2.json"
_QUOTE = "quoteExactInputSingle((address,address,uint256,uint24,uint160))"


@dataclass(frozen=True, slots=True)
class Question:
    """Sell `amount` of token0, or of token1, to the pool of `row`."""

    row: int
    zero_for_one: bool
    amount: int


class Batch:
    """Questions as arrays; `run` answers all of them in one call."""

    def __init__(self, pools: PoolArrays, questions: list[Question]) -> None:
        self.pools = pools
        self.rows = np.array([question.row for question in questions], np.int32)
        self.down = np.array([question.zero_for_one for question in questions])
        self.exact_in = np.ones(len(questions), bool)
        self.amounts = ints_to_limbs(question.amount for question in questions)
        self.statuses = np.zeros(len(questions), np.int64)
        self.results = np.zeros((len(questions), 4), np.uint64)

    def run(self) -> None:
        quotes_nb(self.pools, self.rows, self.down, self.exact_in, self.amounts, self.statuses, self.results)

    def answers(self) -> list[int]:
        self.results[:] = 0
        self.run()
        assert (self.statuses == OK).all()
        return limbs_to_ints(self.results)


class TableBatch(Batch):
    """The same from prefix tables."""

    def __init__(self, pools: PoolArrays, questions: list[Question]) -> None:
        super().__init__(pools, questions)
        self.tables = new_tick_tables(1, 1)
        self.tables.place[0] = 0
        refresh_tables_nb(self.tables, pools, np.zeros(1, np.int32))

    def run(self) -> None:
        table_quotes_nb(
            self.tables,
            self.pools,
            self.rows,
            self.down,
            self.exact_in,
            self.amounts,
            self.statuses,
            self.results,
        )


def measure_quotes(
    name: str,
    work: str,
    batch: Batch,
    questions: list[Question],
    plain: Callable[[Question], int],
    bytecode: Callable[[Question], int],
    state: dict[str, Any],
) -> Result:
    """Check that all agree, then time them; `state` is that of the pool of row 0 for the peer."""
    answers = batch.answers()
    for question, answer in list(zip(questions, answers, strict=True))[:PLAIN]:
        assert plain(question) == answer, question
    for question, answer in list(zip(questions, answers, strict=True))[:EVM]:
        assert bytecode(question) == answer, question
    contenders = [
        Contender("roundtrip", batch.run, len(questions)),
        Contender("plain integers", lambda: [plain(q) for q in questions[:PLAIN]], PLAIN),
        Contender(_BYTECODE, lambda: [bytecode(q) for q in questions[:EVM]], EVM),
    ]
    once = race(contenders, ROUNDS, time.thread_time_ns)["roundtrip"]
    timings = race(contenders, ROUNDS, time.thread_time_ns, TURN_NS)
    agreed = {"plain integers": PLAIN, _BYTECODE: EVM}
    mine = [(q, a) for q, a in zip(questions, answers, strict=True) if q.row == 0][:PEER]
    if degenbot_quotes.is_installed():
        peer, ns, theirs = degenbot_quotes.ask(state, [(q.zero_for_one, q.amount) for q, _ in mine])
        timings[peer] = Timing(ns, ns, ns)
        agreed[peer] = sum(a == b for (_, a), b in zip(mine, theirs, strict=True))
    own = {"one_batch_after_the_others_ns": round(once.median_ns, 1)}
    return compared(name, work, "ns", timings, agreed_to_the_wei=agreed, **own)


def measure_v2() -> Result:
    """UniswapV2Library.getAmountOut over many pools."""
    rng = random.Random(2)
    reserves = [(rng.randrange(10**15, 10**25), rng.randrange(10**9, 10**25)) for _ in range(POOLS)]
    pools = allocate(POOLS, 1)
    pools.kind[:], pools.fee_pips[:] = KIND_V2, _FEE
    pools.reserves[:] = ints_to_limbs([side for pair in reserves for side in pair], 2).reshape(-1, 2, 2)
    questions = []
    for _ in range(BATCH):
        row, down = rng.randrange(POOLS), rng.random() < 0.5
        questions.append(Question(row, down, int(reserves[row][not down] * 10 ** rng.uniform(-6, -1)) + 1))
    reference, published = twin("amm", "amm_reference"), twin("amm", "amm_evm")
    owner = published.OWNER
    chain = published.Chain()
    code = published.npm_code("@uniswap/v2-periphery", "build/UniswapV2Router02.json")
    router = chain.deploy(code, ("address", "address"), (owner, owner))
    selector = keccak(text="getAmountOut(uint256,uint256,uint256)")[:4]

    def sides(question: Question) -> tuple[int, int]:
        pair = reserves[question.row]
        return (pair[0], pair[1]) if question.zero_for_one else (pair[1], pair[0])

    calls = {
        id(question): selector + encode(["uint256"] * 3, [question.amount, *sides(question)])
        for question in questions[:EVM]
    }

    def plain(question: Question) -> int:
        return reference.get_amount_out(question.amount, *sides(question))

    def bytecode(question: Question) -> int:
        return int.from_bytes(chain.evm.message_call(owner, router, calldata=calls[id(question)]), "big")

    work = f"exact-in quote of a V2 pool, batches of {BATCH:,} over {POOLS:,} pools"
    state = {"fee_pips": _FEE, "reserves": reserves[0]}
    return measure_quotes("quote_v2", work, Batch(pools, questions), questions, plain, bytecode, state)


class ConcentratedPool:
    """A real pool of published bytecode with an initialised tick at every spacing around the price, `reach`
    and three on either side."""

    def __init__(self, reach: int = 30) -> None:
        self.evm: ModuleType = twin("amm", "amm_evm")
        self.reference: ModuleType = twin("amm", "amm_reference")
        self.chain = self.evm.V3Chain()
        self.pool = self.chain.create_pool(_FEE, sqrt_ratio_at_tick(30) + 12345)
        self.ranges = [(-887220, 887220, 10**6 * _E18)]
        self.ranges += [
            (n * _SPACING, (n + 3) * _SPACING, (abs(n) % 30 + 5) * 10**4 * _E18) for n in range(-reach, reach)
        ]
        for lower, upper, liquidity in self.ranges:
            self.chain.mint(self.pool, lower, upper, liquidity)
        bounds = [bound for lower, upper, _ in self.ranges for bound in (lower, upper)]
        self.arrays: PoolArrays = self.chain.read_pool(self.pool, _FEE, bounds)
        code = self.evm.npm_code("@uniswap/v3-periphery", _QUOTER)
        self.quoter = self.chain.deploy(code, ("address", "address"), (self.chain.factory, self.evm.OWNER))

    def twin_pool(self):
        """The plain-integer pool in the same state."""
        price, tick = self.chain.call(self.pool, "slot0()", returns=("uint160", "int24"))
        liquidity = self.chain.call(self.pool, "liquidity()", returns=("uint128",))
        return self.reference.V3Pool(price, tick, liquidity, _FEE, _SPACING, self.nets())

    @staticmethod
    def twin_fields(state: Any) -> tuple:
        """What makes a plain-integer pool in the state of another."""
        return state.sqrt_price, state.tick, state.liquidity, _FEE, _SPACING, state.ticks

    def peer_state(self) -> dict[str, Any]:
        """The state as JSON can carry it."""
        state = self.twin_pool()
        return {
            "fee_pips": _FEE,
            "spacing": _SPACING,
            "liquidity": state.liquidity,
            "sqrt_price": state.sqrt_price,
            "tick": state.tick,
            "ticks": sorted(self.nets().items()),
        }

    def nets(self) -> dict[int, int]:
        nets: dict[int, int] = {}
        for lower, upper, liquidity in self.ranges:
            nets[lower] = nets.get(lower, 0) + liquidity
            nets[upper] = nets.get(upper, 0) - liquidity
        return nets

    def amount_to(self, tick: int, down: bool) -> int:
        """Gross input that moves the price exactly to `tick`."""
        return self.twin_pool().swap(down, 10**40, True, sqrt_ratio_at_tick(tick))[0]

    def questions(self, crossed: int, count: int, rng: random.Random) -> list[Question]:
        """Amounts that cross exactly `crossed` ticks, both ways in turn."""
        bounds = {}
        for down in (False, True):
            first = 0 if down else _SPACING
            sign = -1 if down else 1
            edges = [first + sign * _SPACING * k for k in (crossed - 1, crossed)]
            before = self.amount_to(edges[0], down) if crossed else 0
            bounds[down] = before + 1, self.amount_to(edges[1], down) - 1
        return [Question(0, n % 2 == 1, rng.randrange(*bounds[n % 2 == 1])) for n in range(count)]

    def calldata(self, question: Question) -> bytes:
        """QuoterV2's question, which it answers by a swap that it reverts."""
        tokens = (self.chain.token0, self.chain.token1)
        sold, bought = tokens if question.zero_for_one else tokens[::-1]
        fields = encode(
            ["address", "address", "uint256", "uint24", "uint160"], [sold, bought, question.amount, _FEE, 0]
        )
        return keccak(text=_QUOTE)[:4] + fields


def measure_v3(pool: ConcentratedPool, name: str, crossed: int, which: str = "a V3 pool") -> Result:
    """A quote that crosses `crossed` initialised ticks."""
    questions = pool.questions(crossed, BATCH, random.Random(crossed))
    state = pool.twin_pool()
    limits = {False: pool.reference.MAX_SQRT_RATIO - 1, True: pool.reference.MIN_SQRT_RATIO + 1}
    fields = pool.twin_fields(state)
    calls = {id(question): pool.calldata(question) for question in questions[:EVM]}

    def plain(question: Question) -> int:
        fresh = pool.reference.V3Pool(*fields)
        down = question.zero_for_one
        return fresh.swap(down, question.amount, True, limits[down])[1]

    def bytecode(question: Question) -> int:
        evm, owner = pool.chain.evm, pool.evm.OWNER
        return int.from_bytes(evm.message_call(owner, pool.quoter, calldata=calls[id(question)])[:32], "big")

    where = "inside the range" if crossed == 0 else f"across {crossed} initialised ticks"
    work = f"exact-in quote of {which} {where}, batches of {BATCH:,}"
    table = TableBatch(pool.arrays, questions)
    result = measure_quotes(name, work, table, questions, plain, bytecode, pool.peer_state())
    loop = Batch(pool.arrays, questions)
    assert loop.answers() == table.answers()
    own = race([Contender("loop", loop.run, len(questions))], ROUNDS, time.thread_time_ns, TURN_NS)
    result.extra["without_the_table_ns"] = round(own["loop"].median_ns, 1)
    return result


def measure_family(pool: FamilyPool) -> Result:
    """A quote of a family called by address, beside its twin."""
    questions = [Question(0, True, amount) for amount in pool.amounts]
    batch = Batch(pool.pools, questions)
    answers = batch.answers()
    assert [pool.plain(amount) for amount in pool.amounts[:PLAIN]] == answers[:PLAIN], pool.name
    contenders = [
        Contender("roundtrip", batch.run, len(questions)),
        Contender("plain integers", lambda: [pool.plain(a) for a in pool.amounts[:PLAIN]], PLAIN),
    ]
    agreed = {"plain integers": PLAIN}
    if pool.bytecode is not None:
        calls = [pool.bytecode(amount) for amount in pool.amounts[:EVM]]
        agreed[_BYTECODE] = sum(call() == answer for call, answer in zip(calls, answers, strict=False))
        contenders.append(Contender(_BYTECODE, lambda: [call() for call in calls], EVM))
    timings = race(contenders, ROUNDS, time.thread_time_ns, TURN_NS)
    work = f"exact-in quote of {pool.work}, batches of {len(questions):,}"
    return compared(pool.name, work, "ns", timings, agreed_to_the_wei=agreed)


def measure_single(pool: ConcentratedPool) -> Result:
    """One quote a call from Python, beside the same quote in plain integers."""
    questions = pool.questions(0, PLAIN, random.Random(7))
    call, answers = Quoter(pool.arrays).quote, Batch(pool.arrays, questions).answers()
    asked = [(question.zero_for_one, question.amount) for question in questions]
    assert [call(0, down, True, amount) for down, amount in asked] == [(OK, a) for a in answers]
    plain = pool.twin_pool
    fields = plain()
    limits = {False: pool.reference.MAX_SQRT_RATIO - 1, True: pool.reference.MIN_SQRT_RATIO + 1}

    def twin_quotes() -> list[int]:
        pools = [pool.reference.V3Pool(*pool.twin_fields(fields)) for _ in asked]
        return [p.swap(down, a, True, limits[down])[1] for p, (down, a) in zip(pools, asked, strict=True)]

    timings = race(
        [
            Contender("roundtrip", lambda: [call(0, down, True, a) for down, a in asked], PLAIN),
            Contender("plain integers", twin_quotes, PLAIN),
        ],
        ROUNDS,
        time.thread_time_ns,
        TURN_NS,
    )
    work = "one call from Python: exact-in quote of a V3 pool inside its range, integers in, integer out"
    return compared("quote_single", work, "ns", timings)


def measure() -> list[Result]:
    """V2, V3 inside its range and across ten ticks, Curve and Balancer, one call from Python."""
    pool, many = ConcentratedPool(), ConcentratedPool(MANY_TICKS // 2)
    # The bytecode and the arrays start from one state; the twin is read from the bytecode.
    assert (pool.arrays.sqrt_price[0] == int_to_limbs(pool.twin_pool().sqrt_price)).all()
    return [
        measure_v2(),
        measure_v3(pool, "quote_v3_in_range", 0),
        measure_v3(pool, "quote_v3_ten_ticks", TICKS_CROSSED),
        measure_v3(many, "quote_v3_many_ticks", 0, f"a V3 pool of {len(many.nets()):,} initialised ticks"),
        *(measure_family(family) for family in families()),
        measure_single(pool),
    ]


if __name__ == "__main__":
    raise SystemExit(main(measure))
