"""Stored blocks: a block, the state it started from, and what its transactions logged.

A block folder `<number>/` holds `block.json` (a JSON-RPC block with full transactions), `pre_state.json`
(`{address: {basic: {balance, nonce}, code_hash, code, storage}}`, as it was before the block),
`bytecodes.json` (`{code hash: {"bytecode": hex, "original_len": n}}`) and, optionally, `logs_replayed.json`
(`[{i, a, t, d}]`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from eth_utils import keccak

from engine.domain.errors import UsageError

_HEX = re.compile(r"0x[0-9a-fA-F]*\Z")
_MAX_FILE_BYTES = 1 << 30
_MAX_PADDING = 64
_NO_CODE = ("0x" + "00" * 32, "0x" + keccak(b"").hex())


@dataclass(frozen=True, slots=True)
class Account:
    """An account of a state: `balance` in wei, `storage` maps slot to value, both as integers."""

    balance: int
    nonce: int
    code: bytes = b""
    storage: dict[int, int] = field(default_factory=dict)


State = dict[str, Account]


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block with full JSON-RPC transactions, and its pre-state.

    `recorded_logs` maps transaction index to JSON-RPC logs, None when the folder has none. Slots present in
    `state` are known, zero-valued ones too; whatever else a local node reads as zero is unknown.
    """

    number: int
    header: dict[str, Any]
    transactions: list[dict[str, Any]]
    state: State
    recorded_logs: dict[int, list[dict[str, Any]]] | None

    @property
    def timestamp(self) -> int:
        """Unix seconds."""
        return int(self.header["timestamp"], 16)

    @property
    def base_fee_wei(self) -> int | None:
        """Per gas; None before EIP-1559."""
        raw = self.header.get("baseFeePerGas")
        return None if raw is None else int(raw, 16)


class _Bad(Exception):
    """A value of a block file is not what it must be."""


def find_blocks(folder: Path, numbers: list[int] | None = None) -> list[Path]:
    """The block folders in `folder`, by number; only `numbers` where given.

    `folder` may itself be a block's. Raises UsageError when it does not exist, holds no block, or lacks one
    asked for.
    """
    if not folder.is_dir():
        raise UsageError(
            f"blocks folder {folder} does not exist: name a folder of block folders with --blocks-dir"
        )
    if (folder / "block.json").is_file():
        found = {_folder_number(folder): folder}
    else:
        found = {
            int(entry.name): entry
            for entry in folder.iterdir()
            if entry.name.isascii() and entry.name.isdecimal() and entry.is_dir()
        }
    if not found:
        raise UsageError(f"blocks folder {folder} holds no block: expected sub-folders named by block number")
    for number in numbers or ():
        if number not in found:
            raise UsageError(f"block {number} is not in {folder}: it has {_some(sorted(found))}")
    return [found[number] for number in sorted(set(numbers or found))]


def load_block(folder: Path) -> StoredBlock:
    """Read one block folder. Raises UsageError, naming the file and the value, for anything malformed."""
    path = folder / "block.json"
    try:
        header, transactions = _block(_read(path))
        path = folder / "bytecodes.json"
        codes = _codes(_read(path)) if path.is_file() else {}
        path = folder / "pre_state.json"
        state = _state(_read(path), codes)
        path = folder / "logs_replayed.json"
        logs = _logs(_read(path), len(transactions)) if path.is_file() else None
    except _Bad as error:
        raise UsageError(f"block file {path} is malformed: {error}") from None
    return StoredBlock(int(header["number"], 16), header, transactions, state, logs)


def genesis(
    state: Mapping[str, Account], header: Mapping[str, Any], chain_id: int, timestamp: int
) -> dict[str, Any]:
    """A genesis file for anvil's `--init` that holds `state`; `timestamp` in unix seconds."""
    return {
        "config": {"chainId": chain_id},
        "nonce": "0x0",
        "timestamp": hex(timestamp),
        "extraData": "0x",
        "gasLimit": header["gasLimit"],
        "difficulty": "0x0",
        "mixHash": "0x" + "00" * 32,
        "coinbase": header["miner"],
        "alloc": {address: _allocation(account) for address, account in state.items()},
    }


