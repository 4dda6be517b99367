"""The health document, and what is judged from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.domain.events import BlockApplied, BlockFinished, TradingStateChanged
from engine.domain.market import BlockRef
from engine.domain.opportunity import TradingState
from engine.telemetry.health import HealthBoard, health_path, judged, write_health

HEAD = BlockRef(7, "0x" + "01" * 32, "0x" + "00" * 32, 1_700_000_000)


def board(now: list[float]) -> HealthBoard:
    return HealthBoard("live", 1, 12, {"tokens": lambda: {"good": 2}}, clock=lambda: now[0])


def test_a_fresh_active_engine_is_healthy(tmp_path: Path) -> None:
    now = [1_000.0]
    told = board(now)
    told.take(BlockApplied(HEAD, 1))
    told.take(BlockFinished(HEAD, 0, 0, 0, 0, 3.5))
    path = health_path(tmp_path / "new", 1)
    write_health(path, told.document())
    document = json.loads(path.read_text())
    assert judged(document, 1_009.0) == []
    assert document["head"]["number"] == document["last_finished_block"] == 7
    assert document["tokens"] == {"good": 2}
    assert document["last_block_ms"] == 3.5
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("age_s", "wrong"), [(10.0, 0), (10.1, 1)])
def test_an_engine_that_does_not_report_is_not_healthy(age_s: float, wrong: int) -> None:
    now = [1_000.0]
    told = board(now)
    told.take(BlockFinished(HEAD, 0, 0, 0, 0, 3.5))
    assert len(judged(told.document(), 1_000.0 + age_s)) == wrong


@pytest.mark.parametrize(("age_s", "wrong"), [(48.0, 0), (48.1, 1)])
def test_an_engine_that_reports_of_no_new_block_is_not_healthy(age_s: float, wrong: int) -> None:
    now = [1_000.0]
    told = board(now)
    told.take(BlockFinished(HEAD, 0, 0, 0, 0, 3.5))
    now[0] += age_s
    assert len(judged(told.document(), now[0])) == wrong


def test_an_engine_that_does_not_trade_says_why() -> None:
    told = board([1_000.0])
    told.take(BlockFinished(HEAD, 0, 0, 0, 0, 3.5))
    told.take(TradingStateChanged(HEAD, TradingState.REDUCING, ("node: gone",)))
    assert judged(told.document(), 1_000.0) == ["trading is reducing: node: gone"]
    told.take(TradingStateChanged(HEAD, TradingState.ACTIVE, ()))
    assert judged(told.document(), 1_000.0) == []


def test_before_the_first_block_it_is_not_healthy() -> None:
    assert judged(board([1_000.0]).document(), 1_000.0) == ["no block was finished yet"]
