"""Alerts beside the line: from the settings to the services that a person named."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.app.lifecycle import wait_cancelled
from engine.app.settings import AlertSettings
from engine.bus.bus import Bus, Subscription
from engine.domain.events import (
    BooksCompared,
    ExecutionResolved,
    Fact,
    PoolDiverged,
    TokenJudged,
    TradingStateChanged,
    VenueHalted,
)
from engine.telemetry.alerts import Alerts, QuietHours, Severity, read_services, service_notifier

_FACTS = (BooksCompared, ExecutionResolved, PoolDiverged, TokenJudged, TradingStateChanged, VenueHalted)
_QUEUE = 1_000
_LAST_WORDS_S = 1.5


def make_alerts(settings: AlertSettings) -> Alerts | None:
    """The alerts of the settings, None where nobody is to be told. Raises ConfigError."""
    if settings.services_file is None:
        return None
    return Alerts(
        service_notifier(read_services(settings.services_file)),
        Severity[settings.least.upper()],
        None if settings.quiet_hours is None else QuietHours.parse(settings.quiet_hours),
        settings.repeat_after_s,
    )


@asynccontextmanager
async def alerting(bus: Bus, alerts: Alerts | None) -> AsyncIterator[None]:
    """Tells while the line runs. Services may be slow or dead: what does not fit the queue is dropped."""
    if alerts is None:
        yield
        return
    subscription: Subscription[Fact] = bus.subscribe(*_FACTS, capacity=_QUEUE)
    task = asyncio.create_task(alerts.listen(subscription), name="alerts")
    try:
        yield
    finally:
        bus.unsubscribe(subscription)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), _LAST_WORDS_S)
        await wait_cancelled(task)
