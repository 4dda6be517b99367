"""WETH9, as published: wrapping and unwrapping one for one."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
from exact_build import npm_code
from exact_campaign import Family, Mismatch, Round
from exact_chain import Chain, as_bits, mapping_slot, run_batch
from exact_numbers import spread
from exact_rows import quoted, word_rows

from engine.amm.families.vaults import Weth, pack
from engine.amm.layout import KIND_WETH, OK, limbs_to_ints

STATES, MOVES_PER_STATE = 20, 100
_HELD = 2**200  # native coins of the driver: more than any case wraps
_BALANCES = 3  # WETH9's slot of balanceOf


class World:
    def __init__(self) -> None:
        self.chain = Chain()
        self.weth = self.chain.deploy(npm_code("@uniswap/v2-periphery", "build/WETH9.json"))
        self.driver = self.chain.driver("WethDriver", ["address"], [self.weth])
        self.chain.evm.set_balance(self.driver, _HELD)

    def write(self, supply: int) -> None:
        """All of what is wrapped belongs to the driver."""
        self.chain.evm.set_balance(self.weth, supply)
        self.chain.store(self.weth, mapping_slot(int(self.driver, 16), _BALANCES), supply)

    def round(self, seed: int) -> Counter[str]:
        rng = random.Random(seed)
        counts: Counter[str] = Counter()
        for _ in range(STATES):
            supply = rng.choice([0, 1, spread(rng, 10**33)])
            self.write(supply)
            cases = [_case(rng, supply) for _ in range(MOVES_PER_STATE)]
            counts += self._compare(supply, cases)
        return counts

    def _compare(self, supply: int, cases: list[list[int]]) -> Counter[str]:
        answer = run_batch(self.chain, self.driver, "run(uint256[2][])", cases)
        count = len(cases)
        wraps = np.array([case[1] == 0 for case in cases])
        pools = word_rows(KIND_WETH, [pack(Weth(supply))] * count, [(0, 1)] * count)
        amounts = [case[0] for case in cases]
        done = as_bits(answer[:, 0]) == 1
        after, received = limbs_to_ints(answer[:, 2]), limbs_to_ints(answer[:, 1])
        for exact_in in (True, False):
            statuses, results = quoted(pools, wraps, np.full(count, exact_in), amounts)
            values = limbs_to_ints(results)
            for n, amount in enumerate(amounts):
                left = supply + amount if wraps[n] else supply - amount
                right = (statuses[n] == OK) == done[n]
                if right and done[n]:
                    right = (values[n], received[n], after[n]) == (amount, amount, left)
                if not right:
                    raise Mismatch(supply, cases[n], int(statuses[n]), values[n], received[n], after[n])
        moved = {"wraps": int((done & wraps).sum()), "unwraps": int((done & ~wraps).sum())}
        return Counter({"swaps": count, "refused": int((~done).sum()), **moved})


def _case(rng: random.Random, supply: int) -> list[int]:
    return [rng.choice([spread(rng, 10**33), spread(rng, max(supply, 1)), supply + 1]), rng.randrange(2)]


def _open() -> Round:
    return World().round


FAMILIES = [
    Family(
        "weth", "WETH", "@uniswap/v2-periphery 1.1.0-beta.0", "families.vaults", 100_000, _open, 2_000,
        ("wraps", "unwraps", "refused"),
    )
]  # fmt: skip
