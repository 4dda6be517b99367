"""Where a venue's factory puts a pool: CREATE2 proves that a pool runs the venue's code."""

from __future__ import annotations

from collections.abc import Callable

from eth_abi import encode
from eth_utils import keccak

from engine.domain.market import PoolRecord, Protocol, Venue
from engine.domain.pool_details import SolidlyDetails, UniswapV4Details


def create2_address(deployer: str, salt: bytes, init_code_hash: str) -> str:
    """Address of a CREATE2 deployment, lower-case 0x-hex (EIP-1014)."""
    preimage = b"\xff" + bytes.fromhex(deployer[2:]) + salt + bytes.fromhex(init_code_hash[2:])
    return "0x" + keccak(preimage)[12:].hex()


def pool_address(venue: Venue, token0: str, token1: str, fee_pips: int) -> str:
    """The only address at which a `venue` of the Uniswap V2 or V3 kind can have the pool of these tokens
    (token0 < token1) and fee. `fee_pips` does not enter a V2 address."""
    record = PoolRecord("", venue.protocol, venue.name, (token0, token1), fee_pips)
    return create2_address(venue.deployer, _SALTS[venue.protocol](record), venue.init_code_hash)


def is_genuine(venue: Venue, pool: PoolRecord) -> bool:
    """Whether the pool can be one of `venue`'s: its address, tokens and fee are those CREATE2 gives; a
    Uniswap V4 pool's manager is the venue's.

    Curve and Balancer pools and vaults are at no such address: that their factory or registry names them, or
    that their code is the venue's, has to be asked of the chain.
    """
    if pool.protocol is not venue.protocol:
        return False
    if isinstance(pool.details, UniswapV4Details):
        return pool.details.manager == pool.address == venue.factory
    salt = _SALTS.get(pool.protocol)
    if salt is None:
        return True
    token0, token1 = pool.tokens
    return (
        int(token0, 16) < int(token1, 16)
        and (venue.fee_pips is None or venue.fee_pips == pool.fee_pips)
        and create2_address(venue.deployer, salt(pool), venue.init_code_hash) == pool.address
    )


def _pair(pool: PoolRecord) -> bytes:
    """Uniswap V2, Camelot: keccak256(token0 ++ token1), packed."""
    return keccak(b"".join(bytes.fromhex(token[2:]) for token in pool.tokens))


def _pair_and_curve(pool: PoolRecord) -> bytes:
    """Solidly: keccak256(token0 ++ token1 ++ stable), packed."""
    assert isinstance(pool.details, SolidlyDetails)
    packed = b"".join(bytes.fromhex(token[2:]) for token in pool.tokens)
    return keccak(packed + bytes([pool.details.stable]))


def _pair_and_fee(pool: PoolRecord) -> bytes:
    """Uniswap V3: keccak256(abi.encode(token0, token1, fee))."""
    return keccak(encode(["address", "address", "uint24"], [*pool.tokens, pool.fee_pips]))


def _pair_and_spacing(pool: PoolRecord) -> bytes:
    """Slipstream: keccak256(abi.encode(token0, token1, tickSpacing))."""
    return keccak(encode(["address", "address", "int24"], [*pool.tokens, pool.tick_spacing]))


def _pair_encoded(pool: PoolRecord) -> bytes:
    """Algebra, one pool per pair: keccak256(abi.encode(token0, token1))."""
    return keccak(encode(["address", "address"], list(pool.tokens)))


_SALTS: dict[Protocol, Callable[[PoolRecord], bytes]] = {
    Protocol.UNISWAP_V2: _pair,
    Protocol.CAMELOT_V2: _pair,
    Protocol.SOLIDLY: _pair_and_curve,
    Protocol.UNISWAP_V3: _pair_and_fee,
    Protocol.SLIPSTREAM: _pair_and_spacing,
    Protocol.ALGEBRA: _pair_encoded,
}
