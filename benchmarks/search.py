"""Find, size and verify every profitable cycle of a graph of 5,757 V2 pools."""

from __future__ import annotations

import os
import random
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Contender, Result, Timing, Unmeasurable, compared, main, race
from benchmarks.peers import degenbot, degenbot_paths
from benchmarks.plain_search import PlainGraph, solve
from engine.amm.constant_product import PIPS
from engine.amm.layout import limbs_to_ints
from engine.market.market import Market
from engine.market.snapshot import load
from engine.search.finder import Finder
from engine.search.v2_chain import solve_chains_nb

SNAPSHOT = "snapshots/bench_graph_5757_v2.json.gz"
CYCLES = 25_076
# The closed form polished over three units each way, all cycles, before gas; it is the snapshot's own note.
BEST_KNOWN_PROFIT = 2_098_580_165_178_116_099
ROUNDS = 7
CHANGED = 20
SAMPLE = 400
WORTHY_WEI = 10**11
MAX_INPUT_WEI = 100 * 10**18
TOP = 20


def snapshot_path() -> Path:
    """Raises Unmeasurable where the data folder is absent."""
    root = Path(os.environ.get("ROUNDTRIP_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    path = root / SNAPSHOT
    if not path.is_file():
        raise Unmeasurable(f"{SNAPSHOT} is not in the data folder (ROUNDTRIP_DATA names it)")
    return path


def plain_pools(market: Market) -> list[tuple[int, int, int, int, int]]:
    """The market's V2 pools as plain integers, by row."""
    arrays, count = market.arrays, len(market.pools)
    sides = limbs_to_ints(arrays.reserves[:count].reshape(-1, 2))
    return [
        (
            int(arrays.token0[row]),
            int(arrays.token1[row]),
            sides[2 * row],
            sides[2 * row + 1],
            record.fee_pips,
        )
        for row, record in enumerate(market.pools)
    ]


class Searches:
    """The same work for each contender."""

    def __init__(self, market: Market) -> None:
        self.market = market
        assert market.head is not None
        self.block = market.head
        self.base = market.tokens[0].address
        self.finder = Finder(market, [self.base], max_hops=3)
        self.pools = plain_pools(market)
        self.graph = PlainGraph(self.pools)
        self.plain_cycles = self.graph.cycles(0)
        rng = random.Random(5)
        rows = rng.sample(range(len(self.pools)), CHANGED)
        self.changed: NDArray[np.int32] = np.array(sorted(rows), np.int32)
        self.through = [c for c in self.plain_cycles if any(edge[0] >> 1 in set(rows) for edge in c)]

    def check(self) -> dict[str, float]:
        """Both see all cycles; ours earns what is known to be there and at least what the plain one earns
        on each cycle. Raises AssertionError."""
        assert self.finder.candidates_count == len(self.plain_cycles) == CYCLES
        plain = {tuple(edge[0] >> 1 for edge in cycle): solve(cycle) for cycle in self.plain_cycles}
        rows = self.market.pool_row
        found = self.finder.find(None, self.block)
        ours = {tuple(rows[pool] for pool in item.pools): item.gross_profit for item in found}
        assert all(ours.get(pools, 0) >= profit for pools, profit in plain.items())
        screened = self.finder.candidates().cycles.tolist()
        passed = {tuple(edge >> 1 for edge in edges if edge >= 0) for edges in screened}
        paying = [pools for pools, profit in plain.items() if profit > 0]
        totals = {
            "screen_recall": sum(pools in passed for pools in paying) / len(paying),
            "profitable_cycles": len(ours),
            "total_profit": sum(ours.values()),
            "plain_total_profit": sum(plain.values()),
        }
        assert totals["plain_total_profit"] == BEST_KNOWN_PROFIT
        assert totals["total_profit"] >= BEST_KNOWN_PROFIT
        assert totals["screen_recall"] == 1.0
        return totals

    def candidates(self) -> None:
        self.finder.candidates()

    def full(self) -> None:
        self.finder.solve()

    def incremental(self) -> None:
        self.finder.solve(self.changed)

    def ranked(self) -> None:
        self.finder.find(self.changed, self.block, limit=TOP)

    def plain_full(self) -> list[int]:
        return [solve(cycle) for cycle in self.graph.cycles(0)]

    def plain_incremental(self) -> list[int]:
        return [solve(cycle) for cycle in self.through]


class Optima:
    """Sizing and valuing profitable cycles, one at a time."""

    def __init__(self, searches: Searches) -> None:
        worthy = [cycle for cycle in searches.plain_cycles if solve(cycle) >= WORTHY_WEI]
        self.cycles = random.Random(6).sample(worthy, SAMPLE)
        self._pools = searches.market.arrays
        self._edges = np.full((SAMPLE, 4), -1, np.int32)
        for n, cycle in enumerate(self.cycles):
            self._edges[n, : len(cycle)] = [edge[0] for edge in cycle]
        self._amounts = np.zeros((SAMPLE, 4, 2, 2), np.uint64)
        self._codes = np.zeros(SAMPLE, np.uint8)
        self._picks = np.arange(SAMPLE)
        self._caps = np.full((len(searches.market.tokens), 2), ~np.uint64(0))

    def run(self) -> None:
        solve_chains_nb(
            self._pools, self._edges, self._picks, self._caps, 0, SAMPLE, self._amounts, self._codes
        )

    def profits(self) -> list[int]:
        self.run()
        values = limbs_to_ints(self._amounts.reshape(-1, 2))
        return [values[8 * n + 2 * len(cycle) - 1] - values[8 * n] for n, cycle in enumerate(self.cycles)]

    def race(self) -> Result:
        """Ours, plain integers, and degenbot where its environment has been made."""
        ours = self.profits()
        plain = [solve(cycle) for cycle in self.cycles]
        assert all(own >= other for own, other in zip(ours, plain, strict=True))
        timings = race(
            [
                Contender("roundtrip", self.run, SAMPLE),
                Contender("plain integers", lambda: [solve(cycle) for cycle in self.cycles], SAMPLE),
            ],
            ROUNDS,
        )
        extra: dict[str, Any] = {"total_profit": {"roundtrip": sum(ours), "plain integers": sum(plain)}}
        if degenbot.is_installed():
            hops = [[(held, paid, PIPS - kept) for _, held, paid, kept in cycle] for cycle in self.cycles]
            taken, profits = degenbot.solve(hops, MAX_INPUT_WEI)
            timings[degenbot.NAME] = Timing(statistics.median(taken), min(taken), max(taken))
            extra["total_profit"][degenbot.NAME] = sum(profits)
            won = sum(own >= other for own, other in zip(ours, profits, strict=True))
            extra["at_least_as_much_as_degenbot"] = f"{won} of {SAMPLE}"
        else:
            extra["absent"] = {degenbot.NAME: "not installed (python -m benchmarks.peers.degenbot)"}
        work = f"size and value one profitable V2 cycle of 2 or 3 hops, {SAMPLE} of them"
        return compared("search_optimum", work, "us", timings, **extra)


def _compare_paths(searches: Searches, full: dict[str, Timing], changed: dict[str, Timing]) -> dict[str, Any]:
    """Add degenbot's compiled solver to both races where its environment has been made."""
    if not degenbot_paths.is_installed():
        how = "not installed (python -m benchmarks.peers.degenbot_paths)"
        return {"absent": {degenbot_paths.NAME: how}}
    paths = [
        [[edge[0] for edge in cycle] for cycle in some] for some in (searches.plain_cycles, searches.through)
    ]
    (whole, profit), (part, _) = degenbot_paths.solve_all(searches.pools, paths, ROUNDS)
    full[degenbot_paths.NAME], changed[degenbot_paths.NAME] = whole, part
    return {"degenbot_total_profit": profit}


def measure() -> list[Result]:
    """The screen, a full search, and a search after a block. Raises Unmeasurable."""
    market, _ = load(snapshot_path())
    searches = Searches(market)
    totals = searches.check()
    screened = race(
        [
            Contender("roundtrip", searches.candidates),
            Contender("plain integers", lambda: searches.graph.cycles(0)),
        ],
        ROUNDS,
    )
    full = race(
        [Contender("roundtrip", searches.full), Contender("plain integers", searches.plain_full)], 3 * ROUNDS
    )
    changed = race(
        [
            Contender("roundtrip", searches.incremental, 1),
            Contender("plain integers", searches.plain_incremental),
        ],
        3 * ROUNDS,
    )
    ranked = race([Contender("ranked", searches.ranked)], 3 * ROUNDS)["ranked"]
    extra = _compare_paths(searches, full, changed)
    graph = f"{len(searches.pools):,} V2 pools, {CYCLES:,} directed cycles of 2 and 3 hops"
    return [
        Optima(searches).race(),
        compared("search_screen", f"find every cycle that may pay among {graph}", "ms", screened),
        compared(
            "search_full", f"find, size and verify every cycle of {graph}", "ms", full, **totals, **extra
        ),
        compared(
            "search_changed",
            f"screen, size and verify after {CHANGED} pools changed ({len(searches.through):,} cycles)",
            "ms",
            changed,
            ranked_ms=round(ranked.median_ns / 1e6, 4),
        ),
    ]


if __name__ == "__main__":
    raise SystemExit(main(measure))
