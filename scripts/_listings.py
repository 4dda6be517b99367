"""The venues and price feeds to register, read from JSON files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils import is_hex_address, to_checksum_address

from engine.domain.errors import ConfigError
from engine.domain.market import ZERO_HASH, Protocol

USD = "0x0000000000000000000000000000000000000348"
_KINDS = {Protocol.UNISWAP_V2.value: 1, Protocol.UNISWAP_V3.value: 2}


@dataclass(frozen=True, slots=True)
class VenueListing:
    """The fields of `IDexRegistry.Venue`, in its order."""

    name: str
    kind: int
    factory: str
    deployer: str
    init_code_hash: str
    pool_code_hash: str
    fee_pips: int
    enabled: bool

    def as_tuple(self) -> tuple:
        return (
            self.name,
            self.kind,
            self.factory,
            self.deployer,
            self.init_code_hash,
            self.pool_code_hash,
            self.fee_pips,
            self.enabled,
        )


@dataclass(frozen=True, slots=True)
class FeedListing:
    """The arguments of `IPriceFeedRegistry.setFeed`.

    `max_staleness` in seconds, answers in the aggregator's units.
    """

    base: str
    quote: str
    aggregator: str
    max_staleness: int
    min_answer: int
    max_answer: int

    def as_tuple(self) -> tuple:
        return (self.base, self.quote, self.aggregator, self.max_staleness, self.min_answer, self.max_answer)


def read_venues(path: Path) -> list[VenueListing]:
    """Venues from a JSON list of objects with the fields of `engine.domain.market.Venue`.

    Raises ConfigError naming the file, the entry and the field.
    """
    return _read(path, _venue)


def read_feeds(path: Path) -> list[FeedListing]:
    """Feeds from a JSON list of `{base, quote, aggregator, max_staleness, min_answer, max_answer}`.

    `quote` may be "usd"; integers may be decimal strings. Raises ConfigError naming the file,
    the entry and the field.
    """
    return _read(path, _feed)


def _read(path: Path, parse: Callable[[dict[str, Any]], Any]) -> list:
    try:
        entries = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check its name") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON ({error}): correct it") from error
    if not isinstance(entries, list):
        raise ConfigError(f"{path} must hold a list: correct it")
    found = []
    for number, entry in enumerate(entries):
        try:
            if not isinstance(entry, dict):
                raise ValueError("is not an object")
            found.append(parse(entry))
        except KeyError as error:
            raise ConfigError(f"{path}: entry {number} lacks {error.args[0]}: add it") from None
        except ValueError as error:
            raise ConfigError(f"{path}: entry {number} {error}: correct it") from None
    return found


def _venue(entry: dict[str, Any]) -> VenueListing:
    if entry["protocol"] not in _KINDS:
        raise ValueError(f"has protocol {entry['protocol']!r}, which is none of {', '.join(_KINDS)}")
    return VenueListing(
        name=str(entry["name"]),
        kind=_KINDS[entry["protocol"]],
        factory=_address(entry, "factory"),
        deployer=_address(entry, "deployer"),
        init_code_hash=_hash(entry, "init_code_hash"),
        pool_code_hash=_hash(entry, "pool_code_hash") if entry.get("pool_code_hash") else ZERO_HASH,
        fee_pips=_integer(entry, "fee_pips") if entry.get("fee_pips") is not None else 0,
        enabled=_boolean(entry, "enabled"),
    )


def _feed(entry: dict[str, Any]) -> FeedListing:
    usd = str(entry["quote"]).lower() == "usd"
    return FeedListing(
        base=_address(entry, "base"),
        quote=to_checksum_address(USD) if usd else _address(entry, "quote"),
        aggregator=_address(entry, "aggregator"),
        max_staleness=_integer(entry, "max_staleness"),
        min_answer=_integer(entry, "min_answer"),
        max_answer=_integer(entry, "max_answer"),
    )


def _address(entry: dict[str, Any], field: str) -> str:
    if not is_hex_address(entry[field]):
        raise ValueError(f"has {field} {entry[field]!r}, which is not an address")
    return to_checksum_address(entry[field])


def _hash(entry: dict[str, Any], field: str) -> str:
    text = str(entry[field]).lower().removeprefix("0x")
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise ValueError(f"has {field} {entry[field]!r}, which is not a 32-byte hash")
    return "0x" + text


def _integer(entry: dict[str, Any], field: str) -> int:
    try:
        value = int(str(entry[field]))
    except ValueError:
        value = -1
    if value < 0 or isinstance(entry[field], bool):
        raise ValueError(f"has {field} {entry[field]!r}, which is not a whole number")
    return value


def _boolean(entry: dict[str, Any], field: str) -> bool:
    value = entry.get(field, True)
    if not isinstance(value, bool):
        raise ValueError(f"has {field} {value!r}, which is not true or false")
    return value
