"""Recall on real blocks: `python -m benchmarks.recall` finds what searchers landed; writes docs/recall.md.

The landed arbitrages are derived from each block's own logs, or from its call traces where there are none.
For stored blocks with their state the whole line acts on a local node just before the searcher's transaction
and lands ours there. Traced blocks hold no state, but a V2-type pair shows its reserves when it swaps: on
those the search runs alone, and its answer is exact in integers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.amm.kernel_cache import use_kernel_cache

use_kernel_cache()

from benchmarks.recall_curve import search_with_curve  # noqa: E402
from engine.app.output import show_amount  # noqa: E402
from engine.app.simulate.arbitrages import LandedArbitrage, arbitrages_of  # noqa: E402
from engine.app.simulate.blocks import find_blocks, load_block  # noqa: E402
from engine.app.simulate.chain_table import ChainTable, load_chain_table  # noqa: E402
from engine.app.simulate.simulating import Terms  # noqa: E402
from engine.app.simulate.sources import simulate_stored  # noqa: E402
from engine.app.simulate.swaps import CURVE, SUPPORTED, swaps_of  # noqa: E402
from engine.app.simulate.trace_logs import logs_by_transaction  # noqa: E402
from engine.app.simulate.trace_states import PairState, Unknown, state_before  # noqa: E402
from engine.app.toolchain import project_root  # noqa: E402
from engine.domain.market import ZERO_HASH, BlockRef, PoolRecord, Protocol, Token  # noqa: E402
from engine.market.market import Market  # noqa: E402
from engine.search.finder import Finder  # noqa: E402
from engine.search.joint_plan import JointPlanner  # noqa: E402
from engine.search.joint_solver import JointSolver  # noqa: E402

MAINNET = 1
_FEE_PIPS = 3_000
_LONGEST_CYCLE = 4
_FAMILIES = {"uniswap-v2": "V2", "uniswap-v3": "V3", "uniswap-v4": "V4", "curve": "Curve"}

_INTRODUCTION = """\
# Recall on real blocks

Written by `python -m benchmarks.recall`: every arbitrage that searchers landed in the blocks of the data
folder, derived from the blocks' own logs or traces, and what this engine finds just before it on the same
pools, and on all known ones. Profits are before gas. *Landed on a node*: our transaction was mined on the
block's own state and bytecode. *Integers*: the pools' reserves are those the trace shows, and the search's
answer is exact. A state is complete when everything our transaction read is known.

"""


@dataclass(frozen=True, slots=True)
class Row:
    """One landed arbitrage. Profits are base units of `base`, before gas; `ours` on the searcher's pools and
    `any_pools` on all known ones, None where nothing was found. `proof` says how ours was verified."""

    block: int
    tx_index: int
    tx: str
    families: tuple[str, ...]
    base: str
    profit: int
    ours: int | None
    any_pools: int | None
    complete: bool
    proof: str
    why_not: tuple[str, ...] = ()

    @property
    def recalled(self) -> bool:
        return self.ours is not None and self.ours >= self.profit


def traced_rows(path: Path, table: ChainTable) -> list[Row]:
    """The arbitrages of a traced block and what the search finds on the same pools."""
    raw = json.loads(path.read_text())
    calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for call in raw["traces"]:
        if (call.get("action") or {}).get("callType") in ("call", "staticcall"):
            calls[call["transaction_hash"]].append(call)
    rows = []
    for tx, (index, logs) in sorted(logs_by_transaction(raw["traces"]).items(), key=lambda item: item[1][0]):
        swaps = swaps_of(logs, None, table.wrapped_native)
        for landed in arbitrages_of(tx, index, swaps, table.base_tokens):
            states = [state_before(swap, calls[tx]) for swap in landed.cycle]
            rows.append(_traced_row(raw["block_number"], landed, states))
    return rows


def _traced_row(number: int, landed: LandedArbitrage, states: Sequence[PairState | Unknown]) -> Row:
    unknown = tuple(f"pool {one.pool}: {one.reason}" for one in states if isinstance(one, Unknown))
    ours = None if unknown else _search([one for one in states if isinstance(one, PairState)], landed, number)
    proof = "integers" if len(landed.cycle) <= _LONGEST_CYCLE else "integers, joint plan"
    return Row(
        number,
        landed.tx_index,
        landed.tx,
        tuple(_FAMILIES.get(swap.protocol, swap.protocol) for swap in landed.cycle),
        landed.base_token,
        landed.profit,
        ours,
        None,
        not unknown,
        proof,
        unknown,
    )


def _search(states: Iterable[PairState], landed: LandedArbitrage, number: int) -> int | None:
    """The greatest profit found on these pairs; cycles longer than the finder's by the joint planner."""
    market = Market()
    block = BlockRef(number, "0x" + f"{number:064x}", ZERO_HASH, 1)
    market.start(block)
    for state in states:
        for address in state.tokens:
            market.add_token(Token(address, address[:8], 18))
        record = PoolRecord(state.pool, Protocol.UNISWAP_V2, "", state.tokens, _FEE_PIPS)
        market.set_v2(market.add_pool(record), state.reserve0, state.reserve1)
    base = landed.base_token
    if len(landed.cycle) <= _LONGEST_CYCLE:
        found = Finder(market, [base], max_hops=_LONGEST_CYCLE).find(None, block, limit=1)
        return found[0].gross_profit if found else None
    solver = JointSolver(market.arrays, len(market.pools), len(market.tokens), {market.token_row[base]: 1.0})
    plan = JointPlanner(solver).plan(market.arrays)
    return sum(cycle.profit for cycle in plan.cycles) or None


