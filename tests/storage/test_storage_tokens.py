"""Verdicts on tokens outlive a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.domain.token_safety import TokenCode, TokenFault, TokenVerdict
from engine.storage.database import open_database
from engine.storage.repository import Repository
from engine.storage.token_verdicts import TokenVerdicts, chains_with_verdicts
from engine.storage.writer import LedgerWriter

CODE = TokenCode("0x" + "01" * 32, "0x" + "02" * 20, "0x" + "03" * 32, ("pausable", "proxy"))
GOOD = TokenVerdict("0x" + "0a" * 20, None, "fine", "ours", CODE, 7, 1_700_000_000, 1_700_021_600)
BAD = replace(GOOD, token="0x" + "0b" * 20, fault=TokenFault.TAKES_FEE, detail="99 instead of 100")


async def test_verdicts_are_read_back_as_they_were_and_the_latest_counts(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "ledger.sqlite")
    repository = Repository(engine)
    run = repository.start_run("live", 5, "0")
    writer = LedgerWriter(repository, run)
    for verdict in (GOOD, BAD, replace(BAD, fault=TokenFault.PAUSED)):
        writer.record_token(verdict)
    assert await writer.close()
    engine.dispose()
    again = open_database(tmp_path / "ledger.sqlite")
    assert Repository(again).token_verdicts(5) == [GOOD, replace(BAD, fault=TokenFault.PAUSED)]
    assert Repository(again).token_verdicts(1) == []
    assert chains_with_verdicts(again) == [5]
    again.dispose()


def test_a_fault_of_another_version_is_left_out(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "ledger.sqlite")
    TokenVerdicts(engine, 1).put([GOOD, BAD])
    with Session(engine) as session:
        session.execute(text("UPDATE token_verdicts SET fault = 'melts' WHERE fault IS NOT NULL"))
        session.commit()
    assert TokenVerdicts(engine, 1).all() == [GOOD]
    engine.dispose()


@pytest.mark.parametrize(("at", "holds"), [(GOOD.expires_at - 1, True), (GOOD.expires_at, False)])
def test_how_long_a_verdict_holds(at: int, holds: bool) -> None:
    assert GOOD.holds_at(at) is holds
