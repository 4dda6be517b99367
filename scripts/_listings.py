"""The venues and price feeds to register, read from JSON lists or from a chain's TOML table."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.domain.errors import ConfigError
from engine.domain.market import Protocol
from scripts._fields import address, boolean, hash_or_zero, integer
from scripts._sources import FeedListing, read_feed

_PROTOCOL_BYTES = 32
# What the router knows besides its people, in its constructor's order.
PINNED = ("wrapped_native", "pool_manager", "balancer_vault", "balancer_vault_v3")
_BY_CREATE2 = (Protocol.UNISWAP_V2, Protocol.UNISWAP_V3)


@dataclass(frozen=True, slots=True)
class VenueListing:
    """The fields of `IDexRegistry.Venue`, in its order; hashes as 0x-hex."""

    name: str
    protocol: str
    factory: str
    deployer: str
    init_code_hash: str
    pool_code_hash: str
    fee_pips: int
    enabled: bool

    def as_tuple(self) -> tuple:
        """As the contract takes it."""
        return (
            self.name,
            protocol_word(self.protocol),
            self.factory,
            self.deployer,
            bytes.fromhex(self.init_code_hash[2:]),
            bytes.fromhex(self.pool_code_hash[2:]),
            self.fee_pips,
            self.enabled,
        )


@dataclass(frozen=True, slots=True)
class ChainListing:
    """What a chain's table says should be registered, and which contracts the router should pin."""

    chain_id: int
    venues: list[VenueListing]
    feeds: list[FeedListing]
    pinned: dict[str, str]


def protocol_word(protocol: str) -> bytes:
    """A protocol's name as the registry stores it: ASCII, left-aligned in a word."""
    return protocol.encode("ascii").ljust(_PROTOCOL_BYTES, b"\0")


def read_venues(path: Path) -> list[VenueListing]:
    """Venues from a JSON list of objects with the fields of `engine.domain.market.Venue`.

    Raises ConfigError naming the file, the entry and the field.
    """
    return _read_list(path, _json(path), "entry", _venue)


def read_feeds(path: Path) -> list[FeedListing]:
    """Feeds from a JSON list; see `scripts._sources.read_feed` for an entry's fields.

    Raises ConfigError naming the file, the entry and the field.
    """
    return _read_list(path, _json(path), "entry", read_feed)


def read_table(path: Path) -> ChainListing:
    """Venues and feeds from a table such as `deployments/chains/ethereum.toml`.

    A top-level `sequencer = { uptime_feed = "0x…", grace_s = 3600 }` guards every feed of the table. Raises
    ConfigError naming the file, the entry and the field.
    """
    try:
        raw = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check its name") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML ({error}): correct it") from error
    if not isinstance(raw.get("chain_id"), int):
        raise ConfigError(f"{path} lacks chain_id: add it")
    sequencer = raw.get("sequencer")

    def feed(entry: dict[str, Any]) -> FeedListing:
        return read_feed(entry if sequencer is None else {"sequencer": sequencer, **entry})

    return ChainListing(
        raw["chain_id"],
        _read_list(path, raw.get("venues", []), "venue", _venue),
        _read_list(path, raw.get("feeds", []), "feed", feed),
        {name: address(raw, name) for name in PINNED if name in raw},
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check its name") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON ({error}): correct it") from error


def _read_list(path: Path, entries: Any, what: str, parse: Callable[[dict[str, Any]], Any]) -> list:
    if not isinstance(entries, list):
        raise ConfigError(f"{path} must hold a list: correct it")
    found = []
    for number, entry in enumerate(entries):
        try:
            if not isinstance(entry, dict):
                raise ValueError("is not an object")
            found.append(parse(entry))
        except KeyError as error:
            raise ConfigError(f"{path}: {what} {number} lacks {error.args[0]}: add it") from None
        except ValueError as error:
            raise ConfigError(f"{path}: {what} {number} {error}: correct it") from None
    return found


def _venue(entry: dict[str, Any]) -> VenueListing:
    known = [protocol.value for protocol in Protocol]
    if entry["protocol"] not in known:
        raise ValueError(f"has protocol {entry['protocol']!r}, which is none of {', '.join(known)}")
    if entry["protocol"] in _BY_CREATE2 and not entry["init_code_hash"]:
        raise ValueError("has no init_code_hash, without which no pool of it can be proven")
    factory = address(entry, "factory")
    return VenueListing(
        name=str(entry["name"]),
        protocol=str(entry["protocol"]),
        factory=factory,
        deployer=address(entry, "deployer") if "deployer" in entry else factory,
        init_code_hash=hash_or_zero(entry, "init_code_hash"),
        pool_code_hash=hash_or_zero(entry, "pool_code_hash"),
        fee_pips=integer(entry, "fee_pips") if entry.get("fee_pips") is not None else 0,
        enabled=boolean(entry, "enabled"),
    )