async def stored_rows(folder: Path, terms: Terms) -> list[Row]:
    """The arbitrages of a stored block and what our line landed from the state before each."""
    report = await simulate_stored(folder, terms, lambda what, done, total: None)
    by_place = {(one.tx_index, one.pools): one for one in _landed(folder, terms.table)}
    rows = []
    for landed in report["landed_arbitrages"]:
        ours = landed["ours"]
        families = {hop["protocol"] for hop in landed["cycle"]}
        if CURVE in families and families <= {*SUPPORTED, CURVE}:
            place = (landed["tx_index"], tuple(hop["pool"] for hop in landed["cycle"]))
            rows.append(await _curve_row(folder, by_place[place], report["number"], terms.table))
            continue
        why_not = [ours["why_not"]] if ours["why_not"] else []
        rows.append(
            Row(
                report["number"],
                landed["tx_index"],
                landed["tx"],
                tuple(_FAMILIES.get(hop["protocol"], hop["protocol"]) for hop in landed["cycle"]),
                landed["base_token"],
                int(landed["profit_wei"]),
                _realised(ours["same_pools"]),
                _realised(ours["any"]),
                landed["state_complete"],
                "landed on a node",
                (*why_not, *landed["notes"]),
            )
        )
    return rows


def _landed(folder: Path, table: ChainTable) -> list[LandedArbitrage]:
    """From the recorded logs."""
    block = load_block(folder)
    found = []
    for index, logs in sorted((block.recorded_logs or {}).items()):
        swaps = swaps_of(logs, None, table.wrapped_native)
        found += arbitrages_of(block.transactions[index]["hash"], index, swaps, table.base_tokens)
    return found


async def _curve_row(folder: Path, landed: LandedArbitrage, number: int, table: ChainTable) -> Row:
    searched = await search_with_curve(folder, landed, table)
    return Row(
        number,
        landed.tx_index,
        landed.tx,
        tuple(_FAMILIES.get(swap.protocol, swap.protocol) for swap in landed.cycle),
        landed.base_token,
        landed.profit,
        searched.profit,
        None,
        not searched.unknown,
        "integers",
        searched.unknown,
    )


def _realised(result: dict[str, Any] | None) -> int | None:
    return None if result is None else int(result["realised_wei"])


def document(rows: Sequence[Row], blocks: dict[str, int], bases: Sequence[Token]) -> str:
    """docs/recall.md."""
    complete = [row for row in rows if row.complete]
    recalled = [row for row in complete if row.recalled]
    known = {token.address: token for token in bases}
    lines = [
        f"{blocks['stored']} blocks with state, {blocks['traced']} traced; {len(rows)} landed arbitrages,",
        f"{len(complete)} with complete state. **Found with at least the searcher's profit: "
        f"{len(recalled)} of {len(complete)}.**",
        "",
        "| block | tx | pools | searcher | ours, same pools | ours, all pools | verified | |",
        "| --: | --: | --- | --: | --: | --: | --- | --- |",
    ]
    for row in rows:
        lines.append(_line(row, known))
    reasons = [row for row in rows if row.why_not]
    if reasons:
        lines += ["", "## What is not complete, and why", ""]
        for row in reasons:
            lines += [f"- {row.block}, tx {row.tx_index}: {reason}" for reason in dict.fromkeys(row.why_not)]
    return _INTRODUCTION + "\n".join(lines) + "\n"


def _line(row: Row, known: dict[str, Token]) -> str:
    def amount(value: int | None) -> str:
        token = known.get(row.base)
        if value is None:
            return "–"
        return f"{show_amount(value, token.decimals, 9)} {token.symbol}" if token else str(value)

    verdict = "yes" if row.recalled else "**no**" if row.complete else "state incomplete"
    cells = (
        str(row.block),
        str(row.tx_index),
        " ".join(row.families),
        amount(row.profit),
        amount(row.ours),
        amount(row.any_pools),
        row.proof if row.ours is not None else "–",
        verdict,
    )
    return "| " + " | ".join(cells) + " |"


async def _all_rows(folders: Sequence[Path], traced: Sequence[Path]) -> tuple[list[Row], dict[str, int]]:
    table = load_chain_table(MAINNET)
    rows: list[Row] = []
    for folder in folders:
        print(f"block {folder.name} ...", flush=True)
        rows += await stored_rows(folder, Terms(table))
    for path in traced:
        rows += traced_rows(path, table)
    return rows, {"stored": len(folders), "traced": len(traced)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 when something with complete state was not recalled, 2 when there is no block."""
    data = Path(os.environ.get("ROUNDTRIP_DATA") or project_root().parent / "shared" / "data")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recall", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--blocks-dir", type=Path, default=data / "evm_blocks", help="stored blocks, one folder each"
    )
    parser.add_argument(
        "--traces-dir", type=Path, default=data / "traces", help="traced blocks, one file each"
    )
    parser.add_argument("--out", type=Path, default=project_root() / "docs" / "recall.md")
    chosen = parser.parse_args(arguments)
    blocks_dir = chosen.blocks_dir if chosen.blocks_dir.is_dir() else None
    traces_dir = chosen.traces_dir if chosen.traces_dir.is_dir() else None
    if blocks_dir is None and traces_dir is None:
        print("no blocks: name folders with --blocks-dir and --traces-dir", file=sys.stderr)
        return 2
    folders = find_blocks(blocks_dir) if blocks_dir is not None else []
    traced = sorted(traces_dir.glob("[0-9]*.json")) if traces_dir is not None else []
    rows, counts = asyncio.run(_all_rows(folders, traced))
    text = document(rows, counts, load_chain_table(MAINNET).bases)
    chosen.out.write_text(text)
    print(text)
    return 0 if all(row.recalled for row in rows if row.complete) else 1


if __name__ == "__main__":
    raise SystemExit(main())
