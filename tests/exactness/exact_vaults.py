"""ERC-4626: OpenZeppelin's vault at several decimals offsets, and solmate's."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import numpy as np
from exact_campaign import Family, Mismatch, Round
from exact_chain import UINT256, Chain, as_bits, run_batch
from exact_numbers import spread
from exact_rows import quoted, word_rows

from engine.amm.families.vaults import Vault, pack
from engine.amm.layout import KIND_ERC4626, OK, limbs_to_ints

CASES = 1_000
DEPOSIT, MINT, REDEEM, WITHDRAW = range(4)
_OFFSETS = (0, 3, 6, 18)


class World:
    """Vaults of one author and the driver that owns all their shares."""

    def __init__(self, author: str) -> None:
        self.chain = Chain()
        (asset,) = self.chain.tokens(18)
        self.driver = self.chain.driver("VaultDriver", ["address"], [asset])
        if author == "solmate":
            self.vaults = [(self.chain.driver("SolmateVault", ["address"], [asset]), 0, 0)]
        else:
            types = ["address", "uint8"]
            self.vaults = [
                (self.chain.driver("OpenZeppelinVault", types, [asset, offset]), 10**offset, 1)
                for offset in _OFFSETS
            ]

    def round(self, seed: int) -> Counter[str]:
        rng = random.Random(seed)
        vault, *virtual = self.vaults[seed % len(self.vaults)]
        cases = [_case(rng) for _ in range(CASES)]
        answer = run_batch(self.chain, self.driver, "run(address,uint256[4][])", cases, int(vault, 16))
        return _compare(cases, virtual, answer)


def _case(rng: random.Random) -> list[int]:
    most = rng.choice([10**6, 10**18, 10**33, 10**33, 2**128, UINT256])
    supply = spread(rng, most)
    assets = min(int(supply * 10 ** rng.gauss(0, 2)), UINT256) if rng.random() < 0.7 else spread(rng, most)
    if rng.random() < 0.05:
        supply = 0
    if rng.random() < 0.05:
        assets = 0
    what = rng.randrange(4)
    held = assets if what in (DEPOSIT, WITHDRAW) else supply
    amount = spread(rng, max(held, 1) * 2) if rng.random() < 0.9 else spread(rng, UINT256)
    amount = rng.choice([1, held, held + 1]) if rng.random() < 0.05 else amount
    return [supply, assets, min(max(amount, 1), UINT256), what]


def _compare(cases: list[list[int]], virtual: list[int], answer: np.ndarray) -> Counter[str]:
    count = len(cases)
    what = np.array([case[3] for case in cases])
    states = [pack(Vault(*case[:2], *virtual)) for case in cases]
    pools = word_rows(KIND_ERC4626, states, [(0, 1)] * count)
    entering, exact_in = (what == DEPOSIT) | (what == MINT), (what == DEPOSIT) | (what == REDEEM)
    statuses, results = quoted(pools, entering, exact_in, [case[2] for case in cases])
    done, ok = as_bits(answer[:, 0]) == 1, statuses == OK
    same = (results == answer[:, 1]).all(axis=1) & (results == answer[:, 2]).all(axis=1)
    right = (done == ok) & (same | ~ok)
    values, after = limbs_to_ints(results), [limbs_to_ints(answer[:, k]) for k in (3, 4)]
    for i in np.flatnonzero(ok & right):
        right[i] = (after[0][i], after[1][i]) == _after(cases[i], values[i])
    if not right.all():
        i = int(np.flatnonzero(~right)[0])
        raise Mismatch(cases[i], virtual, int(statuses[i]), values[i], limbs_to_ints(answer[i]))
    counts = Counter({"swaps": count, "refused": int((~ok).sum())})
    for kind, name in (
        (DEPOSIT, "deposits"),
        (MINT, "mints"),
        (REDEEM, "redemptions"),
        (WITHDRAW, "withdrawals"),
    ):
        counts[name] = int((ok & (what == kind)).sum())
    return counts


def _after(case: list[int], value: int) -> tuple[int, int]:
    """(supply, total assets) after the move."""
    supply, assets, amount, what = case
    shares, moved = (value, amount) if what in (DEPOSIT, WITHDRAW) else (amount, value)
    sign = 1 if what in (DEPOSIT, MINT) else -1
    return supply + sign * shares, assets + sign * moved


def _open(author: str) -> Callable[[], Round]:
    return lambda: World(author).round


KINDS = ("deposits", "mints", "redemptions", "withdrawals", "refused")
FAMILIES = [
    Family(
        "erc4626-openzeppelin",
        "ERC-4626, OpenZeppelin",
        "@openzeppelin/contracts 5.4.0, solc 0.8.37",
        "families.vaults",
        100_000,
        _open("openzeppelin"),
        4_000,
        KINDS,
    ),
    Family(
        "erc4626-solmate",
        "ERC-4626, solmate",
        "@uniswap/v4-core 1.0.2 (lib/solmate), solc 0.8.37",
        "families.vaults",
        100_000,
        _open("solmate"),
        2_000,
        KINDS,
    ),
]
