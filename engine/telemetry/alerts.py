"""Alerts: what a person should know now, told once, by whatever services they use."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

from engine.domain.errors import ConfigError
from engine.domain.events import (
    BooksCompared,
    ExecutionResolved,
    Fact,
    PoolDiverged,
    TokenJudged,
    TradingStateChanged,
    VenueHalted,
)
from engine.domain.execution import Outcome
from engine.domain.opportunity import TradingState

_SEND_TIMEOUT_S = 20.0
_REMEMBERED = 10_000


class Severity(IntEnum):
    """How much a person wants to be woken for it."""

    INFO = 0
    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell. `key` is the same for what need not be told again soon."""

    severity: Severity
    key: str
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one minute of the day to another, past midnight or not, local time."""

    start_min: int
    end_min: int

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """From "22:30-07:00". Raises ValueError."""
        match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", text)
        if match is None:
            raise ValueError(f"{text!r} is not a time of day like 22:30-07:00")
        hours = [int(part) for part in match.groups()]
        return cls(hours[0] * 60 + hours[1], hours[2] * 60 + hours[3])

    def contain(self, minute: int) -> bool:
        """Whether a minute of the day is within."""
        if self.start_min <= self.end_min:
            return self.start_min <= minute < self.end_min
        return minute >= self.start_min or minute < self.end_min


def alert_of(fact: Fact) -> Alert | None:
    """What a fact means to a person; None for what is only worth a line in the log."""
    match fact:
        case TradingStateChanged():
            severity = {
                TradingState.ACTIVE: Severity.INFO,
                TradingState.REDUCING: Severity.WARNING,
                TradingState.HALTED: Severity.CRITICAL,
            }[fact.state]
            why = "; ".join(fact.causes) or "nothing is wrong any more"
            return Alert(
                severity,
                f"state {fact.state} {why}",
                f"trading is {fact.state}",
                f"since block {fact.block.number}: {why}",
            )
        case VenueHalted():
            return Alert(
                Severity.WARNING,
                f"venue {fact.venue}",
                f"{fact.venue} is not traded",
                f"since block {fact.block.number}: {fact.reason}",
            )
        case PoolDiverged() if fact.cause == "raced node":
            return None
        case PoolDiverged() if fact.by_node:
            return Alert(
                Severity.WARNING,
                "lying node",
                f"a node says of a pool of {fact.venue} what another denies",
                f"{fact.pool} at block {fact.block.number}: {', '.join(fact.changed)}",
            )
        case PoolDiverged():
            return Alert(
                Severity.WARNING,
                f"diverged {fact.venue} {fact.cause}",
                f"a pool of {fact.venue} diverged",
                f"{fact.pool} at block {fact.block.number}: {fact.cause}, {', '.join(fact.changed)}",
            )
        case TokenJudged() if fact.verdict.fault is not None:
            return Alert(
                Severity.INFO,
                f"token {fact.verdict.token} {fact.verdict.fault}",
                "a token is not traded",
                f"{fact.verdict.token}: {fact.verdict.fault}, {fact.verdict.detail}",
            )
        case BooksCompared() if fact.differences:
            body = f"at block {fact.block.number}: " + "; ".join(fact.differences[:5])
            key = f"books {fact.differences[0]}"
            return Alert(Severity.CRITICAL, key, "journal, chain and ledger disagree", body)
        case BooksCompared() if fact.restored:
            body = f"at block {fact.block.number}: {fact.restored} executions, written again from the journal"
            return Alert(Severity.WARNING, "books", "the ledger was incomplete", body)
        case ExecutionResolved() if fact.execution.intent.kind == "trade":
            return _of_execution(fact)
    return None


def _of_execution(fact: ExecutionResolved) -> Alert | None:
    execution, intent = fact.execution, fact.execution.intent
    where = f"{intent.transaction.hash} in block {execution.block_number}"
    if execution.outcome is Outcome.REVERTED:
        return Alert(
            Severity.WARNING, "reverted", "a trade reverted", f"{where}: {execution.gas_paid_wei} wei lost"
        )
    if execution.outcome is Outcome.UNDONE:
        return Alert(Severity.WARNING, "undone", "a trade was reorganised away", where)
    if execution.outcome is Outcome.REPLACED:
        return Alert(Severity.CRITICAL, "replaced", "somebody else used the operator's key", where)
    if execution.outcome is Outcome.LANDED and execution.realised_profit < intent.simulated_profit:
        return Alert(
            Severity.CRITICAL,
            f"mismatch {intent.id}",
            "a trade landed with less profit than simulated",
            f"{where}: {execution.realised_profit} and not {intent.simulated_profit}",
        )
    return None


@dataclass(slots=True)
class Alerts:
    """Decides what is told, and tells it with `notify(severity, title, body)`, which may take its time.

    The same key is told once in `repeat_after_s`. `suppressed` counts what was not told, by reason; `failed`
    what no service took. `clock` is monotonic seconds, `minute_of_day` the wall clock.
    """

    notify: Callable[[Severity, str, str], bool]
    least: Severity = Severity.WARNING
    quiet: QuietHours | None = None
    repeat_after_s: float = 3_600.0
    clock: Callable[[], float] = time.monotonic
    minute_of_day: Callable[[], int] = lambda: datetime.now().hour * 60 + datetime.now().minute
    suppressed: dict[str, int] = field(default_factory=lambda: {"duplicate": 0, "minor": 0, "quiet": 0})
    sent: int = 0
    failed: int = 0
    _told_at: dict[str, float] = field(default_factory=dict)

    async def listen(self, facts: AsyncIterable[Fact]) -> None:
        """Tell of facts until there are no more; a service that hangs is given up on."""
        async for fact in facts:
            alert = alert_of(fact)
            if alert is not None:
                await self.tell(alert)

    async def tell(self, alert: Alert) -> bool:
        """Tell one alert, unless it is minor, was told lately, or it is night. Whether a service took it."""
        if not self._is_due(alert):
            return False
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                fine = await asyncio.to_thread(self.notify, alert.severity, alert.title, alert.body)
        except Exception:
            # A service must not take the listener with it, whatever it does.
            fine = False
        self.sent += fine
        self.failed += not fine
        return fine

    def _is_due(self, alert: Alert) -> bool:
        if alert.severity < self.least:
            self.suppressed["minor"] += 1
            return False
        if self.quiet and alert.severity < Severity.CRITICAL and self.quiet.contain(self.minute_of_day()):
            self.suppressed["quiet"] += 1
            return False
        now = self.clock()
        told_at = self._told_at.get(alert.key)
        if told_at is not None and now - told_at < self.repeat_after_s:
            self.suppressed["duplicate"] += 1
            return False
        if len(self._told_at) >= _REMEMBERED:
            self._told_at.clear()
        self._told_at[alert.key] = now
        return True


def read_services(path: Path) -> list[str]:
    """Addresses of services, one a line; `#` begins a comment. They hold secrets, so only the owner may read.

    Raises ConfigError.
    """
    try:
        mode = path.stat().st_mode
        lines = path.read_text().splitlines()
    except OSError as error:
        raise ConfigError(f"alerts.services_file {path} cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise ConfigError(f"alerts.services_file {path} can be read by others: chmod 600 it")
    found = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not found:
        raise ConfigError(f"alerts.services_file {path} names no service")
    return found


def service_notifier(services: Sequence[str]) -> Callable[[Severity, str, str], bool]:
    """Tells by Apprise. Raises ConfigError, without the address in it, for one that Apprise does not know."""
    import apprise

    sender: Any = apprise.Apprise()
    for number, service in enumerate(services, 1):
        if not sender.add(service):
            raise ConfigError(f"alerts.services_file: line {number} is not an address that Apprise knows")
    kinds = {
        Severity.INFO: apprise.NotifyType.INFO,
        Severity.WARNING: apprise.NotifyType.WARNING,
        Severity.CRITICAL: apprise.NotifyType.FAILURE,
    }

    def notify(severity: Severity, title: str, body: str) -> bool:
        return bool(sender.notify(title=title, body=body, notify_type=kinds[severity]))

    return notify
