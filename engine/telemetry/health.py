"""How the engine is: its rung, why, and how fresh what it knows is; one document, for people and machines."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.domain.events import BlockApplied, BlockFinished, BooksCompared, Fact, TradingStateChanged
from engine.domain.market import BlockRef
from engine.domain.opportunity import TradingState

Part = Callable[[], Mapping[str, Any]]
# A report is written every second; a block is late after four times its interval.
_STALE_AFTER_S = 10.0
_SLOW_BLOCKS = 4


@dataclass(slots=True)
class HealthBoard:
    """Hears facts; `document` says how things are. `parts` are asked for their own sections by name.

    `clock` gives unix seconds. Ages are by that clock, from when a block was applied or finished here.
    """

    mode: str
    chain_id: int
    block_interval_s: int
    parts: Mapping[str, Part] = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    _state: TradingState = TradingState.ACTIVE
    _causes: tuple[str, ...] = ()
    _head: BlockRef | None = None
    _applied_at: float | None = None
    _finished: int | None = None
    _finished_at: float | None = None
    _elapsed_ms: float | None = None
    _books: dict[str, Any] | None = None

    def take(self, fact: Fact) -> None:
        """Hear one fact."""
        match fact:
            case BlockApplied():
                self._head, self._applied_at = fact.block, self.clock()
            case BlockFinished():
                self._finished, self._finished_at = fact.block.number, self.clock()
                self._elapsed_ms = fact.elapsed_ms
            case TradingStateChanged():
                self._state, self._causes = fact.state, fact.causes
            case BooksCompared():
                self._books = {
                    "compared_at": round(self.clock(), 3),
                    "block": fact.block.number,
                    "level": fact.level,
                    "restored": fact.restored,
                    "differences": list(fact.differences),
                }

    def document(self) -> dict[str, Any]:
        """The present picture, JSON-ready."""
        now = self.clock()
        head = self._head
        return {
            "pid": os.getpid(),
            "mode": self.mode,
            "chain_id": self.chain_id,
            "written_at": round(now, 3),
            "block_interval_s": self.block_interval_s,
            "state": self._state.value,
            "causes": list(self._causes),
            "head": None
            if head is None
            else {"number": head.number, "hash": head.hash, "timestamp": head.timestamp},
            "last_finished_block": self._finished,
            "last_block_ms": None if self._elapsed_ms is None else round(self._elapsed_ms, 2),
            "applied_at": self._applied_at,
            "finished_at": self._finished_at,
            "books": self._books,
            **{name: dict(part()) for name, part in self.parts.items()},
        }


def health_path(directory: Path, chain_id: int) -> Path:
    """Where a run with this storage directory writes its health."""
    return directory / f"health-{chain_id}.json"


def write_health(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the document at once, so that readers never see half of it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document))
    partial.replace(path)


def judged(document: Mapping[str, Any], now: float) -> list[str]:
    """What is wrong with a health document at `now` (unix seconds); empty when nothing is."""
    wrong = []
    age_s = now - float(document["written_at"])
    if age_s > _STALE_AFTER_S:
        wrong.append(f"the engine has not reported for {age_s:.0f} s: it does not run or hangs")
    if document["state"] != TradingState.ACTIVE.value:
        wrong.append(f"trading is {document['state']}: {'; '.join(document['causes'])}")
    finished_at = document["finished_at"]
    slow_s = max(_SLOW_BLOCKS * document["block_interval_s"], _STALE_AFTER_S)
    if finished_at is None:
        wrong.append("no block was finished yet")
    elif now - finished_at > slow_s:
        wrong.append(f"no block was finished for {now - finished_at:.0f} s: node or chain stand still")
    return wrong