def _allocation(account: Account) -> dict[str, Any]:
    entry: dict[str, Any] = {"balance": hex(account.balance), "nonce": hex(account.nonce)}
    if account.code:
        entry["code"] = "0x" + account.code.hex()
    storage = {f"0x{slot:064x}": f"0x{value:064x}" for slot, value in account.storage.items() if value}
    if storage:
        entry["storage"] = storage
    return entry


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise _Bad("it is larger than 1 GiB")
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"block file {path} is missing") from None
    except OSError as error:
        raise UsageError(f"block file {path} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise _Bad(f"not JSON ({error})") from None


def _block(raw: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    header = _mapping(raw, "the block")
    for name in ("number", "timestamp", "gasLimit"):
        _hex_quantity(header.get(name), name)
    _hex_of(header.get("miner"), 20, "miner")
    _hex_of(header.get("parentHash"), 32, "parentHash")
    if header.get("baseFeePerGas") is not None:
        _hex_quantity(header["baseFeePerGas"], "baseFeePerGas")
    if not 0 < int(header["timestamp"], 16) < 1 << 40:
        raise _Bad(f"timestamp {header['timestamp']!r} is out of range")
    if not 0 < int(header["number"], 16) < 1 << 40:
        raise _Bad(f"number {header['number']!r} is out of range")
    transactions = header.get("transactions")
    if not isinstance(transactions, list):
        raise _Bad("it has no list of transactions")
    for at, transaction in enumerate(transactions):
        _transaction(transaction, at)
    return {key: value for key, value in header.items() if key != "transactions"}, transactions


def _transaction(raw: Any, at: int) -> None:
    what = f"transaction {at}"
    transaction = _mapping(raw, what)
    _hex_of(transaction.get("hash"), 32, f"{what}'s hash")
    _hex_of(transaction.get("from"), 20, f"{what}'s sender")
    if transaction.get("to") is not None:
        _hex_of(transaction["to"], 20, f"{what}'s recipient")
    _hex_of(transaction.get("input"), None, f"{what}'s input")
    fees = (
        ("gasPrice",) if transaction.get("maxFeePerGas") is None else ("maxFeePerGas", "maxPriorityFeePerGas")
    )
    for name in ("gas", "value", "nonce", *fees):
        _hex_quantity(transaction.get(name), f"{what}'s {name}")
    if transaction.get("type") is not None:
        _hex_quantity(transaction["type"], f"{what}'s type")
    if not isinstance(transaction.get("accessList") or [], list):
        raise _Bad(f"{what}'s access list is not a list")


def _codes(raw: Any) -> dict[str, bytes]:
    codes = {}
    for code_hash, entry in _mapping(raw, "the file").items():
        text = entry.get("bytecode") if isinstance(entry, dict) else entry
        code = bytes.fromhex(_hex_of(text, None, f"code {code_hash}")[2:])
        length = entry.get("original_len") if isinstance(entry, dict) else None
        wanted = _hex_of(code_hash, 32, "code hash")
        codes[wanted] = _unpadded(code, length, wanted)
    return codes


def _unpadded(code: bytes, length: Any, code_hash: str) -> bytes:
    """The code that hashes to `code_hash`: some recorders store it with zeros behind it."""
    lengths = [length] if isinstance(length, int) else []
    lengths += range(len(code), len(code) - _MAX_PADDING - 1, -1)
    for candidate in lengths:
        if 0 <= candidate <= len(code) and not any(code[candidate:]):
            trimmed = code[:candidate]
            if "0x" + keccak(trimmed).hex() == code_hash:
                return trimmed
    raise _Bad(f"code {code_hash} does not hash to its name")


def _state(raw: Any, codes: Mapping[str, bytes]) -> State:
    state = {}
    for name, entry in _mapping(raw, "the file").items():
        address = _hex_of(name, 20, "address")
        entry = _mapping(entry, f"account {address}")
        basic = _mapping(entry.get("basic") or {}, f"account {address}")
        storage = {
            _quantity(slot, f"a slot of {address}"): _quantity(value, f"slot {slot} of {address}")
            for slot, value in _mapping(entry.get("storage") or {}, f"storage of {address}").items()
        }
        state[address] = Account(
            balance=_quantity(basic.get("balance", 0), f"balance of {address}"),
            nonce=_quantity(basic.get("nonce", 0), f"nonce of {address}", bits=64),
            code=_code_of(entry, address, codes),
            storage=storage,
        )
    return state


def _code_of(entry: Mapping[str, Any], address: str, codes: Mapping[str, bytes]) -> bytes:
    if entry.get("code"):
        code = entry["code"]
        text = code.get("bytecode") if isinstance(code, dict) else code
        return bytes.fromhex(_hex_of(text, None, f"code of {address}")[2:])
    if not entry.get("code_hash"):
        return b""
    code_hash = _hex_of(entry["code_hash"], 32, f"code hash of {address}")
    if code_hash in _NO_CODE:
        return b""
    if code_hash not in codes:
        raise _Bad(f"account {address} has code {code_hash}, which bytecodes.json lacks")
    return codes[code_hash]


def _logs(raw: Any, transactions: int) -> dict[int, list[dict[str, Any]]]:
    if not isinstance(raw, list):
        raise _Bad("it is not a list of logs")
    logs: dict[int, list[dict[str, Any]]] = {}
    for at, entry in enumerate(raw):
        entry = _mapping(entry, f"log {at}")
        index, topics = entry.get("i"), entry.get("t")
        if not isinstance(index, int) or not 0 <= index < transactions:
            raise _Bad(f"log {at} names transaction {index!r}")
        if not isinstance(topics, list):
            raise _Bad(f"log {at} has no list of topics")
        logs.setdefault(index, []).append(
            {
                "address": _hex_of(entry.get("a"), 20, f"log {at}'s address"),
                "topics": [_hex_of(topic, 32, f"log {at}'s topic") for topic in topics],
                "data": _hex_of(entry.get("d"), None, f"log {at}'s data"),
            }
        )
    return logs


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Bad(f"{what} is not an object")
    return value


def _quantity(value: Any, what: str, bits: int = 256) -> int:
    """A hex string or a JSON number."""
    number = value
    if isinstance(value, str) and _HEX.match(value) and 2 < len(value) <= 66:
        number = int(value, 16)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << bits:
        raise _Bad(f"{what} is {str(value)[:80]!r}, not an unsigned number of {bits} bits")
    return number


def _hex_quantity(value: Any, what: str) -> int:
    if not isinstance(value, str):
        raise _Bad(f"{what} is {str(value)[:80]!r}, not a hexadecimal number")
    return _quantity(value, what)


def _hex_of(value: Any, size: int | None, what: str) -> str:
    """Hex data of `size` bytes, lower-case."""
    if not isinstance(value, str) or not _HEX.match(value) or len(value) % 2:
        raise _Bad(f"{what} is {str(value)[:80]!r}, not hexadecimal data")
    if size is not None and len(value) != 2 + 2 * size:
        raise _Bad(f"{what} is {value[:80]!r}, not {size} bytes")
    return value.lower()


def _folder_number(folder: Path) -> int:
    try:
        header, _ = _block(_read(folder / "block.json"))
    except _Bad as error:
        raise UsageError(f"block file {folder / 'block.json'} is malformed: {error}") from None
    return int(header["number"], 16)


def _some(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return shown if len(numbers) <= 5 else f"{shown} and {len(numbers) - 5} more"
