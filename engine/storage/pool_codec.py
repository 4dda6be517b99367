"""Pool states as JSON and back: dataclasses and enumerations by name, and no other names."""

from __future__ import annotations

import dataclasses
import json
from enum import StrEnum
from typing import Any

from engine.domain import pool_details, pool_state
from engine.domain.market import PoolRecord, Protocol
from engine.domain.pool_state import PoolState

_MODULES = (pool_details, pool_state)
_CLASSES: dict[str, type] = {"PoolRecord": PoolRecord} | {
    name: value
    for module in _MODULES
    for name, value in vars(module).items()
    if isinstance(value, type) and dataclasses.is_dataclass(value)
}
_ENUMS: dict[str, type[StrEnum]] = {"Protocol": Protocol} | {
    name: value
    for name, value in vars(pool_details).items()
    if isinstance(value, type) and issubclass(value, StrEnum) and value is not StrEnum
}


def encode_state(state: PoolState) -> str:
    """One line of JSON; integers of any size as they are."""
    return json.dumps(_plain(state), separators=(",", ":"))


def encode_record(record: PoolRecord) -> str:
    """As `encode_state`, of a pool's record."""
    return json.dumps(_plain(record), separators=(",", ":"))


def decode_record(text: str) -> PoolRecord:
    """The record that `encode_record` wrote. Raises ValueError for anything else."""
    return _decoded(text, PoolRecord, "pool record")


def decode_state(text: str) -> PoolState:
    """The state that `encode_state` wrote. Raises ValueError for anything else."""
    return _decoded(text, PoolState, "pool state")


def _decoded(text: str, kind: Any, what: str) -> Any:
    try:
        value = _rich(json.loads(text))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a {what}: {error}") from error
    if not isinstance(value, kind):
        raise ValueError(f"not a {what}")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return {"=": type(value).__name__, "value": value.value}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
        return {"@": type(value).__name__} | parts
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_rich(each) for each in value)
    if isinstance(value, dict):
        if "=" in value:
            return _ENUMS[value["="]](value["value"])
        parts = {name: _rich(part) for name, part in value.items() if name != "@"}
        return _CLASSES[value["@"]](**parts)
    return value
