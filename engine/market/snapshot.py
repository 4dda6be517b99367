"""Market snapshots: one JSON document (or gzip of one) holding every pool's exact state at one block.

The format is `snapshot.schema.json` beside this file. Files are read and written pool by pool, so that their
size does not matter to memory.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from engine.domain.errors import MarketError, SnapshotError
from engine.domain.market import ZERO_HASH, BlockRef, Protocol, Token
from engine.market.json_stream import JsonStream, NotJson
from engine.market.market import Market
from engine.market.snapshot_entries import entry_of
from engine.market.snapshot_fields import Malformed, address, amount, list_of, whole, word
from engine.market.snapshot_pools import Common, read_state

_MAX_SYMBOL = 32
_MAX_DECIMALS = 36
_MAX_NAME = 64
_MAX_UNKNOWN = 1_000  # names of unknown protocols that are told apart
_HEADER = ("version", "chain_id", "block", "tokens")


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """What a load found: pools taken, and pools passed over by protocol name."""

    chain_id: int
    pools: int
    skipped_protocols: Counter[str] = field(default_factory=Counter)


def load(path: str | Path) -> tuple[Market, SnapshotReport]:
    """Read a snapshot into a market whose head is the snapshot's block.

    Pools of protocols we do not know are counted and passed over; tokens of two-token pools may come in any
    order. A pool with `"ticks_complete": false` is limited to the range its ticks span. Raises SnapshotError,
    naming the file and the pool, for anything malformed.
    """
    path = Path(path)
    market = Market()
    try:
        with _opened(path) as file:
            header = _read_header(file, market)
        chain_id = _take_header(header, market)
        skipped: Counter[str] = Counter()
        with _opened(path) as file:
            for index, text in enumerate(_pools(file)):
                _load_pool(market, text, index, skipped)
    except (Malformed, NotJson) as error:
        raise SnapshotError(f"snapshot {path} {_sentence(error)}") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is not a whole gzip file"
        raise SnapshotError(f"snapshot {path} cannot be read: {reason}") from error
    return market, SnapshotReport(chain_id, market.pool_count, skipped)


def save(market: Market, path: str | Path, chain_id: int = 1) -> None:
    """Write the market at its head, atomically; gzip when the name ends in `.gz`.

    Quarantined pools are left out: a snapshot holds only state we trust. Raises SnapshotError when the
    market has no head or the file cannot be written.
    """
    if market.head is None:
        raise SnapshotError(f"snapshot {path} was not written because the market has no block yet")
    target = Path(path)
    draft = ""
    try:
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=target.name)
        with os.fdopen(handle, "wb") as plain:
            if target.suffix == ".gz":
                with gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=6, mtime=0, filename="") as file:
                    _write(market, file, chain_id, market.head)
            else:
                _write(market, plain, chain_id, market.head)
        os.replace(draft, target)
    except OSError as error:
        Path(draft).unlink(missing_ok=True) if draft else None
        raise SnapshotError(f"snapshot {path} cannot be written: {error.strerror}") from error


def _write(market: Market, file: Any, chain_id: int, head: BlockRef) -> None:
    header = {
        "version": 1,
        "chain_id": chain_id,
        "block": _block_to_json(head),
        "tokens": [{"address": t.address, "symbol": t.symbol, "decimals": t.decimals} for t in market.tokens],
    }
    file.write(orjson.dumps(header)[:-1] + b',"pools":[')
    separator = b""
    for row in market.pool_row.values():
        if row not in market.quarantined:
            has_gross = bool(market.tables.gross_known[row])
            file.write(separator + orjson.dumps(entry_of(market.state_of(row), has_gross)))
            separator = b","
    file.write(b"]}")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as plain:
        if plain.read(2) != b"\x1f\x8b":
            plain.seek(0)
            yield plain
            return
        plain.seek(0)
        with gzip.GzipFile(fileobj=plain, mode="rb") as file:
            yield file  # type: ignore[misc]


def _read_header(file: BinaryIO, market: Market) -> dict[str, Any]:
    """The members before and after the pools; reading ends at the pools where nothing is missing by then.

    Tokens go straight into the market.
    """
    header: dict[str, Any] = {}
    for name, is_list, text in JsonStream(file).members():
        if name == "pools":
            header[name] = is_list
            if all(key in header for key in _HEADER):
                return header
        elif name == "tokens":
            header[name] = is_list
            if is_list and text:
                _load_token(market, text)
        elif name in header and name in _HEADER:
            raise Malformed(f"has more than one {name}")
        elif name in _HEADER:
            header[name] = [] if is_list else _parsed(text)
    return header


def _take_header(header: dict[str, Any], market: Market) -> int:
    """Start the market at the header's block; the chain id."""
    if header.get("version") != 1:
        raise Malformed(f"has version {header.get('version')!r:.40}, but only version 1 is known")
    try:
        chain_id = whole(header, "chain_id", 1, 2**64 - 1)
        block = _load_block(header.get("block"))
    except Malformed as error:
        raise Malformed(f"has a malformed header: {error}") from error
    for name in ("tokens", "pools"):
        if header.get(name) is not True:
            raise Malformed(f"has no {name} list")
    market.start(block)
    return chain_id


