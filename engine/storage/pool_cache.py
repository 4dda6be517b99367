"""What was read of pools, kept on disk so that a restart reads only what changed since.

A cache and nothing more: it may be deleted at any time, and is, when it is not of this version or chain.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.domain.market import PoolRecord, Token
from engine.domain.pool_state import PoolState
from engine.storage.pool_codec import decode_record, decode_state, encode_record, encode_state

_VERSION = "1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (address TEXT PRIMARY KEY, symbol TEXT NOT NULL, decimals INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS states (
    key TEXT PRIMARY KEY, block INTEGER NOT NULL, hash TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS pools (key TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refused (key TEXT PRIMARY KEY, reason TEXT NOT NULL);
"""
_SEARCHED = ("searched", "searched_to", "searched_hash")


@dataclass(frozen=True, slots=True)
class CachedState:
    """A state and the block, number and hash, at which it was so."""

    state: PoolState
    block: int
    hash: str


@dataclass(frozen=True, slots=True)
class Cached:
    """Everything kept. `searched` names what was searched for pools, up to block `searched_to` of hash
    `searched_hash`; empty when nothing was."""

    pools: dict[str, PoolRecord] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    states: dict[str, CachedState] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    searched: str = ""
    searched_to: int = -1
    searched_hash: str = ""


def cache_path(directory: Path, chain_id: int) -> Path:
    """Where the storage directory of a run has its cache."""
    return directory / f"pools-{chain_id}.sqlite"


def refusals(directory: Path) -> dict[str, str]:
    """Why pools and tokens were refused in earlier runs, by key or address; changes nothing."""
    found: dict[str, str] = {}
    for path in sorted(directory.glob("pools-*.sqlite")):
        try:
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
            try:
                found |= dict(connection.execute("SELECT key, reason FROM refused"))
            finally:
                connection.close()
        except sqlite3.Error:
            continue
    return found


class PoolCache:
    """One SQLite file per chain. A file that cannot be read is begun anew."""

    def __init__(self, path: Path, chain_id: int):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._identity = f"{_VERSION}:{chain_id}"
        self._connection = self._opened()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def load(self) -> Cached:
        """What is kept; entries that cannot be read are left out."""
        rows = self._connection.execute
        facts = dict(rows("SELECT name, value FROM facts"))
        states = {}
        for key, block, block_hash, body in rows("SELECT key, block, hash, body FROM states"):
            try:
                states[key] = CachedState(decode_state(body), block, block_hash)
            except ValueError:
                continue
        pools = {}
        for key, body in rows("SELECT key, body FROM pools"):
            try:
                pools[key] = decode_record(body)
            except ValueError:
                continue
        return Cached(
            pools=pools,
            tokens={
                address: Token(address, symbol, decimals)
                for address, symbol, decimals in rows("SELECT address, symbol, decimals FROM tokens")
            },
            states=states,
            refused=dict(rows("SELECT key, reason FROM refused")),
            searched=facts.get("searched", ""),
            searched_to=int(facts.get("searched_to", -1)),
            searched_hash=facts.get("searched_hash", ""),
        )

    def put(
        self, block: int, block_hash: str, states: Iterable[PoolState], tokens: Iterable[Token] = ()
    ) -> None:
        """Keep states as of a block, over older ones."""
        with self._connection as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?)",
                ((state.pool.key, block, block_hash, encode_state(state)) for state in states),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)",
                ((token.address, token.symbol, token.decimals) for token in tokens),
            )

    def confirm(self, keys: Iterable[str], block: int, block_hash: str) -> None:
        """Say that the states kept of these pools are still so at a block."""
        with self._connection as connection:
            connection.executemany(
                "UPDATE states SET block = ?, hash = ? WHERE key = ?",
                ((block, block_hash, key) for key in keys),
            )

    def put_refused(self, refused: Mapping[str, str]) -> None:
        """Keep which pools and tokens were refused, and why, over all before."""
        with self._connection as connection:
            connection.execute("DELETE FROM refused")
            connection.executemany("INSERT INTO refused VALUES (?, ?)", list(refused.items()))

    def put_search(self, searched: str, to_block: int, block_hash: str, pools: Iterable[PoolRecord]) -> None:
        """Keep what was found, and how far it was searched for."""
        with self._connection as connection:
            connection.execute("DELETE FROM pools")
            connection.executemany(
                "INSERT INTO pools VALUES (?, ?)", ((pool.key, encode_record(pool)) for pool in pools)
            )
            values = zip(_SEARCHED, (searched, str(to_block), block_hash), strict=True)
            connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(values))

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._checked()
        except (sqlite3.DatabaseError, ValueError):
            self._path.unlink(missing_ok=True)
            return self._checked()

    def _checked(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path)
        try:
            connection.executescript(_SCHEMA)
            row = connection.execute("SELECT value FROM facts WHERE name = 'identity'").fetchone()
            if row is None:
                with connection:
                    connection.execute("INSERT INTO facts VALUES ('identity', ?)", (self._identity,))
            elif row[0] != self._identity:
                raise ValueError("of another version or chain")
        except BaseException:
            connection.close()
            raise
        return connection
