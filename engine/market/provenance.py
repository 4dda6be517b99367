"""Where a pool must live if its venue's factory made it."""

from __future__ import annotations

from eth_abi import encode
from eth_utils import keccak

from engine.domain.errors import MarketError
from engine.domain.market import Protocol, Venue


def pool_address(venue: Venue, token0: str, token1: str, fee_pips: int) -> str:
    """The CREATE2 address (EIP-1014, lower-case) of the venue's pool of these tokens.

    Salt: keccak of the packed tokens for V2 (UniswapV2Library.pairFor, where the fee plays no part), of the
    ABI-encoded tokens and fee for V3 (PoolAddress.computeAddress). Raises MarketError unless token0 is the
    lower address.
    """
    if int(token0, 16) >= int(token1, 16):
        raise MarketError(f"tokens {token0} and {token1} are not in ascending order")
    if venue.protocol is Protocol.UNISWAP_V2:
        salt = keccak(bytes.fromhex(token0[2:] + token1[2:]))
    else:
        salt = keccak(encode(["address", "address", "uint24"], [token0, token1, fee_pips]))
    preimage = b"\xff" + _bytes(venue.deployer) + salt + _bytes(venue.init_code_hash)
    return "0x" + keccak(preimage)[12:].hex()


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
