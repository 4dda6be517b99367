"""Alerts arrive at a real server, once, and not at night unless they are critical."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.domain.errors import ConfigError
from engine.domain.events import TradingStateChanged, VenueHalted
from engine.domain.market import BlockRef
from engine.domain.opportunity import TradingState
from engine.telemetry.alerts import (
    Alert,
    Alerts,
    QuietHours,
    Severity,
    alert_of,
    read_services,
    service_notifier,
)

HEAD = BlockRef(7, "0x" + "01" * 32, "0x" + "00" * 32, 1_700_000_000)
WARNING = Alert(Severity.WARNING, "a", "title", "body")


class Service(ThreadingHTTPServer):
    """Takes Apprise's JSON notifications; `status` is what it answers."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.taken.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


class Clock:
    now = 0.0
    minute = 12 * 60

    def seconds(self) -> float:
        return self.now

    def minute_of_day(self) -> int:
        return self.minute


def alerts(service: Service, clock: Clock, **changes: Any) -> Alerts:
    notify = service_notifier([f"json://127.0.0.1:{service.server_address[1]}/"])
    return Alerts(notify, clock=clock.seconds, minute_of_day=clock.minute_of_day, **changes)


async def test_an_alert_arrives_and_the_same_is_not_told_again_soon(service: Service) -> None:
    clock = Clock()
    told = alerts(service, clock, repeat_after_s=100.0)
    assert await told.tell(WARNING)
    clock.now = 99.0
    assert not await told.tell(WARNING)
    assert await told.tell(Alert(Severity.CRITICAL, "b", "other", "body"))
    clock.now = 100.0
    assert await told.tell(WARNING)
    assert [(each["title"], each["message"], each["type"]) for each in service.taken] == [
        ("title", "body", "warning"),
        ("other", "body", "failure"),
        ("title", "body", "warning"),
    ]
    assert told.suppressed == {"duplicate": 1, "minor": 0, "quiet": 0}


async def test_at_night_only_what_is_critical_is_told(service: Service) -> None:
    clock = Clock()
    told = alerts(service, clock, quiet=QuietHours.parse("22:30-07:00"))
    clock.minute = 23 * 60
    assert not await told.tell(WARNING)
    assert await told.tell(Alert(Severity.CRITICAL, "b", "urgent", "body"))
    clock.minute = 7 * 60
    assert await told.tell(WARNING)
    assert [each["title"] for each in service.taken] == ["urgent", "title"]


async def test_what_is_minor_is_not_told(service: Service) -> None:
    told = alerts(service, Clock(), least=Severity.CRITICAL)
    assert not await told.tell(WARNING)
    assert service.taken == []


async def test_a_service_that_fails_is_counted_and_survived(service: Service) -> None:
    told = alerts(service, Clock())
    service.status = 500
    assert not await told.tell(WARNING)
    assert (told.sent, told.failed) == (0, 1)

    def broken(severity: Severity, title: str, body: str) -> bool:
        raise RuntimeError("anything")

    told.notify = broken
    assert not await told.tell(Alert(Severity.WARNING, "c", "title", "body"))
    assert told.failed == 2


@pytest.mark.parametrize(
    ("text", "within", "without"),
    [("22:30-07:00", (1350, 1439, 0, 419), (420, 1349)), ("01:00-02:00", (60, 119), (59, 120))],
)
def test_quiet_hours(text: str, within: tuple[int, ...], without: tuple[int, ...]) -> None:
    hours = QuietHours.parse(text)
    assert all(hours.contain(minute) for minute in within)
    assert not any(hours.contain(minute) for minute in without)


@pytest.mark.parametrize("text", ["", "22-7", "24:00-07:00", "22:30-07:60", "22:30-07:00 "])
def test_quiet_hours_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="time of day"):
        QuietHours.parse(text)


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        (TradingState.ACTIVE, Severity.INFO),
        (TradingState.REDUCING, Severity.WARNING),
        (TradingState.HALTED, Severity.CRITICAL),
    ],
)
def test_every_rung_is_told_as_it_deserves(state: TradingState, severity: Severity) -> None:
    alert = alert_of(TradingStateChanged(HEAD, state, ("node: gone",)))
    assert alert is not None
    assert alert.severity is severity
    assert "node: gone" in alert.body


def test_the_same_venue_is_the_same_alert() -> None:
    first, second = (alert_of(VenueHalted(HEAD, "v2", why)) for why in ("so", "otherwise"))
    assert first is not None
    assert second is not None
    assert first.key == second.key


def test_services_are_secrets(tmp_path: Path) -> None:
    path = tmp_path / "services"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_services(path)
    path.write_text("# mine\n\njson://127.0.0.1:1/secret-token-of-mine\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_services(path)
    path.chmod(0o600)
    assert read_services(path) == ["json://127.0.0.1:1/secret-token-of-mine"]
    with pytest.raises(ConfigError, match="line 1") as raised:
        service_notifier(["nonsense://secret-token-of-mine"])
    assert "secret-token" not in str(raised.value)
