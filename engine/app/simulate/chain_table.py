"""What is known of a chain beforehand: its venues and base tokens, from `deployments/chains/*.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from engine.app.deploy import NONE_PINNED, FeedListing
from engine.app.toolchain import project_root
from engine.chain.data_fees import DataFee
from engine.domain.errors import ConfigError
from engine.domain.execution import Pinned
from engine.domain.market import ZERO_HASH, Protocol, Token, Venue

# UniswapV3Pool's storage: slot0, two fee growths, protocol fees, liquidity, then `ticks` and `tickBitmap`.
UNISWAP_V3_TICKS_SLOT = 5
_BY_CREATE2 = (Protocol.UNISWAP_V2, Protocol.UNISWAP_V3)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}\Z")


@dataclass(frozen=True, slots=True)
class ChainTable:
    """`bases` may start and end cycles, most preferred first. `first_blocks` maps a venue's name to the
    block its factory was deployed in, `ticks_slots` a V3 venue's to the storage slot of its pools' `ticks`
    mapping (the tick bitmap is in the slot after it, the liquidity in the one before). `pinned` is what a
    router of ours knows there, `data_fee` how the chain charges for a transaction's bytes."""

    chain_id: int
    wrapped_native: str
    bases: tuple[Token, ...]
    venues: tuple[Venue, ...]
    first_blocks: dict[str, int]
    ticks_slots: dict[str, int]
    feeds: tuple[FeedListing, ...] = ()
    pinned: Pinned = NONE_PINNED
    data_fee: DataFee = DataFee.NONE

    def ticks_slot(self, venue: str) -> int:
        """The slot of `ticks` in a V3 venue's pools; Uniswap's for a venue that is not in the table."""
        return self.ticks_slots.get(venue, UNISWAP_V3_TICKS_SLOT)

    def with_venues(self, venues: Iterable[Venue]) -> ChainTable:
        """This table and more venues."""
        return replace(self, venues=(*self.venues, *venues))

    @property
    def base_tokens(self) -> tuple[str, ...]:
        """Addresses of `bases`."""
        return tuple(token.address for token in self.bases)


def load_chain_table(chain_id: int, path: Path | None = None) -> ChainTable:
    """The table at `path`, or the repository's for `chain_id`.

    Raises ConfigError when there is none, it is malformed, or it is another chain's.
    """
    if path is not None:
        table = _read(path)
        if table.chain_id != chain_id:
            raise ConfigError(
                f"chain table {path} is of chain {table.chain_id}, but the node serves {chain_id}"
            )
        return table
    folder = project_root() / "deployments" / "chains"
    for candidate in sorted(folder.glob("*.toml")):
        table = _read(candidate)
        if table.chain_id == chain_id:
            return table
    raise ConfigError(f"no chain table for chain {chain_id} in {folder}: name one with --chain-table")


def known_data_fee(chain_id: int) -> DataFee:
    """How the repository's table of the chain says that bytes are charged for; NONE without a table."""
    folder = project_root() / "deployments" / "chains"
    tables = (_read(path) for path in sorted(folder.glob("*.toml")))
    return next((table.data_fee for table in tables if table.chain_id == chain_id), DataFee.NONE)


def known_bases() -> list[Token]:
    """Base tokens of every chain the repository has a table of."""
    folder = project_root() / "deployments" / "chains"
    return [token for path in sorted(folder.glob("*.toml")) for token in _read(path).bases]


def _read(path: Path) -> ChainTable:
    try:
        raw = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"chain table {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"chain table {path} is not valid TOML: {error}") from None
    try:
        rows = [row for row in raw["venues"] if row.get("enabled", True)]
        return ChainTable(
            chain_id=int(raw["chain_id"]),
            wrapped_native=_hex(raw["wrapped_native"], _ADDRESS),
            bases=tuple(
                Token(_hex(token["address"], _ADDRESS), str(token["symbol"]), int(token["decimals"]))
                for token in raw["base_tokens"]
            ),
            venues=tuple(_venue(row) for row in rows),
            first_blocks={row["name"]: int(row.get("first_block", 0)) for row in rows},
            feeds=tuple(_feed(row) for row in raw.get("feeds", [])),
            data_fee=DataFee(raw.get("data_fee", "none")),
            pinned=_pinned(raw),
            ticks_slots={row["name"]: int(row.get("ticks_slot", UNISWAP_V3_TICKS_SLOT)) for row in rows},
        )
    except KeyError as error:
        raise ConfigError(f"chain table {path} lacks {error.args[0]}: add it") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"chain table {path} is malformed: {error}") from None


def _pinned(raw: dict[str, Any]) -> Pinned:
    names = [field.name for field in fields(Pinned)]
    return Pinned(**{name: _hex(raw[name], _ADDRESS) for name in names if name in raw})


def _venue(row: dict[str, Any]) -> Venue:
    protocol = Protocol(row["protocol"])
    fee_pips = int(row["fee_pips"]) if protocol is Protocol.UNISWAP_V2 else None
    factory = _hex(row["factory"], _ADDRESS)
    code_hash = row.get("pool_code_hash")
    return Venue(
        name=str(row["name"]),
        protocol=protocol,
        factory=factory,
        deployer=_hex(row.get("deployer", factory), _ADDRESS),
        # Only families whose pools are proven by CREATE2 have one.
        init_code_hash=_hex(row["init_code_hash"] if protocol in _BY_CREATE2 else ZERO_HASH, _HASH),
        pool_code_hash=None if code_hash is None else _hex(code_hash, _HASH),
        fee_pips=fee_pips,
    )


def _feed(row: dict[str, Any]) -> FeedListing:
    quote = row["quote"]
    return FeedListing(
        base=_hex(row["base"], _ADDRESS),
        quote=quote if quote == "usd" else _hex(quote, _ADDRESS),
        aggregator=_hex(row["aggregator"], _ADDRESS),
        max_staleness=int(row["max_staleness"]),
        min_answer=int(row["min_answer"]),
        max_answer=int(row["max_answer"]),
    )


def _hex(value: Any, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.match(value):
        raise ValueError(f"{value!r} is not {'an address' if form is _ADDRESS else 'a 32-byte hash'}")
    return value.lower()
