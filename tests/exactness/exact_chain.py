"""An in-process EVM for batches of swaps, and the packing of cases and answers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyrevm
from eth_abi import decode, encode
from eth_utils import keccak
from exact_build import driver_code
from numpy.typing import NDArray

OWNER = "0x00000000000000000000000000000000000a11ce"
UINT112, UINT128, UINT256 = 2**112 - 1, 2**128 - 1, 2**256 - 1
_WORD = 32


class Reverted(Exception):
    """The contract reverted."""


def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


class Chain:
    """One EVM and the account that owns everything in it."""

    def __init__(self, timestamp: int = 1_700_000_000) -> None:
        self.evm = pyrevm.EVM()
        self.evm.set_balance(OWNER, 10**30)
        self.set_time(timestamp)

    def set_time(self, timestamp: int) -> None:
        self.time = timestamp
        self.evm.set_block_env(pyrevm.BlockEnv(number=1, timestamp=timestamp, gas_limit=2**63))

    def deploy(self, code: bytes, types: Iterable[str] = (), values: Iterable = ()) -> str:
        try:
            return self.evm.deploy(OWNER, code + encode(list(types), list(values)))
        except RuntimeError as error:
            raise Reverted(str(error)) from error

    def driver(self, name: str, types: Iterable[str] = (), values: Iterable = ()) -> str:
        return self.deploy(driver_code(name), types, values)

    def tokens(self, *decimals: int) -> list[str]:
        """Tokens with these decimals, in ascending order of address if all decimals are equal."""
        made = [self.driver("CampaignToken", ["uint8"], [each]) for each in decimals]
        return sorted(made, key=lambda token: int(token, 16)) if len(set(decimals)) == 1 else made

    def raw(self, to: str, data: bytes) -> bytes:
        try:
            return bytes(self.evm.message_call(OWNER, to, calldata=data))
        except RuntimeError as error:
            # Solidity before 0.8 divides by zero into the invalid opcode.
            if "Revert" in str(error) or "InvalidFEOpcode" in str(error):
                raise Reverted(str(error)) from error
            raise

    def call(self, to: str, signature: str, *values, returns: tuple[str, ...] = ()):
        """`signature` is `name(types)`, tuples and arrays included."""
        types = _split(signature[signature.index("(") + 1 : -1])
        output = self.raw(to, selector(signature) + encode(types, values))
        decoded = decode(returns, output) if returns else ()
        return decoded[0] if len(decoded) == 1 else decoded

    def store(self, account: str, slot: int, value: int) -> None:
        self.evm.insert_account_storage(account, slot, value)


def _split(types: str) -> list[str]:
    depth, parts, current = 0, [], ""
    for character in types:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current] if current else parts


def mapping_slot(key: int, slot: int) -> int:
    """Where Solidity keeps `mapping(key)` at `slot`."""
    return int.from_bytes(keccak(key.to_bytes(32, "big") + slot.to_bytes(32, "big")), "big")


def pack(rows: Iterable[Iterable[int]]) -> bytes:
    """Words, two's complement where negative."""
    return b"".join((value & UINT256).to_bytes(_WORD, "big") for row in rows for value in row)


def run_batch(
    chain: Chain, driver: str, signature: str, rows: list[list[int]], *before: int | list[int]
) -> NDArray:
    """`signature`'s last argument is `uint256[k][]`, filled with `rows`; words and lists of words precede it.
    The answer, `uint256[m][]`, comes as u64[n, m, 4], little-endian limbs."""
    head: list[int] = []
    lists: list[int] = []
    for argument in before:
        if isinstance(argument, list):
            head.append(_WORD * (len(before) + 1 + len(lists)))
            lists += [len(argument), *argument]
        else:
            head.append(argument)
    head.append(_WORD * (len(before) + 1 + len(lists)))
    data = selector(signature) + pack([head, lists, [len(rows)]]) + pack(rows)
    return answers(chain.raw(driver, data), len(rows))


def answers(output: bytes, count: int) -> NDArray:
    """`uint256[m][]` of `count` rows, ABI-encoded, as u64[count, m, 4] limbs."""
    body = output[2 * _WORD :]
    limbs = np.frombuffer(body, ">u8").reshape(count, -1, 4)[:, :, ::-1]
    return limbs.astype(np.uint64)


def as_bits(words: NDArray) -> NDArray:
    """The lowest limb of a u64[n, 4] column."""
    return words[:, 0].astype(np.int64)
