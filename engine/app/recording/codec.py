"""Values at the line's seams as JSON and back: the domain's records and enumerations, no others."""

from __future__ import annotations

import dataclasses
from enum import Enum
from fractions import Fraction
from types import ModuleType
from typing import Any

from engine.domain import feeds, market, opportunity, pool_details, pool_state, token_safety
from engine.execution import commands, lenders

_MODULES: tuple[ModuleType, ...] = (
    feeds,
    market,
    opportunity,
    pool_details,
    pool_state,
    token_safety,
    commands,
    lenders,
)


def _named(kind: Any) -> dict[str, Any]:
    return {
        name: value
        for module in _MODULES
        for name, value in vars(module).items()
        if isinstance(value, type) and kind(value)
    }


def _is_record(value: type) -> bool:
    return dataclasses.is_dataclass(value) or (issubclass(value, tuple) and hasattr(value, "_fields"))


_CLASSES = _named(_is_record)
_ENUMS = _named(lambda value: issubclass(value, Enum) and len(value) > 0)


def plain(value: Any) -> Any:
    """JSON-ready, integers of any size as they are. Raises ValueError for what has no form."""
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, Enum):
        return {"=": type(value).__name__, "value": value.value}
    if isinstance(value, Fraction | float):
        exact = Fraction(value)
        return {"/": [exact.numerator, exact.denominator]}
    if isinstance(value, bytes):
        return {"x": value.hex()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
        return {"@": type(value).__name__} | parts
    if isinstance(value, opportunity.CheckResult):
        # What was compared is only ever shown, as text.
        value = value._replace(compared=value.numbers)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {"@": type(value).__name__} | {name: plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, dict):
        return {":": [[plain(name), plain(part)] for name, part in value.items()]}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    raise ValueError(f"a {type(value).__name__} cannot be recorded")


def rich(value: Any) -> Any:
    """What `plain` was given, lists as tuples. Raises ValueError for anything else."""
    try:
        return _rich(value)
    except (KeyError, TypeError, RecursionError, ZeroDivisionError) as error:
        raise ValueError(f"not a recorded value: {error}") from error


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_rich(each) for each in value)
    if not isinstance(value, dict):
        return value
    if "=" in value:
        return _ENUMS[value["="]](value["value"])
    if "/" in value:
        return Fraction(*value["/"])
    if "x" in value:
        return bytes.fromhex(value["x"])
    if ":" in value:
        return {_rich(name): _rich(part) for name, part in value[":"]}
    parts = {name: _rich(part) for name, part in value.items() if name != "@"}
    return _CLASSES[value["@"]](**parts)
