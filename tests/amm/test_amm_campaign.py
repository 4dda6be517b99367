"""Long seeded differential campaigns: kernels against published bytecode until the time is up.

`ROUNDTRIP_CAMPAIGN_SEED` is the first seed (1) and `ROUNDTRIP_CAMPAIGN_MINUTES` how long each campaign lasts
(5). The same seed gives the same cases in the same order; a failure names the seed of its round.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from amm_evm import OWNER, Chain, V3Chain, npm_code
from test_amm_v2_bytecode import UINT112, kernel_quotes, random_amount, router_quote, v2_rows
from test_amm_v3_bytecode import SPACINGS, campaign, check_coverage

from engine.amm.layout import OK, OVERFLOW

# Each campaign bounds its own time.
pytestmark = [pytest.mark.campaign, pytest.mark.timeout(0)]

QUOTES_PER_ROUND = 2_000
_PANCAKE_SPACINGS = {100: 1, 500: 10, 2500: 50, 10000: 200}


def rounds() -> Iterator[int]:
    """Seeds from the first one on, at least one, until the minutes are over."""
    seed = int(os.environ.get("ROUNDTRIP_CAMPAIGN_SEED", "1"))
    until = time.monotonic() + 60 * float(os.environ.get("ROUNDTRIP_CAMPAIGN_MINUTES", "5"))
    while True:
        yield seed
        if time.monotonic() >= until:
            return
        seed += 1


class Progress:
    """Counts, printed about twice a minute."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self._started = self._said = time.monotonic()

    def add(self, seed: int, counts: Counter[str]) -> None:
        self.counts += counts
        if time.monotonic() - self._said > 30:
            self.say(seed)

    def say(self, seed: int) -> None:
        self._said = time.monotonic()
        minutes = (self._said - self._started) / 60
        print(f"\n{self.name}: {minutes:.1f} min, seed {seed}, {dict(self.counts)}", flush=True)


def v2_round(router: tuple[Chain, str], seed: int) -> Counter[str]:
    """Random reserves and amounts, both directions of the question, against Router02's arithmetic."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    for exact_in in (True, False):
        pairs = [(random_amount(rng, UINT112), random_amount(rng, UINT112)) for _ in range(QUOTES_PER_ROUND)]
        amounts = [random_amount(rng, UINT112 - a + 2 if exact_in else b + 2) for a, b in pairs]
        statuses, results = kernel_quotes(v2_rows(pairs), amounts, exact_in)
        function = "getAmountOut" if exact_in else "getAmountIn"
        for pair, amount, status, result in zip(pairs, amounts, statuses, results, strict=True):
            expected = router_quote(router, function, amount, pair)
            case = (seed, function, pair, amount)
            if status == OK:
                assert result == expected, case
            elif status == OVERFLOW:
                assert expected is not None, case
                assert pair[0] + (amount if exact_in else expected) > UINT112, case
            else:
                assert expected is None, case
            counts[function] += status == OK
            counts["refused"] += status != OK
    return counts


def test_v2_campaign() -> None:
    chain = Chain()
    code = npm_code("@uniswap/v2-periphery", "build/UniswapV2Router02.json")
    router = chain, chain.deploy(code, ("address", "address"), (OWNER, OWNER))
    progress = Progress("V2 quotes against Router02")
    for seed in rounds():
        progress.add(seed, v2_round(router, seed))
    progress.say(seed)
    assert progress.counts["getAmountOut"] > QUOTES_PER_ROUND // 4
    assert progress.counts["getAmountIn"] > QUOTES_PER_ROUND // 4


@pytest.mark.parametrize("pancake", [False, True], ids=["uniswap", "pancake"])
def test_v3_campaign(pancake: bool) -> None:
    chain = V3Chain(pancake=pancake)
    progress = Progress("PancakeSwap V3 swaps" if pancake else "Uniswap V3 swaps")
    for seed in rounds():
        counts: Counter[str] = Counter()
        for fee_pips, spacing in (_PANCAKE_SPACINGS if pancake else SPACINGS).items():
            try:
                counts += campaign(chain, fee_pips, spacing, (seed << 20) + fee_pips)
            except AssertionError as error:
                error.add_note(f"campaign seed {seed}, fee {fee_pips} pips")
                raise
        progress.add(seed, counts)
    progress.say(seed)
    check_coverage(progress.counts, 4 * 250)
