"""Where a venue's factory puts a pool: CREATE2 proves that a pool runs the venue's code."""

from __future__ import annotations

from eth_abi import encode
from eth_utils import keccak

from engine.domain.market import PoolRecord, Protocol, Venue


def create2_address(deployer: str, salt: bytes, init_code_hash: str) -> str:
    """Address of a CREATE2 deployment, lower-case 0x-hex (EIP-1014)."""
    preimage = b"\xff" + bytes.fromhex(deployer[2:]) + salt + bytes.fromhex(init_code_hash[2:])
    return "0x" + keccak(preimage)[12:].hex()


def pool_address(venue: Venue, token0: str, token1: str, fee_pips: int) -> str:
    """The only address at which `venue` can have the pool of these tokens (token0 < token1) and fee.

    Salts: Uniswap V2 keccak256(token0 ++ token1), packed; Uniswap V3 keccak256(abi.encode(token0, token1,
    fee)). `fee_pips` does not enter a V2 address.
    """
    if venue.protocol is Protocol.UNISWAP_V2:
        salt = keccak(bytes.fromhex(token0[2:]) + bytes.fromhex(token1[2:]))
    else:
        salt = keccak(encode(["address", "address", "uint24"], [token0, token1, fee_pips]))
    return create2_address(venue.deployer, salt, venue.init_code_hash)


def is_genuine(venue: Venue, pool: PoolRecord) -> bool:
    """Whether the pool's address, tokens and fee are those of a pool of `venue`."""
    token0, token1 = pool.tokens
    return (
        pool.protocol is venue.protocol
        and int(token0, 16) < int(token1, 16)
        and (venue.fee_pips is None or venue.fee_pips == pool.fee_pips)
        and pool_address(venue, token0, token1, pool.fee_pips) == pool.address
    )
