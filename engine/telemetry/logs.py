"""Where logs go and what they look like."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import orjson
import structlog

from engine.telemetry.redact import Redactor

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def _json(value: Any, **kwargs: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _wide_integers(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Integers beyond 53 bits become text, which every JSON reader keeps exact."""
    for name, value in event.items():
        if isinstance(value, int) and not -(1 << 53) < value < 1 << 53:
            event[name] = str(value)
    return event


def make_logger(
    level: str = "info",
    style: str = "console",
    stream: TextIO | None = None,
    redactor: Redactor | None = None,
) -> Any:
    """A structlog logger of its own: no global configuration is touched.

    `level` is one of LEVELS, `style` "console" or "json" (one object per line), `stream` stderr by default.
    """
    target = stream or sys.stderr
    renderer = (
        structlog.processors.JSONRenderer(serializer=_json)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=target.isatty(), pad_event_to=0)
    )
    return structlog.wrap_logger(
        structlog.PrintLogger(target),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redactor or Redactor(),
            _wide_integers,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
    )
