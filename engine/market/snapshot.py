"""Market snapshots: one JSON document (or gzip of one) holding every pool's exact state at one block.

The format is `snapshot.schema.json` beside this file. It is read with hand-written checks because a schema
validator takes seconds where these take milliseconds.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import tempfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from engine.amm.layout import (
    KIND_V2,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    limbs_to_int,
    limbs_to_ints,
    limbs_to_signed,
)
from engine.domain.errors import MarketError, SnapshotError
from engine.domain.market import ZERO_HASH, BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_AMOUNT = re.compile(r"[0-9]{1,78}")
_SIGNED = re.compile(r"-?[0-9]{1,78}")
_MAX_SYMBOL = 32
_MAX_DECIMALS = 36
_MAX_SPACING = 16383
_LOG_BASE = math.log(1.0001)


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """What a load found: pools taken, and pools passed over by protocol name."""

    chain_id: int
    pools: int
    skipped_protocols: Counter[str] = field(default_factory=Counter)


class _Malformed(Exception):
    """What is wrong, without where; the caller adds file and pool."""


def load(path: str | Path) -> tuple[Market, SnapshotReport]:
    """Read a snapshot into a market whose head is the snapshot's block.

    Pools of protocols we do not know are counted and passed over; tokens may come in any order (a V2 pool's
    reserves are swapped with them). A V3 pool with `"ticks_complete": false` is limited to the range its
    ticks span. Raises SnapshotError, naming the file and the pool, for anything malformed.
    """
    document = _read_document(Path(path))
    try:
        if document.get("version") != 1:
            raise _Malformed(f"has version {document.get('version')!r}, but only version 1 is known")
        chain_id = _whole(document, "chain_id", 1, 2**64 - 1)
        market = Market()
        _load_tokens(market, _list(document, "tokens"))
        block = _load_block(document.get("block"))
        pools = _list(document, "pools")
    except _Malformed as error:
        raise SnapshotError(f"snapshot {path} {error}") from error
    skipped: Counter[str] = Counter()
    for index, pool in enumerate(pools):
        try:
            _load_pool(market, pool, skipped)
        except (_Malformed, MarketError) as error:
            name = pool.get("address") if isinstance(pool, dict) else None
            place = f"pool {name}" if isinstance(name, str) and len(name) <= 66 else f"pool number {index}"
            raise SnapshotError(f"snapshot {path}: {place} is malformed: {error}") from error
    market.start(block)
    return market, SnapshotReport(chain_id, len(market.pools), skipped)


def save(market: Market, path: str | Path, chain_id: int = 1) -> None:
    """Write the market at its head, atomically; gzip when the name ends in `.gz`.

    Quarantined pools are left out: a snapshot holds only state we trust. Raises SnapshotError when the
    market has no head or the file cannot be written.
    """
    if market.head is None:
        raise SnapshotError(f"snapshot {path} was not written because the market has no block yet")
    document = {
        "version": 1,
        "chain_id": chain_id,
        "block": _block_to_json(market.head),
        "tokens": [{"address": t.address, "symbol": t.symbol, "decimals": t.decimals} for t in market.tokens],
        "pools": [
            _pool_to_json(market, row) for row in range(len(market.pools)) if row not in market.quarantined
        ],
    }
    data = orjson.dumps(document)
    target = Path(path)
    if target.suffix == ".gz":
        data = gzip.compress(data, 6, mtime=0)
    try:
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=target.name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(draft, target)
    except OSError as error:
        raise SnapshotError(f"snapshot {path} cannot be written: {error.strerror}") from error


def _read_document(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is not a whole gzip file"
        raise SnapshotError(f"snapshot {path} cannot be read: {reason}") from error
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise SnapshotError(f"snapshot {path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise SnapshotError(f"snapshot {path} is not a JSON object with tokens and pools")
    return document


def _load_block(block: Any) -> BlockRef:
    if not isinstance(block, dict):
        raise _Malformed("has no block object")
    parent = block.get("parent_hash", ZERO_HASH)
    for name, value in (("hash", block.get("hash")), ("parent_hash", parent)):
        if not isinstance(value, str) or not _HASH.fullmatch(value):
            raise _Malformed(f"has a block {name} that is not 32 bytes of 0x-hex")
    return BlockRef(
        number=_whole(block, "number", 0, 2**63 - 1),
        hash=block["hash"].lower(),
        parent_hash=parent.lower(),
        timestamp=_whole(block, "timestamp", 0, 2**63 - 1),
        base_fee_wei=int(_amount(block.get("base_fee_wei", "0"), "block.base_fee_wei", 128)),
    )


def _load_tokens(market: Market, tokens: list[Any]) -> None:
    for index, token in enumerate(tokens):
        if not isinstance(token, dict):
            raise _Malformed(f"has token number {index} that is not an object")
        try:
            address = _address(token.get("address"), "address")
            decimals = _whole(token, "decimals", 0, _MAX_DECIMALS)
            symbol = token.get("symbol")
            if not isinstance(symbol, str):
                raise _Malformed("symbol is not a string")
        except _Malformed as error:
            raise _Malformed(f"has a malformed token number {index}: {error}") from error
        if address in market.token_row:
            raise _Malformed(f"lists token {address} twice")
        printable = "".join(c if c.isprintable() else "?" for c in symbol[:_MAX_SYMBOL])
        market.add_token(Token(address, printable, decimals))


def _load_pool(market: Market, pool: Any, skipped: Counter[str]) -> None:
    if not isinstance(pool, dict):
        raise _Malformed("it is not an object")
    name = pool.get("protocol")
    if not isinstance(name, str):
        raise _Malformed("protocol is not a string")
    try:
        protocol = Protocol(name)
    except ValueError:
        protocol = None
    if protocol not in (Protocol.UNISWAP_V2, Protocol.UNISWAP_V3):
        skipped[name[:64]] += 1
        return
    address = _address(pool.get("address"), "address")
    if address in market.pool_row:
        raise _Malformed("the address is listed twice")
    tokens = [_address(token, "a token") for token in _list(pool, "tokens")]
    if len(tokens) != 2 or tokens[0] == tokens[1]:
        raise _Malformed("tokens must be two different addresses")
    for token in tokens:
        if token not in market.token_row:
            raise _Malformed(f"token {token} is not in the snapshot's token list")
    venue = pool.get("venue", "")
    if not isinstance(venue, str):
        raise _Malformed("venue is not a string")
    fee_pips = _whole(pool, "fee_pips", 0, 999_999)
    load_state = _load_v2 if protocol is Protocol.UNISWAP_V2 else _load_v3
    load_state(market, pool, address, venue, (tokens[0], tokens[1]), fee_pips)


def _load_v2(
    market: Market, pool: dict, address: str, venue: str, tokens: tuple[str, str], fee_pips: int
) -> None:
    reserves = _list(pool, "reserves")
    if len(reserves) != 2:
        raise _Malformed("reserves must be two amounts")
    amounts = [_amount(value, f"reserves[{k}]", 112) for k, value in enumerate(reserves)]
    if tokens[0] > tokens[1]:
        tokens, amounts = (tokens[1], tokens[0]), amounts[::-1]
    row = market.add_pool(PoolRecord(address, Protocol.UNISWAP_V2, venue, tokens, fee_pips))
    market.set_v2(row, *amounts)


def _load_v3(
    market: Market, pool: dict, address: str, venue: str, tokens: tuple[str, str], fee_pips: int
) -> None:
    if tokens[0] > tokens[1]:
        raise _Malformed("tokens must be in ascending order because the price is token1 per token0")
    spacing = _whole(pool, "tick_spacing", 1, _MAX_SPACING)
    price = _amount(pool.get("sqrt_price_x96"), "sqrt_price_x96", 160)
    liquidity = _amount(pool.get("liquidity"), "liquidity", 128)
    tick = _whole(pool, "tick", MIN_TICK, MAX_TICK)
    if price and not MIN_SQRT_RATIO <= price < MAX_SQRT_RATIO:
        raise _Malformed("sqrt_price_x96 is outside the protocol's bounds")
    # The tick is the floor of the price's, or one less just after a swap downwards ended on a tick.
    if price and not -1.001 <= tick - 2 * (math.log(price) - 96 * math.log(2)) / _LOG_BASE <= 0.001:
        raise _Malformed("tick does not agree with sqrt_price_x96")
    nets = [_load_tick(entry) for entry in _list(pool, "ticks")]
    ticks: list[tuple[int, int] | tuple[int, int, int]] = [*nets]
    gross = pool.get("ticks_gross")
    if gross is not None:
        if not isinstance(gross, list) or len(gross) != len(nets):
            raise _Malformed("ticks_gross must be as long as ticks")
        ticks = [(t, n, _amount(g, "ticks_gross", 128)) for (t, n), g in zip(nets, gross, strict=True)]
    low, high = _known_range(pool, tick, spacing, nets)
    row = market.add_pool(PoolRecord(address, Protocol.UNISWAP_V3, venue, tokens, fee_pips, spacing))
    market.set_v3(row, price, liquidity, tick, ticks, low, high)


def _load_tick(entry: Any) -> tuple[int, int]:
    if not isinstance(entry, list) or len(entry) != 2 or type(entry[0]) is not int:
        raise _Malformed("each of ticks must be [tick, liquidity_net]")
    tick, net = entry
    if not isinstance(net, str) or not _SIGNED.fullmatch(net):
        raise _Malformed(f"liquidity_net at tick {tick} is not a decimal string")
    return tick, int(net)


def _known_range(pool: dict, tick: int, spacing: int, ticks: list[tuple]) -> tuple[int, int]:
    complete = pool.get("ticks_complete", True)
    if not isinstance(complete, bool):
        raise _Malformed("ticks_complete is not true or false")
    if complete:
        return MIN_TICK, MAX_TICK
    below = tick // spacing * spacing
    low = min([below, *(entry[0] for entry in ticks[:1])])
    high = max([below + spacing, *(entry[0] for entry in ticks[-1:])])
    if "known_low" in pool or "known_high" in pool:
        low = _whole(pool, "known_low", MIN_TICK, MAX_TICK)
        high = _whole(pool, "known_high", MIN_TICK, MAX_TICK)
    return max(low, MIN_TICK), min(high, MAX_TICK)


def _list(holder: dict, key: str) -> list[Any]:
    value = holder.get(key)
    if not isinstance(value, list):
        raise _Malformed(f"has no {key} list" if key in ("tokens", "pools") else f"{key} is not a list")
    return value


def _whole(holder: dict, key: str, low: int, high: int) -> int:
    value = holder.get(key)
    if type(value) is not int or not low <= value <= high:
        raise _Malformed(f"{key} is not a whole number from {low} to {high}")
    return value


def _amount(value: Any, key: str, bits: int) -> int:
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        amount = int(value)
        if not amount >> bits:
            return amount
    raise _Malformed(f"{key} is not a decimal string within uint{bits}")


def _address(value: Any, key: str) -> str:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise _Malformed(f"{key} is not 20 bytes of 0x-hex")
    return value.lower()


def _block_to_json(block: BlockRef) -> dict[str, Any]:
    return {
        "number": block.number,
        "hash": block.hash,
        "parent_hash": block.parent_hash,
        "timestamp": block.timestamp,
        "base_fee_wei": str(block.base_fee_wei),
    }


def _pool_to_json(market: Market, row: int) -> dict[str, Any]:
    record, tables = market.pools[row], market.tables
    entry: dict[str, Any] = {
        "address": record.address,
        "protocol": record.protocol.value,
        "venue": record.venue,
        "tokens": list(record.tokens),
        "fee_pips": record.fee_pips,
    }
    if tables.family[row] == KIND_V2:
        entry["reserves"] = [str(limbs_to_int(tables.reserves[row, side])) for side in (0, 1)]
        return entry
    ticks, net, gross = tables.read_ticks(row)
    entry["sqrt_price_x96"] = str(limbs_to_int(tables.sqrt_price[row]))
    entry["liquidity"] = str(limbs_to_int(tables.liquidity[row]))
    entry["tick"] = int(tables.tick[row])
    entry["tick_spacing"] = record.tick_spacing
    entry["ticks"] = [[t, str(limbs_to_signed(n))] for t, n in zip(ticks.tolist(), net, strict=True)]
    if tables.gross_known[row]:
        entry["ticks_gross"] = [str(value) for value in limbs_to_ints(gross)]
    low, high = int(tables.known_low[row]), int(tables.known_high[row])
    if (low, high) != (MIN_TICK, MAX_TICK):
        entry |= {"ticks_complete": False, "known_low": low, "known_high": high}
    return entry