def _pools(file: BinaryIO) -> Iterator[bytes]:
    for name, _, text in JsonStream(file).members():
        if name == "pools" and text:
            yield text


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotJson(str(error)) from error


def _sentence(error: Exception) -> str:
    return f"is not JSON: {error}" if isinstance(error, NotJson) else str(error)


def _load_block(block: Any) -> BlockRef:
    if not isinstance(block, dict):
        raise Malformed("there is no block object")
    return BlockRef(
        number=whole(block, "number", 0, 2**63 - 1),
        hash=word(block.get("hash"), "block hash"),
        parent_hash=word(block.get("parent_hash", ZERO_HASH), "block parent_hash"),
        timestamp=whole(block, "timestamp", 0, 2**62),
        base_fee_wei=amount(block.get("base_fee_wei", "0"), "block.base_fee_wei", 128),
    )


def _load_token(market: Market, text: bytes) -> None:
    index = len(market.tokens)
    token = _parsed(text)
    if not isinstance(token, dict):
        raise Malformed(f"has token number {index} that is not an object")
    try:
        where = address(token.get("address"), "address")
        decimals = whole(token, "decimals", 0, _MAX_DECIMALS)
        symbol = token.get("symbol")
        if not isinstance(symbol, str):
            raise Malformed("symbol is not a string")
    except Malformed as error:
        raise Malformed(f"has a malformed token number {index}: {error}") from error
    if where in market.token_row:
        raise Malformed(f"lists token {where} twice")
    printable = "".join(c if c.isprintable() else "?" for c in symbol[:_MAX_SYMBOL])
    market.add_token(Token(where, printable, decimals))


def _load_pool(market: Market, text: bytes, index: int, skipped: Counter[str]) -> None:
    pool = _parsed(text)
    try:
        common = _common(market, pool, skipped)
        if common is not None:
            state = read_state(pool, common)
            if state.pool.key in market.pool_row:
                raise Malformed("it is listed twice")
            market.set_state(market.add_pool(state.pool), state)
    except (Malformed, MarketError) as error:
        name = pool.get("address") if isinstance(pool, dict) else None
        place = f"pool {name}" if isinstance(name, str) and len(name) <= 66 else f"pool number {index}"
        raise Malformed(f"holds a pool that is malformed: {place}: {error}") from error


def _common(market: Market, pool: Any, skipped: Counter[str]) -> Common | None:
    """What every pool has; None for a protocol that is not known."""
    if not isinstance(pool, dict):
        raise Malformed("it is not an object")
    name = pool.get("protocol")
    if not isinstance(name, str):
        raise Malformed("protocol is not a string")
    try:
        protocol = Protocol(name)
    except ValueError:
        known = name[:_MAX_NAME]
        skipped[known if known in skipped or len(skipped) < _MAX_UNKNOWN else "others"] += 1
        return None
    where = address(pool.get("address"), "address")
    tokens = tuple(address(token, "a token") for token in list_of(pool, "tokens"))
    if not 2 <= len(tokens) <= 8 or len(set(tokens)) != len(tokens):
        raise Malformed("tokens must be two to eight different addresses")
    for token in tokens:
        if token not in market.token_row:
            raise Malformed(f"token {token} is not in the snapshot's token list")
    venue = pool.get("venue", "")
    if not isinstance(venue, str):
        raise Malformed("venue is not a string")
    decimals = tuple(market.tokens[market.token_row[token]].decimals for token in tokens)
    return Common(where, protocol, venue[:_MAX_NAME], tokens, decimals)


def _block_to_json(block: BlockRef) -> dict[str, Any]:
    return {
        "number": block.number,
        "hash": block.hash,
        "parent_hash": block.parent_hash,
        "timestamp": block.timestamp,
        "base_fee_wei": str(block.base_fee_wei),
    }
