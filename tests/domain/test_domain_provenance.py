"""CREATE2 provenance, against pools that exist on mainnet."""

from __future__ import annotations

import pytest

from engine.domain.market import PoolRecord, Protocol, Venue
from engine.domain.provenance import is_genuine, pool_address

USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
WBTC = "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599"
DAI = "0x6b175474e89094c44da98b954eedeac495271d0f"

UNISWAP_V2 = Venue(
    "uniswap-v2",
    Protocol.UNISWAP_V2,
    "0x5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f",
    "0x5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f",
    "0x96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f",
)
SUSHI_V2 = Venue(
    "sushiswap",
    Protocol.UNISWAP_V2,
    "0xc0aee478e3658e2610c5f7a4a2e1777ce9e4f2ac",
    "0xc0aee478e3658e2610c5f7a4a2e1777ce9e4f2ac",
    "0xe18a34eb0e04b04f7a0ac29a6e80748dca96319b42c54d679cb821dca90c6303",
)
UNISWAP_V3 = Venue(
    "uniswap-v3",
    Protocol.UNISWAP_V3,
    "0x1f98431c8ad98523631ae4a59f267346ea31f984",
    "0x1f98431c8ad98523631ae4a59f267346ea31f984",
    "0xe34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54",
)
PANCAKE_V3 = Venue(
    "pancakeswap-v3",
    Protocol.UNISWAP_V3,
    "0x0bfbcf9fa4f9c56b0f40a671ad40e0805a091865",
    "0x41ff9aa7e16b8b1a8a8dc4f0efacd93d02d071c9",
    "0x6ce8eb472fa82df5469c6ab6d485f17c3ad13c8cd7af59b3d4a8026c5ce0f7e2",
)


@pytest.mark.parametrize(
    ("venue", "tokens", "fee", "expected"),
    [
        (UNISWAP_V2, (USDC, WETH), 3000, "0xb4e16d0168e52d35cacd2c6185b44281ec28c9dc"),
        (UNISWAP_V2, (DAI, WETH), 3000, "0xa478c2975ab1ea89e8196811f51a7b7ade33eb11"),
        (SUSHI_V2, (USDC, WETH), 3000, "0x397ff1542f962076d0bfe58ea045ffa2d347aca0"),
        (UNISWAP_V3, (USDC, WETH), 500, "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"),
        (UNISWAP_V3, (USDC, WETH), 3000, "0x8ad599c3a0ff1de082011efddc58f1908eb6e6d8"),
        (UNISWAP_V3, (WBTC, WETH), 3000, "0xcbcdf9626bc03e24f779434178a73a0b4bad62ed"),
        (PANCAKE_V3, (USDC, WETH), 500, "0x1ac1a8feaaea1900c4166deeed0c11cc10669d36"),
    ],
)
def test_pools_are_where_their_factories_put_them(
    venue: Venue, tokens: tuple[str, str], fee: int, expected: str
) -> None:
    assert pool_address(venue, *tokens, fee) == expected


def test_a_pool_is_genuine_only_with_its_own_tokens_fee_and_order() -> None:
    address = "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"

    def record(tokens: tuple[str, str], fee_pips: int, at: str = address) -> PoolRecord:
        return PoolRecord(at, Protocol.UNISWAP_V3, UNISWAP_V3.name, tokens, fee_pips, 10)

    assert is_genuine(UNISWAP_V3, record((USDC, WETH), 500))
    assert not is_genuine(UNISWAP_V3, record((WETH, USDC), 500))
    assert not is_genuine(UNISWAP_V3, record((USDC, WETH), 3000))
    assert not is_genuine(UNISWAP_V3, record((DAI, WETH), 500))
    assert not is_genuine(UNISWAP_V3, record((USDC, WETH), 500, address[:-1] + "1"))
    assert not is_genuine(PANCAKE_V3, record((USDC, WETH), 500))
