"""Aerodrome's pools, volatile and stable, compiled from published source, in pairs of 0 to 24 decimals.

Exact-in is what the pool quotes and then does. Exact-out has no call in the protocol: the kernel's least
input has to be accepted, and one unit less refused; where the kernel refuses, another input is tried.
"""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
from exact_build import Build, compiled, published
from exact_campaign import Family, Mismatch, Round
from exact_chain import Chain, as_bits, run_batch
from exact_numbers import spread
from exact_rows import quoted, word_rows

from engine.amm.families.solidly import Solidly, pack
from engine.amm.layout import KIND_SOLIDLY, OK, limbs_to_ints
from engine.amm.solidly import FEE_DENOMINATOR
from engine.amm.solidly_curve import STABLE_AERODROME, VOLATILE

CASES = 1_000
SELLS_0, EXACT_IN = 1, 2
QUOTED, PAID, BETTER = 1, 2, 4
_MOST_FEE, _NO_FEE = 300, 420
_DECIMALS = [(18, 18), (6, 6), (6, 18), (18, 6), (8, 18), (24, 6), (0, 18), (2, 24), (18, 24)]


class World:
    """One factory, a pool for every pair of decimals, and the driver."""

    def __init__(self, stable: bool) -> None:
        self.chain, self.stable = Chain(), stable
        root = published("sphere-mezo-solidity-files@1.2.0") / "domains" / "aerodrome"
        roots = (
            ("contracts/", root / "contracts"),
            ("@openzeppelin/contracts/", published("@openzeppelin/contracts@5.4.0")),
        )
        entries = ("contracts/Pool.sol", "contracts/factories/PoolFactory.sol")
        made = compiled(Build("solc@0.8.26", entries, roots))
        pool = self.chain.deploy(bytes.fromhex(made["Pool"]["code"]))
        self.factory = self.chain.deploy(bytes.fromhex(made["PoolFactory"]["code"]), ["address"], [pool])
        self.driver = self.chain.driver("SolidlyDriver", ["address"], [self.factory])
        self.pools = [self._pool(decimals, made["Pool"]["slots"]) for decimals in _DECIMALS]
        self.chain.call(self.factory, "setFeeManager(address)", self.driver)

    def _pool(self, decimals: tuple[int, int], slots: dict[str, int]) -> tuple[str, tuple[int, int]]:
        """(address, decimals in the pool's order). Fees are shared out among liquidity tokens."""
        tokens = [self.chain.driver("CampaignToken", ["uint8"], [each]) for each in decimals]
        signature = "createPool(address,address,bool)"
        pool = self.chain.call(self.factory, signature, *tokens, self.stable, returns=("address",))
        self.chain.store(pool, slots["_totalSupply"], 10**18)
        in_order = sorted(zip(tokens, decimals, strict=True), key=lambda entry: int(entry[0], 16))
        return pool, (in_order[0][1], in_order[1][1])

    def case(self, rng: random.Random, decimals: tuple[int, int]) -> list[int]:
        """Reserves, fee, flags, amount in and out; the one not asked for is filled in later."""
        reserves = _reserves(rng, decimals, self.stable)
        fee = rng.choice([_NO_FEE, 1, 5, 30, _MOST_FEE, rng.randrange(1, _MOST_FEE + 1)])
        sells_0, exact_in = rng.random() < 0.5, rng.random() < 0.5
        given, held = reserves if sells_0 else reserves[::-1]
        sold = bought = 0
        if exact_in:
            sold = spread(rng, max(given * rng.choice([1, 1, 100, 10**6]), 1))
        else:
            bought = spread(rng, held + 2)
        if rng.random() < 0.005:
            sold = bought = 0
        return [*reserves, fee, SELLS_0 * sells_0 | EXACT_IN * exact_in, sold, bought]

    def round(self, seed: int) -> Counter[str]:
        rng = random.Random(seed)
        pool, decimals = self.pools[seed % len(self.pools)]
        cases = [self.case(rng, decimals) for _ in range(CASES)]
        statuses, results = self._kernel(cases, decimals)
        for case, status, value in zip(cases, statuses, limbs_to_ints(results), strict=True):
            if not case[3] & EXACT_IN:
                case[4] = value if status == OK else spread(rng, 2**128)
        answer = run_batch(self.chain, self.driver, "run(address,uint256[6][])", cases, int(pool, 16))
        return compare(cases, statuses, results, answer)

    def _kernel(self, cases: list[list[int]], decimals: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        curve = STABLE_AERODROME if self.stable else VOLATILE
        units = 10 ** decimals[0], 10 ** decimals[1]
        states = []
        for reserve0, reserve1, fee, *_ in cases:
            fees = fee % _NO_FEE, fee % _NO_FEE
            states.append(pack(Solidly(curve, fees, FEE_DENOMINATOR, (reserve0, reserve1), units)))
        flags = np.array([case[3] for case in cases])
        amounts = [case[4] if case[3] & EXACT_IN else case[5] for case in cases]
        pools = word_rows(KIND_SOLIDLY, states, [(0, 1)] * len(cases))
        return quoted(pools, flags & SELLS_0 != 0, flags & EXACT_IN != 0, amounts)


def _reserves(rng: random.Random, decimals: tuple[int, int], stable: bool) -> list[int]:
    kind = rng.random()
    if kind < 0.01:
        return [rng.choice([0, 1]), spread(rng, 10**33)]
    if kind < 0.25 or not stable:
        return [spread(rng, 10**33), spread(rng, 10**33)]
    if kind < 0.30:  # beyond what the curve's powers can hold
        return [spread(rng, 10**48), spread(rng, 10**48)]
    whole = 10 ** rng.uniform(-4, 14)
    skew = 10 ** rng.gauss(0, 1)
    return [max(int(whole * 10 ** decimals[0]), 1), max(int(whole * skew * 10 ** decimals[1]), 1)]


def compare(
    cases: list[list[int]], statuses: np.ndarray, results: np.ndarray, answer: np.ndarray
) -> Counter[str]:
    bits = as_bits(answer[:, 0])
    flags = np.array([case[3] for case in cases])
    exact_in = flags & EXACT_IN != 0
    paid, better, ok = bits & PAID != 0, bits & BETTER != 0, statuses == OK
    same = (results == answer[:, 1]).all(axis=1)
    right = np.where(exact_in, (paid == ok) & (same | ~ok), (paid == ok) & ~(better & ok))
    if not right.all():
        i = int(np.flatnonzero(~right)[0])
        raise Mismatch(
            cases[i], int(statuses[i]), limbs_to_ints(results[i : i + 1]), limbs_to_ints(answer[i])
        )
    values = limbs_to_ints(results)
    after = list(zip(limbs_to_ints(answer[:, 2]), limbs_to_ints(answer[:, 3]), strict=True))
    for i in np.flatnonzero(ok):
        _check_reserves(cases[i], values[i], after[i])
    return Counter(
        {
            "swaps": len(cases),
            "exact in": int((ok & exact_in).sum()),
            "exact out": int((ok & ~exact_in).sum()),
            "refused": int((~ok).sum()),
            "one more is paid": int((ok & exact_in & better).sum()),
        }
    )


def _check_reserves(case: list[int], value: int, after: tuple[int, int]) -> None:
    """The input less the fee comes in, the output goes out."""
    exact_in = case[3] & EXACT_IN
    sold, bought = (case[4], value) if exact_in else (value, case[5])
    side = 0 if case[3] & SELLS_0 else 1
    expected = case[:2]
    expected[side] += sold - sold * (case[2] % _NO_FEE) // FEE_DENOMINATOR
    expected[1 - side] -= bought
    if tuple(expected) != after:
        raise Mismatch(case, value, after)


def _open(stable: bool) -> Round:
    return World(stable).round


_SOURCE = "sphere-mezo-solidity-files 1.2.0, solc 0.8.26"
KINDS = ("exact in", "exact out", "refused")
FAMILIES = [
    Family(
        "aerodrome-volatile",
        "Aerodrome, volatile",
        _SOURCE,
        "families.solidly",
        100_000,
        lambda: _open(False),
        4_000,
        KINDS,
    ),
    Family(
        "aerodrome-stable",
        "Aerodrome, stable",
        _SOURCE,
        "families.solidly",
        100_000,
        lambda: _open(True),
        9_000,
        KINDS,
    ),
]
