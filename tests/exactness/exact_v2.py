"""Uniswap V2 and SushiSwap V2: router, factory and pair as published.

The driver asks the router, then makes the swap on a real pair, once as quoted and once a unit better for the
trader. A unit more of output is never paid. A unit less of input is enough exactly where the library's
fraction has no remainder, which is what `least_amount_in_nb` says.
"""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
from exact_build import npm_code
from exact_campaign import Family, Mismatch, Round
from exact_chain import OWNER, UINT112, Chain, as_bits, run_batch
from exact_numbers import spread
from exact_rows import quoted
from numba import njit

from engine.amm.constant_product import least_amount_in_nb
from engine.amm.layout import (
    INSUFFICIENT_INPUT,
    INSUFFICIENT_LIQUIDITY,
    KIND_V2,
    OK,
    OVERFLOW,
    allocate,
    ints_to_limbs,
)
from engine.amm.quote import store_u256_nb
from engine.amm.wide import make_u128, make_u256

CASES = 2_000
SELLS_0, EXACT_IN = 1, 2
QUOTED, PAID, BETTER = 1, 2, 4
_FEE_PIPS = 3000


@njit(nogil=True, cache=True, error_model="numpy")
def _least_inputs(words, results):
    """words u64[n, 4, 4] as the driver's cases; results u64[n, 4]: the least input for the amount out."""
    for i in range(len(words)):
        side = 0 if words[i, 3, 0] & np.uint64(1) else 1
        given = make_u128(words[i, side, 0], words[i, side, 1])
        held = make_u128(words[i, 1 - side, 0], words[i, 1 - side, 1])
        amount = make_u256(words[i, 2, 0], words[i, 2, 1], words[i, 2, 2], words[i, 2, 3])
        _, least = least_amount_in_nb(amount, given, held, np.uint32(3000))
        store_u256_nb(least, results[i])


