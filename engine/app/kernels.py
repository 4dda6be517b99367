"""Getting the compiled kernels ready before the first block needs them."""

from __future__ import annotations

from engine.app.finders import make_finder
from engine.app.settings import FinderName
from engine.chain.logs import decode
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market

_Q96 = 1 << 96
_BLOCK = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 1)
_CHILD = BlockRef(2, "0x" + "02" * 32, _BLOCK.hash, 2)


def warm_kernels(finder_name: FinderName = "incremental") -> None:
    """Compile, or load from the cache, every kernel that finder uses, by searching a market of four pools."""
    market = Market()
    tokens = [f"0x{n:040x}" for n in (1, 2, 3)]
    for address in tokens:
        market.add_token(Token(address, "WARM", 18))
    market.start(_BLOCK)
    market.set_v2(market.add_pool(_pool(4, tokens[0], tokens[1])), 10**21, 10**21)
    market.set_v2(market.add_pool(_pool(5, tokens[0], tokens[1])), 10**21, 11 * 10**20)
    market.set_v2(market.add_pool(_pool(6, tokens[1], tokens[2])), 10**21, 12 * 10**20)
    row = market.add_pool(
        PoolRecord(f"0x{7:040x}", Protocol.UNISWAP_V3, "", (tokens[0], tokens[2]), 3_000, 60)
    )
    liquidity = 10**21
    market.set_v3(row, _Q96, liquidity, 0, [(-6_000, liquidity, liquidity), (6_000, -liquidity, liquidity)])
    finder = make_finder(finder_name, market, tokens[:1], 3)
    finder.find(None, _BLOCK)
    # The incremental search after a block is a path of its own.
    changed = market.apply(_CHILD, decode([], market.pool_row, market.pools, market.hubs).events)
    finder.find(changed, _CHILD)


def _pool(number: int, token0: str, token1: str) -> PoolRecord:
    return PoolRecord(f"0x{number:040x}", Protocol.UNISWAP_V2, "", (token0, token1), 3_000)
