"""The V2 kernel against UniswapV2Router02's quotes and against what a real pair accepts."""

from __future__ import annotations

import random

import numpy as np
import pytest
from amm_evm import OWNER, Chain, Reverted, npm_code

from engine.amm.layout import (
    INSUFFICIENT_INPUT,
    INSUFFICIENT_LIQUIDITY,
    KIND_V2,
    OK,
    OVERFLOW,
    PoolArrays,
    allocate,
    ints_to_limbs,
    limbs_to_ints,
)
from engine.amm.quote import quotes_nb

UINT112 = 2**112 - 1
QUOTES = 30_000
SWAPS = 1_000


def random_amount(rng: random.Random, most: int) -> int:
    bits = rng.uniform(0, most.bit_length())
    return min(most, rng.choice([1, 2, most, int(2**bits), rng.randrange(max(int(2**bits), 1)) + 1]))


def v2_rows(reserves: list[tuple[int, int]], fee_pips: int = 3000) -> PoolArrays:
    pools = allocate(len(reserves), 1)
    pools.kind[:] = KIND_V2
    pools.fee_pips[:] = fee_pips
    pools.reserves[:] = ints_to_limbs([side for pair in reserves for side in pair], 2).reshape(-1, 2, 2)
    return pools


def kernel_quotes(pools: PoolArrays, amounts: list[int], exact_in: bool) -> tuple[list[int], list[int]]:
    """Row i's quote for `amounts[i]`, selling token0."""
    count = len(amounts)
    statuses = np.zeros(count, np.int64)
    results = np.zeros((count, 4), np.uint64)
    rows = np.arange(count, dtype=np.int32)
    flags = np.full(count, True), np.full(count, exact_in)
    quotes_nb(pools, rows, *flags, ints_to_limbs(amounts), statuses, results)
    return statuses.tolist(), limbs_to_ints(results)


@pytest.fixture(scope="module")
def router() -> tuple[Chain, str]:
    chain = Chain()
    code = npm_code("@uniswap/v2-periphery", "build/UniswapV2Router02.json")
    return chain, chain.deploy(code, ("address", "address"), (OWNER, OWNER))


def router_quote(router: tuple[Chain, str], function: str, amount: int, pair: tuple[int, int]) -> int | None:
    chain, address = router
    signature = f"{function}(uint256,uint256,uint256)"
    try:
        return chain.call(address, signature, amount, *pair, returns=("uint256",))
    except Reverted:
        return None


@pytest.mark.parametrize("exact_in", [True, False])
def test_quotes_equal_the_routers(router: tuple[Chain, str], exact_in: bool):
    rng = random.Random(11 + exact_in)
    reserves = [(random_amount(rng, UINT112), random_amount(rng, UINT112)) for _ in range(QUOTES)]
    reserves[:20] = [(0, 5), (5, 0)] * 10
    if exact_in:
        amounts = [random_amount(rng, UINT112 - pair[0] + 2) for pair in reserves]
    else:
        amounts = [random_amount(rng, pair[1] + 2) for pair in reserves]
    amounts[20:30] = [0] * 10
    statuses, results = kernel_quotes(v2_rows(reserves), amounts, exact_in)
    function = "getAmountOut" if exact_in else "getAmountIn"
    agreed = 0
    for pair, amount, status, result in zip(reserves, amounts, statuses, results, strict=True):
        expected = router_quote(router, function, amount, pair)
        if status == OK:
            assert result == expected, (pair, amount)
            agreed += 1
        elif status == OVERFLOW:  # the router only computes; the pair could not store the reserve
            assert expected is not None, (pair, amount)
            assert pair[0] + (amount if exact_in else expected) > UINT112, (pair, amount)
        else:
            assert status in (INSUFFICIENT_INPUT, INSUFFICIENT_LIQUIDITY)
            assert expected is None, (pair, amount)
    print(agreed, "quotes agreed")
    assert agreed >= 12_000


@pytest.fixture(scope="module")
def pair() -> tuple[Chain, str, str, str]:
    chain = Chain()
    token_code = npm_code("@uniswap/v2-periphery", "build/ERC20.json")
    tokens = [chain.deploy(token_code, ("uint256",), (2**128,)) for _ in range(2)]
    code = npm_code("@uniswap/v2-core", "build/UniswapV2Factory.json")
    factory = chain.deploy(code, ("address",), (OWNER,))
    address = chain.call(factory, "createPair(address,address)", *tokens, returns=("address",))
    token0, token1 = sorted(tokens, key=lambda token: int(token, 16))
    return chain, address, token0, token1


def accepts(chain: Chain, pair: str, amount_out: int) -> bool:
    checkpoint = chain.evm.snapshot()
    try:
        signature = "swap(uint256,uint256,address,bytes)"
        chain.call(pair, signature, 0, amount_out, "0x000000000000000000000000000000000000b0b1", b"")
    except Reverted:
        return False
    else:
        return True
    finally:
        chain.evm.revert(checkpoint)


def test_a_real_pair_pays_the_quote_and_not_one_unit_more(pair: tuple[Chain, str, str, str]):
    chain, address, token0, token1 = pair
    rng = random.Random(5)
    paid = overflowed = 0
    for _ in range(SWAPS):
        reserves = random_amount(rng, UINT112), random_amount(rng, UINT112)
        amount_in = random_amount(rng, min(UINT112 - reserves[0] + 2, reserves[0] * 1000))
        (status,), (amount_out,) = kernel_quotes(v2_rows([reserves]), [amount_in], True)
        checkpoint = chain.evm.snapshot()
        for token, reserve in ((token0, reserves[0]), (token1, reserves[1])):
            chain.call(token, "transfer(address,uint256)", address, reserve)
        chain.call(address, "sync()")
        chain.call(token0, "transfer(address,uint256)", address, amount_in)
        if status == OVERFLOW:
            overflowed += 1
            assert not accepts(chain, address, min(1, reserves[1] - 1))
        elif amount_out:
            paid += 1
            assert accepts(chain, address, amount_out), (reserves, amount_in)
            assert not accepts(chain, address, amount_out + 1), (reserves, amount_in)
        else:
            assert not accepts(chain, address, 1), (reserves, amount_in)
        chain.evm.revert(checkpoint)
    assert paid > SWAPS // 2
    assert overflowed


def test_a_real_pair_takes_the_asked_input(pair: tuple[Chain, str, str, str]):
    chain, address, token0, token1 = pair
    rng = random.Random(6)
    asked = 0
    for _ in range(SWAPS // 2):
        reserves = random_amount(rng, 2**100), random_amount(rng, 2**100)
        if reserves[1] < 2:
            continue
        amount_out = random_amount(rng, reserves[1] - 1)
        (status,), (amount_in,) = kernel_quotes(v2_rows([reserves]), [amount_out], False)
        if status != OK:
            assert status == OVERFLOW
            continue
        checkpoint = chain.evm.snapshot()
        for token, reserve in ((token0, reserves[0]), (token1, reserves[1])):
            chain.call(token, "transfer(address,uint256)", address, reserve)
        chain.call(address, "sync()")
        chain.call(token0, "transfer(address,uint256)", address, amount_in)
        assert accepts(chain, address, amount_out), (reserves, amount_out)
        asked += 1
        chain.evm.revert(checkpoint)
    assert asked > SWAPS // 5
