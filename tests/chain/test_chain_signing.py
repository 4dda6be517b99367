"""The quick signer's bytes beside eth_account's."""

from __future__ import annotations

import pytest
from coincurve import PrivateKey
from eth_account import Account
from eth_utils import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.chain import keys
from engine.chain.signing import DynamicFeeTransaction, sign_dynamic_fee
from engine.domain.errors import ConfigError

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ACCOUNT = Account.from_key(KEY)
WORDS = st.one_of(st.integers(0, 300), st.integers(0, 2**256 - 1))
TRANSACTIONS = st.builds(
    DynamicFeeTransaction,
    chain_id=st.integers(1, 2**63),
    nonce=st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 2)),
    max_priority_fee_wei=WORDS,
    max_fee_wei=WORDS,
    gas=st.integers(0, 2**64 - 1),
    to=st.binary(min_size=20, max_size=20),
    value=WORDS,
    data=st.one_of(st.binary(max_size=2), st.binary(min_size=50, max_size=60), st.binary(max_size=400)),
)


@settings(max_examples=150, deadline=None)
@given(TRANSACTIONS, st.integers(1, 2**250))
def test_bytes_and_hash_are_those_of_eth_account(transaction: DynamicFeeTransaction, secret: int) -> None:
    account = Account.from_key(secret.to_bytes(32, "big"))
    expected = account.sign_transaction(
        {
            "type": 2,
            "chainId": transaction.chain_id,
            "nonce": transaction.nonce,
            "maxPriorityFeePerGas": transaction.max_priority_fee_wei,
            "maxFeePerGas": transaction.max_fee_wei,
            "gas": transaction.gas,
            "to": to_checksum_address(transaction.to),
            "value": transaction.value,
            "data": transaction.data,
        }
    )
    digest, raw = sign_dynamic_fee(PrivateKey(bytes(account.key)), transaction)
    assert raw == bytes(expected.raw_transaction)
    assert digest == bytes(expected.hash)


@pytest.mark.parametrize("length", [0, 1, 55, 56, 255, 256, 65_535, 65_536, 100_000])
def test_every_length_of_data_has_its_prefix(length: int) -> None:
    fields = {
        "type": 2,
        "chainId": 1,
        "nonce": 0,
        "to": ACCOUNT.address,
        "value": 0,
        "data": "0x" + "7f" * length,
        "gas": 21_000,
        "maxFeePerGas": 1,
        "maxPriorityFeePerGas": 0,
    }
    signed = keys.signer_of_key(KEY).sign(fields)
    assert signed.raw == bytes(ACCOUNT.sign_transaction(fields).raw_transaction)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nonce", 2**64 - 1),
        ("nonce", -1),
        ("gas", 2**64),
        ("value", 2**256),
        ("maxFeePerGas", -1),
        ("maxPriorityFeePerGas", 2**256),
        ("to", "0x12"),
        ("to", None),
        ("data", "0x1"),
        ("data", 7),
        ("nonce", "1"),
    ],
)
def test_a_field_that_cannot_be_signed_is_refused_without_the_key(field: str, value: object) -> None:
    fields = {
        "type": 2,
        "chainId": 1,
        "nonce": 0,
        "to": "0x" + "ab" * 20,
        "value": 0,
        "data": "0x",
        "gas": 21_000,
        "maxFeePerGas": 1,
        "maxPriorityFeePerGas": 0,
    }
    with pytest.raises(ConfigError, match="cannot be signed") as caught:
        keys.signer_of_key(KEY).sign(fields | {field: value})
    assert KEY[2:] not in str(caught.value)
