"""A run's health, written to its storage directory every second, whatever the line does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from engine.app.lifecycle import wait_cancelled
from engine.app.records import Records
from engine.app.session import Session
from engine.app.settings import Settings
from engine.telemetry.alerts import Alerts
from engine.telemetry.health import HealthBoard, health_path, write_health
from engine.telemetry.process import process_facts
from engine.telemetry.telemetry import Telemetry

_EVERY_S = 1.0


def health_board(session: Session, records: Records, mode: str, alerts: Alerts | None) -> HealthBoard:
    """A board that looks at all parts of a session."""

    def endpoints() -> dict[str, Any]:
        watch = session.node.watch
        return {
            member.name: {
                "leads": at == watch.leader,
                "up": member.health.up,
                "refused": member.refused,
                "head": None if member.health.head is None else member.health.head.ref.number,
                "answers": member.health.answers,
                "failures": dict(member.health.failures),
            }
            for at, member in enumerate(session.node.members)
        }

    def breakers() -> dict[str, Any]:
        resting = session.ladder.breakers
        return {
            "pools": dict(resting.resting),
            "venues": {**session.trust.halted, **resting.closed},
            "quarantined": len(session.market.quarantined),
        }

    def tokens() -> dict[str, Any]:
        verdicts = list(session.tokens.verdicts.values())
        safe = sum(verdict.is_safe for verdict in verdicts)
        return {"good": safe, "refused": len(verdicts) - safe, "known": len(session.market.tokens)}

    def sending() -> dict[str, Any]:
        return {"in_flight": session.sender.in_flight() if session.sender else 0}

    def ledger() -> dict[str, Any]:
        return {"dropped": records.writer.dropped, "failed": records.writer.failed}

    def told() -> dict[str, Any]:
        if alerts is None:
            return {}
        return {"sent": alerts.sent, "failed": alerts.failed, "suppressed": alerts.suppressed}

    return HealthBoard(
        mode,
        session.settings.chain.chain_id,
        session.settings.chain.block_interval_s,
        {
            "endpoints": endpoints,
            "breakers": breakers,
            "tokens": tokens,
            "sending": sending,
            "ledger": ledger,
            "alerts": told,
            "process": process_facts,
        },
    )


@asynccontextmanager
async def reporting(board: HealthBoard, settings: Settings, telemetry: Telemetry) -> AsyncIterator[None]:
    """Writes the board's document while the line runs; the file goes away with the run."""
    path = health_path(settings.storage.directory, settings.chain.chain_id)

    async def report() -> None:
        complained = False
        while True:
            document = board.document()
            try:
                await asyncio.to_thread(write_health, path, document)
                complained = False
            except OSError as error:
                if not complained:
                    telemetry.degraded("health", error)
                complained = True
            await asyncio.sleep(_EVERY_S)

    task = asyncio.create_task(report(), name="health")
    try:
        yield
    finally:
        await wait_cancelled(task)
        path.unlink(missing_ok=True)
