"""EIP-1559 transactions signed within tens of microseconds: RLP written out, secp256k1 by libsecp256k1.

`eth_account` takes ten times as long for the same bytes; it stays the reference in the tests, and signs every
other kind of transaction.
"""

from __future__ import annotations

from typing import NamedTuple

from coincurve import PrivateKey
from Crypto.Hash import keccak

_DYNAMIC_FEE = b"\x02"
_EMPTY_LIST = b"\xc0"
_UINT64 = 1 << 64
_UINT256 = 1 << 256


class DynamicFeeTransaction(NamedTuple):
    """An EIP-1559 transaction without an access list. Amounts and fees in wei, `to` of 20 bytes."""

    chain_id: int
    nonce: int
    max_priority_fee_wei: int
    max_fee_wei: int
    gas: int
    to: bytes
    value: int
    data: bytes


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it."""
    return keccak.new(digest_bits=256, data=data).digest()


def _head(length: int, short: int) -> bytes:
    """The RLP prefix of a string (`short` 0x80) or list (0xc0) of `length` bytes."""
    if length < 56:
        return bytes((short + length,))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((short + 55 + len(size),)) + size


def _string(value: bytes) -> bytes:
    if len(value) == 1 and value[0] < 0x80:
        return value
    return _head(len(value), 0x80) + value


def _integer(value: int) -> bytes:
    return _string(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _payload(transaction: DynamicFeeTransaction) -> bytes:
    """The signed fields, RLP-encoded, without the list's prefix."""
    for value, bound in (
        (transaction.chain_id, _UINT64),
        (transaction.nonce, _UINT64 - 1),  # EIP-2681
        (transaction.gas, _UINT64),
        (transaction.max_priority_fee_wei, _UINT256),
        (transaction.max_fee_wei, _UINT256),
        (transaction.value, _UINT256),
    ):
        if not 0 <= value < bound:
            raise ValueError(f"a field of the transaction is out of range: {value}")
    if len(transaction.to) != 20:
        raise ValueError("the recipient is not an address of 20 bytes")
    return b"".join(
        (
            _integer(transaction.chain_id),
            _integer(transaction.nonce),
            _integer(transaction.max_priority_fee_wei),
            _integer(transaction.max_fee_wei),
            _integer(transaction.gas),
            _string(transaction.to),
            _integer(transaction.value),
            _string(transaction.data),
            _EMPTY_LIST,
        )
    )


def sign_dynamic_fee(key: PrivateKey, transaction: DynamicFeeTransaction) -> tuple[bytes, bytes]:
    """(hash, raw bytes) of the signed transaction; the nonce of the signature is RFC 6979's.

    Source: EIP-1559, EIP-2718; yellow paper appendix B for RLP. Raises ValueError for a field out of range.
    """
    payload = _payload(transaction)
    digest = keccak256(_DYNAMIC_FEE + _head(len(payload), 0xC0) + payload)
    signature = key.sign_recoverable(digest, hasher=None)
    signed = b"".join(
        (
            payload,
            _integer(signature[64]),
            _integer(int.from_bytes(signature[:32], "big")),
            _integer(int.from_bytes(signature[32:64], "big")),
        )
    )
    raw = _DYNAMIC_FEE + _head(len(signed), 0xC0) + signed
    return keccak256(raw), raw
