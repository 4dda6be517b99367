"""Block by block: what searchers landed, and what our line lands from the state just before."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from engine.app.simulate.acting import Act, Stage, act
from engine.app.simulate.arbitrages import LandedArbitrage, arbitrages_of
from engine.app.simulate.chain_table import ChainTable
from engine.app.simulate.completeness import unknown_slots
from engine.app.simulate.pools import KnownSlots
from engine.app.simulate.report import landed_row, result_of
from engine.app.simulate.swaps import swaps_of
from engine.domain.errors import NodeError

# Cycles longer than this are beyond the search.
MAX_HOPS = 4
Logs = Mapping[int, Sequence[Mapping[str, Any]]]
PoolTokens = Mapping[str, tuple[str, str]]


class Watch(Protocol):
    """Who is told how far the work is."""

    def __call__(self, what: str, done: int, total: int | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """How we act: the chain's table, the longest cycle, and how many opportunities are tried in turn."""

    table: ChainTable
    max_hops: int = MAX_HOPS
    attempts: int = 200


@dataclass(frozen=True, slots=True)
class Scene:
    """A stage, what of its state is known (None: all), and remarks on how it was set."""

    stage: Stage
    known: KnownSlots
    notes: list[str] = field(default_factory=list)


# Sets the stage just before the transaction of that index.
SetScene = Callable[[int, Path], Any]


def find_arbitrages(
    transactions: Sequence[Mapping[str, Any]], logs: Logs, pool_tokens: PoolTokens, table: ChainTable
) -> list[LandedArbitrage]:
    """The arbitrages landed in a block, in transaction order."""
    found = []
    for index in sorted(logs):
        swaps = swaps_of(logs[index], pool_tokens, table.wrapped_native)
        found += arbitrages_of(transactions[index]["hash"], index, swaps, table.base_tokens)
    return found


async def against_searchers(
    arbitrages: Sequence[LandedArbitrage], set_scene: SetScene, terms: Terms, watch: Watch
) -> list[dict[str, Any]]:
    """Report rows of the arbitrages, with what ours landed beside each."""
    rows = []
    for done, arbitrage in enumerate(arbitrages):
        watch(f"acting at transaction {arbitrage.tx_index}", done, len(arbitrages))
        rows.append(await _against(arbitrage, set_scene, terms))
    return rows


async def best_at_start(set_scene: SetScene, terms: Terms) -> dict[str, Any] | None:
    """The best our line lands at the block's start, from any base token; None when nothing holds."""
    async with _scratch() as folder, set_scene(0, folder) as scene:
        best = await act(scene.stage, terms.table.base_tokens, None, terms.max_hops, terms.attempts)
        result = result_of(best)
        if result is None or best.opportunity is None:
            return None
        return {"base_token": best.opportunity.base_token, **result}


async def _against(arbitrage: LandedArbitrage, set_scene: SetScene, terms: Terms) -> dict[str, Any]:
    async with _scratch() as folder, set_scene(arbitrage.tx_index, folder) as scene:
        notes = list(scene.notes)
        unread = {pool: why for pool, why in scene.stage.reading.refused.items() if pool in arbitrage.pools}
        same, missing = await _act_from_here(scene, arbitrage, set(arbitrage.pools), terms)
        any_, _ = await _act_from_here(scene, arbitrage, None, terms)
    # Only pools of ours can lack state; a pool of another family is not read at all.
    complete = not missing and not any("not in the state" in why for why in unread.values())
    notes += [f"pool {pool} is not used: {why}" for pool, why in sorted(unread.items())]
    if missing:
        count = sum(len(slots) for slots in missing.values())
        notes.append(f"our transaction read {count} storage slots the state does not hold, as zero")
    return {
        **landed_row(arbitrage),
        "state_complete": complete,
        "ours": {
            "same_pools": result_of(same),
            "any": result_of(any_),
            "why_not": None if result_of(same) else _why_not(arbitrage, same, terms),
        },
        "notes": notes,
    }


async def _act_from_here(
    scene: Scene, arbitrage: LandedArbitrage, pools: Collection[str] | None, terms: Terms
) -> tuple[Act, dict[str, list[int]]]:
    """Act, note which unknown slots our transaction touched, and put the node back."""
    stage = scene.stage
    before = await stage.node.request("evm_snapshot", [])
    done = await act(stage, (arbitrage.base_token,), pools, terms.max_hops, terms.attempts)
    missing: dict[str, list[int]] = {}
    if done.landed is not None and scene.known is not None:
        ours = (stage.deployment.router, stage.signer.address)
        missing = await unknown_slots(stage.node, done.landed.intent.transaction.hash, scene.known, ours)
    if not await stage.node.request("evm_revert", [before]):
        raise NodeError("the local node lost the state it was to return to", method="evm_revert")
    return done, missing


def _why_not(arbitrage: LandedArbitrage, same: Act, terms: Terms) -> str:
    if not arbitrage.supported:
        return "unsupported venue family"
    if len(arbitrage.cycle) > terms.max_hops:
        return f"the searcher's cycle has {len(arbitrage.cycle)} hops, the search goes to {terms.max_hops}"
    return same.why_not or "nothing landed"


@asynccontextmanager
async def _scratch() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roundtrip-simulate-") as folder:
        yield Path(folder)