def _kernel(words: np.ndarray, cases: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Statuses and quotes of the engine, and the least inputs."""
    pools = allocate(len(cases), 1)
    pools.kind[:], pools.fee_pips[:] = KIND_V2, _FEE_PIPS
    pools.reserves[:] = words[:, :2, :2]
    flags = np.array([case[3] for case in cases])
    amounts = [case[2] for case in cases]
    statuses, quotes = quoted(pools, flags & SELLS_0 != 0, flags & EXACT_IN != 0, amounts)
    least = np.zeros_like(quotes)
    _least_inputs(words, least)
    return statuses, quotes, least


def _case(rng: random.Random) -> list[int]:
    reserves = [spread(rng, UINT112), spread(rng, UINT112)]
    if rng.random() < 0.01:
        reserves[rng.randrange(2)] = 0
    sells_0, exact_in = rng.random() < 0.5, rng.random() < 0.5
    given, held = reserves if sells_0 else reserves[::-1]
    if exact_in:
        most = rng.choice([UINT112 - given + 2, UINT112 - given + 2, max(given, 1), 2**130])
        amount = spread(rng, most)
    else:
        amount = spread(rng, held + 2)
        if rng.random() < 0.05 and amount < held < 2**50:  # an input that needs no rounding
            reserves[0 if sells_0 else 1] = 997 * (held - amount) * rng.randrange(1, 2**40)
    if rng.random() < 0.005:
        amount = 0
    return [*reserves, amount, SELLS_0 * sells_0 | EXACT_IN * exact_in]


def _check(cases: list[list[int]], answer: np.ndarray) -> Counter[str]:
    words = ints_to_limbs([value for case in cases for value in case]).reshape(-1, 4, 4)
    statuses, quotes, least = _kernel(words, cases)
    bits = as_bits(answer[:, 0])
    exact_in = (words[:, 3, 0] & np.uint64(EXACT_IN)) != 0
    ok, over = statuses == OK, statuses == OVERFLOW
    quoted, paid, better = (bits & QUOTED) != 0, (bits & PAID) != 0, (bits & BETTER) != 0
    same = (quotes == answer[:, 1]).all(axis=1)
    # The router only computes: it quotes also what the pair could not hold.
    refused = (statuses == INSUFFICIENT_INPUT) | (statuses == INSUFFICIENT_LIQUIDITY)
    nothing = ok & exact_in & (quotes == 0).all(axis=1)
    lower = ok & ~exact_in & ~(least == quotes).all(axis=1)
    right = (ok & quoted & same) | (over & ~paid) | (refused & ~quoted)
    right &= paid == (ok & ~nothing)
    right &= better == lower
    if not right.all():
        i = int(np.flatnonzero(~right)[0])
        raise Mismatch(
            cases[i],
            int(statuses[i]),
            quotes[i].tolist(),
            least[i].tolist(),
            int(bits[i]),
            answer[i].tolist(),
        )
    _check_reserves(words, quotes, answer, ok & ~nothing, exact_in)
    return Counter(
        {
            "swaps": len(cases),
            "exact in": int((ok & exact_in).sum()),
            "exact out": int((ok & ~exact_in).sum()),
            "nothing out": int(nothing.sum()),
            "one less is enough": int(lower.sum()),
            "overflow": int(over.sum()),
            "refused": int(refused.sum()),
        }
    )


def _check_reserves(words, results, answer, paid, exact_in) -> None:
    """The pair holds what it had, plus what was sold, less what was bought."""
    ours, theirs = words[paid].astype(object), answer[paid].astype(object)
    moved, exact = results[paid].astype(object), exact_in[paid]
    whole = [2 ** (64 * k) for k in range(4)]
    before, after = ours[:, :2] @ whole, theirs[:, 2:] @ whole
    amounts, quotes = ours[:, 2] @ whole, moved @ whole
    sold = np.where(exact, amounts, quotes)
    bought = np.where(exact, quotes, amounts)
    sells_0 = (ours[:, 3, 0] & SELLS_0).astype(bool)
    expected0 = before[:, 0] + np.where(sells_0, sold, -bought)
    expected1 = before[:, 1] + np.where(sells_0, -bought, sold)
    wrong = (after[:, 0] != expected0) | (after[:, 1] != expected1)
    if wrong.any():
        raise Mismatch(ours[wrong][0].tolist(), theirs[wrong][0].tolist())


def _open(factory_code: bytes, router_code: bytes) -> Round:
    def start() -> tuple[Chain, str]:
        chain = Chain()
        tokens = chain.tokens(18, 18)
        factory = chain.deploy(factory_code, ["address"], [OWNER])
        pair = chain.call(factory, "createPair(address,address)", *tokens, returns=("address",))
        router = chain.deploy(router_code, ["address", "address"], [factory, OWNER])
        driver = chain.driver("PairDriver", ["address"] * 4, [pair, *tokens, router])
        return chain, driver

    opened: list[tuple[Chain, str]] = []

    def one_round(seed: int) -> Counter[str]:
        if not opened:
            opened.append(start())
        rng = random.Random(seed)
        cases = [_case(rng) for _ in range(CASES)]
        answer = run_batch(*opened[0], "run(uint256[4][])", cases)
        return _check(cases, answer)

    return one_round


def _uniswap() -> Round:
    return _open(
        npm_code("@uniswap/v2-core", "build/UniswapV2Factory.json"),
        npm_code("@uniswap/v2-periphery", "build/UniswapV2Router02.json"),
    )


def _sushi() -> Round:
    router = "artifacts/contracts/uniswapv2/UniswapV2Router02.sol/UniswapV2Router02.json"
    return _open(
        npm_code("@sushiswap/core", "deployments/mainnet/UniswapV2Factory.json"),
        npm_code("@sushiswap/core", router),
    )


KINDS = ("exact in", "exact out", "nothing out", "one less is enough", "overflow", "refused")
FAMILIES = [
    Family(
        "uniswap-v2",
        "Uniswap V2",
        "@uniswap/v2-core 1.0.1, v2-periphery 1.1.0-beta.0",
        "quote",
        1_000_000,
        _uniswap,
        4_000,
        KINDS,
    ),
    Family(
        "sushi-v2",
        "SushiSwap V2",
        "@sushiswap/core 2.0.0-canary.1",
        "quote",
        100_000,
        _sushi,
        4_000,
        KINDS,
    ),
]
