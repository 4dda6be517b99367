"""Pools that the person names: a JSON list of `{"address": …, "protocol": …}`, with a `"venue"` or not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.chain.creations import Sighting
from engine.domain.errors import ConfigError
from engine.domain.market import Protocol, Venue

_MOST_BYTES = 64 * 1024 * 1024
_KEYS = {"address", "protocol", "venue"}


def read_listed(path: Path, venues: Sequence[Venue]) -> tuple[list[Sighting], dict[str, str]]:
    """Sightings of the listed pools, one for each venue that may have made it; and, by address, why others
    cannot be traded. Raises ConfigError for a file that is not such a list."""
    sightings: list[Sighting] = []
    refused: dict[str, str] = {}
    for number, entry in enumerate(_entries(path)):
        address, protocol, name = _parsed(path, number, entry)
        fitting = [venue for venue in venues if venue.protocol is protocol and name in (None, venue.name)]
        if protocol is Protocol.UNISWAP_V4:
            refused[address] = "a listed V4 pool has no contract of its own: its manager's logs name it"
        elif not fitting:
            refused[address] = "its factory is unknown: no venue of the registry fits"
        sightings += [Sighting(venue, address) for venue in fitting]
    return sightings, refused


def _entries(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"market.pools_file {path} is larger than {_MOST_BYTES} bytes")
        entries = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"market.pools_file {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"market.pools_file {path} is not JSON") from None
    if not isinstance(entries, list):
        raise ConfigError(f"market.pools_file {path} is not a list of pools")
    return entries


def _parsed(path: Path, number: int, entry: Any) -> tuple[str, Protocol, str | None]:
    where = f"market.pools_file {path}, pool {number + 1}"
    if not isinstance(entry, dict) or not {"address", "protocol"} <= entry.keys() <= _KEYS:
        raise ConfigError(f"{where}: give address and protocol, and at most a venue besides")
    address, name = entry["address"], entry.get("venue")
    if not isinstance(address, str) or not re.fullmatch(r"0x[0-9a-fA-F]{40}", address):
        raise ConfigError(f"{where}: {str(address)[:80]!r} is not an address")
    try:
        protocol = Protocol(entry["protocol"])
    except ValueError:
        known = ", ".join(one.value for one in Protocol)
        raise ConfigError(f"{where}: {str(entry['protocol'])[:80]!r} is none of {known}") from None
    if name is not None and not isinstance(name, str):
        raise ConfigError(f"{where}: the venue is not a name")
    return address.lower(), protocol, name
